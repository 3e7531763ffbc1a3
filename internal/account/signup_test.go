package account

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"troth/internal/access"
	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/password"
	"troth/internal/secret"
	"troth/internal/store"
)

// From the form to a session: an account exists only after its address was
// confirmed, with everything personal sealed.
func TestSignUpConfirmSignIn(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.apply("Ada@Example.org", goodWord)
		_, err := h.SignIn(ctx, stranger(), attempt(ada, goodWord))
		want(t, err, fault.Unauthenticated, "account.wrong")
		token := h.link("Ada@example.org", PathConfirm)
		pending, err := h.PeekConfirm(ctx, token, h.browser)
		if err != nil || !pending.New || pending.Email != "Ada@example.org" || pending.Name != "Ada Byron" {
			t.Fatalf("peeking: %+v, %v", pending, err)
		}
		if _, err := h.Confirm(ctx, stranger(), token, h.here()); err != nil {
			t.Fatal(err)
		}
		by, signed := h.signIn("  ADA@example.ORG ", goodWord)
		if by.Kind != access.KindPerson || by.Account != signed.Account || by.Session != signed.Session || by.Role != access.Owner || by.Staff {
			t.Fatalf("the subject is %+v", by)
		}
		if !slices.Equal(by.AMR, []string{"pwd"}) || by.AuthAt.IsZero() {
			t.Errorf("how and when: %v, %v", by.AMR, by.AuthAt)
		}
		v, err := h.Own(ctx, by)
		if err != nil || v.Email != "Ada@example.org" || v.Name != "Ada Byron" || v.ConfirmedAt.IsZero() || v.Home != by.Tenant {
			t.Errorf("the account is %+v, %v", v, err)
		}
		for _, name := range []string{evSignedUp, evSignedIn} {
			if !slices.Contains(h.events(v.Home), name) {
				t.Errorf("the account's activity lacks %s: %v", name, h.events(v.Home))
			}
		}
		if !slices.Contains(h.events(id.Platform), evAsked) {
			t.Error("the platform's activity lacks the application")
		}
		h.nothingInClear(by.Account)
	})
}

// nothingInClear looks at the stored rows as somebody with the database would.
func (h *house) nothingInClear(account id.Account) {
	h.t.Helper()
	var email, name, index, place []byte
	var phc string
	err := h.DB.Read(ctx, func(tx *store.Tx) error {
		if err := tx.QueryRow(`SELECT email, name, email_index, password FROM account WHERE account = $1`, account).Scan(&email, &name, &index, &phc); err != nil {
			return err
		}
		return tx.QueryRow(`SELECT place FROM session WHERE account = $1`, account).Scan(&place)
	})
	if err != nil {
		h.t.Fatal(err)
	}
	for what, b := range map[string][]byte{"email": email, "name": name, "index": index, "place": place} {
		for _, clear := range []string{"ada", "Ada", "example", "Byron", "192.0.2", "Firefox"} {
			if len(b) == 0 || bytes.Contains(b, []byte(clear)) {
				h.t.Errorf("the column %s is empty or holds %q in the clear", what, clear)
			}
		}
	}
	stored, err := password.ParseHash(phc)
	if err != nil || stored.Params.Below(password.Floor) || strings.Contains(phc, goodWord) {
		h.t.Errorf("the stored password is %q, %v", phc, err)
	}
}

// Of twenty that use one link at once, one succeeds and the others are told.
func TestLinkIsUsedOnce(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.apply(ada, goodWord)
		token := h.link(ada, PathConfirm)
		made, gone := h.race(func() error { _, err := h.Confirm(ctx, stranger(), token, h.here()); return err })
		if made != 1 || gone != 19 {
			t.Fatalf("%d confirmed and %d were told that the link is used up, want 1 and 19", made, gone)
		}
		if err := h.AskReset(ctx, stranger(), ada); err != nil {
			t.Fatal(err)
		}
		token = h.link(ada, PathReset)
		made, gone = h.race(func() error { return h.Reset(ctx, stranger(), token, secret.Of(newWord)) })
		if made != 1 || gone != 19 {
			t.Fatalf("%d set a password and %d were told that the link is used up, want 1 and 19", made, gone)
		}
	})
}

func (h *house) race(use func() error) (made, gone int) {
	var mu sync.Mutex
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			err := use()
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				made++
			case errors.Is(err, errGone):
				gone++
			default:
				h.t.Errorf("somebody got another answer: %v", err)
			}
		})
	}
	all.Wait()
	return made, gone
}

