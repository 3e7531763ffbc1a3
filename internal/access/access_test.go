package access

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"troth/internal/audit"
	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/keys"
	"troth/internal/store"
	"troth/internal/store/storetest"
)

// roleTable is a RoleSource over a table of the test.
type roleTable struct{}

func (roleTable) RoleTx(tx *store.Tx, tenant id.Tenant, account id.Account) (Role, error) {
	var r Role
	err := tx.QueryRow(`SELECT role FROM test_role WHERE tenant = $1 AND account = $2`, tenant, account).Scan(&r)
	if errors.Is(err, store.ErrNoRows) {
		return RoleNone, nil
	}
	return r, err
}

const testSchema = `-- +goose Up
CREATE TABLE IF NOT EXISTS test_role (tenant TEXT NOT NULL, account TEXT NOT NULL, role TEXT NOT NULL, PRIMARY KEY (tenant, account));
-- +goose Down
DROP TABLE IF EXISTS test_role;
`

// node is one process: a database handle of its own, with its own cache.
type node struct {
	*Access
	db *store.DB
	t  testing.TB
}

func openNode(t testing.TB, o store.Options, roles RoleSource) node {
	t.Helper()
	db := storetest.Open(t, o, Migrations, roleSchema(t))
	a, err := New(db, sample(), roles, nil, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return node{a, db, t}
}

// set gives a role as a domain does: the row and the change in one transaction.
func (n node) set(tenant id.Tenant, account id.Account, role Role) {
	n.t.Helper()
	err := n.db.Write(context.Background(), func(tx *store.Tx) error {
		tx.Unaudited("the test is about decisions")
		if _, err := tx.Exec(`INSERT INTO test_role (tenant, account, role) VALUES ($1, $2, $3)
			ON CONFLICT (tenant, account) DO UPDATE SET role = excluded.role`, tenant, account, role); err != nil {
			return err
		}
		return n.ChangedTx(tx, tenant, account)
	})
	if err != nil {
		n.t.Fatal(err)
	}
}

func (n node) ask(tenant id.Tenant, account id.Account) Subject {
	n.t.Helper()
	s, err := n.Person(context.Background(), SignedIn{Account: account, Tenant: tenant})
	if err != nil {
		n.t.Fatal(err)
	}
	return s
}

// running reads the change feed until the test has ended.
func running(t testing.TB, db *store.DB) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = db.Run(ctx) }()
	t.Cleanup(func() { stop(); <-done })
	for deadline := time.Now().Add(10 * time.Second); !db.Fresh(); {
		if time.Now().After(deadline) {
			t.Fatal("the change feed did not become fresh")
		}
		time.Sleep(time.Millisecond)
	}
}

// A change of role holds with the next decision on the node that made it, and
// within a second on another one.
func TestChangeReachesEveryNode(t *testing.T) {
	for _, engine := range storetest.Engines {
		t.Run(engine, func(t *testing.T) {
			o := storetest.Options(t, engine)
			here, there := openNode(t, o, roleTable{}), openNode(t, o, roleTable{})
			running(t, here.db)
			running(t, there.db)
			here.set("ten_a", "acc_1", Member)
			last := uint64(0)
			for i, role := range []Role{Admin, Viewer, Owner, RoleNone, Member} {
				there.ask("ten_a", "acc_1") // what is cached there is about to be wrong
				here.set("ten_a", "acc_1", role)
				s := here.ask("ten_a", "acc_1")
				if s.Role != role {
					t.Fatalf("step %d: here the role is %q at once, want %q", i, s.Role, role)
				}
				if s.Version <= last {
					t.Fatalf("step %d: the version went from %d to %d", i, last, s.Version)
				}
				last = s.Version
				changed := time.Now()
				for there.ask("ten_a", "acc_1").Role != role {
					if time.Since(changed) > time.Second {
						t.Fatalf("step %d: after a second the other node still decides by the old role", i)
					}
					time.Sleep(2 * time.Millisecond)
				}
				if there.ask("ten_a", "acc_1").Version != last {
					t.Fatalf("step %d: the versions of the nodes differ", i)
				}
			}
		})
	}
}

