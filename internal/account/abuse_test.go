package account

import (
	"errors"
	"testing"
	"time"

	"troth/internal/fault"
	"troth/internal/secret"
)

// Something that claims to be a passkey beside a code saves nobody the password,
// nor the count: otherwise whoever has stolen a session would try codes without
// end, and learn which is right without using it up.
func TestNoCodesWithoutThePassword(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		l, account := locked(h, "totp")
		o, err := h.answer(h.attempt(secret.String{}), "totp", "1")
		if err != nil {
			t.Fatal(err)
		}
		by := h.who(o.Signed.Token)
		l.give(account, "totp", "right")
		try := func(code string) error {
			_, err := h.Again(ctx, by, secret.String{}, Answer{Kind: "totp", Code: secret.Of(code), Passkey: []byte("{}")})
			return err
		}
		for n := range h.Config.Guessing.Free {
			code := "wrong"
			if n == 1 {
				code = "right"
			}
			want(t, try(code), fault.Unauthenticated, "account.wrong_password")
		}
		want(t, try("wrong"), fault.TooMany, "account.paused")
	})
}

// Whoever knows the password begins sign-ins without end; the one in a browser
// that is known goes on.
func TestSignInsOfStrangersEndNoneOfAKnownBrowser(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		locked(h, "totp")
		first := h.attempt(secret.String{})
		if _, err := h.answer(first, "totp", "1"); err != nil {
			t.Fatal(err)
		}
		mine := h.attempt(first.Device)
		for range maxPending + 1 {
			h.clock.add(1000)
			h.attempt(secret.String{})
		}
		if _, err := h.answer(mine, "totp", "2"); err != nil {
			t.Errorf("the sign-in in the known browser: %v", err)
		}
	})
}

// During a pause too, a kind that is not set up is none: it would stand in the log.
func TestNoKindFromOutsideIsLogged(t *testing.T) {
	h := sqlite(t)
	locked(h, "totp")
	o := h.attempt(secret.String{})
	for range h.Config.Guessing.Free {
		_, _ = h.answer(o, "totp", "wrong")
	}
	if _, err := h.answer(o, "\x00<b>", "1"); !errors.Is(err, errNoOffer) {
		t.Errorf("an unknown kind was answered %v", err)
	}
}

// Whoever knows the password and reads the mailbox gets no further guesses at
// codes by mailed links: a hundred in all, until a right one.
func TestMailsBringNoFurtherCodes(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		l, account := locked(h, "totp")
		first := h.attempt(secret.String{})
		if _, err := h.answer(first, "totp", "1"); err != nil {
			t.Fatal(err)
		}
		looked := 0
		guess := func(device secret.String) secret.String {
			for {
				o := h.attempt(device)
				device = o.Device
				for {
					_, err := h.answer(o, "totp", "wrong")
					if code := fault.As(err).Code; code == "account.paused" {
						return device
					} else if code == "account.too_many_wrong" {
						break
					}
					looked++
				}
			}
		}
		for n := range 4 {
			h.clock.add(h.Config.Guessing.Longest.D())
			if err := h.AskUnlock(ctx, stranger(), ada); err != nil {
				t.Fatal(err)
			}
			device, err := h.UnlockByLink(ctx, stranger(), h.unlockLink(ada), secret.String{})
			if err != nil {
				t.Fatal(err)
			}
			guess(device)
			if n == 0 {
				guess(secret.String{})
			}
		}
		// Five at once for each count, and then one after each pause.
		if most := 2*h.Config.Guessing.Free + 3; looked > most {
			t.Errorf("%d codes were looked at, want at most %d", looked, most)
		}
		l.give(account, "totp", "8")
		if _, err := h.answer(h.attempt(first.Device), "totp", "8"); err != nil {
			t.Fatalf("in the known browser: %v", err)
		}
		l.give(account, "totp", "9")
		if _, err := h.answer(h.attempt(secret.String{}), "totp", "9"); err != nil {
			t.Errorf("in a new browser after a right code: %v", err)
		}
	})
}

// Who signed up by a link of the operator is signed in without ever having signed
// in in a browser: a first sign-in elsewhere is told all the same.
func TestTheFirstSignInBesideASessionIsTold(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		link, err := h.Admit(ctx, host())
		if err != nil {
			t.Fatal(err)
		}
		signed, err := h.SignUp(ctx, stranger(), owner(ada, tokenOf(t, link)))
		if err != nil {
			t.Fatal(err)
		}
		by := h.who(signed.Token)
		if _, err := h.Confirm(ctx, by, h.link(ada, PathConfirm), h.here()); err != nil {
			t.Fatal(err)
		}
		if h.enters(secret.String{}, vienna); len(h.notices()) != 1 {
			t.Errorf("a sign-in beside the session was told %d times", len(h.notices()))
		}
	})
}

// A clock that was a year ahead for a moment keeps nobody waiting for a year.
func TestPausesEndWhenTheClockIsRightAgain(t *testing.T) {
	h := sqlite(t)
	h.person(ada, goodWord)
	h.clock.add(365 * 24 * time.Hour)
	h.lock(ada)
	h.clock.add(-365 * 24 * time.Hour)
	_, _ = h.SignIn(ctx, from("203.0.113.1"), attempt(ada, goodWord)) // finds the budget of new networks spent
	h.clock.add(h.Config.Guessing.CrowdEvery.D())
	if _, err := h.SignIn(ctx, from("203.0.113.1"), attempt(ada, goodWord)); err != nil {
		t.Errorf("with the right password: %v", err)
	}
}
