package text

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Flaw is why a name cannot stand.
type Flaw int

// The flaws of names.
const (
	Fair   Flaw = iota // none
	Empty              // nothing but space
	Hidden             // something that nobody sees, or bytes that are no text
	Mute               // neither a letter nor a digit
	Long               // more code points than the limit
	Link               // mail programs would make a link of it
)

// ReadName reads what a person or an organisation wants to be called, of at most
// so many code points: in normalisation form C (UAX 15), without space around it
// and with single spaces inside. A name stands in mails to people who do not know
// its bearer, so it can be no link and play no tricks with what they read.
func ReadName(s string, limit int) (string, Flaw) {
	s = strings.TrimSpace(s)
	switch {
	case s == "":
		return "", Empty
	case !utf8.ValidString(s) || hidden(s):
		return "", Hidden
	}
	s = norm.NFC.String(strings.Join(strings.Fields(s), " "))
	switch {
	case !strings.ContainsFunc(s, legible):
		return "", Mute
	case utf8.RuneCountInString(s) > limit:
		return "", Long
	case linkLike(s):
		return "", Link
	}
	return s, Fair
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
