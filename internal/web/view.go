package web

import (
	"errors"
	"net/http"
	"net/url"

	"troth/internal/access"
	"troth/internal/fault"
	"troth/internal/text"
)

// View is the dot of every page's template, and $ inside of range and with.
type View struct {
	Title text.Text // the heading
	Data  any       // what the handler gave
	Flash string    // what the request before has to say, once

	name    string
	request *Request
	faults  []*fault.Error
	menu    *Menu
}

// Lang is the language of the page, for the lang attribute.
func (v *View) Lang() string { return v.request.Text.Language() }

// Service is the name of the service.
func (v *View) Service() string {
	if s := v.request.deps.Renderer.Service; s != "" {
		return s
	}
	return "Troth"
}

// Subject is who reads the page.
func (v *View) Subject() access.Subject { return v.request.Subject }

// SignedIn reports whether somebody is signed in.
func (v *View) SignedIn() bool { return v.request.Subject.Kind != access.KindNobody }

// May reports whether the reader has a permission: a page offers only what it
// would also do.
func (v *View) May(p string) bool { return v.request.Subject.May(access.Permission(p)) }

// Path is the path of the page.
func (v *View) Path() string { return v.request.URL.Path }

// Query is a parameter of the page's address.
func (v *View) Query(name string) string { return v.request.URL.Query().Get(name) }

// With is the page's own address with one parameter of the query set, or
// removed if the value is "": the URL holds the state of filters.
func (v *View) With(name, value string) string {
	q := v.request.URL.Query()
	q.Set(name, value)
	if value == "" {
		q.Del(name)
	}
	if len(q) == 0 {
		return v.request.URL.EscapedPath()
	}
	return v.request.URL.EscapedPath() + "?" + q.Encode()
}

// SigningIn reports whether the page is one of those on which people sign in.
func (v *View) SigningIn() bool { return under(v.request.URL.Path, "/-/signin") }

// SignInPath leads to the sign-in page and back here.
func (v *View) SignInPath() string {
	if v.SigningIn() || !safe(v.request.Method) {
		return "/-/signin"
	}
	return SignInPath(v.request.URL.RequestURI())
}

// Nav is the navigation as the reader may see it.
func (v *View) Nav() []section {
	if !v.SignedIn() {
		return nil
	}
	return navigation(v.request.deps.Renderer.Nav, v.request.Subject, v.Tenant().Personal, v.request.URL.Path)
}

// Menu is the reader's name and tenants.
func (v *View) Menu() Menu {
	if v.menu != nil {
		return *v.menu
	}
	v.menu = &Menu{}
	menus := v.request.deps.Renderer.Menus
	if menus == nil || !v.SignedIn() {
		return *v.menu
	}
	m, err := menus.Menu(v.request.Context(), v.request.Subject)
	if err != nil { // the page is worth more than its header
		v.request.deps.Log.Warn("reading the menu of a page", "request", string(v.request.ID), "path", v.request.logPath(), "error", err)
		return *v.menu
	}
	v.menu = &m
	return m
}

// Tenant is the current one of the reader's tenants.
func (v *View) Tenant() Choice {
	for _, c := range v.Menu().Tenants {
		if c.ID == v.request.Subject.Tenant {
			return c
		}
	}
	return Choice{}
}

// Faults are what is wrong with the form that was sent.
func (v *View) Faults() []*fault.Error { return v.faults }

// FormPage answers a form that was refused with the same page again: the fault
// stands at its field and in a summary, what was typed is kept, passwords and
// codes never. Several faults may be joined (errors.Join). An error that is no
// matter of the form (internal, denied, not found) comes back as it is, and so
// does every error when the client wants no page. With a nil error it is Page.
func (r *Request) FormPage(name string, title text.Text, data any, err error) error {
	if err == nil {
		return r.Page(name, title, data)
	}
	faults := formFaults(err)
	if len(faults) == 0 || !WantsPage(r.Request) {
		return err
	}
	status := faults[0].Kind.Status()
	r.logError(err, faults[0], status)
	retryAfter(r.W.Header(), faults[0].After)
	return r.page(status, &View{Title: title, Data: data, name: name, faults: faults})
}

// formFaults lists the faults in an error if a form can show all of them.
func formFaults(err error) []*fault.Error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var all []*fault.Error
		for _, e := range joined.Unwrap() {
			f := formFaults(e)
			if f == nil {
				return nil
			}
			all = append(all, f...)
		}
		return all
	}
	f := fault.As(err)
	if f == nil {
		return nil
	}
	if _, odd := errors.AsType[refusal](err); odd {
		return nil
	}
	switch f.Kind {
	case fault.Invalid, fault.Conflict, fault.Unauthenticated, fault.TooMany, fault.TooLarge:
		return []*fault.Error{f}
	case fault.Gone:
		if f.Field != "" {
			return []*fault.Error{f}
		}
	}
	return nil
}

// values is what the form held that was sent, or the query of a page.
func (v *View) values() url.Values {
	if v.request.Method == http.MethodGet || v.request.Method == http.MethodHead || len(v.faults) > 0 {
		return v.request.Form
	}
	return nil
}
