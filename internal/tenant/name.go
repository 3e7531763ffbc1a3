package tenant

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"troth/internal/fault"
)

// nameLimit is the longest name of an organisation, in code points.
const nameLimit = 80

// readName checks the name of an organisation. It stands in mails to people
// who do not know the sender, so it may hold no link, and nothing that nobody
// sees: no control, no mark without width or that turns the direction around
// (Unicode TR 36, 2.5).
func readName(s string) (string, error) {
	s = norm.NFC.String(strings.Join(strings.FieldsFunc(s, unicode.IsSpace), " "))
	switch {
	case s == "":
		return "", fault.New(fault.Invalid, "tenant.name_empty", "Give the organisation a name.").On("name")
	case !utf8.ValidString(s) || strings.ContainsFunc(s, invisible) || !strings.ContainsFunc(s, legible):
		return "", fault.New(fault.Invalid, "tenant.name_unprintable", "Use only visible characters in the name, and at least one letter or digit.").On("name")
	case utf8.RuneCountInString(s) > nameLimit:
		return "", fault.New(fault.Invalid, "tenant.name_long", "Use at most %d characters for the name.", nameLimit).On("name")
	case linkLike(s):
		return "", fault.New(fault.Invalid, "tenant.name_link", "The name looks like the address of a site. It stands in the mails to the people you invite, and mail programs would make a link of it. Write a space after the dot, or leave the dot out.").On("name")
	}
	return s, nil
}

// invisible is what has no form of its own, among it the letters that are blank
// (U+3164 and its like; UAX 44, Default_Ignorable_Code_Point).
func invisible(r rune) bool {
	return !unicode.IsPrint(r) || unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r)
}

func legible(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) }

// links finds what mail programs make a link of, though nobody wrote one: a
// scheme, "www.", a name with an ending of two letters and more ("example.org",
// but not "Smith Inc."), and an address of IP version 4.
var links = regexp.MustCompile(`(?i)://|\bwww\.|[\pL\pN][\pL\pN-]*[\pL\pN]\.\pL{2,}|\d+\.\d+\.\d+\.\d+`)

// linkLike looks through full-width and ideographic dots, as browsers do
// (UTS 46, 4).
func linkLike(s string) bool {
	return links.MatchString(strings.ReplaceAll(norm.NFKC.String(s), "\u3002", "."))
}

// quoted is a name as a mail shows it: in quotation marks, so that a reader sees
// where the words of somebody else begin and end. One that was given before names
// were read so strictly, and could mislead, is shown as what it is instead.
func quoted(name, instead string) string {
	if name == "" || !utf8.ValidString(name) || utf8.RuneCountInString(name) > 100 || linkLike(name) ||
		strings.ContainsFunc(name, func(r rune) bool { return invisible(r) && r != '\u200c' && r != '\u200d' }) {
		return instead
	}
	return "“" + strings.NewReplacer("“", "'", "”", "'", `"`, "'").Replace(name) + "”"
}
