package password

import (
	"context"
	"unicode/utf8"

	"troth/internal/fault"
	"troth/internal/secret"
	"troth/internal/text"
)

// Strength is what the meter says about a password as it is being chosen.
type Strength struct {
	Score   int          // 0 to 4, of zxcvbn
	Says    text.Text    // a sentence of encouragement
	Refused *fault.Error // what [Rules.Check] would answer; nil if it would take it
}

// MaxScore is the best score.
const MaxScore = len(scale)

// says are the words for each score. They encourage and demand nothing: a
// password of any score is taken if the rules take it (SP 800-63B-4, 3.1.1.2
// asks for guidance, such as a meter).
var says = [MaxScore + 1]text.Text{
	text.New("This would be guessed at once. Any few words that do not belong together are better."),
	text.New("Some way to go: another word or two would help a lot."),
	text.New("Halfway there. One more uncommon word makes it good."),
	text.New("Good: this would take a long time to guess."),
	text.New("Very good: nobody is going to guess this."),
}

// Weakest is what is said of a password that attackers know.
var Weakest = Strength{Says: says[0]}

// tooShort is said while somebody is still typing.
var tooShort = text.New("Keep going: length is what makes a password strong.")

// typing marks the context of a password that is still being typed.
type typing struct{}

// Typing reports whether a [Known] is asked about a password that is still being
// typed. Then it asks nobody on the network: not even digits of a hash of every
// beginning of a password may leave the house, from which it could be put
// together.
func Typing(ctx context.Context) bool { return ctx.Value(typing{}) != nil }

// Weigh says how strong a password is and whether the rules take it: the answer
// of the meter and the answer to the form come from one place, so that they
// cannot disagree. The person's own words count as words that an attacker tries
// first. It keeps nothing.
func (r Rules) Weigh(ctx context.Context, chosen secret.String, about About) (Strength, error) {
	var s Strength
	_, err := r.Check(context.WithValue(ctx, typing{}, true), chosen, about)
	if s.Refused = fault.As(err); err != nil && s.Refused == nil {
		return Strength{}, err
	}
	p, ok := Normalise(chosen)
	if !ok {
		return Strength{Refused: s.Refused, Says: says[0]}, nil
	}
	short := utf8.RuneCountInString(p.Reveal()) < about.Least()
	if s.Refused == nil || short { // otherwise attackers know it, which the estimate does not
		s.Score, _ = Score(p.Reveal(), r.words(about))
	}
	s.Says = says[s.Score]
	if s.Score > 0 && short {
		s.Says = tooShort
	}
	return s, nil
}

// words are those that an attacker would try first.
func (r Rules) words(about About) []string {
	var all []string
	for _, w := range append([]string{about.Email, about.Name}, append(about.Words, r.Service...)...) {
		all = append(all, parts(w)...)
	}
	return all
}

// glance is how much of a password shows that it is no common one.
const glance = 24

// guessed reports whether a password is among the first thousand guesses of
// anybody: a common one, or one key pressed again and again. Of a longer one
// than is weighed nobody knows.
func guessed(p string) bool {
	n := utf8.RuneCountInString(p)
	if n > scored {
		return false
	}
	if n > glance {
		// Where the beginning takes so many guesses, the whole takes more: this
		// bounds the work.
		if score, _ := Score(string([]rune(p)[:glance]), nil); score > 1 {
			return false
		}
	}
	score, _ := Score(p, nil)
	return score == 0
}
