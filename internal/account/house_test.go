package account

import (
	"context"
	"errors"
	"io/fs"
	"net/netip"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"troth/internal/access"
	"troth/internal/audit"
	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/keys"
	"troth/internal/mail"
	"troth/internal/password"
	"troth/internal/secret"
	"troth/internal/store"
	"troth/internal/store/storetest"
	"troth/internal/throttle"
)

// clock is a time that tests move.
type clock struct{ at atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.at.Store(time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC).UnixMicro())
	return c
}

func (c *clock) now() time.Time {
	return time.UnixMicro(c.at.Add(1000)).UTC() // identifiers made one after the other sort so
}

func (c *clock) add(d time.Duration) { c.at.Add(d.Microseconds()) }

// founder makes personal tenants, roles and invitations in tables of the test.
type founder struct {
	keys   *keys.Keys
	demand access.Demand // of every organisation
}

const testSchema = `-- +goose Up
CREATE TABLE IF NOT EXISTS test_role (tenant TEXT NOT NULL, account TEXT NOT NULL, role TEXT NOT NULL, PRIMARY KEY (tenant, account));
-- +goose Down
DROP TABLE IF EXISTS test_role;
`

func testMigrations() fstest.MapFS {
	return fstest.MapFS{"202611210890_test.sql": {Data: []byte(testSchema)}}
}

func (f *founder) FoundTx(ctx context.Context, tx *store.Tx, owner id.Account, _ string) (id.Tenant, error) {
	home := id.Tenant("ten_" + strings.TrimPrefix(string(owner), "acc_"))
	if err := f.keys.Create(ctx, keys.TenantRef(home), 32); err != nil {
		return "", err
	}
	return home, f.giveTx(tx, home, owner, access.Owner)
}

func (f *founder) giveTx(tx *store.Tx, tenant id.Tenant, account id.Account, role access.Role) error {
	_, err := tx.Exec(`INSERT INTO test_role (tenant, account, role) VALUES ($1, $2, $3)`, tenant, account, role)
	return err
}

func (f *founder) RoleTx(tx *store.Tx, tenant id.Tenant, account id.Account) (access.Role, error) {
	var role access.Role
	err := tx.QueryRow(`SELECT role FROM test_role WHERE tenant = $1 AND account = $2`, tenant, account).Scan(&role)
	if errors.Is(err, store.ErrNoRows) {
		return access.RoleNone, nil
	}
	return role, err
}

// DemandTx is what the organisations of the test ask for; personal spaces ask for
// nothing.
func (f *founder) DemandTx(tx *store.Tx, tenant id.Tenant) (access.Demand, error) {
	if !strings.HasPrefix(string(tenant), "ten_org") {
		return access.Demand{}, nil
	}
	return f.demand, nil
}

// invited lets one token and address in.
type invited struct{ token, email string }

func (i invited) InvitedTx(_ *store.Tx, token secret.String, email string) (bool, error) {
	return i.token != "" && token.Reveal() == i.token && email == i.email, nil
}

// postbox keeps what was sent, once it was committed.
type postbox struct {
	mu   sync.Mutex
	sent []mail.Message
	fail error
}

func (p *postbox) SendTx(tx *store.Tx, m mail.Message) error {
	if p.fail != nil {
		return p.fail
	}
	tx.AfterCommit(func() {
		if m.Decoy {
			return
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		p.sent = append(p.sent, m)
	})
	return nil
}

func (p *postbox) to(address string) []mail.Message {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []mail.Message
	for _, m := range p.sent {
		if m.To == address {
			all = append(all, m)
		}
	}
	return all
}

// counting counts the work that a hasher does.
type counting struct {
	password.Hashing
	hashes, verifies atomic.Int64
}

func (c *counting) Hash(ctx context.Context, p secret.String) (string, error) {
	c.hashes.Add(1)
	return c.Hashing.Hash(ctx, p)
}

func (c *counting) Verify(ctx context.Context, stored string, p secret.String) (password.Verdict, error) {
	c.verifies.Add(1)
	return c.Hashing.Verify(ctx, stored, p)
}

func (c *counting) work() int64 { return c.hashes.Load() + c.verifies.Load() }

// cheapest is a hasher at the floor.
func cheapest(t testing.TB) *password.Hasher {
	t.Helper()
	h, err := password.NewHasher(password.Floor, 256<<20, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// house is the accounts with everything that stands below them.
type house struct {
	*Accounts
	t       testing.TB
	clock   *clock
	post    *postbox
	hashing *counting
	founder *founder
	ring    *store.Ring
	browser secret.String // in which people sign up
}

// here is the button behind a link, pressed in the browser that signed up.
func (h *house) here() Confirmation { return Confirmation{Browser: h.browser} }

// build makes a house on a migrated database.
func build(t testing.TB, db *store.DB, change ...func(*Options)) *house {
	t.Helper()
	ctx := context.Background()
	dir := t.TempDir()
	root, err := keys.CreateRoot(filepath.Join(dir, "root"))
	if err != nil {
		t.Fatal(err)
	}
	h := &house{t: t, clock: newClock(), post: &postbox{}, browser: secret.NewToken()}
	if h.ring, err = store.OpenRing(ctx, "sqlite:"+filepath.Join(dir, "keyring.db"), h.clock.now); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.ring.Close() })
	k := keys.New(root, h.ring, h.clock.now)
	h.founder = &founder{keys: k}
	return h.start(db, k, change...)
}

// start opens the accounts on a database and keys, as another process would.
func (h *house) start(db *store.DB, k *keys.Keys, change ...func(*Options)) *house {
	h.t.Helper()
	n := *h
	types := slices.Concat(Events, access.Events)
	log, err := audit.New(db, k, audit.Options{Origin: "log.example", Types: types, Now: n.clock.now})
	if err != nil {
		n.t.Fatal(err)
	}
	rights, err := access.New(db, Permissions, n.founder, log, n.clock.now)
	if err != nil {
		n.t.Fatal(err)
	}
	n.hashing = &counting{Hashing: cheapest(n.t)}
	o := Options{
		DB: db, Keys: k, Log: log, Access: rights, Post: n.post, Founder: n.founder,
		Config: Defaults(), Origin: "https://troth.example", Hashing: n.hashing, Now: n.clock.now,
	}
	o.Config.Mode = SignupOpen
	for _, c := range change {
		c(&o)
	}
	if n.Accounts, err = Open(context.Background(), o); err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { _ = n.Close(context.Background()) })
	running(n.t, db)
	return &n
}

