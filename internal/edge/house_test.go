package edge

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"troth/internal/access"
	"troth/internal/audit"
	"troth/internal/id"
	"troth/internal/keys"
	"troth/internal/store"
	"troth/internal/store/storetest"
	"troth/internal/text"
	"troth/internal/web"
)

// journal is a log that tests read.
type journal struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.String()
}

// roles are the roles of the test's people, in memory.
type roles struct {
	mu sync.Mutex
	m  map[string]access.Role
}

func (r *roles) RoleTx(_ *store.Tx, tenant id.Tenant, account id.Account) (access.Role, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.m[string(tenant)+string(account)], nil
}

// house is a front door over real store, keys, log and decisions.
type house struct {
	t        testing.TB
	dir      string
	db       *store.DB
	keys     *keys.Keys
	ring     *store.Ring
	log      *audit.Log
	access   *access.Access
	roles    *roles
	signer   *Signer
	edge     *Edge
	journal  *journal
	lines    *recordedLog
	people   sync.Map // cookie → access.SignedIn
	uses     atomic.Int64
	broken   atomic.Pointer[error]
	sick     sync.Map // name of a dependency → error
	upstream *httptest.Server
	reached  atomic.Int64
	stopped  chan error
	stop     context.CancelFunc
}

// Authenticate reads the test's session cookie, and counts it as a use.
func (h *house) Authenticate(r *http.Request) (access.Subject, error) {
	h.uses.Add(1)
	return h.Look(r)
}

// Look is Authenticate for a request that goes on.
func (h *house) Look(r *http.Request) (access.Subject, error) {
	if err := h.broken.Load(); err != nil {
		return access.Subject{}, *err
	}
	c, err := r.Cookie("__Host-troth")
	if err != nil {
		return access.Subject{}, nil
	}
	who, ok := h.people.Load(c.Value)
	if !ok {
		return access.Subject{}, nil
	}
	return h.access.Person(r.Context(), who.(access.SignedIn))
}

// recordedLog remembers the lines that pass, and fails when told to.
type recordedLog struct {
	AccessLog
	mu    sync.Mutex
	lines []audit.AccessLine
	fail  error
}

type recordedLine struct {
	Line
	log *recordedLog
	i   int
}

func (l *recordedLog) Begin(line audit.AccessLine) (Line, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fail != nil {
		return nil, l.fail
	}
	inner, err := l.AccessLog.Begin(line)
	if err != nil {
		return nil, err
	}
	l.lines = append(l.lines, line)
	return &recordedLine{inner, l, len(l.lines) - 1}, nil
}

func (l *recordedLine) End(status int, n int64, d time.Duration) {
	l.Line.End(status, n, d)
	l.log.mu.Lock()
	defer l.log.mu.Unlock()
	l.log.lines[l.i].Status, l.log.lines[l.i].Bytes, l.log.lines[l.i].Duration = status, n, d
}

func (l *recordedLog) setFail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fail = err
}

func (l *recordedLog) last() audit.AccessLine {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.lines) == 0 {
		return audit.AccessLine{}
	}
	return l.lines[len(l.lines)-1]
}

var testGrants = []access.Grant{
	{Permission: "app.report", Doc: "read the reports", Roles: access.AtLeast(access.Admin)},
	{Permission: "self.see", Doc: "see your own account", Self: true},
}

var testRoutes = []web.Route{
	{Method: "GET", Path: "/-/about", Public: "a test", Handle: func(r *web.Request) error {
		return r.JSON(map[string]string{"account": string(r.Subject.Account), "ip": r.IP.String(), "id": string(r.ID)})
	}},
	{Method: "GET", Path: "/-/account/", Needs: "self.see", Handle: func(r *web.Request) error { return r.JSON("home") }},
	{Method: "POST", Path: "/-/account/name", Needs: "self.see", Handle: func(r *web.Request) error { return r.See("/-/account/") }},
	{Method: "GET", Path: "/-/reset/{token}", Public: "a test", Redact: true, Handle: func(r *web.Request) error { return r.NoContent() }},
	{Method: "GET", Path: "/-/panic", Public: "a test", Handle: func(r *web.Request) error { panic("on purpose") }},
	{Method: "GET", Path: "/.well-known/change-password", Public: "a test", Handle: func(r *web.Request) error { return r.See("/-/account/") }},
	{Method: "GET", Path: "/-/assets/{hash}/{name}", Public: "a test", Anonymous: true, Handle: func(r *web.Request) error { return r.JSON("style") }},
	{Method: "GET", Path: "/-/assets/secret", Public: "a test", Handle: func(r *web.Request) error { return r.JSON("not everybody's") }},
	{Method: "GET", Path: "/-/health/live", Public: "a test", Anonymous: true, Handle: func(r *web.Request) error { return r.JSON("alive") }},
}

