package plug

import (
	"crypto/tls"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"troth/internal/access"
	"troth/internal/edge"
	"troth/internal/part"
	"troth/internal/store"
	"troth/internal/web"
)

func TestThePartHasNoGaps(t *testing.T) {
	d := openDoor(t)
	if err := part.Check([]part.Part{d.part}); err != nil && !strings.Contains(err.Error(), "own") {
		t.Error(err)
	}
	empty := New(Deps{})
	if len(empty.Routes) != 3 || len(empty.Claims) != 3 || len(empty.Jobs) != 0 {
		t.Errorf("without dependencies: %d routes, %d claims, %d jobs", len(empty.Routes), len(empty.Claims), len(empty.Jobs))
	}
	for _, c := range empty.Claims {
		if _, err := c.Checks[0].Run(t.Context(), d.bench); c.ID != "D2" && err == nil {
			t.Errorf("%s is exercised with nothing", c.ID)
		}
	}
}

func TestTheKeySetIsServedWithItsAge(t *testing.T) {
	d := openDoor(t)
	client := d.edge.Client(netip.Addr{})
	res, err := client.Get(d.edge.Origin() + "/-/jwks.json")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	var set struct{ Keys []map[string]string }
	if err != nil || json.Unmarshal(b, &set) != nil || len(set.Keys) != 1 || set.Keys[0]["alg"] != "ES256" || set.Keys[0]["d"] != "" {
		t.Errorf("%s, %v", b, err)
	}
	if h := res.Header; h.Get("Cache-Control") != "public, max-age=300" || h.Get("Content-Type") != "application/jwk-set+json" || h.Get("Vary") != "" {
		t.Errorf("%v", h)
	}
	req, err := http.NewRequest("GET", d.edge.Origin()+"/-/jwks.json", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("If-None-Match", res.Header.Get("ETag"))
	again, err := client.Do(req)
	if err != nil || again.StatusCode != http.StatusNotModified {
		t.Errorf("%v, %v", again, err)
	}
}

func TestHealthTellsWhatIsMissingAndNotWhy(t *testing.T) {
	d := openDoor(t)
	client := d.edge.Client(netip.Addr{})
	ask := func(path string) (int, string) {
		res, err := client.Get(d.edge.Origin() + path)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, strings.TrimSpace(string(b))
	}
	if status, body := ask("/-/health/ready"); status != 200 || body != `{"status":"ready"}` {
		t.Errorf("%d %s", status, body)
	}
	d.broken.Store("keys", true)
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if status, body := ask("/-/health/ready"); status == 503 && body == `{"status":"not ready","missing":["keys"]}` {
			break
		} else if time.Now().After(end) {
			t.Fatalf("%d %s", status, body)
		}
	}
	if status, body := ask("/-/health/live"); status != 200 || body != `{"status":"alive"}` {
		t.Errorf("%d %s", status, body)
	}
}

func TestTransportIsSeenAsItIs(t *testing.T) {
	d := openDoor(t)
	d.passes("D2")
	good := d.bench
	weakened := func(what string, conf *tls.Config, handler http.HandlerFunc) {
		t.Helper()
		s := httptest.NewUnstartedServer(handler)
		s.TLS = conf
		s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
		s.EnableHTTP2 = true
		s.StartTLS()
		defer s.Close()
		d.bench = good
		d.bench.Listen, d.bench.Origin = s.Listener.Addr().String(), "https://example.com"
		d.bench.Roots = s.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
		if what == "" {
			d.passes("D2")
			return
		}
		d.fails("D2", what)
	}
	strict := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Strict-Transport-Security", "max-age=63072000")
	}
	aead := []uint16{tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}
	weakened("", &tls.Config{MinVersion: tls.VersionTLS12, CipherSuites: aead}, strict)
	weakened("TLS 1.1", &tls.Config{MinVersion: tls.VersionTLS10, CipherSuites: append(aead, tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA)}, strict)
	weakened("without forward secrecy", &tls.Config{MinVersion: tls.VersionTLS12, CipherSuites: append(aead, tls.TLS_RSA_WITH_AES_128_GCM_SHA256)}, strict)
	weakened("AES-256", &tls.Config{MinVersion: tls.VersionTLS12, CipherSuites: aead[1:]}, strict)
	weakened("TLS 1.2", &tls.Config{MinVersion: tls.VersionTLS13}, strict)
	weakened("post-quantum", &tls.Config{MinVersion: tls.VersionTLS12, CipherSuites: aead, CurvePreferences: []tls.CurveID{tls.X25519, tls.CurveP256}}, strict)
	weakened("Strict-Transport-Security", &tls.Config{MinVersion: tls.VersionTLS12, CipherSuites: aead}, func(http.ResponseWriter, *http.Request) {})
	weakened("Strict-Transport-Security", &tls.Config{MinVersion: tls.VersionTLS12, CipherSuites: aead}, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Strict-Transport-Security", "max-age=60")
	})
	d.bench = good
	d.bench.Roots = nil // a certificate that nobody vouches for
	d.fails("D2", "certificate")
	plain := httptest.NewServer(http.HandlerFunc(strict))
	defer plain.Close()
	d.bench = good
	d.bench.Listen = plain.Listener.Addr().String()
	if r, err := d.check("D2"); err == nil && r.Passed {
		t.Error("a listener without TLS passes")
	}
	d.bench.Listen = "127.0.0.1:1"
	if r, err := d.check("D2"); err == nil {
		t.Errorf("nobody listens, yet it was exercised: %+v", r)
	}
	d.bench.Listen = ""
	if _, err := d.check("D2"); err == nil {
		t.Error("there is no listener, yet it was exercised")
	}
}

