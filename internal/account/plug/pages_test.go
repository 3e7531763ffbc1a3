package plug

import (
	"context"
	"encoding/json"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"troth/internal/access"
	"troth/internal/account"
	"troth/internal/audit"
	"troth/internal/secret"
	"troth/internal/trust"
	"troth/internal/web"
)

func is(t *testing.T, p *trust.Page, err error, status int, contains ...string) *trust.Page {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	if p.Status != status {
		t.Fatalf("%s was answered %d, want %d:\n%s", p.Path, p.Status, status, words(p))
	}
	for _, c := range contains {
		if !strings.Contains(html.UnescapeString(p.Body)+p.Header.Get("Location"), c) {
			t.Errorf("%s does not say %q:\n%s", p.Path, c, words(p))
		}
	}
	return p
}

var tags = regexp.MustCompile(`(?s)<(script|style)\b.*?</(script|style)>|<[^>]*>`)

func words(p *trust.Page) string {
	return strings.Join(strings.Fields(html.UnescapeString(tags.ReplaceAllString(p.Body, " "))), " ")
}

// From the first page to the last, as somebody without JavaScript does it.
func TestJourney(t *testing.T) {
	d := open(t)
	v := d.visitor()
	get := func(path string, status int, contains ...string) *trust.Page {
		t.Helper()
		p, err := v.Get(ctx, path)
		return is(t, p, err, status, contains...)
	}
	post := func(path string, status int, contains string, fields ...string) *trust.Page {
		t.Helper()
		p, err := v.Post(ctx, path, fields...)
		return is(t, p, err, status, contains)
	}
	address := "ada@canary.invalid"
	get("/-/signup?return_to=/notes/7", 200, `name="email"`, `name="name"`, `name="password"`, `autocomplete="new-password"`, `value="/notes/7"`)
	post("/-/signup", 422, "at least 15 characters", "email", address, "name", "Ada", "password", "short")
	post("/-/signup", 303, "/-/signup/sent", "email", address, "name", "Ada Byron", "password", word, "return_to", "/notes/7")
	get("/-/signup/sent", 200, "Look into your mailbox")
	post("/-/signin", 401, "wrong", "email", address, "password", word)

	_, link := d.letter(address)
	for range 3 { // scanners open links
		get(link, 200, "Ada Byron", address, "<form method=\"post\"")
	}
	post(link, 303, "/-/signin?return_to=")
	get("/-/signin?return_to=/notes/7", 200, "Your address is confirmed", `autocomplete="current-password"`)
	get(link, 410, "used already")
	post(link, 410, "used already")

	post("/-/signin", 303, "/notes/7", "email", address, "password", word, "return_to", "/notes/7")
	get("/-/account/", 200, "Ada Byron", address, "Confirmed", "Danger zone", "signed in here and nowhere else")
	get("/-/signin?return_to=/x", 303, "/x")
	post("/-/account/", 422, "Enter the name", "name", " ")
	post("/-/account/", 303, "/-/account/", "name", "Ada Lovelace")
	get("/-/account/", 200, "Your name is changed", "Ada Lovelace")
	get("/-/account/sessions", 200, "This browser")
	get("/.well-known/change-password", 303, "/-/account/password")
	get("/-/account/password", 200, `name="current"`, `autocomplete="current-password"`, `autocomplete="username"`)
	post("/-/account/password", 422, "present password is wrong", "current", "x", "password", word+" two")
	before := v.Cookie(sessionCookie)
	post("/-/account/password", 303, "/-/account/", "current", word, "password", word+" two")
	if v.Cookie(sessionCookie) == before {
		t.Error("the cookie is the one from before the change")
	}
	get("/-/account/", 200, "Your password is changed")

	get("/-/signout", 200, "<form method=\"post\"")
	post("/-/signout", 303, "/-/signin")
	if v.Cookie(sessionCookie) != "" {
		t.Error("the cookie is still there")
	}
	get("/-/signin", 200, "You are signed out")
	get("/-/signout", 200, "You are not signed in")
	get("/-/account/", 303, "/-/signin")

	post("/-/reset", 303, "/-/reset/sent", "email", address)
	get("/-/reset/sent", 200, "Look into your mailbox", "one hour")
	_, link = d.letter(address)
	get(link, 200, address, `autocomplete="new-password"`)
	post(link, 422, "at least 15 characters", "password", "short")
	post(link, 303, "/-/signin", "password", word+" three")
	get("/-/signin", 200, "Your new password is set")
	get(link, 410, "used already")
	post("/-/signin", 303, "/", "email", address, "password", word+" three")

	v2 := d.visitor()
	if p, err := v2.SignIn(ctx, address, secret.Of(word+" three")); err != nil || p.Status != 303 {
		t.Fatal(p, err)
	}
	get("/-/account/sessions", 200, "Sign out everywhere else", "Troth-Canary")
	post("/-/account/sessions", 303, "/-/account/sessions", "session", "others")
	get("/-/account/sessions", 200, "One other session was ended")
	post("/-/account/sessions", 404, "nothing here", "session", "x")
	post("/-/switch", 404, "nothing here", "tenant", "ten_00000000000000000000000001")
	d.nothingLogged(word, address)
}

