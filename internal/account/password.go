package account

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"troth/internal/fault"
	"troth/internal/secret"
)

// The length of a password in Unicode code points after normalisation.
const (
	MinPassword = 15   // SP 800-63B-4, 3.1.1.2: where the password is the only factor
	MaxPassword = 1024 // the section asks for at least 64
)

// maxPasswordBytes bounds what is normalised at all: four bytes a code point,
// and as much again for decomposed forms.
const maxPasswordBytes = 2 * 4 * MaxPassword

// CheckPassword normalises a chosen password (NFC; SP 800-63B-4, 3.1.1.2) and
// refuses one that breaks a rule with fault.Invalid on the field "password".
// Every character that can be typed counts, spaces and emoji included; nothing
// is asked about its composition. The person's own words may not be in it:
// e-mail is the address of the account, normalised.
func CheckPassword(chosen secret.String, email string) (secret.String, error) {
	p, ok := normalise(chosen)
	switch {
	case !ok && len(chosen.Reveal()) > maxPasswordBytes:
		return secret.String{}, errLongPassword
	case !ok:
		return secret.String{}, errUnreadablePassword
	}
	n := utf8.RuneCountInString(p.Reveal())
	switch {
	case n > MaxPassword:
		return secret.String{}, errLongPassword
	case n < MinPassword:
		return secret.String{}, errShortPassword
	case email != "" && strings.Contains(strings.ToLower(p.Reveal()), email):
		return secret.String{}, errOwnWords
	}
	return p, nil
}

// normalise brings a password into the form that is hashed. It fails on bytes
// that no keyboard makes: too many, broken UTF-8, control characters.
func normalise(p secret.String) (secret.String, bool) {
	s := p.Reveal()
	if len(s) > maxPasswordBytes || !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl) {
		return secret.String{}, false
	}
	return secret.Of(norm.NFC.String(s)), true
}

var (
	errShortPassword      = fault.New(fault.Invalid, "account.short_password", "The password needs at least %d characters. Four or five words with spaces between them are easy to remember.", MinPassword).On("password")
	errLongPassword       = fault.New(fault.Invalid, "account.long_password", "The password may have at most %d characters.", MaxPassword).On("password")
	errUnreadablePassword = fault.New(fault.Invalid, "account.unreadable_password", "The password contains a character that no keyboard types, such as a line break. Leave it out.").On("password")
	errOwnWords           = fault.New(fault.Invalid, "account.own_words", "The password contains your e-mail address, which is the first thing that somebody would guess. Leave it out.").On("password")
)
