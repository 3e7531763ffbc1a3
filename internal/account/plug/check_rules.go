package plug

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"troth/internal/password"
	"troth/internal/secret"
	"troth/internal/trust"
)

const pathPassword = "/-/account/password"

// judged is a password of which the meter and the form have to say the same.
type judged struct {
	what, password string
	code           string // why it is refused
}

// refusals are passwords that no rule lets through. They are refused before
// anything is compared, so they cost no hash.
func refusals(c *trust.Canary) []judged {
	return []judged{
		{"14 characters", "vQ9#fjord & el", password.Short},
		{"one character more than 1,024", strings.Repeat("otter & elk, ", 80), "password.long"},
		{"one key, again and again", strings.Repeat("a", 20), "password.common"},
		{"a word that everybody chooses, twice", "passwordpassword", "password.common"},
		{"the own e-mail address", c.Address, "password.own_words"},
	}
}

// checkRules exercises claim A3.
func (p *plug) checkRules(ctx context.Context, b trust.Bench) (trust.Result, error) {
	c, err := b.Canary(ctx, "rules")
	if err != nil {
		return trust.Result{}, err
	}
	t := &trial{ctx: ctx, b: b}
	w := t.browser(c)
	t.lookAtForm(w)
	for _, j := range refusals(c) {
		code := t.refusal(w, pathPassword, "current", "not looked at", "password", j.password)
		t.equal("the answer to a form with a password of "+j.what, j.code, code)
		t.equal("the meter about it", code, t.weigh(w, j.password).Code)
	}
	t.lookAtWhole(c, w)
	return t.result()
}

// lookAtWhole observes that the longest password is taken, with spaces, accents
// and emoji, and that it is the same from a keyboard that composes otherwise.
func (t *trial) lookAtWhole(c *trust.Canary, w *browser) {
	long := secret.NewToken().Reveal() + strings.Repeat(" Frühling, été, ζέφυρος 🌸", 60)
	long = string([]rune(norm.NFC.String(long))[:password.MaxLength])
	t.post("setting a password of 1,024 characters, with spaces, accents and emoji", w, http.StatusSeeOther, pathPassword, "current", c.Password.Reveal(), "password", long)
	other := t.guest()
	if t.err != nil {
		return
	}
	apart := norm.NFD.String(long)
	t.look.That(apart != long, "the bytes of the same password, with its accents apart", "others", map[bool]string{true: "others", false: "the same"}[apart != long])
	page, err := other.SignIn(t.ctx, c.Address, secret.Of(apart))
	if t.err = err; err != nil || t.busy(page) {
		return
	}
	t.look.Equal("signing in with it", http.StatusSeeOther, page.Status)
	t.post("setting the password from before", w, http.StatusSeeOther, pathPassword, "current", long, "password", c.Password.Reveal())
}

// lookAtForm observes what the form says to password managers, and that nothing
// hinders pasting.
func (t *trial) lookAtForm(w *browser) {
	if t.err != nil {
		return
	}
	page, err := w.Get(t.ctx, pathPassword)
	if t.err = err; err != nil {
		return
	}
	for _, has := range []string{`autocomplete="new-password"`, `autocomplete="current-password"`, `autocomplete="username"`} {
		t.look.Equal("the form has "+has, true, strings.Contains(page.Body, has))
	}
	for _, not := range []string{"maxlength", "onpaste", "pattern="} {
		t.look.Equal("the form has "+not, false, strings.Contains(page.Body, not))
	}
	if page, t.err = w.Get(t.ctx, "/.well-known/change-password"); t.err == nil {
		t.look.Equal("where /.well-known/change-password leads", pathPassword, page.Header.Get("Location"))
	}
}

func (t *trial) equal(what string, expected, seen any) {
	if t.err == nil {
		t.look.Equal(what, expected, seen)
	}
}

// refusal is the code with which a form is refused, as a program reads it.
func (t *trial) refusal(w *browser, path string, fields ...string) string {
	var problem struct{ Code string }
	t.json(w, path, &problem, fields...)
	return problem.Code
}

// weigh asks the meter.
func (t *trial) weigh(w *browser, p string, more ...string) (a strengthAnswer) {
	t.json(w, pathStrength, &a, append([]string{"password", p}, more...)...)
	return a
}

// json sends a form and reads the JSON of the answer.
func (t *trial) json(w *browser, path string, into any, fields ...string) {
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
	page, err := w.Do(req)
	if t.err = err; err != nil || page.Status == http.StatusSeeOther || t.busy(page) {
		return // a form that was taken has no code
	}
	if err := json.Unmarshal([]byte(page.Body), into); err != nil {
		t.err = fmt.Errorf("the answer of %s with status %d is no JSON: %w", path, page.Status, err)
	}
}

// checkMeter exercises claim A2, as somebody whom nobody knows.
func (p *plug) checkMeter(ctx context.Context, b trust.Bench) (trust.Result, error) {
	v, err := b.Visitor(netip.Addr{})
	if err != nil {
		return trust.Result{}, err
	}
	t := &trial{ctx: ctx, b: b}
	w := &browser{Visitor: v, bench: b}
	// A fresh word of small letters only: strong by its length.
	plain := strings.ToLower(strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' || r == '-' || r == '_' {
			return 'x'
		}
		return r
	}, secret.NewToken().Reveal()))[:24]
	for _, c := range []struct {
		what, password string
		least, most    int
		accepted       bool
	}{
		{"one common word", "password", 0, 0, false},
		{"a common word with a capital, a digit and a mark", "P@ssw0rd1!", 0, 1, false},
		{"one row of the keyboard, long enough to be taken", "qwertyuiopasdfgh", 0, 1, true},
		{"24 random small letters: no capital, no digit, no mark", plain, password.MaxScore, password.MaxScore, true},
	} {
		a := t.weigh(w, c.password)
		t.that(a.Score >= c.least && a.Score <= c.most, "the score of "+c.what, fmt.Sprintf("%d to %d", c.least, c.most), fmt.Sprint(a.Score))
		t.equal("it would be taken", c.accepted, a.Accepted)
		t.that(utf8.RuneCountInString(a.Says) > 10, "the words about it", "a sentence", a.Says)
		t.that(!strings.Contains(a.Says, c.password), "they repeat the password", "no", yes(strings.Contains(a.Says, c.password)))
	}
	own := t.weigh(w, "Zilpah-Quagmire-88", "name", "Zilpah Quagmire")
	other := t.weigh(w, "Zilpah-Quagmire-88", "name", "Somebody Else")
	t.that(own.Score < other.Score, "the score of a name, for whoever is called so", fmt.Sprintf("less than %d, as for anybody else", other.Score), fmt.Sprint(own.Score))
	t.lookAtMeter(w)
	return t.result()
}

// lookAtMeter observes the page that shows the meter.
func (t *trial) lookAtMeter(w *browser) {
	if t.err != nil {
		return
	}
	page, err := w.Get(t.ctx, "/-/signup")
	if t.err = err; err != nil || page.Status != http.StatusOK || !strings.Contains(page.Body, "new-password") {
		return // nobody signs up here without being asked
	}
	t.look.Equal("the page to sign up has a meter", true, strings.Contains(page.Body, "<meter ") && strings.Contains(page.Body, pathStrength))
}

func (t *trial) that(ok bool, what, expected, seen string) {
	if t.err == nil {
		t.look.That(ok, what, expected, seen)
	}
}
