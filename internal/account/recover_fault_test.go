package account

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"troth/internal/fault"
	"troth/internal/secret"
	"troth/internal/store"
	"troth/internal/store/storetest"
)

// The N-th write fails, lost or persisted, for every N, on the way from one
// address to another, back, and through a recovery: nothing is half done, trying
// again works, and in the end everything is as if nothing had failed.
func TestRecoveryFaultSweep(t *testing.T) {
	for name, outcome := range map[string]store.Outcome{"lost": store.Lost, "persisted": store.Persisted} {
		t.Run(name, func(t *testing.T) {
			for n := int64(1); moves(t, outcome, n); n++ {
				if n > 100 {
					t.Fatal("the sweep does not end")
				}
			}
		})
	}
}

// moves goes all the way with one fault, and reports whether it struck.
func moves(t *testing.T, outcome store.Outcome, n int64) bool {
	t.Helper()
	var seen atomic.Int64
	var armed, struck atomic.Bool
	o := storetest.SQLiteOptions(t)
	o.Fault = func(which string) store.Outcome {
		if which == "write" && armed.Load() && seen.Add(1) == n {
			struck.Store(true)
			return outcome
		}
		return store.Works
	}
	h, by, _, p := lost(t, storetest.Open(t, o, schema()...))
	over := false // it was done, and nobody heard of it: the mails of the test are lost with the answer
	try := func(what string, act func() error) {
		t.Helper()
		if over {
			return
		}
		armed.Store(true)
		err := act()
		armed.Store(false)
		if err == nil {
			return
		}
		if !struck.Load() || errors.Is(err, errGone) || fault.KindOf(err) == fault.Invalid {
			t.Fatalf("fault %d: %s: %v", n, what, err)
		}
		again := act()
		done := outcome == store.Persisted && (fault.KindOf(again) == fault.Gone || fault.KindOf(again) == fault.Conflict)
		if again != nil && !done {
			t.Fatalf("fault %d: %s again: %v", n, what, again)
		}
		over = done || what == "advance" && outcome == store.Persisted
	}
	agree := func(address, kind string) func() error {
		return func() error {
			_, token := h.newest(address, kind)
			_, err := h.AgreeAddress(ctx, stranger(), token)
			return err
		}
	}
	try("ask for an address", func() error { return h.AskAddress(ctx, by, adaNew, false) })
	try("agree from the old one", agree(ada, "account.address_old"))
	try("agree from the new one", agree(adaNew, "account.address_new"))
	if !over {
		h.ends(n, adaNew, ada)
	}
	try("undo", func() error {
		_, token := h.newest(ada, "account.address_replaced")
		_, err := h.UndoAddress(ctx, stranger(), token)
		return err
	})
	if !over {
		h.ends(n, ada, adaNew)
	}
	try("ask for a link", func() error { return h.AskRecovery(ctx, stranger(), ada) })
	try("begin", func() error {
		_, token := h.newest(ada, "account.regain")
		_, err := h.BeginRecovery(ctx, stranger(), token)
		return err
	})
	h.clock.add(73 * time.Hour)
	try("advance", func() error { return h.Advance(ctx) })
	try("finish", func() error {
		_, token := h.newest(ada, "account.recovery_ready")
		return h.FinishRecovery(ctx, stranger(), token, secret.Of(newWord))
	})
	if over {
		return true
	}
	if p.has[by.Account] {
		t.Fatalf("fault %d: the factor is still there", n)
	}
	h.signIn(ada, newWord)
	return struck.Load()
}

// ends fails unless one of two addresses is the account's, and the other nobody's.
func (h *house) ends(n int64, is, was string) {
	h.t.Helper()
	if _, err := h.Find(ctx, host(), is); err != nil {
		h.t.Fatalf("fault %d: %s has no account: %v", n, is, err)
	}
	if _, err := h.Find(ctx, host(), was); fault.KindOf(err) != fault.NotFound {
		h.t.Fatalf("fault %d: %s still has an account: %v", n, was, err)
	}
}