// A link that is opened in another browser than the one that signed up, as when
// a stranger did, asks its holder for name and password; what was entered before
// opens nothing.
func TestConfirmInAnotherBrowser(t *testing.T) {
	d := open(t)
	address, evil := "ada@canary.invalid", "only the attacker knows this"
	attacker, holder := d.visitor(), d.visitor()
	p, err := attacker.Post(ctx, "/-/signup", "email", address, "name", "Attacker", "password", evil)
	is(t, p, err, 303)
	for _, attribute := range []string{"HttpOnly", "Secure", "SameSite=Lax", "Path=/", "Max-Age="} {
		if !strings.Contains(p.Header.Get("Set-Cookie"), attribute) {
			t.Errorf("the cookie lacks %s: %s", attribute, p.Header.Get("Set-Cookie"))
		}
	}
	_, link := d.letter(address)
	p, err = holder.Get(ctx, link)
	is(t, p, err, 200, "in another browser", address, `name="password"`, `autocomplete="new-password"`, "Make the account")
	if strings.Contains(p.Body, "Attacker") {
		t.Error("the page repeats what a stranger entered")
	}
	p, err = holder.Post(ctx, link)
	is(t, p, err, 422, "Enter the name")
	p, err = holder.Post(ctx, link, "name", "Ada", "password", "short")
	is(t, p, err, 422, "at least 15 characters", `value="Ada"`)
	p, err = holder.Post(ctx, link, "name", "Ada", "password", word)
	is(t, p, err, 303, "/-/signin")
	p, err = attacker.Post(ctx, "/-/signin", "email", address, "password", evil)
	is(t, p, err, 401)
	p, err = holder.Post(ctx, "/-/signin", "email", address, "password", word)
	is(t, p, err, 303)
	p, err = holder.Get(ctx, "/-/account/")
	is(t, p, err, 200, "Ada")
	d.nothingLogged(word, address)
}

// nothingLogged looks for secrets and addresses in the log lines.
func (d *door) nothingLogged(secrets ...string) {
	d.t.Helper()
	lines := d.logged.String()
	if !strings.Contains(lines, "/-/confirm/{token}") {
		d.t.Fatal("the log has no line of the link: the test looks in the wrong place")
	}
	for _, s := range append(secrets, url.QueryEscape(secrets[0])) {
		if strings.Contains(lines, s) {
			d.t.Errorf("a log line holds %q", s)
		}
	}
	if m := regexp.MustCompile(`/-/(confirm|reset|admission)/[A-Za-z0-9_-]{43}`).FindString(lines); m != "" {
		d.t.Errorf("a log line holds a token: %s", m)
	}
}

