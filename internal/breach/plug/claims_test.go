package plug

import (
	"context"
	"crypto/sha1"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"troth/internal/access"
	"troth/internal/account"
	accountplug "troth/internal/account/plug"
	"troth/internal/audit"
	"troth/internal/breach"
	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/jobs"
	"troth/internal/keys"
	"troth/internal/mail"
	"troth/internal/part"
	"troth/internal/password"
	"troth/internal/secret"
	"troth/internal/store"
	"troth/internal/store/storetest"
	"troth/internal/text"
	"troth/internal/throttle"
	"troth/internal/trust"
	"troth/internal/web"
)

var ctx = context.Background()

// founder makes personal tenants and answers for their roles: they are the same
// whoever asks.
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

// door is the pages of the accounts behind TLS, with real lists. What a test
// breaks, it breaks through its fields, before it is opened.
type door struct {
	t     testing.TB
	known func(*breach.Lists) password.Known
	post  func(account.Post) account.Post
	pairs func(Pairs) Pairs
	wrap  func(http.Handler) http.Handler

	dir      string
	lists    *breach.Lists
	accounts *account.Accounts
	part     part.Part
	server   *httptest.Server
	letters  *mail.Canary
}

// sweeper is package account as the program adapts it.
type sweeper struct{ *account.Accounts }

func (s sweeper) Sweep(ctx context.Context, address string, p secret.String) error {
	return s.SweepPair(ctx, address, p)
}

func (s sweeper) Watch() string { return account.Watch }

func open(t testing.TB, change ...func(*door)) *door {
	t.Helper()
	d := &door{
		t: t, dir: t.TempDir(), letters: mail.NewCanary(time.Now),
		known: func(l *breach.Lists) password.Known { return l },
		post:  func(p account.Post) account.Post { return p },
		pairs: func(p Pairs) Pairs { return p },
		wrap:  func(h http.Handler) http.Handler { return h },
	}
	for _, c := range change {
		c(d)
	}
	db := storetest.SQLite(t, audit.Migrations, access.Migrations, jobs.Migrations, mail.Migrations, account.Migrations, breach.Migrations, throttle.Migrations)
	root, err := keys.CreateRoot(filepath.Join(d.dir, "root"))
	must(t, err)
	ring, err := store.OpenRing(ctx, "sqlite:"+filepath.Join(d.dir, "keyring.db"), time.Now)
	must(t, err)
	t.Cleanup(func() { ring.Close() })
	k := keys.New(root, ring, time.Now)
	types := append(append(append([]audit.Type{}, access.Events...), account.Events...), breach.Events...)
	log, err := audit.New(db, k, audit.Options{Origin: "log.example", Types: types, Now: time.Now})
	must(t, err)
	rights, err := access.New(db, account.Permissions, founder{k}, log, time.Now)
	must(t, err)
	quiet := slog.New(slog.DiscardHandler)
	mailer, err := mail.New(db, k, jobs.New(db, time.Now, quiet), mail.Options{
		From: "Troth <no-reply@troth.example>", Routes: []mail.Route{d.letters.Route()}, Now: time.Now, Log: quiet,
	})
	must(t, err)
	handler := http.NewServeMux()
	d.server = httptest.NewUnstartedServer(d.wrap(handler))
	d.server.StartTLS()
	t.Cleanup(d.server.Close)
	d.lists = breach.New(breach.Options{Dir: filepath.Join(d.dir, "breach"), Config: breach.Defaults(), DB: db, Keys: k, Log: log})
	t.Cleanup(func() { _ = d.lists.Close() })
	config := account.Defaults()
	config.Mode = account.SignupOpen
	hashing, err := password.NewHasher(password.Floor, 256<<20, time.Minute)
	must(t, err)
	d.accounts, err = account.Open(ctx, account.Options{
		DB: db, Keys: k, Log: log, Access: rights, Post: d.post(mailer), Founder: founder{k},
		Config: config, Origin: d.server.URL, Hashing: hashing, Rules: password.Rules{Known: d.known(d.lists)},
	})
	must(t, err)
	t.Cleanup(func() { _ = d.accounts.Close(context.Background()) })
	own := breach.Defaults()
	deps := Deps{Lists: d.lists, Config: &own, Pairs: d.pairs(sweeper{d.accounts}), Now: time.Now}
	d.part = New(deps)
	d.part.Claims = plug{deps, time.Second}.claims()
	d.serve(handler, accountplug.New(d.accounts, &config), rights)
	running(t, db)
	return d
}

