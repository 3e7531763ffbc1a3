package web

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"troth/internal/access"
	"troth/internal/fault"
	"troth/internal/text"
)

// member is a person who may do nothing.
func member() access.Subject {
	return access.Subject{Kind: access.KindPerson, Account: "acc_01jdabcdefghjkmnpqrstvwxyz", Session: "ses_01jdabcdefghjkmnpqrstvwxyz"}
}

// call sends one request through one route and returns the answer and the log.
func call(t testing.TB, route Route, deps Deps, r *http.Request) (*httptest.ResponseRecorder, string) {
	t.Helper()
	var log bytes.Buffer
	deps.Log = slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	if route.Method == "" {
		route.Method, route.Path = r.Method, "/-/x"
	}
	w := httptest.NewRecorder()
	Handler(route, deps).ServeHTTP(w, r)
	return w, log.String()
}

// get is a browser that navigates.
func get(path string) *http.Request {
	r := httptest.NewRequest("GET", path, nil)
	r.Header.Set("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8")
	r.Header.Set("Sec-Fetch-Mode", "navigate")
	return r
}

// post is a browser that sends a form of ours.
func post(path, body string) *http.Request {
	r := httptest.NewRequest("POST", path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	r.Header.Set("Accept", "text/html")
	return r
}

func problemOf(t testing.TB, w *httptest.ResponseRecorder) Problem {
	t.Helper()
	if ct := w.Header().Get("Content-Type"); ct != "application/problem+json" {
		t.Fatalf("the answer is %s, no problem document: %d %s", ct, w.Code, w.Body)
	}
	var p Problem
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
		t.Fatal(err)
	}
	if p.Status != w.Code {
		t.Errorf("the document says %d, the answer %d", p.Status, w.Code)
	}
	return p
}

func ok(r *Request) error { return r.NoContent() }

// TestDecision: who gets in, and what the others are told.
func TestDecision(t *testing.T) {
	broken := errors.New("the store is gone")
	for name, c := range map[string]struct {
		route  Route
		by     Authenticator
		page   bool
		status int
		code   string
	}{
		"public, stranger":       {Route{Public: "x"}, as{}, true, 204, ""},
		"needs, may":             {Route{Needs: "x.do"}, as{everything()}, true, 204, ""},
		"needs, may not":         {Route{Needs: "x.do"}, as{member()}, false, 403, ""},
		"needs, stranger, page":  {Route{Needs: "x.do"}, as{}, true, 303, ""},
		"needs, stranger, API":   {Route{Needs: "x.do"}, as{}, false, 401, ""},
		"authentication broken":  {Route{Public: "x"}, failing{broken}, false, 503, "web.unavailable"},
		"authentication refused": {Route{Public: "x"}, failing{fault.New(fault.Unauthenticated, "x.expired", "Sign in again.")}, false, 401, "x.expired"},
		"anonymous, broken":      {Route{Public: "x", Anonymous: true}, failing{broken}, false, 204, ""},
	} {
		t.Run(name, func(t *testing.T) {
			c.route.Handle = ok
			r := httptest.NewRequest("GET", "/-/x?q=1", nil)
			if c.page {
				r = get("/-/x?q=1")
			}
			w, _ := call(t, c.route, frame(t, c.by), r)
			if w.Code != c.status {
				t.Fatalf("status %d, want %d: %s", w.Code, c.status, w.Body)
			}
			if c.status == 303 && w.Header().Get("Location") != "/-/signin?return_to=%2F-%2Fx%3Fq%3D1" {
				t.Errorf("leads to %s", w.Header().Get("Location"))
			}
			if c.status == 401 && w.Header().Get("WWW-Authenticate") == "" {
				t.Error("a 401 without a challenge")
			}
			if c.code != "" && problemOf(t, w).Code != c.code {
				t.Errorf("code %s, want %s", problemOf(t, w).Code, c.code)
			}
		})
	}
}

type failing struct{ err error }

func (f failing) Authenticate(*http.Request) (access.Subject, error) { return access.Subject{}, f.err }

