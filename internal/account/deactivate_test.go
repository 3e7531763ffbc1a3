package account

import (
	"errors"
	"testing"
	"time"

	"troth/internal/access"
	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/secret"
	"troth/internal/store"
)

// coOwners is who owns what together.
type coOwners map[id.Account][][]id.Account

func (c coOwners) CoOwnersTx(_ *store.Tx, account id.Account) ([][]id.Account, error) {
	return c[account], nil
}

// admitted is a platform owner who is signed in.
func (h *house) admitted(email string) (access.Subject, Signed) {
	h.t.Helper()
	link, needed, err := h.FirstOwnerLink(ctx)
	if err != nil || !needed {
		h.t.Fatalf("no link for an owner: %v", err)
	}
	s, err := h.SignUp(ctx, stranger(), owner(email, tokenOf(h.t, link)))
	if err != nil {
		h.t.Fatal(err)
	}
	return h.who(s.Token), s
}

// Suspended by the operator: every way in answers as if there were no account,
// until the operator brings it back.
func TestSuspend(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		by, s := h.person(ada, goodWord)
		dry, err := h.Suspend(ctx, host(), by.Account, "stolen goods", true)
		if err != nil || dry.Sessions != 1 || !h.signedIn(s.Token) {
			t.Fatalf("a dry run: %+v, %v", dry, err)
		}
		_, err = h.Suspend(ctx, by, by.Account, "stolen goods", false)
		want(t, err, fault.Denied, "account.host_only")
		_, err = h.Suspend(ctx, host(), by.Account, "x\ny", false)
		want(t, err, fault.Invalid, "account.reason")
		done, err := h.Suspend(ctx, host(), by.Account, "stolen goods", false)
		if err != nil || done.Sessions != 1 || h.signedIn(s.Token) {
			t.Fatalf("%+v, %v", done, err)
		}
		if _, err := h.SignIn(ctx, stranger(), attempt(ada, goodWord)); !errors.Is(err, errSignIn) {
			t.Errorf("signing in is answered %v", err)
		}
		mails := len(h.kinds(ada))
		for what, err := range map[string]error{"reset": h.AskReset(ctx, stranger(), ada), "recovery": h.AskRecovery(ctx, stranger(), ada)} {
			if err != nil || len(h.kinds(ada)) != mails {
				t.Errorf("a %s is answered %v, mails %v", what, err, h.kinds(ada))
			}
		}
		_, err = h.Suspend(ctx, host(), by.Account, "again", false)
		want(t, err, fault.Conflict, "account.suspended")
		if v, err := h.Get(ctx, by.Account); err != nil || v.Name != "Ada Byron" || v.State != Suspended {
			t.Errorf("others see %+v, %v", v, err)
		}
		if err := h.Reactivate(ctx, host(), by.Account, "it was a mistake"); err != nil {
			t.Fatal(err)
		}
		h.signIn(ada, goodWord)
		h.newest(ada, "account.suspended")
		h.newest(ada, "account.reactivated")
		want(t, h.Reactivate(ctx, host(), by.Account, "once more"), fault.Conflict, "account.not_away")
		if names := h.events(by.Tenant); count(names, evSuspended) != 1 || count(names, evUnsuspended) != 1 {
			t.Errorf("the log says %v", names)
		}
	})
}

// What was mailed before an account went to rest is of no use afterwards.
func TestLinksDieWithSuspension(t *testing.T) {
	h := sqlite(t)
	by, _ := h.person(ada, goodWord)
	if err := h.AskReset(ctx, stranger(), ada); err != nil {
		t.Fatal(err)
	}
	reset := h.link(ada, PathReset)
	old, fresh := h.asks(by, ada, adaNew, true)
	if _, err := h.Suspend(ctx, host(), by.Account, "a test", false); err != nil {
		t.Fatal(err)
	}
	if err := h.Reset(ctx, stranger(), reset, secret.Of(newWord)); fault.KindOf(err) != fault.Gone {
		t.Errorf("the password is reset: %v", err)
	}
	for _, token := range []secret.String{old, fresh} {
		if _, err := h.AgreeAddress(ctx, stranger(), token); fault.KindOf(err) != fault.Gone {
			t.Errorf("the address changes: %v", err)
		}
	}
	h.advance(100 * time.Hour)
	if err := h.Reactivate(ctx, host(), by.Account, "a test"); err != nil {
		t.Fatal(err)
	}
	h.signIn(ada, goodWord)
}