func (d *door) serve(handler *http.ServeMux, accounts part.Part, rights *access.Access) {
	d.t.Helper()
	renderer, err := web.NewRenderer(text.English(), accounts.Pages)
	must(d.t, err)
	renderer.Nav = accounts.Nav
	mux, err := web.Mux(append(accounts.Routes, web.AssetRoute()), web.Deps{
		Renderer: renderer, Authenticators: accounts.Authenticators, Now: time.Now, Log: slog.New(slog.DiscardHandler),
		Refused: func(r *web.Request, _ *fault.Error) error {
			return rights.Refused(r.Context(), r.Subject, r.Needs())
		},
	})
	must(d.t, err)
	handler.Handle("/", mux)
}

func running(t testing.TB, db *store.DB) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = db.Run(ctx) }()
	t.Cleanup(func() { stop(); <-done })
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

type mailbox struct{ *mail.Canary }

func (m mailbox) Wait(ctx context.Context, to string, after time.Time) (trust.Mail, error) {
	got, err := m.Canary.Wait(ctx, to, after)
	return trust.Mail{To: got.To, Subject: got.Subject, Body: got.Body, At: got.At}, err
}

// bench is what the check works with.
func (d *door) bench() trust.Bench {
	transport := d.server.Client().Transport.(*http.Transport).Clone()
	transport.TLSClientConfig = &tls.Config{RootCAs: transport.TLSClientConfig.RootCAs, MinVersion: tls.VersionTLS12}
	d.t.Cleanup(transport.CloseIdleConnections)
	return trust.Standalone(trust.Bench{
		Client:  func(netip.Addr) *http.Client { return &http.Client{Transport: transport, Timeout: 20 * time.Second} },
		Origin:  d.server.URL,
		Mailbox: mailbox{d.letters},
		Now:     time.Now,
	})
}

// run runs the check. A mail that does not come is waited for no longer than
// the deadline.
func (d *door) run(b trust.Bench, limit time.Duration) (trust.Result, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return d.part.Claims[0].Checks[0].Run(ctx, b)
}

func unexpected(r trust.Result) string {
	var b strings.Builder
	for _, o := range r.Observed {
		if o.Expected != o.Seen {
			fmt.Fprintf(&b, "%s: expected %s, seen %s\n", o.What, o.Expected, o.Seen)
		}
	}
	return b.String()
}

// The check passes, again and again, leaves nothing on the list, and tells
// nothing that is not public.
func TestTheCheckPasses(t *testing.T) {
	d := open(t)
	b := d.bench()
	for range 2 {
		r, err := d.run(b, time.Minute)
		if err != nil || !r.Passed || len(r.Observed) < 12 {
			t.Fatalf("%v, %d observations:\n%s", err, len(r.Observed), unexpected(r))
		}
		for _, o := range r.Observed {
			if s := o.What + o.Expected + o.Seen; strings.Contains(s, "@") || strings.Contains(s, "acc_") {
				t.Errorf("an observation holds an identifier or an address: %q", s)
			}
		}
	}
	s, err := d.lists.Status(ctx, operator(), true)
	if err != nil || s.Own != 0 {
		t.Errorf("left on the list: %d, %v", s.Own, err)
	}
	if text := d.part.Claims[0].NotProven; !strings.Contains(text, "No list has been imported") {
		t.Errorf("the claim says of the lists: %s", text)
	}
}

// What was imported stands in the claim.
func TestTheClaimSaysHowOldTheListsAre(t *testing.T) {
	d := open(t)
	d.imports("a password of the list")
	p := plug{Deps: Deps{Lists: d.lists}}
	if text := p.extent(); !strings.Contains(text, "sha1 with 1 entries, of files from "+time.Now().UTC().Format(time.DateOnly)) {
		t.Errorf("the claim says of the lists: %s", text)
	}
}

func (d *door) imports(words ...string) {
	d.t.Helper()
	file := filepath.Join(d.dir, "pwned.txt")
	var b strings.Builder
	for _, w := range words {
		fmt.Fprintf(&b, "%X:1\n", sha1.Sum([]byte(w)))
	}
	must(d.t, os.WriteFile(file, []byte(b.String()), 0o600))
	_, err := d.lists.Import(ctx, operator(), breach.Import{Files: []string{file}})
	must(d.t, err)
}

// forgetful answers only the first time that it is asked of a password.
type forgetful struct {
	list  password.Known
	asked map[string]bool
}

func (f forgetful) Known(ctx context.Context, p secret.String) (password.Finding, error) {
	if f.asked[p.Reveal()] {
		return password.Unheard, nil
	}
	f.asked[p.Reveal()] = true
	return f.list.Known(ctx, p)
}

