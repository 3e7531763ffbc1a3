package password

import (
	"context"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"troth/internal/fault"
	"troth/internal/keys"
	"troth/internal/secret"
)

// The length of a password in Unicode code points after normalisation.
const (
	MinLength = 15   // SP 800-63B-4, 3.1.1.2: where the password is the only factor
	MaxLength = 1024 // the section asks for at least 64
)

// maxBytes bounds what is normalised at all: four bytes a code point,
// and as much again for decomposed forms.
const maxBytes = 2 * 4 * MaxLength

// About is what a password is chosen for.
type About struct {
	Email string   // the address of the account
	Name  string   // what its holder is called
	Words []string // other words of the person, such as the organisations they belong to
	Short bool     // every sign-in with the password also needs a counting second factor
}

// Rules are what a chosen password is asked.
type Rules struct{}

// Check normalises a chosen password (NFC; SP 800-63B-4, 3.1.1.2) and refuses
// one that breaks a rule with fault.Invalid on the field "password". Every
// character that can be typed counts, spaces and emoji included; nothing is
// asked about its composition. The person's own words may not be in it.
func (r Rules) Check(_ context.Context, chosen secret.String, about About) (secret.String, error) {
	email := keys.Normalise(about.Email)
	p, ok := Normalise(chosen)
	switch {
	case !ok && len(chosen.Reveal()) > maxBytes:
		return secret.String{}, errLong
	case !ok:
		return secret.String{}, errUnreadable
	}
	n := utf8.RuneCountInString(p.Reveal())
	switch {
	case n > MaxLength:
		return secret.String{}, errLong
	case n < MinLength:
		return secret.String{}, errShort
	case email != "" && strings.Contains(strings.ToLower(p.Reveal()), email):
		return secret.String{}, errOwnWords
	}
	return p, nil
}

// Normalise brings a password into the form that is hashed. It fails on bytes
// that no keyboard makes: too many, broken UTF-8, control characters.
func Normalise(p secret.String) (secret.String, bool) {
	s := p.Reveal()
	if len(s) > maxBytes || !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl) {
		return secret.String{}, false
	}
	return secret.Of(norm.NFC.String(s)), true
}

var (
	errShort      = fault.New(fault.Invalid, "password.short", "The password needs at least %d characters. Four or five words with spaces between them are easy to remember.", MinLength).On("password")
	errLong       = fault.New(fault.Invalid, "password.long", "The password may have at most %d characters.", MaxLength).On("password")
	errUnreadable = fault.New(fault.Invalid, "password.unreadable", "The password contains a character that no keyboard types, such as a line break. Leave it out.").On("password")
	errOwnWords   = fault.New(fault.Invalid, "password.own_words", "The password contains your e-mail address, which is the first thing that somebody would guess. Leave it out.").On("password")
)
