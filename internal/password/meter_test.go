package password

import (
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"troth/internal/fault"
	"troth/internal/secret"
)

func codeOf(err error) string {
	if f := fault.As(err); f != nil {
		return f.Code
	}
	return ""
}

func TestWeigh(t *testing.T) {
	for name, c := range map[string]struct {
		password string
		score    int
		says     string
		code     string
	}{
		"nothing":               {"", 0, says[0].Format, "password.short"},
		"short and weak":        {"password", 0, says[0].Format, "password.short"},
		"short, on its way":     {"vQ9#fjord", 3, tooShort.Format, "password.short"},
		"strong":                {goodWord, 4, says[4].Format, ""},
		"long and guessable":    {"qwertyuiopasdfgh", 1, says[1].Format, ""},
		"common":                {"aaaaaaaaaaaaaaaa", 0, says[0].Format, "password.common"},
		"with a line break":     {goodWord + "\n", 0, says[0].Format, "password.unreadable"},
		"of the person's own":   {"Ada-Byron-1815!!", 0, says[0].Format, "password.own_words"},
		"longer than is scored": {strings.Repeat("marmalade fjord ", 60), 4, says[4].Format, ""},
	} {
		s, err := someRules.Weigh(ctx, secret.Of(c.password), someone)
		if err != nil || s.Score != c.score || s.Says.Format != c.says || s.Refused == nil && c.code != "" || s.Refused != nil && s.Refused.Code != c.code {
			t.Errorf("%s: %d %q, refused %v, %v", name, s.Score, s.Says, s.Refused, err)
		}
	}
	broken := errors.New("the filter cannot be read")
	if _, err := (Rules{Known: known{err: broken}}).Weigh(ctx, secret.Of(goodWord), someone); !errors.Is(err, broken) {
		t.Errorf("when nobody can tell, the meter says %v", err)
	}
}

// The meter knows the person: a name that is nobody's is harder to guess.
func TestOwnWordsWeighLess(t *testing.T) {
	const p = "Wolkenstein-marmalade"
	stranger, err := Rules{}.Weigh(ctx, secret.Of(p), About{})
	if err != nil {
		t.Fatal(err)
	}
	_, theirs := Score(p, nil)
	_, own := Score(p, Rules{}.words(About{Name: "Olga Wolkenstein"}))
	if own >= theirs/100 || stranger.Score < 4 {
		t.Errorf("%g guesses for somebody who knows the name, %g for anybody", own, theirs)
	}
}

// Meter and rule cannot disagree.
func TestMeterAndRulesAgree(t *testing.T) {
	words := []string{"ada", "byron", "password", "troth", "fjord ", "1815", "🌸", "zebra", "Zürich", "!", "aaaa", "correct", "horse "}
	rapid.Check(t, func(t *rapid.T) {
		p := secret.Of(strings.Join(rapid.SliceOfN(rapid.SampledFrom(words), 0, 8).Draw(t, "words"), ""))
		about := someone
		about.Short = rapid.Bool().Draw(t, "short")
		_, refusal := someRules.Check(ctx, p, about)
		s, err := someRules.Weigh(ctx, p, about)
		if err != nil || codeOf(refusal) != codeOf(faultOrNil(s.Refused)) {
			t.Fatalf("the rules say %v, the meter %v, %v", refusal, s.Refused, err)
		}
	})
}

func faultOrNil(f *fault.Error) error {
	if f == nil {
		return nil
	}
	return f
}

// dearest are 64 characters that give the estimate much to do.
var dearest = map[string]string{
	"figures": "4@8({[<3690!1|$5+7%24@8({[<3690!1|$5+7%24@8({[<3690!1|$5+7%2+7%2", "repeats": strings.Repeat("ab1", 21) + "c",
	"one key": strings.Repeat("a", 64), "digits": strings.Repeat("11121999", 8), "words": strings.Repeat("password", 8), "emoji": strings.Repeat("🌸ü", 32),
	"letters": "theseandothersareinanyofthewordsthatonewouldwantforthesakeofmany", "walk": strings.Repeat("qwertyuiop", 6) + "asdf",
}

func BenchmarkScore64(b *testing.B) {
	for name, p := range dearest {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				Score(p, someRules.words(someone))
			}
		})
	}
}

// What a password may cost is bounded: one that is full of figures for letters
// is weighed by its beginning, which is strong already.
func TestCrowdedPasswords(t *testing.T) {
	if crowded("correct horse battery staple 4 @ 1") || !crowded(dearest["figures"]) {
		t.Error("what is crowded is not what it should be")
	}
	score, whole := Score(dearest["figures"], nil)
	if _, head := Score(dearest["figures"][:crowd], nil); score != MaxScore || whole != head {
		t.Errorf("score %d, %g guesses; the beginning takes %g", score, whole, head)
	}
	if got := len(parts(dearest["words"] + "@" + string(make([]rune, 1<<20)))); got > maxWord {
		t.Errorf("one word has %d parts", got)
	}
}
