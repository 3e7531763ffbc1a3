package audit

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/store"
	"troth/internal/store/storetest"
)

func failed(ip string) Event {
	return Event{Type: "account.sign_in_failed", Actor: Actor{Kind: KindStranger}, Context: Context{IP: netip.MustParseAddr(ip), Agent: "curl"}}
}

func (h *house) refuse(e Event) {
	h.t.Helper()
	if err := h.log.Refused(context.Background(), e); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) list(f Filter) []Entry {
	h.t.Helper()
	entries, _, err := h.log.List(context.Background(), f)
	if err != nil {
		h.t.Fatal(err)
	}
	return entries
}

func TestAFloodIsWrittenInAggregate(t *testing.T) {
	h := sqlite(t)
	for i := range 500 {
		h.refuse(failed(fmt.Sprintf("203.0.113.%d", i%250))) // one network
	}
	h.refuse(failed("198.51.100.1"))
	platform := Filter{Tenant: "ten_00000000000000000000000000", Limit: 100}
	if n := len(h.list(platform)); n != floodEach+1 {
		t.Fatalf("%d were written singly, want %d of the flood and the other", n, floodEach)
	}
	h.clock.add(floodWindow)
	if err := h.log.flush(context.Background(), false); err != nil {
		t.Fatal(err)
	}
	entries := h.list(platform)
	if len(entries) != floodEach+2 || entries[0].Metadata["repeated"] != "490" {
		t.Fatalf("after the window there are %d entries, the last %+v", len(entries), entries[0])
	}
	if s := entries[0].Sentence.String(); !strings.HasPrefix(s, "Somebody who was not signed in failed to sign in from the network 203.0.113.0/24, 490 times from 2026-11-21T") {
		t.Errorf("it says %q", s)
	}
	if len(h.log.refused.windows) != 0 {
		t.Errorf("%d windows stayed", len(h.log.refused.windows))
	}
}

func TestAFloodFromEverywhereHasBoundedMemoryAndWrites(t *testing.T) {
	h := sqlite(t)
	const from = 3 * floodWindows
	for i := range from {
		h.refuse(failed(fmt.Sprintf("10.%d.%d.1", i/256, i%256)))
	}
	if n := len(h.log.refused.windows); n > floodWindows+len(testTypes) {
		t.Errorf("%d windows are held", n)
	}
	if err := h.log.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
	var rows int
	err := h.db.Read(context.Background(), func(tx *store.Tx) error {
		return tx.QueryRow(`SELECT count(*) FROM audit_event`).Scan(&rows)
	})
	if err != nil || rows > from*2/3 {
		t.Errorf("%d rows for %d refusals, %v", rows, from, err)
	}
}

// A stranger who has used up what is written at once learns nothing from the
// time of the next answer: whichever tenant it is about, it is counted. It is
// not lost, and stands in its own tenant.
func TestAStrangersFloodIsBoundedOverAllTenants(t *testing.T) {
	h := sqlite(t)
	for range floodEach {
		h.refuse(failed("203.0.113.1"))
	}
	elsewhere := failed("203.0.113.77") // the same network
	tenant := h.tenant()
	elsewhere.Tenant = tenant
	h.refuse(elsewhere)
	if n := len(h.list(Filter{Tenant: tenant})); n != 0 {
		t.Errorf("%d are written at once beyond the bound", n)
	}
	if err := h.log.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
	if e := h.list(Filter{Tenant: tenant}); len(e) != 1 || e[0].Metadata["repeated"] != "" {
		t.Errorf("the tenant's log has %+v", e)
	}
	elsewhere.Context.IP = netip.MustParseAddr("198.51.100.7") // another network
	h.refuse(elsewhere)
	if n := len(h.list(Filter{Tenant: tenant})); n != 2 {
		t.Errorf("another network's is not written at once: %d", n)
	}
	h.clock.add(floodWindow)
	elsewhere.Context.IP = netip.MustParseAddr("203.0.113.77")
	h.refuse(elsewhere)
	if n := len(h.list(Filter{Tenant: tenant})); n != 3 {
		t.Errorf("in the next minute it is still counted: %d", n)
	}
}

// The checks of the installation share a network, and each sees its own refusals.
func TestTheChecksAreNoFlood(t *testing.T) {
	h := sqlite(t)
	for i := range 3 * floodEach {
		h.refuse(failed(fmt.Sprintf("192.0.2.%d", 1+i)))
	}
	if n := len(h.list(Filter{Tenant: id.Platform, Limit: 100})); n != 3*floodEach {
		t.Errorf("%d are written at once", n)
	}
}

// TestARefusalThatCannotBeWrittenIsAnError: then the caller refuses for this.
func TestARefusalThatCannotBeWrittenIsAnError(t *testing.T) {
	o := storetest.SQLiteOptions(t)
	broken := false
	o.Fault = func(op string) store.Outcome {
		if broken && op == "write" {
			return store.Lost
		}
		return store.Works
	}
	h := open(t, storetest.Open(t, o, Migrations))
	broken = true
	for range floodEach {
		if err := h.log.Refused(context.Background(), failed("203.0.113.1")); fault.KindOf(err) != fault.Unavailable {
			t.Fatalf("with a broken store: %v", err)
		}
	}
	h.refuse(failed("203.0.113.1")) // counted
	if err := h.log.Flush(context.Background()); err == nil {
		t.Fatal("the flush succeeded on a broken store")
	}
	h.clock.add(floodPatience + time.Second)
	if err := h.log.Refused(context.Background(), failed("203.0.113.1")); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("counts that nobody can write are still taken: %v", err)
	}
	broken = false
	if err := h.log.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
	if e := h.list(Filter{Tenant: "ten_00000000000000000000000000"}); len(e) != 1 || e[0].Metadata["repeated"] != "" {
		t.Errorf("what was counted while the store was broken: %+v", e)
	}
	h.refuse(failed("203.0.113.1"))
}
