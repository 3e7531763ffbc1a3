package account

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"troth/internal/access"
	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/secret"
	"troth/internal/store"
)

func owner(email string, admission secret.String) Application {
	return Application{Email: email, Name: "Grace Hopper", Password: secret.Of(goodWord), Admission: admission}
}

// The first owner signs up by the printed link, whatever the mode, is signed in
// at once, and confirms the address afterwards.
func TestFirstOwner(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.Config.Mode = SignupClosed
		link, needed, err := h.FirstOwnerLink(ctx)
		if err != nil || !needed {
			t.Fatalf("needed: %v, %v", needed, err)
		}
		token := tokenOf(t, link)
		for range 2 { // looking uses nothing up
			if owner, err := h.PeekAdmission(ctx, token); err != nil || !owner {
				t.Fatalf("peeking: %v, %v", owner, err)
			}
		}
		form := owner(ada, token)
		form.Password = secret.Of("short")
		_, err = h.SignUp(ctx, stranger(), form)
		want(t, err, fault.Invalid, "password.short") // and the link still works
		signed, err := h.SignUp(ctx, stranger(), owner(ada, token))
		if err != nil {
			t.Fatal(err)
		}
		by := h.who(signed.Token)
		if by.Kind != access.KindPerson || !by.Staff || by.Role != access.Owner {
			t.Fatalf("the owner is %+v", by)
		}
		if v, _ := h.Own(ctx, by); v.Staff != StaffOwner || !v.ConfirmedAt.IsZero() {
			t.Errorf("the account is %+v", v)
		}
		if err := h.AskReset(ctx, stranger(), ada); err != nil || strings.Contains(h.post.to(ada)[len(h.post.to(ada))-1].Body, PathReset) {
			t.Errorf("an address that nobody confirmed can reset the password: %v", err)
		}
		if _, err := h.Confirm(ctx, by, h.link(ada, PathConfirm), h.here()); err != nil {
			t.Fatal(err)
		}
		if v, _ := h.Own(ctx, by); v.ConfirmedAt.IsZero() {
			t.Error("the address is still not confirmed")
		}
		if _, needed, err := h.FirstOwnerLink(ctx); needed || err != nil {
			t.Errorf("a second owner is asked for: %v, %v", needed, err)
		}
		h.signIn(ada, goodWord)
	})
}

// Twenty people with the same link, and with different links, make one owner.
func TestOneFirstOwner(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		var links []secret.String
		for range 2 {
			link, _, err := h.FirstOwnerLink(ctx)
			if err != nil {
				t.Fatal(err)
			}
			links = append(links, tokenOf(t, link))
		}
		var made int
		var mu sync.Mutex
		var all sync.WaitGroup
		for i := range 20 {
			all.Go(func() {
				_, err := h.SignUp(ctx, stranger(), owner(strings.Repeat("x", i+1)+"@example.org", links[i%2]))
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil:
					made++
				case !errors.Is(err, errGone):
					t.Errorf("somebody got another answer: %v", err)
				}
			})
		}
		all.Wait()
		var accounts, sessions int
		err := h.DB.Read(ctx, func(tx *store.Tx) error {
			if err := tx.QueryRow(`SELECT COUNT(*) FROM account`).Scan(&accounts); err != nil {
				return err
			}
			return tx.QueryRow(`SELECT COUNT(*) FROM session`).Scan(&sessions)
		})
		if err != nil || made != 1 || accounts != 1 || sessions != 1 {
			t.Errorf("%d were told that they are the owner; %d accounts, %d sessions, %v", made, accounts, sessions, err)
		}
	})
}

