package plug

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"troth/internal/access"
	"troth/internal/audit"
	"troth/internal/edge"
	"troth/internal/id"
	"troth/internal/keys"
	"troth/internal/part"
	"troth/internal/secret"
	"troth/internal/store"
	"troth/internal/store/storetest"
	"troth/internal/text"
	"troth/internal/trust"
	"troth/internal/web"
)

// door is a front door over a real store, keyring and log, with a sign-up that
// keeps people in memory: what the checks need of the rest of the house.
type door struct {
	t        testing.TB
	db       *store.DB
	keys     *keys.Keys
	log      *audit.Log
	access   *access.Access
	edge     *edge.Edge
	signer   *edge.Signer
	tap      *Tap
	logger   *slog.Logger
	journal  *bytes.Buffer
	part     part.Part
	bench    trust.Bench
	listener net.Listener
	reached  atomic.Int64
	broken   sync.Map
	leak     func(d *door, r *web.Request) // what a careless handler does

	mu      sync.Mutex
	people  map[string]string // address → password
	who     map[string]access.SignedIn
	links   map[string]string // token → address
	letters []trust.Mail
}

func (d *door) RoleTx(*store.Tx, id.Tenant, id.Account) (access.Role, error) {
	return access.Owner, nil
}

// Authenticate reads the session cookie.
func (d *door) Authenticate(r *http.Request) (access.Subject, error) {
	c, err := r.Cookie(sessionCookie)
	if err != nil {
		return access.Subject{}, nil
	}
	d.mu.Lock()
	who, ok := d.who[c.Value]
	d.mu.Unlock()
	if !ok {
		return access.Subject{}, nil
	}
	return d.access.Person(r.Context(), who)
}

// Wait is the mailbox.
func (d *door) Wait(ctx context.Context, to string, after time.Time) (trust.Mail, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, m := range d.letters {
		if m.To == to {
			return m, nil
		}
	}
	return trust.Mail{}, errors.New("no letter")
}

func (d *door) routes() []web.Route {
	careless := func(next func(*web.Request) error) func(*web.Request) error {
		return func(r *web.Request) error {
			if d.leak != nil {
				d.leak(d, r)
			}
			return next(r)
		}
	}
	const why = "a test"
	return []web.Route{
		{Method: "POST", Path: "/-/signup", Public: why, Handle: careless(d.signUp)},
		{Method: "POST", Path: "/-/confirm/{token}", Public: why, Redact: true, Handle: careless(d.confirm)},
		{Method: "POST", Path: "/-/signin", Public: why, Handle: careless(d.signIn)},
		{Method: "GET", Path: "/-/signin", Public: why, Handle: careless(func(r *web.Request) error { return r.JSON("form") })},
		{Method: "GET", Path: "/-/reset/{token}", Public: why, Redact: true, Handle: careless(func(r *web.Request) error { return r.JSON("form") })},
		{Method: "POST", Path: "/-/reset/{token}", Public: why, Redact: true, Handle: careless(func(r *web.Request) error { return r.JSON("no") })},
		{Method: "GET", Path: "/-/account/{$}", Needs: "door.own", Handle: careless(func(r *web.Request) error { return r.JSON("home") })},
		{Method: "POST", Path: "/-/account/{$}", Needs: "door.own", Handle: careless(func(r *web.Request) error { return r.JSON("no") })},
		{Method: "GET", Path: "/-/org/{tenant}", Needs: "door.own", Handle: careless(func(r *web.Request) error { return r.JSON("org") })},
	}
}

func (d *door) signUp(r *web.Request) error {
	if len(r.Value("email")) > 254 {
		return r.JSONStatus(http.StatusUnprocessableEntity, "too long")
	}
	token := secret.NewToken().Reveal()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.people[r.Value("email")] = r.Value("password")
	d.links[token] = r.Value("email")
	d.letters = append(d.letters, trust.Mail{To: r.Value("email"), Body: "https://localhost:8443/-/confirm/" + token, At: time.Now()})
	return r.See("/-/signup/sent")
}

func (d *door) confirm(r *web.Request) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.links[r.PathValue("token")] == "" {
		return r.JSONStatus(http.StatusNotFound, "no")
	}
	return r.See("/-/signin")
}

func (d *door) signIn(r *web.Request) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if p, ok := d.people[r.Value("email")]; !ok || p != r.Value("password") {
		return r.JSONStatus(http.StatusForbidden, "no")
	}
	now, token := time.Now(), secret.NewToken().Reveal()
	d.who[token] = access.SignedIn{Account: d.account(now), Tenant: d.tenant(now), Session: id.New[id.Session](now), AuthAt: now, AMR: []string{"pwd"}}
	http.SetCookie(r.W, &http.Cookie{Name: sessionCookie, Value: token, Path: "/", Secure: true, HttpOnly: true})
	return r.See("/")
}

func (d *door) account(now time.Time) id.Account {
	a := id.New[id.Account](now)
	if err := d.keys.Create(context.Background(), keys.SubjectRef(a), 32); err != nil {
		d.t.Error(err)
	}
	return a
}

func (d *door) tenant(now time.Time) id.Tenant {
	ten := id.New[id.Tenant](now)
	if err := d.keys.Create(context.Background(), keys.TenantRef(ten), 32); err != nil {
		d.t.Error(err)
	}
	return ten
}

