package account

import (
	"errors"
	"time"

	"troth/internal/id"
	"troth/internal/keys"
	"troth/internal/store"
)

// recovery is a recovery as it is stored.
type recovery struct {
	recovery id.Recovery
	account  id.Account
	kind     string
	reason   []byte // sealed
	opened   id.Account
	approved id.Account
	askedAt  int64
	dueAt    int64
	noticed  int64
	readyAt  int64
	expires  int64
}

// The kinds of recoveries.
const (
	recoverOwn   = "own"   // asked for by whoever holds the mailbox
	recoverStaff = "staff" // asked for by one member of staff and approved by another
)

func (p person) reasonPlace(of id.Recovery) keys.Place {
	return keys.Place{Tenant: p.home, Table: "account_recovery", Column: "reason", Row: string(of)}
}

const recoveryColumns = `recovery, account, kind, reason, opened_by, approved_by, asked_at, due_at, noticed_at, ready_at, expires_at`

func (v *recovery) scan(s scanner) error {
	return s.Scan(&v.recovery, &v.account, &v.kind, &v.reason, &v.opened, &v.approved, &v.askedAt, &v.dueAt, &v.noticed, &v.readyAt, &v.expires)
}

// replaceRecovery stores a recovery in place of one of its kind that has expired
// and was not swept away yet.
func replaceRecovery(tx *store.Tx, v recovery) error {
	if _, err := tx.Exec(`DELETE FROM account_recovery WHERE account = $1 AND kind = $2`, v.account, v.kind); err != nil {
		return err
	}
	_, err := tx.Exec(`INSERT INTO account_recovery (`+recoveryColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
		v.recovery, v.account, v.kind, v.reason, v.opened, v.approved, v.askedAt, v.dueAt, v.noticed, v.readyAt, v.expires)
	return err
}

// recoveriesTx lists the recoveries of an account that are open: at most one of
// either kind.
func recoveriesTx(tx *store.Tx, account id.Account, now time.Time) ([]recovery, error) {
	return listRecoveries(tx, `account = $1 AND expires_at > $2 ORDER BY asked_at`, account, store.Micros(now))
}

func listRecoveries(tx *store.Tx, where string, args ...any) ([]recovery, error) {
	rows, err := tx.Query(`SELECT `+recoveryColumns+` FROM account_recovery WHERE `+where, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []recovery
	for rows.Next() {
		var v recovery
		if err := v.scan(rows); err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, rows.Err()
}

// recoveryTx finds one that is open.
func recoveryTx(tx *store.Tx, which id.Recovery, now time.Time) (recovery, bool, error) {
	var v recovery
	err := v.scan(tx.QueryRow(`SELECT `+recoveryColumns+` FROM account_recovery WHERE recovery = $1 AND expires_at > $2`, which, store.Micros(now)))
	if errors.Is(err, store.ErrNoRows) {
		return recovery{}, false, nil
	}
	return v, err == nil, err
}

// endRecoveriesTx ends what was asked for about an account, and its links.
func endRecoveriesTx(tx *store.Tx, account id.Account) error {
	if _, err := tx.Exec(`DELETE FROM account_recovery WHERE account = $1`, account); err != nil {
		return err
	}
	return dropLinks(tx, account, linkRegain, linkKeep)
}
