package edge

import (
	"errors"
	"net/http"

	"troth/internal/access"
	"troth/internal/fault"
	"troth/internal/web"
)

// statuses are those of the front door's own faults for which the kind of the
// fault has another.
var statuses = map[string]int{
	errAmbiguous.Code:    http.StatusBadRequest,
	errHost.Code:         http.StatusMisdirectedRequest, // RFC 9110, 15.5.20
	errHostForm.Code:     http.StatusBadRequest,         // RFC 9112, 3.2
	errConnection.Code:   http.StatusBadRequest,
	errMethod.Code:       http.StatusMethodNotAllowed,
	errUpstream.Code:     http.StatusBadGateway,
	errUpstreamLate.Code: http.StatusGatewayTimeout,
	errBrokenBody.Code:   http.StatusBadRequest,
}

// fail answers with an error, as package web renders it: a stranger who opened
// a page goes to the sign-in page, everybody else gets a page or a problem
// document, with the reference under which the reason is in the log.
func (v *visit) fail(r *http.Request, err error) {
	if errors.Is(err, http.ErrAbortHandler) {
		panic(http.ErrAbortHandler)
	}
	h := v.Header()
	if v.edge.hsts != "" {
		h.Set("Strict-Transport-Security", v.edge.hsts)
	}
	if f := fault.As(err); f != nil {
		if status := statuses[f.Code]; status != 0 {
			err = web.WithStatus(status, f)
		}
		if f.Code == errMethod.Code {
			h.Set("Allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS") // RFC 9110, 15.5.6
		}
	}
	web.Refuse(v, withVisit(r, v), v.edge.deps, err)
}

// deny answers a signed-in person who lacks the permission of a route of the
// application. It goes the way of Troth's own pages, so that the refusal is
// recorded as theirs are; the path may hold secrets of the application.
func (v *visit) deny(r *http.Request, rule *rule) {
	route := web.Route{Method: r.Method, Path: rule.path, Needs: access.Permission(rule.permission), Redact: true,
		Handle: func(*web.Request) error { return errUnknown }} // never reached: the permission is missing
	web.Handler(route, v.edge.deps).ServeHTTP(v, withVisit(r, v))
}