// build makes the parts; change may alter the options before the edge is made.
func build(t testing.TB, app http.Handler, change ...func(*Options)) *house {
	t.Helper()
	h := &house{t: t, dir: t.TempDir(), journal: &journal{}, roles: &roles{m: map[string]access.Role{}}}
	ctx := context.Background()
	h.db = storetest.SQLite(t, audit.Migrations, access.Migrations, Migrations)
	root, err := keys.CreateRoot(filepath.Join(h.dir, "root"))
	h.must(err)
	h.ring, err = store.OpenRing(ctx, "sqlite:"+filepath.Join(h.dir, "keyring.db"), time.Now)
	h.must(err)
	t.Cleanup(func() { h.ring.Close() })
	_, err = root.Create(ctx)
	h.must(err)
	h.keys = keys.New(root, h.ring, time.Now)
	logger := slog.New(slog.NewTextHandler(h.journal, &slog.HandlerOptions{Level: slog.LevelDebug}))
	h.log, err = audit.New(h.db, h.keys, audit.Options{Origin: "edge.test", Types: append(access.Events, Events...), Log: logger})
	h.must(err)
	h.access, err = access.New(h.db, testGrants, h.roles, h.log, time.Now)
	h.must(err)
	h.background(h.db.Run)
	h.background(h.log.Run)
	h.signer, err = OpenSigner(ctx, SignerOptions{Issuer: "https://localhost:8443", Keys: h.keys, Book: InStore(h.db, h.log), Now: time.Now})
	h.must(err)
	certs, err := LocalAuthority(ctx, h.keys, filepath.Join(h.dir, "ca.pem"), nil, time.Now)
	h.must(err)
	renderer, err := web.NewRenderer(text.English())
	h.must(err)
	h.lines = &recordedLog{AccessLog: Audited(h.log)}
	o := Options{
		Origin: "https://localhost:8443", Routes: testRoutes, Authenticators: []web.Authenticator{h}, Known: h.access.Known,
		Web:    web.Deps{Renderer: renderer, Now: time.Now, Log: logger},
		Signer: h.signer, Audit: h.lines, Certificates: certs, Log: logger, Now: time.Now,
		AppRoutes: []AppRoute{{"/public/", Public}, {"/report/", "app.report"}},
		Depends: []Dependency{
			{"store", func(ctx context.Context) error { return errors.Join(h.sickness("store"), h.db.Ping(ctx)) }},
			{"keys", func(ctx context.Context) error { return errors.Join(h.sickness("keys"), h.keys.Health(ctx)) }},
			{"log", func(context.Context) error { return errors.Join(h.sickness("log"), h.log.Healthy()) }},
		},
	}
	if app != nil {
		h.upstream = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			h.reached.Add(1)
			app.ServeHTTP(w, r)
		}))
		t.Cleanup(h.upstream.Close)
		o.Upstream, err = url.Parse(h.upstream.URL)
		h.must(err)
	}
	for _, fn := range change {
		fn(&o)
	}
	h.edge, err = New(o)
	h.must(err)
	return h
}

// open builds a house and serves it.
func open(t testing.TB, app http.Handler, change ...func(*Options)) *house {
	t.Helper()
	h := build(t, app, change...)
	h.serve()
	return h
}

func (h *house) serve(listeners ...net.Listener) {
	ctx, cancel := context.WithCancel(context.Background())
	h.stop, h.stopped = cancel, make(chan error, 1)
	go func() { h.stopped <- h.edge.Serve(ctx, listeners...) }()
	h.t.Cleanup(func() {
		cancel()
		if err := <-h.stopped; err != nil {
			h.t.Errorf("serving ended with: %v", err)
		}
		h.stopped <- nil
	})
}

func (h *house) background(run func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := run(ctx); err != nil && !errors.Is(err, context.Canceled) {
			h.t.Errorf("in the background: %v", err)
		}
	}()
	h.t.Cleanup(func() { cancel(); <-done })
}

func (h *house) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) sickness(name string) error {
	if err, ok := h.sick.Load(name); ok && err != nil {
		return err.(error)
	}
	return nil
}

// signIn makes a person with a role and returns the cookie of their session.
func (h *house) signIn(role access.Role) string {
	now := time.Now()
	who := access.SignedIn{Account: id.New[id.Account](now), Tenant: id.New[id.Tenant](now), Session: id.New[id.Session](now), AMR: []string{"pwd"}, AuthAt: now}
	h.must(h.keys.Create(context.Background(), keys.TenantRef(who.Tenant), 32))
	h.must(h.keys.Create(context.Background(), keys.SubjectRef(who.Account), 32))
	h.roles.mu.Lock()
	h.roles.m[string(who.Tenant)+string(who.Account)] = role
	h.roles.mu.Unlock()
	cookie := string(who.Session)
	h.people.Store(cookie, who)
	return cookie
}

func (h *house) person(cookie string) access.SignedIn {
	who, ok := h.people.Load(cookie)
	if !ok {
		h.t.Fatal("nobody has that cookie")
	}
	return who.(access.SignedIn)
}

var testFrom = netip.MustParseAddr("192.0.2.17")

// client is one that follows no redirects.
func (h *house) client() *http.Client {
	c := h.edge.Client(testFrom)
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return c
}

type answer struct {
	*http.Response
	text string
}

// ask sends a request through TLS and the whole pipeline.
func (h *house) ask(method, path, cookie string, headers ...string) answer {
	h.t.Helper()
	var body io.Reader
	req, err := http.NewRequest(method, "https://localhost:8443"+path, body)
	h.must(err)
	if cookie != "" {
		req.Header.Set("Cookie", "__Host-troth="+cookie+"; theme=dark")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	return h.do(req)
}

func (h *house) do(req *http.Request) answer {
	h.t.Helper()
	client := h.client()
	defer client.CloseIdleConnections()
	res, err := client.Do(req)
	h.must(err)
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	h.must(err)
	return answer{res, string(b)}
}

// eventually waits for something that happens in the background.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("it did not happen: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// echo answers with the headers that reached the application.
func echo(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain")
	_, _ = io.WriteString(w, r.Method+" "+r.RequestURI+"\nHost: "+r.Host+"\n")
	_ = r.Header.Write(w)
	_, _ = io.Copy(w, r.Body)
}

var page = []string{"Accept", "text/html,*/*;q=0.8"}
