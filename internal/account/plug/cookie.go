package plug

import (
	"net/http"
	"net/netip"
	"strings"
	"time"

	"troth/internal/access"
	"troth/internal/account"
	"troth/internal/secret"
	"troth/internal/web"
)

// The cookies. The prefix makes browsers refuse them from any other host and
// without TLS (RFC 6265bis, 4.1.3.2).
const (
	sessionCookie   = "__Host-troth"
	admissionCookie = "__Host-troth-admission"
	signUpCookie    = "__Host-troth-signup" // binds an application to the browser in which it was entered
	pendingCookie   = "__Host-troth-signin" // binds a sign-in that goes on to the browser in which it began
	deviceCookie    = "__Host-troth-device" // tells a browser in which somebody signed in before
)

// pendingLife is how long a sign-in waits for its next step; what counts is kept
// with the sign-in.
const pendingLife = 10 * time.Minute

// admissionLife bounds how long the form of an admission may be open.
const admissionLife = time.Hour

// cookies authenticates by the session cookie.
type cookies struct{ accounts *account.Accounts }

var (
	_ web.Locating = cookies{}
	_ web.Looker   = cookies{}
)

// Authenticate returns who holds the session of the request's cookie, or the
// zero Subject. It allocates nothing for a session that was seen before.
func (c cookies) Authenticate(r *http.Request) (access.Subject, error) {
	return c.AuthenticateFrom(r, netip.Addr{})
}

// AuthenticateFrom is Authenticate with the address of the client (web.Locating).
func (c cookies) AuthenticateFrom(r *http.Request, from netip.Addr) (access.Subject, error) {
	token := cookieValue(r.Header["Cookie"], sessionCookie)
	if token == "" {
		return access.Subject{}, nil
	}
	return c.accounts.AuthenticateFrom(r.Context(), token, from, !changesNothing(r))
}

// Look returns who holds the session of a request that goes on (web.Looker).
func (c cookies) Look(r *http.Request) (access.Subject, error) {
	return c.accounts.Look(r.Context(), cookieValue(r.Header["Cookie"], sessionCookie))
}

// changesNothing reports whether a request cannot act in the session's tenant:
// by its method (RFC 9110, 9.2.1), or because it is one that leaves the session
// or the tenant.
func changesNothing(r *http.Request) bool {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return true
	}
	switch r.URL.Path {
	case "/-/signin", "/-/signout", "/-/switch":
		return true
	}
	return strings.HasPrefix(r.URL.Path, "/-/signin/")
}

// cookieValue finds a cookie by its name (RFC 6265, 5.4), without the copies
// that http.Request.Cookie makes. A name that is sent twice is not believed.
func cookieValue(lines []string, name string) string {
	found := ""
	for _, line := range lines {
		for line != "" {
			var pair string
			pair, line, _ = strings.Cut(line, ";")
			pair = strings.Trim(pair, " \t")
			if len(pair) <= len(name) || pair[len(name)] != '=' || pair[:len(name)] != name {
				continue
			}
			if found != "" {
				return ""
			}
			found = pair[len(name)+1:]
		}
	}
	return found
}

// signIn gives the browser its new session.
func signIn(r *web.Request, s account.Signed) {
	setCookie(r, sessionCookie, s.Token.Reveal(), s.ExpiresAt.Sub(r.Now), http.SameSiteLaxMode)
	// What is said on the next page is bound to the session that will read it.
	r.Subject.Session = s.Session
	if s.Told != nil {
		r.Flash(*s.Told)
	}
}

// signOut takes the session away from the browser.
func signOut(r *web.Request) {
	setCookie(r, sessionCookie, "", -1, http.SameSiteLaxMode)
	r.Subject.Session = ""
}

func setCookie(r *web.Request, name, value string, life time.Duration, site http.SameSite) {
	age := int(life / time.Second)
	if value == "" {
		age = -1
	}
	http.SetCookie(r.W, &http.Cookie{Name: name, Value: value, Path: "/", MaxAge: age, Secure: true, HttpOnly: true, SameSite: site})
}

// admission is the admission that the browser carries, or nothing.
func admission(r *web.Request) secret.String {
	return secret.Of(cookieValue(r.Header["Cookie"], admissionCookie))
}

// signUpBrowser is what the browser has kept since it signed up, or nothing.
func signUpBrowser(r *web.Request) secret.String {
	return secret.Of(cookieValue(r.Header["Cookie"], signUpCookie))
}

// pendingSignIn is the sign-in that goes on in this browser, or nothing.
func pendingSignIn(r *web.Request) secret.String {
	return secret.Of(cookieValue(r.Header["Cookie"], pendingCookie))
}

// device is what the browser has kept since somebody signed in in it, or
// nothing.
func device(r *web.Request) secret.String {
	return secret.Of(cookieValue(r.Header["Cookie"], deviceCookie))
}
