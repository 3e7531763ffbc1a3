package web

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"troth/internal/fault"
	"troth/internal/text"
)

// TestForms: what is read, and what is refused before the handler is called.
func TestForms(t *testing.T) {
	long := "a=" + strings.Repeat("x", DefaultMaxBody)
	many := strings.Repeat("a=1&", maxFields)
	for name, c := range map[string]struct {
		kind, body string
		status     int
		code       string
	}{
		"a form":            {"application/x-www-form-urlencoded", "a=1&b=%C3%BC+%26", 204, ""},
		"with charset":      {"application/x-www-form-urlencoded; charset=UTF-8", "a=1", 204, ""},
		"nothing":           {"", "", 204, ""},
		"lines":             {"application/x-www-form-urlencoded", "a=x%0D%0Ay%09z", 204, ""},
		"listed twice":      {"application/x-www-form-urlencoded", "a=1&many=1&many=2", 204, ""},
		"twice":             {"application/x-www-form-urlencoded", "a=1&a=2", 400, "web.twice"},
		"broken escape":     {"application/x-www-form-urlencoded", "a=%zz", 400, "web.form"},
		"semicolon":         {"application/x-www-form-urlencoded", "a=1;b=2", 400, "web.form"},
		"too many":          {"application/x-www-form-urlencoded", many, 400, "web.form"},
		"not UTF-8":         {"application/x-www-form-urlencoded", "a=%FF%FE", 400, "web.text"},
		"not UTF-8, raw":    {"application/x-www-form-urlencoded", "a=\xff", 400, "web.text"},
		"NUL":               {"application/x-www-form-urlencoded", "a=1%00", 400, "web.text"},
		"control in a name": {"application/x-www-form-urlencoded", "a%1B=1", 400, "web.text"},
		"too large":         {"application/x-www-form-urlencoded", long, 413, "web.too_large"},
		"multipart":         {"multipart/form-data; boundary=x", "--x--", 415, "web.media_type"},
		"JSON":              {"application/json", `{"a":1}`, 415, "web.media_type"},
		"plain":             {"text/plain", "a=1", 415, "web.media_type"},
		"no type":           {"", "a=1", 415, "web.media_type"},
		"another charset":   {"application/x-www-form-urlencoded; charset=latin1", "a=1", 415, "web.media_type"},
		"broken type":       {"application/;", "a=1", 415, "web.media_type"},
	} {
		t.Run(name, func(t *testing.T) {
			r := post("/-/x?a=query", c.body)
			r.Header.Set("Accept", "*/*")
			r.Header.Set("Content-Type", c.kind)
			called := false
			w, _ := call(t, Route{Public: "x", Many: []string{"many"}, Handle: func(r *Request) error {
				called = true
				if r.Value("a") == "query" || r.PostForm.Get("a") != r.Value("a") {
					t.Errorf("the query passed for a field: %v", r.Form)
				}
				return ok(r)
			}}, frame(t), r)
			if w.Code != c.status || called != (c.status == 204) {
				t.Errorf("status %d, want %d, called %v: %s", w.Code, c.status, called, w.Body)
			}
			if c.code != "" && problemOf(t, w).Code != c.code {
				t.Errorf("code %s, want %s", problemOf(t, w).Code, c.code)
			}
		})
	}
}

// TestUnsized: the limit holds for a body that does not say its length, and a
// route may have another; a compressed body is not unpacked.
func TestUnsized(t *testing.T) {
	send := func(limit int64, size int, encoding string) int {
		r := post("/-/x", "")
		r.Body = io.NopCloser(strings.NewReader("a=" + strings.Repeat("x", size)))
		r.ContentLength = -1
		if encoding != "" {
			r.Header.Set("Content-Encoding", encoding)
		}
		w, _ := call(t, Route{Public: "x", MaxBody: limit, Handle: ok}, frame(t), r)
		return w.Code
	}
	if got := []int{send(0, 100, ""), send(0, DefaultMaxBody, ""), send(50, 100, ""), send(2*DefaultMaxBody, DefaultMaxBody, ""), send(0, 10, "gzip")}; got[0] != 204 || got[1] != 413 || got[2] != 413 || got[3] != 204 || got[4] != 415 {
		t.Errorf("the statuses are %v", got)
	}
	r := post("/-/x", "")
	r.Body, r.ContentLength = io.NopCloser(io.MultiReader(strings.NewReader("a="), &brokenReader{})), -1
	if w, _ := call(t, Route{Public: "x", Handle: ok}, frame(t), r); w.Code != 422 {
		t.Errorf("a body that broke off: %d", w.Code)
	}
}

type brokenReader struct{}

func (*brokenReader) Read([]byte) (int, error) { return 0, errors.New("connection reset") }

