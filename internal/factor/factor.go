// Package factor keeps the second factors of accounts that are codes: from an
// authenticator app, from a list on paper, by text message, and by mail.
//
// # What counts
//
//   - An authenticator app (TOTP, RFC 6238) is a single-factor one-time-password
//     authenticator (SP 800-63B-4, 3.1.4). Codes have six digits and 30 seconds,
//     with SHA-1, because that is what apps know; the secret has 160 bits (RFC
//     4226, 4, R6). An account may have several, each with a name. One counts
//     when a first code from it was entered.
//   - Recovery codes are look-up secrets (3.1.2): ten of 80 bits, each good once,
//     shown once. They stand in for what was lost, so they are made and used only
//     beside another factor.
//   - A code by text message is a restricted out-of-band authenticator (3.1.3.3):
//     its risk is told where it is set up, there is always another way, and it is
//     there only where the plan of one of the holder's organisations has it. What
//     was set up stays in force when the plan ends: an organisation's contract
//     must not make the account of a person weaker.
//   - A mailed code counts as nothing: mail proves no possession of a device
//     (3.1.3.1). People may switch it on as an obstacle, and read that it is the
//     weakest there is.
//
// Passkeys, which are better than all of these, are package passkey.
//
// # What it promises
//
// A code is accepted once. Of an app's code the time step is kept, in the
// transaction in which the sign-in goes on, and no code of the same or an older
// step is accepted again, for one app (RFC 6238, 5.2). A sent code has eight digits
// and ten minutes, is good for the one sign-in that asked for it, and dies after
// five wrong answers or with the next one that is sent. How often somebody may
// guess over all is decided by package account, which asks here last.
//
// Only so many codes are sent (code.go, and package sms for what costs money).
// Codes that are compared are compared in constant time, and each kind does its
// whole work whatever the answer is.
//
// Secrets, numbers and names are sealed under the key of the personal tenant
// together with that of the subject; recovery and sent codes are kept as keyed
// digests, which open nothing without the keyring. None of them stands in the
// log, in an error or in the address of a page.
//
// Every change is an event and a mail to the holder, and what else it brings is
// decided by package account in the same transaction ([Changed]).
//
// # What it is not for
//
// Who has to use a factor, and when, is for package account. This package only
// says what there is, and whether an answer is right.
//
// Standards: NIST SP 800-63B-4, RFC 6238, RFC 4226, OWASP ASVS 5.0 chapter 6.
package factor

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"time"

	"troth/internal/access"
	"troth/internal/audit"
	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/keys"
	"troth/internal/mail"
	"troth/internal/secret"
	"troth/internal/sms"
	"troth/internal/store"
	"troth/internal/text"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrations is the schema of this package.
var Migrations fs.FS = migrations

// Tables are the tables of this package.
var Tables = []string{"factor", "factor_recovery", "factor_code"}

// The kinds of factors, as [Offer] and [Question] name them.
const (
	KindApp      = "totp"
	KindRecovery = "recovery"
	KindText     = "sms"
	KindMail     = "email"
)

// Holder is whose an account is, as far as a factor needs to know.
type Holder struct {
	Home  id.Tenant
	Email string
}

// Holders knows whose an account is. Package account fills it.
type Holders interface {
	// HolderTx reads the holder of an active account in the transaction, and is
	// as fresh as it; fault.NotFound for any other.
	HolderTx(ctx context.Context, tx *store.Tx, account id.Account) (Holder, error)
}

// Changed is told that a factor was set up or removed. Package account fills it.
type Changed interface {
	// FactorChangedTx runs in the transaction of the change, after it. What
	// says it in a sentence for the holder's mail. A fault refuses the change.
	FactorChangedTx(ctx context.Context, tx *store.Tx, by access.Subject, account id.Account, what text.Text, removed bool) error
}

// Plans knows which accounts may use text messages. Package tenant fills it.
type Plans interface {
	// TextsTx reports whether the plan of a tenant in which the account has a
	// role has text messages, as fresh as the transaction.
	TextsTx(ctx context.Context, tx *store.Tx, account id.Account) (bool, error)
}

