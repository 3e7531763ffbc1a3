package account

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"log/slog"
	"sync/atomic"
	"time"

	"troth/internal/access"
	"troth/internal/audit"
	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/keys"
	"troth/internal/mail"
	"troth/internal/password"
	"troth/internal/place"
	"troth/internal/secret"
	"troth/internal/store"
	"troth/internal/text"
	"troth/internal/throttle"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrations is the schema of this package.
var Migrations fs.FS = migrations

// Tables are the tables of this package.
var Tables = []string{"account", "account_link", "account_mail", "account_cost", "account_guess", "account_device", "account_pending", "account_address", "account_past", "account_exposed", "account_pair", "account_recovery", "account_told", "session"}

// Founder makes the personal tenant of a new account. Package tenant fills it.
type Founder interface {
	// FoundTx makes the tenant whose only owner is the account, in the
	// transaction in which the account is made. The tenant's key is durable
	// when it returns. It may run more than once for one account, and then
	// makes the same tenant.
	FoundTx(ctx context.Context, tx *store.Tx, owner id.Account, name string) (id.Tenant, error)
}

// Inviter knows who was invited. Package tenant fills it.
type Inviter interface {
	// InvitedTx reports whether the token is that of an invitation that is
	// still open and was sent to the address, normalised. The answer is as
	// fresh as the transaction.
	InvitedTx(tx *store.Tx, token secret.String, email string) (bool, error)
}

// Leaver lets go of an account that is being destroyed. Package tenant fills it.
type Leaver interface {
	// LeaveTx ends every membership of the account and its home. A fault
	// refuses the destruction: the last owner of an organisation has to hand
	// it over first.
	LeaveTx(ctx context.Context, tx *store.Tx, leaver id.Account, home id.Tenant) error
}

// Post takes messages. Package mail fills it.
type Post interface {
	// SendTx queues a message in the transaction: it is sent if, and only if,
	// the transaction commits.
	SendTx(tx *store.Tx, m mail.Message) error
}

// Options are what an [Accounts] is made of.
type Options struct {
	DB      *store.DB
	Keys    *keys.Keys
	Log     *audit.Log
	Access  *access.Access
	Post    Post
	Founder Founder
	Inviter Inviter // nil: nobody is invited
	Leaver  Leaver  // nil: nothing to let go of

	Factors  []Factors // the kinds of second factors
	Passkeys Passkeys  // nil: nobody signs in with a passkey alone
	Policies Policies  // nil: nobody asks for more
	CoOwners CoOwners  // nil: nobody owns organisations

	Throttle *throttle.Throttle // what all nodes know of guesses; nil: what this one does
	Atlas    *place.Atlas       // nil: places are not known, addresses are shown

	Config        Config
	Origin        string           // "https://example.org", for links in mails
	Hashing       password.Hashing // nil: at the calibrated cost
	Rules         password.Rules   // what a new password is asked
	Alert         []string         // addresses that are told of exposed passwords; empty: the platform owners
	Organisations Organisations    // nil: nobody belongs to any
	Printer       *text.Printer    // the language of mails; nil: English

	Now    func() time.Time // nil: time.Now
	Logger *slog.Logger     // nil: discard
}

// Accounts is everything that can be done with accounts and their sessions.
// It is safe for concurrent use.
type Accounts struct {
	Options
	now      func() time.Time
	log      *slog.Logger
	sessions *cache
	seen     *seen
	guess    guesses
	weighing *weighing
	nobody   []byte        // a sealed address to open where there is no account
	slow     *atomic.Int32 // how often in a row a hash was found too slow
}

// linksRef is the key under which links keep what people entered. Links live
// for a day and belong to nobody yet.
var linksRef = keys.ServiceRef("links")

const keySize = 32

