package account

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"troth/internal/fault"
)

// maxName is the length of a name in code points.
const maxName = 100

// readName reads what a person wants to be called. The name stands in mails to
// people who do not know its bearer, so it can be no link and play no tricks
// with what they read.
func readName(s string) (string, error) {
	if !utf8.ValidString(s) || hidden(s) {
		return "", fault.New(fault.Invalid, "account.bad_name", "The name contains a character that cannot be shown. Leave it out.").On("name")
	}
	s = norm.NFC.String(strings.TrimSpace(s))
	switch n := utf8.RuneCountInString(s); {
	case n == 0 || !strings.ContainsFunc(s, legible):
		return "", fault.New(fault.Invalid, "account.no_name", "Enter the name that others should see.").On("name")
	case n > maxName:
		return "", fault.New(fault.Invalid, "account.long_name", "The name may have at most %d characters.", maxName).On("name")
	case linkLike(s):
		return "", fault.New(fault.Invalid, "account.name_link", "The name looks like the address of a site, which mail programs would make a link of. Write a space after the dot, or leave the dot out.").On("name")
	}
	return s, nil
}

// legible is what a name needs one of.
func legible(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) }

// hidden reports whether a text has what nobody sees: controls, separators of
// lines, and marks without width, above all those that reorder what others read
// (Unicode TR 36, 2.5), and letters that are blank (UAX 44,
// Default_Ignorable_Code_Point). The joiners are letters to the scripts that need them:
// after Arabic, and after the marks of Indic scripts (RFC 5892, A.1 and A.2).
func hidden(s string) bool {
	before := rune(0)
	for _, r := range s {
		joins := (r == '\u200c' || r == '\u200d') && unicode.In(before, unicode.Arabic, unicode.Mn, unicode.Mc)
		if r == utf8.RuneError || !joins && unicode.In(r, unicode.C, unicode.Zl, unicode.Zp, unicode.Other_Default_Ignorable_Code_Point) {
			return true
		}
		before = r
	}
	return false
}

// links finds what mail programs make a link of, though nobody wrote one: a
// scheme, "www.", a name with an ending of two letters and more ("example.org",
// but not "J. Smith" nor "J.R.R. Smith"), and an address of IP version 4.
var links = regexp.MustCompile(`(?i)://|\bwww\.|[\pL\pN][\pL\pN-]*[\pL\pN]\.\pL{2,}|\d+\.\d+\.\d+\.\d+`)

// linkLike looks through full-width and ideographic dots, as browsers do
// (UTS 46, 4).
func linkLike(s string) bool {
	return links.MatchString(strings.ReplaceAll(norm.NFKC.String(s), "\u3002", "."))
}
