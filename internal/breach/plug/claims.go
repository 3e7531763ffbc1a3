package plug

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"troth/internal/secret"
	"troth/internal/trust"
)

func (p plug) claims() []trust.Claim {
	if p.Lists == nil {
		return nil
	}
	return []trust.Claim{{
		ID:       "A6",
		Sentence: "A password that appears in lists of breached passwords cannot be chosen, and whoever signs in with one has to set another one first. Credentials that are found stolen elsewhere are compared with the accounts: where they fit, the sessions end, and the holder and the security team are told.",
		Scope:    "every account of this installation that has a password",
		Criteria: []string{"CC6.1", "CC7.2", "A.5.17", "A.8.5", "DE.CM-09", "PR.AA-03", "IA-5", "IA-5(1)", "SI-4"},
		NotProven: "The check puts fresh passwords on the installation's own list, so it shows what happens to a password that is known, not how many are. " + p.extent() +
			" A filter stands in for each imported list: one password in 65,536 that is in no list is refused all the same. " +
			"Whether stolen credentials are obtained and given to the sweep, and whether anybody reads what the security team is sent, is up to the operator. " +
			"People who stay signed in are asked at their next sign-in.",
		Fresh: 3 * time.Hour,
		Checks: []trust.Check{{
			Name: "breach.takeover", Version: 1, Period: time.Hour, Timeout: 45 * time.Second,
			Method: "A synthetic person sets a fresh password, which is then put on the list of breached ones together with another fresh one. The other one must be refused when it is chosen; signing in with the one that is set must lead to a form for another password and to nothing else. " +
				"A second password is set there and given to the sweep beside the person's address, as if stolen: the session must end, the holder and the security team must get a mail, and the next sign-in must again lead to the form alone. The imported lists must be undamaged.",
			Run: p.checkTakeover,
		}},
	}}
}

// extent says what the lists are.
func (p plug) extent() string {
	all := p.Lists.Imported()
	if len(all) == 0 {
		return "No list has been imported when the service started: only the common passwords that ship inside were known then, and those that the operator added."
	}
	var each []string
	for _, l := range all {
		each = append(each, fmt.Sprintf("%s with %d entries, of files from %s", l.Kind, l.Entries, l.NewestAt.Format(time.DateOnly)))
	}
	return "The lists were, when the service started: " + strings.Join(each, "; ") + ". What was stolen since is not in them."
}

// planted is how long the passwords of the check stay on the list at most.
const planted = time.Hour

const (
	pathPassword = "/-/account/password"
	pathRenew    = "/-/signin/password"
	pathSessions = "/-/account/sessions"
)

// trial is the check while it goes on. The first error ends it.
type trial struct {
	plug
	ctx  context.Context
	b    trust.Bench
	look trust.Look
	err  error
}

// checkTakeover exercises claim A6.
func (p plug) checkTakeover(ctx context.Context, b trust.Bench) (trust.Result, error) {
	t := &trial{plug: p, ctx: ctx, b: b}
	c, err := b.Canary(ctx, "breach")
	if err != nil {
		return trust.Result{}, err
	}
	t.lists()
	first, second, never := secret.NewToken(), secret.NewToken(), secret.NewToken()
	v := t.arrive(c)
	t.sends("setting a password that nobody knows", v, pathPassword, http.StatusSeeOther, "current", c.Password.Reveal(), "password", first.Reveal())
	if t.err == nil {
		_, t.err = p.Lists.Add(ctx, operator(), planted, first, never)
	}
	t.refuses("choosing a password of the list", v, pathPassword, "current", first.Reveal(), "password", never.Reveal())

	again := t.held("signing in with a password of the list", c, first)
	t.refuses("choosing another one of the list there", again, pathRenew, "password", never.Reveal())
	t.sends("choosing one that nobody knows there", again, pathRenew, http.StatusSeeOther, "password", second.Reveal())
	t.opens("the session after that", again, http.StatusOK)

	t.sweeps(c, second)
	t.opens("a session of the person whose credentials were found", again, http.StatusUnauthorized)
	last := t.held("signing in with credentials that were found", c, second)
	t.sends("choosing another password there", last, pathRenew, http.StatusSeeOther, "password", c.Password.Reveal())
	t.opens("the session after that", last, http.StatusOK)
	if _, err := p.Lists.Remove(context.WithoutCancel(ctx), operator(), first, never); t.err == nil {
		t.err = err
	}
	if t.err != nil {
		return trust.Result{}, t.err
	}
	return t.look.Result()
}

