package app

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"troth/internal/access"
	"troth/internal/edge"
)

// behind is the upstream: it remembers whoever reaches it.
type behind struct {
	*httptest.Server
	mu      sync.Mutex
	reached []*http.Request
}

func upstream(t testing.TB) *behind {
	a := &behind{}
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.reached = append(a.reached, r)
		fmt.Fprint(w, "the application")
	}))
	t.Cleanup(a.Close)
	return a
}

// take is what reached the application since the last time.
func (a *behind) take() []*http.Request {
	a.mu.Lock()
	defer a.mu.Unlock()
	defer func() { a.reached = nil }()
	return a.reached
}

// asserted are the claims of Troth-Assertion that the matrix is about; that the
// signature holds is package edge's own test.
type asserted struct {
	Subject     string   `json:"sub"`
	Tenant      string   `json:"tid"`
	Roles       []string `json:"roles"`
	Permissions []string `json:"permissions"`
}

func assertion(t testing.TB, r *http.Request) (a asserted) {
	t.Helper()
	part := strings.Split(r.Header.Get("Troth-Assertion"), ".")
	if len(part) != 3 {
		return a
	}
	b, err := base64.RawURLEncoding.DecodeString(part[1])
	if err == nil {
		err = json.Unmarshal(b, &a)
	}
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// TestEveryRouteOfTheApplicationForEverySubject: what is refused never reaches
// the application, and what is not names who it is.
func TestEveryRouteOfTheApplicationForEverySubject(t *testing.T) {
	t.Parallel()
	up := upstream(t)
	v := inhabit(t, func(s *Settings) {
		s.site.Upstream = up.URL
		s.permissions = []permission{
			{Name: "note.read", Roles: []string{"viewer"}}, {Name: "note.write", Roles: []string{"member"}},
			{Name: "note.purge", Roles: []string{"owner"}},
		}
		s.routes = []route{
			{Path: "/open/", Access: "public"}, {Path: "/hooks/{$}", Access: "public"}, {Path: "/inside/"},
			{Path: "/read/", Access: "note.read"}, {Path: "/write/", Access: "note.write"}, {Path: "/write/open/", Access: "public"},
			{Path: "/purge/", Access: "note.purge"}, {Path: "/people/", Access: "tenant.people"}, {Path: "/staff/", Access: "platform.tenants"},
		}
	})
	rules := v.in.edge.AppRoutes()
	rules = slices.DeleteFunc(rules, func(r edge.AppRoute) bool { return strings.HasPrefix(r.Path, "/-/") })
	if len(rules) != 9 {
		t.Fatalf("%d routes of the application: %v", len(rules), rules)
	}
	rules = append(rules, edge.AppRoute{Path: "/anything/else", Access: "signed-in"})
	for _, r := range rules {
		for _, s := range v.subjects {
			for _, path := range below(r.Path) {
				for _, method := range []string{http.MethodGet, http.MethodPost} {
					t.Run(method+" "+path+"/"+s.kind, func(t *testing.T) {
						v.t = t
						may := r.Access == "public" || r.Access == "signed-in" && s.signed || s.has(v.grants, access.Permission(r.Access))
						v.knock(t, up, s, method, path, may)
					})
				}
			}
		}
	}
	v.t = t
}

// below are paths that a route covers.
func below(path string) []string {
	if p, exact := strings.CutSuffix(path, "{$}"); exact {
		return []string{p}
	}
	return []string{path, strings.TrimSuffix(path, "/") + "/deep/er?query=1"}
}

func (v *town) knock(t *testing.T, up *behind, s *subject, method, path string, may bool) {
	up.take()
	req, err := http.NewRequestWithContext(t.Context(), method, v.in.edge.Origin()+path, strings.NewReader(""))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "text/html")
	req.Header.Set("Origin", v.in.edge.Origin())
	req.Header.Set("Troth-Assertion", "forged.by.client")
	p, err := s.who.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	reached := up.take()
	if s.gone && method == http.MethodPost { // what was sent for the lost organisation lands nowhere
		if p.Status != http.StatusConflict || len(reached) != 0 {
			t.Fatalf("a form for a lost organisation is answered %d; the application was reached %d times", p.Status, len(reached))
		}
		v.restore(s)
		return
	}
	switch {
	case may && (len(reached) != 1 || p.Status != http.StatusOK):
		t.Fatalf("may, and is answered %d; the application was reached %d times", p.Status, len(reached))
	case !may && len(reached) != 0:
		t.Fatalf("may not, and reached the application")
	case !may && p.Status != http.StatusForbidden && p.Status != http.StatusUnauthorized && !strings.HasPrefix(p.Header.Get("Location"), "/-/signin"):
		t.Fatalf("may not, and is answered %d", p.Status)
	}
	if !may {
		return
	}
	a := assertion(t, reached[0])
	tenant := v.org
	if !s.inside {
		tenant = s.who.home()
	}
	switch {
	case !s.signed:
		if a.Subject != "" || reached[0].Header.Get("Troth-Assertion") == "forged.by.client" {
			t.Errorf("the application was told that a stranger is %+v", a)
		}
		return
	case s.kind == "another organisation's owner" || s.kind == "staff":
		_, tenant = v.worksIn(s.who.account)
	}
	if a.Subject != string(s.who.account) || a.Tenant != string(tenant) || !slices.Equal(a.Roles, []string{string(s.role)}) {
		t.Errorf("the application was told %+v about %s", a, s.kind)
	}
	for name := range v.grants {
		if s.has(v.grants, name) != slices.Contains(a.Permissions, string(name)) {
			t.Errorf("%s: the assertion and the grants disagree about %s", s.kind, name)
		}
	}
	if cookie := reached[0].Header.Get("Cookie"); strings.Contains(cookie, "__Host-troth") {
		t.Errorf("the application was given the session cookie")
	}
}
