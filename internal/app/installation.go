package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"troth/internal/access"
	"troth/internal/account"
	"troth/internal/audit"
	"troth/internal/backup"
	backupplug "troth/internal/backup/plug"
	"troth/internal/breach"
	"troth/internal/cli"
	"troth/internal/edge"
	edgeplug "troth/internal/edge/plug"
	"troth/internal/factor"
	"troth/internal/fault"
	"troth/internal/jobs"
	"troth/internal/keys"
	"troth/internal/mail"
	"troth/internal/part"
	"troth/internal/passkey"
	"troth/internal/password"
	"troth/internal/place"
	"troth/internal/retention"
	"troth/internal/secret"
	"troth/internal/sms"
	"troth/internal/store"
	"troth/internal/tenant"
	"troth/internal/text"
	"troth/internal/throttle"
	"troth/internal/trust"
	"troth/internal/web"
)

// Installation is one opened Troth: everything wired, nothing listening yet.
type Installation struct {
	set *Settings
	log *slog.Logger // through tap
	tap *edgeplug.Tap
	now func() time.Time

	*data
	audit    *audit.Log
	access   *access.Access
	mailer   *mail.Mailer
	throttle *throttle.Throttle
	texts    *sms.Texts
	factors  *factor.Factors
	jobs     *jobs.Jobs
	atlas    *place.Atlas
	breaches *breach.Lists
	accounts *account.Accounts
	tenants  *tenant.Tenants
	passkeys *passkey.Passkeys
	trust    *trust.Trust
	signer   *edge.Signer
	edge     *edge.Edge
	canary   *mail.Canary
	smtp     *mail.SMTP       // nil without a mail server
	devMail  *mail.DevMailbox // nil but in development without a mail server
	devTexts *sms.DevBox      // nil but in development without a service for texts

	certificates edge.Certificates
	parts        []part.Part
	idle         bool         // see options
	more         []part.Part  // see options
	stop         func() error // ends what Bench started; nil if nothing was

	ending context.Context // ends when run is told to: periodic work goes no further
	end    context.CancelFunc
}

// options are what can differ between the installations of one process.
type options struct {
	now     func() time.Time
	log     *slog.Logger
	faults  faults
	hashing password.Hashing // nil: at the calibrated cost
	idle    bool             // no periodic work: nothing is exercised, swept or rotated
	more    []part.Part      // beside those of list: a part with a gap, to see that it stops the program
}

// open wires an installation over the settings and prepares it to serve. What
// it opened is closed again when it fails.
func open(ctx context.Context, set *Settings, o options) (*Installation, error) {
	in := &Installation{set: set, now: o.now, tap: edgeplug.NewTap(o.log.Handler()), idle: o.idle, more: o.more}
	in.log = slog.New(in.tap)
	o.log = in.log
	in.ending, in.end = context.WithCancel(context.WithoutCancel(ctx))
	var err error
	if in.data, err = openData(ctx, set, o); err != nil {
		return nil, err
	}
	for _, step := range []func(context.Context, options) error{
		in.migrate, in.openLog, in.openPeople, in.openTrust, in.openDoor,
	} {
		if err := step(ctx, o); err != nil {
			return nil, errors.Join(err, in.data.close())
		}
	}
	return in, nil
}

// keysTopic is the topic of the change feed under which nodes tell each other
// of destroyed keys.
const keysTopic = "keys"

// watchKeys makes every node forget a key that any of them destroyed.
func (in *Installation) watchKeys() {
	in.db.Watch(keysTopic, func(ref string) {
		if ref == "" {
			in.keys.Evict() // anything may have changed
			return
		}
		in.keys.Evict(keys.Ref(ref))
	})
	in.keys.Announce(func(ctx context.Context, destroyed []keys.Ref) error {
		return in.db.Write(ctx, func(tx *store.Tx) error {
			tx.Unaudited("tells the other nodes what an audited action has destroyed")
			for _, ref := range destroyed {
				tx.Changed(keysTopic, string(ref))
			}
			return nil
		})
	})
}

// migrate brings the schema up to date. The parts describe themselves before
// anything of them is open.
func (in *Installation) migrate(ctx context.Context, _ options) error {
	in.parts = in.list()
	if err := part.Check(in.parts); err != nil {
		return fmt.Errorf("this program has gaps, so it does not start: %w", err)
	}
	in.watchKeys()
	return in.db.Migrate(ctx, migrations(in.parts)...)
}

// describe asks the parts what they are, as far as what they work with is open
// by now, and refuses gaps: claims, jobs and some routes exist only later.
func (in *Installation) describe() error {
	in.parts = in.list()
	if err := part.Check(in.parts); err != nil {
		return fmt.Errorf("this program has gaps, so it does not start: %w", err)
	}
	return nil
}

