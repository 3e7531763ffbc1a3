package account

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"troth/internal/access"
	"troth/internal/config"
	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/secret"
	"troth/internal/store"
	"troth/internal/store/storetest"
)

// pocket is a second factor that accounts of a test have, or have lost.
type pocket struct{ has map[id.Account]bool }

func newPocket() *pocket { return &pocket{has: map[id.Account]bool{}} }

func (p *pocket) OffersTx(_ context.Context, _ *store.Tx, account id.Account) ([]Offer, error) {
	if !p.has[account] {
		return nil, nil
	}
	return []Offer{{Kind: "totp", Label: "Phone", Counts: true}}, nil
}

func (p *pocket) BeginTx(context.Context, *store.Tx, Question) ([]byte, error) { return nil, nil }

func (p *pocket) AnswerTx(_ context.Context, _ *store.Tx, _ Question, with Answer) ([]string, error) {
	if with.Code.Reveal() != pocketCode {
		return nil, nil
	}
	return []string{"otp"}, nil
}

func (p *pocket) ForgetTx(tx *store.Tx, account id.Account) error {
	tx.AfterCommit(func() { delete(p.has, account) })
	return nil
}

const pocketCode = "246810"

// lost is a house with somebody whose second factor is lost.
func lost(t *testing.T, db *store.DB) (h *house, by access.Subject, s Signed, p *pocket) {
	t.Helper()
	p = newPocket()
	h = build(t, db, func(o *Options) { o.Factors = []Factors{p} })
	by, s = h.person(ada, goodWord)
	p.has[by.Account] = true
	return h, by, s, p
}

// regain asks for a recovery and returns the token that proves the mailbox.
func (h *house) regain(email string) secret.String {
	h.t.Helper()
	if err := h.AskRecovery(ctx, stranger(), email); err != nil {
		h.t.Fatal(err)
	}
	_, token := h.newest(email, "account.regain")
	return token
}

// begins makes a recovery wait.
func (h *house) begins(email string) time.Time {
	h.t.Helper()
	due, err := h.BeginRecovery(ctx, stranger(), h.regain(email))
	if err != nil {
		h.t.Fatal(err)
	}
	return due
}

// From the first mail to the last: the mailbox is proven, everything waits, the
// holder is told, then the factor is gone and the password is another.
func TestRecovery(t *testing.T) {
	storeEach(t, func(t *testing.T, db *store.DB) {
		h, by, s, p := lost(t, db)
		first := h.regain(ada)
		if v, err := h.PeekRecovery(ctx, first); err != nil || v.Waits() || v.Delay != 72*time.Hour || v.Email != ada {
			t.Fatalf("the link says %+v, %v", v, err)
		}
		if err := h.FinishRecovery(ctx, stranger(), first, secret.Of(newWord)); !errors.Is(err, errGone) {
			t.Fatalf("a recovery is finished that nobody asked for: %v", err)
		}
		due, err := h.BeginRecovery(ctx, stranger(), first)
		if err != nil || due.Sub(h.clock.now()) > 72*time.Hour || due.Sub(h.clock.now()) < 71*time.Hour {
			t.Fatalf("it is due %v, %v", due, err)
		}
		if _, err := h.BeginRecovery(ctx, stranger(), first); !errors.Is(err, errGone) {
			t.Errorf("a link is used twice: %v", err)
		}
		if !p.has[by.Account] || !h.signedIn(s.Token) {
			t.Fatal("something happened before its time")
		}
		h.advance(71 * time.Hour)
		early := h.regain(ada)
		if err := h.FinishRecovery(ctx, stranger(), early, secret.Of(newWord)); !errors.Is(err, errGone) {
			t.Fatalf("an hour too early: %v", err)
		}
		h.advance(2 * time.Hour)
		_, token := h.newest(ada, "account.recovery_ready")
		if v, err := h.PeekRecovery(ctx, token); err != nil || !v.Ready {
			t.Fatalf("the link says %+v, %v", v, err)
		}
		if err := h.FinishRecovery(ctx, stranger(), token, secret.Of("short")); fault.KindOf(err) != fault.Invalid {
			t.Fatalf("a bad password: %v", err)
		}
		if err := h.FinishRecovery(ctx, stranger(), token, secret.Of(newWord)); err != nil {
			t.Fatal(err)
		}
		if p.has[by.Account] || h.signedIn(s.Token) {
			t.Error("the factor is still there, or a session goes on")
		}
		h.cannot(ada, goodWord)
		h.signIn(ada, newWord)
		h.newest(ada, "account.recovered")
		if err := h.FinishRecovery(ctx, stranger(), token, secret.Of(goodWord)); !errors.Is(err, errGone) {
			t.Errorf("a link is used twice: %v", err)
		}
		names := h.events(by.Tenant)
		for _, name := range []string{evRecoveryLink, evRecoveryAsked, evRecoveryReady, evRecovered} {
			if !slices.Contains(names, name) {
				t.Errorf("the log has no %s: %v", name, names)
			}
		}
		if n := h.rows("account_recovery"); n != 0 {
			t.Errorf("%d recoveries are left", n)
		}
	})
}

