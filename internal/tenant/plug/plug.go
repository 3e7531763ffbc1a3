// Package plug is what the tenants plug into Troth: the pages of an
// organisation, its invitations and what it asks of signing in, two claims with
// their checks (isolation of tenants, B1; roles with effect at once, B2), the
// command line and the retention rules.
//
// The pages work in the tenant in which the reader works: no address of a page
// names another one. Identifiers in an address (a person, an invitation) are
// looked up in that tenant, and one that means nothing there is "not found". A
// page offers what it would also do; the domain decides again when it is asked.
// Every change is a form that works without JavaScript and ends in a 303.
package plug

import (
	"context"
	"embed"
	"time"

	"troth/internal/access"
	"troth/internal/id"
	"troth/internal/jobs"
	"troth/internal/part"
	"troth/internal/retention"
	"troth/internal/store"
	"troth/internal/tenant"
	"troth/internal/web"
)

//go:embed all:pages
var pages embed.FS

// Switcher makes a tenant the current one of the session that asks. Package
// account fills it.
type Switcher interface {
	// Switch is durable when it returns, and obeyed by the next request. A
	// tenant in which the person has no role is fault.NotFound.
	Switch(ctx context.Context, by access.Subject, to id.Tenant) error
}

// Deps are what the plug needs. They may be zero where nothing is served, as for
// the list of commands.
type Deps struct {
	Tenants  *tenant.Tenants
	Switcher Switcher
	Access   *access.Access // for the table of roles
}

type plug struct{ Deps }

// New returns the part.
func New(d *Deps) part.Part {
	p := plug{*d}
	return part.Part{
		Name: "tenant", Migrations: tenant.Migrations, Tables: tenant.Tables,
		Permissions: tenant.Grants(), Events: tenant.Events,
		Routes: p.routes(), Pages: part.Pages(pages),
		Nav: []web.NavItem{
			{Section: "Organisation", Label: "Overview", Path: "/-/org/", Icon: "organisation", Needs: tenant.PermOwn, Order: 200},
			{Section: "Organisation", Label: "People", Path: "/-/org/people", Icon: "people", Needs: tenant.PermPeople, Order: 210, Shared: true},
			{Section: "Organisation", Label: "Roles", Path: "/-/org/roles", Icon: "key", Needs: tenant.PermRead, Order: 220, Shared: true},
			{Section: "Organisation", Label: "Signing in", Path: "/-/org/security", Icon: "lock", Needs: tenant.PermPolicy, Order: 230, Shared: true},
		},
		Jobs:      p.jobs(),
		Retention: rules(),
		Claims:    p.claims(),
		Commands:  commands(),
	}
}

func (p plug) jobs() []jobs.Periodic {
	if p.Tenants == nil {
		return nil
	}
	return []jobs.Periodic{{Name: "tenant.shred", Every: 10 * time.Minute, Alarm: time.Hour, Timeout: 5 * time.Minute, Run: p.Tenants.Shred}}
}

func rules() []retention.Rule {
	return []retention.Rule{
		{Table: "tenant", Keep: "as long as the tenant exists; afterwards its identifier, kind and dates without the name, so that the identifier is never used again"},
		{Table: "tenant_policy", Keep: "as long as the organisation asks for a second factor"},
		{Table: "tenant_person", Keep: "as long as the person is in the tenant"},
		{
			Table: "tenant_invitation", Every: time.Hour,
			Keep: "the address until the invitation is answered, revoked or seven days old; the rest for another 30 days, so that a used link can say so",
			Sweep: func(_ context.Context, tx *store.Tx, now time.Time) (int64, error) {
				return tenant.ExpireTx(tx, now)
			},
		},
	}
}
