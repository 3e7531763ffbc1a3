package plug

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"troth/internal/access"
	"troth/internal/account"
	accountplug "troth/internal/account/plug"
	"troth/internal/audit"
	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/jobs"
	"troth/internal/keys"
	"troth/internal/mail"
	"troth/internal/part"
	"troth/internal/password"
	"troth/internal/store"
	"troth/internal/store/storetest"
	"troth/internal/tenant"
	"troth/internal/text"
	"troth/internal/throttle"
	"troth/internal/trust"
	"troth/internal/web"
)

// door is the pages of accounts and tenants behind TLS, with everything real
// below them. What a test breaks, it breaks through its fields, before open.
type door struct {
	t        testing.TB
	roles    access.RoleSource                        // what decisions are made from
	wrap     func(next http.Handler) http.Handler     // what stands before the pages
	grants   func(list []access.Grant) []access.Grant // what the parts register
	sessions tenant.Sessions                          // what ends those of whoever is raised

	people  *account.Accounts
	db      *store.DB
	tenants *tenant.Tenants
	access  *access.Access
	part    part.Part
	server  *httptest.Server
	letters *mail.Canary
}

func open(t testing.TB, change ...func(*door)) *door {
	t.Helper()
	d := &door{
		t: t, roles: tenant.Roles{}, letters: mail.NewCanary(time.Now),
		wrap:   func(next http.Handler) http.Handler { return next },
		grants: func(list []access.Grant) []access.Grant { return list },
	}
	d.sessions = standing{func() *account.Accounts { return d.people }}
	for _, c := range change {
		c(d)
	}
	ctx := context.Background()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	config := account.Defaults()
	config.Mode = account.SignupOpen
	accounts := accountplug.New(nil, &config)
	parts := []part.Part{accounts, New(&Deps{})}
	schemas := []fs.FS{audit.Migrations, access.Migrations, jobs.Migrations, mail.Migrations, throttle.Migrations}
	for _, p := range parts {
		schemas = append(schemas, p.Migrations)
	}
	d.db = storetest.SQLite(t, schemas...)
	dir := t.TempDir()
	root, err := keys.CreateRoot(filepath.Join(dir, "root"))
	must(err)
	ring, err := store.OpenRing(ctx, "sqlite:"+filepath.Join(dir, "keyring.db"), time.Now)
	must(err)
	t.Cleanup(func() { ring.Close() })
	k := keys.New(root, ring, time.Now)
	_, err = k.Roll(ctx, nil)
	must(err)
	log, err := audit.New(d.db, k, audit.Options{
		Origin: "log.example", Types: append(part.All(parts, func(p part.Part) []audit.Type { return p.Events }), access.Events...),
	})
	must(err)
	d.access, err = access.New(d.db, d.grants(part.All(parts, func(p part.Part) []access.Grant { return p.Permissions })), d.roles, log, time.Now)
	must(err)
	queue := jobs.New(d.db, time.Now, slog.New(slog.DiscardHandler))
	mailer, err := mail.New(d.db, k, queue, mail.Options{From: "Troth <no-reply@troth.example>", Routes: []mail.Route{d.letters.Route()}, Now: time.Now})
	must(err)

	handler := http.NewServeMux()
	d.server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { d.wrap(handler).ServeHTTP(w, r) }))
	d.server.StartTLS()
	t.Cleanup(d.server.Close)

	hashing, err := password.NewHasher(password.Floor, 256<<20, 10*time.Second)
	must(err)
	var people *account.Accounts
	d.tenants = tenant.New(tenant.Options{
		Plans: []tenant.Plan{{Name: "business", TextMessages: true}},
		DB:    d.db, Sessions: d.sessions, Keys: k, Log: log, Access: d.access, Mail: mailer, Origin: d.server.URL, Now: time.Now,
		People: profiles{func() *account.Accounts { return people }},
	})
	people, err = account.Open(ctx, account.Options{
		DB: d.db, Keys: k, Log: log, Access: d.access, Post: mailer, Founder: d.tenants, Inviter: d.tenants, Leaver: d.tenants,
		Config: config, Origin: d.server.URL, Hashing: hashing, Now: time.Now, Logger: slog.New(slog.DiscardHandler),
	})
	must(err)
	d.people = people
	t.Cleanup(func() { _ = people.Close(context.Background()) })
	accounts = accountplug.New(people, &config)
	d.part = New(&Deps{Tenants: d.tenants, Switcher: people, Access: d.access})
	d.serve(handler, accounts, d.part)
	running(t, d.db)
	return d
}

// serve puts the pages behind the door.
func (d *door) serve(handler *http.ServeMux, parts ...part.Part) {
	d.t.Helper()
	var pages []fs.FS
	for _, p := range parts {
		pages = append(pages, p.Pages)
	}
	renderer, err := web.NewRenderer(text.English(), pages...)
	if err != nil {
		d.t.Fatal(err)
	}
	renderer.Nav = part.All(parts, func(p part.Part) []web.NavItem { return p.Nav })
	routes := append(part.All(parts, func(p part.Part) []web.Route { return p.Routes }), web.AssetRoute())
	mux, err := web.Mux(routes, web.Deps{
		Renderer:       renderer,
		Authenticators: part.All(parts, func(p part.Part) []web.Authenticator { return p.Authenticators }),
		Refused: func(r *web.Request, _ *fault.Error) error {
			return d.access.Refused(r.Context(), r.Subject, r.Needs())
		},
		Now: time.Now, Log: slog.New(slog.DiscardHandler),
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

// standing is the adapter in the other direction.
type standing struct{ accounts func() *account.Accounts }

func (s standing) RaisedTx(tx *store.Tx, by access.Subject, account id.Account) error {
	return s.accounts().RaisedTx(tx, by, account)
}

// profiles is the adapter between the two capabilities.
type profiles struct{ accounts func() *account.Accounts }

func (p profiles) ProfilesOf(ctx context.Context, accounts []id.Account) (map[id.Account]tenant.Profile, error) {
	found, err := p.accounts().Profiles(ctx, accounts)
	all := map[id.Account]tenant.Profile{}
	for which, a := range found {
		all[which] = tenant.Profile{Name: a.Name, Address: a.Email, Confirmed: !a.ConfirmedAt.IsZero()}
	}
	return all, err
}

// bench is what checks work with.
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

type mailbox struct{ *mail.Canary }

func (m mailbox) Wait(ctx context.Context, to string, after time.Time) (trust.Mail, error) {
	got, err := m.Canary.Wait(ctx, to, after)
	return trust.Mail{To: got.To, Subject: got.Subject, Body: got.Body, At: got.At}, err
}

// run runs the check of a claim.
func (d *door) run(b trust.Bench, claim string) (trust.Result, error) {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for _, c := range d.part.Claims {
		if c.ID == claim {
			return c.Checks[0].Run(ctx, b)
		}
	}
	d.t.Fatalf("there is no claim %s", claim)
	return trust.Result{}, errors.New("unreachable")
}

// unexpected lists what was not as it should be.
func unexpected(r trust.Result) string {
	var b strings.Builder
	for _, o := range r.Observed {
		if o.Expected != o.Seen {
			fmt.Fprintf(&b, "%s: expected %s, seen %s\n", o.What, o.Expected, o.Seen)
		}
	}
	return b.String()
}
