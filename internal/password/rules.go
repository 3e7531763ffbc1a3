package password

import (
	"context"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"troth/internal/fault"
	"troth/internal/secret"
)

// The length of a password in Unicode code points after normalisation.
const (
	MinLength   = 15   // SP 800-63B-4, 3.1.1.2: where the password can be the only factor
	ShortLength = 8    // the same section: where it is always one of two
	MaxLength   = 1024 // the section asks for at least 64
)

// maxBytes bounds what is normalised at all: four bytes a code point, and as
// much again for decomposed forms.
const maxBytes = 2 * 4 * MaxLength

// Finding is what is known about a password.
type Finding uint8

// The findings.
const (
	Unheard  Finding = iota // nothing is known about it
	Common                  // it is on the list of passwords that many people choose
	Breached                // it was found in a collection of stolen passwords
)

// Known knows passwords that others know too. Package breach fills it.
type Known interface {
	// Known says what is known about a normalised password. It keeps nothing,
	// and it returns when ctx ends.
	Known(ctx context.Context, p secret.String) (Finding, error)
}

// About is whom and what a password is chosen for.
type About struct {
	Email string   // the address of the account
	Name  string   // what its holder is called
	Words []string // the names of the organisations that the holder belongs to
	Short bool     // every sign-in with the password needs a counting second factor as well
}

// Short is the code of the fault that a password is too short.
const Short = "password.short"

// Least is the shortest password that may be chosen, in code points.
func (a About) Least() int {
	if a.Short {
		return ShortLength
	}
	return MinLength
}

// Rules are what a chosen password is asked. The zero Rules ask everything that
// needs no list and knows no service.
type Rules struct {
	Known   Known    // nil: not asked
	Service []string // what the service is called, and its host names
}

// Check normalises a chosen password and refuses one that breaks a rule with
// fault.Invalid on the field "password". The rules are those of SP 800-63B-4,
// 3.1.1.2 (OWASP ASVS 5.0, 6.2): a length; nothing about its composition;
// nothing that many people choose, that was stolen elsewhere, or that is made of
// the words around it (see [Rules.own]). Every character that can be typed
// counts, spaces and emoji included.
func (r Rules) Check(ctx context.Context, chosen secret.String, about About) (secret.String, error) {
	p, refusal := shape(chosen, about)
	if refusal == nil {
		refusal = r.own(p.Reveal(), about)
	}
	if refusal == nil && guessed(p.Reveal()) {
		refusal = errCommon
	}
	if refusal == nil && r.Known != nil {
		finding, err := r.Known.Known(ctx, p)
		if err != nil {
			return secret.String{}, fmt.Errorf("asking whether a password is known: %w", err)
		}
		refusal = map[Finding]*fault.Error{Common: errCommon, Breached: errBreached}[finding]
	}
	if refusal != nil {
		return secret.String{}, refusal
	}
	return p, nil
}

// shape normalises a password and looks at its length and characters.
func shape(chosen secret.String, about About) (secret.String, *fault.Error) {
	p, ok := Normalise(chosen)
	if !ok && len(chosen.Reveal()) <= maxBytes {
		return p, errUnreadable
	}
	n := utf8.RuneCountInString(p.Reveal())
	switch {
	case !ok || n > MaxLength:
		return p, errLong
	case n < about.Least() && about.Short:
		return p, errShorter
	case n < about.Least():
		return p, errShort
	}
	return p, nil
}

// Length is how many code points a password has as it is hashed: what
// [MinLength] counts.
func Length(p secret.String) int {
	n, _ := Normalise(p)
	return utf8.RuneCountInString(n.Reveal())
}

// Normalise brings a password into the form that is hashed (NFC; SP 800-63B-4,
// 3.1.1.2), so that one password is the same from every keyboard. It fails on
// bytes that no keyboard makes: too many, broken UTF-8, control characters.
func Normalise(p secret.String) (secret.String, bool) {
	s := p.Reveal()
	if len(s) > maxBytes || !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl) {
		return secret.String{}, false
	}
	return secret.Of(norm.NFC.String(s)), true
}

var (
	errShort        = refuse("short", "The password needs at least %d characters. Four or five words with spaces between them are easy to remember.", MinLength)
	errShorter      = refuse("short", "The password needs at least %d characters. It can be that short because a second factor is asked for at every sign-in.", ShortLength)
	errLong         = refuse("long", "The password may have at most %d characters. Leave some out.", MaxLength)
	errUnreadable   = refuse("unreadable", "The password contains a character that no keyboard types, such as a line break. Leave it out.")
	errCommon       = refuse("common", "Many people choose this password, so it is among the first that somebody would try. Choose other words, or let a password manager choose.")
	errBreached     = refuse("breached", "This password appears in lists of breached passwords, which attackers try. Choose one that you use nowhere else.")
	errOwnPerson    = refuse("own_words", "The password is your own name or e-mail address and little else, which is the first thing that somebody would try. Add words that have nothing to do with you.")
	errOwnService   = refuse("own_words", "The password is the name of this service and little else, which is the first thing that somebody would try. Add words that have nothing to do with it.")
	errOrganisation = refuse("own_words", "The password is the name of your organisation and little else, which is the first thing that somebody would try. Add words that have nothing to do with it.")
)

func refuse(code, sentence string, args ...any) *fault.Error {
	return fault.New(fault.Invalid, "password."+code, sentence, args...).On("password")
}