// TestFirstAuthenticator: the first that knows the subject decides, and the
// subject carries where the request came from.
func TestFirstAuthenticator(t *testing.T) {
	deps := frame(t, as{}, as{member()}, failing{errors.New("must not be asked")})
	var got *Request
	r := get("/-/x")
	r.RemoteAddr = "[2001:db8::1]:4711"
	r.Header.Set("User-Agent", strings.Repeat("a", 1000))
	w, _ := call(t, Route{Public: "x", Handle: func(r *Request) error { got = r; return ok(r) }}, deps, r)
	if w.Code != 204 || got.Subject.Account != member().Account {
		t.Fatalf("status %d, subject %v", w.Code, got)
	}
	c := got.Subject.Context
	if c.IP.String() != "2001:db8::1" || len(c.Agent) > 300 || c.Request != got.ID || c.Session != member().Session {
		t.Errorf("the context is %+v", c)
	}
	if w.Header().Get("Request-Id") != string(got.ID) {
		t.Error("the answer does not carry the request's identifier")
	}
}

// TestRefusalIsRecorded: a denied request is recorded before it is answered,
// wherever it was denied, and refused with 503 if it cannot be.
func TestRefusalIsRecorded(t *testing.T) {
	inside := func(*Request) error { return fault.New(fault.Denied, "x.not_yours", "This is not yours.") }
	forged := post("/-/x", "")
	forged.Header.Set("Sec-Fetch-Site", "cross-site")
	for name, c := range map[string]struct {
		route Route
		r     *http.Request
		code  string
	}{
		"by the route":   {Route{Needs: "x.do", Handle: ok}, get("/-/x"), "access.denied"},
		"by the handler": {Route{Public: "x", Handle: inside}, get("/-/x"), "x.not_yours"},
		"forged":         {Route{Public: "x", Handle: ok}, forged, "web.cross_origin"},
	} {
		t.Run(name, func(t *testing.T) {
			deps := frame(t, as{member()})
			var recorded []string
			deps.Refused = func(r *Request, f *fault.Error) error {
				if r.Needs() != c.route.Needs {
					t.Errorf("the hook sees the permission %q", r.Needs())
				}
				recorded = append(recorded, f.Code)
				return nil
			}
			c.r.Header.Del("Sec-Fetch-Mode")
			c.r.Header.Set("Accept", "application/json")
			w, _ := call(t, c.route, deps, c.r)
			if w.Code != 403 || len(recorded) != 1 || recorded[0] != problemOf(t, w).Code {
				t.Errorf("status %d, recorded %v: %s", w.Code, recorded, w.Body)
			}
			deps.Refused = func(*Request, *fault.Error) error { return errors.New("the log cannot be written") }
			w, log := call(t, c.route, deps, c.r)
			if w.Code != 503 || !strings.Contains(log, "the log cannot be written") || strings.Contains(w.Body.String(), "log cannot") {
				t.Errorf("without a log: status %d: %s", w.Code, w.Body)
			}
		})
	}
}

// TestErrors: what is shown of an error, and what is not.
func TestErrors(t *testing.T) {
	canary := "row 17 of table secret_plans"
	for name, c := range map[string]struct {
		err    error
		status int
		shown  string
		header [2]string
	}{
		"defect":      {errors.New(canary), 500, "Something went wrong", [2]string{}},
		"internal":    {fault.New(fault.Internal, "x.y", canary), 500, "Something went wrong", [2]string{}},
		"with cause":  {fault.Wrap(errors.New(canary), fault.Invalid, "x.y", "Type a number."), 422, "Type a number.", [2]string{}},
		"not found":   {fault.New(fault.NotFound, "x.y", "There is no such note."), 404, "no such note", [2]string{}},
		"conflict":    {fault.New(fault.Conflict, "x.y", "Somebody was faster."), 409, "faster", [2]string{}},
		"gone":        {fault.New(fault.Gone, "x.y", "The link was used."), 410, "was used", [2]string{}},
		"too many":    {fault.New(fault.TooMany, "x.y", "Wait.").In(1500 * time.Millisecond), 429, "Wait.", [2]string{"Retry-After", "2"}},
		"unavailable": {fault.New(fault.Unavailable, "x.y", "Later.").In(time.Minute), 503, "Later.", [2]string{"Retry-After", "60"}},
		"html":        {fault.New(fault.NotFound, "x.y", "There is no %s.", "<script>"), 404, "script", [2]string{}},
	} {
		for _, page := range []bool{true, false} {
			t.Run(name, func(t *testing.T) {
				r := httptest.NewRequest("GET", "/-/x", nil)
				if page {
					r = get("/-/x")
				}
				w, log := call(t, Route{Public: "x", Handle: func(r *Request) error {
					r.W.Header().Set("Content-Disposition", "attachment")
					r.W.Header().Set("Cache-Control", "public")
					return c.err
				}}, frame(t), r)
				body := w.Body.String()
				if w.Code != c.status || !strings.Contains(body, c.shown) || strings.Contains(body, "secret_plans") || strings.Contains(body, "<script>") {
					t.Errorf("status %d, want %d: %s", w.Code, c.status, body)
				}
				if c.header[0] != "" && w.Header().Get(c.header[0]) != c.header[1] {
					t.Errorf("%s: %s", c.header[0], w.Header().Get(c.header[0]))
				}
				if w.Header().Get("Content-Disposition") != "" || w.Header().Get("Cache-Control") != "no-store" {
					t.Error("headers that the handler meant for its answer stand on the error")
				}
				reference := w.Header().Get("Request-Id")
				if !strings.Contains(body, reference) || strings.Count(log, reference) < 2 {
					t.Errorf("the reference %s is not both on the page and in the log: %s", reference, log)
				}
				if strings.Contains(c.err.Error(), "secret_plans") && !strings.Contains(log, "secret_plans") {
					t.Error("the cause is not in the log")
				}
				if page {
					inspect(t, body)
				} else {
					problemOf(t, w)
				}
			})
		}
	}
}