func TestQueries(t *testing.T) {
	for query, status := range map[string]int{"a=1&b=2": 204, "a=1&a=2": 400, "a=%ff": 400, "a=%zz": 400, "": 204} {
		r := httptest.NewRequest("GET", "/-/x", nil)
		r.URL.RawQuery = query
		w, _ := call(t, Route{Public: "x", Handle: func(r *Request) error {
			if query != "" && r.Value("a") != "1" {
				t.Errorf("the parameter is %q", r.Value("a"))
			}
			return ok(r)
		}}, frame(t), r)
		if w.Code != status {
			t.Errorf("%q: %d, want %d", query, w.Code, status)
		}
	}
}

func TestJSON(t *testing.T) {
	type doc struct {
		Name string `json:"name"`
		In   struct {
			Deep []int `json:"deep"`
		} `json:"in"`
	}
	for body, status := range map[string]int{
		`{"name":"x","in":{"deep":[1,2]}}`: 200,
		`{}`:                               200,
		`{"name":"x"} `:                    200,
		`{"name":"x"}{}`:                   400,
		`{"name":"x","name":"y"}`:          400,
		`{"in":{"deep":[1],"deep":[2]}}`:   400,
		`["name"]`:                         400,
		`"x"`:                              400,
		`{"name":`:                         400,
		``:                                 400,
		"{\"name\":\"\xff\"}":              400,
		`{"in":` + strings.Repeat(`{"a":`, 100) + strings.Repeat("}", 101): 400,
		`{"in":{"deep":` + strings.Repeat("[", 100):                        400,
		`{"other":1}`: 422,
		`{"name":1}`:  422,
	} {
		r := post("/-/x", body)
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Accept", "application/json")
		w, _ := call(t, Route{Public: "x", JSON: true, Handle: func(r *Request) error {
			var d doc
			if err := r.Decode(&d); err != nil {
				return err
			}
			return r.JSON(d)
		}}, frame(t), r)
		if w.Code != status {
			t.Errorf("%.60s: %d, want %d: %s", body, w.Code, status, w.Body)
		}
	}
	w, _ := call(t, Route{Public: "x", JSON: true, Handle: func(r *Request) error { return r.Decode(new(doc)) }}, frame(t), post("/-/x", "a=1"))
	if w.Code != 415 {
		t.Errorf("a form where JSON is decoded: %d", w.Code)
	}
	w, _ = call(t, Route{Public: "x", Handle: func(r *Request) error { return r.JSON(func() {}) }}, frame(t), get("/-/x"))
	if w.Code != 500 {
		t.Errorf("what is no JSON: %d", w.Code)
	}
}

// FuzzFields: a form that is taken has each field once and only plain text.
func FuzzFields(f *testing.F) {
	for _, s := range []string{"a=1&b=2", "a=1&a=2", "%ff=1", "a=%00", "&&&", "a;b", "=", "many=1&many=2"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		v, err := fields(s, []string{"many"}, errForm)
		if err != nil {
			if fault.As(err) == nil {
				t.Errorf("%q: %v is no fault", s, err)
			}
			return
		}
		for name, values := range v {
			if len(values) != 1 && name != "many" || !plain(name) || !plain(strings.Join(values, "")) {
				t.Errorf("%q gave %q=%q", s, name, values)
			}
		}
	})
}

// FuzzJSON: a body that is taken holds no name twice, and the walk ends.
func FuzzJSON(f *testing.F) {
	for _, s := range []string{`{"a":1}`, `{"a":1,"a":2}`, `{"a":[{"b":{}}]}`, `[`, `{"a":{"a":1}}`, "{\"\\u0061\":1,\"a\":2}"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r := &Request{Request: httptest.NewRequest("POST", "/", bytes.NewReader(b))}
		r.Header.Set("Content-Type", "application/json")
		var v map[string]any
		if err := r.Decode(&v); err != nil && fault.As(err) == nil {
			t.Errorf("%q: %v is no fault", b, err)
		}
	})
}

// formRoute is a form as a part writes it: one page, one action.
func formRoute(err error) Route {
	return Route{Method: "POST", Path: "/-/x", Public: "x", Handle: func(r *Request) error {
		if err != nil {
			return r.FormPage("gallery/signin", text.New("Sign in"), nil, err)
		}
		r.Flash(text.New("Hello %s.", "<b>Ada</b>"))
		return r.See("/-/account/")
	}}
}

