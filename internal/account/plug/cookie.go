package plug

import (
	"net/http"
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
)

// admissionLife bounds how long the form of an admission may be open.
const admissionLife = time.Hour

// cookies authenticates by the session cookie.
type cookies struct{ accounts *account.Accounts }

// Authenticate returns who holds the session of the request's cookie, or the
// zero Subject. It allocates nothing for a session that was seen before.
func (c cookies) Authenticate(r *http.Request) (access.Subject, error) {
	token := cookieValue(r.Header["Cookie"], sessionCookie)
	if token == "" {
		return access.Subject{}, nil
	}
	return c.accounts.Authenticate(r.Context(), token)
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
