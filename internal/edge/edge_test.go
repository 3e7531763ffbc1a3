package edge

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"troth/internal/access"
	"troth/internal/fault"
	"troth/internal/web"
)

func TestARequestReachesTheApplicationWithAnAssertionAndNothingForged(t *testing.T) {
	h := open(t, http.HandlerFunc(echo))
	cookie := h.signIn(access.Member)
	a := h.ask("GET", "/page?q=1;x&y=%zz", cookie,
		"Troth-Assertion", "forged", "troth_assertion", "forged", "X-Forwarded-For", "203.0.113.9", "X-Forwarded-Proto", "http",
		"X-Real-Ip", "203.0.113.9", "Forwarded", "for=203.0.113.9", "X-Original-Url", "/-/account/", "X-Custom", "kept")
	if a.StatusCode != 200 {
		t.Fatalf("%d %s", a.StatusCode, a.text)
	}
	for _, want := range []string{"GET /page?q=1;x&y=%zz\n", "Host: localhost:8443\n", "X-Forwarded-For: 192.0.2.17\r\n", "X-Forwarded-Proto: https\r\n",
		"X-Forwarded-Host: localhost:8443\r\n", "X-Custom: kept\r\n", "Cookie: theme=dark\r\n", "Troth-Assertion: eyJ"} {
		if !strings.Contains(a.text, want) {
			t.Errorf("the application did not get %q:\n%s", want, a.text)
		}
	}
	for _, never := range []string{"forged", "203.0.113.9", "__Host-troth", cookie + ";", "X-Original-Url"} {
		if strings.Contains(a.text, never) {
			t.Errorf("the application got %q:\n%s", never, a.text)
		}
	}
	if a.Header.Get("X-Content-Type-Options") != "nosniff" || a.Header.Get("Strict-Transport-Security") != "" || a.ProtoMajor != 2 {
		t.Errorf("the answer is %s with %v", a.Proto, a.Header)
	}
	line := h.lines.last()
	who := h.person(cookie)
	if line.Status != 200 || line.Bytes == 0 || line.Account != who.Account || line.Tenant != who.Tenant || line.Session != who.Session ||
		line.Path != "/page" || line.IP != testFrom || line.Request == "" || line.Method != "GET" || line.Route != "/" {
		t.Errorf("the line is %+v", line)
	}
}

func TestRoutesOfTheApplicationDecideWhoMayComeIn(t *testing.T) {
	h := open(t, http.HandlerFunc(echo))
	member, admin := h.signIn(access.Member), h.signIn(access.Admin)
	for _, c := range []struct {
		cookie, path string
		accept       []string
		want         int
		location     string
	}{
		{"", "/public/x", nil, 200, ""},
		{member, "/public/x", nil, 200, ""},
		{"", "/page", nil, 401, ""},
		{"", "/page", page, 303, "/-/signin?return_to=%2Fpage"},
		{"", "/page?a=b&c=d", page, 303, "/-/signin?return_to=%2Fpage%3Fa%3Db%26c%3Dd"},
		{"", "/", page, 303, "/-/signin"},
		{"unknown", "/page", nil, 401, ""},
		{member, "/page", nil, 200, ""},
		{"", "/report/x", page, 303, "/-/signin?return_to=%2Freport%2Fx"},
		{member, "/report/x", nil, 403, ""},
		{member, "/report/x", page, 403, ""},
		{admin, "/report/x", nil, 200, ""},
		{admin, "/-/nothing", nil, 404, ""},
		{"", "/-/nothing", page, 404, ""},
		{"", "/-/account/", nil, 401, ""},
		{member, "/-/account/", nil, 200, ""},
		{"", "/.well-known/change-password", nil, 303, "/-/account/"},
	} {
		before := h.reached.Load()
		a := h.ask("GET", c.path, c.cookie, c.accept...)
		if a.StatusCode != c.want || a.Header.Get("Location") != c.location {
			t.Errorf("%s as %q: %d %q, want %d %q", c.path, c.cookie, a.StatusCode, a.Header.Get("Location"), c.want, c.location)
		}
		if own := strings.HasPrefix(c.path, "/-/") || strings.HasPrefix(c.path, "/."); (h.reached.Load() > before) != (c.want == 200 && !own) {
			t.Errorf("%s as %q: the application was reached %d times", c.path, c.cookie, h.reached.Load()-before)
		}
		if line := h.lines.last(); line.Status != c.want {
			t.Errorf("%s: the line says %d, not %d", c.path, line.Status, c.want)
		}
	}
	if a := h.ask("POST", "/page", "", page...); a.StatusCode != 401 || a.Header.Get("WWW-Authenticate") == "" {
		t.Errorf("a stranger's POST: %d", a.StatusCode)
	}
	if a := h.ask("GET", "/public/x", ""); strings.Contains(a.text, "Troth-Assertion") {
		t.Error("nobody has an assertion")
	}
	if a := h.ask("GET", "/public/x", member); !strings.Contains(a.text, "Troth-Assertion") {
		t.Error("a signed-in person is not named on a public page")
	}
}