// Deactivated by its holder: the sessions end; a forgotten password can be
// reset; the name stays where it stands.
func TestDeactivate(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		by, s := h.person(ada, goodWord)
		if err := h.Deactivate(ctx, by); err != nil {
			t.Fatal(err)
		}
		if h.signedIn(s.Token) {
			t.Error("the session goes on")
		}
		h.newest(ada, "account.deactivated")
		all, err := h.Profiles(ctx, []id.Account{by.Account})
		if err != nil || all[by.Account].Name != "Ada Byron" || all[by.Account].State != Deactivated {
			t.Errorf("lists of people show %+v, %v", all, err)
		}
		if err := h.AskReset(ctx, stranger(), ada); err != nil {
			t.Fatal(err)
		}
		if err := h.Reset(ctx, stranger(), h.link(ada, PathReset), secret.Of(newWord)); err != nil {
			t.Errorf("a forgotten password cannot be reset: %v", err)
		}
		if v, err := h.Get(ctx, by.Account); err != nil || v.State != Deactivated {
			t.Errorf("a reset wakes an account: %+v, %v", v, err)
		}
		if err := h.Reactivate(ctx, host(), by.Account, "asked for it"); err != nil {
			t.Fatal(err)
		}
		h.signIn(ada, newWord)
	})
}

// The last active owner of an organisation stays; the operator is only told.
func TestSoleOwnerStays(t *testing.T) {
	owners := coOwners{}
	h := sqlite(t, func(o *Options) { o.CoOwners = owners })
	by, _ := h.person(ada, goodWord)
	eve, _ := h.person("eve@example.org", goodWord)
	owners[by.Account] = [][]id.Account{{eve.Account}}
	owners[eve.Account] = [][]id.Account{{by.Account}}
	if err := h.Deactivate(ctx, eve); err != nil {
		t.Fatalf("two own it, and one cannot go: %v", err)
	}
	want(t, h.Deactivate(ctx, by), fault.Conflict, "account.sole_owner")
	for _, dry := range []bool{true, false} {
		s, err := h.Suspend(ctx, host(), by.Account, "a test", dry)
		if err != nil || s.Orphans != 1 {
			t.Errorf("the operator is told %+v, %v", s, err)
		}
	}
}

// The last platform owner who could sign in neither goes nor is suspended.
func TestLastPlatformOwnerStays(t *testing.T) {
	h := sqlite(t)
	by, _ := h.admitted(ada)
	want(t, h.Deactivate(ctx, by), fault.Conflict, "account.last_owner")
	_, err := h.Suspend(ctx, host(), by.Account, "a test", false)
	want(t, err, fault.Conflict, "account.last_owner")
}

// What rests can be destroyed.
func TestDestroyWhatRests(t *testing.T) {
	h := sqlite(t)
	by, _ := h.person(ada, goodWord)
	if _, err := h.Suspend(ctx, host(), by.Account, "a test", false); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Destroy(ctx, host(), by.Account, false); err != nil {
		t.Fatal(err)
	}
	h.person(ada, newWord)
}

// A second member of staff is made on the host, and unmade; each time the
// sessions end.
func TestSetStaff(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		by, s := h.person(ada, goodWord)
		_, err := h.SetStaff(ctx, by, by.Account, StaffSupport)
		want(t, err, fault.Denied, "account.host_only")
		_, err = h.SetStaff(ctx, host(), by.Account, StaffOwner)
		want(t, err, fault.Invalid, "account.staff_kind")
		n, err := h.SetStaff(ctx, host(), by.Account, StaffSupport)
		if err != nil || n != 1 || h.signedIn(s.Token) {
			t.Fatalf("%d sessions ended, %v", n, err)
		}
		by, s = h.signIn(ada, goodWord)
		if !by.Staff {
			t.Error("the next session is no staff's")
		}
		_, err = h.SetStaff(ctx, host(), by.Account, StaffSupport)
		want(t, err, fault.Conflict, "account.staff_as_is")
		if _, err = h.SetStaff(ctx, host(), by.Account, StaffNone); err != nil || h.signedIn(s.Token) {
			t.Fatalf("unmaking: %v", err)
		}
		if by, _ = h.signIn(ada, goodWord); by.Staff {
			t.Error("still staff")
		}
		h.newest(ada, "account.staff")
		if names := h.events(by.Tenant); count(names, evStaffAdded) != 1 || count(names, evStaffRemoved) != 1 {
			t.Errorf("the log says %v", names)
		}
	})
}

