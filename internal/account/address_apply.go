package account

import (
	"context"
	"errors"
	"fmt"
	"time"

	"troth/internal/access"
	"troth/internal/id"
	"troth/internal/keys"
	"troth/internal/secret"
	"troth/internal/store"
)

// pendingAddress is a change of address as it is stored.
type pendingAddress struct {
	person
	email     []byte // sealed
	index     []byte
	askedAt   int64
	newAt     int64
	oldAt     int64
	dueAt     int64
	noticedAt int64
	expiresAt int64
}

func (p person) addressPlace() keys.Place {
	return keys.Place{Tenant: p.home, Table: "account_address", Column: "email", Row: string(p.account)}
}

const addressColumns = `account, email, email_index, asked_at, new_at, old_at, due_at, noticed_at, expires_at`

func (p *pendingAddress) scan(s scanner) error {
	return s.Scan(&p.account, &p.email, &p.index, &p.askedAt, &p.newAt, &p.oldAt, &p.dueAt, &p.noticedAt, &p.expiresAt)
}

// addressTx finds the change of address of an account that is still open.
func addressTx(tx *store.Tx, of person, now time.Time) (pendingAddress, bool, error) {
	p := pendingAddress{person: of}
	err := p.scan(tx.QueryRow(`SELECT `+addressColumns+` FROM account_address WHERE account = $1 AND expires_at > $2`, of.account, store.Micros(now)))
	if errors.Is(err, store.ErrNoRows) {
		return pendingAddress{}, false, nil
	}
	return p, err == nil, err
}

func replaceAddressTx(tx *store.Tx, p pendingAddress) error {
	if _, err := tx.Exec(`DELETE FROM account_address WHERE account = $1`, p.account); err != nil {
		return err
	}
	_, err := tx.Exec(`INSERT INTO account_address (`+addressColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		p.account, p.email, p.index, p.askedAt, p.newAt, p.oldAt, p.dueAt, p.noticedAt, p.expiresAt)
	return err
}

// endAddressTx ends the change of address of an account that waits.
func endAddressTx(tx *store.Tx, account id.Account) error {
	if _, err := tx.Exec(`DELETE FROM account_address WHERE account = $1`, account); err != nil {
		return err
	}
	return dropLinks(tx, account, linkAddressNew, linkAddressOld)
}

// complete reports whether nobody has to be waited for any more.
func (p pendingAddress) complete(r row, now time.Time) bool {
	old := p.oldAt != 0 || r.confirmedAt == 0 || p.dueAt != 0 && p.dueAt <= store.Micros(now)
	return p.newAt != 0 && old
}

// how says why an address changed, for the log.
func (p pendingAddress) how(r row) string {
	switch {
	case r.confirmedAt == 0:
		return "the new mailbox agreed, and the old address was never confirmed"
	case p.oldAt == 0:
		return "the new mailbox agreed, and the old one did not object in time"
	}
	return "both mailboxes agreed"
}

// undo is what the link keeps with which a change of address is undone.
type undo struct {
	Old string `json:"old"`
	New string `json:"new"`
}

// applyAddressTx changes the address: the sealed column and the blind index in
// one statement. Of two accounts that take one address at once, or a change and
// a sign-up, the unique index lets one in. Every other session ends, and every
// link that was mailed to the old address but the one that undoes this.
func (a *Accounts) applyAddressTx(ctx context.Context, tx *store.Tx, by access.Subject, r row, p pendingAddress) error {
	email, err := a.newAddress(ctx, p)
	if err != nil {
		return err
	}
	old, err := a.open(ctx, r.person, "email", r.email)
	if err != nil {
		return err
	}
	if err := a.setAddressTx(ctx, tx, r, email, p.index); err != nil {
		return err
	}
	if err := endAddressTx(tx, r.account); err != nil {
		return err
	}
	former, err := a.addressesTx(ctx, tx, r.person, old)
	if err != nil {
		return err
	}
	for _, to := range former[1:] {
		if err := a.Post.SendTx(tx, a.addressAgainLetter(to, r.person)); err != nil {
			return err
		}
	}
	undoToken := secret.String{}
	if r.confirmedAt != 0 {
		if undoToken, err = a.canUndoTx(ctx, tx, r, undo{Old: old, New: email}); err != nil {
			return err
		}
	}
	but := id.Session("")
	if by.Account == r.account {
		but = by.Session
	}
	ended, err := endSessions(tx, `account = $1 AND session <> $2`, r.account, but)
	if err != nil {
		return err
	}
	if err := a.Post.SendTx(tx, a.addressOldGoneLetter(old, r.person, undoToken)); err != nil {
		return err
	}
	if err := a.Post.SendTx(tx, a.addressChangedLetter(email, r.person)); err != nil {
		return err
	}
	e := a.event(evAddressChanged, by, r.person, counted(ended))
	e.Metadata["how"] = p.how(r)
	if by.Kind != access.KindSystem {
		e.Actor = self(r.account)
	}
	_, err = a.Log.AppendTx(tx, e)
	return err
}

