// Package access is the one path on which Troth decides who may do what.
//
// Every part registers the permissions that it checks, as a slice of [Grant]:
// a name ("tenant.invite"), a sentence, and who has it. [New] interns them to
// bits, so that a role is a bitset and a decision is one map look-up and one
// AND. A [Subject] is the answer to "who is asking": it carries its bits by
// value, and every domain method takes one as its argument `by`. The zero
// Subject may do nothing. There is no way to smuggle a subject through a
// context.
//
// What gives a permission, and nothing else does:
//
//   - a role in the tenant in which the subject works ([Owner], [Admin],
//     [Member], [Viewer]; each has everything that the lower ones have, which
//     New enforces);
//   - being signed in at all (Grant.Self): one's own account, one's own tenants;
//   - being staff of the installation (Grant.Staff), in a session that began with
//     a proof that a phishing site cannot pass on: never content of a tenant,
//     which needs a grant that the customer can see;
//   - being the system itself ([System]): the operator's command line and jobs.
//     It can be searched for.
//
// Roles live in SQL, in the tables of whoever implements [RoleSource].
// [Access.Person] keeps them in a bounded cache that is read without a lock and
// without allocating. The cache is trusted only while the change feed of
// package store is fresh: a change made here is obeyed by the next request
// here, a change made on another node within a second, and a node that cannot
// read the feed asks the database each time. A decision that cannot be made is
// an error, never a yes.
//
// A tenant may demand a second factor of the sessions that work in it
// ([Demander]). From the given time on, one without has no role there.
//
// The authorization version of a subject grows with every change of its role
// in its tenant; whatever is derived from a decision (a signed assertion) may
// be kept under session, tenant and version, and never outlives a change.
//
// The package knows nothing of organisations, accounts or pages, and decides
// nothing about single objects: which tenant's rows a statement touches is the
// business of the domain, which asks [Subject.In] first. A foreign identifier
// names nothing: the answer is "not found", as for one that never existed.
//
// Standards: NIST SP 800-53r5 AC-3 (enforcement), AC-6 (least privilege);
// OWASP ASVS 5.0, chapter 8 (authorization).
package access

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"time"

	"troth/internal/audit"
	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/store"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrations is the schema of this package.
var Migrations fs.FS = migrations

// Tables are the tables of this package.
var Tables = []string{"access_version"}

// RoleSource says which role a person has in a tenant. It is filled by package
// tenant. The answer is read inside the given transaction: what it sees is
// durable and as fresh as the transaction's snapshot. No membership is
// RoleNone and no error; a tenant that was destroyed has no members.
type RoleSource interface {
	RoleTx(tx *store.Tx, tenant id.Tenant, account id.Account) (Role, error)
}

// Demand is what a tenant asks of the sessions that work in it.
type Demand struct {
	Factor  time.Time // from when on a second factor that counts; the zero time is never
	Forgets bool      // one that was used in that browser earlier does not do
}

// Demander says what tenants demand. A RoleSource may be one too.
type Demander interface {
	// DemandTx reads what a tenant demands, as fresh as the transaction. No
	// demand is the zero Demand. Whoever changes it says so by
	// [Access.DemandedTx].
	DemandTx(tx *store.Tx, tenant id.Tenant) (Demand, error)
}

// Events are the types of events that this package writes.
var Events = []audit.Type{{
	Name:     "access.denied",
	Sentence: "{actor} tried something that needs the permission {permission}; it was refused",
	Outcome:  audit.Denied,
}}

// topic is the topic of the change feed.
const topic = "access"

// Access decides. Its methods are safe for concurrent use.
type Access struct {
	db    *store.DB
	roles RoleSource
	asks  Demander // nil: nobody demands anything
	log   *audit.Log
	book  *book
	cache *cache
	now   func() time.Time
}

// New makes the decision path from the permissions of all parts. It refuses,
// with one sentence a defect, permissions that are registered twice, that
// nobody has, that are not documented, or that a higher role lacks although a
// lower one has them, and more than 256 of them.
// It watches the change feed, so it must be called before db.Run.
func New(db *store.DB, grants []Grant, roles RoleSource, log *audit.Log, now func() time.Time) (*Access, error) {
	b, err := newBook(grants)
	if err != nil {
		return nil, err
	}
	a := &Access{db: db, roles: roles, log: log, book: b, cache: newCache(), now: now}
	a.asks, _ = roles.(Demander)
	db.Watch(topic, a.cache.evict)
	return a, nil
}

// Known reports whether a permission is registered. A route that names one
// that is not is refused at start.
func (a *Access) Known(p Permission) bool {
	_, ok := a.book.index[p]
	return ok
}

// Grants are all registered permissions, sorted by name: for the page that
// shows the table of roles, for documents and for the authorization matrix.
func (a *Access) Grants() []Grant { return append([]Grant(nil), a.book.grants...) }

// SignedIn is what an authenticator knows about a person once it has checked
// the session: who, and how that was proven.
type SignedIn struct {
	Account   id.Account
	Tenant    id.Tenant // the session's current tenant
	Session   id.Session
	Staff     bool          // staff of the installation
	AMR       []string      // how the person signed in (RFC 8176)
	Factor    bool          // a second factor that counts was used
	Browser   bool          // one was used in this browser earlier, which stands in for it
	Resistant bool          // with a proof that a phishing site cannot pass on
	AuthAt    time.Time     // when
	Context   audit.Context // from where
}

