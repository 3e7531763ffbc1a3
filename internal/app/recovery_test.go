package app

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"troth/internal/access"
	"troth/internal/account"
	"troth/internal/store"
	"troth/internal/trust"
)

// passes lets time pass, and does what waits for it.
func (h *house) passes(d time.Duration) {
	h.t.Helper()
	h.jump(d)
	if err := h.in.accounts.Advance(h.t.Context()); err != nil {
		h.t.Fatal(err)
	}
}

// factorsOf counts what an account can prove a second factor with.
func (h *house) factorsOf(w *who) (n int) {
	h.t.Helper()
	h.read(func(tx *store.Tx) error {
		for _, table := range []string{"factor", "factor_recovery", "passkey"} {
			var m int
			if err := tx.QueryRow(`SELECT COUNT(*) FROM `+table+` WHERE account = $1`, w.account).Scan(&m); err != nil {
				return err
			}
			n += m
		}
		return nil
	})
	return n
}

// Somebody lost the telephone, the codes and the password: a reset does not
// help, a recovery does, after three days of notices.
func TestRecoveryFromEndToEnd(t *testing.T) {
	t.Parallel()
	h := raise(t)
	ctx := t.Context()
	ada := h.person("ada")
	ada.setsUpApp()
	v := h.visitor()

	since := h.clock.now()
	p, err := v.Post(ctx, "/-/reset", "email", ada.address)
	h.want(p, err, http.StatusSeeOther)
	ada.password = passwordOf("ada again")
	p, err = v.Post(ctx, h.linkIn(h.letter(ada.address, since)), "password", ada.password)
	h.want(p, err, http.StatusSeeOther)
	ada.halfIn() // the second factor is still asked for

	since = h.clock.now()
	p, err = v.Post(ctx, "/-/recover", "email", ada.address)
	h.want(p, err, http.StatusSeeOther)
	link := h.linkIn(h.letter(ada.address, since))
	p, err = v.Post(ctx, link)
	h.want(p, err, http.StatusOK)
	h.passes(71 * time.Hour)
	if h.factorsOf(ada) == 0 {
		t.Fatal("the factor is gone before its time")
	}
	since = h.clock.now()
	h.passes(2 * time.Hour)
	ada.password = passwordOf("ada recovered")
	p, err = v.Post(ctx, h.linkIn(h.letter(ada.address, since)), "password", ada.password)
	h.want(p, err, http.StatusSeeOther)
	if n := h.factorsOf(ada); n != 0 {
		t.Errorf("%d factors are left", n)
	}
	ada.signIn()
	p, err = ada.Get(ctx, "/-/account/")
	h.want(p, err, http.StatusOK)
}

// helper is somebody whom the operator made staff, in a browser that signed in
// with a passkey.
func (h *house) helper(name string) *who {
	h.t.Helper()
	w := h.person(name)
	d := newDevice()
	w.adds(d, "Laptop")
	if _, err := h.in.accounts.SetStaff(h.t.Context(), checker(), w.account, account.StaffSupport); err != nil {
		h.t.Fatal(err)
	}
	w.Visitor = h.visitor()
	p, err := w.Post(h.t.Context(), "/-/signin/passkey", "passkey", d.signs(h, w.Visitor, "/-/signin/passkey/options"))
	h.want(p, err, http.StatusSeeOther)
	return w
}

// Two members of staff help somebody who cannot wait: one alone cannot, nor can
// one without a passkey, nor anybody who is no staff.
func TestStaffRecoveryFromEndToEnd(t *testing.T) {
	t.Parallel()
	h := raise(t)
	ctx := t.Context()
	ada, one, two := h.person("ada"), h.helper("one"), h.helper("two")
	ada.setsUpApp()
	const path = "/-/staff/recovery"
	p, err := ada.Get(ctx, path)
	h.want(p, err, http.StatusForbidden)
	p, err = one.Post(ctx, path, "email", "nobody@canary.invalid", "reason", "called us")
	h.want(p, err, http.StatusNotFound)
	p, err = one.Post(ctx, path, "email", ada.address, "reason", "called us, passport seen")
	h.want(p, err, http.StatusSeeOther)
	p, err = one.Get(ctx, path)
	if h.want(p, err, http.StatusOK); !strings.Contains(p.Body, "passport seen") || strings.Contains(p.Body, `value="approve"`) {
		t.Errorf("who opened it is offered to approve it: %s", told(p))
	}
	list, err := h.in.accounts.StaffRecoveries(ctx, h.subjectOf(two))
	if err != nil || len(list) != 1 {
		t.Fatalf("%+v, %v", list, err)
	}
	which := string(list[0].ID)
	p, err = one.Post(ctx, path, "recovery", which, "do", "approve")
	h.want(p, err, http.StatusForbidden)
	p, err = two.Get(ctx, path)
	if h.want(p, err, http.StatusOK); !strings.Contains(p.Body, `value="approve"`) {
		t.Errorf("the other is not offered to approve it: %s", told(p))
	}
	since := h.clock.now()
	p, err = two.Post(ctx, path, "recovery", which, "do", "approve")
	h.want(p, err, http.StatusSeeOther)
	if m := h.letter(ada.address, since); !strings.Contains(m.Body, "Two of them agreed") || !strings.Contains(m.Body, "/-/keep/") {
		t.Errorf("the holder was told %q", m.Body)
	}
	since = h.clock.now()
	h.passes(25 * time.Hour)
	p, err = h.visitor().Post(ctx, h.linkIn(h.letter(ada.address, since)), "password", passwordOf("ada again"))
	h.want(p, err, http.StatusSeeOther)
	if h.factorsOf(ada) != 0 {
		t.Error("the factor is still there")
	}
}

