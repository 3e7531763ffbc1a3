// Package part is the type of what plugs into Troth.
//
// A capability is one folder with its rules and SQL, and beside it a plug that
// returns one [Part]: everything that the rest of the house needs to know about
// it. The console, the command line, the API description, the tables of the
// documentation and the trust page are rendered from the parts, and nothing is
// listed a second time anywhere.
//
// [Check] finds what must not be: names that stand twice, a route without a
// permission or with one that nobody registered, an event without a sentence, a table without a retention rule, a
// claim without a check. The program does not start on any of them.
//
// A part is a description, not a service locator: nobody looks up another part
// through it.
package part

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"troth/internal/access"
	"troth/internal/audit"
	"troth/internal/cli"
	"troth/internal/config"
	"troth/internal/jobs"
	"troth/internal/retention"
	"troth/internal/text"
	"troth/internal/trust"
	"troth/internal/web"
)

// Part is one capability as it plugs in. Every field but Name may be empty.
type Part struct {
	Name           string // one word of the domain: "account"
	Config         []config.Section
	Migrations     fs.FS
	Tables         []string // the tables that the migrations make
	Permissions    []access.Grant
	Events         []audit.Type
	Routes         []web.Route
	Nav            []web.NavItem
	Pages          fs.FS // templates, "account/sessions.html"
	Authenticators []web.Authenticator
	Jobs           []jobs.Periodic
	Queues         []jobs.Queue
	Claims         []trust.Claim
	Retention      []retention.Rule
	Commands       []cli.Command
	Doctor         []Examination
}

// Examination is one thing that `troth doctor` looks at.
type Examination struct {
	Name string // "keys"
	// Run says what it found, in sentences. It changes nothing, and it returns
	// when ctx ends.
	Run func(ctx context.Context) []Finding
}

// Grade says how a [Finding] is meant.
type Grade string

// The grades.
const (
	Good    Grade = "good"    // as it should be
	Advice  Grade = "advice"  // works, and could be better
	Problem Grade = "problem" // does not work, or will not for long
)

// Finding is one sentence of `troth doctor`, and what to do about it.
type Finding struct {
	Grade  Grade
	Says   text.Text
	Remedy text.Text // empty when there is nothing to do
}

// Fine is a finding that all is well.
func Fine(format string, args ...any) Finding {
	return Finding{Grade: Good, Says: text.New(format, args...)}
}

// Check reports every gap in the parts, one sentence each, joined.
func Check(parts []Part) error {
	var gaps []error
	gap := func(format string, args ...any) { gaps = append(gaps, fmt.Errorf(format, args...)) }
	seen := map[string]string{}
	once := func(kind, name, in string) {
		if other, ok := seen[kind+" "+name]; ok {
			gap("the %s %q stands in the parts %s and %s", kind, name, other, in)
		}
		seen[kind+" "+name] = in
	}
	var tables []string
	var rules []retention.Rule
	granted := map[access.Permission]bool{}
	for _, g := range All(parts, func(p Part) []access.Grant { return p.Permissions }) {
		granted[g.Permission] = true
	}
	for _, p := range parts {
		if p.Name == "" {
			gap("a part has no name")
		}
		once("part", p.Name, p.Name)
		for _, g := range p.Permissions {
			once("permission", string(g.Permission), p.Name)
		}
		for _, e := range p.Events {
			once("event", e.Name, p.Name)
			if e.Sentence == "" {
				gap("the event %q of %s has no sentence", e.Name, p.Name)
			}
		}
		for _, r := range p.Routes {
			once("route", r.Pattern(), p.Name)
			if (r.Needs == "") == (r.Public == "") {
				gap("the route %q of %s needs a permission, or Public with the reason, and exactly one of them", r.Pattern(), p.Name)
			}
			if r.Needs != "" && !granted[r.Needs] {
				gap("the route %q of %s needs the permission %q, which no part registers", r.Pattern(), p.Name, r.Needs)
			}
		}
		for _, n := range p.Nav {
			if n.Needs != "" && !granted[n.Needs] {
				gap("the menu item %q of %s needs the permission %q, which no part registers", n.Label, p.Name, n.Needs)
			}
		}
		for _, j := range p.Jobs {
			once("job", j.Name, p.Name)
		}
		for _, c := range p.Claims {
			once("claim", c.ID, p.Name)
			if len(c.Checks) == 0 {
				gap("the claim %q of %s has no check", c.ID, p.Name)
			}
		}
		for _, t := range p.Tables {
			once("table", t, p.Name)
		}
		tables = append(tables, p.Tables...)
		rules = append(rules, p.Retention...)
	}
	if err := retention.Check(tables, rules); err != nil {
		gaps = append(gaps, err)
	}
	return errors.Join(gaps...)
}

// Pages is the directory "pages" of the files that a plug embeds: its templates.
func Pages(embedded embed.FS) fs.FS {
	pages, err := fs.Sub(embedded, "pages")
	if err != nil {
		panic(err) // cannot happen: the name is a valid path
	}
	return pages
}

// All joins one field of all parts: part.All(parts, func(p part.Part) []web.Route { return p.Routes }).
func All[T any](parts []Part, field func(Part) []T) []T {
	var all []T
	for _, p := range parts {
		all = append(all, field(p)...)
	}
	return all
}
