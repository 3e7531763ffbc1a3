package text

import (
	"strings"
	"unicode"

	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"
)

// Address is a mail address as people read it: stored with the domain in ASCII
// ("ada@xn--bcher-kva.example"), shown in its own letters ("ada@bücher.example")
// where that cannot be taken for another domain. A domain with a label that
// could be stays as it is stored (Unicode TR 36, 2.11; UTS 39, 5.2).
func Address(s string) string {
	at := strings.LastIndexByte(s, '@')
	if at < 0 || !strings.Contains(s[at:], "xn--") {
		return s
	}
	shown, err := idna.Display.ToUnicode(s[at+1:])
	if err != nil {
		return s
	}
	for label := range strings.SplitSeq(shown, ".") {
		if !plain(label) {
			return s
		}
	}
	if back, err := idna.Lookup.ToASCII(shown); err != nil || back != s[at+1:] {
		return s // it would be another domain when somebody typed it
	}
	return s[:at+1] + shown
}

// written are the scripts that one language mixes: a label is of one of these
// alone, with digits and hyphens (UTS 39, 5.2, the restriction level "highly
// restrictive", less the Latin letters that it would allow beside them).
var written = []map[*unicode.RangeTable]bool{
	{unicode.Latin: true},
	{unicode.Han: true, unicode.Hiragana: true, unicode.Katakana: true},
	{unicode.Han: true, unicode.Bopomofo: true},
	{unicode.Hangul: true, unicode.Han: true},
	{unicode.Cyrillic: true}, {unicode.Greek: true}, {unicode.Arabic: true}, {unicode.Hebrew: true},
	{unicode.Devanagari: true}, {unicode.Thai: true},
}

// alike are the letters of other scripts that pass for Latin ones. A label that
// has no other letter could be read as Latin (UTS 39, 4, whole-script confusables).
const alike = "авеёзікмнорстухысԁеԍһіюјӏорԗԛѕԝхуъьҽпгѵѡү" + "αβγεηικνοπρστυχωϲϳόίύ"

// latin are the letters beside a to z, with any marks, that nobody takes for one
// of them. The dotless i and the like are not among them.
const latin = "ßæœøđłþð"

// plain reports whether a label can be shown.
func plain(label string) bool {
	own := false // a letter that passes for no Latin one
	for _, script := range written {
		in := true
		for _, r := range norm.NFD.String(label) {
			in = in && (r < 0x80 || unicode.Is(unicode.Mn, r) || unicode.IsDigit(r) || inAny(r, script))
		}
		switch {
		case !in:
		case script[unicode.Latin]:
			return !strings.ContainsFunc(norm.NFD.String(label), func(r rune) bool {
				return r >= 0x80 && !unicode.Is(unicode.Mn, r) && !strings.ContainsRune(latin, r)
			})
		default:
			for _, r := range label {
				if r >= 'a' && r <= 'z' {
					return false
				}
				own = own || unicode.IsLetter(r) && !strings.ContainsRune(alike, r)
			}
			return own
		}
	}
	return false
}

func inAny(r rune, scripts map[*unicode.RangeTable]bool) bool {
	for table := range scripts {
		if unicode.Is(table, r) || unicode.Is(unicode.Common, r) && unicode.IsLetter(r) { // the long vowel of Katakana
			return true
		}
	}
	return false
}
