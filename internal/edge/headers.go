package edge

import (
	"net/http"
	"strings"
)

// AssertionHeader carries the assertion to the application.
const AssertionHeader = "Troth-Assertion"

// cookiePrefix begins the names of all of Troth's own cookies.
const cookiePrefix = "__host-troth"

// foreign are request headers that a client has no business sending, because
// applications take them for the word of a proxy. Those of families are in
// families.
var foreign = map[string]bool{
	"forwarded": true, "x-real-ip": true, "true-client-ip": true, "client-ip": true, "x-client-ip": true,
	"x-cluster-client-ip": true, "cf-connecting-ip": true, "fastly-client-ip": true,
	"x-forward-for": true, "x-proxyuser-ip": true,
	"x-rewrite-url": true, "x-host": true, // another path or host than the one decided on
	"proxy": true, // CVE-2016-5385: CGI makes HTTP_PROXY of it
}

// families are beginnings of such names: who it is, where from, and what was
// asked for, as other proxies say it.
var families = []string{"troth", "x-forwarded", "remote", "x-remote", "x-auth-request", "x-envoy", "x-original"}

// stripRequest removes from a request to the application what only Troth may
// say, in every spelling that an application may take for the same header: CGI
// and its heirs read "_", and some any sign at all, as "-" (RFC 3875, 4.1.18).
func stripRequest(h http.Header) {
	for name := range h {
		if len(name) > 0 && suspicious(name) && isForeign(name) {
			delete(h, name)
		}
	}
	if cookies := h["Cookie"]; len(cookies) > 0 {
		stripCookies(h, cookies)
	}
}

// suspicious is a quick look: only names that begin with one of few letters
// can be foreign.
func suspicious(name string) bool {
	switch name[0] | 0x20 {
	case 't', 'x', 'f', 'c', 'p', 'r':
		return true
	}
	return !isAlnum(name[0])
}

func isAlnum(c byte) bool {
	return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z'
}

// maxName is longer than any name that is looked for.
const maxName = 40

// normalName is how the least careful application spells a name, cut to
// maxName, in buf.
func normalName(buf []byte, name string) []byte {
	b := buf[:0]
	for i := 0; i < len(name) && len(b) < maxName; i++ {
		switch c := name[i]; {
		case c >= 'A' && c <= 'Z':
			b = append(b, c|0x20)
		case isAlnum(c):
			b = append(b, c)
		case len(b) > 0:
			b = append(b, '-')
		}
	}
	return b
}

func isForeign(name string) bool {
	var buf [maxName]byte
	b := normalName(buf[:], name)
	for _, f := range families {
		if family(b, f) {
			return true
		}
	}
	return foreign[string(b)]
}

// family reports whether the name is that word, or begins with it and "-".
func family(name []byte, word string) bool {
	return len(name) >= len(word) && string(name[:len(word)]) == word && (len(name) == len(word) || name[len(word)] == '-')
}

// stripCookies takes Troth's own cookies out of the Cookie header: the
// application has no use for a session that is not its own.
func stripCookies(h http.Header, values []string) {
	found := false
	for _, v := range values {
		found = found || containsFold(v, cookiePrefix)
	}
	if !found {
		return
	}
	var kept []string
	for _, v := range values {
		var b strings.Builder
		for pair := range strings.SplitSeq(v, ";") {
			pair = strings.Trim(pair, " \t")
			if pair == "" || ownCookie(pair) {
				continue
			}
			if b.Len() > 0 {
				b.WriteString("; ")
			}
			b.WriteString(pair)
		}
		if b.Len() > 0 {
			kept = append(kept, b.String())
		}
	}
	if kept == nil {
		delete(h, "Cookie")
		return
	}
	h["Cookie"] = kept
}

// ownCookie reports whether "name=value" is, or would be sent back by a browser
// as, a cookie of Troth's. A nameless cookie "=__Host-troth=x" comes back as
// "__Host-troth=x".
func ownCookie(pair string) bool {
	pair = strings.TrimLeft(pair, " \t=")
	return len(pair) >= len(cookiePrefix) && strings.EqualFold(pair[:len(cookiePrefix)], cookiePrefix)
}

// containsFold reports whether s contains sub, which is in lower case.
func containsFold(s, sub string) bool {
	for i := 0; i+len(sub) <= len(s); i++ {
		if s[i] == sub[0] && strings.EqualFold(s[i:i+len(sub)], sub) {
			return true
		}
	}
	return false
}

// stripResponse removes from the application's answer what only Troth may say,
// and adds what it forgot to say.
func stripResponse(h http.Header, hsts string) {
	for name := range h {
		if len(name) > 0 && (name[0]|0x20 == 't' || !isAlnum(name[0])) {
			var buf [maxName]byte
			if family(normalName(buf[:], name), "troth") {
				delete(h, name)
			}
		}
	}
	if set := h["Set-Cookie"]; len(set) > 0 {
		kept := set[:0]
		for _, c := range set {
			if !ownCookie(c) {
				kept = append(kept, c)
			}
		}
		if h["Set-Cookie"] = kept; len(kept) == 0 {
			delete(h, "Set-Cookie")
		}
	}
	delete(h, "Alt-Svc") // the application's own listener is not ours to advertise
	delete(h, "Strict-Transport-Security")
	if hsts != "" {
		h["Strict-Transport-Security"] = []string{hsts}
	}
	if _, ok := h["X-Content-Type-Options"]; !ok {
		h["X-Content-Type-Options"] = nosniff
	}
	if _, ok := h["Referrer-Policy"]; !ok {
		h["Referrer-Policy"] = referrer
	}
	if _, ok := h["X-Frame-Options"]; !ok && !framed(h) {
		h["X-Frame-Options"] = sameOrigin
	}
}

// stripEarly cleans an informational answer (100 to 199) of the application's:
// of use are links to what the page will need (RFC 8297), and nothing else has
// a meaning there that is the application's to give.
func stripEarly(h http.Header) {
	for name := range h {
		if name != "Link" {
			delete(h, name)
		}
	}
}

// stripTrailers cleans what follows the body of an answer.
func stripTrailers(h http.Header) {
	for name := range h {
		bare := strings.TrimPrefix(name, http.TrailerPrefix)
		if len(bare) == 0 || bare[0]|0x20 != 's' && bare[0]|0x20 != 't' && isAlnum(bare[0]) {
			continue
		}
		var buf [maxName]byte
		n := normalName(buf[:], bare)
		if family(n, "troth") || string(n) == "set-cookie" || string(n) == "strict-transport-security" {
			delete(h, name)
		}
	}
}

// Shared by all answers: nobody appends to them.
var (
	nosniff    = []string{"nosniff"}
	referrer   = []string{"strict-origin-when-cross-origin"}
	sameOrigin = []string{"SAMEORIGIN"}
)

// framed reports whether the application says itself who may frame it.
func framed(h http.Header) bool {
	for _, p := range h["Content-Security-Policy"] {
		if strings.Contains(p, "frame-ancestors") {
			return true
		}
	}
	return false
}
