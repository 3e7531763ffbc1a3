package account

import (
	"context"
	"fmt"
	"time"

	"troth/internal/access"
	"troth/internal/id"
	"troth/internal/store"
)

// Advance goes on with what waits for a day: it tells the holders of accounts
// again, mails the links of recoveries whose time has come, and changes
// addresses. It is run periodically and bears being run again; each account has
// a transaction of its own.
func (a *Accounts) Advance(ctx context.Context) error {
	if err := a.advanceAddresses(ctx); err != nil {
		return err
	}
	now := store.Micros(a.now())
	// At half time and every day: whichever comes first after the last notice.
	found, err := waitingAccounts(ctx, a.DB, `SELECT account FROM account_recovery
		WHERE due_at > 0 AND ready_at = 0 AND expires_at > $1
			AND (due_at <= $2 OR noticed_at <= $3 OR noticed_at < (due_at + asked_at) / 2 AND (due_at + asked_at) / 2 <= $4)
		ORDER BY due_at LIMIT 200`, now, now, now-noticeEvery.Microseconds(), now)
	if err != nil {
		return fmt.Errorf("looking for recoveries: %w", err)
	}
	for _, account := range found {
		if err := a.advanceRecovery(ctx, account); err != nil {
			return err
		}
	}
	return nil
}

func (a *Accounts) advanceRecovery(ctx context.Context, account id.Account) error {
	err := a.DB.Write(ctx, func(tx *store.Tx) error {
		r, err := byID(tx, account)
		if err != nil {
			return err
		}
		open, err := recoveriesTx(tx, account, a.now())
		if err != nil {
			return err
		}
		done := 0
		for _, v := range open {
			did, err := a.stepTx(ctx, tx, r, v)
			if err != nil {
				return err
			}
			done += did
		}
		if done == 0 {
			tx.Unaudited("a notice changes nothing; the recovery was recorded when it was asked for")
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("going on with a recovery: %w", err)
	}
	return nil
}

// stepTx does for one recovery what its time asks for, and returns 1 if that is
// in the log.
func (a *Accounts) stepTx(ctx context.Context, tx *store.Tx, r row, v recovery) (int, error) {
	now := a.now()
	half := (v.dueAt + v.askedAt) / 2
	switch at := store.Micros(now); {
	case v.dueAt == 0 || v.readyAt != 0 || !r.state.returns():
		return 0, nil
	case v.dueAt <= at:
		return 1, a.readyTx(ctx, tx, r, v, now)
	case v.noticed <= at-noticeEvery.Microseconds(), v.noticed < half && half <= at:
		if _, err := tx.Exec(`UPDATE account_recovery SET noticed_at = $1 WHERE recovery = $2`, at, v.recovery); err != nil {
			return 0, err
		}
		return 0, a.noticeTx(ctx, tx, r, v)
	}
	return 0, nil
}

// readyTx mails the link with which a recovery is finished, to the present
// address alone.
func (a *Accounts) readyTx(ctx context.Context, tx *store.Tx, r row, v recovery, now time.Time) error {
	if _, err := tx.Exec(`UPDATE account_recovery SET ready_at = $1 WHERE recovery = $2`, store.Micros(now), v.recovery); err != nil {
		return err
	}
	email, err := a.open(ctx, r.person, "email", r.email)
	if err != nil {
		return err
	}
	token, l, err := a.newLink(ctx, linkRegain, r.account, regainLife, nil)
	if err != nil {
		return err
	}
	if err := insertLink(tx, l); err != nil {
		return err
	}
	if err := a.Post.SendTx(tx, a.recoveryReadyLetter(email, r.person, token)); err != nil {
		return err
	}
	_, err = a.Log.AppendTx(tx, a.event(evRecoveryReady, access.System("scheduler"), r.person, nil))
	return err
}
