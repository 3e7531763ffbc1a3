package web

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"troth/internal/access"
	"troth/internal/fault"
	"troth/internal/text"
)

// proven is a person who proved who it is a while ago.
type proven struct {
	at              time.Time
	browser, factor bool
}

func (p proven) Authenticate(*http.Request) (access.Subject, error) {
	s := member()
	s.AuthAt, s.Browser, s.Factor = p.at, p.browser, p.factor
	return s, nil
}

// What is sensitive asks again after a quarter of an hour, and does nothing
// before that was answered.
func TestRecent(t *testing.T) {
	from := func(r *http.Request, referer string) *http.Request {
		r.Header.Set("Referer", referer)
		return r
	}
	asJSON := httptest.NewRequest("GET", "/-/x", nil)
	asJSON.Header.Set("Accept", "application/json")
	for name, c := range map[string]struct {
		ago    time.Duration
		r      *http.Request
		status int
		to     string // where it leads back to; undone for a form
		undone bool
	}{
		"just now":            {ago: 0, r: get("/-/x"), status: 204},
		"at the end":          {ago: RecentFor, r: get("/-/x"), status: 204},
		"a clock that jumped": {ago: -RecentFor - 1, r: get("/-/x"), status: 303, to: "/-/x"},
		"a page":              {ago: RecentFor + 1, r: get("/-/x?a=b"), status: 303, to: "/-/x?a=b"},
		"a form":              {ago: time.Hour, r: from(post("/-/x", "a=b"), "http://example.com/-/the/form?q=1"), status: 303, to: "/-/the/form?q=1", undone: true},
		"a form from nowhere": {ago: time.Hour, r: post("/-/x", "a=b"), status: 303, to: "/-/account/", undone: true},
		"a form that lies":    {ago: time.Hour, r: from(post("/-/x", "a=b"), "https://evil.example/-/x"), status: 303, to: "/-/account/", undone: true},
		"a program":           {ago: time.Hour, r: asJSON, status: 401},
	} {
		t.Run(name, func(t *testing.T) {
			done, deps := false, frame(t)
			deps.Authenticators = []Authenticator{proven{at: deps.Now().Add(-c.ago)}}
			route := Route{Public: "the test asks for no permission", Recent: true, Handle: func(r *Request) error { done = true; return r.NoContent() }}
			w, _ := call(t, route, deps, c.r)
			if w.Code != c.status || done != (c.status == 204) {
				t.Fatalf("answered %d, done: %v", w.Code, done)
			}
			if c.status == 401 && problemOf(t, w).Code != "web.recent" {
				t.Errorf("the problem is %s", w.Body)
			}
			if c.to == "" {
				return
			}
			u, err := url.Parse(w.Header().Get("Location"))
			if err != nil || u.Path != "/-/again" || u.Query().Get("return_to") != c.to || u.Query().Has("undone") != c.undone {
				t.Errorf("leads to %s, %v", u, err)
			}
		})
	}
}

// noticed is a menu with something that its reader has to do.
type noticed struct{}

func (noticed) Menu(context.Context, access.Subject) (Menu, error) {
	return Menu{Notices: []Announcement{{Text: text.New("%s asks for <more>.", "Orchard"), Path: "/-/do", Label: "Do it"}}}, nil
}

// What its reader has to do stands on every page.
func TestNotices(t *testing.T) {
	deps := frame(t, as{everything()})
	deps.Renderer.Menus = noticed{}
	for _, page := range []func(*Request) error{
		func(r *Request) error { return r.Notice(Notice{Title: text.New("A notice")}) },
		func(*Request) error { return fault.New(fault.NotFound, "x.none", "There is nothing.") },
	} {
		w, _ := call(t, Route{Public: "the test asks for no permission", Handle: page}, deps, get("/-/x"))
		if body := w.Body.String(); !strings.Contains(body, "Orchard asks for &lt;more&gt;.") || !strings.Contains(body, `<a href="/-/do">Do it</a>`) {
			t.Errorf("the page does not say it: %s", body)
		}
	}
}

// Pages on which people sign in do not offer it once more.
func TestSigningIn(t *testing.T) {
	page := func(path string) string {
		w, _ := call(t, Route{Method: "GET", Path: "/-/", Public: "the test asks for no permission", Handle: func(r *Request) error {
			return r.Notice(Notice{Title: text.New("A page")})
		}}, frame(t, as{}), get(path))
		return w.Body.String()
	}
	const offer = `<a class="button small push" href="/-/signin`
	for path, offers := range map[string]bool{"/-/signin": false, "/-/signin/code": false, "/-/signinx": true, "/-/trust": true} {
		if strings.Contains(page(path), offer) != offers {
			t.Errorf("%s offers to sign in: %v", path, !offers)
		}
	}
}

// A remembered browser opens the account, not what protects it: that asks for
// the second factor for which the browser stood in.
func TestRecentAfterRememberedBrowser(t *testing.T) {
	for name, c := range map[string]struct {
		browser, factor bool
		status          int
	}{
		"a factor":                     {factor: true, status: 204},
		"a remembered browser":         {browser: true, status: 303},
		"a browser, and then a factor": {browser: true, factor: true, status: 204},
	} {
		t.Run(name, func(t *testing.T) {
			deps := frame(t)
			deps.Authenticators = []Authenticator{proven{deps.Now(), c.browser, c.factor}}
			route := Route{Public: "the test asks for no permission", Recent: true, Handle: func(r *Request) error { return r.NoContent() }}
			if w, _ := call(t, route, deps, get("/-/x")); w.Code != c.status {
				t.Errorf("answered %d", w.Code)
			}
		})
	}
}
