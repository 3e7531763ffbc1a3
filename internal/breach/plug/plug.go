// Package plug plugs package breach into Troth: the section [breach] of the
// configuration, the commands of troth breach, what the doctor says about the
// lists, a daily look at their checksums, and the claim A6 with the check that
// exercises it.
//
// The verb troth breach pairs, and what happens to somebody whose password was
// found, are package account's.
package plug

import (
	"context"
	"errors"
	"time"

	"troth/internal/access"
	"troth/internal/breach"
	"troth/internal/jobs"
	"troth/internal/part"
	"troth/internal/secret"
	"troth/internal/text"
)

// Deps are what the plug needs. Lists may be nil where nothing is open, as for
// the list of commands.
type Deps struct {
	Lists  *breach.Lists
	Config *breach.Config
	Pairs  Pairs
	Now    func() time.Time
}

// Pairs finds the accounts of breached credentials. Package account fills it.
type Pairs interface {
	// Sweep takes one pair of an address and a password as `troth breach pairs`
	// takes a file of them, and compares what waits. What was found is durable,
	// and those who are told have been sent their mails, when it returns.
	Sweep(ctx context.Context, address string, password secret.String) error
	// Watch is the address of those who are told about the synthetic customer.
	Watch() string
}

type plug struct {
	Deps
	patience time.Duration // how long a mail may take
}

// operator is who types a command, and who runs the installation's own checks.
func operator() access.Subject { return access.System("operator on the host") }

// New returns the part.
func New(d Deps) part.Part {
	p := plug{d, letters}
	whole := part.Part{
		Name: "breach", Config: d.Config.Sections(), Migrations: breach.Migrations, Tables: breach.Tables,
		Events: breach.Events, Retention: breach.Retention, Commands: p.commands(), Claims: p.claims(),
		Doctor: []part.Examination{{Name: "breached passwords", Run: p.examine}},
	}
	if d.Lists != nil {
		whole.Jobs = []jobs.Periodic{{Name: "breach.verify", Every: 24 * time.Hour, Run: d.Lists.Verify}}
	}
	return whole
}

// old is when a list ought to have been imported again: the download grows by
// tens of millions of entries a year.
const old = 180 * 24 * time.Hour

func (p plug) examine(ctx context.Context) []part.Finding {
	s, err := p.Lists.Status(ctx, operator(), false)
	if err != nil {
		return []part.Finding{{Grade: part.Problem, Says: text.New("The lists of breached passwords cannot be looked at: %v.", err), Remedy: text.New("See that the database answers.")}}
	}
	remedy := text.New("Run “troth breach import” on the Pwned Passwords download; docs/accounts.md says how to get it.")
	if len(s.Lists) == 0 {
		return []part.Finding{{Grade: part.Advice, Says: text.New("No list of breached passwords was imported: only the %d common ones that ship inside are refused.", s.Common), Remedy: remedy}}
	}
	var found []part.Finding
	for _, l := range s.Lists {
		switch {
		case l.Problem != "":
			found = append(found, part.Finding{Grade: part.Problem, Says: text.New("The list of breached passwords (%s) cannot be used, so nobody can choose a password: %s.", string(l.Kind), l.Problem), Remedy: text.New("Import it again, or remove the file in %s.", s.Dir)})
		case p.Now().Sub(l.NewestAt) > old:
			found = append(found, part.Finding{Grade: part.Advice, Says: text.New("The list of breached passwords (%s) is from %s.", string(l.Kind), l.NewestAt.Format(time.DateOnly)), Remedy: remedy})
		default:
			found = append(found, part.Fine("The list of breached passwords (%s) has %d entries and was imported on %s.", string(l.Kind), l.Entries, l.ImportedAt.Format(time.DateOnly)))
		}
	}
	return found
}

// errNoLists is a command on an installation without lists.
var errNoLists = errors.New("the installation has no lists of breached passwords")