func TestOwnersAreNoSupport(t *testing.T) {
	h := sqlite(t)
	by, _ := h.admitted(ada)
	for _, staff := range []Staff{StaffSupport, StaffNone} {
		_, err := h.SetStaff(ctx, host(), by.Account, staff)
		want(t, err, fault.Conflict, "account.owner_is_staff")
	}
	link, err := h.Admit(ctx, host())
	if err != nil {
		t.Fatal(err)
	}
	s, err := h.SignUp(ctx, stranger(), owner("eve@example.org", tokenOf(t, link)))
	if err != nil {
		t.Fatal(err)
	}
	_, err = h.SetStaff(ctx, host(), s.Account, StaffSupport)
	want(t, err, fault.Conflict, "account.unproven")
}

// Signing in with everything that is asked offers the account back; only the
// button takes it.
func TestReturn(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		by, _ := h.person(ada, goodWord)
		if err := h.Deactivate(ctx, by); err != nil {
			t.Fatal(err)
		}
		h.cannot(ada, newWord)
		o, err := h.SignIn(ctx, stranger(), attempt(ada, goodWord))
		if err != nil || o.Next != StepReactivate || o.Signed.Session != "" {
			t.Fatalf("signing in leads to %+v, %v", o, err)
		}
		if v, err := h.Get(ctx, by.Account); err != nil || v.State != Deactivated {
			t.Fatalf("signing in wakes an account: %+v, %v", v, err)
		}
		back, err := h.Return(ctx, stranger(), o.Pending)
		if err != nil || back.Next != StepNone || !h.signedIn(back.Signed.Token) {
			t.Fatalf("coming back leads to %+v, %v", back, err)
		}
		_, err = h.Return(ctx, stranger(), o.Pending)
		want(t, err, fault.Gone, "account.sign_in_gone")
		h.newest(ada, "account.reactivated")
		if count(h.events(by.Tenant), evReactivated) != 1 {
			t.Error("the log does not say so")
		}
	})
}

// The second factor comes before the way back: a password alone does not wake
// an account that has one.
func TestReturnNeedsTheFactor(t *testing.T) {
	h, by, _, _ := lost(t, storeOne(t))
	if err := h.Deactivate(ctx, by); err != nil {
		t.Fatal(err)
	}
	o, err := h.SignIn(ctx, stranger(), attempt(ada, goodWord))
	if err != nil || o.Next != StepFactor {
		t.Fatalf("signing in leads to %+v, %v", o, err)
	}
	_, err = h.Return(ctx, stranger(), o.Pending)
	want(t, err, fault.Conflict, "account.not_now")
	o, err = h.Answer(ctx, stranger(), o.Pending, Answer{Kind: "totp", Code: secret.Of(pocketCode)})
	if err != nil || o.Next != StepReactivate {
		t.Fatalf("the factor leads to %+v, %v", o, err)
	}
	if o, err = h.Return(ctx, stranger(), o.Pending); err != nil || o.Next != StepNone {
		t.Fatalf("coming back leads to %+v, %v", o, err)
	}
}

// A sign-in that waits ends when the account goes to rest.
func TestRestEndsSignIns(t *testing.T) {
	h, by, _, _ := lost(t, storeOne(t))
	o, err := h.SignIn(ctx, stranger(), attempt(ada, goodWord))
	if err != nil || o.Next != StepFactor {
		t.Fatalf("%+v, %v", o, err)
	}
	if _, err := h.Suspend(ctx, host(), by.Account, "a test", false); err != nil {
		t.Fatal(err)
	}
	_, err = h.Answer(ctx, stranger(), o.Pending, Answer{Kind: "totp", Code: secret.Of(pocketCode)})
	want(t, err, fault.Gone, "account.sign_in_gone")
}
