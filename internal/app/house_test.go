package app

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"troth/internal/password"
	"troth/internal/secret"
	"troth/internal/trust"
)

// The tests of this package are about whole installations: everything is what
// `troth serve` runs, behind the listener in memory. Two things are not: the
// clock, which is the real one plus what a test adds, and the price of a
// password. There is no testing/synctest here: a bubble's time stands still
// while anything waits for a file or a socket, and a house is full of both.

// clock is the time of an installation.
type clock struct {
	mu    sync.Mutex
	ahead time.Duration
	leapt time.Time // when, in real time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.ahead)
}

func (c *clock) jump(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead += d
	c.leapt = time.Now()
}

// justLeapt reports whether a leap can still look like a standstill.
func (c *clock) justLeapt() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Since(c.leapt) < time.Second
}

// across sends a request again that met a door which took a leap of the clock
// for a log that stood still: it was refused before anything was done.
type across struct {
	http.RoundTripper
	h *house
}

func (a across) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := a.RoundTripper.RoundTrip(r)
	if err != nil || resp.StatusCode != http.StatusServiceUnavailable || !a.h.clock.justLeapt() {
		return resp, err
	}
	resp.Body.Close()
	a.h.steady()
	again := r.Clone(r.Context())
	if r.GetBody != nil {
		if again.Body, err = r.GetBody(); err != nil {
			return nil, err
		}
	}
	return a.RoundTripper.RoundTrip(again)
}

// cheap hashes passwords in no time. It stores none.
type cheap struct{}

func (cheap) tag(salt []byte, p secret.String) string {
	sum := sha256.Sum256(append([]byte(p.Reveal()), salt...))
	return "cheap:" + hex.EncodeToString(salt) + ":" + hex.EncodeToString(sum[:])
}

func (c cheap) Hash(_ context.Context, p secret.String) (string, error) {
	salt := make([]byte, 8)
	rand.Read(salt)
	return c.tag(salt, p), nil
}

func (c cheap) Verify(_ context.Context, stored string, p secret.String) (password.Verdict, error) {
	part := strings.Split(stored, ":")
	if len(part) != 3 {
		return password.Verdict{}, nil
	}
	salt, err := hex.DecodeString(part[1])
	if err != nil {
		return password.Verdict{}, err
	}
	return password.Verdict{Match: subtle.ConstantTimeCompare([]byte(c.tag(salt, p)), []byte(stored)) == 1}, nil
}

// captured is everything that an installation wrote to the operator's log.
type captured struct {
	mu sync.Mutex
	b  strings.Builder
}

func (c *captured) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.b.Write(p)
}

func (c *captured) text() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.b.String()
}

// house is an installation that serves.
type house struct {
	t     testing.TB
	in    *Installation
	set   *Settings
	clock *clock
	log   *captured
	o     options
	wire  bool // a real listener too
	halt  func() error
}

// settle is how long a test waits for what must come within moments.
const settle = 20 * time.Second

// settingsIn are those of a development installation in a directory, where
// everybody may sign up.
func settingsIn(dir string, change ...func(*Settings)) *Settings {
	s := defaults(dir)
	s.adapt(development)
	s.site.Origin = "https://localhost:8443"
	for _, c := range change {
		c(s)
	}
	return s
}

// raise opens a new installation and serves it until the test has ended.
func raise(t testing.TB, change ...func(*Settings)) *house {
	t.Helper()
	h := plan(t, change...)
	h.serve()
	return h
}

// plan is an installation that is not open yet.
func plan(t testing.TB, change ...func(*Settings)) *house {
	t.Helper()
	set := settingsIn(filepath.Join(t.TempDir(), "data"), change...)
	if _, err := makeData(set); err != nil {
		t.Fatal(err)
	}
	return over(t, set, &clock{})
}

// over plans another node or another life of an installation. It is idle: what
// a test is about is all that happens, unless the test says otherwise.
func over(t testing.TB, set *Settings, c *clock) *house {
	h := &house{t: t, set: set, clock: c, log: &captured{}}
	h.o = options{now: c.now, log: slog.New(slog.NewTextHandler(h.log, &slog.HandlerOptions{Level: slog.LevelDebug})), hashing: cheap{}, idle: true}
	return h
}

