package account

import (
	"errors"
	"strings"
	"testing"
	"time"

	"troth/internal/access"
	"troth/internal/fault"
	"troth/internal/secret"
	"troth/internal/store"
)

// unlockLink is the token of the newest link that unlocks.
func (h *house) unlockLink(email string) secret.String {
	h.t.Helper()
	return h.link(email, PathUnlock)
}

// The holder is told once, with a link that takes one browser out of the pause:
// whatever strangers do afterwards, that browser counts by itself.
func TestUnlockByLink(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		by, _ := h.person(ada, goodWord)
		before := len(h.post.to(ada))
		h.lock(ada)
		for n := range 3 { // further pauses bring no further mail
			h.clock.add(h.Config.Guessing.Longest.D())
			_ = h.guessAt(100+n, ada)
		}
		if n := len(h.post.to(ada)) - before; n != 1 {
			t.Fatalf("the holder was sent %d mails", n)
		}
		token := h.unlockLink(ada)
		for range 2 {
			if email, err := h.PeekUnlock(ctx, token); err != nil || email != ada {
				t.Errorf("peeking: %q, %v", email, err)
			}
		}
		device, err := h.UnlockByLink(ctx, from("203.0.113.1"), token, secret.String{})
		if err != nil || device.IsZero() {
			t.Fatalf("unlocking: %v", err)
		}
		if _, err := h.UnlockByLink(ctx, from("203.0.113.1"), token, secret.String{}); !errors.Is(err, errGone) {
			t.Errorf("the link works twice: %v", err)
		}
		h.lock(ada) // strangers go on
		for range h.Config.Guessing.NetworkBurst {
			_, _ = h.SignIn(ctx, from("203.0.113.1"), attempt("nobody@example.org", newWord)) // in the same network too
		}
		o, err := h.SignIn(ctx, from("203.0.113.1"), in(device, ada, goodWord))
		if err != nil {
			t.Fatalf("in the browser in which it was unlocked: %v", err)
		}
		if _, err := h.SignIn(ctx, from("203.0.113.1"), in(o.Device, ada, goodWord)); err != nil {
			t.Errorf("the next time: %v", err)
		}
		if n := count(h.events(by.Tenant), evUnlocked); n != 1 {
			t.Errorf("the log says %d times that it was unlocked", n)
		}
	})
}

// Unlocking signs nobody in, and a wrong password in that browser is wrong.
func TestUnlockingProvesNothing(t *testing.T) {
	h := sqlite(t)
	h.person(ada, goodWord)
	h.lock(ada)
	device, err := h.UnlockByLink(ctx, stranger(), h.unlockLink(ada), secret.String{})
	if err != nil {
		t.Fatal(err)
	}
	for range h.Config.Guessing.Free {
		if _, err := h.SignIn(ctx, stranger(), in(device, ada, newWord)); !errors.Is(err, errSignIn) {
			t.Fatalf("a wrong password: %v", err)
		}
	}
	if _, err := h.SignIn(ctx, stranger(), in(device, ada, goodWord)); !errors.Is(err, errSignIn) {
		t.Errorf("after too many wrong ones: %v", err)
	}
	h.clock.add(passLife)
	h.lock(ada)
	if _, err := h.SignIn(ctx, from("203.0.113.1"), in(device, ada, goodWord)); !errors.Is(err, errSignIn) {
		t.Errorf("a day later it still counts by itself: %v", err)
	}
}

// A browser that holds a token of another account keeps it.
func TestUnlockKeepsOtherAccounts(t *testing.T) {
	h := sqlite(t)
	h.person(ada, goodWord)
	h.person("bob@example.org", goodWord)
	device := h.known("bob@example.org", goodWord)
	h.lock(ada)
	given, err := h.UnlockByLink(ctx, stranger(), h.unlockLink(ada), device)
	if err != nil || !given.IsZero() {
		t.Fatalf("it was given another token, %v", err)
	}
	h.lock(ada)
	o, err := h.SignIn(ctx, stranger(), in(device, ada, goodWord))
	if err != nil {
		t.Fatal(err)
	}
	h.lock("bob@example.org")
	if _, err := h.SignIn(ctx, stranger(), in(o.Device, "bob@example.org", goodWord)); err != nil {
		t.Errorf("the other account in that browser: %v", err)
	}
}

// Whoever asks for a link gets the same answer for any address, and the mail goes
// to the holder.
func TestAskUnlock(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		by, _ := h.person(ada, goodWord)
		want(t, h.AskUnlock(ctx, stranger(), "x"), fault.Invalid, "mail.address")
		for _, email := range []string{"ADA@example.org", "nobody@example.org"} {
			if err := h.AskUnlock(ctx, stranger(), email); err != nil {
				t.Errorf("%s: %v", email, err)
			}
		}
		if len(h.post.to("nobody@example.org")) != 0 || count(h.events(by.Tenant), evUnlockAsked) != 1 {
			t.Error("a mail went to an address without an account, or nothing is in the log")
		}
		h.lock(ada)
		if _, err := h.UnlockByLink(ctx, stranger(), h.unlockLink(ada), secret.String{}); err != nil {
			t.Error(err)
		}
		if _, err := h.SignIn(ctx, stranger(), attempt(ada, goodWord)); err != nil {
			t.Errorf("after unlocking, a stranger: %v", err)
		}
	})
}