// Others knows the counting factors of other packages: passkeys.
type Others interface {
	// CountsTx reports whether the account has one, as fresh as the transaction.
	CountsTx(ctx context.Context, tx *store.Tx, account id.Account) (bool, error)
}

// Post takes mail. Package mail fills it.
type Post interface {
	// SendTx queues a message: it is sent if, and only if, the transaction commits.
	SendTx(tx *store.Tx, m mail.Message) error
}

// Texts takes text messages. Package sms fills it.
type Texts interface {
	// SendTx queues a text: it is sent if, and only if, the transaction commits.
	// A fault says why it is not: a bound is reached, or texts do not go there.
	SendTx(tx *store.Tx, t sms.Text) error
	// Allowed is nil for a number to which texts are sent.
	Allowed(to sms.Number) error
	// Ready reports whether there is a way to send texts at all.
	Ready() bool
}

// Options are what [Factors] is made of.
type Options struct {
	DB      *store.DB
	Keys    *keys.Keys
	Log     *audit.Log
	Post    Post
	Texts   Texts
	Holders Holders
	Changed Changed
	Plans   Plans
	Others  Others // nil: there are none

	Config  Config
	Service string // what people call it: "Orchard"
	Host    string // of the origin: "orchard.example"
	Origin  string // "https://orchard.example"
	Printer *text.Printer
	Now     func() time.Time
}

// Factors is everything that can be done with second factors that are codes. It
// is safe for concurrent use.
type Factors struct{ Options }

// New makes the second factors of a migrated database.
func New(o Options) *Factors {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Printer == nil {
		o.Printer = text.English().Printer("")
	}
	return &Factors{o}
}

// permOwn is the permission to use one's own account, which package account
// registers.
const permOwn access.Permission = "account.own"

// own is nil for a signed-in person.
func own(by access.Subject) error {
	if by.Kind != access.KindPerson {
		return fault.New(fault.Unauthenticated, "factor.sign_in", "Sign in first.")
	}
	return by.Require(permOwn)
}

var errNone = fault.New(fault.NotFound, "factor.none", "There is no such sign-in method. It may have been removed a moment ago.")

// place says where a sealed column of a factor stands.
func (r row) place(column string) keys.Place {
	return keys.Place{Tenant: r.home, Table: "factor", Column: column, Row: string(r.id)}
}

// refs are the keys that a factor stands under.
func (r row) refs() []keys.Ref {
	return []keys.Ref{keys.TenantRef(r.home), keys.SubjectRef(r.account)}
}

func (f *Factors) seal(ctx context.Context, r row, column string, value []byte) ([]byte, error) {
	b, err := f.Keys.Seal(ctx, r.place(column), value, r.refs()...)
	if err != nil {
		return nil, fmt.Errorf("sealing the column %s of a factor: %w", column, err)
	}
	return b, nil
}

func (f *Factors) open(ctx context.Context, r row, column string, sealed []byte) (secret.Bytes, error) {
	b, err := f.Keys.Open(ctx, r.place(column), sealed, r.refs()...)
	if err != nil {
		return secret.Bytes{}, fmt.Errorf("opening the column %s of a factor: %w", column, err)
	}
	return secret.OfBytes(b), nil
}

// name is what the holder calls a factor.
func (f *Factors) name(ctx context.Context, r row) (string, error) {
	b, err := f.open(ctx, r, "name", r.name)
	return string(b.Reveal()), err
}

// changed stores a change's event and tells the others.
func (f *Factors) changed(ctx context.Context, tx *store.Tx, by access.Subject, home id.Tenant, account id.Account, e string, kind string, what text.Text, removed bool) error {
	if _, err := f.Log.AppendTx(tx, f.event(e, by, home, account, kind)); err != nil {
		return err
	}
	return f.Changed.FactorChangedTx(ctx, tx, by, account, what, removed)
}
