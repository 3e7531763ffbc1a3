// Package plug is what the decisions plug into Troth: their table, their event
// and its sentence. They have no page of their own: the table of roles is a page
// of the tenants, and a refusal explains itself where it happens.
package plug

import (
	"troth/internal/access"
	"troth/internal/part"
	"troth/internal/retention"
)

// New returns the part.
func New() part.Part {
	return part.Part{
		Name: "access", Migrations: access.Migrations, Tables: access.Tables, Events: access.Events,
		Retention: []retention.Rule{{
			Table: "access_version",
			Keep:  "as long as the tenant exists: a number for each person who has or had a role in it, by which an older decision is recognised",
		}},
	}
}
