package edge

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"troth/internal/fault"
	"troth/internal/text"
	"troth/internal/web"
)

// statuses are those of the front door's own faults for which the kind of the
// fault has another.
var statuses = map[string]int{
	errAmbiguous.Code:    http.StatusBadRequest,
	errHost.Code:         http.StatusMisdirectedRequest, // RFC 9110, 15.5.20
	errMethod.Code:       http.StatusMethodNotAllowed,
	errUpstream.Code:     http.StatusBadGateway,
	errUpstreamLate.Code: http.StatusGatewayTimeout,
	errBrokenBody.Code:   http.StatusBadRequest,
}

// refusal is what the refusing page needs to know; it travels in the context.
type refusal struct {
	err    error
	status int // 0: what package web makes of the fault
}

type refusalKey struct{}

// refusalRoute renders what the front door refuses, as a page of Troth's.
var refusalRoute = web.Route{
	Method: http.MethodGet, Path: "(refused)", Public: "whoever is refused is told why",
	Doc:    "Says why a request to the application was refused.",
	Redact: true, // the application's paths may hold secrets of its own
	Handle: func(r *web.Request) error {
		ref, ok := r.Context().Value(refusalKey{}).(refusal)
		if !ok {
			return errLost
		}
		f := fault.As(ref.err)
		if ref.status == 0 || f == nil {
			return ref.err
		}
		return r.PageStatus(ref.status, "web/error", text.New(http.StatusText(ref.status)), failure{
			Message: f.Message, Reference: string(r.ID), Status: ref.status, After: f.After})
	},
}

// failure is the data of the template web/error.
type failure struct {
	Message   text.Text
	Reference string
	Status    int
	SignedOut bool
	After     time.Duration
}

// fail answers with an error: a stranger who opened a page goes to the sign-in
// page, everybody else gets a page or a problem document, with the reference
// under which the reason is in the log.
func (v *visit) fail(r *http.Request, err error) {
	h := v.Header()
	if v.edge.hsts != "" {
		h.Set("Strict-Transport-Security", v.edge.hsts)
	}
	f, status := fault.As(err), 0
	if f != nil {
		status = statuses[f.Code]
		if f.Kind == fault.Unauthenticated {
			v.stranger(r, f)
			return
		}
	}
	if errors.Is(err, http.ErrAbortHandler) {
		panic(http.ErrAbortHandler)
	}
	if status == http.StatusMethodNotAllowed {
		h.Set("Allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")
	}
	if status != 0 {
		v.edge.o.Log.Warn("refused", "request", string(v.id), "status", status, "code", f.Code, "error", err.Error())
		if !web.WantsPage(r) {
			v.problem(f, status)
			return
		}
	}
	v.edge.oops.ServeHTTP(v, refused(withVisit(r, v), refusal{err, status}))
}

// problem writes a problem document whose status no kind of fault has.
func (v *visit) problem(f *fault.Error, status int) {
	b, err := json.Marshal(web.Problem{
		Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: f.Message.String(),
		Instance: "urn:troth:request:" + string(v.id), Code: f.Code, Reference: string(v.id),
	})
	if err != nil { // cannot happen: a struct of texts
		b = []byte("{}")
	}
	h := v.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Request-Id", string(v.id))
	v.WriteHeader(status)
	_, _ = v.Write(append(b, '\n')) // the client went away
}

// stranger sends whoever opened a page to the sign-in page and back; what is
// not a page, or would do something, is told to sign in (RFC 9110, 15.5.2).
func (v *visit) stranger(r *http.Request, f *fault.Error) {
	h := v.Header()
	h.Set("Cache-Control", "no-store")
	if (r.Method == http.MethodGet || r.Method == http.MethodHead) && web.WantsPage(r) {
		h.Set("Location", web.SignInPath(r.URL.RequestURI()))
		v.WriteHeader(http.StatusSeeOther)
		return
	}
	h.Set("WWW-Authenticate", `Cookie realm="/-/signin"`)
	v.problem(f, http.StatusUnauthorized)
}

// refused makes the request for the page that says so: it asks for nothing, so
// neither its method nor its query nor its body can be refused once more.
func refused(r *http.Request, ref refusal) *http.Request {
	r = r.WithContext(context.WithValue(r.Context(), refusalKey{}, ref))
	if r.Method != http.MethodHead {
		r.Method = http.MethodGet
	}
	u := *r.URL
	u.RawQuery = ""
	r.URL, r.Body = &u, http.NoBody
	return r
}