// serve opens it and serves it.
func (h *house) serve() {
	h.t.Helper()
	var err error
	if h.in, err = open(h.t.Context(), h.set, h.o); err != nil {
		h.t.Fatal(err)
	}
	var listeners []net.Listener
	if h.wire {
		if listeners, err = h.in.listen(); err != nil {
			h.t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended, ready := make(chan error, 1), make(chan struct{})
	go func() { ended <- h.in.run(ctx, listeners, func(context.Context) { close(ready) }) }()
	var once sync.Once
	h.halt = func() (err error) {
		once.Do(func() {
			cancel()
			err = errors.Join(<-ended, h.in.Close())
		})
		return err
	}
	h.t.Cleanup(func() {
		if err := h.halt(); err != nil {
			h.t.Errorf("the installation did not stop in order: %v", err)
		}
	})
	select {
	case <-ready:
	case err := <-ended:
		ended <- err
		h.t.Fatalf("the installation does not serve: %v", err)
	}
	h.steady()
}

// steady waits until requests are let through.
func (h *house) steady() {
	h.t.Helper()
	h.soon("requests are let through", func() bool {
		ok, _ := h.in.edge.Ready()
		return ok && h.in.audit.Healthy() == nil && h.in.db.Fresh()
	})
}

// soon waits for what the background work brings about.
func (h *house) soon(what string, done func() bool) {
	h.t.Helper()
	await(h.t, what, settle, done)
}

func await(t testing.TB, what string, within time.Duration, done func() bool) {
	t.Helper()
	beat := time.NewTicker(5 * time.Millisecond)
	defer beat.Stop()
	for end := time.After(within); !done(); {
		select {
		case <-beat.C:
		case <-end:
			t.Fatalf("not within %s: %s", within, what)
		}
	}
}

// jump lets time pass, and the background work notice it.
func (h *house) jump(d time.Duration) {
	h.t.Helper()
	// What beats by the real clock is done at once, before and after, or a leap
	// would look like a standstill since the last beat, or until the next.
	ctx := context.Background()
	if err := h.in.accounts.Close(ctx); err != nil { // when sessions were last used
		h.t.Fatal(err)
	}
	h.clock.jump(d)
	_, sequenced := h.in.audit.Sequence(ctx)
	if err := errors.Join(h.in.audit.Flush(ctx), sequenced, h.in.certificates.Refresh(ctx), h.in.signer.Refresh(ctx)); err != nil {
		h.t.Fatal(err)
	}
	h.steady()
}

// bench is what visitors need; their clock is the installation's, so that its
// certificates are judged by the time they were made in.
func (h *house) bench() trust.Bench {
	h.t.Helper()
	b, err := h.in.bench()
	if err != nil {
		h.t.Fatal(err)
	}
	inner := b.Client
	b.Client = func(from netip.Addr) *http.Client {
		c := inner(from)
		inner := c.Transport.(*http.Transport)
		inner.TLSClientConfig.Time = h.clock.now
		h.t.Cleanup(inner.CloseIdleConnections)
		c.Transport = across{inner, h}
		return c
	}
	return trust.Standalone(b)
}

// visitor is a browser without cookies.
func (h *house) visitor() *trust.Visitor {
	h.t.Helper()
	v, err := h.bench().Visitor(netip.Addr{})
	if err != nil {
		h.t.Fatal(err)
	}
	return v
}

// copyOf is the same browser once more, with the cookies it has at this moment:
// what a thief of cookies has.
func (h *house) copyOf(v *trust.Visitor) *trust.Visitor {
	h.t.Helper()
	twin := *v
	client := *v.Client
	jar, err := cookiejar.New(nil)
	if err != nil {
		h.t.Fatal(err)
	}
	u := mustURL(h.t, h.in.edge.Origin())
	var held []*http.Cookie
	for _, c := range v.Client.Jar.Cookies(u) {
		held = append(held, &http.Cookie{Name: c.Name, Value: c.Value, Path: "/", Secure: true})
	}
	jar.SetCookies(u, held)
	client.Jar = jar
	twin.Client = &client
	return &twin
}

// listen is a free address.
func listen(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