// One member of staff unlocks an account that strangers have guessed at, by the
// button beside the one that opens a recovery.
func TestStaffUnlock(t *testing.T) {
	t.Parallel()
	h := raise(t)
	ctx := t.Context()
	ada, one := h.person("ada"), h.helper("one")
	const path = "/-/staff/unlock"
	p, err := one.Get(ctx, "/-/staff/recovery")
	if h.want(p, err, http.StatusOK); !strings.Contains(p.Body, `formaction="`+path+`"`) {
		t.Errorf("there is no button: %s", told(p))
	}
	p, err = ada.Post(ctx, path, "email", ada.address, "reason", "it is me")
	h.want(p, err, http.StatusForbidden)
	p, err = one.Post(ctx, path, "email", "nobody@canary.invalid", "reason", "called us")
	if h.want(p, err, http.StatusNotFound); !strings.Contains(p.Body, "no account with this address") {
		t.Errorf("the page does not say why: %s", told(p))
	}
	enters := func(status int) {
		t.Helper()
		v := h.visitor()
		p, err := v.Post(ctx, "/-/signin", "email", ada.address, "password", ada.password)
		h.want(p, err, status)
	}
	for range bearsGuesses {
		p, err := h.visitor().Post(ctx, "/-/signin", "email", ada.address, "password", "not hers at all")
		h.want(p, err, http.StatusUnauthorized)
	}
	enters(http.StatusUnauthorized)
	since := h.clock.now()
	p, err = one.Post(ctx, path, "email", ada.address, "reason", "called us, passport seen")
	h.want(p, err, http.StatusSeeOther)
	if m := h.letter(ada.address, since); !strings.Contains(m.Body, "forgot the wrong passwords") {
		t.Errorf("the holder was told %q", m.Body)
	}
	enters(http.StatusSeeOther)
	h.passes(time.Hour)
	p, err = one.Post(ctx, path, "email", ada.address, "reason", "called us again")
	if h.want(p, err, http.StatusSeeOther); !strings.HasPrefix(p.Header.Get("Location"), "/-/again?") {
		t.Errorf("an hour later it does not ask who it is: %s", p.Header.Get("Location"))
	}
}

// subjectOf is who somebody's browser is.
func (h *house) subjectOf(w *who) access.Subject {
	h.t.Helper()
	by, err := h.in.accounts.Authenticate(h.t.Context(), w.Cookie("__Host-troth"))
	if err != nil {
		h.t.Fatal(err)
	}
	return by
}

// Who deactivates the account is a stranger to the application from the next
// request on; places in organisations stay; the last owner of one cannot go.
func TestDeactivatedFromEndToEnd(t *testing.T) {
	t.Parallel()
	up := upstream(t)
	h := raise(t, func(s *Settings) {
		s.site.Upstream = up.URL
		s.routes = []route{{Path: "/", Access: "public"}}
	})
	ctx := t.Context()
	ada, eve := h.person("ada"), h.person("eve")
	org := ada.organisation("Orchard")
	eve.join(ada.invite(eve.address, access.Owner), org)
	asserts := func(w *trust.Visitor) string {
		t.Helper()
		p, err := w.Get(ctx, "/page")
		h.want(p, err, http.StatusOK)
		return assertion(t, up.take()[0]).Subject
	}
	if asserts(eve.Visitor) != string(eve.account) {
		t.Fatal("the application is not told who is signed in")
	}
	stolen := h.copyOf(eve.Visitor)
	p, err := eve.Post(ctx, "/-/account/deactivate")
	h.want(p, err, http.StatusSeeOther)
	if asserts(stolen) != "" || asserts(eve.Visitor) != "" {
		t.Error("the application is told of somebody who is deactivated")
	}
	p, err = ada.Get(ctx, "/-/org/people")
	if h.want(p, err, http.StatusOK); !strings.Contains(p.Body, "eve") {
		t.Error("who is deactivated is nameless to others")
	}
	p, err = ada.Post(ctx, "/-/account/deactivate")
	if h.want(p, err, http.StatusConflict); !strings.Contains(p.Body, "last active owner") {
		t.Errorf("the last owner is told %s", told(p))
	}
	eve.signIn()
	p, err = eve.Post(ctx, "/-/signin/return")
	h.want(p, err, http.StatusSeeOther)
	if asserts(eve.Visitor) != string(eve.account) {
		t.Error("who came back is a stranger to the application")
	}
	eve.switchTo(org)
	p, err = ada.Post(ctx, "/-/account/deactivate")
	h.want(p, err, http.StatusSeeOther)
}
