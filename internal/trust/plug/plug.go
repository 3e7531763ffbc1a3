// Package plug plugs package trust into Troth: the public trust page and its
// JSON document, the commands `troth claims` and `troth verify`, the job that
// exercises what is due, and the claims J1 and J2.
//
// The page shows what package trust derives and nothing else: no handler here
// knows a status that is not in a record. `troth verify` needs no installation:
// it reads from outside and uses package verify alone.
package plug

import (
	"embed"
	"net/http"
	"sync"

	"troth/internal/jobs"
	"troth/internal/part"
	"troth/internal/retention"
	"troth/internal/trust"
	"troth/internal/web"
)

//go:embed pages/trust/*.html
var pages embed.FS

// Options are what the plug needs besides the claims.
type Options struct {
	// Trust returns the claims' state. It is called when a page, a job or a
	// check needs it, not before: trust is made of the claims of all parts, this
	// one's included. Nil where nothing is served.
	Trust func() *trust.Trust

	// Bench is what the job exercises with; an error until the front door stands.
	Bench func() (trust.Bench, error)

	// CA is the path of the local authority's certificate as a reader of the
	// page may know it ("data/ca.pem"), or "" with a public certificate.
	CA string
}

// plug is package trust as pages.
type plug struct {
	Options
	seen   sync.Mutex
	signed []byte // the newest checkpoint that the check of J2 saw
}

// New describes package trust to the rest of the house.
func New(o Options) part.Part { return (&plug{Options: o}).part() }

func (p *plug) part() part.Part {
	out := part.Part{
		Name: "trust", Migrations: trust.Migrations, Tables: trust.Tables, Events: trust.Events(),
		Routes: p.routes(), Pages: part.Pages(pages), Claims: p.claims(), Commands: commands(), Retention: retained,
	}
	if p.Trust != nil && p.Bench != nil {
		out.Jobs = []jobs.Periodic{trust.Job(p.Trust, p.Bench)}
	}
	return out
}

var retained = []retention.Rule{
	{Table: "trust_run", Keep: "Runs of checks are kept for about thirteen months, the newest of each check for longer: the status of a claim follows from it. Their evidence stays in the public log.", Sweep: trust.Sweep},
	{Table: "trust_check", Keep: "Since when each check is waited for is kept as long as the installation: it says nothing about anybody."},
	{Table: "trust_canary", Keep: "The credentials of the synthetic customer are kept, sealed, as long as the installation: its accounts are used again instead of adding up."},
}

func (p *plug) routes() []web.Route {
	const why = "strangers read what is promised, and how it is proven, before they trust the service with anything"
	return []web.Route{
		{Method: http.MethodGet, Path: "/-/trust", Public: why, Doc: "The claims, each with its status and evidence.", Handle: p.index},
		{Method: http.MethodGet, Path: "/-/trust/{id}", Public: why, Doc: "One claim with its checks and its history.", Handle: p.one, Example: map[string]string{"id": "J1"}},
		{Method: http.MethodGet, Path: "/-/trust.json", Public: why, Doc: "The trust document, for programs.", Handle: p.document, Anonymous: true},
	}
}
