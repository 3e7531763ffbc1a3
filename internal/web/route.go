package web

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"regexp"
	"strings"

	"troth/internal/access"
)

// Route is one page, action or document of Troth. Exactly one of Needs and
// Public is set: forgetting both cannot pass for "everybody may".
type Route struct {
	Method  string               // "GET" (which answers HEAD too), "POST", "PUT", "PATCH" or "DELETE"
	Path    string               // a path pattern of net/http: "/-/org/people/{account}"
	Needs   access.Permission    // what the subject must be allowed to do
	Public  string               // why everybody may: "strangers read the claims before they sign up"
	Doc     string               // one sentence for the API description and the authorization matrix
	Cost    string               // the class of effort, for limits: "" or the name of a limit, as "password"
	Handle  func(*Request) error // answers, or returns the error that is rendered
	MaxBody int64                // the largest body in bytes; 0 is DefaultMaxBody

	JSON      bool              // a JSON body is taken too; otherwise forms only
	Many      []string          // the fields that may be sent more than once
	Redact    bool              // the path holds a token: logs show the pattern, and no Referer leaves the page
	Recent    bool              // asks again who it is when that was proven more than 15 minutes ago; not with Public
	Anonymous bool              // nobody is authenticated, as for health and assets; with Public only
	Example   map[string]string // example path values, by wildcard, for the authorization matrix

	unread bool // the body does not matter
}

// DefaultMaxBody is the largest body of a route that does not say otherwise:
// more than any form of Troth holds.
const DefaultMaxBody = 64 << 10

// Pattern is the route as net/http's ServeMux takes it.
func (r Route) Pattern() string { return r.Method + " " + r.Path }

// wildcard is one {name}, {name...} or {$} of a pattern.
var wildcard = regexp.MustCompile(`\{([A-Za-z_][A-Za-z0-9_]*)?(\.\.\.|\$)?\}`)

// Wildcards lists the names of the path values, in order.
func (r Route) Wildcards() []string {
	var names []string
	for _, m := range wildcard.FindAllStringSubmatch(r.Path, -1) {
		if m[1] != "" {
			names = append(names, m[1])
		}
	}
	return names
}

// URL is a path that the route answers, with the given path values; a value
// that is missing is taken from Example, and otherwise is "example". It is how
// the authorization matrix makes a request out of every route.
func (r Route) URL(values map[string]string) string {
	return wildcard.ReplaceAllStringFunc(r.Path, func(m string) string {
		name := strings.TrimSuffix(strings.Trim(m, "{}"), "...")
		if v, ok := values[name]; ok {
			return v
		}
		if v, ok := r.Example[name]; ok {
			return v
		}
		if name == "$" {
			return ""
		}
		return "example"
	})
}

// safe reports whether a method changes nothing (RFC 9110, 9.2.1).
func safe(method string) bool {
	return method == http.MethodGet || method == http.MethodHead || method == http.MethodOptions
}

// Check reports everything that is wrong with a set of routes, in sentences:
// neither or both of Needs and Public, no handler, a method or path that
// cannot be served, and two routes that answer the same.
func Check(routes []Route) error {
	var wrong []error
	seen := map[string]bool{}
	for _, r := range routes {
		bad := func(format string, args ...any) {
			wrong = append(wrong, fmt.Errorf("the route %q %s", r.Pattern(), fmt.Sprintf(format, args...)))
		}
		switch {
		case r.Needs == "" && r.Public == "":
			bad("names neither the permission that it needs nor the reason why it is public")
		case r.Needs != "" && r.Public != "":
			bad("both needs %q and is public", r.Needs)
		}
		if r.Anonymous && r.Public == "" {
			bad("authenticates nobody and yet is not public")
		}
		if r.Recent && r.Public != "" {
			bad("is public and yet asks who it is")
		}
		if r.Handle == nil {
			bad("has no handler")
		}
		switch r.Method {
		case http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete:
		default:
			bad("has a method that is not served here")
		}
		if !strings.HasPrefix(r.Path, "/") {
			bad("has a path that does not begin with a slash")
		}
		if r.MaxBody < 0 {
			bad("has a negative limit for the body")
		}
		shape := r.Method + " " + wildcard.ReplaceAllString(r.Path, "{}")
		if seen[shape] {
			bad("is registered twice")
		}
		seen[shape] = true
	}
	return errors.Join(wrong...)
}

// Authenticator finds out who sends a request: by a session cookie, a token, a
// client certificate.
type Authenticator interface {
	// Authenticate returns the subject, or the zero Subject if the request
	// carries nothing that this authenticator reads. An error refuses the
	// request: a fault as it is, anything else as unavailable (503), because
	// then nobody can tell who it is.
	Authenticate(r *http.Request) (access.Subject, error)
}

// Locating is an [Authenticator] that notes from where a session is used.
type Locating interface {
	// AuthenticateFrom is Authenticate, with the address of the client as the
	// front door knows it.
	AuthenticateFrom(r *http.Request, from netip.Addr) (access.Subject, error)
}

// Looker is an [Authenticator] that can also be asked about a request that goes
// on: one that came long ago and has not been answered to its end.
type Looker interface {
	// Look returns what Authenticate would, but is no use of the session, and
	// changes nothing.
	Look(r *http.Request) (access.Subject, error)
}