// lists observes the imported lists.
func (t *trial) lists() {
	seen, sound := "none", true
	var each []string
	for _, l := range t.Lists.Imported() {
		word := fmt.Sprintf("%s: %d entries, from %s", l.Kind, l.Entries, l.NewestAt.Format(time.DateOnly))
		if l.Problem != "" {
			word, sound = string(l.Kind)+": damaged", false
		}
		each = append(each, word)
	}
	if len(each) > 0 {
		seen = strings.Join(each, "; ")
	}
	t.look.That(sound, "the imported lists", "none that is damaged", seen)
}

func (t *trial) arrive(c *trust.Canary) *trust.Visitor {
	v, err := c.SignIn(t.ctx, netip.Addr{})
	t.err = err
	return v
}

// sends sends a form and observes the status of the answer.
func (t *trial) sends(what string, v *trust.Visitor, path string, want int, fields ...string) {
	if t.err != nil {
		return
	}
	var page *trust.Page
	if page, t.err = v.Post(t.ctx, path, fields...); t.err == nil {
		t.look.Equal(what, want, page.Status)
	}
}

// refused is the code of the rule about breached passwords.
const refused = "password.breached"

// refuses sends a form as a program would, and observes that the password is
// refused, and why.
func (t *trial) refuses(what string, v *trust.Visitor, path string, fields ...string) {
	if t.err != nil {
		return
	}
	form := url.Values{}
	for i := 0; i+1 < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	req, err := http.NewRequestWithContext(t.ctx, http.MethodPost, t.b.Origin+path, strings.NewReader(form.Encode()))
	if t.err = err; err != nil {
		return
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Origin", t.b.Origin)
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	page, err := v.Do(req)
	if t.err = err; err != nil {
		return
	}
	why := "another reason or none"
	if strings.Contains(page.Body, refused) {
		why = "because it is breached"
	}
	t.look.Equal(what, fmt.Sprint(http.StatusUnprocessableEntity, ", because it is breached"), fmt.Sprint(page.Status, ", ", why))
}

// held observes that signing in leads to the form for another password, and to
// no session.
func (t *trial) held(what string, c *trust.Canary, password secret.String) *trust.Visitor {
	if t.err != nil {
		return nil
	}
	v, err := t.b.Visitor(netip.Addr{})
	if t.err = err; err != nil {
		return nil
	}
	page, err := v.SignIn(t.ctx, c.Address, password)
	if t.err = err; err != nil {
		return nil
	}
	to := "elsewhere"
	if strings.HasPrefix(page.Header.Get("Location"), pathRenew) {
		to = "the form for another password"
	}
	t.look.Equal(what+" leads to", "the form for another password", to)
	t.opens(what+" begins a session", v, http.StatusUnauthorized)
	return v
}

// opens observes how a request of a signed-in person is answered.
func (t *trial) opens(what string, v *trust.Visitor, want int) {
	if t.err != nil {
		return
	}
	page, err := v.GetJSON(t.ctx, pathSessions)
	if t.err = err; err == nil {
		t.look.Equal(what, want, page.Status)
	}
}

// letters is how long a mail may take.
const letters = 15 * time.Second

// sweeps gives credentials to the sweep, and observes who is told.
func (t *trial) sweeps(c *trust.Canary, password secret.String) {
	if t.err != nil {
		return
	}
	asked := t.b.Now()
	if t.err = t.Pairs.Sweep(t.ctx, c.Address, password); t.err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(t.ctx, t.patience)
	defer cancel()
	t.look.Equal("the holder is told that credentials were found", true, t.told(ctx, c.Address, asked))
	t.look.Equal("the security team is told that credentials were found", true, t.told(ctx, t.Pairs.Watch(), asked))
}

// told reports whether a mail about stolen credentials comes, among others.
func (t *trial) told(ctx context.Context, address string, after time.Time) bool {
	for {
		m, err := t.b.Mailbox.Wait(ctx, address, after)
		if err != nil {
			return false
		}
		if strings.Contains(m.Subject+m.Body, "stolen") {
			return true
		}
		after = m.At.Add(time.Microsecond)
	}
}
