package trust

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"troth/internal/fault"
	"troth/internal/secret"
)

// frontDoor is a small service with the forms of the real one. The canary's
// tests against the real one stand where the house is put together.
type frontDoor struct {
	*httptest.Server
	mu       sync.Mutex
	accounts map[string]string // address → password
	asked    map[string]string // token → address
	pending  map[string]string // address → password
	mail     []Mail
	now      func() time.Time
	headers  http.Header // of the last request
	down     bool
}

func newFrontDoor(t *testing.T, now func() time.Time) *frontDoor {
	d := &frontDoor{accounts: map[string]string{}, asked: map[string]string{}, pending: map[string]string{}, now: now}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /-/signup", d.signUp)
	mux.HandleFunc("POST /-/admission/{token}", d.signUp)
	mux.HandleFunc("POST /-/confirm/{token}", d.confirm)
	mux.HandleFunc("POST /-/signin", d.signIn)
	mux.HandleFunc("GET /-/account/", func(w http.ResponseWriter, r *http.Request) {
		if _, err := r.Cookie("__Host-session"); err != nil {
			http.Redirect(w, r, "/-/signin?return_to=/-/account/", http.StatusSeeOther)
			return
		}
		fmt.Fprint(w, `<a href="/-/account/sessions?a=1&amp;b=2">Sessions</a> <a class="x" href="/-/trust">Trust</a> <a href="/-/trust">Trust</a>`)
	})
	mux.HandleFunc("GET /loop", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/loop", http.StatusFound) })
	mux.HandleFunc("GET /-/signin", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "sign in") })
	d.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.headers = r.Header.Clone()
		if d.down {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(d.Close)
	return d
}

func (d *frontDoor) signUp(w http.ResponseWriter, r *http.Request) {
	address := r.PostFormValue("email")
	d.pending[address] = r.PostFormValue("password")
	token := secret.NewToken().Reveal()
	d.asked[token] = address
	d.mail = append(d.mail, Mail{To: address, Subject: "Confirm", At: d.now(), Body: "Open (" + d.URL + "/-/confirm/" + token + ").\n"})
	http.Redirect(w, r, "/-/signup/sent", http.StatusSeeOther)
}

func (d *frontDoor) confirm(w http.ResponseWriter, r *http.Request) {
	address, ok := d.asked[r.PathValue("token")]
	if !ok {
		w.WriteHeader(http.StatusGone)
		return
	}
	d.accounts[address] = d.pending[address]
	http.Redirect(w, r, "/-/signin", http.StatusSeeOther)
}