// The holder is told at once, every day and at half time, each time with a link
// that stops it, and that link works.
func TestRecoveryIsTold(t *testing.T) {
	for _, delay := range []time.Duration{24 * time.Hour, 72 * time.Hour, 14 * 24 * time.Hour} {
		h, _, _, _ := lost(t, storeOne(t))
		h.Config.RecoveryDelay = config.Duration(delay)
		h.begins(ada)
		for passed := time.Duration(0); passed < delay-time.Hour; passed += time.Hour {
			h.advance(time.Hour)
		}
		var times int
		for _, kind := range h.kinds(ada) {
			if kind == "account.recovery_waits" {
				times++
			}
		}
		if least := max(2, int(delay/(24*time.Hour))); times < least || times > least+2 {
			t.Errorf("in %v the holder was told %d times", delay, times)
		}
		_, token := h.newest(ada, "account.recovery_waits")
		if err := h.StopRecovery(ctx, stranger(), token); err != nil {
			t.Fatal(err)
		}
		if err := h.StopRecovery(ctx, stranger(), token); !errors.Is(err, errGone) {
			t.Errorf("a link is used twice: %v", err)
		}
		h.newest(ada, "account.recovery_stopped")
		h.advance(2 * delay)
		if slices.Contains(h.kinds(ada), "account.recovery_ready") {
			t.Error("it goes on although it was stopped")
		}
	}
}

// An address that was replaced lately is told too, and can stop it: whoever
// took the account over by its mailbox does not silence its holder.
func TestFormerAddressStopsRecovery(t *testing.T) {
	h, by, _, _ := lost(t, storeOne(t))
	old, fresh := h.asks(by, ada, adaNew, false)
	h.agree(old)
	h.agree(fresh)
	h.begins(adaNew)
	_, token := h.newest(ada, "account.recovery_waits")
	if err := h.StopRecovery(ctx, stranger(), token); err != nil {
		t.Fatal(err)
	}
	h.newest(ada, "account.recovery_stopped")
	h.newest(adaNew, "account.recovery_stopped")
}

// Whoever is signed in sees what waits, and stops it.
func TestHolderStopsRecovery(t *testing.T) {
	h, by, _, _ := lost(t, storeOne(t))
	if v, err := h.OwnRecovery(ctx, by); err != nil || v.Waits() {
		t.Fatalf("%+v, %v", v, err)
	}
	want(t, h.StopOwnRecovery(ctx, by), fault.Gone, "account.link_gone")
	due := h.begins(ada)
	if v, err := h.OwnRecovery(ctx, by); err != nil || !v.DueAt.Equal(due) || v.Staff {
		t.Fatalf("%+v, %v", v, err)
	}
	if err := h.StopOwnRecovery(ctx, by); err != nil {
		t.Fatal(err)
	}
	if v, err := h.OwnRecovery(ctx, by); err != nil || v.Waits() {
		t.Errorf("%+v, %v", v, err)
	}
}

// One recovery at a time: asking again does not begin the wait anew.
func TestOneRecoveryAtATime(t *testing.T) {
	h, by, _, _ := lost(t, storeOne(t))
	due := h.begins(ada)
	h.advance(2 * time.Hour)
	_, err := h.BeginRecovery(ctx, stranger(), h.regain(ada))
	want(t, err, fault.Conflict, "account.recovery_waits")
	if v, _ := h.OwnRecovery(ctx, by); !v.DueAt.Equal(due) {
		t.Errorf("it is due %v now, and was %v", v.DueAt, due)
	}
}

