package plug

import (
	"strings"
	"testing"

	"troth/internal/part"
	"troth/internal/passkey"
	"troth/internal/web"
)

// described is the part as the list of commands has it: nothing is open yet.
func described() part.Part {
	c := passkey.Defaults()
	return New(Deps{Config: &c, Origin: "https://app.example.org"})
}

// The pages themselves are walked through in package app and in a browser.
func TestTemplates(t *testing.T) {
	for _, finding := range web.LintTemplates(described().Pages) {
		t.Error(finding)
	}
}

// Whatever changes a passkey asks again who it is, and its page too, so that
// nobody fills in a form in vain.
func TestChangesAskAgain(t *testing.T) {
	p := described()
	if err := web.Check(p.Routes); err != nil {
		t.Fatal(err)
	}
	changes := 0
	for _, r := range p.Routes {
		if r.Needs == "" {
			continue
		}
		if r.Path != pathList {
			changes++
			if !r.Recent {
				t.Errorf("%s does not ask again", r.Pattern())
			}
		}
		if r.Needs != permOwn || strings.Contains(r.Path, "{account}") {
			t.Errorf("%s is not for the own account alone", r.Pattern())
		}
	}
	if changes != 7 {
		t.Errorf("%d routes change something", changes)
	}
}

// Everything that is kept has a rule, everything that happens a sentence.
func TestDescribed(t *testing.T) {
	p := described()
	if len(p.Tables) != len(p.Retention) || len(p.Events) == 0 || len(p.Config) != 1 {
		t.Errorf("%d tables, %d rules, %d events, %d sections", len(p.Tables), len(p.Retention), len(p.Events), len(p.Config))
	}
	for _, e := range p.Events {
		if !strings.HasPrefix(e.Name, "passkey.") || !strings.Contains(e.Sentence, "{actor}") {
			t.Errorf("%s: %s", e.Name, e.Sentence)
		}
	}
}
