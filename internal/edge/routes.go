package edge

import (
	"fmt"
	"slices"
	"strings"

	"troth/internal/access"
)

// The access of a route of the application that is not a permission.
const (
	Public   = "public"    // anybody; whoever is signed in is still named to the application
	SignedIn = "signed-in" // any signed-in person, in the tenant they work in; the default
)

// AppRoute is one [[route]] of the configuration: who may reach a part of the
// application.
//
// The path covers itself and everything below it, at the borders of segments:
// "/webhooks/" and "/webhooks" both cover /webhooks and /webhooks/x, and
// neither covers /webhooks.json. "/{$}" is the front page alone, as in
// net/http; so is any other path that ends in "/{$}". The longest path wins.
type AppRoute struct {
	Path   string
	Access string // "public", "signed-in", or the name of a permission
}

// rule is a compiled route. Two paths under the same rule may be confused with
// each other without harm.
type rule struct {
	path       string
	public     bool
	permission string // "" when any signed-in person may
}

// own is the rule of Troth's own pages: never upstream.
var own = &rule{path: ownPrefix}

// table finds the rule of a path.
type table struct {
	byPath  map[string]*rule // key without a trailing slash; "" is the root
	exact   map[string]*rule
	folded  map[string]*rule // the same in lower case
	foldedX map[string]*rule
	upper   bool // a route has upper-case letters
	rest    *rule
}

// CheckRoutes reports what is wrong with routes, as New would. known says which
// permissions exist.
func CheckRoutes(routes []AppRoute, known func(permission string) bool) error {
	_, err := newTable(routes, known)
	return err
}

// newTable compiles routes. known says which permissions exist.
func newTable(routes []AppRoute, known func(permission string) bool) (*table, error) {
	t := &table{byPath: map[string]*rule{}, exact: map[string]*rule{},
		folded: map[string]*rule{}, foldedX: map[string]*rule{}, rest: &rule{path: "/"}}
	for _, r := range routes {
		if err := t.add(r, known); err != nil {
			return nil, err
		}
	}
	if root := t.byPath[""]; root != nil {
		t.rest = root
	}
	return t, nil
}

func (t *table) add(r AppRoute, known func(string) bool) error {
	path, exact := strings.CutSuffix(r.Path, "/{$}")
	if exact {
		path += "/"
	}
	switch {
	case !strings.HasPrefix(path, "/"):
		return fmt.Errorf("the route %q must begin with a slash", r.Path)
	case !shapeOf(path).plain:
		return fmt.Errorf("the route %q must be a plain path: letters, digits and - . _ ~, without encodings, dot segments or doubled slashes", r.Path)
	case isOwn(path):
		return fmt.Errorf("the route %q lies under /-/, where Troth's own pages are; the application cannot have it", r.Path)
	}
	compiled := &rule{path: r.Path}
	switch r.Access {
	case Public:
		compiled.public = true
	case SignedIn, "":
	default:
		if known != nil && !known(r.Access) {
			return fmt.Errorf("the route %q needs %q, which is neither %q nor %q nor a permission that exists", r.Path, r.Access, Public, SignedIn)
		}
		compiled.permission = r.Access
	}
	plain, folded := t.byPath, t.folded
	if exact {
		plain, folded = t.exact, t.foldedX
	}
	key := strings.TrimSuffix(path, "/")
	if plain[key] != nil {
		return fmt.Errorf("the route %q is there twice", r.Path)
	}
	if other := folded[strings.ToLower(key)]; other != nil {
		return fmt.Errorf("the routes %q and %q differ only in case; some applications read them alike", other.path, r.Path)
	}
	t.upper = t.upper || shapeOf(key).upper
	plain[key] = compiled
	folded[strings.ToLower(key)] = compiled
	return nil
}

// reserve keeps an address outside of /-/ for a page of Troth's own, as
// /.well-known/change-password.
func (t *table) reserve(path string) error {
	if strings.ContainsAny(path, "{}") || !shapeOf(path).plain || path == "/" || !strings.HasPrefix(path, "/") {
		return fmt.Errorf("the page %q stands outside of /-/, so its path must be one plain address", path)
	}
	key := strings.TrimSuffix(path, "/")
	if r := t.exact[key]; r != nil && r != own {
		return fmt.Errorf("the route %q is the address of a page of Troth's own", r.path)
	}
	t.upper = t.upper || shapeOf(key).upper
	t.exact[key], t.foldedX[strings.ToLower(key)] = own, own
	return nil
}

// find returns the rule of one reading of a path.
func (t *table) find(path string) *rule { return t.in(path, t.byPath, t.exact) }

func (t *table) in(path string, byPath, exact map[string]*rule) *rule {
	if isOwn(path) {
		return own
	}
	key := strings.TrimSuffix(path, "/")
	if len(exact) > 0 {
		if r := exact[key]; r != nil {
			return r
		}
	}
	if len(byPath) == 0 {
		return t.rest
	}
	for key != "" {
		if r := byPath[key]; r != nil {
			return r
		}
		key = key[:max(0, strings.LastIndexByte(key, '/'))]
	}
	return t.rest
}

// rule returns the rule under which every reading of the path falls, or
// fault.Invalid when there is no such rule. A plain path costs no allocation.
func (t *table) rule(raw string) (*rule, error) {
	if raw == "" || raw[0] != '/' {
		return nil, ambiguity("it does not begin with a slash")
	}
	s := shapeOf(raw)
	found := t.find(raw)
	agrees := func(reading string) bool {
		if t.find(reading) != found {
			return false
		}
		return t.in(strings.ToLower(reading), t.folded, t.foldedX) == found
	}
	if s.plain {
		if (s.upper || t.upper) && len(t.folded)+len(t.foldedX) > 0 && !agrees(raw) {
			return nil, ambiguity("another rule applies to it without regard to case")
		}
		return found, nil
	}
	if err := readings(raw, agrees); err != nil {
		return nil, err
	}
	return found, nil
}

// Rules describes the routes for people, in the order of their paths.
func (t *table) rules() []AppRoute {
	out := []AppRoute{}
	for _, m := range []map[string]*rule{t.byPath, t.exact} {
		for _, r := range m {
			out = append(out, AppRoute{Path: r.path, Access: r.access()})
		}
	}
	slices.SortFunc(out, func(a, b AppRoute) int { return strings.Compare(a.Path, b.Path) })
	return out
}

// admits holds the rule: the error says what is missing.
func (r *rule) admits(s access.Subject) error {
	switch {
	case r.public:
		return nil
	case r.permission != "":
		return s.Require(access.Permission(r.permission))
	case s.Kind != access.KindPerson:
		return errStranger
	}
	return nil
}

func (r *rule) access() string {
	switch {
	case r.public:
		return Public
	case r.permission == "":
		return SignedIn
	}
	return r.permission
}
