package edge

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"troth/internal/fault"
	"troth/internal/keys"
	"troth/internal/secret"
)

// How long certificates of the local authority live. The authority's own is
// long because people import it by hand; a leaf's is short because it is
// renewed by itself and its key never leaves the memory of the process.
const (
	authorityLife = 10 * 365 * 24 * time.Hour
	leafLife      = 7 * 24 * time.Hour
	leafRenewal   = leafLife / 3 // a leaf is renewed when that little is left
	certSkew      = time.Hour    // certificates begin that much earlier, for clocks that are behind
)

// authorityRef names the authority's private key in the keyring.
var authorityRef = keys.ServiceRef("ca")

// Keyring is what the front door needs of package keys.
type Keyring interface {
	// Secret returns the newest version of a key; fault.NotFound if it was
	// never made.
	Secret(ctx context.Context, ref keys.Ref) (secret.Bytes, error)
	// Import stores a key made elsewhere and returns after it is durable.
	Import(ctx context.Context, ref keys.Ref, value secret.Bytes) error
}

// local is the certificate source of first runs: a certificate authority of
// its own. Its private key is in the keyring; its certificate is a public file.
// It is constrained to the names that it serves (RFC 5280, 4.2.1.10), so that
// whoever imports it trusts it with nothing else.
type local struct {
	key   *ecdsa.PrivateKey
	cert  *x509.Certificate
	hosts []string
	now   func() time.Time
	leaf  held
}

// LocalAuthority opens or makes the local authority. Its certificate is
// written to path with mode 0644; hosts are the names and addresses that it
// serves in addition to localhost, 127.0.0.1 and ::1.
func LocalAuthority(ctx context.Context, ring Keyring, path string, hosts []string, now func() time.Time) (Certificates, error) {
	l := &local{now: now, hosts: localHosts(hosts)}
	var err error
	if l.key, err = authorityKey(ctx, ring); err != nil {
		return nil, err
	}
	if l.cert = l.kept(path); l.cert == nil {
		if l.cert, err = l.selfSign(); err != nil {
			return nil, fmt.Errorf("making the certificate of the local authority: %w", err)
		}
		block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: l.cert.Raw})
		if err := writePublic(path, block); err != nil {
			return nil, fmt.Errorf("writing the certificate of the local authority: %w", err)
		}
	}
	return l, l.renew()
}

func localHosts(more []string) []string {
	hosts := []string{"localhost", "127.0.0.1", "::1"}
	for _, h := range more {
		if h = strings.ToLower(h); h != "" && !slices.Contains(hosts, h) {
			hosts = append(hosts, h)
		}
	}
	return hosts
}

func authorityKey(ctx context.Context, ring Keyring) (*ecdsa.PrivateKey, error) {
	kept, err := ring.Secret(ctx, authorityRef)
	if fault.KindOf(err) == fault.NotFound {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return nil, fmt.Errorf("making the key of the local authority: %w", err)
		}
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			return nil, fmt.Errorf("encoding the key of the local authority: %w", err)
		}
		if err := ring.Import(ctx, authorityRef, secret.OfBytes(der)); err != nil && fault.KindOf(err) != fault.Conflict {
			return nil, fmt.Errorf("keeping the key of the local authority: %w", err)
		}
		kept, err = ring.Secret(ctx, authorityRef) // another node may have been first
		if err != nil {
			return nil, fmt.Errorf("reading the key of the local authority: %w", err)
		}
		return parseKey(kept)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the key of the local authority: %w", err)
	}
	return parseKey(kept)
}

func parseKey(der secret.Bytes) (*ecdsa.PrivateKey, error) {
	parsed, err := x509.ParsePKCS8PrivateKey(der.Reveal())
	if err != nil {
		return nil, fmt.Errorf("decoding a private key: %w", err)
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, fmt.Errorf("the keyring holds a %T where a P-256 key belongs", parsed)
	}
	return key, nil
}