// running reads the change feed until the test has ended.
func running(t testing.TB, db *store.DB) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = db.Run(ctx) }()
	t.Cleanup(func() { stop(); <-done })
	for deadline := time.Now().Add(10 * time.Second); !db.Fresh(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the change feed did not become fresh")
		}
	}
}

// schema is everything that a house migrates.
func schema() []fs.FS {
	return []fs.FS{audit.Migrations, access.Migrations, throttle.Migrations, Migrations, testMigrations()}
}

// each runs a test on a house on every engine.
func each(t *testing.T, test func(t *testing.T, h *house)) {
	t.Helper()
	storetest.Each(t, func(t *testing.T, db *store.DB) { test(t, build(t, db)) }, schema()...)
}

// sqlite is a house for tests that are not about SQL.
func sqlite(t testing.TB, change ...func(*Options)) *house {
	t.Helper()
	return build(t, storetest.SQLite(t, schema()...), change...)
}

const (
	ada      = "ada@example.org"
	goodWord = "correct horse battery staple"
	newWord  = "quite another pass phrase"
)

// stranger is nobody, from somewhere.
func stranger() access.Subject {
	return access.Nobody(audit.Context{
		IP:    netip.MustParseAddr("192.0.2.7"),
		Agent: "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
	})
}

var ctx = context.Background()

func host() access.Subject { return access.System("operator on the host") }

func (h *house) apply(email, password string) {
	h.t.Helper()
	s, err := h.SignUp(ctx, stranger(), Application{Email: email, Name: "Ada Byron", Password: secret.Of(password), Browser: h.browser})
	if err != nil {
		h.t.Fatalf("signing up: %v", err)
	}
	if s.Session != "" {
		h.t.Fatal("signing up began a session before the address was confirmed")
	}
}

var linkPattern = regexp.MustCompile(`https://troth\.example(/-/[a-z]+/)([A-Za-z0-9_-]{43})`)

// link is the token of the newest mail to an address.
func (h *house) link(email, path string) secret.String {
	h.t.Helper()
	all := h.post.to(email)
	if len(all) == 0 {
		h.t.Fatalf("there is no mail to %s", email)
	}
	m := linkPattern.FindStringSubmatch(all[len(all)-1].Body)
	if m == nil || m[1] != path {
		h.t.Fatalf("the mail to %s has no link to %s:\n%s", email, path, all[len(all)-1].Body)
	}
	return secret.Of(m[2])
}

// tokenOf is the token of a link that was returned.
func tokenOf(t testing.TB, link secret.String) secret.String {
	t.Helper()
	m := linkPattern.FindStringSubmatch(link.Reveal())
	if m == nil {
		t.Fatal("this is no link")
	}
	return secret.Of(m[2])
}

// person signs somebody up and in.
func (h *house) person(email, password string) (access.Subject, Signed) {
	h.t.Helper()
	h.apply(email, password)
	if _, err := h.Confirm(ctx, stranger(), h.link(email, PathConfirm), h.here()); err != nil {
		h.t.Fatalf("confirming: %v", err)
	}
	return h.signIn(email, password)
}

func (h *house) signIn(email, password string) (access.Subject, Signed) {
	h.t.Helper()
	o, err := h.SignIn(ctx, stranger(), attempt(email, password))
	if err != nil || o.Next != StepNone {
		h.t.Fatalf("signing in: %v, and it waits for %q", err, o.Next)
	}
	return h.who(o.Signed.Token), o.Signed
}

// attempt is what a browser sends that has never been here.
func attempt(email, password string) Attempt {
	return Attempt{Email: email, Password: secret.Of(password)}
}

// who is the subject of a token.
func (h *house) who(token secret.String) access.Subject {
	h.t.Helper()
	by, err := h.Authenticate(ctx, token.Reveal())
	if err != nil {
		h.t.Fatalf("authenticating: %v", err)
	}
	by.Context.IP = netip.MustParseAddr("192.0.2.7")
	return by
}

func (h *house) signedIn(token secret.String) bool {
	h.t.Helper()
	return h.who(token).Kind == access.KindPerson
}

// events are the names of a tenant's events, the oldest first.
func (h *house) events(tenant id.Tenant) []string {
	h.t.Helper()
	if err := h.Log.Flush(ctx); err != nil {
		h.t.Fatal(err)
	}
	list, _, err := h.Log.List(ctx, audit.Filter{Tenant: tenant, Limit: 100})
	if err != nil {
		h.t.Fatal(err)
	}
	var names []string
	for _, e := range list {
		names = append(names, e.Type)
	}
	slices.Reverse(names)
	return names
}

// want fails unless err is a fault of a kind with a code.
func want(t testing.TB, err error, kind fault.Kind, code string) {
	t.Helper()
	f := fault.As(err)
	if f == nil || f.Kind != kind || f.Code != code {
		t.Fatalf("the error is %v, want the %s fault %s", err, kind, code)
	}
}