func TestAdmit(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.Config.Mode = SignupClosed
		by, _ := h.personBy(ada)
		if _, err := h.Admit(ctx, by); fault.KindOf(err) != fault.Denied {
			t.Errorf("a person admitted somebody: %v", err)
		}
		if by.Staff {
			t.Error("whoever is admitted becomes staff")
		}
		link, err := h.Admit(ctx, host())
		if err != nil {
			t.Fatal(err)
		}
		_, err = h.SignUp(ctx, stranger(), owner(ada, tokenOf(t, link)))
		want(t, err, fault.Conflict, "account.taken")
		if _, err := h.SignUp(ctx, stranger(), owner("bob@example.org", tokenOf(t, link))); err != nil {
			t.Errorf("after a taken address the link does not work: %v", err)
		}
		_, err = h.SignUp(ctx, stranger(), owner("eve@example.org", tokenOf(t, link)))
		want(t, err, fault.Gone, "account.link_gone")
		late, err := h.Admit(ctx, host())
		if err != nil {
			t.Fatal(err)
		}
		h.clock.add(24*time.Hour + time.Second)
		_, err = h.SignUp(ctx, stranger(), owner("eve@example.org", tokenOf(t, late)))
		want(t, err, fault.Gone, "account.link_gone")
	})
}

// personBy signs somebody up by an admission.
func (h *house) personBy(email string) (access.Subject, Signed) {
	h.t.Helper()
	link, err := h.Admit(ctx, host())
	if err != nil {
		h.t.Fatal(err)
	}
	s, err := h.SignUp(ctx, stranger(), owner(email, tokenOf(h.t, link)))
	if err != nil {
		h.t.Fatal(err)
	}
	return h.who(s.Token), s
}

// The operator helps somebody back in who lost everything.
func TestRecover(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		by, old := h.person(ada, goodWord)
		if _, err := h.Recover(ctx, by, by.Account); fault.KindOf(err) != fault.Denied {
			t.Errorf("a person recovered an account: %v", err)
		}
		first, err := h.Recover(ctx, host(), by.Account)
		if err != nil {
			t.Fatal(err)
		}
		if h.signedIn(old.Token) {
			t.Error("the sessions go on")
		}
		second, err := h.Recover(ctx, host(), by.Account)
		if err != nil {
			t.Fatal(err)
		}
		if err := h.Reset(ctx, stranger(), tokenOf(t, first), secret.Of(newWord)); !errors.Is(err, errGone) {
			t.Errorf("a link that was replaced still works: %v", err)
		}
		if err := h.Reset(ctx, stranger(), tokenOf(t, second), secret.Of(newWord)); err != nil {
			t.Fatal(err)
		}
		h.signIn(ada, newWord)
		if !slices.Contains(h.events(by.Tenant), evRecovery) {
			t.Error("the activity does not say who did it")
		}
		for _, m := range h.post.to(ada) {
			if strings.Contains(m.Body, tokenOf(t, second).Reveal()) {
				t.Error("the recovery link was mailed to the mailbox that may be lost")
			}
		}
		if _, err := h.Recover(ctx, host(), id.New[id.Account](h.now())); fault.KindOf(err) != fault.NotFound {
			t.Errorf("an account that does not exist: %v", err)
		}
	})
}

func TestFindAndList(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		var made []id.Account
		for _, email := range []string{ada, "bob@example.org", "eve@example.org"} {
			by, _ := h.personBy(email)
			made = append(made, by.Account)
		}
		for _, name := range []string{string(made[1]), "BOB@example.org "} {
			if v, err := h.Find(ctx, host(), name); err != nil || v.ID != made[1] || v.Email != "bob@example.org" {
				t.Errorf("%q is %+v, %v", name, v, err)
			}
		}
		for _, name := range []string{"", "nobody@example.org", "acc_x", string(id.New[id.Account](h.now()))} {
			if _, err := h.Find(ctx, host(), name); fault.KindOf(err) != fault.NotFound {
				t.Errorf("%q: %v", name, err)
			}
		}
		page, next, err := h.List(ctx, host(), "", 2)
		if err != nil || len(page) != 2 || next != made[1] {
			t.Fatalf("the first page has %d, next %q, %v", len(page), next, err)
		}
		page, next, err = h.List(ctx, host(), next, 2)
		if err != nil || len(page) != 1 || page[0].ID != made[2] || next != "" {
			t.Errorf("the last page has %d, next %q, %v", len(page), next, err)
		}
		if _, _, err := h.List(ctx, stranger(), "", 2); fault.KindOf(err) != fault.Denied {
			t.Errorf("a stranger listed accounts: %v", err)
		}
		if n, err := h.EndAll(ctx, host(), made[0]); err != nil || n != 1 {
			t.Errorf("%d sessions ended, %v", n, err)
		}
	})
}
