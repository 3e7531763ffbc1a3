package passkey

import (
	"fmt"
	"slices"
	"sync/atomic"
	"testing"

	"troth/internal/access"
	"troth/internal/fault"
	"troth/internal/secret"
	"troth/internal/store"
	"troth/internal/store/storetest"
)

// The N-th operation of the store fails, lost or persisted, for every N: a
// passkey is there with its event or not at all, and trying again works.
func TestFaultSweep(t *testing.T) {
	for _, outcome := range []store.Outcome{store.Lost, store.Persisted} {
		for _, op := range []string{"write", "statement"} {
			t.Run(fmt.Sprintf("%s %v", op, outcome), func(t *testing.T) {
				n := int64(1)
				for life(t, op, outcome, n) {
					n += map[string]int64{"write": 1, "statement": 3}[op]
				}
				if n < 4 {
					t.Errorf("the sweep ended after %d faults", n)
				}
			})
		}
	}
}

// life makes a passkey, signs in with it and removes it, and reports whether
// the fault came to pass.
func life(t *testing.T, op string, outcome store.Outcome, n int64) bool {
	t.Helper()
	var count atomic.Int64
	var armed, hit atomic.Bool
	o := storetest.SQLiteOptions(t)
	o.Fault = func(did string) store.Outcome {
		if armed.Load() && did == op && count.Add(1) == n {
			hit.Store(true)
			return outcome
		}
		return store.Works
	}
	h := build(t, storetest.Open(t, o, schema()...))
	ada, d := h.person("ada"), newDevice()
	armed.Store(true)
	for try := range 2 { // whatever fails the first time succeeds the second
		err := h.tryLife(ada, d)
		if err == nil {
			break
		}
		if try == 1 || !hit.Load() {
			t.Fatalf("after fault %d of %s: %v", n, op, err)
		}
	}
	armed.Store(false)
	names := h.events(ada.Home)
	slices.Sort(names)
	added, removed := 0, 0
	for _, name := range names {
		switch name {
		case evAdded:
			added++
		case evRemoved:
			removed++
		}
	}
	if left := len(h.stored("passkey")); added-removed != left || left != 0 {
		t.Errorf("after fault %d of %s: %d were added, %d removed, %d are left: %v", n, op, added, removed, left, names)
	}
	return hit.Load()
}

func (h *house) tryLife(p person, d *device) error {
	options, err := h.BeginRegistration(ctx, p.by, p.Holder)
	if err != nil {
		return err
	}
	if _, err = h.FinishRegistration(ctx, p.by, p.Holder, "Laptop", d.create(h.t, options)); err != nil && fault.KindOf(err) != fault.Conflict {
		return err
	}
	browser := secret.NewToken()
	if options, err = h.BeginSignIn(ctx, browser); err != nil {
		return err
	}
	answer := d.sign(h.t, options)
	err = h.DB.Write(ctx, func(tx *store.Tx) error {
		tx.Unaudited("a test")
		r, err := h.SignInTx(ctx, tx, access.Subject{}, browser, answer)
		if err == nil && r.Refused != nil {
			err = r.Refused
		}
		return err
	})
	if err != nil {
		return err
	}
	list, err := h.List(ctx, p.by)
	if err != nil {
		return err
	}
	for _, k := range list {
		if err := h.Remove(ctx, p.by, k.ID); err != nil {
			return err
		}
	}
	return nil
}