// setAddressTx gives an account an address that was proven, and ends what was
// mailed to the one before.
func (a *Accounts) setAddressTx(ctx context.Context, tx *store.Tx, r row, email string, index []byte) error {
	indexes, err := a.indexes(ctx, email)
	if err != nil {
		return err
	}
	if other, err := byEmail(tx, indexes); err != nil || other.account != "" && other.account != r.account {
		return orTaken(err)
	}
	sealed, err := a.seal(ctx, r.person, "email", email)
	if err != nil {
		return err
	}
	n, err := tx.Exec(`UPDATE account SET email = $1, email_index = $2, confirmed_at = $3 WHERE account = $4 AND state = $5`,
		sealed, index, store.Micros(a.now()), r.account, r.state)
	if err != nil || n == 0 {
		return orGone(err)
	}
	if _, err := tx.Exec(`DELETE FROM account_link WHERE email_index = $1 AND kind = $2`, index, linkConfirm); err != nil {
		return err
	}
	if _, err := tx.Exec(`DELETE FROM account_recovery WHERE account = $1`, r.account); err != nil {
		return err
	}
	if err := startAnewTx(tx, r.account); err != nil {
		return err
	}
	if _, err := a.forgetGuessesTx(tx, r.account); err != nil {
		return err
	}
	if err := a.forgetGuessesAtTx(tx, email); err != nil {
		return err
	}
	return dropLinks(tx, r.account, append(resetLinks, linkAddress, linkRegain, linkKeep)...)
}

// canUndoTx makes the link with which the old mailbox takes a change back, and
// keeps the address among those that are told what happens.
func (a *Accounts) canUndoTx(ctx context.Context, tx *store.Tx, r row, u undo) (secret.String, error) {
	indexes, err := a.indexes(ctx, u.Old)
	if err != nil {
		return secret.String{}, err
	}
	token, l, err := a.newLink(ctx, linkUndo, r.account, pastLife, u)
	if err != nil {
		return secret.String{}, err
	}
	l.index = indexes[0]
	if err := insertLink(tx, l); err != nil {
		return secret.String{}, err
	}
	return token, a.keepPastTx(ctx, tx, r.person, u.Old, l.index)
}

// PeekUndo says which address a link would bring back, and uses nothing up.
func (a *Accounts) PeekUndo(ctx context.Context, token secret.String) (old string, err error) {
	l, err := a.peek(ctx, token, linkUndo)
	if err != nil {
		return "", err
	}
	var u undo
	err = a.openLink(ctx, l, &u)
	return u.Old, err
}

// UndoAddress uses a link up that was mailed to an address which was replaced:
// the address is that one again, every session ends, and everything that was
// begun since is stopped. It returns the token of a link that sets a new
// password: whoever was turned out may know the present one. fault.Conflict
// says that somebody made another account with the address meanwhile.
func (a *Accounts) UndoAddress(ctx context.Context, by access.Subject, token secret.String) (reset secret.String, err error) {
	l, err := a.peek(ctx, token, linkUndo)
	if err != nil {
		return secret.String{}, a.linkFailed(ctx, by, err)
	}
	var u undo
	if err := a.openLink(ctx, l, &u); err != nil {
		return secret.String{}, err
	}
	reset, next, err := a.newLink(ctx, linkReset, l.account, a.Config.ResetLife.D(), nil)
	if err != nil {
		return secret.String{}, err
	}
	next.index = l.index
	err = a.DB.Write(ctx, func(tx *store.Tx) error {
		if _, ok, err := takeLink(tx, l.digest, a.now()); err != nil || !ok {
			return orGone(err)
		}
		r, err := byID(tx, l.account)
		if err != nil || !r.state.kept() {
			return orGone(err)
		}
		return a.undoTx(ctx, tx, by, r, l, u, next)
	})
	if err != nil {
		return secret.String{}, a.linkFailed(ctx, by, taken(fmt.Errorf("undoing a change of address: %w", err)))
	}
	return reset, nil
}

