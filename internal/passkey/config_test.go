package passkey

import (
	"encoding/hex"
	"encoding/pem"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"troth/internal/access"
	"troth/internal/fault"
	"troth/internal/secret"
	"troth/internal/store"
)

// rootsFile writes the specification's own attestation root.
func rootsFile(t testing.TB) string {
	t.Helper()
	root, err := hex.DecodeString(specification(t).Root)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "roots.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root}), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestConfig(t *testing.T) {
	roots, good := rootsFile(t), "cb69481e-8ff7-4039-93ec-0a2729a154a8"
	for _, c := range []Config{Defaults(), {Attested: AttestStaff, RootsFile: roots}, {Attested: AttestEverybody, RootsFile: roots, AAGUIDs: []string{good}}} {
		if err := c.Sections()[0].Check(); err != nil {
			t.Errorf("%+v: %v", c, err)
		}
	}
	for field, c := range map[string]Config{
		"passkey.attested": {Attested: "some"}, "passkey.roots_file": {Attested: AttestStaff},
		"passkey.aaguids": {Attested: AttestStaff, RootsFile: roots, AAGUIDs: []string{strings.ToUpper(good)}},
	} {
		if f := fault.As(c.check()); f == nil || f.Field != field {
			t.Errorf("%+v: %v", c, f)
		}
	}
	if f := fault.As((&Config{Attested: AttestNobody, AAGUIDs: []string{good}}).check()); f == nil {
		t.Error("a list of models that means nothing is taken")
	}
}

func TestRootsFile(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{
		"empty": "", "text": "hello", "key": "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "broken": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := (&Config{Attested: AttestStaff, RootsFile: path}).anchors(); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := (&Config{Attested: AttestStaff, RootsFile: filepath.Join(dir, "none")}).anchors(); fault.KindOf(err) != fault.Invalid {
		t.Errorf("no file: %v", err)
	}
}

// The RP ID is the host or a domain above it; further names count where they
// lie within it.
func TestRPID(t *testing.T) {
	for _, c := range []struct {
		origin, rpID string
		hosts        []string
		want         string
		origins      []string
	}{
		{"https://App.Example.org", "", nil, "app.example.org", []string{"https://app.example.org"}},
		{"https://bücher.example", "", nil, "xn--bcher-kva.example", []string{"https://xn--bcher-kva.example"}},
		{"https://localhost:8443", "", []string{"127.0.0.1"}, "localhost", []string{"https://localhost:8443"}},
		{"https://app.example.org:8443", "example.org", []string{"app.example.org", "WWW.example.org", "example.org", "badexample.org", "example.com"}, "example.org",
			[]string{"https://app.example.org:8443", "https://www.example.org:8443", "https://example.org:8443"}},
	} {
		h := sqlite(t, func(o *Options) { o.Origin, o.Hosts, o.Config.RPID = c.origin, c.hosts, c.rpID })
		if h.RPID() != c.want || !slices.Equal(h.free.Config.RPOrigins, c.origins) {
			t.Errorf("%s: %s, %v", c.origin, h.RPID(), h.free.Config.RPOrigins)
		}
	}
	for _, wrong := range []string{"example.com", "ample.co.uk", "b.app.example.co.uk", "co.uk", "uk", "app.example.co.uk:443", "https://app.example.co.uk"} {
		_, err := Open(Options{Origin: "https://app.example.co.uk", Config: Config{RPID: wrong, Attested: AttestNobody}})
		want(t, err, fault.Invalid, "passkey.rp_id")
	}
}

// Where there is no name there are no passkeys, and everything says so.
func TestNoName(t *testing.T) {
	for _, origin := range []string{"https://192.0.2.1", "https://[2001:db8::1]:8443", "https://intranet", "https://-.example"} {
		h := sqlite(t, func(o *Options) { o.Origin = origin })
		ada := h.person("ada")
		if h.Enabled() {
			t.Fatalf("%s: there are passkeys", origin)
		}
		_, err := h.BeginSignIn(ctx, secret.NewToken())
		want(t, err, fault.Unavailable, "passkey.disabled")
		_, err = h.BeginRegistration(ctx, ada.by, ada.Holder)
		want(t, err, fault.Unavailable, "passkey.disabled")
		_, err = h.challenge(ada.Account, "x")
		want(t, err, fault.Unavailable, "passkey.disabled")
		err = h.DB.Write(ctx, func(tx *store.Tx) error {
			tx.Unaudited("a test")
			if _, ok, err := h.OfferTx(ctx, tx, ada.Account); ok || err != nil {
				t.Error(ok, err)
			}
			_, err := h.SignInTx(ctx, tx, access.Subject{}, secret.NewToken(), nil)
			return err
		})
		want(t, err, fault.Unavailable, "passkey.disabled")
	}
}

// Whom attestation is asked of cannot go without, and passkeys from before are
// not taken any more; others are not asked.
func TestAttestationOfStaff(t *testing.T) {
	h := sqlite(t, func(o *Options) { o.Config.Attested, o.Config.RootsFile = AttestStaff, rootsFile(t) })
	ada, bob, d, e := h.person("ada"), h.person("bob"), newDevice(), newDevice()
	h.register(ada, d, "")
	h.register(bob, e, "")
	*h.staff = append(*h.staff, ada.Account)
	options := h.begin(ada)
	if !strings.Contains(string(options), `"attestation":"direct"`) || strings.Contains(string(h.begin(bob)), `"attestation":"direct"`) {
		t.Error("attestation is asked of the wrong people")
	}
	_, err := h.FinishRegistration(ctx, ada.by, ada.Holder, "", newDevice().create(t, options)) // self attestation
	want(t, err, fault.Invalid, "passkey.maker")
	browser, options := h.asked()
	refused(t, h.signIn(browser, d.sign(t, options)), "passkey.model")
	browser, options = h.asked()
	accepted(t, h.signIn(browser, e.sign(t, options)), bob, "hwk", "user", "mfa")
	_, err = h.challenge(ada.Account, "x")
	want(t, err, fault.NotFound, "passkey.none")
}