// A node that cannot read the feed decides from the database each time.
func TestStaleFeedIsNotTrusted(t *testing.T) {
	for _, engine := range storetest.Engines {
		t.Run(engine, func(t *testing.T) {
			o := storetest.Options(t, engine)
			here, deaf := openNode(t, o, roleTable{}), openNode(t, o, roleTable{})
			running(t, here.db) // the other one never reads the feed
			for i := range 20 {
				role := Roles()[i%4]
				here.set("ten_a", "acc_1", role)
				if got := deaf.ask("ten_a", "acc_1").Role; got != role {
					t.Fatalf("step %d: a node without a feed decides by %q, the role is %q", i, got, role)
				}
			}
		})
	}
}

// The feed of one node stops: after a second at the latest, nothing that it
// cached before counts.
func TestFeedThatStopsIsNotTrusted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := storetest.SQLiteOptions(t)
		here, there := openNode(t, o, roleTable{}), openNode(t, o, roleTable{})
		ctx, stop := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() { defer close(done); _ = there.db.Run(ctx) }()
		synctest.Wait()
		here.set("ten_a", "acc_1", Owner)
		time.Sleep(2 * time.Second)
		if !there.ask("ten_a", "acc_1").May("org.delete") {
			t.Fatal("the owner may not")
		}
		stop()
		<-done
		here.set("ten_a", "acc_1", Viewer)
		time.Sleep(time.Second)
		if there.ask("ten_a", "acc_1").May("org.delete") {
			t.Fatal("a node whose feed stopped a second ago decides by what it cached before")
		}
	})
}

func TestUndecidableIsRefused(t *testing.T) {
	n := openNode(t, storetest.SQLiteOptions(t), broken{})
	for name, who := range map[string]SignedIn{
		"role unreadable": {Account: "acc_1", Tenant: "ten_a"},
		"staff as well":   {Account: "acc_1", Tenant: "ten_a", Staff: true},
	} {
		s, err := n.Person(context.Background(), who)
		if fault.KindOf(err) != fault.Unavailable || s.May("own.see") || s.Kind != KindNobody {
			t.Errorf("%s: %+v, %v", name, s, err)
		}
	}
	if s, err := n.Person(context.Background(), SignedIn{}); err == nil || s.May("own.see") {
		t.Errorf("nobody in particular: %+v, %v", s, err)
	}
}

type broken struct{}

func (broken) RoleTx(*store.Tx, id.Tenant, id.Account) (Role, error) {
	return Owner, errors.New("the disk is on fire")
}

// Random histories of roles in several tenants: each decision is the one that
// follows from the role as it is now, and versions only grow.
func TestDecisionsFollowRoles(t *testing.T) {
	n := openNode(t, storetest.SQLiteOptions(t), roleTable{})
	running(t, n.db)
	rapid.Check(t, func(r *rapid.T) {
		truth, last := map[key]Role{}, map[key]uint64{}
		fresh := id.New[id.Tenant](time.Now()) // tenants of this history alone
		tenants := []id.Tenant{fresh, fresh + "b"}
		for range rapid.IntRange(1, 12).Draw(r, "steps") {
			k := key{rapid.SampledFrom(tenants).Draw(r, "tenant"), id.Account(rapid.SampledFrom([]string{"acc_1", "acc_2"}).Draw(r, "account"))}
			if rapid.Bool().Draw(r, "change") {
				truth[k] = rapid.SampledFrom(append(Roles(), RoleNone)).Draw(r, "role")
				n.set(k.tenant, k.account, truth[k])
			}
			s := n.ask(k.tenant, k.account)
			if s.Role != truth[k] || s.Version < last[k] {
				r.Fatalf("%v: role %q version %d, want %q and at least %d", k, s.Role, s.Version, truth[k], last[k])
			}
			last[k] = s.Version
			for _, g := range n.Grants() {
				if want := g.Self || slices.Contains(g.Roles, truth[k]); s.May(g.Permission) != want {
					r.Fatalf("%s as %q: %v", g.Permission, truth[k], !want)
				}
			}
			for _, other := range tenants {
				if (s.In(other) == nil) != (other == k.tenant && truth[k] != RoleNone) {
					r.Fatalf("in %s, asked about %s: %v", k.tenant, other, s.In(other))
				}
			}
		}
	})
}

