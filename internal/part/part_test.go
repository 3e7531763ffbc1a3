package part_test

import (
	"strings"
	"testing"

	"troth/internal/access"
	"troth/internal/audit"
	"troth/internal/jobs"
	"troth/internal/part"
	"troth/internal/retention"
	"troth/internal/trust"
	"troth/internal/web"
)

// whole is a part without gaps.
func whole() part.Part {
	return part.Part{
		Name: "garden", Tables: []string{"garden_bed"},
		Permissions: []access.Grant{{Permission: "garden.dig", Doc: "dig", Roles: access.AtLeast(access.Member)}},
		Events:      []audit.Type{{Name: "garden.dug", Sentence: "{actor} dug"}},
		Routes:      []web.Route{{Method: "GET", Path: "/-/garden", Needs: "garden.dig"}},
		Jobs:        []jobs.Periodic{{Name: "garden.water"}},
		Claims:      []trust.Claim{{ID: "A1", Checks: []trust.Check{{Name: "garden.check"}}}},
		Retention:   []retention.Rule{{Table: "garden_bed", Keep: "Until it is harvested."}},
	}
}

func TestAPartWithoutGapsPasses(t *testing.T) {
	if err := part.Check([]part.Part{whole()}); err != nil {
		t.Error(err)
	}
}

func TestEveryGapIsNamed(t *testing.T) {
	for want, spoil := range map[string]func(*part.Part){
		"has no name":                      func(p *part.Part) { p.Name = "" },
		`"garden.dug" of garden has no`:    func(p *part.Part) { p.Events[0].Sentence = "" },
		"needs a permission, or Public":    func(p *part.Part) { p.Routes[0].Needs = "" },
		"exactly one of them":              func(p *part.Part) { p.Routes[0].Public = "why" },
		`"A1" of garden has no check`:      func(p *part.Part) { p.Claims[0].Checks = nil },
		"garden_bed has no retention":      func(p *part.Part) { p.Retention = nil },
		"which does not exist":             func(p *part.Part) { p.Tables = nil },
		`the event "garden.dug" stands in`: func(p *part.Part) { p.Events = append(p.Events, p.Events[0]) },
		`the job "garden.water" stands in`: func(p *part.Part) { p.Jobs = append(p.Jobs, p.Jobs[0]) },
		`the claim "A1" stands in`:         func(p *part.Part) { p.Claims = append(p.Claims, p.Claims[0]) },
		`the table "garden_bed" stands in`: func(p *part.Part) { p.Tables = append(p.Tables, p.Tables[0]) },
	} {
		p := whole()
		spoil(&p)
		if err := part.Check([]part.Part{p}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the gap %q was not named: %v", want, err)
		}
	}
}

func TestTwoPartsDoNotShareNames(t *testing.T) {
	other := whole()
	other.Name = "orchard"
	err := part.Check([]part.Part{whole(), other})
	if err == nil {
		t.Fatal("they do")
	}
	for _, want := range []string{`permission "garden.dig" stands in the parts garden and orchard`, `route "GET /-/garden"`, `claim "A1"`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in %v", want, err)
		}
	}
}

func TestAllJoinsInOrder(t *testing.T) {
	a, b := whole(), whole()
	b.Tables = []string{"second"}
	got := part.All([]part.Part{a, b}, func(p part.Part) []string { return p.Tables })
	if len(got) != 2 || got[0] != "garden_bed" || got[1] != "second" {
		t.Errorf("got %v", got)
	}
}
