package tenant

import (
	"context"
	"slices"
	"testing"

	"troth/internal/access"
	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/store"
)

var plans = []Plan{{Name: "basic"}, {Name: "business", TextMessages: true}}

// texts reports whether an account may use text messages.
func (w *world) texts(account id.Account) (ok bool) {
	w.t.Helper()
	err := w.db.Read(context.Background(), func(tx *store.Tx) (err error) {
		ok, err = w.TextsTx(context.Background(), tx, account)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return ok
}

func TestAPlanIsForThePeopleOfTheTenant(t *testing.T) {
	eachEngine(t, func(t *testing.T, w *world) {
		org, people := w.organisation("Orchard", access.Owner, access.Member)
		other, strangers := w.organisation("Elsewhere", access.Owner)
		host := access.System("operator on the host")
		set := func(tenant id.Tenant, name string) {
			t.Helper()
			if err := w.SetPlan(context.Background(), host, tenant, name); err != nil {
				t.Fatal(err)
			}
		}
		if w.texts(people[0]) {
			t.Error("without a plan there are text messages")
		}
		set(org, "basic")
		set(other, "basic")
		if w.texts(people[0]) {
			t.Error("a plan without text messages has them")
		}
		set(org, "business")
		if !w.texts(people[0]) || !w.texts(people[1]) || w.texts(strangers[0]) {
			t.Error("the plan is not for the people of the tenant, or for others")
		}
		if s, err := w.Measure(context.Background(), host, org); err != nil || s.Plan != "business" {
			t.Errorf("%+v, %v", s, err)
		}
		if err := w.Leave(context.Background(), w.as(people[1], org), org); err != nil {
			t.Fatal(err)
		}
		if w.texts(people[1]) {
			t.Error("who has left has the plan still")
		}
		set(org, NoPlan)
		if w.texts(people[0]) || !slices.Contains(w.events(org), "tenant.plan_set: Troth (operator on the host) put this on the plan none") {
			t.Errorf("off the plan: %v, %v", w.texts(people[0]), w.events(org))
		}
		set(org, "business")
		w.plans = nil // the operator removed it from the configuration
		if w.texts(people[0]) {
			t.Error("a plan that is not configured allows something")
		}
	})
}

func TestPlansAreTheOperators(t *testing.T) {
	eachEngine(t, func(t *testing.T, w *world) {
		org, people := w.organisation("Orchard", access.Owner)
		ctx := context.Background()
		if err := w.SetPlan(ctx, w.as(people[0], org), org, "business"); fault.KindOf(err) != fault.Denied {
			t.Errorf("the owner gives a plan: %v", err)
		}
		host := access.System("operator on the host")
		if err := w.SetPlan(ctx, host, org, "gold"); fault.KindOf(err) != fault.Invalid {
			t.Errorf("a plan that is none: %v", err)
		}
		if err := w.SetPlan(ctx, host, "ten_00000000000000000000000001", "basic"); fault.KindOf(err) != fault.NotFound {
			t.Errorf("a tenant that is none: %v", err)
		}
		w.plans = nil
		if err := w.SetPlan(ctx, host, org, "basic"); fault.As(err) == nil || fault.As(err).Code != "tenant.no_plans" {
			t.Errorf("without plans: %v", err)
		}
	})
}