type idle struct{ Pairs }

func (idle) Sweep(context.Context, string, secret.String) error { return nil }

// losing loses letters of one kind.
type losing struct {
	account.Post
	kind string
}

func (l losing) SendTx(tx *store.Tx, m mail.Message) error {
	if m.Kind == l.kind {
		return nil
	}
	return l.Post.SendTx(tx, m)
}

// The check fails when what it watches is broken, and has seen why.
func TestTheCheckFails(t *testing.T) {
	loses := func(kind string) func(*door) {
		return func(d *door) { d.post = func(p account.Post) account.Post { return losing{p, kind} } }
	}
	for name, c := range map[string]struct {
		sees   string
		change func(*door)
	}{
		"nobody asks the lists": {"choosing a password of the list & signing in with a password of the list leads to & signing in with credentials that were found leads to",
			func(d *door) { d.known = func(*breach.Lists) password.Known { return nil } }},
		"signing in does not ask": {"signing in with a password of the list leads to", func(d *door) {
			d.known = func(l *breach.Lists) password.Known { return forgetful{l, map[string]bool{}} }
		}},
		"nothing is swept":       {"whose credentials were found & the holder is told & the security team is told", func(d *door) { d.pairs = func(p Pairs) Pairs { return idle{p} } }},
		"the holder is not told": {"the holder is told", loses("account.exposed")},
		"nobody watches":         {"the security team is told", loses("account.exposed_alert")},
	} {
		t.Run(name, func(t *testing.T) {
			d := open(t, c.change)
			r, err := d.run(d.bench(), time.Minute)
			if err != nil {
				t.Fatalf("the check could not be exercised, so it shows nothing: %v", err)
			}
			if r.Passed {
				t.Fatal("the check passes although what it watches is broken")
			}
			for _, each := range strings.Split(c.sees, " & ") {
				if !strings.Contains(unexpected(r), each) {
					t.Errorf("the check failed without seeing %q:\n%s", each, unexpected(r))
				}
			}
		})
	}
}

// A list that is damaged fails the claim: it is not what the page says.
func TestADamagedListFailsTheClaim(t *testing.T) {
	d := open(t)
	b := d.bench()
	if r, err := d.run(b, time.Minute); err != nil || !r.Passed {
		t.Fatalf("%v:\n%s", err, unexpected(r))
	}
	must(t, os.MkdirAll(filepath.Join(d.dir, "breach"), 0o700))
	must(t, os.WriteFile(filepath.Join(d.dir, "breach", "ntlm.list"), []byte("TROTHBL1 and no more"), 0o600))
	p := plug{Deps: Deps{Lists: d.lists}}
	tr := &trial{plug: p, ctx: ctx, b: b}
	tr.lists()
	if r, err := tr.look.Result(); err != nil || r.Passed || !strings.Contains(unexpected(r), "the imported lists") {
		t.Errorf("%v, %+v", err, r)
	}
	found := p.examine(ctx)
	if len(found) != 1 || found[0].Grade != part.Problem {
		t.Errorf("the doctor finds %+v", found)
	}
}

// A door that is down makes no failure of the claim: it could not be tried.
func TestTheCheckNeedsTheDoor(t *testing.T) {
	d := open(t)
	b := d.bench()
	d.server.Close()
	if r, err := d.run(b, time.Minute); err == nil {
		t.Errorf("it concluded %v although nobody answered", r.Passed)
	}
}

// Without an installation there is still a list of commands, as for --help.
func TestDescribedWithoutAnInstallation(t *testing.T) {
	c := breach.Defaults()
	p := New(Deps{Config: &c})
	if len(p.Commands) != 1 || len(p.Commands[0].Sub) != 4 || len(p.Config) != 1 || len(p.Jobs) != 0 {
		t.Errorf("%+v", p)
	}
}

func TestTheDoctorSpeaksOfTheLists(t *testing.T) {
	d := open(t)
	now := time.Now()
	p := plug{Deps: Deps{Lists: d.lists, Now: func() time.Time { return now }}}
	if f := p.examine(ctx); len(f) != 1 || f[0].Grade != part.Advice {
		t.Errorf("without a list: %+v", f)
	}
	d.imports("a password of the list")
	if f := p.examine(ctx); len(f) != 1 || f[0].Grade != part.Good {
		t.Errorf("with a new list: %+v", f)
	}
	now = now.Add(200 * 24 * time.Hour)
	if f := p.examine(ctx); len(f) != 1 || f[0].Grade != part.Advice {
		t.Errorf("with an old list: %+v", f)
	}
}
