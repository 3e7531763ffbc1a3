package plug

import (
	"errors"
	"testing"
	"time"

	"troth/internal/part"
	"troth/internal/place"
)

func TestPartIsComplete(t *testing.T) {
	p := New(nil, &place.Config{}, time.Now)
	if err := part.Check([]part.Part{p}); err != nil {
		t.Error(err)
	}
	found := p.Doctor[0].Run(t.Context())
	if len(found) != 1 || found[0].Grade != part.Good {
		t.Errorf("without a database: %+v", found)
	}
}

// What is wrong comes with what to do about it.
func TestFindings(t *testing.T) {
	now := time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		health place.Health
		want   part.Grade
	}{
		"none":   {place.Health{}, part.Good},
		"fresh":  {place.Health{File: "/f", Type: "T", Built: now.Add(-24 * time.Hour)}, part.Good},
		"old":    {place.Health{File: "/f", Type: "T", Built: now.Add(-2 * old)}, part.Advice},
		"broken": {place.Health{File: "/f", Err: errors.New("there is no such file")}, part.Problem},
	} {
		found := examine(c.health, now)
		if len(found) != 1 || found[0].Grade != c.want || found[0].Remedy.IsZero() != (c.want == part.Good) {
			t.Errorf("%s: %+v", name, found)
		}
	}
}
