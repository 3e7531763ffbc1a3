package plug

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"troth/internal/account"
	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/secret"
	"troth/internal/trust"
)

// browser is a synthetic person in one browser.
type browser struct {
	*trust.Visitor
	bench   trust.Bench
	address string
	header  http.Header // of the answer to signing in
}

func arrive(ctx context.Context, b trust.Bench, c *trust.Canary) (*browser, error) {
	v, err := b.Visitor(netip.Addr{})
	if err != nil {
		return nil, err
	}
	w := &browser{Visitor: v, bench: b, address: c.Address}
	return w, w.again(ctx, c)
}

// again signs in, over what was there.
func (w *browser) again(ctx context.Context, c *trust.Canary) error {
	page, err := w.SignIn(ctx, c.Address, c.Password)
	if err != nil {
		return err
	}
	if page.Status != http.StatusSeeOther {
		return fmt.Errorf("a canary signed in and was answered %d", page.Status)
	}
	w.header = page.Header
	return nil
}

// token is the secret that the browser holds.
func (w *browser) token() string { return w.Cookie(sessionCookie) }

// in reports whether the browser is signed in: the answer to its next request.
func (w *browser) in(ctx context.Context) (int, error) {
	page, err := w.GetJSON(ctx, pathSessions)
	if err != nil {
		return 0, err
	}
	return page.Status, nil
}

