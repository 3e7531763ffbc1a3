package app

import (
	"context"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"troth/internal/access"
	"troth/internal/audit"
	"troth/internal/jobs"
	"troth/internal/part"
	"troth/internal/retention"
	"troth/internal/trust"
	"troth/internal/web"
)

// TestRefusesToStartOnGaps adds one bad part at a time to the real ones.
func TestRefusesToStartOnGaps(t *testing.T) {
	t.Parallel()
	answer := func(*web.Request) error { return nil }
	passes := []trust.Check{{Name: "test.check", Version: 1, Method: "It looks.", Run: func(context.Context, trust.Bench) (trust.Result, error) { return trust.Result{}, nil }}}
	for says, bad := range map[string]part.Part{
		`the part "account" stands in the parts account and account`: {Name: "account"},
		`a part has no name`: {},
		`the permission "tenant.invite" stands in the parts tenant and bad`:            {Permissions: []access.Grant{{Permission: "tenant.invite"}}},
		`the event "account.signed_in" stands in the parts account and bad`:            {Events: []audit.Type{{Name: "account.signed_in", Sentence: "{actor} came"}}},
		`the event "bad.done" of bad has no sentence`:                                  {Events: []audit.Type{{Name: "bad.done"}}},
		`the route "GET /-/trust" stands in the parts trust and bad`:                   {Routes: []web.Route{{Method: "GET", Path: "/-/trust", Public: "why", Handle: answer}}},
		`the route "GET /-/bad" of bad needs a permission, or Public with the reason`:  {Routes: []web.Route{{Method: "GET", Path: "/-/bad", Handle: answer}}},
		`the route "GET /-/both" of bad needs a permission, or Public with the reason`: {Routes: []web.Route{{Method: "GET", Path: "/-/both", Needs: "tenant.own", Public: "why", Handle: answer}}},
		`the job "tenant.shred" stands in the parts tenant and bad`:                    {Jobs: []jobs.Periodic{{Name: "tenant.shred"}}},
		`the claim "A1" stands in the parts account and bad`:                           {Claims: []trust.Claim{{ID: "A1", Checks: passes}}},
		`the claim "I4" of bad has no check`:                                           {Claims: []trust.Claim{{ID: "I4"}}},
		`the table "session" stands in the parts account and bad`:                      {Tables: []string{"session"}},
		`the table bad_row has no retention rule`:                                      {Tables: []string{"bad_row"}},
		`there is a retention rule for the table "bad_row", which does not exist`:      {Retention: []retention.Rule{{Table: "bad_row", Keep: "for ever, because"}}},
		`the retention rule of the table bad_row does not say how long and why`:        {Tables: []string{"bad_row"}, Retention: []retention.Rule{{Table: "bad_row"}}},
		`the table session has two retention rules`:                                    {Retention: []retention.Rule{{Table: "session", Keep: "for ever, because"}}},
	} {
		if bad.Name == "" && says != "a part has no name" {
			bad.Name = "bad"
		}
		h := plan(t)
		h.o.more = []part.Part{bad}
		in, err := open(t.Context(), h.set, h.o)
		if err == nil {
			in.Close()
			t.Errorf("it starts although %s", says)
			continue
		}
		if !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), "does not start") {
			t.Errorf("it says %q instead of %q", err, says)
		}
	}
}

// TestRefusesToStartOnLaterGaps are those that only show when the parts are
// put to use.
func TestRefusesToStartOnLaterGaps(t *testing.T) {
	t.Parallel()
	answer := func(*web.Request) error { return nil }
	for says, bad := range map[string]part.Part{
		"nobody": {Permissions: []access.Grant{{Permission: "bad.do", Doc: "do it"}}},
		`needs the permission "bad.unknown", which no part registers`:   {Routes: []web.Route{{Method: "GET", Path: "/-/bad", Needs: "bad.unknown", Handle: answer}}},
		`the menu item "Bad" of bad needs the permission "bad.unknown"`: {Nav: []web.NavItem{{Section: "You", Label: "Bad", Path: "/-/", Needs: "bad.unknown"}}},
		"has no handler":            {Routes: []web.Route{{Method: "GET", Path: "/-/bad", Public: "why"}}},
		"parsing the page bad/page": {Pages: fstest.MapFS{"bad/page.html": {Data: []byte("{{define")}}},
		"202611211299":              {Migrations: fstest.MapFS{"202611211299_bad.sql": {Data: []byte("-- +goose Up\nCREATE NONSENSE;\n-- +goose Down\nDROP NONSENSE;\n")}}},
	} {
		bad.Name = "bad"
		h := plan(t)
		h.o.more = []part.Part{bad}
		in, err := open(t.Context(), h.set, h.o)
		if err == nil {
			in.Close()
			t.Errorf("it starts with a part of which it should say %q", says)
			continue
		}
		if !strings.Contains(err.Error(), says) {
			t.Errorf("it says %q, not %q", err, says)
		}
	}
}

// TestEveryTableIsAPartsOwn compares what the parts say with what is really in
// the database. Beside it may stand only what the store and the months of the
// log make, which have rules of their own.
func TestEveryTableIsAPartsOwn(t *testing.T) {
	t.Parallel()
	h := raise(t)
	tables, err := h.in.db.Tables(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(tables) < 15 {
		t.Fatalf("found only %d tables", len(tables))
	}
	known := map[string]bool{}
	for _, name := range part.All(h.in.parts, func(p part.Part) []string { return p.Tables }) {
		known[name] = true
	}
	for _, name := range tables {
		if !known[name] && !strings.HasPrefix(name, audit.MonthTables) && !bookkeeping(name) {
			t.Errorf("the table %s belongs to no part, so nothing says how long its rows are kept", name)
		}
		delete(known, name)
	}
	for name := range known {
		t.Errorf("the table %s is a part's and not in the database", name)
	}
}

// bookkeeping reports whether a table holds nothing but what was migrated.
func bookkeeping(name string) bool {
	return name == "store_migration" || strings.HasPrefix(name, "goose_") || strings.HasPrefix(name, "sqlite_")
}

// TestEveryRetentionRuleIsASentence: they are shown to people.
func TestEveryRetentionRuleIsASentence(t *testing.T) {
	for _, r := range part.All(described(), func(p part.Part) []retention.Rule { return p.Retention }) {
		if len(strings.Fields(r.Keep)) < 3 {
			t.Errorf("the rule of %s says %q", r.Table, r.Keep)
		}
	}
}

// TestEveryTemplateIsTranslatable lints the pages of all parts.
func TestEveryTemplateIsTranslatable(t *testing.T) {
	pages := 0
	for _, p := range described() {
		if p.Pages == nil {
			continue
		}
		err := fs.WalkDir(p.Pages, ".", func(name string, d fs.DirEntry, err error) error {
			if err == nil && strings.HasSuffix(name, ".html") {
				pages++
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range web.LintTemplates(p.Pages) {
			t.Errorf("%s: %s", p.Name, found)
		}
	}
	if pages < 20 {
		t.Fatalf("found only %d templates", pages)
	}
}

// TestSecondLifeKeepsTheSchema: opening twice changes nothing.
func TestSecondLifeKeepsTheSchema(t *testing.T) {
	t.Parallel()
	h := raise(t)
	first, err := h.in.db.Tables(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := h.halt(); err != nil {
		t.Fatal(err)
	}
	again := over(t, h.set, h.clock)
	again.serve()
	second, err := again.in.db.Tables(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if strings.Join(first, " ") != strings.Join(second, " ") {
		t.Errorf("the second start changed the tables: %v, %v", first, second)
	}
}
