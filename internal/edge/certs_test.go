package edge

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"troth/internal/fault"
	"troth/internal/keys"
	"troth/internal/secret"
)

// ringOf is a keyring in memory.
type ringOf map[keys.Ref]secret.Bytes

func (r ringOf) Secret(_ context.Context, ref keys.Ref) (secret.Bytes, error) {
	v, ok := r[ref]
	if !ok {
		return v, fault.New(fault.NotFound, "test.unknown", "There is no such key.")
	}
	return v, nil
}

func (r ringOf) Import(_ context.Context, ref keys.Ref, v secret.Bytes) error {
	if _, ok := r[ref]; ok {
		return fault.New(fault.Conflict, "test.twice", "It exists.")
	}
	r[ref] = v
	return nil
}

func (r ringOf) Shred(_ context.Context, refs ...keys.Ref) error {
	for _, ref := range refs {
		delete(r, ref)
	}
	return nil
}

type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

func newClock() *clock { return &clock{time.Now().Truncate(time.Second)} }

func leafOf(t *testing.T, c Certificates) *x509.Certificate {
	t.Helper()
	got, err := c.Certificate(nil)
	if err != nil {
		t.Fatal(err)
	}
	return got.Leaf
}

func TestTheLocalAuthorityServesItsNamesAndNoOthers(t *testing.T) {
	ring, c, path := ringOf{}, newClock(), filepath.Join(t.TempDir(), "ca.pem")
	certs, err := LocalAuthority(t.Context(), ring, path, []string{"troth.test", "10.1.2.3"}, c.now)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("%v, %v", info, err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(b) {
		t.Fatal("the file holds no certificate")
	}
	leaf := leafOf(t, certs)
	for _, name := range []string{"localhost", "127.0.0.1", "::1", "troth.test", "10.1.2.3"} {
		if _, err := leaf.Verify(x509.VerifyOptions{Roots: pool, DNSName: name, CurrentTime: c.at}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	// Whoever steals the authority's key cannot use it against other sites.
	key, err := parseKey(ring[authorityRef])
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(b)
	ca, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"bank.example", "192.0.2.1", "localhost.bank.example"} {
		tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: c.at.Add(-time.Hour), NotAfter: c.at.Add(time.Hour), DNSNames: []string{name}}
		if ip := net.ParseIP(name); ip != nil {
			tmpl.DNSNames, tmpl.IPAddresses = nil, []net.IP{ip}
		}
		der, err := x509.CreateCertificate(rand.Reader, tmpl, ca, &key.PublicKey, key)
		if err != nil {
			t.Fatal(err)
		}
		forged, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := forged.Verify(x509.VerifyOptions{Roots: pool, DNSName: name, CurrentTime: c.at}); err == nil {
			t.Errorf("the authority speaks for %s", name)
		}
	}
}

func TestTheAuthorityStaysAndItsLeavesAreRenewed(t *testing.T) {
	ring, c, path := ringOf{}, newClock(), filepath.Join(t.TempDir(), "ca.pem")
	openIt := func(hosts ...string) (Certificates, string) {
		t.Helper()
		certs, err := LocalAuthority(t.Context(), ring, path, hosts, c.now)
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return certs, string(b)
	}
	certs, first := openIt()
	if _, again := openIt(); again != first {
		t.Error("a restart made another authority")
	}
	leaf := leafOf(t, certs)
	for range 4 {
		c.at = c.at.Add(24 * time.Hour)
		if err := certs.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if !leafOf(t, certs).Equal(leaf) {
		t.Error("a fresh leaf was replaced")
	}
	c.at = c.at.Add(24 * time.Hour)
	if err := certs.Refresh(t.Context()); err != nil || leafOf(t, certs).Equal(leaf) {
		t.Errorf("an old leaf stayed: %v", err)
	}
	if _, other := openIt("new.test"); other == first {
		t.Error("the authority does not speak for the new name")
	}
	if err := os.WriteFile(path, []byte("garbage"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, again := openIt(); again == "garbage" {
		t.Error("a damaged file stays")
	}
	ring[authorityRef] = secret.OfBytes([]byte("garbage"))
	if _, err := LocalAuthority(t.Context(), ring, path, nil, c.now); err == nil {
		t.Error("a damaged key is used")
	}
}

// writePair writes a self-signed certificate and its key.
func writePair(t *testing.T, dir string, until time.Time) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: serial(), Subject: pkix.Name{CommonName: "x"}, DNSNames: []string{"troth.test"},
		NotBefore: until.Add(-48 * time.Hour), NotAfter: until}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for file, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: pkcs8}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

func TestCertificateFilesAreReadAgainWhenTheyChange(t *testing.T) {
	c, dir := newClock(), t.TempDir()
	if _, err := CertificateFiles(filepath.Join(dir, "none"), "none", c.now); err == nil {
		t.Error("missing files were taken")
	}
	cert, key := writePair(t, dir, c.at.Add(-time.Hour))
	if _, err := CertificateFiles(cert, key, c.now); err == nil {
		t.Error("a certificate that ended was taken")
	}
	writePair(t, dir, c.at.Add(time.Hour))
	certs, err := CertificateFiles(cert, key, c.now)
	if err != nil {
		t.Fatal(err)
	}
	first := leafOf(t, certs)
	bump := func() { // a change within the clock's grain is a change too
		now := time.Now().Add(time.Hour)
		if err := os.Chtimes(cert, now, now); err != nil {
			t.Fatal(err)
		}
	}
	writePair(t, dir, c.at.Add(2*time.Hour))
	bump()
	if err := certs.Refresh(t.Context()); err != nil || leafOf(t, certs).Equal(first) {
		t.Errorf("the new certificate is not used: %v", err)
	}
	second := leafOf(t, certs)
	if err := os.WriteFile(key, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := certs.Refresh(t.Context()); err == nil || !leafOf(t, certs).Equal(second) {
		t.Errorf("a broken key: %v", err)
	}
	if certs.Roots() != nil {
		t.Error("a certificate from outside has roots of its own")
	}
}

func TestACertificateFromOutsideServesChecksToo(t *testing.T) {
	cert, key := writePair(t, t.TempDir(), time.Now().Add(time.Hour))
	certs, err := CertificateFiles(cert, key, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	h := open(t, nil, func(o *Options) { o.Certificates = certs })
	if a := h.ask("GET", "/-/about", ""); a.StatusCode != 200 {
		t.Errorf("%d", a.StatusCode)
	}
}