// A link expires, and a wrong, used, foreign or malformed token is one answer.
func TestLinksThatAreGone(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.apply(ada, goodWord)
		late := h.link(ada, PathConfirm)
		h.clock.add(24*time.Hour + time.Second)
		_, err := h.Confirm(ctx, stranger(), late, h.here())
		want(t, err, fault.Gone, "account.link_gone")

		h.person("bob@example.org", goodWord)
		if err := h.AskReset(ctx, stranger(), "bob@example.org"); err != nil {
			t.Fatal(err)
		}
		reset := h.link("bob@example.org", PathReset)
		for name, token := range map[string]secret.String{
			"never made": secret.NewToken(), "malformed": secret.Of("x"), "empty": {}, "of another kind": reset,
		} {
			if _, err := h.Confirm(ctx, stranger(), token, h.here()); !errors.Is(err, errGone) {
				t.Errorf("a token that is %s: %v", name, err)
			}
			if _, err := h.PeekConfirm(ctx, token, h.browser); !errors.Is(err, errGone) {
				t.Errorf("peeking with a token that is %s: %v", name, err)
			}
		}
		if !slices.Contains(h.events(id.Platform), evLinkFailed) {
			t.Error("the log does not say that somebody tried")
		}
	})
}

// Two applications for one address make one account, whichever is confirmed.
func TestTwoApplicationsOneAccount(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.apply(ada, goodWord)
		first := h.link(ada, PathConfirm)
		h.apply(ada, newWord)
		second := h.link(ada, PathConfirm)
		if _, err := h.Confirm(ctx, stranger(), second, h.here()); err != nil {
			t.Fatal(err)
		}
		if _, err := h.Confirm(ctx, stranger(), first, h.here()); err == nil {
			t.Fatal("the other application was confirmed too")
		}
		h.signIn(ada, newWord)
	})
}

// Modes: closed refuses, invite lets the invited address in and answers the
// others the same.
func TestModes(t *testing.T) {
	t.Run("closed", func(t *testing.T) {
		h := sqlite(t, func(o *Options) { o.Config.Mode = SignupClosed })
		_, err := h.SignUp(ctx, stranger(), Application{Email: ada, Name: "Ada", Password: secret.Of(goodWord)})
		want(t, err, fault.Denied, "account.closed")
		if h.hashing.work() != 0 {
			t.Error("a closed door hashed a password")
		}
		if !slices.Contains(h.events(id.Platform), evAskedRefused) {
			t.Error("the refusal is not in the log")
		}
	})
	t.Run("invite", func(t *testing.T) {
		token := secret.NewToken()
		h := sqlite(t, func(o *Options) {
			o.Config.Mode, o.Inviter = SignupInvite, invited{token.Reveal(), ada}
		})
		for email, invitation := range map[string]secret.String{ada: token, "eve@example.org": token, "mallory@example.org": {}} {
			s, err := h.SignUp(ctx, stranger(), Application{Email: email, Name: "X", Password: secret.Of(goodWord), Invitation: invitation})
			if err != nil || s != (Signed{}) {
				t.Errorf("%s was answered %+v, %v", email, s, err)
			}
		}
		if len(h.post.to(ada)) != 1 || len(h.post.sent) != 1 {
			t.Errorf("%d mails were sent, %d of them to the invited", len(h.post.sent), len(h.post.to(ada)))
		}
	})
}

// What a form can get wrong is refused at its field, and nothing is done.
func TestFormsThatAreRefused(t *testing.T) {
	h := sqlite(t)
	good := Application{Email: ada, Name: "Ada", Password: secret.Of(goodWord)}
	for name, c := range map[string]struct {
		change func(*Application)
		field  string
	}{
		"no address":          {func(f *Application) { f.Email = " " }, "email"},
		"no at sign":          {func(f *Application) { f.Email = "ada.example.org" }, "email"},
		"two lines":           {func(f *Application) { f.Email = "ada@example.org\nBcc: eve@example.org" }, "email"},
		"display name":        {func(f *Application) { f.Email = "Ada <ada@example.org>" }, "email"},
		"no name":             {func(f *Application) { f.Name = "\t" }, "name"},
		"long name":           {func(f *Application) { f.Name = strings.Repeat("é", 101) }, "name"},
		"turned-around name":  {func(f *Application) { f.Name = "Ada \u202egro.elpmaxe" }, "name"},
		"broken name":         {func(f *Application) { f.Name = "Ada\xff" }, "name"},
		"short password":      {func(f *Application) { f.Password = secret.Of("fourteen chars") }, "password"},
		"long password":       {func(f *Application) { f.Password = secret.Of(strings.Repeat("a", 1025)) }, "password"},
		"huge password":       {func(f *Application) { f.Password = secret.Of(strings.Repeat("a", 1<<20)) }, "password"},
		"broken password":     {func(f *Application) { f.Password = secret.Of("fifteen letters \xff") }, "password"},
		"password with lines": {func(f *Application) { f.Password = secret.Of("fifteen letters\nand a line") }, "password"},
		"own address":         {func(f *Application) { f.Password = secret.Of("xx ADA@example.org xx") }, "password"},
	} {
		form := good
		c.change(&form)
		_, err := h.SignUp(ctx, stranger(), form)
		if f := fault.As(err); f == nil || f.Kind != fault.Invalid || f.Field != c.field {
			t.Errorf("%s: %v", name, err)
		}
	}
	if h.hashing.work() != 0 || len(h.post.sent) != 0 {
		t.Errorf("a refused form cost %d hashes and %d mails", h.hashing.work(), len(h.post.sent))
	}
}
