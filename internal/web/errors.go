package web

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"troth/internal/fault"
	"troth/internal/text"
)

// Problem is an error as a document (RFC 9457, 3).
type Problem struct {
	Type      string `json:"type"`            // always "about:blank": the code says which
	Title     string `json:"title"`           // the phrase of the status
	Status    int    `json:"status"`          //
	Detail    string `json:"detail"`          // a sentence that says what to do
	Instance  string `json:"instance"`        // urn:troth:request:REFERENCE
	Code      string `json:"code"`            // stable: "account.wrong_password"
	Field     string `json:"field,omitempty"` // the field at fault
	Reference string `json:"reference"`       // what to name to the operator; it is in the log
}

var errInternal = fault.New(fault.Internal, "web.internal",
	"Something went wrong here, not with you. If it stays so, name the reference below to whoever runs this service.")

// shown is what may be said about an error: the fault in it, or that it is
// internal, and the status.
func shown(err error) (*fault.Error, int) {
	f := fault.As(err)
	if f == nil || f.Kind == fault.Internal {
		f = errInternal
	}
	if r, ok := errors.AsType[refusal](err); ok {
		return f, r.status
	}
	return f, f.Kind.Status()
}

// fail is the one place that renders errors.
func (r *Request) fail(err error) {
	f, status := shown(err)
	if f.Kind == fault.Denied {
		if hook := r.deps.Refused; hook != nil {
			if herr := hook(r, f); herr != nil {
				err = fault.Wrap(fmt.Errorf("recording a refusal: %w", herr), fault.Unavailable, errUnavailable.Code, errUnavailable.Message.Format)
				f, status = shown(err)
			}
		}
	}
	r.logError(err, f, status)
	rec, ok := r.W.(*recorder)
	if ok && rec.status != 0 {
		panic(http.ErrAbortHandler) // half an answer is out: break off, so that it is not taken for a whole one
	}
	r.answer(f, status)
}

func (r *Request) logError(err error, f *fault.Error, status int) {
	r.deps.Log.LogAttrs(r.Context(), levelOf(status), "refused", slog.String("request", string(r.ID)), slog.String("path", r.logPath()),
		slog.Int("status", status), slog.String("code", f.Code), slog.String("error", err.Error()))
}

// answer writes a fault: a stranger who opened a page goes to the sign-in page
// and comes back; others get a page or a problem document, as they asked.
func (r *Request) answer(f *fault.Error, status int) {
	h := r.W.Header()
	h.Set("Cache-Control", "no-store")
	for _, name := range []string{"Content-Length", "Content-Encoding", "Etag", "Last-Modified", "Content-Disposition"} {
		h.Del(name)
	}
	page := WantsPage(r.Request)
	if status == http.StatusUnauthorized {
		if page && safe(r.Method) {
			_ = r.See(SignInPath(r.URL.RequestURI())) // See never fails
			return
		}
		h.Set("WWW-Authenticate", `Cookie realm="/-/signin"`) // RFC 9110, 15.5.2 wants a challenge
	}
	retryAfter(h, f.After)
	if page {
		err := r.PageStatus(status, "web/error", title(status), errorPage{Message: f.Message, Reference: string(r.ID), Status: status, SignedOut: status == http.StatusUnauthorized, After: f.After})
		if err == nil {
			return
		}
		r.deps.Log.Error("rendering an error page", "request", string(r.ID), "error", err)
	}
	r.problem(f, status)
}

// errorPage is the data of the template web/error.
type errorPage struct {
	Message   text.Text
	Reference string
	Status    int
	SignedOut bool
	After     time.Duration
}

func (r *Request) problem(f *fault.Error, status int) {
	b, err := json.Marshal(Problem{
		Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: r.Text.Say(f.Message),
		Instance: "urn:troth:request:" + string(r.ID), Code: f.Code, Field: f.Field, Reference: string(r.ID),
	})
	if err != nil { // cannot happen: a struct of texts
		b = []byte("{}")
	}
	r.W.Header().Set("Content-Type", "application/problem+json")
	r.W.Header().Set("Content-Language", r.Text.Language())
	r.W.WriteHeader(status)
	_, _ = r.W.Write(append(b, '\n')) // the client went away
}

// retryAfter sets Retry-After (RFC 9110, 10.2.3), rounded up to seconds.
func retryAfter(h http.Header, after time.Duration) {
	if after > 0 {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(after.Seconds()))))
	}
}

// title is the heading of an error page.
func title(status int) text.Text {
	switch status {
	case http.StatusUnauthorized:
		return text.New("Sign in to continue")
	case http.StatusForbidden:
		return text.New("You may not do this")
	case http.StatusNotFound:
		return text.New("There is nothing here")
	case http.StatusMethodNotAllowed:
		return text.New("This page does not take that")
	case http.StatusConflict:
		return text.New("Something changed meanwhile")
	case http.StatusGone:
		return text.New("This is used up")
	case http.StatusRequestEntityTooLarge:
		return text.New("Too large")
	case http.StatusTooManyRequests:
		return text.New("Too many attempts")
	case http.StatusServiceUnavailable:
		return text.New("Not available right now")
	}
	if status >= 500 {
		return text.New("Something went wrong")
	}
	return text.New("The request cannot be used")
}

// WantsPage reports whether a client asked for a page: it navigates
// (Sec-Fetch-Mode) or its Accept header names text/html and does not prefer
// JSON. A client that names neither gets documents for machines.
func WantsPage(r *http.Request) bool {
	if mode := r.Header.Get("Sec-Fetch-Mode"); mode == "navigate" {
		return true
	}
	html, json := 0.0, 0.0
	for _, part := range strings.Split(r.Header.Get("Accept"), ",") {
		kind, params, err := mime.ParseMediaType(part)
		if err != nil {
			continue
		}
		q := 1.0
		if s, ok := params["q"]; ok {
			if q, err = strconv.ParseFloat(s, 64); err != nil {
				continue
			}
		}
		switch kind {
		case "text/html", "application/xhtml+xml":
			html = max(html, q)
		case "application/json", "application/problem+json":
			json = max(json, q)
		}
	}
	return html > 0 && html >= json
}