// A week after its time the recovery is over; within it, a link that came too
// late is replaced by another one.
func TestRecoveryIsNotForEver(t *testing.T) {
	h, _, _, p := lost(t, storeOne(t))
	h.begins(ada)
	h.advance(73 * time.Hour)
	_, token := h.newest(ada, "account.recovery_ready")
	h.advance(25 * time.Hour)
	if err := h.FinishRecovery(ctx, stranger(), token, secret.Of(newWord)); !errors.Is(err, errGone) {
		t.Fatalf("a link lives for more than a day: %v", err)
	}
	late := h.regain(ada)
	if v, err := h.PeekRecovery(ctx, late); err != nil || !v.Ready {
		t.Fatalf("%+v, %v", v, err)
	}
	h.advance(recoveryOpen)
	if err := h.FinishRecovery(ctx, stranger(), late, secret.Of(newWord)); !errors.Is(err, errGone) {
		t.Fatalf("after a week: %v", err)
	}
	if len(p.has) != 1 {
		t.Error("the factor is gone")
	}
	h.begins(ada)
}

// A reset by mail sets a password, and leaves the second factor where it is.
func TestResetKeepsFactors(t *testing.T) {
	h, by, _, p := lost(t, storeOne(t))
	if err := h.AskReset(ctx, stranger(), ada); err != nil {
		t.Fatal(err)
	}
	if err := h.Reset(ctx, stranger(), h.link(ada, PathReset), secret.Of(newWord)); err != nil {
		t.Fatal(err)
	}
	if !p.has[by.Account] {
		t.Error("a reset removes the second factor")
	}
}

// Without a second factor there is nothing to recover but the password.
func TestRecoveryWithoutFactorIsAReset(t *testing.T) {
	h := sqlite(t)
	h.person(ada, goodWord)
	if err := h.AskRecovery(ctx, stranger(), ada); err != nil {
		t.Fatal(err)
	}
	if err := h.Reset(ctx, stranger(), h.link(ada, PathReset), secret.Of(newWord)); err != nil {
		t.Fatal(err)
	}
}

