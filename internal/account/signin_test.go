package account

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"troth/internal/access"
	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/keys"
	"troth/internal/password"
	"troth/internal/secret"
	"troth/internal/store"
	"troth/internal/store/storetest"
)

// What does not open the door is one answer, costs one hash, and is in the log:
// of the account when there is one, otherwise of the platform.
func TestSignInRefusals(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		by, _ := h.person(ada, goodWord)
		for name, c := range map[string]struct{ email, password string }{
			"wrong password": {ada, newWord}, "unknown address": {"bob@example.org", goodWord}, "no address": {"", goodWord},
			"no password": {ada, ""}, "broken password": {ada, "\xff"}, "huge password": {ada, strings.Repeat("x", 1<<20)},
			"address with more": {ada + " x", goodWord}, "SQL": {"' OR 1=1 --", goodWord},
		} {
			before := h.hashing.work()
			_, err := h.SignIn(ctx, stranger(), attempt(c.email, c.password))
			if !errors.Is(err, errSignIn) || err.Error() != errSignIn.Error() {
				t.Errorf("%s: the answer is %v", name, err)
			}
			hashes := int64(1)
			if strings.HasSuffix(name, " password") && name != "wrong password" {
				hashes = 0 // what can be no password is refused for that, whatever the address is
			}
			if n := h.hashing.work() - before; n != hashes {
				t.Errorf("%s: %d hashes were computed", name, n)
			}
		}
		if !slices.Contains(h.events(by.Tenant), evSignInFailed) || !slices.Contains(h.events(id.Platform), evSignInFailed) {
			t.Error("the failures are not in the log of the account and of the platform")
		}
	})
}

// A refusal that cannot be recorded is not given.
func TestRefusalNeedsTheLog(t *testing.T) {
	o := storetest.SQLiteOptions(t)
	broken := false
	o.Fault = func(op string) store.Outcome {
		if broken && op == "write" {
			return store.Lost
		}
		return store.Works
	}
	h := build(t, storetest.Open(t, o, schema()...))
	h.person(ada, goodWord)
	broken = true
	_, err := h.SignIn(ctx, stranger(), attempt(ada, newWord))
	want(t, err, fault.Unavailable, "account.unrecorded")
	_, err = h.SignIn(ctx, stranger(), attempt(ada, goodWord))
	if err == nil {
		t.Error("a sign-in that could not be recorded succeeded")
	}
	broken = false
	h.signIn(ada, goodWord)
}

// Signing in makes another token and ends the session of the same browser.
func TestSignInRotates(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		by, first := h.person(ada, goodWord)
		second, err := h.SignIn(ctx, by, attempt(ada, goodWord))
		if err != nil {
			t.Fatal(err)
		}
		if second.Signed.Token.Equal(first.Token) || second.Signed.Session == first.Session {
			t.Error("the token or the session is the same")
		}
		if h.signedIn(first.Token) || !h.signedIn(second.Signed.Token) {
			t.Error("the old token still opens, or the new one does not")
		}
	})
}

// A cheaper hash is replaced at the next sign-in, and by nothing else.
func TestHashesAreUpgraded(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		by, _ := h.person(ada, goodWord)
		old := h.stored(by.Account)
		dear, err := password.NewHasher(password.Params{Memory: password.Floor.Memory, Passes: 4, Lanes: 1}, 256<<20, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		h.hashing.Hashing = dear
		if _, err := h.SignIn(ctx, stranger(), attempt(ada, newWord)); err == nil || h.stored(by.Account) != old {
			t.Errorf("a wrong password changed the hash, or was taken: %v", err)
		}
		h.signIn(ada, goodWord)
		now, err := password.ParseHash(h.stored(by.Account))
		if err != nil || now.Params != dear.Params() {
			t.Errorf("after signing in the hash costs %s, %v", now.Params, err)
		}
		h.signIn(ada, goodWord)
		if again, _ := password.ParseHash(h.stored(by.Account)); again.String() != now.String() {
			t.Error("a hash at the present cost was made again")
		}
	})
}

func (h *house) stored(account id.Account) (phc string) {
	h.t.Helper()
	err := h.DB.Read(ctx, func(tx *store.Tx) error {
		return tx.QueryRow(`SELECT password FROM account WHERE account = $1`, account).Scan(&phc)
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return phc
}

func TestSignOut(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		by, signed := h.person(ada, goodWord)
		for range 2 { // the second time there is nothing left to do
			if err := h.SignOut(ctx, by); err != nil {
				t.Fatal(err)
			}
		}
		if h.signedIn(signed.Token) {
			t.Error("the token still opens")
		}
		if err := h.SignOut(ctx, stranger()); err != nil {
			t.Errorf("a stranger: %v", err)
		}
		if n := count(h.events(by.Tenant), evSignedOut); n != 1 {
			t.Errorf("the log has %d sign-outs", n)
		}
	})
}

func count(list []string, name string) (n int) {
	for _, s := range list {
		if s == name {
			n++
		}
	}
	return n
}