func TestADoorThatFailsOpenIsNoticed(t *testing.T) {
	openDoor(t).passes("D3")
	for i, name := range parts {
		d := openDoor(t, func(d *door, o *edge.Options) { o.Depends = append(o.Depends[:i:i], o.Depends[i+1:]...) })
		d.fails("D3", name)
	}
	d := openDoor(t)
	d.bench.Mailbox = nil
	if _, err := d.check("D3"); err == nil {
		t.Error("it was exercised although nobody could sign up")
	}
}

// forgetful knows nobody any more once the store was broken, as after a request
// to sign out that got through.
type forgetful struct{ *door }

func (f forgetful) Authenticate(r *http.Request) (access.Subject, error) {
	if _, was := f.broken.Load("store"); was {
		return access.Subject{}, nil
	}
	return f.door.Authenticate(r)
}

// TestWhatWasSeenIsNotTakenBack: the failure counts although the next part
// cannot be tried any more.
func TestWhatWasSeenIsNotTakenBack(t *testing.T) {
	openDoor(t, func(d *door, o *edge.Options) {
		o.Depends, o.Authenticators = o.Depends[1:], []web.Authenticator{forgetful{d}}
	}).fails("D3", "store")
}

func TestAValueInALogIsNoticed(t *testing.T) {
	openDoor(t).passes("D4")
	logs := func(value func(r *web.Request) string) func(*door, *edge.Options) {
		return func(d *door, _ *edge.Options) {
			d.leak = func(d *door, r *web.Request) { d.logger.Info("careless", "value", value(r)) }
		}
	}
	for what, careless := range map[string]func(*door, *edge.Options){
		"password":           logs(func(r *web.Request) string { return "p=" + r.Value("password") }),
		"e-mail address":     logs(func(r *web.Request) string { return strings.ToUpper(r.Value("email")) + r.Value("email") }),
		"name":               logs(func(r *web.Request) string { return r.Value("name") }),
		"code":               logs(func(r *web.Request) string { return r.Value("code") }),
		"secret in a link":   logs(func(r *web.Request) string { return r.URL.Path }),
		"secret in a query":  logs(func(r *web.Request) string { return r.Request.RequestURI }),
		"secret in a cookie": logs(func(r *web.Request) string { return r.Header.Get("Cookie") }),
		"session secret":     logs(func(r *web.Request) string { return r.Header.Get("Cookie") }),
		"secret in a header": logs(func(r *web.Request) string { return r.Header.Get("Authorization") }),
		"network address":    logs(func(r *web.Request) string { return r.IP.String() }),
	} {
		t.Run(what, func(t *testing.T) { openDoor(t, careless).fails("D4", what) })
	}
	t.Run("in a table", func(t *testing.T) {
		d := openDoor(t, func(d *door, _ *edge.Options) { d.leak = leakIntoTable })
		d.fails("D4", "e-mail address")
	})
	t.Run("a log that is not heard", func(t *testing.T) {
		d := openDoor(t, func(d *door, o *edge.Options) { o.Web.Log = slog.New(slog.DiscardHandler) })
		if r, err := d.check("D4"); err == nil {
			t.Errorf("it was exercised: %+v", r)
		}
	})
}

// leakIntoTable writes what it gets into the audit log's table as it is.
func leakIntoTable(d *door, r *web.Request) {
	email := r.Value("email")
	if email == "" {
		return
	}
	err := d.db.Write(r.Context(), func(tx *store.Tx) error {
		tx.Unaudited("a test of a careless program")
		_, err := tx.Exec("INSERT INTO audit_event (tenant, event, type, class, occurred_at, actor) VALUES ($1, $2, $3, $4, $5, $6)",
			"ten_x", "evt_zzzz"+string(r.ID), "test.leak", "audit", store.Micros(time.Now()), email)
		return err
	})
	if err != nil {
		d.t.Error(err)
	}
}

func TestTheTapHearsOnlyWhileSomebodyListens(t *testing.T) {
	var b strings.Builder
	tap := NewTap(slog.NewTextHandler(&b, nil))
	log := slog.New(tap).With("a", 1).WithGroup("g")
	log.Info("before")
	first := tap.listen()
	log.Info("one", "k", "v")
	second := tap.listen()
	log.Debug("heard, although it is not written")
	log.Info("two")
	if got := second(); strings.Contains(got, "one") || !strings.Contains(got, "two") {
		t.Errorf("the second heard %q", got)
	}
	got := first()
	if strings.Contains(got, "before") || !strings.Contains(got, "one a=1 g.k=v") || !strings.Contains(got, "two") || !strings.Contains(got, "although") {
		t.Errorf("the first heard %q", got)
	}
	log.Info("after")
	if tap.ear.heard.Len() != 0 {
		t.Error("it keeps what nobody listens to")
	}
	if strings.Count(b.String(), "\n") != 4 {
		t.Errorf("the log itself holds %q", b.String())
	}
}
