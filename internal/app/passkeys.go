package app

import (
	"context"
	"encoding/json"

	"troth/internal/access"
	"troth/internal/account"
	"troth/internal/id"
	"troth/internal/passkey"
	"troth/internal/secret"
	"troth/internal/store"
	"troth/internal/text"
)

// openPasskeys opens the passkeys; accounts, which they tell of every change,
// are opened after them.
func (in *Installation) openPasskeys() (err error) {
	in.passkeys, err = passkey.Open(passkey.Options{
		DB: in.db, Keys: in.keys, Log: in.audit, Changed: changes{in}, Staff: staff{in}, Config: in.set.passkey,
		Origin: in.set.site.Origin, Hosts: in.set.site.Hosts, Service: in.set.site.Service, Now: in.now,
	})
	return err
}

// changes tells the accounts that a second factor of somebody was changed.
type changes struct{ in *Installation }

// FactorChangedTx does what a change of credentials brings.
func (c changes) FactorChangedTx(ctx context.Context, tx *store.Tx, by access.Subject, account id.Account, what text.Text, removed bool) error {
	return c.in.accounts.FactorChangedTx(ctx, tx, by, account, what, removed)
}

// staff tells the passkeys who works for the installation.
type staff struct{ in *Installation }

// StaffTx reports whether the account is staff.
func (s staff) StaffTx(tx *store.Tx, account id.Account) (bool, error) {
	return s.in.accounts.StaffTx(tx, account)
}

// holders tells the pages of passkeys what a person is called.
type holders struct{ in *Installation }

// HolderOf is the one who asks.
func (h holders) HolderOf(ctx context.Context, by access.Subject) (passkey.Holder, error) {
	a, err := h.in.accounts.Own(ctx, by)
	return passkey.Holder{Account: a.ID, Home: a.Home, Email: a.Email, Name: a.Name}, err
}

// kindPasskey is how a passkey is called among the second factors.
const kindPasskey = "passkey"

// passkeys are to the accounts a kind of second factor, and a way to sign in
// alone.
type passkeys struct{ *passkey.Passkeys }

// OffersTx offers all passkeys of an account as one: the browser lets its
// holder choose.
func (p passkeys) OffersTx(ctx context.Context, tx *store.Tx, which id.Account) ([]account.Offer, error) {
	label, ok, err := p.OfferTx(ctx, tx, which)
	if err != nil || !ok {
		return nil, err
	}
	since, err := p.SinceTx(tx, which)
	return []account.Offer{{Kind: kindPasskey, Label: label, Counts: true, Resistant: true, Since: since}}, err
}

// BeginTx makes what the device has to sign.
func (p passkeys) BeginTx(ctx context.Context, tx *store.Tx, q account.Question) ([]byte, error) {
	return p.Passkeys.BeginTx(ctx, tx, q.Account, q.For)
}

// AnswerTx checks what the device signed.
func (p passkeys) AnswerTx(ctx context.Context, tx *store.Tx, q account.Question, with account.Answer) ([]string, error) {
	r, err := p.Passkeys.AnswerTx(ctx, tx, q.By, passkey.Holder{Account: q.Account, Home: q.Home}, q.For, with.Passkey)
	return r.AMR, err
}

// SignInTx checks what the device of somebody signed whom nobody knows yet.
func (p passkeys) SignInTx(ctx context.Context, tx *store.Tx, by access.Subject, browser secret.String, answer []byte) (account.Shown, error) {
	r, err := p.Passkeys.SignInTx(ctx, tx, by, browser, answer)
	return account.Shown{Account: r.Account, AMR: r.AMR, Refused: r.Refused, Reason: r.Reason}, err
}

// BeginSignIn makes what the device of a stranger has to sign.
func (p passkeys) BeginSignIn(ctx context.Context, browser secret.String) (json.RawMessage, error) {
	return p.Passkeys.BeginSignIn(ctx, browser)
}

// leavers let go of an account that is being destroyed.
type leavers struct{ in *Installation }

// LeaveTx ends its memberships and forgets its passkeys.
func (l leavers) LeaveTx(ctx context.Context, tx *store.Tx, leaver id.Account, home id.Tenant) error {
	if err := l.in.tenants.LeaveTx(ctx, tx, leaver, home); err != nil {
		return err
	}
	return l.in.passkeys.ForgetTx(tx, leaver)
}