func (d *frontDoor) signIn(w http.ResponseWriter, r *http.Request) {
	if p, ok := d.accounts[r.PostFormValue("email")]; !ok || p != r.PostFormValue("password") {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	http.SetCookie(w, &http.Cookie{Name: "__Host-session", Value: "s", Path: "/", Secure: true, HttpOnly: true})
	http.Redirect(w, r, "/-/account/", http.StatusSeeOther)
}

// Wait makes the front door its own mailbox.
func (d *frontDoor) Wait(_ context.Context, to string, after time.Time) (Mail, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, m := range d.mail {
		if m.To == to && !m.At.Before(after) {
			return m, nil
		}
	}
	return Mail{}, context.DeadlineExceeded
}

func (d *frontDoor) bench() Bench {
	return Bench{Origin: d.URL, Now: d.now, Mailbox: d, Client: func(netip.Addr) *http.Client { return d.Client() }}
}

func TestVisitor(t *testing.T) {
	d := newFrontDoor(t, time.Now)
	d.accounts["a@canary.invalid"] = "p"
	v, err := d.bench().Visitor(netip.Addr{})
	must(t, err)
	if !netip.MustParsePrefix("192.0.2.0/24").Contains(v.From) {
		t.Errorf("it comes from %s", v.From)
	}
	p, err := v.Get(t.Context(), "/-/account/")
	must(t, err)
	if p.Status != http.StatusSeeOther {
		t.Errorf("a redirect was followed: %d", p.Status)
	}
	if p, err = v.Follow(t.Context(), p); err != nil || p.Body != "sign in" || p.Path != "/-/signin?return_to=/-/account/" {
		t.Errorf("%+v, %v", p, err)
	}
	p, err = v.SignIn(t.Context(), "a@canary.invalid", secret.Of("p"))
	must(t, err)
	if d.headers.Get("Origin") != d.URL || d.headers.Get("Sec-Fetch-Site") != "same-origin" {
		t.Errorf("the form says that it comes from %v", d.headers)
	}
	if p, err = v.Follow(t.Context(), p); err != nil || v.Cookie("__Host-session") != "s" || v.Cookie("x") != "" {
		t.Fatalf("%+v, %v", p, err)
	}
	if got := strings.Join(p.Links(), " "); got != "/-/account/sessions?a=1&b=2 /-/trust" || p.Link("/-/trust") != "/-/trust" || p.Link("/x") != "" {
		t.Errorf("links %q", got)
	}
	p, err = v.Get(t.Context(), d.URL+"/loop")
	must(t, err)
	if p, err = v.Follow(t.Context(), p); err != nil || p.Status != http.StatusFound {
		t.Errorf("a loop of redirects came to %+v, %v", p, err)
	}
	for _, path := range []string{"", "x", "https://elsewhere.example/", d.URL + ".elsewhere.example/"} {
		if _, err := v.Get(t.Context(), path); err == nil {
			t.Errorf("it went to %q", path)
		}
	}
	d.Close()
	if _, err := v.Get(t.Context(), "/-/confirm/token"); fault.KindOf(err) != fault.Unavailable || strings.Contains(err.Error(), "token") {
		t.Errorf("no answer: %v", err)
	}
	if _, err := (Bench{}).Visitor(netip.Addr{}); err == nil {
		t.Error("a bench without a front door has visitors")
	}
}

// TestCanary: it is signed up once, kept sealed, and made anew when it is gone.
func TestCanary(t *testing.T) {
	var got *Canary
	h := sqlite(t, claim("A1", "door.tried", func(ctx context.Context, b Bench) (Result, error) {
		var err error
		if got, err = b.Canary(ctx, "owner"); err != nil {
			return Result{}, err
		}
		return pass(ctx, b)
	}))
	d := newFrontDoor(t, h.clock.now)
	use := func() Outcome {
		t.Helper()
		out, err := h.Exercise(t.Context(), d.bench())
		must(t, err)
		h.clock.pass(time.Minute)
		return out[0]
	}
	if o := use(); !o.Passed || !strings.HasSuffix(got.Address, "@"+CanaryDomain) || d.accounts[got.Address] == "" {
		t.Fatalf("%+v, %+v", o, got)
	}
	first := got.Address
	h.reopen(h.Claims()...)
	if o := use(); !o.Passed || got.Address != first || len(d.accounts) != 1 {
		t.Errorf("after a restart it is %s, not %s; %+v", got.Address, first, o)
	}
	d.mu.Lock()
	d.down = true
	d.mu.Unlock()
	if o := use(); o.Passed || !strings.Contains(o.Error, "answered 503") {
		t.Errorf("%+v", o)
	}
	d.mu.Lock()
	d.down, d.accounts = false, map[string]string{}
	d.mu.Unlock()
	if o := use(); !o.Passed || got.Address == first {
		t.Errorf("after it was removed: %+v", o)
	}
}

// TestCanaryAdmitted: where strangers may not sign up, the operator's link is
// used.
func TestCanaryAdmitted(t *testing.T) {
	d := newFrontDoor(t, time.Now)
	b := Standalone(d.bench())
	b.Admit = func(context.Context) (string, error) { return "/-/admission/x", nil }
	c, err := b.Canary(t.Context(), "guest")
	must(t, err)
	again, err := b.Canary(t.Context(), "guest")
	must(t, err)
	if c.Address != again.Address {
		t.Error("it was signed up twice")
	}
	if _, err := d.bench().Canary(t.Context(), "guest"); err == nil {
		t.Error("a bench that keeps nothing made a canary")
	}
	b.Mailbox = deaf{}
	if _, err := b.Canary(t.Context(), "other"); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("without a letter: %v", err)
	}
}

type deaf struct{}

func (deaf) Wait(context.Context, string, time.Time) (Mail, error) {
	return Mail{}, context.DeadlineExceeded
}
