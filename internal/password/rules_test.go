package password

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"

	"troth/internal/secret"
)

// Everything that can be typed is taken, from 15 to 1,024 characters.
func TestPasswordsThatAreTaken(t *testing.T) {
	for name, p := range map[string]string{
		"shortest": strings.Repeat("a", 15), "longest": strings.Repeat("a", 1024), "longest, wide": strings.Repeat("𝒶", 1024),
		"spaces only": strings.Repeat(" ", 15), "emoji": strings.Repeat("🐎", 15), "digits only": "123456789012345", "mixed": "ωραία λόγια, 美しい 🌸",
	} {
		if _, err := check(ctx, secret.Of(p), About{Email: ada}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	// 15 characters are counted after normalisation: here 14 letters, one of them decomposed.
	if _, err := check(ctx, secret.Of("e\u0301"+strings.Repeat("a", 13)), About{Email: ada}); err == nil {
		t.Error("a combining mark counted as a character of its own")
	}
}

// However a keyboard composes a character, it is one password.
func TestPasswordsAreNormalised(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.StringOfN(rapid.RuneFrom(nil, unicode.Letter, unicode.Mn, unicode.Nd, unicode.Zs, unicode.So), 20, 200, -1).Draw(t, "password")
		a, errA := check(ctx, secret.Of(norm.NFC.String(s)), About{Email: ""})
		b, errB := check(ctx, secret.Of(norm.NFD.String(s)), About{Email: ""})
		if (errA == nil) != (errB == nil) || !a.Equal(b) {
			t.Fatalf("%+q: composed %v, decomposed %v", s, errA, errB)
		}
	})
}

func FuzzCheck(f *testing.F) {
	f.Add(goodWord, ada)
	f.Add("e\u0301\xff", "")
	f.Add(strings.Repeat("\u0340", 2000), "x")
	f.Fuzz(func(t *testing.T, s, email string) {
		p, err := check(ctx, secret.Of(s), About{Email: email})
		if err != nil {
			return
		}
		n := utf8.RuneCountInString(p.Reveal())
		if n < MinLength || n > MaxLength || !norm.NFC.IsNormalString(p.Reveal()) || strings.ContainsAny(p.Reveal(), "\x00\r\n") {
			t.Errorf("%q was taken", s)
		}
		again, err := check(ctx, p, About{Email: email})
		if err != nil || !again.Equal(p) {
			t.Errorf("%q normalises to something that is refused or changes: %v", s, err)
		}
	})
}
