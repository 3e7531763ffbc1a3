package plug

import (
	"encoding/json"
	"strings"
	"testing"

	"troth/internal/account"
	"troth/internal/secret"
)

// From a mail about a browser that nobody knows to a new password.
func TestFromANoticeToANewPassword(t *testing.T) {
	d := open(t)
	v, c := d.somebody("ada")
	thief := d.visitor()
	p, err := thief.SignIn(ctx, c.Address, c.Password)
	is(t, p, err, 303)
	m, link := d.letter(c.Address)
	link = strings.TrimPrefix(link, d.server.URL)
	if !strings.HasPrefix(link, account.PathStop) {
		t.Fatalf("the mail holds no link that ends the session:\n%s", m.Body)
	}
	owner := d.visitor() // reads the mail on the phone, signed in to nothing
	p, err = owner.Get(ctx, link)
	is(t, p, err, 200, "Was this you?", "It was not me: end the session", thief.From.String())
	p, err = thief.Get(ctx, pathSessions)
	is(t, p, err, 200)
	p, err = owner.Post(ctx, link)
	is(t, p, err, 303)
	if to := p.Header.Get("Location"); to != "/-/reset" {
		t.Errorf("the button leads to %s", to)
	}
	p, err = owner.Get(ctx, "/-/reset")
	is(t, p, err, 200, "That session is over")
	p, err = thief.Get(ctx, pathSessions)
	is(t, p, err, 303)
	p, err = v.Get(ctx, pathSessions)
	is(t, p, err, 200)
	p, err = owner.Get(ctx, link)
	is(t, p, err, 410)

	// In a browser that is signed in, it leads to the own password at once.
	asked := d.clock.now()
	p, err = thief.SignIn(ctx, c.Address, c.Password)
	is(t, p, err, 303)
	m, err = mailbox{d.letters}.Wait(ctx, c.Address, asked)
	if err != nil {
		t.Fatal(err)
	}
	link = m.Link(d.server.URL + account.PathStop)
	p, err = v.Post(ctx, strings.TrimPrefix(link, d.server.URL))
	is(t, p, err, 303)
	if to := p.Header.Get("Location"); to != "/-/account/password" {
		t.Errorf("the button leads to %s", to)
	}
	d.nothingLogged(strings.TrimPrefix(link, d.server.URL+account.PathStop))
}

// Whoever presses the button in the browser that the notice is about ends the
// own session.
func TestANoticeAboutOneself(t *testing.T) {
	d := open(t)
	_, c := d.somebody("ada")
	v := d.visitor()
	p, err := v.SignIn(ctx, c.Address, c.Password)
	is(t, p, err, 303)
	_, link := d.letter(c.Address)
	p, err = v.Post(ctx, strings.TrimPrefix(link, d.server.URL))
	is(t, p, err, 303)
	if v.Cookie(sessionCookie) != "" || p.Header.Get("Location") != "/-/reset" {
		t.Errorf("the cookie is still there, or the button leads to %s", p.Header.Get("Location"))
	}
}

// The list of browsers, as a page and as a document, and forgetting one.
func TestBrowsers(t *testing.T) {
	d := open(t)
	v, c := d.somebody("ada")
	other := d.visitor()
	p, err := other.SignIn(ctx, c.Address, c.Password)
	is(t, p, err, 303)
	p, err = v.Get(ctx, pathSessions)
	is(t, p, err, 200, "Browsers that are known", "This browser", "with password", other.From.String(), "Asked, if you have one")
	list := func() (l sessionsData) {
		p, err := v.GetJSON(ctx, pathSessions)
		is(t, p, err, 200, `"browsers"`, `"methods":["pwd"]`)
		if err := json.Unmarshal([]byte(p.Body), &l); err != nil {
			t.Fatal(err)
		}
		return l
	}
	l := list()
	if len(l.Browsers) != 2 || l.Browsers[0].Current || !l.Browsers[1].Current || l.Browsers[0].Network != other.From.String() {
		t.Fatalf("the browsers are %+v", l.Browsers)
	}
	p, err = v.Post(ctx, "/-/account/browsers", "browser", string(l.Browsers[0].ID))
	is(t, p, err, 303)
	p, err = v.Get(ctx, pathSessions)
	is(t, p, err, 200, "The browser is forgotten")
	if l := list(); len(l.Browsers) != 1 || len(l.Sessions) != 2 {
		t.Errorf("afterwards: %+v", l)
	}
	for _, wrong := range []string{string(l.Browsers[0].ID), "dev_x", ""} {
		p, err = v.Post(ctx, "/-/account/browsers", "browser", wrong)
		is(t, p, err, 404)
	}
	p, err = d.visitor().Post(ctx, "/-/account/browsers", "browser", string(l.Browsers[1].ID))
	is(t, p, err, 401)
}

// A link that is none says so, and tells nothing else.
func TestStopLinksThatAreNone(t *testing.T) {
	d := open(t)
	for _, token := range []string{secret.NewToken().Reveal(), "x"} {
		p, err := d.visitor().Get(ctx, account.PathStop+token)
		is(t, p, err, 410)
		p, err = d.visitor().Post(ctx, account.PathStop+token)
		is(t, p, err, 410)
	}
}