// Links that unlock live for two weeks, and only so long.
func TestUnlockLinksExpire(t *testing.T) {
	h := sqlite(t)
	h.person(ada, goodWord)
	h.lock(ada)
	token := h.unlockLink(ada)
	h.clock.add(unlockLife - time.Hour)
	if _, err := h.PeekUnlock(ctx, token); err != nil {
		t.Error(err)
	}
	h.clock.add(time.Hour)
	if _, err := h.UnlockByLink(ctx, stranger(), token, secret.String{}); !errors.Is(err, errGone) {
		t.Errorf("after two weeks: %v", err)
	}
	mail := h.post.to(ada)
	if body := mail[len(mail)-1].Body; !strings.Contains(body, "new to your account") || strings.Contains(body, goodWord) {
		t.Errorf("the mail says:\n%s", body)
	}
}

// A new password ends every pause: who has the mailbox is not kept waiting.
func TestANewPasswordUnlocks(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.person(ada, goodWord)
		h.lock(ada)
		if err := h.AskReset(ctx, stranger(), ada); err != nil {
			t.Fatal(err)
		}
		if err := h.Reset(ctx, stranger(), h.link(ada, PathReset), secret.Of(newWord)); err != nil {
			t.Fatal(err)
		}
		if _, err := h.SignIn(ctx, from("203.0.113.1"), attempt(ada, newWord)); err != nil {
			t.Errorf("after a new password: %v", err)
		}
	})
}

// Codes are counted as passwords are. Whoever knows the password and guesses at
// codes keeps strangers waiting, and not the holder's browser, nor a passkey.
func TestCodesArePausedForStrangersOnly(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		l, account := locked(h, "totp")
		first := h.attempt(secret.String{})
		done, err := h.answer(first, "totp", "1")
		if err != nil {
			t.Fatal(err)
		}
		device := first.Device
		if !done.Device.IsZero() {
			device = done.Device
		}
		for n := range h.Config.Guessing.Free {
			o := h.attempt(secret.String{})
			if _, err := h.answer(o, "totp", "wrong"); fault.KindOf(err) != fault.Unauthenticated {
				t.Fatalf("wrong code %d: %v", n+1, err)
			}
		}
		o := h.attempt(secret.String{})
		l.give(account, "totp", "2")
		_, err = h.answer(o, "totp", "2")
		want(t, err, fault.TooMany, "account.paused")
		l.give(account, "passkey", "3")
		if _, err := h.answer(o, "passkey", "3"); err != nil {
			t.Errorf("a passkey during the pause: %v", err)
		}
		l.give(account, "totp", "4")
		if _, err := h.answer(h.attempt(device), "totp", "4"); err != nil {
			t.Errorf("in the known browser: %v", err)
		}
		mails := h.post.to(ada)
		if last := mails[len(mails)-1]; last.Kind != "account.unlock" && !strings.Contains(mails[len(mails)-2].Kind, "unlock") {
			t.Errorf("the holder was sent %q last", last.Kind)
		}
	})
}

// One member of staff unlocks, for a reason that stands in the log, and the
// holder is told; nobody else does, and nobody for the own account.
func TestUnlockByStaff(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		by, _ := h.person(ada, goodWord)
		one := h.staff("one@staff.example")
		for _, c := range []struct {
			by            access.Subject
			email, reason string
			kind          fault.Kind
			code          string
		}{
			{stranger(), ada, "called us", fault.Unauthenticated, "account.sign_in"},
			{by, "one@staff.example", "called us", fault.Denied, "access.denied"},
			{one, "x", "called us", fault.Invalid, "mail.address"},
			{one, ada, "", fault.Invalid, "account.reason"},
			{one, "nobody@example.org", "called us", fault.NotFound, "account.unknown"},
			{one, "one@staff.example", "lost my key", fault.Denied, "account.own_unlock"},
		} {
			_, err := h.UnlockFor(ctx, c.by, c.email, c.reason)
			want(t, err, c.kind, c.code)
		}
		h.shuts(ada)
		h.shuts("nobody@example.org")
		link := h.unlockLink(ada)
		h.write(func(tx *store.Tx) error { // and at her codes
			g := guess{of: ofStrangers, key: h.codesKey(by.Account), who: person{account: by.Account}}
			return h.countTx(tx, &g)
		})
		if locked, err := h.UnlockFor(ctx, one, "ADA@example.org", "called us, passport seen"); err != nil || !locked {
			t.Fatalf("%t, %v", locked, err)
		}
		if _, err := h.SignIn(ctx, from("203.0.113.2"), attempt(ada, goodWord)); err != nil {
			t.Errorf("the holder in a new browser: %v", err)
		}
		if _, err := h.PeekUnlock(ctx, link); !errors.Is(err, errGone) {
			t.Errorf("the link that would do it again: %v", err)
		}
		if h.rows("account_guess") != 1 {
			t.Error("another's guesses were forgotten too")
		}
		if locked, err := h.UnlockFor(ctx, one, ada, "called us again"); err != nil || locked {
			t.Errorf("once more: %t, %v", locked, err)
		}
		if n := count(h.kinds(ada), "account.unlocked"); n != 2 {
			t.Errorf("the holder was told %d times", n)
		}
		if n := count(h.events(by.Tenant), evUnlockedFor); n != 2 {
			t.Errorf("the log says it %d times", n)
		}
	})
}
