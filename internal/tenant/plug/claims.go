package plug

import (
	"time"

	"troth/internal/trust"
)

func (p plug) claims() []trust.Claim {
	return []trust.Claim{
		{
			ID:       "B1",
			Sentence: "What belongs to one organisation is not there for anybody else: its identifiers answer “not found” everywhere else, and one authorization model decides every request.",
			Scope:    "the organisations of this installation, their people, roles and invitations, on Troth's own pages",
			Criteria: []string{"CC6.1", "CC6.3", "A.5.15", "A.8.3", "A.8.22", "PR.AA-05", "PR.IR-01", "AC-3", "AC-4", "SC-4"},
			NotProven: "The content of the application is kept apart by the application, which gets the organisation in a signed assertion with each request; this does not look into it. " +
				"Sharing between organisations does not exist yet. The operator of the host holds the keys and could read everything. " +
				"Two synthetic organisations are tried, not every pair.",
			Fresh: 3 * time.Hour,
			Checks: []trust.Check{{
				Name: "tenant.isolation", Version: 1, Period: time.Hour, Timeout: 45 * time.Second,
				Method: "Two synthetic customers each have an organisation with a person and an open invitation. One of them uses the identifiers of the other's on every page and form that takes one, " +
					"and looks for its name on all own pages; a stranger tries the same. Each answer must be that of an identifier that never existed, and the other organisation must look afterwards as it did before.",
				Run: p.isolation,
			}},
		},
		{
			ID:       "B2",
			Sentence: "Whoever adds a person chooses the role, which gives no more than the work needs; a role can be changed or taken away at any time, and the very next request obeys: power that is taken away is gone, and whoever gets more signs in again first.",
			Scope:    "every organisation of this installation",
			Criteria: []string{"CC6.1", "CC6.3", "A.5.15", "A.8.2", "A.8.3", "PR.AA-05", "AC-3", "AC-5", "AC-6"},
			NotProven: "What the application does with the role that it is told is the application's. An assertion that the application has already received stays valid for its 60 seconds. " +
				"On other nodes of the same installation a change is obeyed within a second, which this check sees only if the front door spreads its requests over them. " +
				"Whether an organisation gives its people roles that fit their work is for the organisation to say.",
			Fresh: 3 * time.Hour,
			Checks: []trust.Check{{
				Name: "tenant.roles_at_once", Version: 3, Period: time.Hour, Timeout: 45 * time.Second,
				Method: "A synthetic owner invites a second synthetic person as a viewer, then makes that person a member, an admin and a viewer again, and removes them. " +
					"Each time that the role is raised, the session of that person must have ended with the next request, and another one begins. After each step that person tries what the role allows and what it does not, with the next request; as an admin it also tries to make owners and to touch the owner. After the removal it also sends a form of the organisation that was still open, which must be refused as such and not act elsewhere.",
				Run: p.rolesAtOnce,
			}},
		},
	}
}