// TestPanic: a panic is an internal error with a reference; after half an
// answer the connection breaks off instead.
func TestPanic(t *testing.T) {
	w, log := call(t, Route{Public: "x", Handle: func(*Request) error { panic("lost it") }}, frame(t), get("/-/x"))
	if w.Code != 500 || strings.Contains(w.Body.String(), "lost it") || !strings.Contains(log, "lost it") || !strings.Contains(log, "handler_test.go") {
		t.Errorf("status %d, log %s", w.Code, log)
	}
	for name, handle := range map[string]func(*Request) error{
		"panics":  func(r *Request) error { _, _ = io.WriteString(r.W, "half"); panic("lost it") },
		"fails":   func(r *Request) error { _, _ = io.WriteString(r.W, "half"); return errors.New("lost it") },
		"aborted": func(*Request) error { panic(http.ErrAbortHandler) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if p := recover(); p != http.ErrAbortHandler {
					t.Errorf("recovered %v", p)
				}
			}()
			call(t, Route{Public: "x", Handle: handle}, frame(t), get("/-/x"))
			t.Error("the answer looks whole")
		})
	}
}

// TestLog: one line a request, without the query, without a token in the
// path, without the client's address.
func TestLog(t *testing.T) {
	r := get("/-/confirm/s3cret-token?email=canary@example.org")
	r.RemoteAddr = "203.0.113.77:1"
	route := Route{Method: "GET", Path: "/-/confirm/{token}", Public: "x", Redact: true, Handle: func(*Request) error { return errors.New("x") }}
	w, log := call(t, route, frame(t, as{member()}), r)
	for _, canary := range []string{"s3cret", "canary@", "203.0.113"} {
		if strings.Contains(log, canary) {
			t.Errorf("%s stands in the log: %s", canary, log)
		}
	}
	if !strings.Contains(log, "/-/confirm/{token}") || !strings.Contains(log, string(member().Account)) || strings.Count(log, `"msg":"request"`) != 1 {
		t.Errorf("the log is %s", log)
	}
	if w.Header().Get("Referrer-Policy") != "no-referrer" {
		t.Error("the page would tell its path to the next")
	}
}

