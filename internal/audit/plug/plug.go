// Package plug plugs package audit into Troth: the public log that anybody may
// fetch and check, the pages on which people read their own activity and
// administrators that of their organisation, an event with its proof, the
// commands of the operator, the expiry of old events, and the claim E1 with the
// check that exercises it.
//
// The public log is served as C2SP tlog-tiles has it, under /-/log/. Tiles,
// bundles and evidence never change and say so; the checkpoint is never kept by
// a cache. Nobody is authenticated there: what is public costs a stranger
// nothing and tells nothing about who asks.
//
// A person sees the events in which they are the actor or the target, in
// whatever tenant. The events of a tenant are for its administrators. An event
// that somebody may not see does not exist for them.
package plug

import (
	"context"
	"embed"
	"net/http"
	"time"

	"troth/internal/access"
	"troth/internal/audit"
	"troth/internal/jobs"
	"troth/internal/part"
	"troth/internal/retention"
	"troth/internal/web"
)

//go:embed pages
var pages embed.FS

// The permissions of this part.
const (
	PermOwn  access.Permission = "audit.own"
	PermRead access.Permission = "audit.read"
)

type plug struct {
	log    *audit.Log
	config *Config
	now    func() time.Time
}

// New describes package audit to the rest of the house. The log may be nil
// where nothing is served, as for the list of commands.
func New(log *audit.Log, config *Config, now func() time.Time) part.Part {
	p := &plug{log: log, config: config, now: now}
	return part.Part{
		Name: "audit", Config: config.Sections(), Migrations: audit.Migrations, Tables: audit.Tables,
		Permissions: []access.Grant{
			{Permission: PermOwn, Doc: "see what was done in your name or to you", Self: true},
			{Permission: PermRead, Doc: "see everything that was done in the organisation", Roles: access.AtLeast(access.Admin)},
		},
		Events: audit.Events, Routes: p.routes(), Nav: nav, Pages: part.Pages(pages),
		Jobs: p.jobs(), Retention: p.retention(), Commands: commands(), Claims: p.claims(),
	}
}

var nav = []web.NavItem{
	{Section: "You", Label: "Activity", Path: "/-/account/activity", Icon: "activity", Needs: PermOwn, Order: 12},
	{Section: "Organisation", Label: "Activity", Path: "/-/org/activity", Icon: "activity", Needs: PermRead, Order: 230},
}

func (p *plug) routes() []web.Route {
	const (
		get    = http.MethodGet
		anyone = "anybody may fetch the log and check it"
	)
	event := map[string]string{"event": "evt_00000000000000000000000000"}
	return []web.Route{
		{Method: get, Path: "/-/log/checkpoint", Public: anyone, Anonymous: true, Doc: "The newest signed checkpoint of the log (C2SP tlog-checkpoint).", Handle: p.checkpoint},
		{Method: get, Path: "/-/log/vkey", Public: anyone, Anonymous: true, Doc: "The key that the log is checked with (C2SP signed-note).", Handle: p.vkey},
		{Method: get, Path: "/-/log/tile/{path...}", Public: anyone, Anonymous: true, Doc: "A tile of hashes or a bundle of entries (C2SP tlog-tiles).", Handle: p.tile,
			Example: map[string]string{"path": "0/000"}},
		{Method: get, Path: "/-/log/evidence/{digest}", Public: anyone, Anonymous: true, Doc: "A piece of evidence (DSSE), by its SHA-256 digest.", Handle: p.evidence,
			Example: map[string]string{"digest": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}},

		{Method: get, Path: "/-/account/activity", Needs: PermOwn, Doc: "What was done in the own name or to oneself, also as JSON.", Handle: p.own},
		{Method: get, Path: "/-/org/activity", Needs: PermRead, Doc: "What was done in the organisation, also as JSON.", Handle: p.organisation},
		{Method: get, Path: "/-/events/{event}", Needs: PermOwn, Doc: "One event with its proof, also as JSON.", Handle: p.event, Example: event},
		{Method: get, Path: "/-/events/{event}/proof.json", Needs: PermOwn, Doc: "The proof of one event, to be checked offline.", Handle: p.proof, Example: event},
	}
}

func (p *plug) jobs() []jobs.Periodic {
	if p.log == nil {
		return nil
	}
	return []jobs.Periodic{
		{Name: "audit.months", Every: 6 * time.Hour, Alarm: 7 * 24 * time.Hour, Timeout: time.Minute, Run: p.log.PrepareMonths},
		{Name: "audit.expire", Every: 12 * time.Hour, Alarm: 3 * 24 * time.Hour, Timeout: 10 * time.Minute, Run: p.expire},
	}
}

// expire destroys the months that are older than the configuration keeps.
func (p *plug) expire(ctx context.Context) error {
	now := p.now()
	for class, months := range map[string]int{audit.ClassAudit: p.config.KeepMonths, audit.ClassAccess: p.config.KeepRequestsMonths} {
		if _, err := p.log.Expire(ctx, class, now.Sub(now.AddDate(0, -months, 0))); err != nil {
			return err
		}
	}
	return nil
}

// retention says how long rows are kept. What expires does so month by month,
// by the job audit.expire, because a key is destroyed with it.
func (p *plug) retention() []retention.Rule {
	const expires = "Until the event's month expires (log.keep_months, log.keep_requests_months): then its key is destroyed, its table dropped and this row deleted."
	const forever = "As long as the installation: the log is never pruned, so that what was published can be checked for ever. It holds digests and identifiers, nothing personal."
	return []retention.Rule{
		{Table: "audit_event", Keep: expires},
		{Table: "audit_person", Keep: expires},
		{Table: "audit_month", Keep: "As long as the month's table, audit_payload_CLASS_YYYYMM, in which payloads are sealed."},
		{Table: "audit_pending", Keep: "Until the sequencer has made a leaf of it, usually a quarter of a second."},
		{Table: "log_head", Keep: forever},
		{Table: "log_leaf", Keep: forever},
		{Table: "log_tile", Keep: forever},
		{Table: "log_checkpoint", Keep: forever},
		{Table: "log_evidence", Keep: "As long as the installation: evidence is public and is cited by its digest in the log."},
	}
}
