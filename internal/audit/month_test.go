package audit

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"troth/internal/fault"
	"troth/internal/keys"
	"troth/internal/store"
	"troth/internal/store/storetest"
)

func TestAMonthExpiresAndTheLogStillVerifies(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := open(t, db)
		ctx := context.Background()
		ten, ada := h.tenant(), h.account()
		e := Event{Type: "account.signed_in", Tenant: ten, Actor: Actor{Kind: KindPerson, Account: ada, Name: "Ada"}, Context: Context{IP: netip.MustParseAddr("192.0.2.7")}}
		old := h.append(e)
		h.sequence()
		h.clock.add(40 * 24 * time.Hour)
		if err := h.log.PrepareMonths(ctx); err != nil {
			t.Fatal(err)
		}
		young := h.append(e)
		h.sequence()
		if n, err := h.log.Expire(ctx, ClassAudit, 60*24*time.Hour); n != 0 || err != nil {
			t.Fatalf("%d months expired too early, %v", n, err)
		}
		if n, err := h.log.Expire(ctx, ClassAudit, 24*time.Hour); n != 1 || err != nil {
			t.Fatalf("%d months expired, %v", n, err)
		}
		h.sequence()
		if _, err := h.keys.Secret(ctx, keys.MonthRef(ClassAudit, monthOf(old))); fault.KindOf(err) != fault.Gone {
			t.Errorf("the month's key: %v", err)
		}
		if _, err := h.log.Get(ctx, ten, old); fault.KindOf(err) != fault.NotFound {
			t.Errorf("the expired event: %v", err)
		}
		if _, err := h.log.GetOwn(ctx, ada, old); fault.KindOf(err) != fault.NotFound {
			t.Errorf("the expired event among her own: %v", err)
		}
		if own := h.list(Filter{Account: ada}); len(own) != 1 || own[0].ID != young {
			t.Errorf("her activity: %+v", own)
		}
		platform := h.list(Filter{Tenant: "ten_00000000000000000000000000"})
		if len(platform) != 1 || platform[0].Sentence.String() != "Troth (retention) destroyed the audit events of 2026-11, which had expired" {
			t.Errorf("the platform's activity: %+v", platform)
		}
		for _, f := range h.check() {
			t.Errorf("found %v", &f)
		}
		checkProof(t, h, ten, young)
		checkExport(t, h)
		if n, err := h.log.Expire(ctx, ClassAudit, 24*time.Hour); n != 0 || err != nil {
			t.Errorf("%d months expired again, %v", n, err)
		}
	}, Migrations)
}

// TestAnEventOfAMonthThatNobodyPrepared: the clock was moved, or the job did
// not run. The action must not fail for it.
func TestAnEventOfAMonthThatNobodyPrepared(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := open(t, db)
		h.clock.add(200 * 24 * time.Hour)
		ten := h.tenant()
		event := h.append(Event{Type: "account.signed_in", Tenant: ten, Actor: Actor{Kind: KindSystem}})
		h.sequence()
		checkProof(t, h, ten, event)
	}, Migrations)
}