// The first owner: the link shows a button, the button leads to the form, and
// whoever sends it is in.
func TestFirstOwnerPages(t *testing.T) {
	d := open(t, func(d *door) { d.config.Mode = account.SignupClosed })
	link, needed, err := d.accounts.FirstOwnerLink(ctx)
	if err != nil || !needed {
		t.Fatal(needed, err)
	}
	v := d.visitor()
	p, err := v.Get(ctx, "/-/signup")
	is(t, p, err, 200, "Sign-up is closed")
	for range 2 {
		p, err = v.Get(ctx, link.Reveal())
		is(t, p, err, 200, "owner of this installation", "<form method=\"post\"")
	}
	p, err = v.Post(ctx, link.Reveal())
	is(t, p, err, 303, "/-/signup")
	p, err = v.Get(ctx, "/-/signup")
	is(t, p, err, 200, "owns this installation", `name="email"`)
	p, err = v.Post(ctx, "/-/signup", "email", "owner@canary.invalid", "name", "Grace", "password", "short")
	is(t, p, err, 422, "at least 15")
	p, err = v.Post(ctx, "/-/signup", "email", "owner@canary.invalid", "name", "Grace", "password", word)
	is(t, p, err, 303, "/-/account/")
	p, err = v.Get(ctx, "/-/account/")
	is(t, p, err, 200, "Grace", "Welcome", "Open the link in the mail")
	_, confirm := d.letter("owner@canary.invalid")
	p, err = v.Post(ctx, confirm)
	is(t, p, err, 303, "/-/account/")
	p, err = v.Get(ctx, link.Reveal())
	is(t, p, err, 410, "used already")
	p, err = d.visitor().Get(ctx, "/-/signup")
	is(t, p, err, 200, "Sign-up is closed")
	d.nothingLogged(word)
}

// By the whole answer, headers included, nobody can tell who has an account.
func TestAnswersTellNothing(t *testing.T) {
	d := open(t)
	_, c := d.somebody("known")
	own := regexp.MustCompile(`(?i)unknown@canary\.invalid|` + regexp.QuoteMeta(c.Address))
	request := regexp.MustCompile(`req_[0-9a-z]+`)
	browser := regexp.MustCompile(signUpCookie + `=[A-Za-z0-9_-]{43};`)
	whole := func(p *trust.Page, err error) string {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		p.Header.Del("Date")
		p.Header.Del("Content-Length") // follows from the body, in which the address differs
		for _, name := range slices.Sorted(mapKeys(p.Header)) {
			b.WriteString(name + ": " + strings.Join(p.Header[name], ", ") + "\n")
		}
		s := request.ReplaceAllString(b.String()+p.Body, "req_")
		s = browser.ReplaceAllString(s, signUpCookie+"=TOKEN;")
		return http.StatusText(p.Status) + "\n" + own.ReplaceAllString(s, "ADDRESS")
	}
	for what, do := range map[string]func(address string) string{
		"sign-up": func(a string) string {
			return whole(d.visitor().Post(ctx, "/-/signup", "email", a, "name", "X", "password", word))
		},
		"sign-in": func(a string) string {
			return whole(d.visitor().Post(ctx, "/-/signin", "email", a, "password", word))
		},
		"reset": func(a string) string { return whole(d.visitor().Post(ctx, "/-/reset", "email", a)) },
	} {
		if known, unknown := do(c.Address), do("unknown@canary.invalid"); known != unknown {
			t.Errorf("%s tells who has an account:\n--- known\n%s\n--- unknown\n%s", what, known, unknown)
		}
	}
	for _, a := range []string{c.Address, "unknown@canary.invalid"} {
		v := d.visitor()
		p, err := v.Post(ctx, "/-/signup", "email", a, "name", "X", "password", word)
		is(t, p, err, 303)
		if len(v.Cookie(signUpCookie)) != 43 {
			t.Errorf("the browser that signed up with %s is not remembered", a)
		}
	}
	if m, _ := d.letter(c.Address); m.Subject == "" {
		t.Error("the owner of the known address got no mail")
	}
}

