// Package zxcvbn_test holds the strength meter of package password beside the
// reference implementation of zxcvbn, which node runs.
package zxcvbn_test

import (
	"bytes"
	"encoding/json"
	"math"
	"os/exec"
	"testing"

	"troth/internal/password"
)

type answer struct {
	Score   int     `json:"score"`
	Guesses float64 `json:"guesses"`
}

// reference asks zxcvbn 4.4.2 of npm.
func reference(t *testing.T, asked []question) []answer {
	t.Helper()
	in, err := json.Marshal(asked)
	if err != nil {
		t.Fatal(err)
	}
	node := exec.CommandContext(t.Context(), "node", "score.mjs")
	node.Stdin = bytes.NewReader(in)
	var said bytes.Buffer
	node.Stderr = &said
	out, err := node.Output()
	if err != nil {
		t.Fatalf("running the reference (npm ci --prefix test/zxcvbn): %v\n%s", err, said.String())
	}
	var answers []answer
	if err := json.Unmarshal(out, &answers); err != nil || len(answers) != len(asked) {
		t.Fatalf("the reference answered %d of %d: %v", len(answers), len(asked), err)
	}
	return answers
}

// tolerated is how many numbers of guesses may differ, in a thousand, and by
// how much at most. Known: the library takes 26-00-17 for a date, whose day or
// month is nought, and so counts fewer guesses than the reference does. Scores
// may not differ at all.
const (
	tolerated = 5
	furthest  = 100
	many      = 1e20 // ten thousand million times what makes the best score: not counted exactly
)

func TestAgreesWithTheReference(t *testing.T) {
	asked := corpus()
	if len(asked) < 1000 {
		t.Fatalf("only %d passwords are asked about", len(asked))
	}
	ref := reference(t, asked)
	differ, each := 0, [password.MaxScore + 1]int{}
	for i, q := range asked {
		score, guesses := password.Score(q.Password, q.Words)
		each[score]++
		if score != ref[i].Score {
			t.Errorf("%q %v: score %d, the reference says %d", q.Password, q.Words, score, ref[i].Score)
		}
		if min(guesses, ref[i].Guesses) > many {
			continue
		}
		off := math.Abs(math.Log10(guesses) - math.Log10(ref[i].Guesses))
		if off > 1e-9 {
			differ++
			t.Logf("%q %v: %.4g guesses, the reference says %.4g", q.Password, q.Words, guesses, ref[i].Guesses)
		}
		if off > math.Log10(furthest) {
			t.Errorf("%q %v: %.4g guesses are far from the %.4g of the reference", q.Password, q.Words, guesses, ref[i].Guesses)
		}
	}
	t.Logf("%d passwords, by score %v: all scores are the same, %d numbers of guesses differ", len(asked), each, differ)
	if differ*1000 > tolerated*len(asked) {
		t.Errorf("%d of %d numbers of guesses differ", differ, len(asked))
	}
	for score, n := range each {
		if n < 50 {
			t.Errorf("only %d passwords have the score %d: the comparison is lopsided", n, score)
		}
	}
}
