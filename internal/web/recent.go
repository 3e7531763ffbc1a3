package web

import (
	"net/url"
	"time"

	"troth/internal/access"
	"troth/internal/fault"
)

// RecentFor is how long a proof of who somebody is lasts for what is sensitive
// (Route.Recent). A stolen session is worth less than its holder (OWASP ASVS
// 5.0, 7.5.1; SP 800-63B-4, 5.2).
const RecentFor = 15 * time.Minute

// The page that asks again, and the one to go on from where nothing else is
// known; package account has both.
const (
	pathAgain   = "/-/again"
	pathAccount = "/-/account/"
)

// errRecent is the answer to whoever wants no page.
var errRecent = fault.New(fault.Unauthenticated, "web.recent",
	"This asks for a proof of who you are that is not older than 15 minutes, so nothing was done. Give it at /-/again and send the request again.")

// stale reports whether the route wants a newer proof than the subject's. A
// browser that stood in for a second factor is none: whoever holds it and the
// password would change the factor itself (OWASP ASVS 5.0, 7.5.1). A subject
// that is no person proved nothing that grows old; a proof of the future was
// given while the clock was wrong, and would never grow old.
func (r *Request) stale() bool {
	by := r.Subject
	return r.route.Recent && by.Kind == access.KindPerson && (r.Now.Sub(by.AuthAt).Abs() > RecentFor || by.Browser && !by.Factor)
}

// askAgain leads to the page that asks who it is, and back: to the page itself,
// or to the one with the form that was sent, which then was not obeyed.
func (r *Request) askAgain() error {
	if !WantsPage(r.Request) {
		return errRecent
	}
	if safe(r.Method) {
		return r.See(AgainPath(r.URL.RequestURI(), false))
	}
	return r.See(AgainPath(r.formPage(), true))
}

// formPage is the page with the form that was sent. Only a page of this site
// can have sent it ([sameSite]), and it says so in the Referer.
func (r *Request) formPage() string {
	from, err := url.Parse(r.Referer())
	if err != nil || from.Host != r.Host {
		return pathAccount
	}
	return ReturnTo(from.RequestURI(), pathAccount)
}

// AgainPath is the page that asks again who somebody is, and leads back to a
// path of this site. Undone says that a form was not obeyed.
func AgainPath(returnTo string, undone bool) string {
	q := url.Values{"return_to": {ReturnTo(returnTo, pathAccount)}}
	if undone {
		q.Set("undone", "1")
	}
	return pathAgain + "?" + q.Encode()
}