// Strangers can cause as many mails by this as by resetting a password.
func TestRecoveryMailsAreBounded(t *testing.T) {
	h, _, _, _ := lost(t, storeOne(t))
	before := len(h.kinds(ada))
	for range 20 {
		if err := h.AskRecovery(ctx, stranger(), ada); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(h.kinds(ada)) - before; n != fromOneNetwork {
		t.Errorf("%d mails", n)
	}
}

// A recovery unlocks: what others guessed is forgotten with the password at which
// they did.
func TestRecoveryUnlocks(t *testing.T) {
	h, by, _, _ := lost(t, storeOne(t))
	h.begins(ada)
	h.advance(73 * time.Hour)
	_, token := h.newest(ada, "account.recovery_ready")
	for range h.Config.Guessing.Free + 2 {
		h.cannot(ada, newWord)
	}
	if h.rows("account_guess") == 0 {
		t.Fatal("nothing was counted")
	}
	if err := h.FinishRecovery(ctx, stranger(), token, secret.Of(newWord)); err != nil {
		t.Fatal(err)
	}
	if now, _ := h.signIn(ada, newWord); now.Account != by.Account {
		t.Error("the holder cannot sign in")
	}
}

// young is passkeys that were added at a time.
type young struct {
	pocket
	since time.Time
}

func (y *young) OffersTx(_ context.Context, _ *store.Tx, account id.Account) ([]Offer, error) {
	if !y.has[account] {
		return nil, nil
	}
	return []Offer{{Kind: kindPasskey, Counts: true, Resistant: true, Since: y.since}}, nil
}

// Whoever got in for a minute and added a passkey does not keep the holder out
// with it, neither by signing in nor by deactivating the account; one that was
// there a week before, and one beside the password, stop a recovery.
func TestPasskeyOfAnotherDoesNotStopRecovery(t *testing.T) {
	storeEach(t, func(t *testing.T, db *store.DB) {
		k, y := &touch{}, &young{pocket: *newPocket()}
		h := build(t, db, func(o *Options) { o.Factors, o.Passkeys = []Factors{y}, k })
		by, _ := h.person(ada, goodWord)
		y.has[by.Account], y.since = true, h.clock.now()
		k.shows(by.Account, "swk", "user", "mfa")
		h.begins(ada)
		waits := func(want bool, when string) {
			t.Helper()
			if v, err := h.OwnRecovery(ctx, by); err != nil || v.Waits() != want {
				t.Errorf("%s: it waits: %v, %v", when, v.Waits(), err)
			}
		}
		in := func() access.Subject {
			t.Helper()
			out, err := h.touched(stranger())
			if err != nil || out.Next != StepNone {
				t.Fatalf("the outcome is %+v, %v", out, err)
			}
			return h.who(out.Signed.Token)
		}
		thief := in()
		waits(true, "after a sign-in with a young passkey")
		want(t, h.StopOwnRecovery(ctx, thief), fault.Conflict, "account.young_passkey")
		if err := h.Deactivate(ctx, thief); err != nil {
			t.Fatal(err)
		}
		out, err := h.touched(stranger())
		if err != nil || out.Next != StepReactivate {
			t.Fatalf("the outcome is %+v, %v", out, err)
		}
		if out, err = h.Return(ctx, stranger(), out.Pending); err != nil {
			t.Fatal(err)
		}
		waits(true, "after the account rested")
		thief = h.who(out.Signed.Token)
		thief.AMR = append([]string{amrPassword}, thief.AMR...)
		if err := h.StopOwnRecovery(ctx, thief); err != nil {
			t.Errorf("with the password: %v", err)
		}
		waits(false, "after it was stopped")

		h.advance(8 * 24 * time.Hour)
		h.begins(ada)
		in()
		waits(false, "after a sign-in with a passkey that was there before")
	})
}

// staff is a member of staff as one that is signed in.
func (h *house) staff(email string) access.Subject {
	h.t.Helper()
	by, _ := h.person(email, goodWord)
	if _, err := h.SetStaff(ctx, host(), by.Account, StaffSupport); err != nil {
		h.t.Fatal(err)
	}
	return h.helping(by)
}

// helping is a member of staff whose session may do what staff may.
func (h *house) helping(by access.Subject) access.Subject {
	h.t.Helper()
	s, err := h.Access.Person(ctx, access.SignedIn{Account: by.Account, Tenant: by.Tenant, Staff: true, Factor: true, Resistant: true, AMR: []string{"hwk", "user", "mfa"}, AuthAt: h.clock.now()})
	if err != nil {
		h.t.Fatal(err)
	}
	return s
}

// Two members of staff, neither of them its subject; then it waits, and the
// holder finishes it or stops it.
func TestStaffRecovery(t *testing.T) {
	storeEach(t, func(t *testing.T, db *store.DB) {
		h, by, _, p := lost(t, db)
		one, two := h.staff("one@staff.example"), h.staff("two@staff.example")
		_, err := h.OpenRecovery(ctx, by, ada, "called us")
		want(t, err, fault.Denied, "access.denied")
		_, err = h.OpenRecovery(ctx, one, "nobody@example.org", "called us")
		want(t, err, fault.NotFound, "account.unknown")
		_, err = h.OpenRecovery(ctx, one, ada, "")
		want(t, err, fault.Invalid, "account.reason")
		_, err = h.OpenRecovery(ctx, one, "one@staff.example", "lost my key")
		want(t, err, fault.Denied, "account.own_rescue")
		which, err := h.OpenRecovery(ctx, one, ada, "called us, passport seen")
		if err != nil {
			t.Fatal(err)
		}
		_, err = h.OpenRecovery(ctx, two, ada, "once more")
		want(t, err, fault.Conflict, "account.recovery_open")
		_, err = h.ApproveRecovery(ctx, one, which)
		want(t, err, fault.Denied, "account.same_hands")
		_, err = h.ApproveRecovery(ctx, h.helping(by), which)
		want(t, err, fault.Denied, "account.own_rescue")
		_, err = h.ApproveRecovery(ctx, by, which)
		want(t, err, fault.Denied, "access.denied")
		if slices.Contains(h.kinds(ada), "account.recovery_waits") {
			t.Error("the holder is told before it was approved")
		}
		if v, _ := h.OwnRecovery(ctx, by); v.Waits() {
			t.Error("it waits before it was approved")
		}
		list, err := h.StaffRecoveries(ctx, one)
		if err != nil || len(list) != 1 || list[0].Reason != "called us, passport seen" || list[0].Email != ada || list[0].Opened != "Ada Byron" || !list[0].Mine {
			t.Fatalf("the list is %+v, %v", list, err)
		}
		due, err := h.ApproveRecovery(ctx, two, which)
		if err != nil || due.Sub(h.clock.now()) > 24*time.Hour {
			t.Fatalf("due %v, %v", due, err)
		}
		_, err = h.ApproveRecovery(ctx, two, which)
		want(t, err, fault.NotFound, "account.no_recovery")
		h.newest(ada, "account.recovery_waits")
		h.advance(13 * time.Hour)
		h.advance(12 * time.Hour)
		_, token := h.newest(ada, "account.recovery_ready")
		if err := h.FinishRecovery(ctx, stranger(), token, secret.Of(newWord)); err != nil {
			t.Fatal(err)
		}
		if p.has[by.Account] {
			t.Error("the factor is still there")
		}
		if list, err := h.StaffRecoveries(ctx, one); err != nil || len(list) != 0 {
			t.Errorf("the list is %+v, %v", list, err)
		}
		names := h.events(by.Tenant)
		if count(names, evRecoveryOpened) != 1 || count(names, evRecoveryApproved) != 1 {
			t.Errorf("the log says %v", names)
		}
	})
}

func TestHolderStopsStaff(t *testing.T) {
	h, by, _, _ := lost(t, storeOne(t))
	one, two := h.staff("one@staff.example"), h.staff("two@staff.example")
	which, err := h.OpenRecovery(ctx, one, ada, "called us")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.ApproveRecovery(ctx, two, which); err != nil {
		t.Fatal(err)
	}
	_, token := h.newest(ada, "account.recovery_waits")
	if err := h.StopRecovery(ctx, stranger(), token); err != nil {
		t.Fatal(err)
	}
	h.advance(48 * time.Hour)
	if slices.Contains(h.kinds(ada), "account.recovery_ready") {
		t.Error("staff go on although the holder stopped it")
	}
	if which, err = h.OpenRecovery(ctx, one, ada, "called us again"); err != nil {
		t.Fatal(err)
	}
	if err := h.RefuseRecovery(ctx, two, which); err != nil {
		t.Fatal(err)
	}
	want(t, h.RefuseRecovery(ctx, two, which), fault.NotFound, "account.no_recovery")
	if which, err = h.OpenRecovery(ctx, one, ada, "and again"); err != nil {
		t.Fatal(err)
	}
	h.clock.add(staffOpen)
	_, err = h.ApproveRecovery(ctx, two, which)
	want(t, err, fault.NotFound, "account.no_recovery")
	if count(h.events(by.Tenant), evRecoveryRefused) != 1 {
		t.Error("the log tells of no refusal")
	}
}

// Reading the mail of staff is not enough to become staff: neither before nor
// when somebody became staff meanwhile; with the help of others it is.
func TestStaffAreNotRecoveredByMail(t *testing.T) {
	storeEach(t, func(t *testing.T, db *store.DB) {
		h, by, _, p := lost(t, db)
		one, two := h.staff("one@staff.example"), h.staff("two@staff.example")
		h.begins(ada)
		early := h.regain(ada)
		if _, err := h.SetStaff(ctx, host(), by.Account, StaffSupport); err != nil {
			t.Fatal(err)
		}
		h.advance(73 * time.Hour)
		_, token := h.newest(ada, "account.recovery_ready")
		for _, token := range []secret.String{early, token} {
			if err := h.FinishRecovery(ctx, stranger(), token, secret.Of(newWord)); !errors.Is(err, errGone) {
				t.Fatalf("somebody who became staff: %v", err)
			}
		}
		if err := h.AskRecovery(ctx, stranger(), ada); err != nil {
			t.Fatal(err)
		}
		if _, token := h.newest(ada, "account.not_alone"); !token.IsZero() {
			t.Error("there is a link for staff")
		}
		which, err := h.OpenRecovery(ctx, one, ada, "called us")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := h.ApproveRecovery(ctx, two, which); err != nil {
			t.Fatal(err)
		}
		h.advance(25 * time.Hour)
		_, token = h.newest(ada, "account.recovery_ready")
		if err := h.FinishRecovery(ctx, stranger(), token, secret.Of(newWord)); err != nil || p.has[by.Account] {
			t.Errorf("with the help of two: %v", err)
		}
	})
}

// Whoever opened a recovery and was dismissed is no second hand.
func TestOpenerIsDismissed(t *testing.T) {
	h, _, _, _ := lost(t, storeOne(t))
	one, two := h.staff("one@staff.example"), h.staff("two@staff.example")
	which, err := h.OpenRecovery(ctx, one, ada, "called us")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.SetStaff(ctx, host(), one.Account, StaffNone); err != nil {
		t.Fatal(err)
	}
	_, err = h.ApproveRecovery(ctx, two, which)
	want(t, err, fault.Conflict, "account.opener_left")
	if slices.Contains(h.kinds(ada), "account.recovery_waits") {
		t.Error("the holder was told that it waits")
	}
	if err := h.RefuseRecovery(ctx, two, which); err != nil {
		t.Fatal(err)
	}
}

// Of two members of staff who approve at once, one does; nobody approves by
// being quick.
func TestApprovedOnce(t *testing.T) {
	storeEach(t, func(t *testing.T, db *store.DB) {
		h, _, _, _ := lost(t, db)
		one := h.staff("one@staff.example")
		which, err := h.OpenRecovery(ctx, one, ada, "called us")
		if err != nil {
			t.Fatal(err)
		}
		others := []access.Subject{h.staff("two@staff.example"), h.staff("three@staff.example")}
		errs := make(chan error, len(others))
		for _, other := range others {
			go func() { _, err := h.ApproveRecovery(ctx, other, which); errs <- err }()
		}
		in := 0
		for range others {
			if err := <-errs; err == nil {
				in++
			} else if fault.KindOf(err) != fault.NotFound {
				t.Error(err)
			}
		}
		if in != 1 {
			t.Errorf("%d approved", in)
		}
	})
}

// storeEach runs a test on an empty database of every engine.
func storeEach(t *testing.T, test func(t *testing.T, db *store.DB)) {
	t.Helper()
	storetest.Each(t, test, schema()...)
}

func storeOne(t *testing.T) *store.DB { return storetest.SQLite(t, schema()...) }

// Whoever signs in with the factor has not lost it: the recovery is called off.
// A browser that is remembered proves nothing about that.
func TestFactorStopsRecovery(t *testing.T) {
	h, by, _, _ := lost(t, storeOne(t))
	h.begins(ada)
	o, err := h.SignIn(ctx, stranger(), attempt(ada, goodWord))
	if err != nil || o.Next != StepFactor {
		t.Fatalf("%+v, %v", o, err)
	}
	if v, _ := h.OwnRecovery(ctx, by); !v.Waits() {
		t.Fatal("a password stops it")
	}
	o, err = h.Answer(ctx, stranger(), o.Pending, Answer{Kind: "totp", Code: secret.Of(pocketCode), Remember: true})
	if err != nil || o.Next != StepNone {
		t.Fatalf("%+v, %v", o, err)
	}
	if v, _ := h.OwnRecovery(ctx, by); v.Waits() {
		t.Error("it goes on")
	}
	h.newest(ada, "account.recovery_stopped")
}

// The operator's link removes the second factor only when that was asked for.
func TestRescue(t *testing.T) {
	storeEach(t, func(t *testing.T, db *store.DB) {
		h, by, s, p := lost(t, db)
		for _, rescue := range []bool{false, true} {
			issue, password := h.Recover, newWord
			if rescue {
				issue, password = h.Rescue, goodWord
			}
			link, err := issue(ctx, host(), by.Account)
			if err != nil {
				t.Fatal(err)
			}
			if h.signedIn(s.Token) {
				t.Error("a session goes on")
			}
			if rescue { // a short password stands only beside a factor, and that is about to go
				if err := h.Reset(ctx, stranger(), tokenOf(t, link), secret.Of("ninechars")); fault.KindOf(err) != fault.Invalid {
					t.Errorf("a short password alone: %v", err)
				}
			}
			if err := h.Reset(ctx, stranger(), tokenOf(t, link), secret.Of(password)); err != nil {
				t.Fatal(err)
			}
			if p.has[by.Account] == rescue {
				t.Errorf("removing was asked for: %v; the factor is there: %v", rescue, p.has[by.Account])
			}
		}
		h.newest(ada, "account.recovered")
		if names := h.events(by.Tenant); count(names, evRescue) != 1 || count(names, evRecovered) != 1 {
			t.Errorf("the log says %v", names)
		}
		_, err := h.Rescue(ctx, by, by.Account)
		want(t, err, fault.Denied, "account.host_only")
	})
}