// bearer asks for the list of sessions with a token alone, as a thief would.
func bearer(ctx context.Context, b trust.Bench, token string) (int, error) {
	v, err := b.Visitor(netip.Addr{})
	if err != nil {
		return 0, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, b.Origin+pathSessions, nil)
	if err != nil {
		return 0, err
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Cookie", sessionCookie+"="+token)
	page, err := v.Do(req)
	if err != nil {
		return 0, err
	}
	return page.Status, nil
}

// list is what the holder sees.
func (w *browser) list(ctx context.Context) ([]account.Session, error) {
	page, err := w.GetJSON(ctx, pathSessions)
	if err != nil {
		return nil, err
	}
	var d sessionsData
	if page.Status != http.StatusOK {
		return nil, fmt.Errorf("the list of sessions was answered with %d", page.Status)
	}
	if err := json.Unmarshal([]byte(page.Body), &d); err != nil {
		return nil, fmt.Errorf("reading the list of sessions: %w", err)
	}
	return d.Sessions, nil
}

// current is the browser's own session, "" if it is not listed.
func (w *browser) current(ctx context.Context) (id.Session, error) {
	list, err := w.list(ctx)
	for _, s := range list {
		if s.Current {
			return s.ID, err
		}
	}
	return "", err
}

// trial is a check of sessions that is going on. The first error ends it.
type trial struct {
	ctx  context.Context
	b    trust.Bench
	look trust.Look
	err  error
}

func (t *trial) browser(c *trust.Canary) *browser {
	w := &browser{}
	if t.err == nil {
		w, t.err = arrive(t.ctx, t.b, c)
	}
	return w
}

// opens observes whether a browser is signed in.
func (t *trial) opens(what string, w *browser, want int) {
	if t.err != nil {
		return
	}
	var status int
	if status, t.err = w.in(t.ctx); t.err == nil {
		t.look.Equal(what, want, status)
	}
}

// token observes whether a token alone opens.
func (t *trial) token(what, token string, want int) {
	if t.err != nil {
		return
	}
	var status int
	if status, t.err = bearer(t.ctx, t.b, token); t.err == nil {
		t.look.Equal(what, want, status)
	}
}

func (t *trial) post(what string, w *browser, want int, path string, fields ...string) {
	if t.err != nil {
		return
	}
	var page *trust.Page
	if page, t.err = w.Post(t.ctx, path, fields...); t.err == nil && !t.busy(page) {
		t.look.Equal(what, want, page.Status)
	}
}

// busy ends a trial on a machine that has too much to do: that shows nothing
// about what is tried.
func (t *trial) busy(page *trust.Page) bool {
	if page.Status == http.StatusServiceUnavailable {
		t.err = fault.New(fault.Unavailable, "account.canary_busy", "The front door was too busy to try this.")
	}
	return t.err != nil
}

func (t *trial) result() (trust.Result, error) {
	if t.err != nil {
		return trust.Result{}, t.err
	}
	return t.look.Result()
}

const (
	stays   = http.StatusOK
	refused = http.StatusUnauthorized
)

// checkSessions exercises claim A7: bound, rotated, listed, ended.
func (p *plug) checkSessions(ctx context.Context, b trust.Bench) (trust.Result, error) {
	c, err := b.Canary(ctx, "session")
	if err != nil {
		return trust.Result{}, err
	}
	other, err := b.Canary(ctx, "session-other")
	if err != nil {
		return trust.Result{}, err
	}
	t := &trial{ctx: ctx, b: b}
	here, there, stranger := t.known(p, c, "here"), t.known(p, c, "there"), t.known(p, other, "stranger")
	if t.err != nil {
		return t.result()
	}
	lookAtCookie(&t.look, here.header)
	t.opens("a request of the browser that signed in", here, stays)
	t.token("a request with the secret of its cookie", here.token(), stays)
	t.token("a request with a secret that was made up", secret.NewToken().Reveal(), refused)
	p.lookAtStored(t, c, here)

	old := here.token()
	t.err = here.again(ctx, c)
	t.look.That(here.token() != old, "the secret after signing in again in the same browser", "another one", map[bool]string{true: "another one", false: "the same"}[here.token() != old])
	t.token("a request with the secret from before", old, refused)
	t.opens("a request of the browser that signed in again", here, stays)

	p.endSessions(t, here, there, stranger)
	p.stopSession(t, c, here)

	if t.err == nil {
		t.err = there.again(ctx, c)
	}
	t.post("ending all other sessions", here, http.StatusSeeOther, pathSessions, "session", "others")
	t.opens("the next request of another browser", there, refused)
	t.opens("the next request of the browser that did it", here, stays)
	gone := here.token()
	t.post("signing out", here, http.StatusSeeOther, "/-/signout")
	t.token("a request with the secret of a session that signed out", gone, refused)
	return t.result()
}

// known is a browser that the account may have used in an earlier run: the mails
// about new ones are bounded, and one is needed.
func (t *trial) known(p *plug, c *trust.Canary, name string) *browser {
	if t.err != nil {
		return &browser{}
	}
	w := &browser{bench: t.b, address: c.Address}
	if w.Visitor, t.err = t.b.Visitor(netip.Addr{}); t.err != nil {
		return w
	}
	site, err := url.Parse(t.b.Origin)
	if t.err = err; err != nil {
		return w
	}
	key := c.Address + " " + name
	if token, ok := p.browsers.Load(key); ok {
		w.Client.Jar.SetCookies(site, []*http.Cookie{{Name: deviceCookie, Value: token.(string), Path: "/", Secure: true}})
	}
	if t.err = w.again(t.ctx, c); t.err == nil {
		p.browsers.Store(key, w.Cookie(deviceCookie))
	}
	return w
}

// mailed is how long the mail about a new browser may take.
const mailed = 10 * time.Second

// stopSession signs in in a new browser and ends that session by the mail that
// tells of it.
func (p *plug) stopSession(t *trial, c *trust.Canary, here *browser) {
	asked := t.b.Now()
	third := t.browser(c)
	if t.err != nil {
		return
	}
	t.opens("a request of a browser that is new to the account", third, stays)
	ctx, cancel := context.WithTimeout(t.ctx, mailed)
	defer cancel()
	m, err := t.b.Mailbox.Wait(ctx, c.Address, asked)
	if err != nil && t.ctx.Err() != nil {
		t.err = t.ctx.Err()
		return
	}
	link := strings.TrimPrefix(m.Link(t.b.Origin+account.PathStop), t.b.Origin)
	t.look.That(link != "", "the holder is told of it by a mail with a link", "yes", yes(link != ""))
	if link == "" {
		return
	}
	t.post("the button behind that link, pressed by nobody in particular", t.nobody(), http.StatusSeeOther, link)
	t.opens("the next request of the session that the mail told of", third, refused)
	t.opens("the next request of another session of the account", here, stays)
	t.post("the same button again", t.nobody(), http.StatusGone, link)
}

// nobody is a browser that is not signed in.
func (t *trial) nobody() *browser {
	w := &browser{bench: t.b}
	if t.err == nil {
		w.Visitor, t.err = t.b.Visitor(netip.Addr{})
	}
	return w
}

// endSessions looks at the list and ends one of its sessions.
func (p *plug) endSessions(t *trial, here, there, stranger *browser) {
	if t.err != nil {
		return
	}
	var mine, theirs id.Session
	if mine, t.err = here.current(t.ctx); t.err != nil {
		return
	}
	if theirs, t.err = there.current(t.ctx); t.err != nil {
		return
	}
	list, err := here.list(t.ctx)
	if t.err = err; err != nil {
		return
	}
	found, from, how := 0, "it is not listed", "it is not listed"
	for _, s := range list {
		if s.ID == mine || s.ID == theirs {
			found++
		}
		if s.ID == theirs {
			from, how = s.Network, strings.Join(s.Methods, " ")
		}
	}
	t.look.Equal("sessions of the two browsers in the list of their holder", 2, found)
	t.look.Equal("the network of the other browser in the list", there.From.String(), from)
	t.look.Equal("how the other browser signed in, in the list", "pwd", how)
	t.post("ending a session of somebody else", stranger, http.StatusNotFound, pathSessions, "session", string(theirs))
	t.opens("the next request of that session", there, stays)
	t.post("ending the session of the other browser", here, http.StatusSeeOther, pathSessions, "session", string(theirs))
	t.opens("the next request of the other browser", there, refused)
	t.opens("the next request of the browser that ended it", here, stays)
	if list, t.err = here.list(t.ctx); t.err != nil {
		return
	}
	listed := false
	for _, s := range list {
		listed = listed || s.ID == theirs
	}
	t.look.That(!listed, "the ended session is still listed", "no", yes(listed))
}

// lookAtCookie observes what binds the cookie.
func lookAtCookie(look *trust.Look, h http.Header) {
	var cookie *http.Cookie
	for _, c := range (&http.Response{Header: h}).Cookies() {
		if strings.HasPrefix(c.Name, sessionCookie) && c.Value != "" && !strings.HasPrefix(c.Name, sessionCookie+"-") {
			cookie = c
		}
	}
	if cookie == nil {
		look.That(false, "the name of the session cookie", sessionCookie, "there is none")
		return
	}
	look.Equal("the name of the session cookie", sessionCookie, cookie.Name)
	look.Equal("it goes over encrypted connections only", true, cookie.Secure)
	look.Equal("scripts cannot read it", true, cookie.HttpOnly)
	site := map[http.SameSite]string{http.SameSiteLaxMode: "Lax", http.SameSiteStrictMode: "Strict"}[cookie.SameSite]
	look.That(site != "", "SameSite", "Lax or Strict", site)
	look.Equal("its path", "/", cookie.Path)
	look.Equal("its domain", "", cookie.Domain)
	bits := len(cookie.Value) * 6
	look.That(bits >= 128, "the size of its secret in bits", "at least 128", fmt.Sprint(bits))
}

// lookAtStored observes that the database does not hold the secret.
func (p *plug) lookAtStored(t *trial, c *trust.Canary, w *browser) {
	if t.err != nil {
		return
	}
	who, err := p.accounts.Find(t.ctx, operator(), c.Address)
	if t.err = err; err != nil {
		return
	}
	rows, err := p.accounts.Inspect(t.ctx, operator(), who.ID)
	if t.err = err; err != nil {
		return
	}
	found := 0
	for _, column := range rows.Columns {
		if holds(column, w.token()) {
			found++
		}
	}
	t.look.That(found == 0, "columns that hold the secret of the cookie", "0", fmt.Sprintf("%d of %d", found, len(rows.Columns)))
}

// The lifetimes of the sessions of the synthetic account, and how often it
// uses them meanwhile. A sign-in takes a second on a machine that has just
// started and exercises everything at once.
const (
	shortIdle     = 4 * time.Second
	shortAbsolute = 10 * time.Second
	useEvery      = time.Second
	attempts      = 3
)

// checkExpiry exercises the ends of a session. On a busy machine the time that
// a session may live can pass before it is used; then the trial shows nothing
// and is made again.
func (p *plug) checkExpiry(ctx context.Context, b trust.Bench) (trust.Result, error) {
	c, err := b.Canary(ctx, "session-short")
	if err != nil {
		return trust.Result{}, err
	}
	who, err := p.accounts.Find(ctx, operator(), c.Address)
	if err != nil {
		return trust.Result{}, fmt.Errorf("finding a canary: %w", err)
	}
	if err := p.accounts.SetLifetimes(ctx, operator(), who.ID, shortIdle, shortAbsolute); err != nil {
		return trust.Result{}, err
	}
	for range attempts {
		t := &trial{ctx: ctx, b: b}
		p.expire(t, c)
		if !errors.Is(t.err, errSlow) {
			return t.result()
		}
	}
	return trust.Result{}, errSlow
}

// expire leaves one session idle and uses another until its end.
func (p *plug) expire(t *trial, c *trust.Canary) {
	used, left := t.living(c), t.living(c)
	t.pass(p, useEvery)
	left.use(t, "a session that was used a second ago")
	idle := t.b.Now()
	for n := 1; t.err == nil && t.b.Now().Sub(idle) <= shortIdle; n++ {
		used.use(t, fmt.Sprintf("a session that is used every second, time %d", n))
		t.pass(p, useEvery)
	}
	t.opens("a session that was left idle for longer than it may", left.browser, refused)
	for t.err == nil && t.b.Now().Sub(used.signedIn) <= shortAbsolute {
		if _, t.err = used.in(t.ctx); t.err == nil { // whatever the answer: it keeps the session from being idle
			t.pass(p, useEvery)
		}
	}
	t.opens("a session that was used all the time, after its absolute end", used.browser, refused)
}

// living is a session whose time is watched from outside.
type living struct {
	*browser
	began    time.Time // before the sign-in was sent
	signedIn time.Time // after it was answered
	last     time.Time // before the last use was sent
}

func (t *trial) living(c *trust.Canary) *living {
	l := &living{began: t.b.Now()}
	l.last = l.began
	l.browser = t.browser(c)
	l.signedIn = t.b.Now()
	return l
}

// use observes that a session goes on, unless it may have ended rightly before
// the request was answered.
func (l *living) use(t *trial, what string) {
	sent := t.b.Now()
	var status int
	if t.err == nil {
		status, t.err = l.in(t.ctx)
	}
	if now := t.b.Now(); t.err == nil && (now.Sub(l.last) >= shortIdle || now.Sub(l.began) >= shortAbsolute) {
		t.err = errSlow
	}
	if t.err == nil {
		t.look.Equal(what, stays, status)
		l.last = sent
	}
}

var errSlow = fault.New(fault.Unavailable, "account.canary_slow", "The machine was too busy to try the expiry of sessions that live for seconds.")

// pass lets time pass.
func (t *trial) pass(p *plug, d time.Duration) {
	if t.err == nil {
		t.err = p.wait(t.ctx, d)
	}
}