// TestHeaders: what every answer carries.
func TestHeaders(t *testing.T) {
	r := get("https://notes.example:8443/-/x")
	w, _ := call(t, Route{Public: "x", Handle: ok}, frame(t), r)
	csp := w.Header().Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "script-src notes.example:8443/-/assets/;", "style-src notes.example:8443/-/assets/;", "connect-src notes.example:8443/-/;",
		"frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'", "trusted-types 'none'", "require-trusted-types-for 'script'"} {
		if !strings.Contains(csp, want) {
			t.Errorf("the policy lacks %q: %s", want, csp)
		}
	}
	if strings.Contains(csp, "unsafe") || strings.Contains(csp, "*") {
		t.Errorf("the policy is too wide: %s", csp)
	}
	for name, want := range map[string]string{
		"X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin", "Cross-Origin-Opener-Policy": "same-origin",
		"Cross-Origin-Resource-Policy": "same-origin", "Cache-Control": "no-store", "X-Frame-Options": "DENY",
	} {
		if got := w.Header().Get(name); got != want {
			t.Errorf("%s: %s", name, got)
		}
	}
	for _, host := range []string{"[::1]:8443", "evil; script-src *", "a b"} {
		r := get("/-/x")
		r.Host = host
		w, _ := call(t, Route{Public: "x", Handle: ok}, frame(t), r)
		if csp := w.Header().Get("Content-Security-Policy"); !strings.Contains(csp, "script-src 'self';") || strings.Contains(csp, "*") {
			t.Errorf("for the host %q: %s", host, csp)
		}
	}
}

// TestForgery: unsafe requests must say that they come from here.
func TestForgery(t *testing.T) {
	for name, c := range map[string]struct {
		headers map[string]string
		status  int
	}{
		"same origin":                  {map[string]string{"Sec-Fetch-Site": "same-origin", "Cookie": "a=b"}, 204},
		"typed":                        {map[string]string{"Sec-Fetch-Site": "none", "Cookie": "a=b"}, 204},
		"another site":                 {map[string]string{"Sec-Fetch-Site": "cross-site"}, 403},
		"a sister site":                {map[string]string{"Sec-Fetch-Site": "same-site", "Cookie": "a=b"}, 403},
		"old browser, own origin":      {map[string]string{"Origin": "https://example.com", "Cookie": "a=b"}, 204},
		"old browser, another":         {map[string]string{"Origin": "https://evil.example"}, 403},
		"old browser, null":            {map[string]string{"Origin": "null"}, 403},
		"no browser, no cookie":        {nil, 204},
		"no browser, but with cookies": {map[string]string{"Cookie": "a=b"}, 403},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest("POST", "https://example.com/-/x", nil)
			for k, v := range c.headers {
				r.Header.Set(k, v)
			}
			done := false
			w, _ := call(t, Route{Public: "x", Handle: func(r *Request) error { done = true; return ok(r) }}, frame(t), r)
			if w.Code != c.status || done != (c.status == 204) {
				t.Errorf("status %d, done %v: %s", w.Code, done, w.Body)
			}
			g, _ := call(t, Route{Public: "x", Handle: ok}, frame(t), func() *http.Request {
				g := httptest.NewRequest("GET", "https://example.com/-/x", nil)
				g.Header = r.Header
				return g
			}())
			if g.Code != 204 {
				t.Errorf("reading is refused with %d", g.Code)
			}
		})
	}
}

func TestWantsPage(t *testing.T) {
	for accept, want := range map[string]bool{
		"":                                   false,
		"*/*":                                false,
		"text/html":                          true,
		"text/html,application/json;q=0.9":   true,
		"application/json,text/html;q=0.9":   false,
		"text/html;q=0":                      false,
		"application/xhtml+xml":              true,
		"text/html;q=oops":                   false,
		",,;;":                               false,
		"application/problem+json,text/html": true,
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Accept", accept)
		if got := WantsPage(r); got != want {
			t.Errorf("%q: %v", accept, got)
		}
	}
}