func TestDestroyedTenantIsForgotten(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		a, err := New(db, sample(), roleTable{}, nil, time.Now)
		if err != nil {
			t.Fatal(err)
		}
		n := node{a, db, t}
		running(t, db)
		n.set("ten_a", "acc_1", Owner)
		n.set("ten_b", "acc_1", Owner)
		n.ask("ten_a", "acc_1")
		before := n.ask("ten_b", "acc_1")
		err = db.Write(context.Background(), func(tx *store.Tx) error {
			tx.Unaudited("the test is about decisions")
			if _, err := tx.Exec(`DELETE FROM test_role WHERE tenant = $1`, "ten_b"); err != nil {
				return err
			}
			return n.DestroyedTx(tx, "ten_b")
		})
		if err != nil {
			t.Fatal(err)
		}
		if s := n.ask("ten_b", "acc_1"); s.May("org.read") || s.Tenant != "" {
			t.Errorf("in a destroyed tenant: %+v", s)
		}
		if s := n.ask("ten_a", "acc_1"); s.Role != Owner {
			t.Errorf("another tenant was touched: %+v", s)
		}
		n.set("ten_b", "acc_1", Viewer) // cannot happen; if it did, the version would still grow
		if s := n.ask("ten_b", "acc_1"); s.Version <= before.Version {
			t.Errorf("the version went back from %d to %d", before.Version, s.Version)
		}
	}, Migrations, roleSchema(t))
}

// A clock that was set back does not lower a version.
func TestVersionSurvivesTheClock(t *testing.T) {
	n := openNode(t, storetest.SQLiteOptions(t), roleTable{})
	n.set("ten_a", "acc_1", Member)
	first := n.ask("ten_a", "acc_1").Version
	n.now = func() time.Time { return time.Now().Add(-24 * time.Hour) }
	for _, r := range []Role{Admin, Owner} {
		n.set("ten_a", "acc_1", r)
		next := n.ask("ten_a", "acc_1").Version
		if next <= first {
			t.Fatalf("the version went from %d to %d", first, next)
		}
		first = next
	}
}

func TestRefusedIsRecorded(t *testing.T) {
	ctx := context.Background()
	db := storetest.SQLite(t, audit.Migrations, Migrations, roleSchema(t))
	dir := t.TempDir()
	root, err := keys.CreateRoot(filepath.Join(dir, "root"))
	if err != nil {
		t.Fatal(err)
	}
	ring, err := store.OpenRing(ctx, "sqlite:"+filepath.Join(dir, "keyring.db"), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ring.Close() })
	k := keys.New(root, ring, time.Now)
	if _, err := k.Roll(ctx, nil); err != nil {
		t.Fatal(err)
	}
	log, err := audit.New(db, k, audit.Options{Origin: "log.example", Types: Events})
	if err != nil {
		t.Fatal(err)
	}
	a, err := New(db, sample(), roleTable{}, log, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	account, tenant := id.New[id.Account](time.Now()), id.New[id.Tenant](time.Now())
	for _, ref := range []keys.Ref{keys.SubjectRef(account), keys.TenantRef(tenant)} {
		if err := k.Create(ctx, ref, 32); err != nil {
			t.Fatal(err)
		}
	}
	n := node{a, db, t}
	n.set(tenant, account, Viewer)
	if err := a.Refused(ctx, n.ask(tenant, account), "org.invite"); err != nil {
		t.Fatal(err)
	}
	list, _, err := log.List(ctx, audit.Filter{Tenant: tenant, Limit: 10})
	if err != nil || len(list) != 1 || list[0].Event.Metadata["permission"] != "org.invite" {
		t.Errorf("recorded: %+v, %v", list, err)
	}
}

func roleSchema(t testing.TB) fs.FS {
	t.Helper()
	return fstest.MapFS{"202611210699_test_role.sql": {Data: []byte(testSchema)}}
}

// demanding is a table of roles whose tenants demand something.
type demanding struct {
	roleTable
	demand *Demand
	err    error
}

func (d demanding) DemandTx(*store.Tx, id.Tenant) (Demand, error) { return *d.demand, d.err }