// kept returns the certificate on disk if it still serves: made with this key,
// for these names, and far from its end.
func (l *local) kept(path string) *x509.Certificate {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	block, _ := pem.Decode(b)
	if block == nil {
		return nil
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil || !l.key.PublicKey.Equal(cert.PublicKey) || l.now().Add(2*leafLife).After(cert.NotAfter) {
		return nil
	}
	dns, ips := splitHosts(l.hosts)
	for _, d := range dns {
		if !slices.Contains(cert.PermittedDNSDomains, d) {
			return nil
		}
	}
	for _, ip := range ips {
		if !slices.ContainsFunc(cert.PermittedIPRanges, func(n *net.IPNet) bool { return n.Contains(ip) }) {
			return nil
		}
	}
	return cert
}

func (l *local) selfSign() (*x509.Certificate, error) {
	spki, err := x509.MarshalPKIXPublicKey(&l.key.PublicKey)
	if err != nil {
		return nil, err
	}
	keyID := sha256.Sum256(spki)
	dns, ips := splitHosts(l.hosts)
	template := &x509.Certificate{
		SerialNumber: serial(),
		// The name tells one installation's authority from another's in a list of authorities.
		Subject:      pkix.Name{CommonName: fmt.Sprintf("Troth local authority %x", keyID[:4])},
		NotBefore:    l.now().Add(-certSkew),
		NotAfter:     l.now().Add(authorityLife),
		KeyUsage:     x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		SubjectKeyId: keyID[:20],
		IsCA:         true, BasicConstraintsValid: true,
		MaxPathLenZero:              true,
		PermittedDNSDomainsCritical: true,
		PermittedDNSDomains:         dns,
		PermittedIPRanges:           ranges(ips),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &l.key.PublicKey, l.key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

func (l *local) renew() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("making a key: %w", err)
	}
	dns, ips := splitHosts(l.hosts)
	template := &x509.Certificate{
		SerialNumber: serial(),
		Subject:      pkix.Name{CommonName: l.hosts[0]},
		NotBefore:    l.now().Add(-certSkew),
		NotAfter:     l.now().Add(leafLife),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:     dns, IPAddresses: ips,
		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, l.cert, &key.PublicKey, l.key)
	if err != nil {
		return fmt.Errorf("signing a certificate: %w", err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return fmt.Errorf("reading a certificate: %w", err)
	}
	l.leaf.set(&tls.Certificate{Certificate: [][]byte{der, l.cert.Raw}, PrivateKey: key, Leaf: leaf})
	return nil
}

// Certificate returns the leaf.
func (l *local) Certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) { return l.leaf.get() }

// Refresh makes a new leaf when a third of the life of the old one is left.
func (l *local) Refresh(context.Context) error {
	c, err := l.leaf.get()
	now := l.now()
	if err == nil && now.After(c.Leaf.NotBefore) && now.Add(leafRenewal).Before(c.Leaf.NotAfter) {
		return nil
	}
	return l.renew()
}

// Roots is the authority alone.
func (l *local) Roots() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(l.cert)
	return pool
}

func splitHosts(hosts []string) (dns []string, ips []net.IP) {
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			ips = append(ips, ip)
		} else {
			dns = append(dns, h)
		}
	}
	return dns, ips
}

func ranges(ips []net.IP) []*net.IPNet {
	var out []*net.IPNet
	for _, ip := range ips {
		if v4 := ip.To4(); v4 != nil {
			ip = v4
		}
		out = append(out, &net.IPNet{IP: ip, Mask: net.CIDRMask(8*len(ip), 8*len(ip))})
	}
	return out
}

// serial is 128 random bits, more than the 64 that the CA/Browser Forum's
// Baseline Requirements, 7.1, ask for.
func serial() *big.Int {
	var b [16]byte
	rand.Read(b[:]) // never fails
	b[0] &= 0x7f    // RFC 5280, 4.1.2.2: positive, at most 20 octets
	return new(big.Int).SetBytes(b[:])
}

// writePublic replaces a file that everybody may read, whole or not at all.
func writePublic(path string, b []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), ".ca-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(b)
	if err == nil {
		err = tmp.Chmod(0o644)
	}
	if err == nil {
		err = tmp.Sync()
	}
	if cerr := tmp.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}