// TestFormAgain: the form is shown again with the fault at its field and what
// was typed, except the password.
func TestFormAgain(t *testing.T) {
	email := fault.New(fault.Invalid, "x.email", "That is no address.").On("email")
	password := fault.New(fault.Invalid, "x.password", "The password is too short.").On("password")
	w, log := call(t, formRoute(errors.Join(email, password)), frame(t), post("/-/x", "email=ada%22%3E&password=hunter2"))
	body := w.Body.String()
	inspect(t, body)
	if w.Code != 422 || strings.Contains(body, "hunter2") || strings.Contains(log, "hunter2") {
		t.Errorf("status %d: %s", w.Code, body)
	}
	for _, want := range []string{
		`<title>Error: Sign in`, `id="errors" role="alert" tabindex="-1"`, `<a href="#f-email">That is no address.</a>`, `<a href="#f-password">`,
		`value="ada&#34;&gt;"`, `aria-describedby="f-email-error" aria-invalid="true"`, `<span class="fault" id="f-password-error">`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
}

// TestFormFaults: which errors a form shows, and which go on.
func TestFormFaults(t *testing.T) {
	for name, c := range map[string]struct {
		err    error
		status int
		form   bool
	}{
		"invalid":        {fault.New(fault.Invalid, "x.y", "No."), 422, true},
		"conflict":       {fault.New(fault.Conflict, "x.y", "No."), 409, true},
		"wrong password": {fault.New(fault.Unauthenticated, "x.y", "No."), 401, true},
		"too many":       {fault.New(fault.TooMany, "x.y", "No.").In(9e9), 429, true},
		"used code":      {fault.New(fault.Gone, "x.y", "No.").On("code"), 410, true},
		"used link":      {fault.New(fault.Gone, "x.y", "No."), 410, false},
		"denied":         {fault.New(fault.Denied, "x.y", "No."), 403, false},
		"not found":      {fault.New(fault.NotFound, "x.y", "No."), 404, false},
		"defect":         {errors.New("x"), 500, false},
		"joined, defect": {errors.Join(fault.New(fault.Invalid, "x.y", "No."), errors.New("x")), 422, false},
		"another status": {errMedia, 415, false},
	} {
		t.Run(name, func(t *testing.T) {
			w, _ := call(t, formRoute(c.err), frame(t), post("/-/x", "email=a"))
			if w.Code != c.status || strings.Contains(w.Body.String(), "<form method=\"post\" class=\"form\">") != c.form {
				t.Errorf("status %d, want %d: %s", w.Code, c.status, w.Body)
			}
			if c.status == 429 && w.Header().Get("Retry-After") != "9" {
				t.Error("no Retry-After")
			}
			r := post("/-/x", "email=a")
			r.Header.Set("Accept", "application/json")
			if w, _ := call(t, formRoute(c.err), frame(t), r); w.Code != c.status {
				t.Errorf("without a page: status %d", w.Code)
			} else {
				problemOf(t, w)
			}
		})
	}
}

// TestFlash: shown once, on the next page, to the same session, within a
// minute, and only if Troth wrote it.
func TestFlash(t *testing.T) {
	deps := frame(t, as{everything()})
	w, _ := call(t, formRoute(nil), deps, post("/-/x", "email=a"))
	cookies := w.Result().Cookies()
	if w.Code != 303 || w.Header().Get("Location") != "/-/account/" || len(cookies) != 1 {
		t.Fatalf("status %d, cookies %v", w.Code, cookies)
	}
	c := cookies[0]
	if !c.Secure || !c.HttpOnly || c.Path != "/" || c.MaxAge != 60 || c.Domain != "" || !strings.HasPrefix(c.Name, "__Host-") {
		t.Errorf("the cookie is %v", c)
	}
	page := Route{Method: "GET", Path: "/-/x", Public: "x", Handle: func(r *Request) error { return r.Page("gallery/signin", text.New("Page"), nil) }}
	show := func(deps Deps, value string) *httptest.ResponseRecorder {
		r := get("/-/x")
		r.AddCookie(&http.Cookie{Name: c.Name, Value: value})
		w, _ := call(t, page, deps, r)
		return w
	}
	w = show(deps, c.Value)
	if !strings.Contains(w.Body.String(), "Hello &lt;b&gt;Ada&lt;/b&gt;.") {
		t.Errorf("the message is not on the page: %s", w.Body)
	}
	if gone := w.Result().Cookies(); len(gone) != 1 || gone[0].MaxAge >= 0 || gone[0].Name != c.Name {
		t.Errorf("the cookie stays: %v", gone)
	}
	other := everything()
	other.Session = "ses_01jdabcdefghjkmnpqrstvwxy1"
	otherSession := deps
	otherSession.Authenticators = []Authenticator{as{other}}
	late := deps
	late.Now = func() time.Time { return noon.Add(2 * time.Minute) }
	for name, w := range map[string]*httptest.ResponseRecorder{
		"another session": show(otherSession, c.Value),
		"another key":     show(frame(t, as{everything()}), c.Value),
		"a minute later":  show(late, c.Value),
		"changed":         show(deps, "A"+c.Value[1:]),
		"cut":             show(deps, c.Value[:20]),
		"no base 64":      show(deps, "%%%"),
		"much too long":   show(deps, strings.Repeat("A", 10000)),
	} {
		if w.Code != 200 || strings.Contains(w.Body.String(), "Hello") {
			t.Errorf("%s: status %d, the message is shown", name, w.Code)
		}
	}
}

// TestConfirm: the deed is done only after what was asked for was typed.
func TestConfirm(t *testing.T) {
	c := Confirmation{Title: text.New("Delete it"), Consequences: []text.Text{text.New("It is gone.")}, Type: "Café Größe", Button: text.New("Delete"), Back: "/-/org/"}
	done := 0
	route := Route{Method: "POST", Path: "/-/x", Public: "x", Handle: func(r *Request) error {
		if err := r.Confirmed(c); err != nil {
			return r.Confirm(c, err)
		}
		done++
		return r.See("/")
	}}
	for typed, status := range map[string]int{"Café Größe": 303, " Café Größe ": 303, "": 422, "café größe": 422, "yes": 422} {
		before := done
		w, _ := call(t, route, frame(t), post("/-/x", "confirm="+url.QueryEscape(typed)))
		if w.Code != status || (done > before) != (status == 303) {
			t.Errorf("%q: status %d", typed, w.Code)
		}
		if status == 422 {
			inspect(t, w.Body.String())
		}
	}
	if w, _ := call(t, route, frame(t), post("/-/x?confirm="+url.QueryEscape(c.Type), "")); w.Code != 422 {
		t.Error("the query confirms")
	}
	c.Type = ""
	if w, _ := call(t, route, frame(t), post("/-/x", "")); w.Code != 303 {
		t.Errorf("a button alone: %d", w.Code)
	}
}

// TestAssets: kept for ever under the digest, asked for again under another.
func TestAssets(t *testing.T) {
	route := AssetRoute()
	mux, err := Mux([]Route{route}, frame(t, failing{errors.New("nobody is to be authenticated")}))
	if err != nil {
		t.Fatal(err)
	}
	fetch := func(path string, header ...string) *httptest.ResponseRecorder {
		r := httptest.NewRequest("GET", path, nil)
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		return w
	}
	for name, a := range assets().files {
		path, err := assetPath(name)
		if err != nil {
			t.Fatal(err)
		}
		plain, zipped := fetch(path), fetch(path, "Accept-Encoding", "br, gzip;q=0.8")
		if plain.Code != 200 || !bytes.Equal(plain.Body.Bytes(), a.plain) || plain.Header().Get("Cache-Control") != "public, max-age=31536000, immutable" {
			t.Errorf("%s: %d, %v", name, plain.Code, plain.Header())
		}
		z, err := gzip.NewReader(zipped.Body)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if b, err := io.ReadAll(z); err != nil || !bytes.Equal(b, a.plain) || zipped.Header().Get("Content-Encoding") != "gzip" {
			t.Errorf("%s is another file when compressed: %v", name, err)
		}
		if plain.Header().Get("Etag") == zipped.Header().Get("Etag") || plain.Header().Get("Content-Type") == "" {
			t.Errorf("%s: %v", name, plain.Header())
		}
		if w := fetch(path, "If-None-Match", `"x", `+plain.Header().Get("Etag")); w.Code != 304 || w.Body.Len() != 0 {
			t.Errorf("%s is sent again: %d", name, w.Code)
		}
	}
	old := fetch(assetRoot + "0123456789abcdef/app.css")
	if old.Code != 200 || old.Header().Get("Cache-Control") != "no-cache" {
		t.Errorf("under another digest: %d %v", old.Code, old.Header())
	}
	if w := fetch(assetRoot + "x/passwd"); w.Code != 404 {
		t.Errorf("what is no asset: %d", w.Code)
	}
	for header, want := range map[string]bool{"gzip": true, "": false, "gzip;q=0": false, "gzip; q=0.0": false, "deflate": false, "br,GZIP": true, "gzip;q=0.5": true} {
		if acceptsGzip(header) != want {
			t.Errorf("Accept-Encoding %q", header)
		}
	}
}

// TestReturnToOfForm: the field of the form wins over the query, and neither
// leads away from here.
func TestReturnToOfForm(t *testing.T) {
	for body, want := range map[string]string{
		"return_to=%2Fnotes": "/notes", "": "/from-the-query", "return_to=https%3A%2F%2Fevil.com": "/-/account/",
	} {
		_, _ = call(t, Route{Public: "x", Many: []string{"id"}, Handle: func(r *Request) error {
			if got := r.ReturnTo("/-/account/"); got != want || len(r.Values("id")) != strings.Count(body, "id=") || r.WantsJSON() {
				t.Errorf("%s: %s, want %s", body, got, want)
			}
			return ok(r)
		}}, frame(t), post("/-/x?return_to=/from-the-query", body))
	}
}
