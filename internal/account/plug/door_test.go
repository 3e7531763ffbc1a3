package plug

import (
	"context"
	"crypto/tls"
	"errors"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"troth/internal/access"
	"troth/internal/account"
	"troth/internal/audit"
	"troth/internal/config"
	"troth/internal/factor"
	factorplug "troth/internal/factor/plug"
	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/jobs"
	"troth/internal/keys"
	"troth/internal/mail"
	"troth/internal/part"
	"troth/internal/password"
	"troth/internal/store"
	"troth/internal/store/storetest"
	"troth/internal/text"
	"troth/internal/throttle"
	"troth/internal/trust"
	"troth/internal/web"
)

// founder makes personal tenants and answers for their roles, in memory: they
// are the same whoever asks.
type founder struct{ keys *keys.Keys }

func homeOf(a id.Account) id.Tenant { return id.Tenant("ten_" + strings.TrimPrefix(string(a), "acc_")) }

func (f founder) FoundTx(ctx context.Context, _ *store.Tx, owner id.Account, _ string) (id.Tenant, error) {
	return homeOf(owner), f.keys.Create(ctx, keys.TenantRef(homeOf(owner)), 32)
}

func (f founder) RoleTx(_ *store.Tx, tenant id.Tenant, a id.Account) (access.Role, error) {
	if tenant == homeOf(a) {
		return access.Owner, nil
	}
	return access.RoleNone, nil
}

// clock is the time of the door: the real one, and what the test adds.
type clock struct {
	mu    sync.Mutex
	added time.Duration
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.added)
}

func (c *clock) pass(_ context.Context, d time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.added += d
	return nil
}

// door is the pages behind TLS, with everything real below them. What a test
// breaks, it breaks through its fields, before it is opened.
type door struct {
	t       testing.TB
	hashing password.Hashing
	target  time.Duration
	config  account.Config
	factors []account.Factors
	apps    func(account.Factors) account.Factors // people can set up authenticator apps; as tests break them
	post    func(account.Post) account.Post       // what sends the mails of accounts; as tests break it
	trigger string                                // SQL that breaks the tables
	wrap    func(next http.Handler) http.Handler
	authn   func(web.Authenticator) web.Authenticator

	db       *store.DB
	accounts *account.Accounts
	part     part.Part
	more     []fs.FS // pages of another part
	log      *audit.Log
	server   *httptest.Server
	letters  *mail.Canary
	clock    *clock
	logged   *strings.Builder
}

func open(t testing.TB, change ...func(*door)) *door {
	t.Helper()
	d := &door{
		t: t, target: 20 * time.Millisecond, config: account.Defaults(), clock: &clock{}, logged: &strings.Builder{},
		wrap:  func(next http.Handler) http.Handler { return next },
		authn: func(a web.Authenticator) web.Authenticator { return a },
		post:  func(p account.Post) account.Post { return p },
	}
	d.config.Mode = account.SignupOpen
	for _, c := range change {
		c(d)
	}
	d.config.PasswordTarget = config.Duration(d.target)
	d.letters = mail.NewCanary(d.clock.now)
	ctx := context.Background()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	db := storetest.SQLite(t, audit.Migrations, access.Migrations, jobs.Migrations, mail.Migrations, account.Migrations, throttle.Migrations, factor.Migrations)
	d.db = db
	if d.trigger != "" {
		must(db.Write(ctx, func(tx *store.Tx) error {
			tx.Unaudited("the test breaks something")
			_, err := tx.Exec(d.trigger)
			return err
		}))
	}
	dir := t.TempDir()
	root, err := keys.CreateRoot(filepath.Join(dir, "root"))
	must(err)
	ring, err := store.OpenRing(ctx, "sqlite:"+filepath.Join(dir, "keyring.db"), d.clock.now)
	must(err)
	t.Cleanup(func() { ring.Close() })
	k := keys.New(root, ring, d.clock.now)
	d.log, err = audit.New(db, k, audit.Options{Origin: "log.example", Types: slices.Concat(access.Events, account.Events, factor.Events), Now: d.clock.now})
	must(err)
	rights, err := access.New(db, account.Permissions, founder{k}, d.log, d.clock.now)
	must(err)
	var logMu sync.Mutex
	logger := slog.New(slog.NewTextHandler(locked{&logMu, d.logged}, &slog.HandlerOptions{Level: slog.LevelDebug}))
	mailer, err := mail.New(db, k, jobs.New(db, d.clock.now, logger), mail.Options{
		From: "Troth <no-reply@troth.example>", Routes: []mail.Route{d.letters.Route()}, Now: d.clock.now, Log: logger,
	})
	must(err)
	handler := http.NewServeMux()
	d.server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { d.wrap(handler).ServeHTTP(w, r) }))
	d.server.StartTLS()
	t.Cleanup(d.server.Close)
	options := account.Options{
		DB: db, Keys: k, Log: d.log, Access: rights, Post: d.post(mailer), Founder: founder{k},
		Config: d.config, Origin: d.server.URL, Now: d.clock.now, Logger: logger, Factors: d.factors,
	}
	var codes *factor.Factors
	if d.apps != nil {
		codes = factor.New(factor.Options{
			DB: db, Keys: k, Log: d.log, Post: mailer, Holders: holders{d}, Changed: holders{d}, Plans: holders{d},
			Config: factor.Defaults(), Service: "Orchard", Host: "localhost", Origin: d.server.URL, Now: d.clock.now,
		})
		options.Factors = append(options.Factors, d.apps(apps{codes}))
	}
	d.accounts, err = account.Open(ctx, options) // calibrates
	must(err)
	if d.hashing != nil {
		options.Hashing = d.hashing
		d.accounts, err = account.Open(ctx, options)
		must(err)
	}
	t.Cleanup(func() { _ = d.accounts.Close(context.Background()) })
	p := &plug{accounts: d.accounts, config: &d.config, wait: d.clock.pass}
	d.part = New(d.accounts, &d.config)
	d.part.Claims = p.claims()
	if codes != nil {
		pages := factorplug.New(factorplug.Deps{Factors: codes, Config: &factor.Config{}})
		d.part.Routes, d.more = append(d.part.Routes, pages.Routes...), append(d.more, pages.Pages)
	}
	d.serve(handler, logger, rights)
	running(t, db)
	return d
}

