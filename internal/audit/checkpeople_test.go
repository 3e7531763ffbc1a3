package audit

import (
	"context"
	"strings"
	"testing"
	"time"

	"troth/internal/id"
	"troth/internal/keys"
	"troth/internal/store"
	"troth/internal/store/storetest"
)

// aboutThree: Ada changes the role of Bob, and something is kept about Cleo.
func aboutThree(h *house) (Event, id.Account, id.Account) {
	bob, cleo := h.account(), h.account()
	return Event{Type: "tenant.role_changed", Tenant: h.tenant(), Actor: Actor{Kind: KindPerson, Account: h.account(), Name: "Ada"},
		Targets:  []Target{{Kind: "account", Person: bob}}, // of whom nothing is told but the identifier
		Personal: map[id.Account]map[string]string{cleo: {"address": "cleo@example.org"}},
		Metadata: map[string]string{"role": "admin"}}, bob, cleo
}

// TestEverybodyWhomAnEventIsAboutIsCompared takes an event out of the activity
// of one person at a time, in the log and before it gets there.
func TestEverybodyWhomAnEventIsAboutIsCompared(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := open(t, db)
		e, bob, cleo := aboutThree(h)
		for _, sequenced := range []bool{true, false} {
			made := h.append(e)
			if sequenced {
				h.sequence()
			}
			if found := h.check(); len(found) > 0 {
				t.Fatalf("found before anything was changed: %+v", found)
			}
			for _, account := range []id.Account{e.Actor.Account, bob, cleo} {
				h.change(`DELETE FROM audit_person WHERE account = $1 AND event = $2`, string(account), string(made))
				found := h.check()
				if len(found) != 1 || found[0].Code != "person-missing" || found[0].Where != "event "+string(made) || !strings.Contains(found[0].What, string(account)) {
					t.Errorf("of %s in the log (%v) is found %+v", account, sequenced, found)
				}
				h.change(`INSERT INTO audit_person (account, event, tenant) VALUES ($1, $2, $3)`, string(account), string(made), string(e.Tenant))
			}
		}
	}, Migrations)
}

// TestDestroyedKeysAreNoFinding: without a person's key everybody is still
// known, without the tenant's those about whom there is a section.
func TestDestroyedKeysAreNoFinding(t *testing.T) {
	h := sqlite(t)
	ctx := context.Background()
	e, bob, cleo := aboutThree(h)
	made := h.append(e)
	nobody := e
	nobody.Personal = map[id.Account]map[string]string{h.account(): {}} // tells nothing about anybody
	h.append(nobody)
	h.sequence()
	for _, ref := range []keys.Ref{keys.SubjectRef(cleo), keys.TenantRef(e.Tenant)} {
		if err := h.keys.Shred(ctx, ref); err != nil {
			t.Fatal(err)
		}
		if found := h.check(); len(found) > 0 {
			t.Errorf("after the key %s was destroyed: %+v", ref, found)
		}
	}
	for _, account := range []id.Account{bob, cleo} {
		h.change(`DELETE FROM audit_person WHERE account = $1 AND event = $2`, string(account), string(made))
	}
	if found := h.check(); len(found) != 1 || !strings.Contains(found[0].What, string(cleo)) {
		t.Errorf("of an event of a destroyed tenant is found %+v", found)
	}
}

// TestAnExpiryMeanwhileIsNoFinding: another process destroys the key of a month
// and begins to remove its rows, and this one has the key at hand.
func TestAnExpiryMeanwhileIsNoFinding(t *testing.T) {
	h := sqlite(t)
	ctx := context.Background()
	e, _, _ := aboutThree(h)
	month := monthOf(h.append(e))
	h.sequence()
	other, err := New(h.db, keys.New(h.root, h.ring, h.clock.now), Options{Origin: "log.example", Types: testTypes, Now: h.clock.now})
	if err != nil {
		t.Fatal(err)
	}
	check := func() {
		t.Helper()
		if found, err := other.CheckRows(ctx, nil); err != nil || len(found) > 0 {
			t.Errorf("found %+v, %v", found, err)
		}
	}
	check()
	h.clock.add(time.Minute)
	if err := h.keys.Shred(ctx, keys.MonthRef(ClassAudit, month)); err != nil {
		t.Fatal(err)
	}
	if err := h.log.forgetPersons(ctx, month); err != nil {
		t.Fatal(err)
	}
	check()
}

// TestALeafBeforeTheFirstHidesNothing: an event that was slipped in has no
// place in the tree.
func TestALeafBeforeTheFirstHidesNothing(t *testing.T) {
	h := sqlite(t)
	e, _, _ := aboutThree(h)
	h.append(e)
	h.sequence()
	made := h.append(e)
	h.change(`INSERT INTO log_leaf (tree, idx, name, entry) SELECT tree, -1, name, entry FROM audit_pending`)
	h.change(`DELETE FROM audit_pending`)
	found := h.check()
	if len(found) != 1 || found[0].Code != "event-unlogged" || found[0].Where != "event "+string(made) {
		t.Errorf("found %+v", found)
	}
}