func (in *Installation) openLog(_ context.Context, _ options) (err error) {
	in.audit, err = audit.New(in.db, in.keys, audit.Options{
		Origin: host(in.set.site.Origin), Published: in.set.publishedPath(), Names: in.nameOf, Now: in.now, Log: in.log,
		Types: part.All(in.parts, func(p part.Part) []audit.Type { return p.Events }),
	})
	if err != nil {
		return err
	}
	grants, err := grantsOf(in.set, in.parts)
	if err != nil {
		return err
	}
	in.access, err = access.New(in.db, grants, tenant.Roles{}, in.audit, in.now)
	return err
}

func (in *Installation) openPeople(ctx context.Context, o options) (err error) {
	in.jobs = jobs.New(in.db, in.now, in.log)
	in.atlas = place.Open(in.set.place, in.now, in.log)
	if err := errors.Join(in.openMail(ctx), in.openTexts()); err != nil {
		return err
	}
	if in.throttle, err = throttle.Open(ctx, throttle.Options{DB: in.db, Keys: in.keys, Now: in.now, Log: in.log}); err != nil {
		return err
	}
	in.tenants = tenant.New(tenant.Options{
		DB: in.db, Keys: in.keys, Log: in.audit, Access: in.access, Mail: in.mailer,
		People: people{in}, Factored: people{in}, Sessions: standing{in}, Origin: in.set.site.Origin, Plans: in.set.planList(), Now: in.now,
	})
	if err := in.openPasskeys(); err != nil {
		return err
	}
	in.breaches = breach.New(breach.Options{
		Dir: filepath.Join(in.set.Data, "breach"), Config: in.set.breach, DB: in.db, Keys: in.keys, Log: in.audit, Now: in.now, Logger: in.log,
	})
	in.openFactors()
	in.accounts, err = account.Open(ctx, account.Options{
		DB: in.db, Keys: in.keys, Log: in.audit, Access: in.access, Post: in.mailer,
		Atlas: in.atlas, Founder: in.tenants, Inviter: in.tenants, Leaver: leavers{in}, CoOwners: in.tenants, Organisations: in.tenants, Policies: in.tenants,
		Factors: []account.Factors{passkeys{in.passkeys}, codes{in}}, Passkeys: passkeys{in.passkeys},
		Throttle: in.throttle, Config: in.set.account, Origin: in.set.site.Origin, Hashing: o.hashing, Now: in.now, Logger: in.log,
		Alert: in.set.breach.Alert,
		Rules: password.Rules{Known: in.breaches, Service: append([]string{in.set.site.Service}, in.set.site.Hosts...)},
	})
	return err
}

// openTrust lists the parts again, now with everything that they work with,
// and opens the trust page over their claims.
func (in *Installation) openTrust(ctx context.Context, _ options) (err error) {
	if err := in.describe(); err != nil {
		return err
	}
	in.trust, err = trust.New(ctx, in.db, in.audit, in.keys, part.All(in.parts, func(p part.Part) []trust.Claim { return p.Claims }), trust.Options{
		Origin: in.set.site.Origin, Build: version, Environment: map[string]string{"environment": in.set.site.Environment}, Now: in.now, Log: in.log,
	})
	if err != nil {
		return err
	}
	if err := in.describe(); err != nil {
		return err
	}
	in.jobs.Add(in.untilTheEnd(part.All(in.parts, func(p part.Part) []jobs.Periodic { return p.Jobs }))...)
	in.jobs.AddQueue(part.All(in.parts, func(p part.Part) []jobs.Queue { return p.Queues })...)
	in.jobs.Add(retention.Jobs(in.db, part.All(in.parts, func(p part.Part) []retention.Rule { return p.Retention }), in.now, in.log)...)
	return nil
}

// openDoor makes certificates, the signer of assertions, and the front door.
func (in *Installation) openDoor(ctx context.Context, o options) (err error) {
	site := in.set.site
	if in.certificates, err = in.openCertificates(ctx); err != nil {
		return err
	}
	in.signer, err = edge.OpenSigner(ctx, edge.SignerOptions{
		Issuer: site.Origin, Audience: site.Audience, Keys: in.keys, Book: edge.InStore(in.db, in.audit), Profiles: profiles{in}, Now: in.now,
	})
	if err != nil {
		return err
	}
	if err := in.describe(); err != nil { // the routes of the front door's own part need the signer
		return err
	}
	renderer, err := web.NewRenderer(text.English(), pagesOf(in.parts)...)
	if err != nil {
		return err
	}
	renderer.Service, renderer.Menus, renderer.Now = site.Service, menus{in}, in.now
	renderer.Nav = part.All(in.parts, func(p part.Part) []web.NavItem { return p.Nav })
	if renderer.FlashKey, err = in.flashKey(ctx); err != nil {
		return err
	}
	upstream, err := in.set.upstream()
	if err != nil {
		return err
	}
	proxies, err := in.set.trusted()
	if err != nil {
		return err
	}
	lines := edge.Audited(in.audit)
	if o.faults.log != nil {
		lines = o.faults.log(lines)
	}
	in.edge, err = edge.New(edge.Options{
		Origin: site.Origin, Hosts: site.Hosts, Upstream: upstream, AppRoutes: in.set.appRoutes(),
		Routes:         append(part.All(in.parts, func(p part.Part) []web.Route { return p.Routes }), web.AssetRoute()),
		Authenticators: part.All(in.parts, func(p part.Part) []web.Authenticator { return p.Authenticators }),
		Web:            web.Deps{Renderer: renderer, Refused: in.refused, Now: in.now, Log: in.log},
		Known:          in.access.Known, Signer: in.signer, Audit: lines, Certificates: in.certificates,
		Depends: in.depends(), TrustedProxies: proxies, Log: in.log, Now: in.now,
	})
	return err
}