// Person is the subject for a signed-in person in the session's tenant. Who
// has no role there, any more or ever, works in no tenant: Tenant is empty and
// only what every signed-in person may do is left.
// On the cached path it neither locks, allocates nor asks the database. When
// the role cannot be read, the error is fault.Unavailable: refuse.
func (a *Access) Person(ctx context.Context, who SignedIn) (Subject, error) {
	if who.Account == "" {
		return Subject{}, errSignIn
	}
	d, err := a.decide(ctx, key{who.Tenant, who.Account})
	if err != nil {
		return Subject{}, fault.Wrap(err, fault.Unavailable, "access.unavailable",
			"It cannot be decided right now what you may do here, so nothing was done. Try again in a moment.")
	}
	return a.subject(who, d), nil
}

// subject puts together who a person is and what follows from the role.
func (a *Access) subject(who SignedIn, d decision) Subject {
	s := Subject{
		Kind: KindPerson, Account: who.Account, Session: who.Session, Staff: who.Staff,
		AMR: who.AMR, Factor: who.Factor, Browser: who.Browser, Resistant: who.Resistant, AuthAt: who.AuthAt, Context: who.Context,
		Version: d.version << 1, book: a.book, may: a.book.self,
	}
	if who.Staff && who.Resistant {
		s.Version |= 1
		s.may.add(&a.book.staff)
	}
	r := d.role.rank()
	switch {
	case r > 0 && d.bars(who, a.now):
		s.Barred = true
	case r > 0:
		s.Tenant, s.Role = who.Tenant, d.role
		s.may.add(&a.book.role[r])
	}
	return s
}

// bars reports whether a session lacks what the tenant demands.
func (d decision) bars(who SignedIn, now func() time.Time) bool {
	if d.factorFrom == 0 || who.Factor || who.Browser && !d.forgets {
		return false
	}
	return store.Micros(now()) >= d.factorFrom
}

// ErrBarred is the answer to who has a role in a tenant, in a session that
// lacks what the tenant demands.
var ErrBarred = fault.New(fault.Denied, "access.factor_needed",
	"This organisation lets in only who used a second factor. Set one up in your account, or prove yourself again with the one that you have, and come back.")

// EnterTx is nil for who can work in a tenant with the session as it is:
// [ErrForeign] without a role there, [ErrBarred] where the session lacks what
// the tenant demands.
func (a *Access) EnterTx(tx *store.Tx, tenant id.Tenant, by Subject) error {
	d, err := a.read(tx, key{tenant, by.Account})
	switch {
	case err != nil:
		return err
	case d.role.rank() == 0:
		return ErrForeign
	case d.bars(SignedIn{Factor: by.Factor, Browser: by.Browser}, a.now):
		return ErrBarred
	}
	return nil
}

// decide finds the role and version of a person in a tenant.
func (a *Access) decide(ctx context.Context, k key) (decision, error) {
	if k.tenant == "" {
		return decision{}, nil
	}
	if d, ok := a.cache.get(k); ok && a.db.Fresh() {
		return d, nil
	}
	before := a.cache.mark()
	var d decision
	err := a.db.Read(ctx, func(tx *store.Tx) (err error) {
		d, err = a.read(tx, k)
		return err
	})
	if err != nil {
		return decision{}, fmt.Errorf("reading the role of %s in %s: %w", k.account, k.tenant, err)
	}
	a.cache.put(k, d, before)
	return d, nil
}

// read reads the role and version of a person in a tenant, and what that demands.
func (a *Access) read(tx *store.Tx, k key) (d decision, err error) {
	if d.version, err = versionTx(tx, k); err != nil {
		return decision{}, err
	}
	if d.role, err = a.roles.RoleTx(tx, k.tenant, k.account); err != nil || a.asks == nil {
		return d, err
	}
	demand, err := a.asks.DemandTx(tx, k.tenant)
	if err != nil {
		return decision{}, fmt.Errorf("reading what a tenant demands: %w", err)
	}
	if !demand.Factor.IsZero() {
		d.factorFrom, d.forgets = store.Micros(demand.Factor), demand.Forgets
	}
	return d, nil
}

// DemandedTx says that what a tenant demands changes in this transaction.
func (a *Access) DemandedTx(tx *store.Tx, tenant id.Tenant) {
	tx.Changed(topic, key{tenant: tenant}.String())
}

// ChangedTx says that a person's role in a tenant changes in this transaction:
// the authorization version grows, and every node forgets what it cached.
func (a *Access) ChangedTx(tx *store.Tx, tenant id.Tenant, account id.Account) error {
	k := key{tenant, account}
	if err := bumpTx(tx, k, a.now()); err != nil {
		return fmt.Errorf("raising the authorization version: %w", err)
	}
	tx.Changed(topic, k.String())
	return nil
}

// DestroyedTx says that a tenant and all roles in it end in this transaction.
func (a *Access) DestroyedTx(tx *store.Tx, tenant id.Tenant) error {
	if err := dropTx(tx, tenant); err != nil {
		return fmt.Errorf("dropping the authorization versions of a tenant: %w", err)
	}
	tx.Changed(topic, key{tenant: tenant}.String())
	return nil
}

// Refused records that a subject was refused for want of a permission, in a
// transaction of its own, in the log of the tenant in which the subject works.
// An error means that the refusal could not be recorded.
func (a *Access) Refused(ctx context.Context, by Subject, p Permission) error {
	return a.log.Refused(ctx, audit.Event{
		Type: "access.denied", Tenant: by.Tenant, Actor: by.Actor(), Context: by.Context,
		Metadata: map[string]string{"permission": string(p)}, OccurredAt: a.now(),
	})
}