func mapKeys(h http.Header) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range h {
			if !yield(k) {
				return
			}
		}
	}
}

// What is typed comes back escaped, and a password never.
func TestFormsKeepWhatWasTyped(t *testing.T) {
	d := open(t)
	p, err := d.visitor().Post(ctx, "/-/signup", "email", "ada@canary.invalid", "name", `"><script>x</script>`, "password", "short & secret")
	is(t, p, err, 422)
	if strings.Contains(p.Body, "<script>x") || strings.Contains(p.Body, "short &") || !strings.Contains(p.Body, `value="ada@canary.invalid"`) {
		t.Errorf("the form came back as:\n%s", p.Body)
	}
	if p.Header.Get("Cache-Control") != "no-store" {
		t.Error("a page with a form may be kept")
	}
}

// A page never sends anyone to another site.
func TestReturnToStaysHere(t *testing.T) {
	d := open(t)
	_, c := d.somebody("ada")
	for _, to := range []string{"https://evil.example/", "//evil.example", `/\evil.example`, "javascript:alert(1)", "/%5cevil.example", " /x", "/\tx"} {
		p, err := d.visitor().Post(ctx, "/-/signin", "email", c.Address, "password", c.Password.Reveal(), "return_to", to)
		is(t, p, err, 303)
		if got := p.Header.Get("Location"); got != "/" {
			t.Errorf("return_to %q leads to %q", to, got)
		}
	}
}

// Another site cannot act in somebody's name.
func TestOtherSitesCannotPost(t *testing.T) {
	d := open(t)
	v, _ := d.somebody("ada")
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.server.URL+"/-/signout", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Origin", "https://evil.example")
	req.Header.Set("Sec-Fetch-Site", "cross-site")
	p, err := v.Do(req)
	is(t, p, err, 403)
	p, err = v.GetJSON(ctx, pathSessions)
	is(t, p, err, 200)
}

// Programs get documents: 401 instead of a redirect, a list instead of a page.
func TestJSON(t *testing.T) {
	d := open(t)
	p, err := d.visitor().GetJSON(ctx, pathSessions)
	is(t, p, err, 401, `"code"`)
	v, c := d.somebody("ada")
	p, err = v.GetJSON(ctx, pathSessions)
	is(t, p, err, 200)
	var list sessionsData
	if json.Unmarshal([]byte(p.Body), &list) != nil || len(list.Sessions) == 0 || list.Sessions[0].Network == "" {
		t.Errorf("the sessions are %s", p.Body)
	}
	p, err = v.GetJSON(ctx, pathHome)
	is(t, p, err, 200, c.Address)
	if strings.Contains(p.Body, "argon2") {
		t.Error("the hash is in the document")
	}
}

// The activity of an account tells what happened, failures too.
func TestActivity(t *testing.T) {
	d := open(t)
	v, c := d.somebody("ada")
	if _, err := d.visitor().SignIn(ctx, c.Address, secret.Of(word)); err != nil {
		t.Fatal(err)
	}
	p, err := v.Post(ctx, "/-/account/", "name", "Ada")
	is(t, p, err, 303)
	who, err := d.accounts.Find(ctx, operator(), c.Address)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.log.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	list, _, err := d.log.List(ctx, audit.Filter{Tenant: who.Home, Limit: 50})
	if err != nil {
		t.Fatal(err)
	}
	var said []string
	for _, e := range list {
		said = append(said, e.Sentence.String())
		if e.OccurredAt.IsZero() {
			t.Errorf("%s has no time", e.Type)
		}
	}
	all := strings.Join(said, "\n")
	for _, want := range []string{"signed up", "signed in from", "tried to sign in", "the password was wrong", "changed the name"} {
		if !strings.Contains(all, want) {
			t.Errorf("the activity does not say %q:\n%s", want, all)
		}
	}
	if strings.Contains(all, "{") {
		t.Errorf("a placeholder was not filled:\n%s", all)
	}
}

