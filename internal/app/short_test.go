package app

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// A password of 8 to 14 characters stands together with a second factor that
// counts, which is asked for each time and cannot be removed before a longer one
// is set (SP 800-63B-4, 3.1.1.2).
func TestAShortPasswordNeedsAFactor(t *testing.T) {
	t.Parallel()
	h := raise(t)
	ctx := t.Context()
	w := h.person("ada")
	const short, long = "heron 9 Qx", "heron under slate and water Qx"
	change := func(from, to string, status int) {
		t.Helper()
		p, err := w.Post(ctx, "/-/account/password", "current", from, "password", to)
		h.want(p, err, status)
	}
	change(w.password, short, http.StatusUnprocessableEntity)
	key := w.app()
	change(w.password, short, http.StatusSeeOther)

	step := 30 * time.Second
	for n := range 2 { // the second time, the browser was to be remembered
		p, err := w.Post(ctx, "/-/signin", "email", w.address, "password", short)
		if h.want(p, err, http.StatusSeeOther).Header.Get("Location") != "/-/signin/code" {
			t.Fatalf("sign-in %d asks for no second factor", n+1)
		}
		h.clock.jump(2 * step)
		p, err = w.Post(ctx, "/-/signin/code", "kind", "totp", "code", h.codeAfter(key, 0), "remember", "on")
		h.want(p, err, http.StatusSeeOther)
	}

	p, err := w.Get(ctx, "/-/account/factors")
	remove := h.want(p, err, http.StatusOK).Link("/-/account/factors/remove/")
	p, err = w.Post(ctx, remove)
	if h.want(p, err, http.StatusConflict); !strings.Contains(p.Body, "Set a longer one first") {
		t.Errorf("it is not said what to do: %s", told(p))
	}
	change(short, long, http.StatusSeeOther)
	p, err = w.Post(ctx, remove)
	h.want(p, err, http.StatusSeeOther)
	p, err = w.Post(ctx, "/-/signin", "email", w.address, "password", long)
	if h.want(p, err, http.StatusSeeOther).Header.Get("Location") != "/" {
		t.Error("the password alone does not open an account without a factor")
	}
}