// Open makes the accounts of a migrated database. At the first start, and
// whenever the target or the scheme changed, it calibrates the cost of a
// password hash, which takes seconds. It watches the change feed, so it must be
// called before db.Run.
func Open(ctx context.Context, o Options) (*Accounts, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Printer == nil {
		o.Printer = text.English().Printer("")
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	a := &Accounts{Options: o, now: o.Now, log: o.Logger, sessions: newCache(), slow: new(atomic.Int32)}
	a.seen = newSeen(a.writeSeen)
	if err := a.Keys.Create(ctx, linksRef, keySize); err != nil {
		return nil, fmt.Errorf("making the key of links: %w", err)
	}
	if err := a.openGuesses(ctx); err != nil {
		return nil, err
	}
	if err := a.openMeter(ctx); err != nil {
		return nil, err
	}
	if err := a.openNobody(ctx); err != nil {
		return nil, err
	}
	if a.Hashing == nil {
		params, err := a.cost(ctx)
		if err != nil {
			return nil, fmt.Errorf("finding the cost of a password hash: %w", err)
		}
		hasher, err := password.NewHasher(params, int64(o.Config.PasswordMemory)<<20, o.Config.PasswordWait.D())
		if err != nil {
			return nil, err
		}
		hasher.Pepper = a.Pepper()
		if err := hasher.Pepper.Open(ctx); err != nil {
			return nil, err
		}
		a.Hashing = hasher
	}
	a.DB.Watch(topic, a.sessions.evict)
	return a, nil
}

// Close writes what is known about the last use of sessions.
func (a *Accounts) Close(ctx context.Context) error { return a.seen.flush(ctx) }

// Staff is what an account is to the installation itself.
type Staff string

// The kinds of staff.
const (
	StaffNone  Staff = ""
	StaffOwner Staff = "owner" // the platform owner

	StaffSupport Staff = "support" // helps people
)

// State says what became of an account.
type State string

// The states.
const (
	Active      State = "active"
	Deactivated State = "deactivated" // by its holder, who comes back by signing in
	Suspended   State = "suspended"   // by the operator, who alone brings it back
	destroying  State = "destroying"  // the row is wiped, the keys may not be yet
	Destroyed   State = "destroyed"
)

// Account is what is known about an account. Of a destroyed one, only the
// identifier and the times are left.
type Account struct {
	ID          id.Account `json:"id"`
	Home        id.Tenant  `json:"home"`
	Email       string     `json:"email,omitempty"`
	Name        string     `json:"name,omitempty"`
	State       State      `json:"state"`
	Staff       Staff      `json:"staff,omitempty"`
	CreatedAt   time.Time  `json:"created_at"`
	ConfirmedAt time.Time  `json:"confirmed_at,omitzero"` // of the address
	PasswordAt  time.Time  `json:"password_at,omitzero"`  // last set
}

// person is whom an event is about: the zero person is nobody we know.
type person struct {
	account id.Account
	home    id.Tenant
}

// The permission to use one's own account, which every signed-in person has.
const permOwn access.Permission = "account.own"

// Permissions are the permissions that this package checks. What the operator
// does on the host asks for the system subject, which no page can become.
var Permissions = []access.Grant{
	{Permission: permOwn, Doc: "manage your own account: name, password and sessions", Self: true},
	{Permission: permRecover, Doc: "help people recover their accounts, together with another member of staff", Staff: true},
	{Permission: permUnlock, Doc: "unlock accounts at which others have guessed", Staff: true},
}

// onHost is nil for the operator on the host.
func onHost(by access.Subject) error {
	if by.Kind != access.KindSystem || !by.May(permOwn) {
		return fault.New(fault.Denied, "account.host_only", "Only the operator can do this, on the host: see “troth user --help”.")
	}
	return nil
}

// own is nil for a signed-in person.
func own(by access.Subject) error {
	if by.Kind != access.KindPerson {
		return errNobody
	}
	return by.Require(permOwn)
}

var errNobody = fault.New(fault.Unauthenticated, "account.sign_in", "Sign in first.")