// locked is a log that several write.
type locked struct {
	mu *sync.Mutex
	b  *strings.Builder
}

func (l locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (d *door) serve(handler *http.ServeMux, logger *slog.Logger, rights *access.Access) {
	d.t.Helper()
	renderer, err := web.NewRenderer(text.English(), append(d.more, d.part.Pages)...)
	if err != nil {
		d.t.Fatal(err)
	}
	renderer.Nav, renderer.Now = d.part.Nav, d.clock.now
	var authn []web.Authenticator
	for _, a := range d.part.Authenticators {
		authn = append(authn, d.authn(a))
	}
	mux, err := web.Mux(append(d.part.Routes, web.AssetRoute()), web.Deps{
		Renderer: renderer, Authenticators: authn, Now: d.clock.now, Log: logger, ClientIP: cameFrom,
		Refused: func(r *web.Request, _ *fault.Error) error {
			return rights.Refused(r.Context(), r.Subject, r.Needs())
		},
	})
	if err != nil {
		d.t.Fatal(err)
	}
	handler.Handle("/", mux)
}

func running(t testing.TB, db *store.DB) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = db.Run(ctx) }()
	t.Cleanup(func() { stop(); <-done })
}

// bench is what checks work with.
func (d *door) bench() trust.Bench {
	transport := d.server.Client().Transport.(*http.Transport).Clone()
	transport.TLSClientConfig = &tls.Config{RootCAs: transport.TLSClientConfig.RootCAs, MinVersion: tls.VersionTLS12}
	d.t.Cleanup(transport.CloseIdleConnections)
	b := trust.Bench{
		Client: func(from netip.Addr) *http.Client {
			return &http.Client{Transport: coming{transport, from}, Timeout: 20 * time.Second}
		},
		Origin:  d.server.URL,
		Mailbox: mailbox{d.letters},
		Now:     d.clock.now,
	}
	if d.config.Mode != account.SignupOpen {
		b.Admit = func(ctx context.Context) (string, error) {
			link, err := d.accounts.Admit(ctx, operator())
			return link.Reveal(), err
		}
	}
	return trust.Standalone(b)
}

// coming says where requests come from, in place of a network.
type coming struct {
	http.RoundTripper
	from netip.Addr
}

const fromHeader = "Test-From"

// RoundTrip sends a request.
func (c coming) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set(fromHeader, c.from.String())
	return c.RoundTripper.RoundTrip(r)
}

// cameFrom is where a request comes from.
func cameFrom(r *http.Request) netip.Addr {
	a, _ := netip.ParseAddr(r.Header.Get(fromHeader)) // none is nowhere
	return a
}

type mailbox struct{ *mail.Canary }

func (m mailbox) Wait(ctx context.Context, to string, after time.Time) (trust.Mail, error) {
	got, err := m.Canary.Wait(ctx, to, after)
	return trust.Mail{To: got.To, Subject: got.Subject, Body: got.Body, At: got.At}, err
}

// run runs one check.
func (d *door) run(b trust.Bench, check string) (trust.Result, error) {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for _, c := range d.part.Claims {
		for _, k := range c.Checks {
			if k.Name == check {
				return k.Run(ctx, b)
			}
		}
	}
	return trust.Result{}, errors.New("there is no such check")
}

// visitor is a browser before the door.
func (d *door) visitor() *trust.Visitor {
	d.t.Helper()
	v, err := d.bench().Visitor(netip.Addr{})
	if err != nil {
		d.t.Fatal(err)
	}
	return v
}

// somebody is a person who signed up, in a browser that is signed in.
func (d *door) somebody(name string) (*trust.Visitor, *trust.Canary) {
	d.t.Helper()
	c, err := d.bench().Canary(ctx, name)
	if err != nil {
		d.t.Fatal(err)
	}
	v, err := c.SignIn(ctx, netip.Addr{})
	if err != nil {
		d.t.Fatal(err)
	}
	return v, c
}

// letter is the newest mail to an address, and the link in it.
func (d *door) letter(address string) (trust.Mail, string) {
	d.t.Helper()
	wait, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	m, err := mailbox{d.letters}.Wait(wait, address, time.Time{})
	if err != nil {
		d.t.Fatal(err)
	}
	return m, m.Link(d.server.URL + "/-/")
}

var ctx = context.Background()

const word = "correct horse battery staple"
