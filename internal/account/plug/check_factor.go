package plug

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"troth/internal/factor"
	"troth/internal/secret"
	"troth/internal/trust"
)

// Where second factors are set up (package factor/plug).
const (
	pathFactors  = "/-/account/factors"
	pathApp      = pathFactors + "/app"
	pathRecovery = pathFactors + "/recovery"
)

// step is how long a code of an app is shown (RFC 6238, 5.2).
const step = 30 * time.Second

// phone is an authenticator app of a synthetic person: its key, and the last
// step whose code was used.
type phone struct {
	id   string
	key  secret.String
	used time.Time
	now  func() time.Time
}

// next is the code of a step that was not used yet: the present one, or the one
// after it, which a clock that is a little fast shows.
func (a *phone) next() (string, error) {
	at := a.now()
	if soonest := a.used.Add(step); at.Before(soonest) {
		at = soonest
	}
	a.used = at.Truncate(step)
	return factor.CodeAt(a.key, at)
}

// last is the code that was used last.
func (a *phone) last() (string, error) { return factor.CodeAt(a.key, a.used) }

// wrong is a code that no clock shows at about this time.
func (a *phone) wrong() (string, error) {
	shown := map[string]bool{}
	for n := -20; n <= 20; n++ {
		code, err := factor.CodeAt(a.key, a.now().Add(time.Duration(n)*step))
		if err != nil {
			return "", err
		}
		shown[code] = true
	}
	n := 0
	for shown[fmt.Sprintf("%06d", n)] {
		n++
	}
	return fmt.Sprintf("%06d", n), nil
}

// checkFactor exercises claim A5: an account with a second factor opens with it
// and with nothing less.
func (p *plug) checkFactor(ctx context.Context, b trust.Bench) (trust.Result, error) {
	c, err := b.Canary(ctx, "factor")
	if err != nil {
		return trust.Result{}, err
	}
	t := &trial{ctx: ctx, b: b}
	owner := t.bare(p, c)
	app := t.enrol(owner)
	here := t.guest()
	p.lookAtCodes(t, c, here, app)
	t.lookAtBrowser(c, here)
	t.lookAtRecovery(c, owner, here)
	if app != nil {
		t.post("removing the app", owner, http.StatusSeeOther, pathFactors+"/remove/"+app.id)
	}
	return t.result()
}

// bare is the canary in a browser, signed in, without a second factor. What a
// check left that was broken off is removed as the operator does it.
func (t *trial) bare(p *plug, c *trust.Canary) *browser {
	w := t.browser(c)
	if t.err != nil || w.token() != "" {
		return w
	}
	who, err := p.accounts.Find(t.ctx, operator(), c.Address)
	if t.err = err; err != nil {
		return w
	}
	link, err := p.accounts.Rescue(t.ctx, operator(), who.ID)
	if t.err = err; err != nil {
		return w
	}
	if _, t.err = w.Post(t.ctx, strings.TrimPrefix(link.Reveal(), t.b.Origin), "password", c.Password.Reveal()); t.err == nil {
		t.err = w.again(t.ctx, c)
	}
	return w
}

// guest is a browser in which nobody is signed in.
func (t *trial) guest() *browser {
	w := &browser{bench: t.b}
	if t.err == nil {
		w.Visitor, t.err = t.b.Visitor(netip.Addr{})
	}
	return w
}

// enrol sets up an authenticator app.
func (t *trial) enrol(w *browser) *phone {
	if t.err != nil {
		return nil
	}
	page, err := w.Post(t.ctx, pathApp, "name", "Canary")
	if t.err = err; err != nil {
		return nil
	}
	path := page.Header.Get("Location")
	if page, t.err = w.GetJSON(t.ctx, path); t.err != nil {
		return nil
	}
	var shown struct{ ID, Key string }
	if err := json.Unmarshal([]byte(page.Body), &shown); err != nil || shown.Key == "" {
		t.err = fmt.Errorf("an authenticator app could not be set up: the front door answered %d", page.Status)
		return nil
	}
	app := &phone{id: shown.ID, key: secret.Of(shown.Key), used: t.b.Now().Truncate(step), now: t.b.Now}
	code, err := app.last()
	if t.err = err; err == nil {
		t.post("setting up an authenticator app with its code", w, http.StatusSeeOther, path, "code", code)
	}
	return app
}