// TestMux: every route answers, what is missing is 404, and a method that the
// address does not take is 405 with those that it takes.
func TestMux(t *testing.T) {
	routes := []Route{
		{Method: "GET", Path: "/-/a/{id}", Public: "x", Handle: func(r *Request) error { return r.JSON(r.PathValue("id")) }},
		{Method: "POST", Path: "/-/a/{id}", Public: "x", Handle: ok},
		{Method: "DELETE", Path: "/-/b", Public: "x", Handle: ok},
		AssetRoute(),
	}
	mux, err := Mux(routes, frame(t))
	if err != nil {
		t.Fatal(err)
	}
	for request, want := range map[string]string{
		"GET /-/a/7": "200 ", "HEAD /-/a/7": "200 ", "POST /-/a/7": "204 ", "DELETE /-/b": "204 ",
		"GET /-/c": "404 ", "POST /-/": "404 ", "PUT /-/a/7": "405 GET, HEAD, POST", "GET /-/b": "405 DELETE",
		"GET " + AssetRoute().URL(nil): "200 ",
	} {
		method, path, _ := strings.Cut(request, " ")
		r := httptest.NewRequest(method, path, nil)
		if want[0] == '4' {
			r = httptest.NewRequest(method, path, strings.NewReader("what the body is does not matter"))
		}
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		if got := http.StatusText(w.Code); w.Header().Get("Allow") != want[4:] || want[:3] != itoa(w.Code) {
			t.Errorf("%s: %d %s, Allow %q, want %s", request, w.Code, got, w.Header().Get("Allow"), want)
		}
	}
	if _, err := Mux([]Route{{Method: "GET", Path: "/-/{a}/b", Public: "x", Handle: ok}, {Method: "GET", Path: "/-/a/{b}", Public: "x", Handle: ok}}, frame(t)); err == nil {
		t.Error("two patterns that both match /-/a/b are taken")
	}
}

func itoa(n int) string { return text.New("%d", n).String() }

func TestCheck(t *testing.T) {
	good := Route{Method: "GET", Path: "/-/a", Needs: "a.read", Handle: ok}
	if err := Check([]Route{good, {Method: "POST", Path: "/-/a", Public: "x", Handle: ok}}); err != nil {
		t.Error(err)
	}
	for want, change := range map[string]func(*Route){
		"neither the permission": func(r *Route) { r.Needs = "" },
		"both needs":             func(r *Route) { r.Public = "x" },
		"has no handler":         func(r *Route) { r.Handle = nil },
		"a method that is not":   func(r *Route) { r.Method = "TRACE" },
		"does not begin with":    func(r *Route) { r.Path = "-/a" },
		"yet is not public":      func(r *Route) { r.Anonymous = true },
		"a negative limit":       func(r *Route) { r.MaxBody = -1 },
	} {
		r := good
		change(&r)
		if err := Check([]Route{r}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	twice := []Route{{Method: "GET", Path: "/-/{a}", Public: "x", Handle: ok}, {Method: "GET", Path: "/-/{b}", Public: "x", Handle: ok}}
	if err := Check(twice); err == nil || !strings.Contains(err.Error(), "registered twice") {
		t.Errorf("twice: %v", err)
	}
}

func TestRouteURL(t *testing.T) {
	r := Route{Method: "GET", Path: "/-/org/{org}/people/{account}/{rest...}", Example: map[string]string{"org": "ten_1"}}
	if got := r.URL(map[string]string{"account": "acc_2"}); got != "/-/org/ten_1/people/acc_2/example" {
		t.Error(got)
	}
	if got := (Route{Path: "/-/org/{$}"}).URL(nil); got != "/-/org/" {
		t.Error(got)
	}
	if got := strings.Join(r.Wildcards(), " "); got != "org account rest" {
		t.Error(got)
	}
}

// TestRefuse: what stands before the routes refuses with the same page, the
// same document and the same line in the log, whatever the request was.
func TestRefuse(t *testing.T) {
	var log bytes.Buffer
	deps := frame(t, failing{errors.New("the store is gone")})
	deps.Log = slog.New(slog.NewJSONHandler(&log, nil))
	err := WithStatus(http.StatusBadGateway, fault.New(fault.Unavailable, "x.upstream", "The application does not answer."))
	for _, page := range []bool{true, false} {
		r := httptest.NewRequest("POST", "/notes/s3cret?x=1", strings.NewReader("{}"))
		r.Header.Set("Cookie", "a=b")
		if page {
			r.Header.Set("Accept", "text/html")
		}
		w := httptest.NewRecorder()
		Refuse(w, r, deps, err)
		if w.Code != http.StatusBadGateway || !strings.Contains(w.Body.String(), "The application does not answer.") || w.Header().Get("Content-Security-Policy") == "" {
			t.Errorf("status %d: %s", w.Code, w.Body)
		}
		if page {
			inspect(t, w.Body.String())
		} else if p := problemOf(t, w); p.Code != "x.upstream" || !strings.Contains(log.String(), p.Reference) {
			t.Errorf("the document is %+v", p)
		}
	}
	if strings.Contains(log.String(), "s3cret") {
		t.Error("a path of the application stands in the log")
	}
}
