package account

import (
	"context"
	"fmt"
	"strconv"

	"troth/internal/access"
	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/store"
)

// Destruction is what destroying an account does, or would do.
type Destruction struct {
	Account  id.Account `json:"account"`
	Home     id.Tenant  `json:"home"`
	Sessions int        `json:"sessions"`
	Keys     []string   `json:"keys"` // names of the keys that are destroyed
}

var errLastOwner = fault.New(fault.Conflict, "account.last_owner", "This is the only platform owner. Somebody else has to become one first.")

// Destroy ends an account for good, for the operator on the host: the row is
// wiped, the sessions and links end, memberships are given up, and the keys of
// the account and of its personal tenant are destroyed, so that everything
// sealed under them is unreadable, in the log too. What was written to other
// tenants stays theirs. A dry run only says what would happen.
//
// The keys are destroyed after the row was wiped and that is durable; what a
// crash leaves undone, [Accounts.FinishDestroying] does. Copies of the keyring
// made before die with the next key epoch (package keys).
func (a *Accounts) Destroy(ctx context.Context, by access.Subject, account id.Account, dry bool) (Destruction, error) {
	if err := onHost(by); err != nil {
		return Destruction{}, err
	}
	r, _, err := a.findKept(ctx, account)
	if err != nil {
		return Destruction{}, err
	}
	d := Destruction{Account: r.account, Home: r.home}
	for _, ref := range r.refs() {
		d.Keys = append(d.Keys, string(ref))
	}
	if dry {
		sessions, err := a.sessionsOf(ctx, account, "")
		d.Sessions = len(sessions)
		if err == nil && r.staff == StaffOwner {
			err = a.DB.Read(ctx, lastOwner)
		}
		return d, err
	}
	err = a.DB.Write(ctx, func(tx *store.Tx) error {
		n, err := a.wipe(ctx, tx, r)
		if err != nil {
			return err
		}
		d.Sessions = int(n)
		e := a.event(evDestroyed, by, person{account: r.account}, counted(n))
		e.Targets[0].Person = "" // the key of the person's section is about to be destroyed
		_, err = a.Log.AppendTx(tx, e)
		return err
	})
	if err != nil {
		return Destruction{}, fmt.Errorf("destroying an account: %w", err)
	}
	return d, a.shred(ctx, r.person)
}

// lastOwner refuses to destroy the only platform owner.
func lastOwner(tx *store.Tx) error {
	n, err := countOwners(tx)
	if err == nil && n < 2 {
		err = errLastOwner
	}
	return err
}

// wipe empties the row and ends what hangs on it. The row stays, so that
// the identifier is known to have existed.
func (a *Accounts) wipe(ctx context.Context, tx *store.Tx, r row) (sessions int64, err error) {
	if r.staff == StaffOwner {
		if err := lastOwner(tx); err != nil {
			return 0, err
		}
	}
	if a.Leaver != nil {
		if err := a.Leaver.LeaveTx(ctx, tx, r.account, r.home); err != nil {
			return 0, err
		}
	}
	n, err := tx.Exec(`UPDATE account SET state = $1, staff = '', email = NULL, name = NULL, email_index = NULL, password = NULL
		WHERE account = $2 AND state = $3`, destroying, r.account, r.state)
	if err != nil || n == 0 {
		return 0, orUnknown(err)
	}
	if err := endWaitingTx(tx, r.account); err != nil {
		return 0, err
	}
	if err := forgetPastTx(tx, r.account); err != nil {
		return 0, err
	}
	if err := a.forgetFactorsTx(tx, r.account); err != nil {
		return 0, err
	}
	for _, query := range []string{
		`DELETE FROM account_link WHERE account = $1`, `DELETE FROM account_pending WHERE account = $1`, `DELETE FROM account_device WHERE account = $1`,
		`DELETE FROM account_exposed WHERE account = $1`, `DELETE FROM account_pair WHERE account = $1`,
		`DELETE FROM account_guess WHERE account = $1`,
		`DELETE FROM account_told WHERE account = $1`,
	} {
		if _, err := tx.Exec(query, r.account); err != nil {
			return 0, err
		}
	}
	return endSessions(tx, `account = $1`, r.account)
}

func (a *Accounts) shred(ctx context.Context, p person) error {
	if err := a.Keys.Shred(ctx, p.refs()...); err != nil {
		return fmt.Errorf("destroying the keys of an account: %w", err)
	}
	err := a.DB.Write(ctx, func(tx *store.Tx) error {
		tx.Unaudited("the destruction was recorded when it was decided")
		_, err := tx.Exec(`UPDATE account SET state = $1 WHERE account = $2 AND state = $3`, Destroyed, p.account, destroying)
		return err
	})
	if err != nil {
		return fmt.Errorf("noting that keys were destroyed: %w", err)
	}
	return nil
}

// FinishDestroying destroys the keys of accounts whose destruction a crash
// interrupted. It is run periodically and bears being run again.
func (a *Accounts) FinishDestroying(ctx context.Context) error {
	var left []person
	err := a.DB.Read(ctx, func(tx *store.Tx) error {
		left = left[:0]
		rows, err := tx.Query(`SELECT account, home FROM account WHERE state = 'destroying' ORDER BY account LIMIT 100`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var p person
			if err := rows.Scan(&p.account, &p.home); err != nil {
				return err
			}
			left = append(left, p)
		}
		return rows.Err()
	})
	if err != nil {
		return fmt.Errorf("looking for accounts that are being destroyed: %w", err)
	}
	for _, p := range left {
		if err := a.shred(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

// counted is the metadata of an event that ended sessions.
func counted(sessions int64) map[string]string {
	return map[string]string{"sessions": strconv.FormatInt(sessions, 10)}
}
