package password

import (
	"cmp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf16"

	"github.com/trustelem/zxcvbn/match"
	"github.com/trustelem/zxcvbn/matching"
	"github.com/trustelem/zxcvbn/scoring"
)

// scored is how many characters of a password are weighed: what comes after
// only makes it stronger, and the work grows faster than the length.
const scored = 64

// The scale of zxcvbn: under 10^3 guesses, 10^6, 10^8, 10^10, and more (D.
// Wheeler, "zxcvbn: Low-Budget Password Strength Estimation", USENIX Security
// 2016). The slack is the reference's.
var scale = [...]float64{1e3, 1e6, 1e8, 1e10}

const slack = 5

// Score weighs the first [scored] characters of a password as zxcvbn 4.4.2
// does: 0 to 4, and how many guesses an attacker needs who knows what people
// choose, and the given words. test/zxcvbn holds it beside the reference.
func Score(p string, words []string) (score int, guesses float64) {
	if r := []rune(p); len(r) > scored {
		p = string(r[:scored])
	}
	if r := []rune(p); len(r) > crowd && crowded(p) {
		p = string(r[:crowd])
	}
	guesses = estimate(p, words)
	for score < len(scale) && guesses >= scale[score]+slack {
		score++
	}
	return score, guesses
}

// readings are the figures that can stand for a letter (zxcvbn's table), where
// there is more than one of them.
var readings = []string{"4@", "({[<", "69", "1!|", "1|7", "$5", "+7"}

// Every way to read the figures of a password is tried, and their number
// multiplies. Of a password that has more of them than mostly, fewer characters
// are weighed: that many take hundredths of a second, and are a good score by
// themselves.
const (
	crowd     = 32
	mostReads = 24
)

// crowded reports whether a password has too many figures that stand for letters.
func crowded(p string) bool {
	reads := 1
	for _, figures := range readings {
		n := 0
		for _, f := range figures {
			if strings.ContainsRune(p, f) {
				n++
			}
		}
		reads *= max(n, 1)
	}
	return reads > mostReads
}

// estimate counts guesses. The reference counts UTF-16 code units, and the
// library bytes, which is the same for ASCII only. So every other unit is
// replaced by a byte that means nothing to any pattern, the same for the same
// unit; only sequences have to be looked for in the units themselves.
func estimate(p string, words []string) float64 {
	units := utf16.Encode([]rune(p))
	if len(units) == len(p) {
		return scoring.MostGuessableMatchSequence(p, matching.Omnimatch(p, words), false).Guesses
	}
	s := standIns{}
	plain := s.replace(units)
	mapped := make([]string, len(words))
	for i, w := range words {
		mapped[i] = s.replace(utf16.Encode([]rune(strings.ToLower(w))))
	}
	matches := slices.DeleteFunc(matching.Omnimatch(plain, mapped), func(m *match.Match) bool { return m.Pattern == "sequence" })
	matches = append(matches, sequences(units, plain)...)
	slices.SortStableFunc(matches, func(a, b *match.Match) int { return cmp.Or(cmp.Compare(a.I, b.I), cmp.Compare(a.J, b.J)) })
	return scoring.MostGuessableMatchSequence(plain, matches, false).Guesses
}

// standIns gives each unit beyond ASCII a control character, which no password
// holds: none that counts as space in a date, and none beside a printable one.
// There are fewer than units in some passwords; those that come late share.
type standIns map[uint16]byte

// inTurn has no neighbours among the first: two of them would be a sequence.
const inTurn = "\x00\x0e\x02\x10\x04\x12\x06\x14\x08\x16\x18\x1a\x01\x0f\x03\x11\x05\x13\x07\x15\x17\x19"

func (s standIns) replace(units []uint16) string {
	b := make([]byte, len(units))
	for i, u := range units {
		if u <= unicode.MaxASCII {
			b[i] = byte(u)
			continue
		}
		if _, ok := s[u]; !ok {
			s[u] = inTurn[len(s)%len(inTurn)]
		}
		b[i] = s[u]
	}
	return string(b)
}

// furthest is how far apart the characters of a sequence may be.
const furthest = 5

// sequences finds runs of equal steps, as αβγ or 97531, as the reference does.
func sequences(units []uint16, plain string) []*match.Match {
	var found []*match.Match
	add := func(i, j, step int) {
		if distance := max(step, -step); (j-i > 1 || distance == 1) && distance > 0 && distance <= furthest {
			found = append(found, &match.Match{Pattern: "sequence", I: i, J: j, Token: plain[i : j+1], Ascending: step > 0})
		}
	}
	start, last := 0, 0
	for k := 1; k < len(units); k++ {
		step := int(units[k]) - int(units[k-1])
		if k > 1 && step != last {
			add(start, k-1, last)
			start = k - 1
		}
		last = step
	}
	if len(units) > 1 {
		add(start, len(units)-1, last)
	}
	return found
}
