package plug

import (
	"net/http"
	"strings"
	"testing"
)

// The page of the policy shows who lacks a factor, and refuses to lock its
// reader out.
func TestSecurityPage(t *testing.T) {
	h := furnished(t)
	p := h.owner.get("/-/org/security")
	h.status(t, p, http.StatusOK)
	for _, want := range []string{"Who has none yet", `name="factor"`, `name="grace"`, `value="14"`, h.member.address} {
		if !strings.Contains(p.Body, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	h.status(t, h.admin.get("/-/org/security"), http.StatusForbidden)
	p = h.owner.post("/-/org/security", "factor", "on", "grace", "7")
	h.status(t, p, http.StatusConflict)
	if !strings.Contains(p.Body, "lock yourself out") {
		t.Errorf("the page does not say why: %s", words(p))
	}
	for _, grace := range []string{"", "31", "-1", "x"} {
		h.status(t, h.owner.post("/-/org/security", "factor", "on", "grace", grace), http.StatusUnprocessableEntity)
	}
	h.status(t, h.owner.post("/-/org/security"), http.StatusSeeOther)
	h.status(t, h.owner.post("/-/org/security", "forgets", "on"), http.StatusSeeOther)
}
