package web

import (
	"net/url"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxReturnTo bounds a remembered path; a longer one is forgotten.
const maxReturnTo = 1024

// ReturnTo makes a path of this site, with its query, out of a text that came
// from outside, or returns otherwise. A page never sends anyone to another
// site: what has a scheme, a host, two leading slashes, a backslash (browsers
// read it as a slash: WHATWG URL, 4.4) or a control character is no path here.
func ReturnTo(from, otherwise string) string {
	if len(from) > maxReturnTo || !strings.HasPrefix(from, "/") || strings.HasPrefix(from, "//") || !utf8.ValidString(from) {
		return otherwise
	}
	if strings.ContainsRune(from, '\\') || strings.ContainsFunc(from, unicode.IsControl) {
		return otherwise
	}
	u, err := url.Parse(from)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || u.Opaque != "" {
		return otherwise
	}
	// The decoded path obeys too: %2f, %5c and %09 must not become what was refused above.
	if strings.ContainsRune(u.Path, '\\') || strings.ContainsFunc(u.Path, unicode.IsControl) || !utf8.ValidString(u.Path) {
		return otherwise
	}
	to := *u
	to.Fragment, to.RawFragment = "", ""
	if !clean(u.Path) {
		to.Path, to.RawPath = path.Clean(u.Path), ""
	}
	to.RawQuery = strings.Map(visible, u.RawQuery)
	s := to.RequestURI()
	if !strings.HasPrefix(s, "/") || strings.HasPrefix(s, "//") || len(s) > maxReturnTo {
		return otherwise
	}
	return s
}

// clean reports whether a path has no dot segments and no empty ones, which
// some readers resolve and others do not.
func clean(p string) bool { return p == path.Clean(p) || p == path.Clean(p)+"/" }

// visible drops from a query what cannot stand in a header.
func visible(c rune) rune {
	if c <= ' ' || c >= 0x7f || c == '"' || c == '<' || c == '>' {
		return -1
	}
	return c
}

// SignInPath is the sign-in page that leads back to a path of this site.
func SignInPath(returnTo string) string {
	if to := ReturnTo(returnTo, ""); to != "" && to != "/" {
		return "/-/signin?return_to=" + url.QueryEscape(to)
	}
	return "/-/signin"
}