// A new password ends every session; the one that asked goes on.
func TestChangePassword(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		by, here := h.person(ada, goodWord)
		_, there := h.signIn(ada, goodWord)
		_, err := h.ChangePassword(ctx, by, secret.Of(newWord), secret.Of(newWord))
		want(t, err, fault.Invalid, "account.wrong_present")
		_, err = h.ChangePassword(ctx, by, secret.Of(goodWord), secret.Of("short"))
		want(t, err, fault.Invalid, "password.short")
		_, err = h.ChangePassword(ctx, stranger(), secret.Of(goodWord), secret.Of(newWord))
		want(t, err, fault.Unauthenticated, "account.sign_in")
		if !h.signedIn(here.Token) || !h.signedIn(there.Token) {
			t.Fatal("a refused change ended a session")
		}
		if err := h.AskReset(ctx, stranger(), ada); err != nil {
			t.Fatal(err)
		}
		pending := h.link(ada, PathReset)
		next, err := h.ChangePassword(ctx, by, secret.Of(goodWord), secret.Of(newWord))
		if err != nil {
			t.Fatal(err)
		}
		if h.signedIn(here.Token) || h.signedIn(there.Token) || !h.signedIn(next.Token) {
			t.Error("an old session goes on, or the new one does not open")
		}
		if err := h.Reset(ctx, stranger(), pending, secret.Of(goodWord)); !errors.Is(err, errGone) {
			t.Errorf("a reset link from before still works: %v", err)
		}
		if _, err := h.SignIn(ctx, stranger(), attempt(ada, goodWord)); !errors.Is(err, errSignIn) {
			t.Errorf("the old password: %v", err)
		}
		mails := h.post.to(ada)
		h.signIn(ada, newWord)
		if last := mails[len(mails)-1]; last.Kind != "account.changed" || strings.Contains(last.Body, newWord) {
			t.Errorf("the holder was sent %q", last.Kind)
		}
		for _, name := range []string{evPassword, evPasswordFail} {
			if !slices.Contains(h.events(by.Tenant), name) {
				t.Errorf("the log lacks %s", name)
			}
		}
	})
}

func TestReset(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		_, before := h.person(ada, goodWord)
		if err := h.AskReset(ctx, stranger(), "ADA@example.org"); err != nil {
			t.Fatal(err)
		}
		token := h.link(ada, PathReset)
		if email, err := h.PeekReset(ctx, token); err != nil || email != ada {
			t.Errorf("peeking: %q, %v", email, err)
		}
		err := h.Reset(ctx, stranger(), token, secret.Of("short"))
		want(t, err, fault.Invalid, "password.short")
		if err := h.Reset(ctx, stranger(), token, secret.Of(newWord)); err != nil {
			t.Fatalf("after a refused password the link does not work: %v", err)
		}
		if h.signedIn(before.Token) {
			t.Error("a session from before goes on")
		}
		h.signIn(ada, newWord)
	})
}

// The password may change while it is being compared: no session begins with
// the old one.
func TestSignInDuringChange(t *testing.T) {
	h := sqlite(t)
	by, _ := h.person(ada, goodWord)
	h.hashing.Hashing = during{h.hashing.Hashing, func() {
		h.hashing.Hashing = h.hashing.Hashing.(during).Hashing
		if _, err := h.ChangePassword(ctx, by, secret.Of(goodWord), secret.Of(newWord)); err != nil {
			t.Fatal(err)
		}
	}}
	if _, err := h.SignIn(ctx, stranger(), attempt(ada, goodWord)); !errors.Is(err, errSignIn) {
		t.Errorf("a session began with a password that had been changed: %v", err)
	}
}

// during does something while a password is being compared.
type during struct {
	password.Hashing
	do func()
}

func (d during) Verify(c context.Context, stored string, p secret.String) (password.Verdict, error) {
	v, err := d.Hashing.Verify(c, stored, p)
	d.do()
	return v, err
}

func TestRename(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		by, _ := h.person(ada, goodWord)
		if err := h.Rename(ctx, by, "  Ada Lovelace "); err != nil {
			t.Fatal(err)
		}
		if v, err := h.Own(ctx, by); err != nil || v.Name != "Ada Lovelace" {
			t.Errorf("the name is %q, %v", v.Name, err)
		}
		want(t, h.Rename(ctx, by, " "), fault.Invalid, "account.no_name")
		want(t, h.Rename(ctx, access.Subject{}, "Eve"), fault.Unauthenticated, "account.sign_in")
		all, err := h.Profiles(ctx, []id.Account{by.Account, id.New[id.Account](h.now())})
		if err != nil || len(all) != 1 || all[by.Account].Name != "Ada Lovelace" || all[by.Account].Email != ada {
			t.Errorf("the profiles are %v, %v", all, err)
		}
	})
}

// An address that only looks the same after folding is another mailbox: what
// belongs to the account is never sent there.
func TestMailGoesToTheHolder(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		const holder, thief = "mike@example.org", "mi\u212ae@example.org" // a Kelvin sign
		h.person(holder, goodWord)
		if keys.Normalise(thief) != keys.Normalise(holder) {
			t.Fatal("the two do not fold to the same: choose others")
		}
		if err := h.AskReset(ctx, stranger(), thief); err != nil {
			t.Fatal(err)
		}
		h.link(holder, PathReset)
		h.apply(thief, newWord)
		if n := len(h.post.to(thief)); n != 0 {
			t.Errorf("%d mails went to the other mailbox", n)
		}
	})
}
