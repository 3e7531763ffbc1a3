package edge

import (
	"net/url"
	"path"
	"strings"
	"testing"
)

func testTable(t testing.TB) *table {
	tab, err := newTable([]AppRoute{
		{"/webhooks/", Public}, {"/webhooks/admin", "app.admin"}, {"/{$}", Public}, {"/Docs", Public}, {"/api/v1/", SignedIn},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return tab
}

func TestTheLongestPathWinsAtTheBordersOfSegments(t *testing.T) {
	tab := testTable(t)
	for path, want := range map[string]string{
		"/":                     "/{$}",
		"/x":                    "/",
		"/webhooks":             "/webhooks/",
		"/webhooks/":            "/webhooks/",
		"/webhooks/stripe":      "/webhooks/",
		"/webhooks.json":        "/",
		"/webhooksy":            "/",
		"/webhooks/admin":       "/webhooks/admin",
		"/webhooks/admin/":      "/webhooks/admin",
		"/webhooks/admin/x":     "/webhooks/admin",
		"/webhooks/administers": "/webhooks/",
		"/Docs/x":               "/Docs",
		"/-/":                   ownPrefix,
		"/-":                    ownPrefix,
		"/-/account/sessions":   ownPrefix,
		"/-x":                   "/",
		"/x/-/y":                "/",
		"/.well-known/x":        "/",
		"/...":                  "/",
		"/..x":                  "/",
		"/a/.git":               "/",
		"/a/b;v=1":              "/", // parameters that change nothing
		"/api/v1/group%2Fname":  "/api/v1/",
		"/api/v1//x":            "/api/v1/",
		"/caf%C3%A9":            "/",
		"/100%25":               "/",
		"/x%20y":                "/",
	} {
		r, err := tab.rule(path)
		if err != nil {
			t.Errorf("%s: %v", path, err)
		} else if r.path != want {
			t.Errorf("%s falls under %s, not %s", path, r.path, want)
		}
	}
}

// ambiguous are paths that some server reads as another path with another rule.
var ambiguous = []string{
	"", "*", "x", "http://x/", "//", "//evil.example", "//webhooks", "/\\evil.example", "/webhooks\\admin",
	"/.", "/..", "/./", "/../", "/webhooks/.", "/webhooks/..", "/webhooks/./admin", "/webhooks/../x", "/x/../webhooks/y",
	"/webhooks//admin", "/webhooks///admin/x", "/webhooks/%2fadmin", "/webhooks%2fadmin", "/webhooks%2Fadmin", "/%77ebhooks", "/webhooks/%61dmin",
	"/webhooks/%2561dmin", "/webhooks/%252561dmin", "/webhooks/%25252561dmin", "/%2e%2e/webhooks", "/webhooks/%2e%2e/x", "/webhooks/.%2e/x", "/webhooks/%2e/admin",
	"/x/%2e%2e%2fwebhooks", "/x/..%2fwebhooks", "/x/..%5cwebhooks", "/x/%252e%252e/y", "/x%5c..%5cy", "/webhooks%5cadmin", "/webhooks/x%5c..%5cadmin",
	"/webhooks;x/admin", "/webhooks/;x/admin", "/webhooks/admin;x", "/webhooks/admin;x/y", "/webhooks/..;/x", "/webhooks/..;x=1/admin", "/.;/webhooks", "/%2e%2e;/x",
	"/webhooks%3bx/admin", "/webhooks/admin%3bx", "/;/-/account", "/-;x/account",
	"/%2d/account", "/%2D/", "/-%2faccount", "/%2f-/x", "//-/", "/%252d/account", "/\\-\\account", "/%5c-%5caccount", "/x/..%2f-/account", "/./-/account", "/.//-/",
	"/-/%2e%2e/x", "/-/../x", "/-/..%2fx", "/-%00/", "/-/x%00", "/webhooks/x%00.png", "/x%0a", "/x%0d%0aSet-Cookie:x", "/x\x00", "/x\x7f", "/x%7f", "/x%09",
	"/webhooks?x", "/x#y", "/webhooks%3fx", "/webhooks%2523/admin", "/%", "/%2", "/%zz", "/x%u002e", "/webhooks/%c0%af", "/%c0%ae%c0%ae/x", "/%e0%80%af", "/%ff",
	"/WEBHOOKS/x", "/Webhooks", "/webhooks/ADMIN", "/webhooks/Admin/x", "/docs", "/DOCS/x", "/wEbHoOkS%2fx",
}

func TestAmbiguousPathsAreRefused(t *testing.T) {
	tab := testTable(t)
	for _, p := range ambiguous {
		if r, err := tab.rule(p); err == nil {
			t.Errorf("%q falls under %s; it should be refused", p, r.path)
		}
	}
}

func TestPlainPathsCostNothing(t *testing.T) {
	tab := testTable(t)
	if n := testing.AllocsPerRun(100, func() {
		if _, err := tab.rule("/webhooks/stripe/events"); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestRoutesThatCannotBeMeantAreRefused(t *testing.T) {
	known := func(p string) bool { return p == "app.admin" }
	for _, c := range []struct {
		routes []AppRoute
		want   string
	}{
		{[]AppRoute{{"webhooks", Public}}, "begin with a slash"},
		{[]AppRoute{{"/a/../b", Public}}, "plain path"},
		{[]AppRoute{{"/a//b", Public}}, "plain path"},
		{[]AppRoute{{"/a%20b", Public}}, "plain path"},
		{[]AppRoute{{"/{x}", Public}}, "plain path"},
		{[]AppRoute{{"/-/trust", Public}}, "Troth's own pages"},
		{[]AppRoute{{"/-", Public}}, "Troth's own pages"},
		{[]AppRoute{{"/a", "app.reader"}}, "nor a permission that exists"},
		{[]AppRoute{{"/a", Public}, {"/a/", SignedIn}}, "twice"},
		{[]AppRoute{{"/a", Public}, {"/A", SignedIn}}, "differ only in case"},
	} {
		if _, err := newTable(c.routes, known); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: %v, want %q", c.routes, err, c.want)
		}
	}
	tab, err := newTable([]AppRoute{{"/", Public}, {"/b", "app.admin"}, {"/a", ""}}, known)
	if err != nil {
		t.Fatal(err)
	}
	if got := tab.rules(); len(got) != 3 || got[0] != (AppRoute{"/", Public}) || got[1] != (AppRoute{"/a", SignedIn}) || got[2] != (AppRoute{"/b", "app.admin"}) {
		t.Errorf("the rules are %v", got)
	}
	if r, err := tab.rule("/anything"); err != nil || !r.public {
		t.Errorf("a public root does not cover the rest: %v, %v", r, err)
	}
}

func TestPagesOutsideOfTheirPrefixAreReserved(t *testing.T) {
	tab := testTable(t)
	if err := tab.reserve("/.well-known/change-password"); err != nil {
		t.Fatal(err)
	}
	if r, err := tab.rule("/.well-known/change-password"); err != nil || r != own {
		t.Errorf("%v, %v", r, err)
	}
	if r, err := tab.rule("/.well-known/other"); err != nil || r == own {
		t.Errorf("%v, %v", r, err)
	}
	for _, p := range []string{"/.well-known/%63hange-password", "/.well-known//change-password", "/.WELL-KNOWN/change-password"} {
		if _, err := tab.rule(p); err == nil {
			t.Errorf("%s is not refused", p)
		}
	}
	for _, p := range []string{"/", "/x/{id}", "/x/%20", "x"} {
		if err := tab.reserve(p); err == nil {
			t.Errorf("%q was reserved", p)
		}
	}
}

// FuzzPath holds the promise against readers of other kinds: whatever passes is
// read alike by them all, as far as the rule is concerned.
func FuzzPath(f *testing.F) {
	for _, p := range ambiguous {
		f.Add(p)
	}
	for _, p := range []string{"/", "/webhooks/x", "/api/v1/group%2Fname", "/a/b;v=1", "/100%25"} {
		f.Add(p)
	}
	tab := testTable(f)
	readers := map[string]func(string) string{
		"Go": func(p string) string {
			u, err := url.ParseRequestURI(p)
			if err != nil {
				return p
			}
			return path.Clean(u.Path)
		},
		"twice decoded": func(p string) string {
			for range 2 {
				if q, err := url.PathUnescape(p); err == nil {
					p = q
				}
			}
			return path.Clean(p)
		},
		"Windows": func(p string) string {
			if q, err := url.PathUnescape(p); err == nil {
				p = q
			}
			return path.Clean(strings.ToLower(strings.ReplaceAll(p, `\`, "/")))
		},
		"servlets": func(p string) string {
			var segs []string
			for seg := range strings.SplitSeq(p, "/") {
				seg, _, _ = strings.Cut(seg, ";")
				segs = append(segs, seg)
			}
			p = strings.Join(segs, "/")
			if q, err := url.PathUnescape(p); err == nil {
				p = q
			}
			return path.Clean(p)
		},
	}
	f.Fuzz(func(t *testing.T, p string) {
		found, err := tab.rule(p)
		if err != nil {
			return
		}
		for name, read := range readers {
			as := read(p)
			again := tab.find(as)
			if name == "Windows" {
				again = tab.in(as, tab.folded, tab.foldedX)
			}
			if again != found {
				t.Errorf("%q falls under %s, but %s reads %q, which falls under %s", p, found.path, name, as, again.path)
			}
		}
	})
}
