package account

import (
	"errors"
	"testing"
	"time"

	"troth/internal/secret"
	"troth/internal/store"
)

// sweeps removes the counts whose time has come.
func (h *house) sweeps() {
	h.t.Helper()
	h.write(func(tx *store.Tx) error {
		_, err := guessRetention[0].Sweep(ctx, tx, h.clock.now())
		return err
	})
}

// shuts guesses at an address until waiting does not help, a while after each.
func (h *house) shuts(email string) {
	h.t.Helper()
	for n := range h.Config.Guessing.Limit {
		if err := h.guessAt(n, email); !errors.Is(err, errSignIn) {
			h.t.Fatal(err)
		}
		h.clock.add(h.Config.Guessing.Longest.D())
	}
}

// A hundred consecutive failures are a hundred, however slowly they come: nothing
// but the holder, a recovery or the operator gives strangers another one (SP
// 800-63B-4, 3.2.2).
func TestStrangersGetNoFurtherHundred(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		by, _ := h.person(ada, goodWord)
		looked := &looking{Hashing: h.hashing.Hashing}
		h.hashing.Hashing = looked
		for n := range 5 { // a year between every twenty-five
			for k := range 25 {
				_ = h.guessAt(25*n+k, ada)
				h.clock.add(h.Config.Guessing.Longest.D())
			}
			h.clock.add(365 * 24 * time.Hour)
			h.sweeps()
		}
		if n := looked.n.Load(); n != maxGuesses {
			t.Errorf("of 125 guesses in five years %d were looked at", n)
		}
		if _, err := h.SignIn(ctx, from("203.0.113.2"), attempt(ada, goodWord)); !errors.Is(err, errSignIn) {
			t.Errorf("the right password of a stranger: %v", err)
		}
		if kinds := h.kinds(ada); count(kinds, "account.unlock") != 2 {
			t.Errorf("the holder was sent %v", kinds)
		}
		if counted, err := h.Unlock(ctx, host(), by.Account); err != nil || !counted {
			t.Fatalf("the operator unlocks: %t, %v", counted, err)
		}
		if _, err := h.SignIn(ctx, from("203.0.113.2"), attempt(ada, goodWord)); err != nil {
			t.Errorf("after that: %v", err)
		}
	})
}

// The second mail opens one browser, weeks after the link of the first has expired.
func TestMailWhenShut(t *testing.T) {
	h := sqlite(t)
	h.person(ada, goodWord)
	h.lock(ada)
	first := h.unlockLink(ada)
	h.clock.add(unlockLife)
	h.shuts(ada)
	second := h.unlockLink(ada)
	if _, err := h.PeekUnlock(ctx, first); !errors.Is(err, errGone) {
		t.Errorf("the first link: %v", err)
	}
	device, err := h.UnlockByLink(ctx, from("203.0.113.1"), second, secret.String{})
	if err != nil {
		t.Fatal(err)
	}
	h.lock(ada)
	if _, err := h.SignIn(ctx, from("203.0.113.1"), in(device, ada, goodWord)); err != nil {
		t.Errorf("in the browser in which it was unlocked: %v", err)
	}
}

// Counts that nobody would unlock are kept no longer than they say.
func TestCountsExpire(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		by, _ := h.person(ada, goodWord)
		device := h.known(ada, goodWord)
		_, _ = h.SignIn(ctx, stranger(), in(device, ada, newWord))
		h.write(func(tx *store.Tx) error {
			g := guess{of: ofSession, key: h.guess.t.Key("account.session", []byte(by.Session)), who: person{account: by.Account}}
			return h.countTx(tx, &g)
		})
		h.shuts("nobody@example.org")
		for _, step := range []struct {
			after time.Duration
			left  int
			what  string
		}{
			{0, 3, "now"}, {maxAbsolute, 2, "when the session must have ended"}, {DeviceLife - maxAbsolute, 0, "when the browser has forgotten"},
		} {
			h.clock.add(step.after)
			if h.sweeps(); h.rows("account_guess") != step.left {
				t.Errorf("%s there are %d counts", step.what, h.rows("account_guess"))
			}
		}
	})
}

// What was guessed at an address before it was somebody's keeps that person from
// nothing, whether the account is made with it or takes it later.
func TestGuessesBeforeTheAccount(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.shuts(ada)
		by, _ := h.person(ada, goodWord)
		h.shuts(adaNew)
		h.lock(ada)
		old, fresh := h.asks(by, ada, adaNew, false)
		h.agree(old)
		h.agree(fresh)
		if n := h.rows("account_guess"); n != 0 {
			t.Errorf("%d counts are left of which nobody could be freed", n)
		}
		if _, err := h.SignIn(ctx, from("203.0.113.1"), attempt(adaNew, goodWord)); err != nil {
			t.Errorf("the new address: %v", err)
		}
	})
}

// A destroyed account leaves no count.
func TestDestroyedIsNotCounted(t *testing.T) {
	h := sqlite(t)
	by, _ := h.person(ada, goodWord)
	h.shuts(ada)
	if _, err := h.Destroy(ctx, host(), by.Account, false); err != nil {
		t.Fatal(err)
	}
	if n := h.rows("account_guess"); n != 0 {
		t.Errorf("%d counts are left", n)
	}
}
