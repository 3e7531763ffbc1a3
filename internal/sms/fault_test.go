package sms

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"troth/internal/fault"
	"troth/internal/jobs"
	"troth/internal/store"
	"troth/internal/store/storetest"
)

// The nth operation of the store fails, lost or persisted: a text is sent, at
// most twice, and nothing stays behind.
func TestFaultSweep(t *testing.T) {
	for _, outcome := range []store.Outcome{store.Lost, store.Persisted} {
		for _, op := range []string{"write", "read", "statement"} {
			t.Run(fmt.Sprintf("%s %v", op, outcome), func(t *testing.T) {
				for n := int64(1); swept(t, op, outcome, n); n++ {
					if n > 100 {
						t.Fatal("the sweep does not end")
					}
				}
			})
		}
	}
}

// swept sends a text with one fault, and reports whether it struck.
func swept(t *testing.T, op string, outcome store.Outcome, n int64) bool {
	t.Helper()
	var seen atomic.Int64
	var armed, struck atomic.Bool
	o := storetest.SQLiteOptions(t)
	o.Fault = func(which string) store.Outcome {
		if which == op && armed.Load() && seen.Add(1) == n {
			struck.Store(true)
			return outcome
		}
		return store.Works
	}
	h := build(t, storetest.Open(t, o, Migrations, jobs.Migrations))
	armed.Store(true)
	if err := h.send(h.account, h.home, berlin); err != nil {
		if !struck.Load() || fault.KindOf(err) == fault.Invalid {
			t.Fatalf("fault %d: queueing: %v", n, err)
		}
		armed.Store(false)
		if len(h.queued()) == 0 { // it did not happen: the person tries again
			if err := h.send(h.account, h.home, berlin); err != nil {
				t.Fatalf("fault %d: queueing again: %v", n, err)
			}
		}
	}
	for range 3 {
		armed.Store(false)
		waiting := h.queued()
		armed.Store(true)
		for _, r := range waiting {
			if err := h.Queue().Run(ctx, payload(r.tenant, r.id)); err != nil && !struck.Load() {
				t.Fatalf("fault %d: sending: %v", n, err)
			}
		}
	}
	armed.Store(false)
	if left := h.queued(); len(left) != 0 {
		t.Fatalf("fault %d: %d texts are left", n, len(left))
	}
	if took := len(h.sender.took); took < 1 || took > 2 {
		t.Fatalf("fault %d: %d texts were sent", n, took)
	}
	return struck.Load()
}

// What is wrong with ourselves counts as no attempt, and a work item that names
// nothing is told.
func TestWorkItems(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		for _, bad := range []string{"", "/", "ten_x/txt_x", string(h.home), string(h.home) + "/eml_00000000000000000000000000"} {
			if err := h.Queue().Run(ctx, []byte(bad)); err == nil {
				t.Errorf("the work item %q is done", bad)
			}
		}
		if err := h.send(h.account, h.home, berlin); err != nil {
			t.Fatal(err)
		}
		h.sender.fail = fault.New(fault.Unavailable, "keys.unavailable", "The keys are out of reach.")
		for range maxAttempts + 2 {
			if errs := h.run(); errs[0] == nil {
				t.Fatal("an attempt that could not be made is said to be done")
			}
		}
		if q := h.queued(); len(q) != 1 || q[0].attempts != 0 {
			t.Fatalf("the outbox holds %+v", q)
		}
		h.sender.fail = nil
		r := h.queued()[0]
		if errs := h.run(); errs[0] != nil || len(h.sender.took) != 1 {
			t.Fatal(errs)
		}
		// Done again, as after a crash: nothing is sent a second time.
		if err := h.Queue().Run(ctx, payload(r.tenant, r.id)); err != nil || len(h.sender.took) != 1 {
			t.Errorf("%v, sent %d times", err, len(h.sender.took))
		}
		if err := h.db.Write(ctx, func(tx *store.Tx) error {
			return h.SendTx(tx, Text{Kind: "x", To: berlin, Account: h.account, Tenant: h.home, Body: ""})
		}); err == nil || errors.As(err, new(*fault.Error)) {
			t.Errorf("an empty text: %v", err)
		}
	})
}
