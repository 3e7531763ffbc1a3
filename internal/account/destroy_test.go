package account

import (
	"context"
	"errors"
	"testing"

	"troth/internal/access"
	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/keys"
	"troth/internal/secret"
	"troth/internal/store"
)

// Destroyed means that neither the row nor the keys nor a way in is left, and
// that the log still says what happened, without the person.
func TestDestroy(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		by, s := h.person(ada, goodWord)
		d, err := h.Destroy(ctx, host(), by.Account, true)
		if err != nil || d.Sessions != 1 || len(d.Keys) != 2 || !h.signedIn(s.Token) {
			t.Fatalf("a dry run: %+v, %v", d, err)
		}
		if _, err := h.Destroy(ctx, by, by.Account, false); fault.KindOf(err) != fault.Denied {
			t.Errorf("a person destroyed an account by the operator's command: %v", err)
		}
		if d, err = h.Destroy(ctx, host(), by.Account, false); err != nil || d.Sessions != 1 {
			t.Fatalf("%+v, %v", d, err)
		}
		if h.signedIn(s.Token) {
			t.Error("the session goes on")
		}
		if _, err := h.SignIn(ctx, stranger(), attempt(ada, goodWord)); !errors.Is(err, errSignIn) {
			t.Errorf("signing in: %v", err)
		}
		for _, ref := range []keys.Ref{keys.SubjectRef(by.Account), keys.TenantRef(by.Tenant)} {
			if _, err := h.Keys.Secret(ctx, ref); fault.KindOf(err) != fault.Gone {
				t.Errorf("the key %s: %v", ref, err)
			}
		}
		v, err := h.Find(ctx, host(), string(by.Account))
		if err != nil || v.State != Destroyed || v.Email != "" || v.Name != "" {
			t.Errorf("what is left is %+v, %v", v, err)
		}
		if count(h.events(id.Platform), evDestroyed) != 1 {
			t.Error("the log does not say so")
		}
		if _, err := h.Destroy(ctx, host(), by.Account, false); fault.KindOf(err) != fault.NotFound {
			t.Errorf("destroying again: %v", err)
		}
		h.person(ada, newWord) // the address is free again
	})
}

func TestTheLastOwnerStays(t *testing.T) {
	h := sqlite(t)
	link, _, err := h.FirstOwnerLink(ctx)
	if err != nil {
		t.Fatal(err)
	}
	s, err := h.SignUp(ctx, stranger(), owner(ada, tokenOf(t, link)))
	if err != nil {
		t.Fatal(err)
	}
	for _, dry := range []bool{true, false} {
		_, err = h.Destroy(ctx, host(), s.Account, dry)
		want(t, err, fault.Conflict, "account.last_owner")
	}
	h.signIn(ada, goodWord)
}

// leaver refuses to let somebody go, or fails.
type leaver struct{ err error }

func (l leaver) LeaveTx(context.Context, *store.Tx, id.Account, id.Tenant) error { return l.err }

func TestWhoIsNeededStays(t *testing.T) {
	needed := fault.New(fault.Conflict, "test.needed", "Hand over first.")
	h := sqlite(t, func(o *Options) { o.Leaver = leaver{needed} })
	by, s := h.person(ada, goodWord)
	if _, err := h.Destroy(ctx, host(), by.Account, false); !errors.Is(err, needed) || !h.signedIn(s.Token) {
		t.Errorf("the account is gone although it is needed: %v", err)
	}
}

// A crash between the row and the keys is made good later.
func TestFinishDestroying(t *testing.T) {
	h := sqlite(t)
	by, _ := h.person(ada, goodWord)
	r, _, err := h.find(ctx, by.Account)
	if err != nil {
		t.Fatal(err)
	}
	h.write(func(tx *store.Tx) error { _, err := h.wipe(ctx, tx, r); return err })
	if _, err := h.Keys.Secret(ctx, keys.SubjectRef(by.Account)); err != nil {
		t.Fatal("the crash did not happen where the test means it to")
	}
	for range 2 {
		if err := h.FinishDestroying(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := h.Keys.Secret(ctx, keys.SubjectRef(by.Account)); fault.KindOf(err) != fault.Gone {
		t.Errorf("the key: %v", err)
	}
	if v, err := h.Find(ctx, host(), string(by.Account)); err != nil || v.State != Destroyed {
		t.Errorf("the account is %+v, %v", v, err)
	}
}

// The zero subject, a stranger and the system may do nothing that is a
// person's own.
func TestNobodyMayDoAnything(t *testing.T) {
	h := sqlite(t)
	by, _ := h.person(ada, goodWord)
	for name, who := range map[string]access.Subject{
		"the zero subject": {}, "a stranger": stranger(), "the system": host(),
		"a forged subject": {Kind: access.KindPerson, Account: by.Account, Session: by.Session},
	} {
		for what, err := range map[string]error{
			"own":      func() error { _, err := h.Own(ctx, who); return err }(),
			"sessions": func() error { _, err := h.Sessions(ctx, who); return err }(),
			"end":      h.EndSession(ctx, who, by.Session),
			"others":   func() error { _, err := h.EndOthers(ctx, who); return err }(),
			"switch":   h.Switch(ctx, who, by.Tenant),
			"rename":   h.Rename(ctx, who, "Eve"),
			"password": func() error {
				_, err := h.ChangePassword(ctx, who, secret.Of(goodWord), secret.Of(newWord))
				return err
			}(),
		} {
			if k := fault.KindOf(err); k != fault.Unauthenticated && k != fault.Denied {
				t.Errorf("%s, %s: %v", name, what, err)
			}
		}
		if name == "the system" {
			continue
		}
		for what, err := range map[string]error{
			"recover":   func() error { _, err := h.Recover(ctx, who, by.Account); return err }(),
			"destroy":   func() error { _, err := h.Destroy(ctx, who, by.Account, false); return err }(),
			"admit":     func() error { _, err := h.Admit(ctx, who); return err }(),
			"end all":   func() error { _, err := h.EndAll(ctx, who, by.Account); return err }(),
			"find":      func() error { _, err := h.Find(ctx, who, ada); return err }(),
			"lifetimes": h.SetLifetimes(ctx, who, by.Account, 0, 0),
		} {
			if fault.KindOf(err) != fault.Denied {
				t.Errorf("%s, %s: %v", name, what, err)
			}
		}
	}
}
