package password

import (
	"context"
	"errors"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"

	"troth/internal/fault"
	"troth/internal/secret"
)

// typed is a text of n characters that nobody guesses.
func typed(n int) string {
	return string([]rune(strings.Repeat("a quiet zebra, Šárka 🌸 & 美しい fjords; ", 40))[:n])
}

// Everything that can be typed is taken, from 15 to 1,024 characters.
func TestPasswordsThatAreTaken(t *testing.T) {
	for name, p := range map[string]string{
		"shortest": typed(15), "longest": typed(1024), "longest, wide": strings.Repeat("𝒶", 1024), "longer than is weighed": strings.Repeat("a", 65),
		"leading and trailing spaces": "  zebra fjords  ", "emoji": "🐎🔋🌸🦊🐎🌸🔋🦊🐎🔋🔋🌸🦊🐎🌸", "digits only": "907331642855017", "mixed": "ωραία λόγια, 美しい 🌸",
		"one case": "xkqvzjwpfhmbtrd", "quotes and controls of other languages": `'"; DROP <b> $(x) %s \0 {}`,
	} {
		got, err := check(ctx, secret.Of(p), About{Email: ada})
		if err != nil || got.Reveal() != p {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPasswordsThatAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		password string
		about    About
		code     string
	}{
		"a character short":        {typed(14), About{}, "password.short"},
		"counted after NFC":        {"e\u0301" + typed(13), About{}, "password.short"},
		"short with a factor":      {typed(7), About{Short: true}, "password.short"},
		"nothing":                  {"", About{}, "password.short"},
		"a character too many":     {typed(1025), About{}, "password.long"},
		"far too many":             {strings.Repeat("x", 1<<20), About{}, "password.long"},
		"a line break":             {typed(20) + "\n", About{}, "password.unreadable"},
		"broken UTF-8":             {typed(20) + "\xff", About{}, "password.unreadable"},
		"one key":                  {strings.Repeat("a", 15), About{}, "password.common"},
		"one key, a space":         {strings.Repeat(" ", 30), About{}, "password.common"},
		"common twice":             {"passwordpassword", About{}, "password.common"},
		"the alphabet":             {"abcdefghijklmnopqrstuvwxyz", About{}, "password.common"},
		"the address":              {ada, About{Email: ada}, "password.own_words"},
		"the address, in capitals": {"ADA@EXAMPLE.ORG 1", About{Email: ada}, "password.own_words"},
	} {
		p, err := check(ctx, secret.Of(c.password), c.about)
		if f := fault.As(err); f == nil || f.Kind != fault.Invalid || f.Code != c.code || f.Field != "password" || !p.IsZero() {
			t.Errorf("%s: %v, want %s", name, err, c.code)
		} else if strings.TrimSpace(c.password) != "" && strings.Contains(f.Error(), c.password) {
			t.Errorf("%s: the sentence repeats the password: %s", name, f)
		}
	}
	if _, err := check(ctx, secret.Of(typed(8)), About{Short: true}); err != nil {
		t.Errorf("8 characters beside a factor: %v", err)
	}
}

// known knows one password.
type known struct {
	password string
	finding  Finding
	err      error
}

func (k known) Known(_ context.Context, p secret.String) (Finding, error) {
	if p.Reveal() == k.password {
		return k.finding, k.err
	}
	return Unheard, k.err
}

func TestKnownPasswordsAreRefused(t *testing.T) {
	const theirs = "caf\u00e9 au lait at dawn"
	for finding, code := range map[Finding]string{Common: "password.common", Breached: "password.breached"} {
		r := Rules{Known: known{theirs, finding, nil}}
		_, err := r.Check(ctx, secret.Of(norm.NFD.String(theirs)), About{}) // asked about as it is hashed
		want(t, err, fault.Invalid, code)
		if _, err := r.Check(ctx, secret.Of(goodWord), About{}); err != nil {
			t.Errorf("one that is not known: %v", err)
		}
	}
	broken := errors.New("the filter cannot be read")
	if _, err := (Rules{Known: known{err: broken}}).Check(ctx, secret.Of(goodWord), About{}); !errors.Is(err, broken) {
		t.Errorf("when nobody can tell, it answers %v", err)
	}
}

// However a keyboard composes a character, it is one password.
func TestPasswordsAreNormalised(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.StringOfN(rapid.RuneFrom(nil, unicode.Letter, unicode.Mn, unicode.Nd, unicode.Zs, unicode.So), 20, 60, -1).Draw(t, "password")
		a, errA := check(ctx, secret.Of(norm.NFC.String(s)), About{})
		b, errB := check(ctx, secret.Of(norm.NFD.String(s)), About{})
		if (errA == nil) != (errB == nil) || !a.Equal(b) {
			t.Fatalf("%+q: composed %v, decomposed %v", s, errA, errB)
		}
	})
}

func FuzzCheck(f *testing.F) {
	f.Add(goodWord, ada)
	f.Add("e\u0301\xff", "")
	f.Add(strings.Repeat("\u0340", 2000), "x")
	f.Add("αβγδεζηθικλμνξοπρστυφχψω", "Ω@Ω.Ω")
	f.Fuzz(func(t *testing.T, s, email string) {
		about := About{Email: email, Name: email, Words: []string{email}}
		if _, err := (Rules{}).Weigh(ctx, secret.Of(s), about); err != nil {
			t.Fatal(err)
		}
		p, err := check(ctx, secret.Of(s), about)
		if err != nil {
			return
		}
		n := utf8.RuneCountInString(p.Reveal())
		if n < MinLength || n > MaxLength || n != Length(secret.Of(s)) || !norm.NFC.IsNormalString(p.Reveal()) || strings.ContainsAny(p.Reveal(), "\x00\r\n") {
			t.Errorf("%q was taken", s)
		}
		again, err := check(ctx, p, about)
		if err != nil || !again.Equal(p) {
			t.Errorf("%q normalises to something that is refused or changes: %v", s, err)
		}
	})
}
