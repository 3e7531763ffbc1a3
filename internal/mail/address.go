package mail

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"

	netmail "net/mail"

	"troth/internal/fault"
)

// Address is a mail address in the form in which it is stored and sent: no
// name, no brackets, the local part as it was typed, the domain in lower case and
// in ASCII (RFC 5890, 2.3.2.1: A-labels). People read it as text.Address shows it.
type Address string

// RFC 5321, 4.5.3.1: octets of the local part, of the domain, and of the whole
// (a path of 256 less its brackets).
const (
	maxLocal   = 64
	maxDomain  = 253 // RFC 1035, 2.3.4, as text
	maxLabel   = 63
	maxAddress = 254
)

var (
	errNoAddress = fault.New(fault.Invalid, "mail.address", "That is no e-mail address. Write it as name@example.org.").On("email")
	errLong      = fault.New(fault.Invalid, "mail.address_long", "That e-mail address is too long: at most %d characters before the @ sign and %d in all.", maxLocal, maxAddress).On("email")
	errDomain    = fault.New(fault.Invalid, "mail.address_domain", "The part after the @ sign is no domain name that mail can be sent to. Write it as example.org.").On("email")
)

// ParseAddress reads one bare address, more strictly than RFC 5322 would have
// it: a dot-atom, "@" and a domain name of at least two labels. Comments,
// quoted local parts and address literals are legal and unused by people; they
// are refused, because systems behind us read them in different ways. Letters
// of all scripts may stand in the local part (RFC 6531, 3.3), in normalisation
// form C; a domain in letters of other scripts is the one that browsers would
// look up for it (RFC 5891, UTS 46 without its transitional mappings). Space
// around the address is not part of it.
// What it refuses is fault.Invalid on the field "email".
func ParseAddress(s string) (Address, error) {
	if len(s) > 4*maxAddress || !utf8.ValidString(s) {
		return "", errLong
	}
	s = norm.NFC.String(strings.TrimSpace(s))
	if len(s) > maxAddress {
		return "", errLong
	}
	at := strings.LastIndexByte(s, '@')
	if at < 1 || hasControl(s) || !dotAtom(s[:at]) {
		return "", errNoAddress
	}
	if at > maxLocal {
		return "", errLong
	}
	local := s[:at]
	domain, err := idna.Lookup.ToASCII(s[at+1:])
	if err != nil || !domainName(domain) {
		return "", errDomain
	}
	whole := local + "@" + domain
	// A second opinion: nothing may pass here that the standard library reads
	// as something else.
	if a, err := netmail.ParseAddress(whole); err != nil || a.Address != whole || a.Name != "" {
		return "", errNoAddress
	}
	return Address(whole), nil
}

// in reports whether the address is in the domain or below it; every address
// is below "".
func (a Address) in(domain string) bool {
	d := string(a[strings.LastIndexByte(string(a), '@')+1:])
	return domain == "" || d == domain || strings.HasSuffix(d, "."+domain)
}

// ascii reports whether the address needs no SMTPUTF8 (RFC 6531).
func (a Address) ascii() bool {
	for i := range len(a) {
		if a[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// dotAtom is RFC 5322, 3.2.3, with letters, marks and digits of other scripts
// as RFC 6531, 3.3 adds them.
func dotAtom(s string) bool {
	for _, atom := range strings.Split(s, ".") {
		if atom == "" {
			return false
		}
		for _, r := range atom {
			switch {
			case r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9':
			case r < utf8.RuneSelf && strings.ContainsRune("!#$%&'*+-/=?^_`{|}~", r):
			case r >= utf8.RuneSelf && r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsMark(r) || unicode.IsNumber(r)):
			default:
				return false
			}
		}
	}
	return true
}

// domainName is RFC 1123, 2.1: labels of letters, digits and inner hyphens, at
// least two, the last one no number.
func domainName(s string) bool {
	labels := strings.Split(s, ".")
	if len(s) > maxDomain || len(labels) < 2 {
		return false
	}
	for _, l := range labels {
		if l == "" || len(l) > maxLabel || l[0] == '-' || l[len(l)-1] == '-' {
			return false
		}
		for i := range len(l) {
			if c := l[i]; !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-') {
				return false
			}
		}
	}
	return strings.Trim(labels[len(labels)-1], "0123456789") != ""
}

// hasControl reports characters that must not stand in a header or address:
// controls, line and paragraph separators, and the marks that turn the
// direction of text around.
func hasControl(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool {
		return unicode.Is(unicode.C, r) || r == '\u2028' || r == '\u2029' || r == utf8.RuneError
	})
}
