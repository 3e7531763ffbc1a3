package tenant

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"troth/internal/access"
	"troth/internal/audit"
	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/keys"
	"troth/internal/mail"
	"troth/internal/store"
	"troth/internal/store/storetest"
)

var schemas = []fs.FS{audit.Migrations, access.Migrations, Migrations}

// eachEngine runs a test in a world on SQLite and one on Postgres.
func eachEngine(t *testing.T, test func(t *testing.T, w *world)) {
	for _, engine := range storetest.Engines {
		t.Run(engine, func(t *testing.T) { test(t, newWorld(t, storetest.Options(t, engine))) })
	}
}

// world is the tenants with everything real below them. Mail ends in a slice,
// accounts are a map: both stand above this package or beside it.
type world struct {
	*Tenants
	t     testing.TB
	o     store.Options
	db    *store.DB
	k     *keys.Keys
	ring  *store.Ring
	log   *audit.Log
	acc   *access.Access
	clock *clock
	post  *post
	names *directory
}

func newWorld(t testing.TB, o store.Options) *world {
	t.Helper()
	ctx := context.Background()
	w := &world{t: t, o: o, clock: &clock{t: time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)}, post: &post{}, names: &directory{all: map[id.Account]Profile{}}}
	dir := t.TempDir()
	root, err := keys.CreateRoot(filepath.Join(dir, "root"))
	if err != nil {
		t.Fatal(err)
	}
	ring, err := store.OpenRing(ctx, "sqlite:"+filepath.Join(dir, "keyring.db"), w.clock.now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ring.Close() })
	w.ring, w.k = ring, keys.New(root, ring, w.clock.now)
	if _, err := w.k.Roll(ctx, nil); err != nil {
		t.Fatal(err)
	}
	w.node(o)
	return w
}

// node opens the database anew, as another process would, and makes it the one
// that the world uses.
func (w *world) node(o store.Options) *world {
	w.t.Helper()
	var err error
	w.db = storetest.Open(w.t, o, schemas...)
	if w.log, err = audit.New(w.db, w.k, audit.Options{Origin: "log.example", Types: append(access.Events, Events...), Now: w.clock.now}); err != nil {
		w.t.Fatal(err)
	}
	if w.acc, err = access.New(w.db, Grants(), Roles{}, w.log, w.clock.now); err != nil {
		w.t.Fatal(err)
	}
	w.Tenants = New(Options{DB: w.db, Keys: w.k, Log: w.log, Access: w.acc, Mail: w.post, People: w.names, Origin: "https://troth.example", Plans: plans, Now: w.clock.now})
	return w
}

// another is a second process over the same database.
func (w *world) another() *world {
	w.t.Helper()
	c := *w
	return c.node(w.o)
}

type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(time.Millisecond)
	return c.t
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// post keeps what was sent. A message is kept when it is queued; the tests of
// transactions that fail look at the outbox of package mail.
type post struct {
	mu   sync.Mutex
	sent []mail.Message
	err  error
}

func (p *post) SendTx(tx *store.Tx, m mail.Message) error {
	if p.err != nil {
		return p.err
	}
	tx.AfterCommit(func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.sent = append(p.sent, m)
	})
	return nil
}

var link = regexp.MustCompile(`https://troth\.example/-/invitations/([A-Za-z0-9_-]{43})\b`)

// token is what stands in the link of the newest mail to an address.
func (w *world) token(address string) string {
	w.t.Helper()
	w.post.mu.Lock()
	defer w.post.mu.Unlock()
	for i := len(w.post.sent) - 1; i >= 0; i-- {
		if m := w.post.sent[i]; m.To == address {
			found := link.FindStringSubmatch(m.Body)
			if found == nil {
				w.t.Fatalf("the mail holds no link:\n%s", m.Body)
			}
			return found[1]
		}
	}
	w.t.Fatalf("no mail went to %s", address)
	return ""
}

// directory is what the accounts say about themselves.
type directory struct {
	mu  sync.Mutex
	all map[id.Account]Profile
}

func (d *directory) ProfilesOf(_ context.Context, accounts []id.Account) (map[id.Account]Profile, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(accounts) > 200 {
		return nil, errors.New("more than 200 profiles at once")
	}
	list := map[id.Account]Profile{}
	for _, a := range accounts {
		if p, ok := d.all[a]; ok {
			list[a] = p
		}
	}
	return list, nil
}