func TestProblemsCarryAReferenceThatIsInTheLog(t *testing.T) {
	h := open(t, http.HandlerFunc(echo))
	for path, want := range map[string]int{"/page": 401, "/x/../y": 400, "/-/nothing": 404, "/-/panic": 500} {
		a := h.askRaw("GET", path)
		var p web.Problem
		if err := json.Unmarshal([]byte(a.text), &p); err != nil || a.Header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %q is no problem document: %v", path, a.text, err)
			continue
		}
		if a.StatusCode != want || p.Status != want || p.Detail == "" || p.Reference == "" {
			t.Errorf("%s: %d, %+v", path, a.StatusCode, p)
		}
		if line := h.lines.last(); string(line.Request) != p.Reference || line.Status != want {
			t.Errorf("%s: the line is %+v, the reference %s", path, line, p.Reference)
		}
	}
	if a := h.askRaw("GET", "/x/../y", page...); a.StatusCode != 400 || !strings.Contains(a.text, "<html") || !strings.Contains(a.text, "more than one way") {
		t.Errorf("the page for an ambiguous path: %d %s", a.StatusCode, a.text)
	}
}

// askRaw sends a path that clients would tidy up.
func (h *house) askRaw(method, path string, headers ...string) answer {
	h.t.Helper()
	req, err := http.NewRequest(method, "https://localhost:8443/", nil)
	h.must(err)
	req.URL.Opaque = "//localhost:8443" + path
	if !strings.HasPrefix(path, "//") {
		req.URL.Opaque = path
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	return h.do(req)
}

func TestOddPathsNeverPass(t *testing.T) {
	h := open(t, http.HandlerFunc(echo), func(o *Options) {
		o.AppRoutes = []AppRoute{{"/", Public}, {"/webhooks/admin", "app.report"}}
	})
	for _, p := range ambiguous {
		if !strings.HasPrefix(p, "/") || strings.ContainsAny(p, "\x00\x7f#? \\\n") || strings.Contains(p, "%zz") || strings.HasSuffix(p, "%") || strings.HasSuffix(p, "%2") || strings.Contains(p, "%u") {
			continue // no client sends it; TestBadRequestsOnTheWire does
		}
		before := h.reached.Load()
		a := h.askRaw("GET", p)
		_, err := h.edge.table.rule(p)
		if reached := h.reached.Load() != before; reached != (err == nil) || (err != nil) != (a.StatusCode == 400) {
			t.Errorf("%q: %d, reached the application: %v; the rule: %v", p, a.StatusCode, reached, err)
		}
	}
}

func TestWithoutAnApplicationTheFrontPageIsTheAccount(t *testing.T) {
	h := open(t, nil)
	if a := h.ask("GET", "/", ""); a.StatusCode != 303 || a.Header.Get("Location") != "/-/account/" {
		t.Errorf("/: %d %s", a.StatusCode, a.Header.Get("Location"))
	}
	if a := h.ask("GET", "/x", ""); a.StatusCode != 404 {
		t.Errorf("/x: %d", a.StatusCode)
	}
}

func TestOnlyOwnNamesAreAnswered(t *testing.T) {
	h := open(t, http.HandlerFunc(echo), func(o *Options) { o.Hosts = []string{"app.example"} })
	for host, want := range map[string]int{"localhost:8443": 200, "LOCALHOST": 200, "127.0.0.1:8443": 200, "[::1]:8443": 200, "app.example": 200, "evil.example": 421, "localhost.evil.example": 421} {
		req, err := http.NewRequest("GET", "https://localhost:8443/public/", nil)
		h.must(err)
		req.Host = host
		if a := h.do(req); a.StatusCode != want {
			t.Errorf("%s: %d, want %d", host, a.StatusCode, want)
		}
	}
}

func TestMethodsForOtherKindsOfProxiesAreRefused(t *testing.T) {
	h := open(t, http.HandlerFunc(echo))
	if a := h.ask("TRACE", "/public/", ""); a.StatusCode != 405 || a.Header.Get("Allow") == "" {
		t.Errorf("TRACE: %d", a.StatusCode)
	}
	if a := h.ask("PROPFIND", "/public/", ""); a.StatusCode != 200 {
		t.Errorf("a method of the application's: %d", a.StatusCode)
	}
}

func TestSecretsInPathsAreNotRecorded(t *testing.T) {
	h := open(t, http.HandlerFunc(echo))
	h.ask("GET", "/-/reset/canarytoken123", "")
	if line := h.lines.last(); line.Path != "/-/reset/{token}" || line.Status != 204 {
		t.Errorf("the line is %+v", line)
	}
	h.ask("GET", "/report/canarytoken456", h.signIn(access.Viewer), page...)
	h.ask("GET", "/public/x?secret=canarytoken789", "")
	if strings.Contains(h.journal.String(), "canarytoken") {
		t.Errorf("the log holds a token:\n%s", h.journal)
	}
	if line := h.lines.last(); line.Path != "/public/x" {
		t.Errorf("the line is %+v", line)
	}
}

func TestOwnPagesLearnWhoItIs(t *testing.T) {
	h := open(t, nil)
	cookie := h.signIn(access.Member)
	var got map[string]string
	h.must(json.Unmarshal([]byte(h.ask("GET", "/-/about", cookie).text), &got))
	if got["account"] != string(h.person(cookie).Account) || got["ip"] != testFrom.String() || got["id"] != string(h.lines.last().Request) {
		t.Errorf("the page learned %v", got)
	}
}

func TestAChangeOfRoleIsObeyedByTheNextRequest(t *testing.T) {
	h := open(t, http.HandlerFunc(echo))
	cookie := h.signIn(access.Admin)
	who := h.person(cookie)
	first := h.ask("GET", "/report/", cookie)
	h.roles.mu.Lock()
	h.roles.m[string(who.Tenant)+string(who.Account)] = access.Viewer
	h.roles.mu.Unlock()
	h.must(h.changed(who))
	if a := h.ask("GET", "/report/", cookie); first.StatusCode != 200 || a.StatusCode != 403 {
		t.Errorf("before %d, after %d", first.StatusCode, a.StatusCode)
	}
	a, b := assertionIn(h.ask("GET", "/", cookie).text), assertionIn(first.text)
	if c := h.open(a); len(c.Roles) != 1 || c.Roles[0] != "viewer" {
		t.Errorf("the assertion says %+v", c)
	}
	if a == b {
		t.Error("the assertion is the same as before")
	}
}

func TestWhatIsMissingIsSaidAtTheStart(t *testing.T) {
	for _, c := range []struct {
		want   string
		change func(*Options)
	}{
		{"https://", func(o *Options) { o.Origin = "http://localhost" }},
		{"https://", func(o *Options) { o.Origin = "https://localhost/path" }},
		{"fail open", func(o *Options) { o.Depends = nil }},
		{"neither", func(o *Options) { o.Routes = []web.Route{{Method: "GET", Path: "/-/x"}} }},
		{"nor a permission that exists", func(o *Options) { o.AppRoutes = []AppRoute{{"/x", "app.unknown"}} }},
		{"access log", func(o *Options) { o.Audit = nil }},
		{"one plain address", func(o *Options) {
			o.Routes = []web.Route{{Method: "GET", Path: "/x/{id}", Public: "x", Handle: func(*web.Request) error { return nil }}}
		}},
	} {
		h := build(t, nil)
		o := h.edge.o
		c.change(&o)
		if _, err := New(o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %q", err, c.want)
		}
	}
}

func TestWhoCannotBeTellIsNotNobody(t *testing.T) {
	h := open(t, http.HandlerFunc(echo))
	err := errors.New("the database is away")
	h.broken.Store(&err)
	for _, path := range []string{"/public/", "/page", "/-/about", "/-/account/"} {
		if a := h.ask("GET", path, "x"); a.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("%s: %d", path, a.StatusCode)
		}
	}
	err = fault.New(fault.Denied, "x.locked", "This account is locked.")
	h.broken.Store(&err)
	if a := h.ask("GET", "/public/", "x"); a.StatusCode != http.StatusForbidden {
		t.Errorf("a fault of the authenticator: %d", a.StatusCode)
	}
	if h.reached.Load() != 0 {
		t.Error("the application was reached")
	}
}

func TestARefusalAtARouteOfTheApplicationIsRecorded(t *testing.T) {
	var refused []string
	var fail error
	h := open(t, http.HandlerFunc(echo), func(o *Options) {
		o.Web.Refused = func(r *web.Request, _ *fault.Error) error {
			refused = append(refused, string(r.Needs())+" by "+string(r.Subject.Account))
			return fail
		}
	})
	cookie := h.signIn(access.Viewer)
	for _, method := range []string{"GET", "POST", "DELETE"} {
		if a := h.ask(method, "/report/x", cookie, "Sec-Fetch-Site", "same-origin"); a.StatusCode != http.StatusForbidden {
			t.Errorf("%s: %d", method, a.StatusCode)
		}
	}
	want := "app.report by " + string(h.person(cookie).Account)
	if len(refused) != 3 || refused[0] != want || refused[2] != want {
		t.Errorf("recorded is %v", refused)
	}
	fail = errors.New("the log is away")
	if a := h.ask("GET", "/report/x", cookie); a.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("a refusal that leaves no trace: %d", a.StatusCode)
	}
	if h.reached.Load() != 0 {
		t.Error("the application was reached")
	}
}