// depends is what must be reachable, or else every request is refused.
func (in *Installation) depends() []edge.Dependency {
	return []edge.Dependency{
		{Name: "store", Check: in.db.Ping},
		{Name: "keys", Check: func(ctx context.Context) error { return errors.Join(in.ring.Ping(ctx), in.keys.Health(ctx)) }},
		{Name: "log", Check: func(context.Context) error { return in.audit.Healthy() }},
	}
}

func (in *Installation) openCertificates(ctx context.Context) (edge.Certificates, error) {
	if in.set.tls.CertificateFile != "" {
		return edge.CertificateFiles(in.set.tls.CertificateFile, in.set.tls.KeyFile, in.now)
	}
	return edge.LocalAuthority(ctx, in.keys, in.authorityPath(), in.set.site.Hosts, in.now)
}

// flashKey is the same on all nodes, so that a message set on one is shown by
// another.
func (in *Installation) flashKey(ctx context.Context) (secret.Bytes, error) {
	ref := keys.ServiceRef("flash")
	if err := in.keys.Create(ctx, ref, 32); err != nil {
		return secret.Bytes{}, fmt.Errorf("making the key of messages: %w", err)
	}
	return in.keys.Secret(ctx, ref)
}

// refused writes to the log that a route, or a rule of all routes, refused
// somebody. What a domain method refuses it has recorded itself.
func (in *Installation) refused(r *web.Request, denied *fault.Error) error {
	if needs := r.Needs(); needs != "" && !r.Subject.May(needs) {
		return in.access.Refused(r.Context(), r.Subject, needs)
	}
	if strings.HasPrefix(denied.Code, "web.") {
		return in.access.Refused(r.Context(), r.Subject, access.Permission(denied.Code))
	}
	return nil
}

// BackupSource is the installation as package backup copies it.
func (in *Installation) BackupSource() backup.Source {
	return backup.Source{
		DB: in.db, Ring: in.ring, Keys: in.keys, Root: in.root, Log: in.audit,
		Build: version, Now: in.now, Slog: in.log, DatabaseKey: databaseRef, Config: filepath.Join(in.set.Data, "troth.toml"),
	}
}

// placesFor says where the configuration puts a restored installation.
func placesFor(env *cli.Env) (backupplug.Place, error) {
	set, err := settingsFor(env, nil)
	if err != nil {
		return backupplug.Place{}, err
	}
	p := backupplug.Place{Data: set.Data, Root: set.rootDir(), DatabaseKey: databaseRef, Migrations: migrations(described())}
	if p.RingURL, err = set.keyringURL(); err != nil {
		return p, err
	}
	p.Published = set.publishedPath()
	p.Record = func(ctx context.Context, r backup.Result) error {
		in, err := open(ctx, set, options{now: time.Now, log: env.Log})
		if err != nil {
			return err
		}
		return errors.Join(backup.RecordRestored(ctx, access.System("operator on the host"), in.db, in.audit, r, in.now()), in.Close())
	}
	p.StoreURL, err = set.storeURL()
	return p, err
}

// host is the host of the origin, without the port.
func host(origin string) string {
	u, err := url.Parse(origin)
	if err != nil {
		return origin
	}
	return u.Hostname()
}

// publishedPath is where the last published checkpoint is kept outside of the
// database, so that a database that was taken back is noticed.
func (s *Settings) publishedPath() string { return filepath.Join(s.Data, "checkpoint") }

// Close writes what is still held in memory and closes the data.
func (in *Installation) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	defer in.atlas.Close()
	var stopped error
	if in.stop != nil {
		stopped = in.stop()
	}
	return errors.Join(stopped, in.accounts.Close(ctx), in.breaches.Close(), in.audit.Flush(ctx), in.data.close())
}

// What commands and plugs ask an opened installation for, by one-method
// interfaces of their own.
func (in *Installation) Accounts() *account.Accounts { return in.accounts }
func (in *Installation) Breaches() *breach.Lists     { return in.breaches }
func (in *Installation) Tenants() *tenant.Tenants    { return in.tenants }
func (in *Installation) Texts() *sms.Texts           { return in.texts }
func (in *Installation) Audit() *audit.Log           { return in.audit }
func (in *Installation) Trust() *trust.Trust         { return in.trust }
func (in *Installation) Keys() *keys.Keys            { return in.keys }
func (in *Installation) Store() *store.DB            { return in.db }
