package web

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"troth/internal/fault"
)

// Mux serves a set of routes after checking them. What stands under /-/ and
// matches none of them is answered with 404, or 405 if another method would
// have matched.
func Mux(routes []Route, deps Deps) (*http.ServeMux, error) {
	if err := Check(routes); err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	for _, r := range routes {
		if err := register(mux, r, deps); err != nil {
			return nil, err
		}
	}
	mux.Handle("/-/", missing(mux, deps))
	return mux, nil
}

// register turns the panic of ServeMux about two patterns that neither is more
// special than the other into an error.
func register(mux *http.ServeMux, r Route, deps Deps) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the route %q cannot be served: %v", r.Pattern(), p)
		}
	}()
	mux.Handle(r.Pattern(), Handler(r, deps))
	return nil
}

var errNothing = fault.New(fault.NotFound, "web.nothing", "There is nothing at this address. Check it, or start from the first page.")

// missing answers what no route answers.
func missing(mux *http.ServeMux, deps Deps) http.Handler {
	return Handler(Route{
		Method: "*", Path: "/-/", Public: "whether a page exists is no secret", unread: true,
		Redact: true, // the link of a mail, with a slash too many, still holds its secret
		Handle: func(r *Request) error {
			if allow := allowed(mux, r.Request); len(allow) > 0 {
				r.W.Header().Set("Allow", strings.Join(allow, ", ")) // RFC 9110, 15.5.6
				return refusal{http.StatusMethodNotAllowed, fault.New(fault.Invalid, "web.method",
					"The address exists, but takes only %s.", strings.Join(allow, ", "))}
			}
			return errNothing
		},
	}, deps)
}

// allowed lists the methods that the address takes.
func allowed(mux *http.ServeMux, r *http.Request) []string {
	var list []string
	for _, m := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
		probe := &http.Request{Method: m, URL: r.URL, Host: r.Host}
		if _, pattern := mux.Handler(probe); pattern != "/-/" && strings.Contains(pattern, " ") && !slices.Contains(list, m) {
			list = append(list, m)
		}
	}
	return list
}
