package app

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"troth/internal/access"
	"troth/internal/factor"
	"troth/internal/secret"
	"troth/internal/trust"
)

// app sets up an authenticator app and returns its key.
func (w *who) app() secret.String {
	w.h.t.Helper()
	ctx := w.h.t.Context()
	p, err := w.Post(ctx, "/-/account/factors/app", "name", "Telephone")
	path := w.h.want(p, err, http.StatusSeeOther).Header.Get("Location")
	p, err = w.GetJSON(ctx, path)
	var shown struct{ Key string }
	if err := json.Unmarshal([]byte(w.h.want(p, err, http.StatusOK).Body), &shown); err != nil {
		w.h.t.Fatal(err)
	}
	key := secret.Of(shown.Key)
	p, err = w.Post(ctx, path, "code", w.h.codeAfter(key, 0))
	w.h.want(p, err, http.StatusSeeOther)
	return key
}

// codeAfter is the code that an app shows some time from now.
func (h *house) codeAfter(key secret.String, d time.Duration) string {
	h.t.Helper()
	code, err := factor.CodeAt(key, h.clock.now().Add(d))
	if err != nil {
		h.t.Fatal(err)
	}
	return code
}

// proves proves again who somebody is, with password and code.
func (w *who) proves(code, returnTo string) *trust.Page {
	w.h.t.Helper()
	p, err := w.Post(w.h.t.Context(), "/-/again", "password", w.password, "kind", "totp", "code", code, "return_to", returnTo)
	return w.h.want(p, err, http.StatusSeeOther)
}

// An organisation asks for a second factor: its people are told on every page,
// shut out after the grace time with the reason, and come back with a factor, in
// the same session.
func TestAnOrganisationAsksForASecondFactor(t *testing.T) {
	t.Parallel()
	h := raise(t)
	ctx := t.Context()
	owner, member := h.person("olga"), h.person("mimi")
	org := owner.organisation("Orchard")
	member.join(owner.invite(member.address, access.Member), org)
	says := func(w *who, path string, words ...string) {
		t.Helper()
		p, err := w.Get(ctx, path)
		h.want(p, err, http.StatusOK)
		for _, each := range words {
			if !strings.Contains(p.Body, each) {
				t.Errorf("%s does not say %q: %s", path, each, told(p))
			}
		}
	}

	p, err := owner.Post(ctx, "/-/org/security", "factor", "on", "grace", "7")
	h.want(p, err, http.StatusConflict)
	key := owner.app()
	says(owner, "/-/org/security", "mimi", "Who has none yet")
	owner.proves(h.codeAfter(key, 30*time.Second), "/-/org/security")
	p, err = owner.Post(ctx, "/-/org/security", "factor", "on", "grace", "7")
	h.want(p, err, http.StatusSeeOther)
	says(member, "/-/org/", "Orchard lets in only who used a second factor", "/-/account/factors")
	says(member, "/-/switch", "Set one up")

	h.clock.jump(7*24*time.Hour + time.Minute)
	member.signIn() // sessions have been idle for too long
	says(member, "/-/account/", "Orchard lets in only who used a second factor, so you cannot work there")
	says(member, "/-/switch", "Second factor needed", "prove yourself")
	says(member, "/-/org/", "Second factor needed", "prove yourself")
	p, err = member.Post(ctx, "/-/switch", "tenant", string(org))
	h.want(p, err, http.StatusForbidden)
	if !strings.Contains(p.Body, "lets in only who used a second factor") {
		t.Errorf("who is shut out is not told why: %s", told(p))
	}

	key = member.app()
	says(member, "/-/switch", "/-/again?return_to=%2F-%2Fswitch")
	member.proves(h.codeAfter(key, 30*time.Second), "/-/switch")
	member.switchTo(org)
	says(member, "/-/org/", "You work here as")
	if _, at := h.worksIn(member.account); at != org {
		t.Errorf("the session works in %s", at)
	}
}

// A form of the organisation that was still open when the grace time ended did
// nothing, and is told why.
func TestAFormAfterTheGraceTime(t *testing.T) {
	t.Parallel()
	h := raise(t)
	ctx := t.Context()
	owner, admin := h.person("olga"), h.person("adam")
	org := owner.organisation("Orchard")
	admin.join(owner.invite(admin.address, access.Admin), org)
	owner.proves(h.codeAfter(owner.app(), 30*time.Second), "/")
	p, err := owner.Post(ctx, "/-/org/security", "factor", "on", "grace", "0", "forgets", "on")
	h.want(p, err, http.StatusSeeOther)
	p, err = admin.Post(ctx, "/-/org/name", "name", "Adam's")
	h.want(p, err, http.StatusConflict)
	if !strings.Contains(p.Body, "so nothing was done") {
		t.Errorf("it is not said that nothing was done: %s", told(p))
	}
	p, err = owner.Get(ctx, "/-/org/")
	if h.want(p, err, http.StatusOK); strings.Contains(p.Body, "Adam's") {
		t.Error("the organisation has another name")
	}
}