// person makes an account with its personal space.
func (w *world) person(name string) id.Account {
	w.t.Helper()
	account := id.New[id.Account](w.clock.now())
	if err := w.k.Create(context.Background(), keys.SubjectRef(account), 32); err != nil {
		w.t.Fatal(err)
	}
	w.names.mu.Lock()
	w.names.all[account] = Profile{Name: name, Address: strings.ToLower(name) + "@example.org", Confirmed: true}
	w.names.mu.Unlock()
	err := w.db.Write(context.Background(), func(tx *store.Tx) error {
		_, err := w.FoundTx(tx.Context(), tx, account, name)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return account
}

// as is a person at work in a tenant, as the front door would see them now.
func (w *world) as(account id.Account, tenant id.Tenant) access.Subject {
	w.t.Helper()
	s, err := w.acc.Person(context.Background(), access.SignedIn{Account: account, Tenant: tenant})
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

// organisation makes one, and people in it, one of each given role; the first
// is the owner who made it.
func (w *world) organisation(name string, roles ...access.Role) (id.Tenant, []id.Account) {
	w.t.Helper()
	owner := w.person(name + "Owner")
	tenant, err := w.Create(context.Background(), w.as(owner, HomeOf(owner)), name)
	if err != nil {
		w.t.Fatal(err)
	}
	people := []id.Account{owner}
	for i, role := range roles {
		people = append(people, w.join(tenant, owner, fmt.Sprintf("%s%s%d", name, role, i), role))
	}
	return tenant, people
}

// join makes a person who is invited and accepts.
func (w *world) join(tenant id.Tenant, inviter id.Account, name string, role access.Role) id.Account {
	w.t.Helper()
	ctx := context.Background()
	account := w.person(name)
	address := strings.ToLower(name) + "@example.org"
	if _, err := w.Invite(ctx, w.as(inviter, tenant), tenant, address, role); err != nil {
		w.t.Fatal(err)
	}
	if joined, err := w.Accept(ctx, w.as(account, HomeOf(account)), w.token(address)); err != nil || joined != tenant {
		w.t.Fatalf("accepting: %v, %v", joined, err)
	}
	return account
}

// role is the role of a person as the next decision sees it.
func (w *world) role(tenant id.Tenant, account id.Account) access.Role {
	w.t.Helper()
	return w.as(account, tenant).Role
}

// rows is everything in the tables of this package about a tenant, as text: to
// see whether anything changed.
func (w *world) rows(tenant id.Tenant) string {
	w.t.Helper()
	var b strings.Builder
	err := w.db.Read(context.Background(), func(tx *store.Tx) error {
		b.Reset()
		for _, q := range []string{
			`SELECT tenant, kind, name, founder, created_at, destroyed_at, shredded_at FROM tenant WHERE tenant = $1`,
			`SELECT account, role, since FROM tenant_person WHERE tenant = $1 ORDER BY account`,
			`SELECT ` + invitationColumns + `, ended_at FROM tenant_invitation WHERE tenant = $1 ORDER BY invitation`,
			`SELECT account, version FROM access_version WHERE tenant = $1 ORDER BY account`,
		} {
			rows, err := tx.Query(q, tenant)
			if err != nil {
				return err
			}
			defer rows.Close()
			columns, err := rows.Columns()
			if err != nil {
				return err
			}
			for rows.Next() {
				values := make([]any, len(columns))
				for i := range values {
					values[i] = new(any)
				}
				if err := rows.Scan(values...); err != nil {
					return err
				}
				for _, v := range values {
					fmt.Fprintf(&b, "%v|", *v.(*any))
				}
				b.WriteByte('\n')
			}
			if err := rows.Err(); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return b.String()
}

// events lists the types and sentences of a tenant's part of the log, oldest
// first.
func (w *world) events(tenant id.Tenant) []string {
	w.t.Helper()
	if err := w.log.Flush(context.Background()); err != nil {
		w.t.Fatal(err)
	}
	list, _, err := w.log.List(context.Background(), audit.Filter{Tenant: tenant, Limit: 100})
	if err != nil {
		w.t.Fatal(err)
	}
	out := make([]string, len(list))
	for i, e := range list {
		out[len(list)-1-i] = e.Event.Type + ": " + e.Sentence.String()
	}
	return out
}

// wants fails the test unless the error is a fault of that kind and code; an
// empty code wants success.
func wants(t testing.TB, err error, kind fault.Kind, code string) {
	t.Helper()
	f := fault.As(err)
	switch {
	case code == "" && err != nil:
		t.Errorf("got %v, want success", err)
	case code != "" && (f == nil || f.Kind != kind || f.Code != code):
		t.Errorf("got %v (%+v), want %s %s", err, f, kind, code)
	}
}

func optionsSQLite(t testing.TB) store.Options { return storetest.SQLiteOptions(t) }
