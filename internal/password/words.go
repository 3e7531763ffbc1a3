package password

import (
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"troth/internal/fault"
)

// own refuses a password that is made of the words around it: the address and
// the name of its holder, the names of the service, of its hosts and of the
// holder's organisations (SP 800-63B-4, 3.1.1.2: "context-specific words";
// OWASP ASVS 5.0, 6.2.11).
//
// Made of them means that little is left without them. Upper case, accents and
// the usual figures for letters (tr0th, @da) make no difference. The words and
// their parts are taken out wherever they stand, those of up to three letters
// only where they stand alone; then digits and spaces; and a character that is
// repeated counts once. Little is less than half of the shortest password: 8
// characters, or 4 where a short one may be chosen. So "Ada-Byron-1815!!" is
// refused and "my neighbour Ada grows blue potatoes" is not.
//
// A password with none of the words in it is never refused here.
func (r Rules) own(p string, about About) *fault.Error {
	text := fold(p)
	little := (about.Least() + 1) / 2
	var all []string
	for _, from := range []struct {
		words   []string
		refusal *fault.Error
	}{
		{[]string{about.Email, about.Name}, errOwnPerson},
		{about.Words, errOrganisation},
		{r.Service, errOwnService},
	} {
		before := len(all)
		for _, w := range from.words {
			all = append(all, parts(w)...)
		}
		if len(all) > before && text.left(all, all[before:]) < little {
			return from.refusal
		}
	}
	return nil
}

// parts are a word as a whole and what it is composed of: "ada.byron@mail.example.org"
// is itself, ada, byron, mail and example. The last part of a host name is
// nobody's own.
func parts(word string) []string {
	if r := []rune(word); len(r) > maxWord {
		word = string(r[:maxWord])
	}
	word = string(fold(word).plain)
	bits := strings.FieldsFunc(word, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	if host := word[strings.LastIndexByte(word, '@')+1:]; strings.Contains(host, ".") && !strings.Contains(host, " ") && len(bits) > 1 {
		bits = bits[:len(bits)-1]
	}
	list := append([]string{word, strings.Join(bits, "")}, bits...)
	return slices.DeleteFunc(list, func(w string) bool { return len([]rune(w)) < 2 })
}

// maxWord bounds a word: what comes from a form is not looked at yet.
const maxWord = 320

// folded is a text in which spellings make no difference.
type folded struct {
	plain   []rune // lower case, without accents
	letters []rune // the same with figures read as the letters that they stand for
}

// figures are read as letters (the commonest substitutions of zxcvbn's table).
var figures = map[rune]rune{'0': 'o', '1': 'l', '!': 'i', '3': 'e', '4': 'a', '@': 'a', '5': 's', '$': 's', '7': 't', '+': 't', '8': 'b', '9': 'g'}

func fold(s string) folded {
	var f folded
	for _, r := range strings.ToLower(norm.NFKD.String(s)) {
		if unicode.Is(unicode.Mn, r) {
			continue
		}
		f.plain = append(f.plain, r)
		if letter, ok := figures[r]; ok {
			r = letter
		}
		f.letters = append(f.letters, r)
	}
	return f
}

// left counts what is left without the words, if one of those needed is in the
// text; otherwise everything is.
func (f folded) left(words, needed []string) int {
	gone := make([]bool, len(f.plain))
	words = slices.Clone(words)
	slices.SortFunc(words, func(a, b string) int { return len(b) - len(a) })
	found := false
	for _, w := range words {
		if f.takeOut([]rune(w), gone) && slices.Contains(needed, w) {
			found = true
		}
	}
	if !found {
		return len(f.plain)
	}
	n, last := 0, rune(-1)
	for i, r := range f.plain {
		if gone[i] || unicode.IsDigit(r) || unicode.IsSpace(r) {
			continue
		}
		if r != last {
			n++
		}
		last = r
	}
	return n
}

// takeOut marks where a word stands, and reports whether it stands anywhere.
func (f folded) takeOut(word []rune, gone []bool) bool {
	found := false
	for _, text := range [][]rune{f.plain, f.letters} {
		for i := 0; i+len(word) <= len(text); i++ {
			end := i + len(word)
			if !slices.Equal(text[i:end], word) || len(word) <= 3 && !alone(text, i, end) {
				continue
			}
			for j := i; j < end; j++ {
				gone[j] = true
			}
			found = true
		}
	}
	return found
}

// alone reports whether no letter touches a part of a text.
func alone(text []rune, from, to int) bool {
	return (from == 0 || !unicode.IsLetter(text[from-1])) && (to == len(text) || !unicode.IsLetter(text[to]))
}
