package app

import (
	"context"
	"io/fs"

	accessplug "troth/internal/access/plug"
	accountplug "troth/internal/account/plug"
	auditplug "troth/internal/audit/plug"
	backupplug "troth/internal/backup/plug"
	breachplug "troth/internal/breach/plug"
	edgeplug "troth/internal/edge/plug"
	factorplug "troth/internal/factor/plug"
	"troth/internal/jobs"
	keysplug "troth/internal/keys/plug"
	mailplug "troth/internal/mail/plug"
	"troth/internal/part"
	passkeyplug "troth/internal/passkey/plug"
	placeplug "troth/internal/place/plug"
	"troth/internal/retention"
	smsplug "troth/internal/sms/plug"
	"troth/internal/store"
	tenantplug "troth/internal/tenant/plug"
	throttleplug "troth/internal/throttle/plug"
	trustplug "troth/internal/trust/plug"
	"troth/internal/web"
)

// list is the one slice of parts: adding a capability is a folder and a line
// here. It is asked for before anything is open too, for what a part says
// about itself: commands, tables, permissions, events, configuration.
func (in *Installation) list() []part.Part {
	return append([]part.Part{
		foundation(),
		keysplug.New(keysplug.Deps{Keys: in.keyring(), DB: in.store(), Data: in.set.Data, Skip: []string{in.set.rootDir()}, Backup: in.backupForCheck}),
		auditplug.New(in.audit, &in.set.log, in.now),
		accessplug.New(),
		throttleplug.New(),
		mailplug.New(mailplug.Deps{Mailer: in.mailer, SMTP: in.smtp, Dev: in.devMail}),
		placeplug.New(in.atlas, &in.set.place, in.now),
		smsplug.New(smsplug.Deps{Texts: in.texts, Config: &in.set.sms, Dev: in.devTexts}),
		trustplug.New(trustplug.Options{Trust: in.Trust, Bench: in.bench, CA: in.set.publicAuthority()}),
		accountplug.New(in.accounts, &in.set.account),
		passkeyplug.New(passkeyplug.Deps{Passkeys: in.passkeys, Holders: holders{in}, Config: &in.set.passkey, Origin: in.set.site.Origin}),
		factorplug.New(factorplug.Deps{Factors: in.factors, Config: &in.set.factor, Passkeys: in.listPasskeys}),
		tenantplug.New(&tenantplug.Deps{Tenants: in.tenants, Switcher: in.accounts, Access: in.access}),
		breachplug.New(breachplug.Deps{Lists: in.breaches, Config: &in.set.breach, Pairs: pairs{in}, Now: in.now}),
		backupplug.New(backupplug.Deps{Source: in, Places: placesFor, Now: in.now}),
		edgeplug.New(in.edgeDeps()),
	}, in.more...)
}

// edgeDeps are what the front door's own part needs. The door is made last, so
// they are looked up when they are asked for.
func (in *Installation) edgeDeps() edgeplug.Deps {
	d := edgeplug.Deps{Signer: in.signer, Chain: in.secondChain, DB: in.store(), Tap: in.tap}
	d.Routes = func() []web.Route { return part.All(in.parts, func(p part.Part) []web.Route { return p.Routes }) }
	d.Ready = func() (bool, []string) { return in.edge.Ready() }
	d.Flush = func(ctx context.Context) error { return in.audit.Flush(ctx) }
	return d
}

// foundation is what the floors without a plug of their own bring.
func foundation() part.Part {
	return part.Part{
		Name:   "foundation",
		Tables: []string{"job", "store_change"},
		Retention: []retention.Rule{
			{Table: "job", Keep: "Until the work is done or given up, and then for a week, so that its failure can be looked into. Payloads hold identifiers only."},
			{Table: "store_change", Keep: "For minutes: a change that every node has read is of no use any more."},
		},
	}
}

func migrations(parts []part.Part) []fs.FS {
	dirs := []fs.FS{store.Migrations, jobs.Migrations}
	for _, p := range parts {
		if p.Migrations != nil {
			dirs = append(dirs, p.Migrations)
		}
	}
	return dirs
}

func pagesOf(parts []part.Part) []fs.FS {
	var dirs []fs.FS
	for _, p := range parts {
		if p.Pages != nil {
			dirs = append(dirs, p.Pages)
		}
	}
	return dirs
}