func (a *Accounts) undoTx(ctx context.Context, tx *store.Tx, by access.Subject, r row, l link, u undo, reset link) error {
	replaced, err := a.open(ctx, r.person, "email", r.email)
	if err != nil {
		return err
	}
	if err := a.setAddressTx(ctx, tx, r, u.Old, l.index); err != nil {
		return err
	}
	if err := endAddressTx(tx, r.account); err != nil {
		return err
	}
	// What came after this change is no older claim than it.
	if _, err := tx.Exec(`DELETE FROM account_link WHERE account = $1 AND kind = $2 AND created_at >= $3`, r.account, linkUndo, l.createdAt); err != nil {
		return err
	}
	if _, err := tx.Exec(`DELETE FROM account_past WHERE account = $1 AND expires_at >= $2`, r.account, l.expiresAt); err != nil {
		return err
	}
	ended, err := endSessions(tx, `account = $1`, r.account)
	if err != nil {
		return err
	}
	if err := insertLink(tx, reset); err != nil {
		return err
	}
	for _, to := range []string{u.Old, replaced} {
		if err := a.Post.SendTx(tx, a.addressUndoneLetter(to, r.person)); err != nil {
			return err
		}
	}
	e := a.event(evAddressUndone, by, r.person, counted(ended))
	e.Actor = self(r.account)
	_, err = a.Log.AppendTx(tx, e)
	return err
}

func orTaken(err error) error {
	if err != nil {
		return err
	}
	return errTaken
}

// advanceAddresses tells old mailboxes that are not asked for their consent
// once a day what is about to happen, and changes the addresses whose time has
// come. It is run periodically and bears being run again.
func (a *Accounts) advanceAddresses(ctx context.Context) error {
	now := store.Micros(a.now())
	due, err := waitingAccounts(ctx, a.DB, `SELECT account FROM account_address WHERE due_at > 0 AND (due_at <= $1 OR noticed_at <= $2) ORDER BY due_at LIMIT 200`,
		now, now-noticeEvery.Microseconds())
	if err != nil {
		return fmt.Errorf("looking for changes of address: %w", err)
	}
	for _, account := range due {
		if err := a.advanceAddress(ctx, account); err != nil {
			return err
		}
	}
	return nil
}

func (a *Accounts) advanceAddress(ctx context.Context, account id.Account) error {
	token, l, err := a.newLink(ctx, linkAddressOld, account, a.Config.RecoveryDelay.D(), nil)
	if err != nil {
		return err
	}
	err = a.DB.Write(ctx, func(tx *store.Tx) error {
		now := store.Micros(a.now())
		r, err := byID(tx, account)
		if err != nil {
			return err
		}
		p, ok, err := addressTx(tx, r.person, a.now())
		switch {
		case err != nil:
			return err
		case !ok || r.state != Active:
			tx.Unaudited("the change of address ended meanwhile")
			return nil
		case p.complete(r, a.now()):
			return a.applyAddressTx(ctx, tx, access.System("scheduler"), r, p)
		case p.dueAt <= now || p.newAt == 0 && p.askedAt+addressLife.Microseconds() <= now:
			tx.Unaudited("the new mailbox has not agreed in time, and the change expires")
			return endAddressTx(tx, r.account)
		case p.noticedAt > now-noticeEvery.Microseconds():
			tx.Unaudited("the old mailbox was told meanwhile")
			return nil
		}
		tx.Unaudited("a notice changes nothing; the change of address was recorded when it was asked for")
		if _, err := tx.Exec(`UPDATE account_address SET noticed_at = $1 WHERE account = $2`, now, account); err != nil {
			return err
		}
		if err := insertLink(tx, l); err != nil {
			return err
		}
		email, err := a.open(ctx, r.person, "email", r.email)
		if err != nil {
			return err
		}
		return a.Post.SendTx(tx, a.addressOldLetter(email, p, token))
	})
	if errors.Is(err, errTaken) || store.IsUnique(err) {
		return a.dropAddress(ctx, account)
	}
	if err != nil {
		return fmt.Errorf("going on with a change of address: %w", err)
	}
	return nil
}

// dropAddress ends a change to an address that somebody else has taken.
func (a *Accounts) dropAddress(ctx context.Context, account id.Account) error {
	err := a.DB.Write(ctx, func(tx *store.Tx) error {
		r, err := byID(tx, account)
		if err != nil {
			return err
		}
		p, ok, err := addressTx(tx, r.person, a.now())
		if err != nil || !ok {
			tx.Unaudited("the change of address ended meanwhile")
			return err
		}
		return a.stopAddressTx(ctx, tx, access.System("scheduler"), r, p, "account")
	})
	if err != nil {
		return fmt.Errorf("ending a change of address: %w", err)
	}
	return nil
}

// noticeEvery is how often somebody is told again what is about to happen.
const noticeEvery = 24 * time.Hour

// waitingAccounts lists the accounts that a query finds.
func waitingAccounts(ctx context.Context, db *store.DB, query string, args ...any) (found []id.Account, err error) {
	err = db.Read(ctx, func(tx *store.Tx) error {
		found = found[:0]
		rows, err := tx.Query(query, args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var account id.Account
			if err := rows.Scan(&account); err != nil {
				return err
			}
			found = append(found, account)
		}
		return rows.Err()
	})
	return found, err
}
