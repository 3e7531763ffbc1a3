// Package tenant keeps the tenants of an installation: the organisations, the
// personal space of each account, the people in them, their roles, and the
// invitations by which people come in.
//
// What it promises:
//
//   - Whoever adds a person chooses the role, and gives at most the own one: an
//     admin makes no owner. A change of role, a removal and a departure are
//     obeyed by the next request, on every node within a second (package access).
//     Whoever is raised signs in anew: sessions that began with less power end.
//   - An organisation has an owner at any time: the last one can neither leave,
//     be removed nor be lowered, also when two owners try it on each other at
//     the same moment.
//   - An invitation is a link in a mail: single use, seven days, revocable, and
//     only its digest is stored. It is accepted by the account whose confirmed
//     address is the one it was sent to, and by no other. It dies with the
//     standing of whoever made it.
//   - A tenant's identifier means nothing outside of the tenant: every method
//     takes the subject first, asks whether it works there, and answers "not
//     found" as for one that never existed. The role is read again inside the
//     transaction that changes something, so a request that was overtaken by a
//     change of role does nothing.
//   - Each action and its event are one transaction. What was refused is
//     recorded too; when that cannot be, the error says so.
//   - Names and addresses are sealed under the tenant's key. An address is found
//     again by a blind index that is the tenant's own, and forgotten as soon as
//     the invitation ends.
//   - An organisation can ask for a second factor, after a time in which people
//     set one up. From then on who lacks one has no role in it (package access
//     enforces that), and who decided it cannot be locked out by it.
//   - What an organisation may use because the operator agreed on it with them, as
//     text messages, follows from its plan, which only the operator gives it.
//   - Deleting an organisation removes every role and invitation in one
//     transaction and then destroys its key, which ends everything that was
//     sealed under it, in backups too once the epoch is rolled (package keys).
//
// What it is not for: signing in, the names and addresses of people (package
// account, through [People]), which object belongs to whom (the application),
// and what a role may do elsewhere (each part registers its permissions).
//
// A personal space has exactly one person, its owner; nobody can be invited to
// it, and it ends with the account.
package tenant

