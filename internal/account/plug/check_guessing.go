package plug

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"troth/internal/account"
	"troth/internal/audit"
	"troth/internal/secret"
	"troth/internal/trust"
)

// The synthetic account bears fewer wrong guesses than others, and pauses for
// longer than the check takes.
const (
	guessFree  = 2
	guessDelay = 10 * time.Minute
)

// crowded is the network from which the check guesses until it is refused; no
// other check comes from it, and none from near it: the log counts the refusals
// of one network together when they are many.
var crowded = netip.MustParseAddr("198.51.100.255")

// checkGuessing exercises claim A4 with as few password hashes as it takes.
func (p *plug) checkGuessing(ctx context.Context, b trust.Bench) (trust.Result, error) {
	c, err := b.Canary(ctx, "guessed-at")
	if err != nil {
		return trust.Result{}, err
	}
	who, err := p.accounts.Find(ctx, operator(), c.Address)
	if err != nil {
		return trust.Result{}, fmt.Errorf("finding a canary: %w", err)
	}
	if _, err := p.accounts.Unlock(ctx, operator(), who.ID); err != nil {
		return trust.Result{}, err
	}
	if err := p.accounts.SetGuessing(ctx, operator(), who.ID, guessFree, guessDelay); err != nil {
		return trust.Result{}, err
	}
	t := &siege{trial: trial{ctx: ctx, b: b}, p: p, c: c, who: who}
	t.account()
	t.network()
	return t.result()
}

// siege is a trial of what guessing leads to.
type siege struct {
	trial
	p   *plug
	c   *trust.Canary
	who account.Account
}

// guess tries a password, and returns the answer.
func (t *siege) guess(v *trust.Visitor, address string, password secret.String) *trust.Page {
	if t.err != nil {
		return &trust.Page{}
	}
	var page *trust.Page
	if page, t.err = v.SignIn(t.ctx, address, password); t.err != nil {
		return &trust.Page{}
	}
	return page
}

func (t *siege) visitor(from netip.Addr) *trust.Visitor {
	if t.err != nil {
		return nil
	}
	var v *trust.Visitor
	v, t.err = t.b.Visitor(from)
	return v
}

// account is what a stranger can do to an account, and what its owner notices.
func (t *siege) account() {
	owner := t.browser(t.c)
	stranger := t.visitor(netip.Addr{})
	began := t.b.Now()
	var wrong *trust.Page
	for n := range guessFree {
		wrong = t.guess(stranger, t.c.Address, secret.NewToken())
		t.expect(fmt.Sprintf("wrong password %d of a stranger", n+1), http.StatusUnauthorized, wrong.Status)
	}
	right := t.guess(stranger, t.c.Address, t.c.Password)
	t.expect("then the right password of the stranger", http.StatusUnauthorized, right.Status)
	if t.err == nil {
		t.look.Equal("how that differs from the answer to a wrong one", "in nothing", difference(wrong, right))
	}
	if t.err == nil {
		t.expect("the owner in a browser that is known", http.StatusSeeOther, t.guess(owner.Visitor, t.c.Address, t.c.Password).Status)
	}
	if t.recorded(began) {
		t.unlocked(began)
	}
}

func (t *siege) expect(what string, want, got int) {
	if t.err == nil {
		t.look.Equal(what, want, got)
	}
}

// difference is in what two answers differ, besides what differs in all.
func difference(a, b *trust.Page) string {
	plain := func(p *trust.Page) string {
		body := strings.ReplaceAll(p.Body, p.Header.Get("Request-Id"), "")
		h := p.Header.Clone()
		h.Del("Request-Id")
		h.Del("Date")
		return fmt.Sprint(p.Status, h, body)
	}
	switch {
	case a.Status != b.Status:
		return "in the status"
	case plain(a) != plain(b):
		return "in headers or body"
	}
	return "in nothing"
}

// recorded observes that the pause is in the log.
func (t *siege) recorded(since time.Time) bool {
	if t.err != nil {
		return false
	}
	var list []audit.Entry
	if t.err = t.p.accounts.Log.Flush(t.ctx); t.err != nil {
		return false
	}
	list, _, t.err = t.p.accounts.Log.List(t.ctx, audit.Filter{Tenant: t.who.Home, Limit: 50})
	found := 0
	for _, e := range list {
		if e.Type == account.EventGuessesPaused && !e.OccurredAt.Before(since.Add(-time.Second)) {
			found++
		}
	}
	if t.err == nil {
		t.look.Equal("events in the log about it", 1, found)
	}
	return found > 0
}

// mailTime is how long the mail to the owner may take.
const mailTime = 15 * time.Second

// unlocked observes that the mailed link takes a new browser out of the pause.
func (t *siege) unlocked(since time.Time) {
	if t.err != nil {
		return
	}
	wait, stop := context.WithTimeout(t.ctx, mailTime)
	defer stop()
	m, err := t.b.Mailbox.Wait(wait, t.c.Address, since)
	link, seen := m.Link(t.b.Origin+account.PathUnlock), "has a link"
	if err != nil || link == "" {
		seen = "none came, or it has no link"
	}
	t.look.That(link != "", "the mail to the owner", "has a link", seen)
	fresh := t.visitor(netip.Addr{})
	if t.err != nil || link == "" {
		return
	}
	var page *trust.Page
	if page, t.err = fresh.Post(t.ctx, link); t.err == nil {
		t.look.Equal("opening the link in a new browser", http.StatusSeeOther, page.Status)
	}
	t.expect("the owner there", http.StatusSeeOther, t.guess(fresh, t.c.Address, t.c.Password).Status)
}

// network is what a network can do that guesses at whatever accounts: what can be
// no password costs it a guess and nobody a hash.
func (t *siege) network() {
	nobody := "nobody-" + strings.ToLower(secret.NewToken().Reveal()[:8]) + "@canary.invalid"
	guesser := t.visitor(crowded)
	refused := &trust.Page{}
	most := t.p.config.Guessing.NetworkBurst + 10 // it fills again meanwhile
	for n := 0; n < most && t.err == nil && refused.Status != http.StatusTooManyRequests; n++ {
		refused = t.guess(guesser, nobody, secret.String{})
	}
	t.expect("wrong guesses from one network, until it is told to wait", http.StatusTooManyRequests, refused.Status)
	if t.err == nil {
		after, _ := strconv.Atoi(refused.Header.Get("Retry-After"))
		t.look.That(after > 0, "the seconds that it is told to wait", "at least 1", strconv.Itoa(after))
	}
	t.expect("the right password of an account from there", http.StatusTooManyRequests, t.guess(guesser, t.c.Address, t.c.Password).Status)
	t.expect("a wrong guess from another network", http.StatusUnauthorized, t.guess(t.visitor(netip.Addr{}), nobody, secret.String{}).Status)
}
