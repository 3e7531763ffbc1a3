package audit

import "embed"

// Migrations is the schema: events and trees. The tables of months are made as
// they are needed, see [Log.PrepareMonths].
//
//go:embed migrations/*.sql
var Migrations embed.FS

// Tables are the tables that the migrations make. Beside them stand the tables
// of months, whose names begin with [MonthTables].
var Tables = []string{
	"audit_event", "audit_person", "audit_pending", "audit_month",
	"log_head", "log_leaf", "log_tile", "log_checkpoint", "log_evidence",
}

// MonthTables begins the name of every table of a month.
const MonthTables = "audit_payload_"