import (
	"context"
	"embed"
	"errors"
	"io/fs"
	"time"

	"troth/internal/access"
	"troth/internal/audit"
	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/keys"
	"troth/internal/mail"
	"troth/internal/store"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrations is the schema of this package.
var Migrations fs.FS = migrations

// Tables are the tables of this package.
var Tables = []string{"tenant", "tenant_person", "tenant_invitation", "tenant_policy"}

// Kind says what a tenant is.
type Kind string

// The kinds of tenants.
const (
	Personal     Kind = "personal"     // the space of one account
	Organisation Kind = "organisation" // has people and roles
)

// Tenant is one tenant as its people see it.
type Tenant struct {
	ID        id.Tenant
	Kind      Kind
	Name      string
	CreatedAt time.Time
}

// Membership is a tenant that a person belongs to.
type Membership struct {
	Tenant
	Role  access.Role
	Since time.Time
}

// Person is one person in a tenant.
type Person struct {
	Account id.Account
	Role    access.Role
	Since   time.Time
	Profile // what the account says about itself; zero if the account is gone
}

// Profile is what an account says about itself.
type Profile struct {
	Name      string
	Address   string // e-mail
	Confirmed bool   // the address is the person's, proven by a mail
}

// People finds what accounts say about themselves. It is filled by package
// account.
type People interface {
	// ProfilesOf returns the profiles of at most 200 accounts; one that does
	// not exist any more is left out. What it returns was durable when read.
	ProfilesOf(ctx context.Context, accounts []id.Account) (map[id.Account]Profile, error)
}

// Sessions are where people are signed in. It is filled by package account.
type Sessions interface {
	// RaisedTx ends every session of an account that is about to be allowed
	// more, in the transaction in which that happens: whoever holds one of them
	// signed in for less. It is obeyed by the next request here, and on every
	// other node within a second of the commit.
	RaisedTx(tx *store.Tx, by access.Subject, account id.Account) error
}

// Post sends mail; package mail fills it.
type Post interface {
	// SendTx queues a message in the transaction that caused it: sent if that
	// commits, never otherwise.
	SendTx(tx *store.Tx, m mail.Message) error
}

// Limits of this package. Each is far above honest use and bounds abuse.
const (
	InvitationLives  = 7 * 24 * time.Hour
	maxPending       = 100                 // invitations of one organisation that wait for an answer
	maxSentPerDay    = 200                 // invitation mails of one organisation, and of one person, resent ones included
	maxSent          = 5                   // mails for one invitation
	resendAfter      = time.Minute         // between two mails for one invitation
	maxOrganisations = 20                  // that one account has created and that still exist
	maxOwn           = 200                 // tenants of one account that a menu lists
	pageLimit        = 100                 // people or tenants on one page of a list
	keepEnded        = 30 * 24 * time.Hour // how long the end of an invitation is remembered
)

// Options are what the tenants need.
type Options struct {
	DB     *store.DB
	Keys   *keys.Keys
	Log    *audit.Log
	Access *access.Access
	Mail   Post
	People People

	Factored Factored // nil: nobody can have a second factor
	Sessions Sessions // nil: nobody is signed in
	Origin   string   // "https://example.com", before the path of a link
	Plans    []Plan   // that a tenant can be on
	Now      func() time.Time
}

// Tenants is the domain. Its methods are safe for concurrent use.
type Tenants struct {
	db     *store.DB
	keys   *keys.Keys
	log    *audit.Log
	access *access.Access
	mail   Post
	people People

	factored Factored
	sessions Sessions

	origin string
	plans  []Plan
	now    func() time.Time
}

// New makes the domain.
func New(o Options) *Tenants {
	return &Tenants{db: o.DB, keys: o.Keys, log: o.Log, access: o.Access, mail: o.Mail, people: o.People, factored: o.Factored, sessions: o.Sessions, origin: o.Origin, plans: o.Plans, now: o.Now}
}

// Roles answers package access; it needs nothing, so that it can exist before
// the tenants do.
type Roles struct{}

// RoleTx is the role of a person in a tenant, RoleNone without one.
func (Roles) RoleTx(tx *store.Tx, tenant id.Tenant, account id.Account) (access.Role, error) {
	p, err := personTx(tx, tenant, account)
	if errors.Is(err, store.ErrNoRows) {
		return access.RoleNone, nil
	}
	return p.Role, err
}

// Get returns the tenant in which the subject works.
// Needs tenant.read; a foreign or destroyed tenant is fault.NotFound.
func (t *Tenants) Get(ctx context.Context, by access.Subject, tenant id.Tenant) (Tenant, error) {
	if err := t.allow(ctx, by, tenant, PermRead); err != nil {
		return Tenant{}, err
	}
	var row tenantRow
	err := t.db.Read(ctx, func(tx *store.Tx) (err error) {
		row, err = tenantTx(tx, tenant)
		return err
	})
	if err != nil {
		return Tenant{}, err
	}
	return t.opened(ctx, row)
}

// allow asks the one question of every method: does the subject work in this
// tenant and have the permission there? A refusal is recorded in the tenant in
// which the subject does work; the other one learns nothing of it.
func (t *Tenants) allow(ctx context.Context, by access.Subject, tenant id.Tenant, p access.Permission) error {
	err := by.In(tenant)
	if by.Kind == access.KindNobody {
		err = by.Require(p)
	} else if err == nil {
		err = by.Require(p)
	}
	return t.refused(ctx, by, p, err)
}

// act is a write by a subject that was allowed: fn runs in a transaction that
// has read the subject's role again.
func (t *Tenants) act(ctx context.Context, by access.Subject, tenant id.Tenant, p access.Permission, fn func(tx *store.Tx) error) error {
	if err := t.allow(ctx, by, tenant, p); err != nil {
		return err
	}
	err := t.db.Write(ctx, func(tx *store.Tx) error {
		if err := standingTx(tx, by, tenant); err != nil {
			return err
		}
		return fn(tx)
	})
	return t.refused(ctx, by, p, err)
}

// standingTx refuses a person whose role is not, any more, the one with which
// the request began.
func standingTx(tx *store.Tx, by access.Subject, tenant id.Tenant) error {
	if by.Kind == access.KindSystem {
		return nil
	}
	role, err := Roles{}.RoleTx(tx, tenant, by.Account)
	if err != nil {
		return err
	}
	if role != by.Role {
		return fault.New(fault.Denied, "tenant.standing", "Your role here was changed a moment ago, so nothing was done. Load the page again.")
	}
	return nil
}

// refused records that an action was denied, or named something that is not
// there, and returns the error. When it cannot be recorded, that is the error.
func (t *Tenants) refused(ctx context.Context, by access.Subject, p access.Permission, err error) error {
	f := fault.As(err)
	if f == nil || f.Kind != fault.Denied && f.Kind != fault.NotFound {
		return err
	}
	if failed := t.log.Refused(ctx, audit.Event{
		Type: "tenant.refused", Tenant: by.Tenant, Actor: by.Actor(), Context: by.Context, OccurredAt: t.now(),
		Metadata: map[string]string{"permission": string(p), "reason": f.Code},
	}); failed != nil {
		return fault.Wrap(failed, fault.Unavailable, "tenant.unrecorded", "This could not be recorded, so it was not done. Try again in a moment.")
	}
	return err
}

// write is one event of an action.
func (t *Tenants) writeTx(tx *store.Tx, by access.Subject, tenant id.Tenant, e audit.Event) error {
	e.Tenant, e.Actor, e.Context, e.OccurredAt = tenant, by.Actor(), by.Context, t.now()
	_, err := t.log.AppendTx(tx, e)
	return err
}
