package password

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"troth/internal/secret"
)

var (
	someRules = Rules{Service: []string{"Troth", "auth.acme-tools.example"}}
	someone   = About{Email: "ada.byron@mail.example.org", Name: "Ada Byron-King", Words: []string{"Analytical Engines Ltd", "Zürich Rowers"}}
)

func TestOwnWords(t *testing.T) {
	for p, code := range map[string]string{
		"Ada-Byron-1815!!":             "password.own_words",
		"ada.byron@mail.example.org":   "password.own_words",
		"AdaByronKing19770101":         "password.own_words",
		"byronbyronbyron":              "password.own_words",
		"8yr0n 8yr0n 8yr0n":            "password.own_words",
		"Âdá Býrön Kïng 1":             "password.own_words",
		"ada ada ada ada ada":          "password.own_words",
		"Troth Troth Troth":            "password.own_words",
		"7R07H-7R07H-7R07H":            "password.own_words",
		"acme-tools-2026-01":           "password.own_words",
		"Acmetoolsacmetools":           "password.own_words",
		"zurichrowers2026!":            "password.own_words",
		"ENGINES analytical 9":         "password.own_words",
		"ada at troth 2026":            "password.own_words", // "at" is all that is left
		"byronbyron!!!!!!!!!!":         "password.own_words",
		"my neighbour Ada grows beans": "", // includes a word, and is none
		"troth is an old word for vow": "",
		"adamant people eat rice":      "", // ada stands in a longer word
		"rowers seldom paddle uphill":  "",
		"correct horse battery staple": "",
		"x7Kp2mQ9ada83hT4vB1wz":        "",
		"9073316428550179":             "", // none of the words at all
	} {
		_, err := someRules.Check(ctx, secret.Of(p), someone)
		if got := codeOf(err); got != code {
			t.Errorf("%q: %q (%v), want %q", p, got, err, code)
		}
	}
	// Beside a factor a short password will do, and so will less of its own.
	short := someone
	short.Short = true
	for p, code := range map[string]string{"byron815": "password.own_words", "byron!?x": "password.own_words", "byron!?xQ": ""} {
		_, err := someRules.Check(ctx, secret.Of(p), short)
		if got := codeOf(err); got != code {
			t.Errorf("short, %q: %q, want %q", p, got, code)
		}
	}
}

// The sentence says whose words they are.
func TestOwnWordsAreNamed(t *testing.T) {
	for p, refusal := range map[string]error{
		"Ada-Byron-1815!!": errOwnPerson, "Analytical Engines": errOrganisation, "Troth Troth Troth": errOwnService, "Ada Byron at Troth": errOwnPerson,
	} {
		if got := someRules.own(p, someone); got != refusal {
			t.Errorf("%q: %v", p, got)
		}
	}
}

func TestParts(t *testing.T) {
	for word, want := range map[string][]string{
		"ada.byron@mail.example.org": {"ada.byron@mail.example.org", "adabyronmailexample", "ada", "byron", "mail", "example"},
		"Ada Byron-King":             {"ada byron-king", "adabyronking", "ada", "byron", "king"},
		"localhost":                  {"localhost", "localhost", "localhost"},
		"Dr. O":                      {"dr. o", "dro", "dr"},
		"":                           {},
		"@":                          {},
	} {
		if got := parts(word); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", word, got, want)
		}
	}
}

// Half of the shortest password and more beside the words is enough, whatever
// the words are.
func TestEnoughBesideTheWords(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.StringMatching(`[a-z]{4,12}`).Draw(t, "word")
		rest := rapid.Permutation([]rune("ΓΔΘΛΞΠΣΦΨΩБГДЖЗИЛ")).Draw(t, "rest")
		n := rapid.IntRange(8, len(rest)).Draw(t, "length")
		p := word + string(rest[:n]) + word
		if refusal := (Rules{}).own(p, About{Email: word + "@host.example", Name: word}); refusal != nil {
			t.Fatalf("%q: %v", p, refusal)
		}
		p = word + word + word + string(rest[:rapid.IntRange(0, 7).Draw(t, "few")])
		if refusal := (Rules{}).own(p, About{Name: word}); refusal != errOwnPerson {
			t.Fatalf("%q is taken", p)
		}
	})
}
