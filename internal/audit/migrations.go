package audit

import "embed"

// Migrations is the schema: events and trees. The tables of months are made as
// they are needed, see [Log.PrepareMonths].
//
//go:embed migrations/*.sql
var Migrations embed.FS
