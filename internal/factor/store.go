package factor

import (
	"database/sql"
	"errors"
	"time"

	"troth/internal/id"
	"troth/internal/store"
)

// row is a factor as it is stored.
type row struct {
	id          id.Factor
	account     id.Account
	home        id.Tenant
	kind        string
	name        []byte // sealed
	secret      []byte // sealed: the key of an app, the number of a telephone
	lastStep    int64  // the newest time step of which a code was accepted
	createdAt   int64
	confirmedAt int64 // 0: it counts for nothing yet
	usedAt      int64
}

const columns = `factor, account, home, kind, name, secret, last_step, created_at, confirmed_at, used_at`

type scanner interface{ Scan(dest ...any) error }

func (r *row) scan(s scanner) error {
	return s.Scan(&r.id, &r.account, &r.home, &r.kind, &r.name, &r.secret, &r.lastStep, &r.createdAt, &r.confirmedAt, &r.usedAt)
}

// factorsTx lists the confirmed factors of an account by age.
func factorsTx(tx *store.Tx, account id.Account) ([]row, error) {
	return list(tx.Query(`SELECT `+columns+` FROM factor WHERE account = $1 AND confirmed_at > 0 ORDER BY factor`, account))
}

func list(rows *sql.Rows, err error) ([]row, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []row
	for rows.Next() {
		var r row
		if err := r.scan(rows); err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, rows.Err()
}

// factorTx finds a factor of an account; errNone if there is none.
func factorTx(tx *store.Tx, account id.Account, which id.Factor) (row, error) {
	var r row
	err := r.scan(tx.QueryRow(`SELECT `+columns+` FROM factor WHERE account = $1 AND factor = $2`, account, which))
	if errors.Is(err, store.ErrNoRows) {
		return row{}, errNone
	}
	return r, err
}

func insertTx(tx *store.Tx, r row) error {
	_, err := tx.Exec(`INSERT INTO factor (`+columns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
		r.id, r.account, r.home, r.kind, r.name, r.secret, r.lastStep, r.createdAt, r.confirmedAt, r.usedAt)
	return err
}

// confirmTx lets a factor count. It reports whether this call was the one.
func confirmTx(tx *store.Tx, r row, step int64, now time.Time) (bool, error) {
	n, err := tx.Exec(`UPDATE factor SET confirmed_at = $1, last_step = $2 WHERE account = $3 AND factor = $4 AND confirmed_at = 0`,
		store.Micros(now), step, r.account, r.id)
	return n == 1, err
}

// stepTx uses a time step up. It reports whether it was newer than the last.
func stepTx(tx *store.Tx, r row, step int64, now time.Time) (bool, error) {
	n, err := tx.Exec(`UPDATE factor SET last_step = $1, used_at = $2 WHERE account = $3 AND factor = $4 AND last_step < $5`,
		step, store.Micros(now), r.account, r.id, step)
	return n == 1, err
}

func usedTx(tx *store.Tx, account id.Account, kind string, now time.Time) error {
	_, err := tx.Exec(`UPDATE factor SET used_at = $1 WHERE account = $2 AND kind = $3 AND confirmed_at > 0`, store.Micros(now), account, kind)
	return err
}

func deleteTx(tx *store.Tx, r row) (bool, error) {
	n, err := tx.Exec(`DELETE FROM factor WHERE account = $1 AND factor = $2`, r.account, r.id)
	return n == 1, err
}

// dropTx removes the factors of a kind, either those that count or those that
// wait for their first code, except one.
func dropTx(tx *store.Tx, account id.Account, kind string, pending bool, except id.Factor) (int64, error) {
	return tx.Exec(`DELETE FROM factor WHERE account = $1 AND kind = $2 AND (confirmed_at = 0) = $3 AND factor <> $4`, account, kind, pending, except)
}

// codesLeftTx counts the recovery codes that are not used, and says when they
// were made.
func codesLeftTx(tx *store.Tx, account id.Account) (left int, madeAt int64, err error) {
	err = tx.QueryRow(`SELECT COALESCE(SUM(CASE WHEN used_at = 0 THEN 1 ELSE 0 END), 0), COALESCE(MAX(created_at), 0)
		FROM factor_recovery WHERE account = $1`, account).Scan(&left, &madeAt)
	return left, madeAt, err
}

func dropCodesTx(tx *store.Tx, account id.Account) (int64, error) {
	return tx.Exec(`DELETE FROM factor_recovery WHERE account = $1`, account)
}

func insertCodeTx(tx *store.Tx, account id.Account, digest []byte, now time.Time) error {
	_, err := tx.Exec(`INSERT INTO factor_recovery (account, digest, created_at, used_at) VALUES ($1, $2, $3, 0)`, account, digest, store.Micros(now))
	return err
}

// spendTx uses a recovery code up. Of several that try, one does.
func spendTx(tx *store.Tx, account id.Account, digest []byte, now time.Time) (bool, error) {
	n, err := tx.Exec(`UPDATE factor_recovery SET used_at = $1 WHERE account = $2 AND digest = $3 AND used_at = 0`, store.Micros(now), account, digest)
	return n == 1, err
}

// sent is a code that was sent.
type sent struct {
	digest    []byte
	sentAt    int64
	expiresAt int64
	tries     int
	used      bool
}

// newestTx is the newest code that was sent for a purpose; a zero sentAt is none.
func newestTx(tx *store.Tx, account id.Account, kind, purpose string) (sent, error) {
	var s sent
	err := tx.QueryRow(`SELECT digest, sent_at, expires_at, tries, used FROM factor_code
		WHERE account = $1 AND kind = $2 AND purpose = $3 ORDER BY sent_at DESC LIMIT 1`, account, kind, purpose).
		Scan(&s.digest, &s.sentAt, &s.expiresAt, &s.tries, &s.used)
	if errors.Is(err, store.ErrNoRows) {
		return sent{}, nil
	}
	return s, err
}

// sentSinceTx counts the codes of a kind that were sent for an account.
func sentSinceTx(tx *store.Tx, account id.Account, kind string, since time.Time) (n int, err error) {
	err = tx.QueryRow(`SELECT COUNT(*) FROM factor_code WHERE account = $1 AND kind = $2 AND sent_at > $3`, account, kind, store.Micros(since)).Scan(&n)
	return n, err
}

func insertSentTx(tx *store.Tx, account id.Account, kind, purpose string, s sent) error {
	_, err := tx.Exec(`INSERT INTO factor_code (account, kind, purpose, digest, sent_at, expires_at, tries, used)
		VALUES ($1, $2, $3, $4, $5, $6, 0, $7)`, account, kind, purpose, s.digest, s.sentAt, s.expiresAt, false)
	return err
}

// answeredTx notes an answer to a sent code, right or wrong.
func answeredTx(tx *store.Tx, account id.Account, kind, purpose string, s sent, right bool) error {
	_, err := tx.Exec(`UPDATE factor_code SET tries = tries + 1, used = $1 WHERE account = $2 AND kind = $3 AND purpose = $4 AND sent_at = $5`,
		right, account, kind, purpose, s.sentAt)
	return err
}