// password gives the password, and observes where that leads: to the second
// step, or into a session.
func (t *trial) password(what string, w *browser, c *trust.Canary, want string) {
	if t.err != nil {
		return
	}
	page, err := w.SignIn(t.ctx, c.Address, c.Password)
	if t.err = err; err == nil {
		path, _, _ := strings.Cut(page.Header.Get("Location"), "?")
		t.look.Equal(what, want, path)
	}
}

// code gives a code, and observes whether a session begins.
func (t *trial) code(what string, w *browser, kind, code string, want int, more ...string) {
	if t.err != nil {
		return
	}
	if _, t.err = w.Post(t.ctx, pathCode, append([]string{"kind", kind, "code", code}, more...)...); t.err == nil {
		t.opens(what, w, want)
	}
}

// lookAtCodes tries what is less than the password and a code that was not used.
func (p *plug) lookAtCodes(t *trial, c *trust.Canary, here *browser, app *phone) {
	t.password("where the password alone leads", here, c, pathCode)
	t.opens("a request after the password alone, with the second step left out", here, refused)
	if t.err != nil {
		return
	}
	t.token("a request with the secret of the sign-in that waits", here.Cookie(pendingCookie), refused)
	wrong, err := app.wrong()
	used, err2 := app.last()
	if t.err = errors.Join(err, err2); t.err != nil {
		return
	}
	t.code("a request after a wrong code", here, "totp", wrong, refused)
	t.code("a request after a code that was used before", here, "totp", used, refused)
	t.code("a request after a recovery code that was made up", here, "recovery", "AAAAA-AAAAA-AAAAA", refused)
	right, err := app.next()
	if t.err = err; err != nil {
		return
	}
	other := t.guest()
	t.code("a request of a browser that gave the right code and not the password", other, "totp", right, refused)
	t.code("a request after the password and the right code", here, "totp", right, stays, "remember", "on")
	t.code("a request of that other browser after the code was used", other, "totp", right, refused)
}

// lookAtBrowser observes that the browser which was to be remembered is, and no
// other one.
func (t *trial) lookAtBrowser(c *trust.Canary, here *browser) {
	t.password("where the password leads in a browser that is to be remembered", here, c, "/")
	t.opens("a request of that browser", here, stays)
}

// lookAtRecovery changes the second factors, which browsers that are remembered
// must not outlive, and uses a recovery code twice.
func (t *trial) lookAtRecovery(c *trust.Canary, owner, here *browser) {
	codes := t.recoveryCodes(owner)
	if t.err != nil {
		return
	}
	t.post("signing out", here, http.StatusSeeOther, "/-/signout")
	t.password("where the password leads in that browser after a second factor was changed", here, c, pathCode)
	t.code("a request after the password and a recovery code", here, "recovery", codes[0], stays)
	other := t.guest()
	t.password("where the password leads in another browser", other, c, pathCode)
	t.code("a request after the same recovery code", other, "recovery", codes[0], refused)
}

func (t *trial) recoveryCodes(w *browser) []string {
	if t.err != nil {
		return nil
	}
	req, err := http.NewRequestWithContext(t.ctx, http.MethodPost, t.b.Origin+pathRecovery, nil)
	if t.err = err; err != nil {
		return nil
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Origin", t.b.Origin)
	page, err := w.Do(req)
	if t.err = err; err != nil {
		return nil
	}
	var made struct{ Codes []string }
	if err := json.Unmarshal([]byte(page.Body), &made); err != nil || len(made.Codes) == 0 {
		t.err = fmt.Errorf("recovery codes could not be made: the front door answered %d", page.Status)
	}
	return made.Codes
}
