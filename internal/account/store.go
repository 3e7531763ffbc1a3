package account

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"troth/internal/id"
	"troth/internal/keys"
	"troth/internal/mail"
	"troth/internal/secret"
	"troth/internal/store"
)

// row is an account as it is stored.
type row struct {
	person
	state       State
	staff       Staff
	email, name []byte // sealed
	password    string // PHC
	createdAt   int64
	confirmedAt int64
	passwordAt  int64
	idle        int64
	absolute    int64

	passwordShort bool // too short to stand alone
}

const columns = `account, home, state, staff, email, name, COALESCE(password, ''), created_at, confirmed_at, password_at, idle, absolute, password_short`

// scanner is a row of one or of many.
type scanner interface{ Scan(dest ...any) error }

func (r *row) scan(s scanner) error {
	return s.Scan(&r.account, &r.home, &r.state, &r.staff, &r.email, &r.name, &r.password,
		&r.createdAt, &r.confirmedAt, &r.passwordAt, &r.idle, &r.absolute, &r.passwordShort)
}

// byID finds an account; no account is a zero row.
func byID(tx *store.Tx, account id.Account) (row, error) {
	var r row
	err := r.scan(tx.QueryRow(`SELECT `+columns+` FROM account WHERE account = $1`, account))
	if errors.Is(err, store.ErrNoRows) {
		return row{}, nil
	}
	return r, err
}

// byEmail finds the account of an address by its blind index, which may have
// been made under any version of the index key; no account is a zero row.
func byEmail(tx *store.Tx, indexes [][]byte) (row, error) {
	for _, index := range indexes {
		var r row
		err := r.scan(tx.QueryRow(`SELECT `+columns+` FROM account WHERE email_index = $1`, index))
		if !errors.Is(err, store.ErrNoRows) {
			return r, err
		}
	}
	return row{}, nil
}

func insert(tx *store.Tx, r row, index []byte) error {
	_, err := tx.Exec(`INSERT INTO account (account, home, state, staff, email, name, email_index, password,
			created_at, confirmed_at, password_at, idle, absolute, password_short)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)`,
		r.account, r.home, r.state, r.staff, r.email, r.name, index, r.password,
		r.createdAt, r.confirmedAt, r.passwordAt, r.idle, r.absolute, r.passwordShort)
	return err
}

// setPassword replaces a password hash, if it is still the one that was
// compared, and notes whether the password is too short to stand alone. It
// reports whether it did.
func setPassword(tx *store.Tx, account id.Account, old, replacement string, short bool, at time.Time) (bool, error) {
	n, err := tx.Exec(`UPDATE account SET password = $1, password_short = $2, password_at = $3 WHERE account = $4 AND password = $5 AND state <> $6`,
		replacement, short, store.Micros(at), account, old, Suspended)
	return n == 1, err
}

// owned reports whether the installation has a platform owner.
func owned(tx *store.Tx) (bool, error) {
	owners, err := countOwners(tx)
	return owners > 0, err
}

// countOwners counts platform owners, of which there are few.
func countOwners(tx *store.Tx) (n int, err error) {
	err = tx.QueryRow(`SELECT COUNT(*) FROM account WHERE staff = $1 AND staff <> ''`, StaffOwner).Scan(&n)
	return n, err
}

// place says where a column of an account stands, for sealing.
func (p person) place(column string) keys.Place {
	return keys.Place{Tenant: p.home, Table: "account", Column: column, Row: string(p.account)}
}

// refs are the keys under which the columns of an account are sealed:
// destroying one of them destroys the columns.
func (p person) refs() []keys.Ref {
	return []keys.Ref{keys.TenantRef(p.home), keys.SubjectRef(p.account)}
}

func (a *Accounts) seal(ctx context.Context, p person, column, value string) ([]byte, error) {
	b, err := a.Keys.Seal(ctx, p.place(column), []byte(value), p.refs()...)
	if err != nil {
		return nil, fmt.Errorf("sealing the column %s of an account: %w", column, err)
	}
	return b, nil
}

func (a *Accounts) open(ctx context.Context, p person, column string, sealed []byte) (string, error) {
	if len(sealed) == 0 {
		return "", nil
	}
	b, err := a.Keys.Open(ctx, p.place(column), sealed, p.refs()...)
	if err != nil {
		return "", fmt.Errorf("opening the column %s of an account: %w", column, err)
	}
	return string(b), nil
}

// view opens a row.
func (a *Accounts) view(ctx context.Context, r row) (Account, error) {
	v := Account{
		ID: r.account, Home: r.home, State: r.state, Staff: r.staff, CreatedAt: store.FromMicros(r.createdAt),
		ConfirmedAt: store.FromMicros(r.confirmedAt), PasswordAt: store.FromMicros(r.passwordAt),
	}
	if v.State == destroying {
		v.State = Destroyed
	}
	var err error
	if v.Email, err = a.open(ctx, r.person, "email", r.email); err != nil {
		return Account{}, err
	}
	v.Name, err = a.open(ctx, r.person, "name", r.name)
	return v, err
}

