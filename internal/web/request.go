package web

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"time"

	"troth/internal/access"
	"troth/internal/id"
	"troth/internal/text"
)

// Request is what a handler gets: the HTTP request with its body already
// bounded, read and checked, who sends it, and the ways to answer. A handler
// answers exactly once, by returning what one of the methods returns.
type Request struct {
	*http.Request
	W       http.ResponseWriter
	Subject access.Subject // the zero Subject for a stranger
	Text    *text.Printer  // the language of the answer
	ID      id.Request     // the reference that an error page shows and the log holds
	IP      netip.Addr     // the client's address
	Now     time.Time      // when the request came in

	route   Route
	deps    Deps
	flashed bool // there was a flash cookie
}

// Needs is the permission of the route, or "" if it is public.
func (r *Request) Needs() access.Permission { return r.route.Needs }

// Page answers 200 with a page: the layout around the template of that name
// ("account/sessions" is the file account/sessions.html of a part's Pages).
// In the template the data is .Data; see the package documentation.
func (r *Request) Page(name string, title text.Text, data any) error {
	return r.PageStatus(http.StatusOK, name, title, data)
}

// PageStatus is Page with another status.
func (r *Request) PageStatus(status int, name string, title text.Text, data any) error {
	return r.page(status, &View{Title: title, Data: data, name: name})
}

// page renders first and answers afterwards: a template that breaks off leaves
// no half page behind.
func (r *Request) page(status int, v *View) error {
	v.request = r
	v.Flash = r.takeFlash()
	var b bytes.Buffer
	if err := r.deps.Renderer.render(&b, v); err != nil {
		return fmt.Errorf("rendering the page %s: %w", v.name, err)
	}
	r.dropFlash()
	h := r.W.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Language", r.Text.Language())
	r.W.WriteHeader(status)
	_, _ = r.W.Write(b.Bytes()) // the client went away: there is nobody left to tell
	return nil
}

// See answers 303: the browser gets the path next. It is the answer to every
// form that succeeded, so that reloading the next page repeats nothing
// (RFC 9110, 15.4.4). The path is one of our own; [ReturnTo] makes one out of
// what came from outside.
func (r *Request) See(path string) error {
	r.W.Header().Set("Location", path)
	r.W.WriteHeader(http.StatusSeeOther)
	return nil
}

// JSON answers 200 with a JSON document.
func (r *Request) JSON(v any) error { return r.JSONStatus(http.StatusOK, v) }

// JSONStatus is JSON with another status.
func (r *Request) JSONStatus(status int, v any) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(true)
	if err := e.Encode(v); err != nil {
		return fmt.Errorf("writing JSON: %w", err)
	}
	r.W.Header().Set("Content-Type", "application/json")
	r.W.WriteHeader(status)
	_, _ = r.W.Write(b.Bytes()) // the client went away
	return nil
}

// NoContent answers 204.
func (r *Request) NoContent() error {
	r.W.WriteHeader(http.StatusNoContent)
	return nil
}

// WantsJSON reports whether the client asked for JSON and not for a page.
func (r *Request) WantsJSON() bool { return !WantsPage(r.Request) }

// Value is the form field of an unsafe request, or the query parameter of a
// safe one, or "". A query parameter never passes for a form field.
func (r *Request) Value(name string) string { return r.Form.Get(name) }

// Values are all values of a field named in Route.Many.
func (r *Request) Values(name string) []string { return r.Form[name] }

// ReturnTo is where a person wanted to go: the form field or query parameter
// return_to, canonicalised, or otherwise the path given.
func (r *Request) ReturnTo(otherwise string) string {
	to := r.Form.Get("return_to")
	if to == "" {
		to = r.URL.Query().Get("return_to")
	}
	return ReturnTo(to, otherwise)
}
