package plug

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"troth/internal/trust"
)

// asks asks the meter as the page does.
func (d *door) asks(v *trust.Visitor, fields ...string) (a strengthAnswer, status int) {
	d.t.Helper()
	p, err := v.Post(ctx, pathStrength, fields...)
	if err != nil {
		d.t.Fatal(err)
	}
	if p.Status == http.StatusOK {
		if err := json.Unmarshal([]byte(p.Body), &a); err != nil {
			d.t.Fatalf("the meter answers %q: %v", p.Body, err)
		}
	}
	return a, p.Status
}

func TestMeter(t *testing.T) {
	d := open(t)
	v := d.visitor()
	for name, c := range map[string]struct {
		fields   []string
		score    int
		accepted bool
		code     string
		says     string
	}{
		"strong":       {[]string{"password", "marmalade otter violin dawn"}, 4, true, "", "Very good"},
		"on its way":   {[]string{"password", "vQ9#fjord"}, 3, false, "password.short", "Keep going"},
		"common":       {[]string{"password", "passwordpassword"}, 0, false, "password.common", "Many people choose"},
		"the own name": {[]string{"password", "Ada-Byron-1815!!", "email", "ada@example.org", "name", "Ada Byron"}, 0, false, "password.own_words", "your own name"},
		"a stranger's": {[]string{"password", "Ada-Byron-1815!!", "email", "eve@example.org", "name", "Eve"}, 4, true, "", "Very good"},
		"nothing":      {nil, 0, false, "password.short", "guessed at once"},
	} {
		a, status := d.asks(v, c.fields...)
		if status != http.StatusOK || a.Score != c.score || a.Accepted != c.accepted || a.Code != c.code || !strings.Contains(a.Says, c.says) {
			t.Errorf("%s: %d, %+v", name, status, a)
		}
	}
	for name, fields := range map[string][]string{"too much": {"password", strings.Repeat("x", 40<<10)}, "no text": {"password", "\xff"}} {
		if _, status := d.asks(v, fields...); status < 400 || status >= 500 {
			t.Errorf("%s: %d", name, status)
		}
	}
	if strings.Contains(d.logged.String(), "marmalade") || strings.Contains(d.logged.String(), "Byron") {
		t.Errorf("the log holds what was asked:\n%s", d.logged)
	}
	tried := 0
	for status := http.StatusOK; status == http.StatusOK && tried < 500; tried++ {
		_, status = d.asks(v, "password", "x")
	}
	if tried < 50 || tried >= 500 {
		t.Errorf("a network could ask %d times", tried)
	}
}

// Another site cannot ask, since its pages must not learn what a person's words
// are.
func TestMeterIsForThisSite(t *testing.T) {
	d := open(t)
	v, _ := d.somebody("ada")
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.server.URL+pathStrength, strings.NewReader("password=x"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Origin", "https://elsewhere.example")
	req.Header.Set("Sec-Fetch-Site", "cross-site")
	if p, err := v.Do(req); err != nil || p.Status != http.StatusForbidden {
		t.Errorf("a request of another site was answered %v, %v", p, err)
	}
}

// Without scripts the answer comes with the form.
func TestStrengthComesWithTheForm(t *testing.T) {
	d := open(t)
	page := func(p *trust.Page, err error) string {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return p.Body
	}
	v := d.visitor()
	fresh := page(v.Get(ctx, "/-/signup"))
	for _, has := range []string{`autocomplete="new-password"`, `autocomplete="username"`, `minlength="15"`, `data-strength="/-/password/strength"`, `data-of="f-password"`, `aria-live="polite"`, `data-show="Show"`} {
		if !strings.Contains(fresh, has) {
			t.Errorf("the page to sign up has no %s", has)
		}
	}
	for _, not := range []string{"maxlength=\"1", "onpaste", "Very good"} {
		if strings.Contains(strings.SplitAfter(fresh, `id="f-password"`)[1], not) {
			t.Errorf("the page to sign up has %s", not)
		}
	}
	refused := page(v.Post(ctx, "/-/signup", "email", "ada@example.org", "name", "Ada", "password", "vQ9#fjord"))
	if !strings.Contains(refused, "at least 15 characters") || !strings.Contains(refused, `value="3" aria-label="Strength of the password">`) || !strings.Contains(refused, "Keep going") {
		t.Errorf("the refused form does not say how strong the password is:\n%s", refused)
	}
	w, c := d.somebody("ada")
	for password, says := range map[string]string{"aaaaaaaaaaaaaaaaaa": "guessed at once", "qwertyuiopasdfgh": "Some way to go"} {
		p, err := w.Post(ctx, "/-/account/password", "current", c.Password.Reveal(), "password", password)
		if err != nil {
			t.Fatal(err)
		}
		body := p.Body
		if p.Status == http.StatusSeeOther {
			body = page(w.Get(ctx, "/-/account/"))
		}
		if !strings.Contains(body, says) {
			t.Errorf("%q: the answer (%d) does not say %q", password, p.Status, says)
		}
	}
}
