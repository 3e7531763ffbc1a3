package sms

import (
	"strings"

	"troth/internal/fault"
)

// Number is a telephone number in the form of E.164: a plus sign, the country
// code, and at most 15 digits in all.
type Number string

var (
	errNumber  = fault.New(fault.Invalid, "sms.number", "That is no telephone number. Write it with the country code, as in +49 30 901820.").On("number")
	errCountry = fault.New(fault.Invalid, "sms.country", "This service does not send text messages to that country. Use another way.").On("number")
)

// ParseNumber reads a number as people write it: spaces, dots, dashes, slashes
// and brackets are not part of it. Without a country code nobody knows whose it
// is, so that one that begins with neither + nor 00 is refused. What it refuses
// is fault.Invalid on the field "number".
func ParseNumber(s string) (Number, error) {
	if len(s) > 64 {
		return "", errNumber
	}
	s = strings.Map(func(r rune) rune {
		switch r {
		case ' ', '\u00a0', '\u202f', '.', '-', '\u2010', '\u2011', '/', '(', ')':
			return -1
		}
		return r
	}, strings.TrimSpace(s))
	if rest, ok := strings.CutPrefix(s, "00"); ok {
		s = "+" + rest
	}
	digits, ok := strings.CutPrefix(s, "+")
	// ITU-T E.164, 6.2.1: at most 15 digits. Nobody has fewer than 7; no country
	// code begins with 0.
	if !ok || len(digits) < 7 || len(digits) > 15 || digits[0] == '0' || strings.Trim(digits, "0123456789") != "" {
		return "", errNumber
	}
	return Number("+" + digits), nil
}

// Masked is the number as it is shown: the last two digits, which its holder
// knows it by and nobody else can call.
func (n Number) Masked() string {
	if len(n) < 2 {
		return "••••"
	}
	return "•••• " + string(n[len(n)-2:])
}

// Allowed is nil for a number to which texts are sent, by the longest prefix
// that the operator listed.
func (t *Texts) Allowed(to Number) error {
	best, allowed := -1, false
	for _, c := range t.o.Countries {
		prefix, not := strings.CutPrefix(c, "!")
		if strings.HasPrefix(string(to), prefix) && len(prefix) > best {
			best, allowed = len(prefix), !not
		}
	}
	if !allowed {
		return errCountry
	}
	return nil
}
