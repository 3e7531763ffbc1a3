package tenant

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"troth/internal/access"
	"troth/internal/audit"
	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/store"
)

// session is a person at work in a tenant, in a session that proved so much.
func (w *world) session(who access.SignedIn, account id.Account, tenant id.Tenant) access.Subject {
	w.t.Helper()
	who.Account, who.Tenant = account, tenant
	s, err := w.acc.Person(context.Background(), who)
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

var (
	bare    = access.SignedIn{}
	used    = access.SignedIn{Factor: true}
	earlier = access.SignedIn{Browser: true}
)

// An owner who used a second factor decides; after the grace time it holds for
// everybody, the owner's other sessions included.
func TestPolicy(t *testing.T) {
	eachEngine(t, func(t *testing.T, w *world) {
		ctx := context.Background()
		tenant, people := w.organisation("Orchard", access.Admin, access.Member)
		owner, admin, member := people[0], people[1], people[2]
		week := Choice{Factor: true, Grace: 7 * 24 * time.Hour}

		err := w.Decide(ctx, w.session(bare, owner, tenant), tenant, week)
		if !errors.Is(err, errFirst) {
			t.Fatalf("who lacks a factor decides: %v", err)
		}
		if err := w.Decide(ctx, w.session(earlier, owner, tenant), tenant, week); !errors.Is(err, errFirst) {
			t.Errorf("who used one earlier decides: %v", err)
		}
		if err := w.Decide(ctx, w.session(used, admin, tenant), tenant, week); fault.KindOf(err) != fault.Denied {
			t.Errorf("an admin decides: %v", err)
		}
		for _, grace := range []time.Duration{-1, MaxGrace + 1} {
			if err := w.Decide(ctx, w.session(used, owner, tenant), tenant, Choice{Factor: true, Grace: grace}); !errors.Is(err, errGrace) {
				t.Errorf("a grace time of %s: %v", grace, err)
			}
		}
		if err := w.Decide(ctx, w.session(used, owner, HomeOf(owner)), HomeOf(owner), week); fault.KindOf(err) != fault.Conflict {
			t.Errorf("a personal space: %v", err)
		}
		if err := w.Decide(ctx, w.session(used, owner, tenant), tenant, week); err != nil {
			t.Fatal(err)
		}
		p, err := w.Policy(ctx, w.session(bare, member, tenant), tenant)
		if err != nil || !p.Factor || p.Forgets || p.From.Sub(p.SetAt) != week.Grace {
			t.Fatalf("the policy is %+v, %v", p, err)
		}
		demands, err := w.Demands(ctx, w.session(bare, member, tenant))
		if err != nil || len(demands) != 1 || demands[tenant].Now || !demands[tenant].From.Equal(p.From) || demands[tenant].Tenant.Name != "Orchard" {
			t.Errorf("a member is told %+v, %v", demands, err)
		}

		w.clock.add(week.Grace)
		if s := w.session(bare, owner, tenant); !s.Barred || s.Tenant != "" {
			t.Errorf("after the grace time: %+v", s)
		}
		if w.session(used, member, tenant).Role != access.Member || w.session(earlier, member, tenant).Role != access.Member {
			t.Error("who used a factor is shut out")
		}
		home := w.session(bare, member, HomeOf(member))
		if demands, err := w.Demands(ctx, home); err != nil || !demands[tenant].Now {
			t.Errorf("who is shut out is told %+v, %v", demands, err)
		}
		if demands, err := w.Demands(ctx, w.session(used, member, tenant)); err != nil || len(demands) != 0 {
			t.Errorf("who used a factor is told %+v, %v", demands, err)
		}

		// Browsers that were remembered do not do, if that is decided.
		week.Grace, week.Forgets = 0, true
		if err := w.Decide(ctx, w.session(used, owner, tenant), tenant, week); err != nil {
			t.Fatal(err)
		}
		if !w.session(earlier, member, tenant).Barred || !w.forgets(member) || w.forgets(w.person("Alone")) {
			t.Error("a browser that was remembered does")
		}

		if err := w.Decide(ctx, w.session(used, owner, tenant), tenant, Choice{}); err != nil {
			t.Fatal(err)
		}
		if w.session(bare, member, tenant).Role != access.Member || w.forgets(member) {
			t.Error("it is still asked for")
		}
		if err := w.Decide(ctx, w.session(used, owner, tenant), tenant, Choice{}); err != nil {
			t.Errorf("deciding it twice: %v", err)
		}
		var names []string
		if err := w.log.Flush(ctx); err != nil {
			t.Fatal(err)
		}
		list, _, err := w.log.List(ctx, audit.Filter{Tenant: tenant, Limit: 100})
		for _, e := range list {
			names = append(names, e.Type)
		}
		for _, want := range []string{"tenant.factor_required", "tenant.factor_required_always", "tenant.factor_optional"} {
			if n := slices.Index(names, want); err != nil || n < 0 || slices.Contains(names[n+1:], want) {
				t.Errorf("%s stands in the log not once: %v, %v", want, names, err)
			}
		}
	})
}

func (w *world) forgets(account id.Account) (yes bool) {
	w.t.Helper()
	err := w.db.Read(context.Background(), func(tx *store.Tx) (err error) {
		yes, err = w.ForgetsTx(tx, account)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return yes
}

// having is who has set up a second factor.
type having map[id.Account]bool

func (h having) FactorsOf(context.Context, []id.Account) (map[id.Account]bool, error) { return h, nil }

// Owners see who lacks a second factor; the policy ends with the organisation.
func TestLackingAndTheEnd(t *testing.T) {
	eachEngine(t, func(t *testing.T, w *world) {
		ctx := context.Background()
		tenant, people := w.organisation("Orchard", access.Admin, access.Member)
		w.factored = having{people[0]: true, people[2]: true}
		list, next, err := w.Lacking(ctx, w.session(bare, people[0], tenant), tenant, "")
		if err != nil || next != "" || len(list) != 1 || list[0].Account != people[1] {
			t.Errorf("who lacks one is %+v, %v", list, err)
		}
		if _, _, err := w.Lacking(ctx, w.session(bare, people[1], tenant), tenant, ""); fault.KindOf(err) != fault.Denied {
			t.Errorf("an admin sees who lacks one: %v", err)
		}
		owner := w.session(used, people[0], tenant)
		if err := w.Decide(ctx, owner, tenant, Choice{Factor: true, Forgets: true}); err != nil {
			t.Fatal(err)
		}
		if err := w.Destroy(ctx, owner, tenant); err != nil {
			t.Fatal(err)
		}
		var n int
		if err := w.db.Read(ctx, func(tx *store.Tx) error { return tx.QueryRow(`SELECT count(*) FROM tenant_policy`).Scan(&n) }); err != nil || n != 0 {
			t.Errorf("%d policies are left, %v", n, err)
		}
	})
}