// syncBuffer is a log that may be written from everywhere.
type syncBuffer struct {
	mu sync.Mutex
	b  *bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

// openDoor builds a door and serves it; change may alter its options.
func openDoor(t testing.TB, change ...func(*door, *edge.Options)) *door {
	t.Helper()
	d := &door{t: t, journal: &bytes.Buffer{}, people: map[string]string{}, who: map[string]access.SignedIn{}, links: map[string]string{}}
	d.tap = NewTap(slog.NewTextHandler(&syncBuffer{b: d.journal}, nil))
	d.logger = slog.New(d.tap)
	dir, ctx := t.TempDir(), context.Background()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	d.db = storetest.SQLite(t, audit.Migrations, access.Migrations, edge.Migrations)
	root, err := keys.CreateRoot(filepath.Join(dir, "root"))
	must(err)
	if _, err := root.Current(ctx); err != nil {
		_, err = root.Create(ctx)
		must(err)
	}
	ring, err := store.OpenRing(ctx, "sqlite:"+filepath.Join(dir, "keyring.db"), time.Now)
	must(err)
	t.Cleanup(func() { ring.Close() })
	d.keys = keys.New(root, ring, time.Now)
	d.log, err = audit.New(d.db, d.keys, audit.Options{Origin: "door.test", Types: append(access.Events, edge.Events...), Log: d.logger})
	must(err)
	d.access, err = access.New(d.db, []access.Grant{{Permission: "door.own", Doc: "see your account", Self: true}}, d, d.log, time.Now)
	must(err)
	d.run(d.db.Run)
	d.run(d.log.Run)
	d.signer, err = edge.OpenSigner(ctx, edge.SignerOptions{Issuer: "https://localhost:8443", Keys: d.keys, Book: edge.InStore(d.db, d.log), Now: time.Now})
	must(err)
	certs, err := edge.LocalAuthority(ctx, d.keys, filepath.Join(dir, "ca.pem"), nil, time.Now)
	must(err)
	renderer, err := web.NewRenderer(text.English())
	must(err)
	d.part = New(Deps{Signer: d.signer, Ready: func() (bool, []string) { return d.edge.Ready() }, Routes: d.routes, DB: d.db, Tap: d.tap, Flush: d.log.Flush,
		Chain: func(context.Context) (*Chain, error) {
			return &Chain{Bench: d.bench, Public: "/public/", Reached: func() int { return int(d.reached.Load()) },
				Break: func(part string, broken bool) { d.broken.Store(part, broken) }, Close: func() error { return nil }}, nil
		}})
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { d.reached.Add(1) }))
	t.Cleanup(app.Close)
	upstream, err := url.Parse(app.URL)
	must(err)
	o := edge.Options{
		Origin: "https://localhost:8443", Upstream: upstream, AppRoutes: []edge.AppRoute{{Path: "/public/", Access: edge.Public}},
		Routes: append(d.routes(), d.part.Routes...), Authenticators: []web.Authenticator{d}, Known: d.access.Known,
		Web: web.Deps{Renderer: renderer, Now: time.Now, Log: d.logger}, Signer: d.signer, Audit: edge.Audited(d.log), Certificates: certs,
		Depends: []edge.Dependency{d.dependency("store"), d.dependency("keys"), d.dependency("log")}, Log: d.logger, Now: time.Now,
	}
	for _, fn := range change {
		fn(d, &o)
	}
	d.edge, err = edge.New(o)
	must(err)
	d.listener, err = net.Listen("tcp", "127.0.0.1:0")
	must(err)
	d.run(func(ctx context.Context) error { return d.edge.Serve(ctx, d.listener) })
	d.bench = trust.Standalone(trust.Bench{Client: d.edge.Client, Origin: d.edge.Origin(), Mailbox: d, Listen: d.listener.Addr().String(), Roots: certs.Roots(), Now: time.Now})
	return d
}

func (d *door) dependency(name string) edge.Dependency {
	return edge.Dependency{Name: name, Check: func(context.Context) error {
		if broken, ok := d.broken.Load(name); ok && broken.(bool) {
			return errors.New("broken by the test")
		}
		return nil
	}}
}

func (d *door) run(fn func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := fn(ctx); err != nil && !errors.Is(err, context.Canceled) {
			d.t.Errorf("in the background: %v", err)
		}
	}()
	d.t.Cleanup(func() { cancel(); <-done })
}

// check runs the only check of a claim.
func (d *door) check(claim string) (trust.Result, error) {
	d.t.Helper()
	for _, c := range d.part.Claims {
		if c.ID == claim {
			return c.Checks[0].Run(context.Background(), d.bench)
		}
	}
	d.t.Fatalf("there is no claim %s", claim)
	return trust.Result{}, nil
}

// passes demands that the check passes.
func (d *door) passes(claim string) {
	d.t.Helper()
	r, err := d.check(claim)
	if err != nil || !r.Passed {
		d.t.Errorf("%s: %+v, %v", claim, r.Observed, err)
	}
}

// fails demands that the check sees something else than it expects, and says
// what; the promise was broken.
func (d *door) fails(claim, what string) {
	d.t.Helper()
	r, err := d.check(claim)
	if err != nil {
		d.t.Errorf("%s could not be exercised: %v", claim, err)
		return
	}
	for _, o := range r.Observed {
		if !r.Passed && bytes.Contains([]byte(o.What+" "+o.Seen), []byte(what)) {
			return
		}
	}
	d.t.Errorf("%s does not notice it: %+v", claim, r.Observed)
}