// indexes are the blind indexes of an address, the newest first. The sign-in
// index is global: one address, one account, whatever the tenant. A domain in
// letters of other scripts has the index of the ASCII that stands for it.
func (a *Accounts) indexes(ctx context.Context, email string) ([][]byte, error) {
	if address, err := mail.ParseAddress(email); err == nil {
		email = string(address)
	}
	all, err := a.Keys.Indexes(ctx, "", "email", keys.Normalise(email))
	if err != nil {
		return nil, fmt.Errorf("computing the blind index of an address: %w", err)
	}
	return all, nil
}

// The kinds of links.
const (
	linkConfirm = "confirm" // makes the account that was asked for
	linkAddress = "address" // confirms the address of an account that exists
	linkReset   = "reset"   // sets a new password
	linkRecover = "recover" // the same, issued on the host
	linkRescue  = "rescue"  // and removes the second factors besides
	linkOwner   = "owner"   // signs up the platform owner
	linkAdmit   = "admit"   // signs up one person, whatever the mode

	linkAddressNew = "address_new" // agrees to a change of address, for the new mailbox
	linkAddressOld = "address_old" // the same, for the old one
	linkUndo       = "undo"        // takes a change of address back
	linkRegain     = "regain"      // asks for a recovery, or finishes one
	linkKeep       = "keep"        // stops a recovery
	linkStop       = "stop"        // ends the session that a notice told of

	linkUnlock = "unlock" // unlocks an account for a browser
	linkPass   = "pass"   // lets a browser in which that was done count by itself; never mailed

	linkNone = "none" // was never sent: the work is the same whether there is an account
)

// resetLinks are the links that set a new password.
var resetLinks = []string{linkReset, linkRecover, linkRescue}

// link is a single-use link as it is stored.
type link struct {
	digest    secret.Digest
	kind      string
	account   id.Account
	index     []byte
	payload   []byte // sealed
	createdAt int64
	expiresAt int64
}

func insertLink(tx *store.Tx, l link) error {
	_, err := tx.Exec(`INSERT INTO account_link (digest, kind, account, email_index, payload, created_at, expires_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7)`, l.digest[:], l.kind, l.account, l.index, l.payload, l.createdAt, l.expiresAt)
	return err
}

// peekLink finds a link that can still be used; none is false.
func peekLink(tx *store.Tx, digest secret.Digest, now time.Time) (link, bool, error) {
	return scanLink(digest, tx.QueryRow(`SELECT kind, account, email_index, payload, created_at, expires_at
		FROM account_link WHERE digest = $1 AND expires_at > $2`, digest[:], store.Micros(now)))
}

// takeLink uses a link up. Of several that take it, one finds it.
func takeLink(tx *store.Tx, digest secret.Digest, now time.Time) (link, bool, error) {
	return scanLink(digest, tx.QueryRow(`DELETE FROM account_link WHERE digest = $1 AND expires_at > $2
		RETURNING kind, account, email_index, payload, created_at, expires_at`, digest[:], store.Micros(now)))
}

func scanLink(digest secret.Digest, s scanner) (link, bool, error) {
	l := link{digest: digest}
	err := s.Scan(&l.kind, &l.account, &l.index, &l.payload, &l.createdAt, &l.expiresAt)
	if errors.Is(err, store.ErrNoRows) {
		return link{}, false, nil
	}
	return l, err == nil, err
}

// dropLinks ends the links of an account.
func dropLinks(tx *store.Tx, account id.Account, kinds ...string) error {
	for _, kind := range kinds {
		if _, err := tx.Exec(`DELETE FROM account_link WHERE account = $1 AND kind = $2`, account, kind); err != nil {
			return err
		}
	}
	return nil
}

// sealJSON seals a value that belongs to a link.
func (a *Accounts) sealLink(ctx context.Context, digest secret.Digest, v any) ([]byte, error) {
	plain, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("writing what a link keeps: %w", err)
	}
	b, err := a.Keys.Seal(ctx, linkPlace(digest), plain, linksRef)
	if err != nil {
		return nil, fmt.Errorf("sealing what a link keeps: %w", err)
	}
	return b, nil
}

func (a *Accounts) openLink(ctx context.Context, l link, v any) error {
	plain, err := a.Keys.Open(ctx, linkPlace(l.digest), l.payload, linksRef)
	if err != nil {
		return fmt.Errorf("opening what a link keeps: %w", err)
	}
	if err := json.Unmarshal(plain, v); err != nil {
		return fmt.Errorf("reading what a link keeps: %w", err)
	}
	return nil
}

func linkPlace(digest secret.Digest) keys.Place {
	return keys.Place{Tenant: id.Platform, Table: "account_link", Column: "payload", Row: hex.EncodeToString(digest[:])}
}