func TestTemplates(t *testing.T) {
	c := account.Defaults()
	for _, finding := range web.LintTemplates(New(nil, &c).Pages) {
		t.Error(finding)
	}
}

func TestCookieValue(t *testing.T) {
	for _, c := range []struct {
		lines []string
		want  string
	}{
		{nil, ""}, {[]string{""}, ""}, {[]string{"__Host-troth=a"}, "a"}, {[]string{"x=1; __Host-troth=a; y=2"}, "a"},
		{[]string{"x=1", "y=2;__Host-troth=a"}, "a"}, {[]string{"__Host-troth-flash=f; __Host-troth=a"}, "a"}, {[]string{"__Host-trot=x; _Host-troth=y"}, ""},
		{[]string{"__Host-troth=a; __Host-troth=b"}, ""}, {[]string{"__Host-troth=a", "__Host-troth=a"}, ""}, {[]string{"__Host-troth="}, ""}, {[]string{"; ;=;__Host-troth"}, ""},
	} {
		if got := cookieValue(c.lines, sessionCookie); got != c.want {
			t.Errorf("%q is read as %q, want %q", c.lines, got, c.want)
		}
	}
}

// Our reading agrees with the standard library's wherever that finds exactly
// one cookie of the name.
func FuzzCookieValue(f *testing.F) {
	f.Add("x=1; __Host-troth=abc; y=2")
	f.Add("__Host-troth=\"quoted\"")
	f.Add("__Host-troth= 0")
	f.Fuzz(func(t *testing.T, line string) {
		got := cookieValue([]string{line}, sessionCookie)
		r := &http.Request{Header: http.Header{"Cookie": {line}}}
		if theirs := r.CookiesNamed(sessionCookie); len(theirs) == 1 && !theirs[0].Quoted && got != "" && got != theirs[0].Value {
			t.Errorf("%q is read as %q, by the standard library as %q", line, got, theirs[0].Value)
		}
	})
}

// The cookie is read and the session checked without allocating: it is done
// for every request of the application.
func TestAuthenticateAllocatesNothing(t *testing.T) {
	d := open(t)
	v, _ := d.somebody("ada")
	r := &http.Request{URL: &url.URL{Path: "/"}, Header: http.Header{"Cookie": {"theme=dark; " + sessionCookie + "=" + v.Cookie(sessionCookie) + "; x=y"}}}
	r = r.WithContext(context.Background())
	authn := cookies{d.accounts}
	for deadline := time.Now().Add(10 * time.Second); !d.accounts.DB.Fresh() && time.Now().Before(deadline); time.Sleep(time.Millisecond) {
	}
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		r.Method = method
		if n := testing.AllocsPerRun(200, func() {
			if s, err := authn.Authenticate(r); err != nil || s.Kind != access.KindPerson {
				t.Fatal(s.Kind, err)
			}
		}); n != 0 {
			t.Errorf("%s allocates %v times", method, n)
		}
	}
}

// Many at once: sign-in, list, sign-out, with the race detector.
func TestManyAtOnce(t *testing.T) {
	d := open(t)
	_, c := d.somebody("ada")
	b := d.bench()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			w, err := arrive(ctx, b, c)
			if err != nil {
				t.Error(err)
				return
			}
			for range 5 {
				if status, err := w.in(ctx); err != nil || status != http.StatusOK {
					t.Errorf("%d, %v", status, err)
				}
			}
			if p, err := w.Post(ctx, "/-/signout"); err != nil || p.Status != http.StatusSeeOther {
				t.Error(p, err)
			}
			if status, err := w.in(ctx); err != nil || status != http.StatusUnauthorized {
				t.Errorf("signed out: %d, %v", status, err)
			}
		})
	}
	all.Wait()
}