// From its time on, a demand shuts out who lacks a second factor, cached or not;
// what else people may do is left to them.
func TestDemand(t *testing.T) {
	now := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	d := demanding{demand: &Demand{}}
	n := openNode(t, storetest.SQLiteOptions(t), d)
	n.Access.now = func() time.Time { return now }
	running(t, n.db)
	tenant, account := id.New[id.Tenant](now), id.New[id.Account](now)
	n.set(tenant, account, Member)
	ask := func(who SignedIn) Subject {
		t.Helper()
		who.Account, who.Tenant = account, tenant
		s, err := n.Person(context.Background(), who)
		if err != nil {
			t.Fatal(err)
		}
		var entry error
		err = n.db.Read(context.Background(), func(tx *store.Tx) error { entry = n.EnterTx(tx, tenant, s); return nil })
		if err != nil || (entry != nil) != s.Barred || entry != nil && !errors.Is(entry, ErrBarred) {
			t.Errorf("%+v: entering is answered %v", who, entry)
		}
		if s.Barred != (s.Tenant == "") || s.Barred && (s.May("org.work") || !s.May("own.see") || !errors.Is(s.Require("org.work"), ErrBarred)) {
			t.Errorf("%+v: %+v", who, s)
		}
		return s
	}
	change := func(to Demand) {
		t.Helper()
		*d.demand = to
		err := n.db.Write(context.Background(), func(tx *store.Tx) error {
			tx.Unaudited("the test is about decisions")
			n.DemandedTx(tx, tenant)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	bare, used, earlier := SignedIn{}, SignedIn{Factor: true}, SignedIn{Browser: true}
	if ask(bare).Barred {
		t.Error("shut out without a demand")
	}
	change(Demand{Factor: now.Add(time.Hour)})
	if ask(bare).Barred {
		t.Error("shut out before its time")
	}
	now = now.Add(time.Hour)
	if !ask(bare).Barred || ask(used).Barred || ask(earlier).Barred {
		t.Error("not who lacks a factor is shut out")
	}
	change(Demand{Factor: now, Forgets: true})
	if !ask(bare).Barred || ask(used).Barred || !ask(earlier).Barred {
		t.Error("a factor that was used earlier does, where it must not")
	}
	change(Demand{})
	if ask(bare).Barred {
		t.Error("shut out after the demand ended")
	}
	d.err = errors.New("gone")
	n = openNode(t, storetest.SQLiteOptions(t), d)
	if _, err := n.Person(context.Background(), SignedIn{Account: account, Tenant: tenant}); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("a demand that cannot be read: %v", err)
	}
	err := n.db.Read(context.Background(), func(tx *store.Tx) error { return n.EnterTx(tx, tenant, Subject{Account: account}) })
	if !errors.Is(err, d.err) {
		t.Errorf("entering where the demand cannot be read: %v", err)
	}
}

// warm is a node whose cache holds one decision and whose feed is fresh.
func warm(t testing.TB) (node, SignedIn) {
	t.Helper()
	n := openNode(t, storetest.SQLiteOptions(t), roleTable{})
	running(t, n.db)
	who := SignedIn{Account: id.New[id.Account](time.Now()), Tenant: id.New[id.Tenant](time.Now()), Session: "ses_1", AMR: []string{"pwd"}}
	n.set(who.Tenant, who.Account, Member)
	n.ask(who.Tenant, who.Account)
	return n, who
}

func TestCachedDecisionAllocatesNothing(t *testing.T) {
	n, who := warm(t)
	ctx := context.Background()
	n.cache.put(key{who.Tenant, who.Account}, decision{role: Member, factorFrom: 1 << 62}, n.cache.mark())
	if got := testing.AllocsPerRun(1000, func() {
		s, err := n.Person(ctx, who)
		if err != nil || !s.May("org.work") || s.May("org.invite") || s.In(who.Tenant) != nil {
			panic(fmt.Sprint("wrong decision: ", err))
		}
	}); got != 0 {
		t.Errorf("a cached decision allocates %v times", got)
	}
}

// BenchmarkDecision is one cached decision: who is this, and may they.
func BenchmarkDecision(b *testing.B) {
	n, who := warm(b)
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		s, err := n.Person(ctx, who)
		if err != nil || !s.May("org.work") {
			b.Fatal(err)
		}
	}
}

// BenchmarkMay is the look-up alone, with a subject at hand.
func BenchmarkMay(b *testing.B) {
	n, who := warm(b)
	s := n.ask(who.Tenant, who.Account)
	b.ReportAllocs()
	for b.Loop() {
		if !s.May("org.work") {
			b.Fatal("may not")
		}
	}
}

// BenchmarkDecisionParallel shows whether cores get in each other's way.
func BenchmarkDecisionParallel(b *testing.B) {
	n, who := warm(b)
	ctx := context.Background()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if s, err := n.Person(ctx, who); err != nil || !s.May("org.work") {
				b.Error("wrong decision", err)
				return
			}
		}
	})
}

// BenchmarkMiss is a decision that reads the database.
func BenchmarkMiss(b *testing.B) {
	n, who := warm(b)
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		n.cache.evict(key{who.Tenant, who.Account}.String())
		if _, err := n.Person(ctx, who); err != nil {
			b.Fatal(err)
		}
	}
}
