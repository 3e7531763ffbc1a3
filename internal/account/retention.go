package account

import (
	"context"
	"time"

	"troth/internal/retention"
	"troth/internal/store"
)

// sweepLimit is how many rows one transaction removes.
const sweepLimit = 1000

// Retention says how long the rows of this package are kept.
var Retention = append(guessRetention, []retention.Rule{
	{Table: "account", Keep: "As long as the account; of a destroyed one the identifier and the times stay, so that the identifier is never given to somebody else."},
	{Table: "account_cost", Keep: "As long as the installation: one row for each calibration, with nothing personal in it."},
	{
		Table: "account_exposed", Every: time.Hour,
		Keep: "As long as the account has the password that was found in a breach.",
		Sweep: func(_ context.Context, tx *store.Tx, _ time.Time) (int64, error) {
			return tx.Exec(`DELETE FROM account_exposed WHERE told_at > 0 AND account IN
				(SELECT e.account FROM account_exposed e JOIN account a ON a.account = e.account WHERE a.password_at <> e.password_at LIMIT $1)`, sweepLimit)
		},
	},
	{
		Table: "account_pair", Every: time.Hour,
		Keep: "What was found beside an address in stolen credentials: a password, sealed, until it is compared, which takes minutes, and a week at most; a hash, or its keyed digest, until the holder signs in next, and 180 days at most.",
		Sweep: func(_ context.Context, tx *store.Tx, now time.Time) (int64, error) {
			return tx.Exec(`DELETE FROM account_pair WHERE digest IN
				(SELECT digest FROM account_pair WHERE added_at <= $1 OR kind = $2 AND added_at <= $3 LIMIT $4)`,
				store.Micros(now.Add(-180*24*time.Hour)), pairText, store.Micros(now.Add(-7*24*time.Hour)), sweepLimit)
		},
	},
	{
		Table: "account_link", Every: 15 * time.Minute,
		Keep: "Until the link is used or expires: an hour for a new password, a day for what was applied for, a week for ending a session that a notice told of and for undoing a change of address, two weeks to unlock an account, and as long as a recovery or a change of address waits for stopping it. That an account was unlocked in a browser stands here too, for a day.",
		Sweep: func(_ context.Context, tx *store.Tx, now time.Time) (int64, error) {
			return tx.Exec(`DELETE FROM account_link WHERE digest IN
				(SELECT digest FROM account_link WHERE expires_at <= $1 LIMIT $2)`, store.Micros(now), sweepLimit)
		},
	},
	{
		Table: "account_device", Every: time.Hour,
		Keep: "For 400 days after the last sign-in in that browser, which is as long as browsers keep the cookie, or until the account is destroyed.",
		Sweep: func(_ context.Context, tx *store.Tx, now time.Time) (int64, error) {
			return tx.Exec(`DELETE FROM account_device WHERE device IN
				(SELECT device FROM account_device WHERE seen_at <= $1 LIMIT $2)`, store.Micros(now.Add(-DeviceLife)), sweepLimit)
		},
	},
	{
		Table: "account_pending", Every: 15 * time.Minute,
		Keep: "Until the sign-in has taken its last step; ten minutes at most.",
		Sweep: func(_ context.Context, tx *store.Tx, now time.Time) (int64, error) {
			return tx.Exec(`DELETE FROM account_pending WHERE digest IN
				(SELECT digest FROM account_pending WHERE expires_at <= $1 LIMIT $2)`, store.Micros(now), sweepLimit)
		},
	},
	{
		Table: "account_mail", Every: 15 * time.Minute,
		Keep: "For an hour: that a mail was asked for about an address, and a blind index of the network that asked, to bound how many a stranger can cause.",
		Sweep: func(_ context.Context, tx *store.Tx, now time.Time) (int64, error) {
			return tx.Exec(`DELETE FROM account_mail WHERE digest IN
				(SELECT digest FROM account_mail WHERE asked_at <= $1 LIMIT $2)`, store.Micros(now.Add(-time.Hour)), sweepLimit)
		},
	},
	{
		Table: "account_address", Every: 15 * time.Minute,
		Keep: "Until the change of address is done, stopped or expired: a day, or a day after the waiting time where the old mailbox is out of reach.",
		Sweep: func(_ context.Context, tx *store.Tx, now time.Time) (int64, error) {
			return tx.Exec(`DELETE FROM account_address WHERE account IN
				(SELECT account FROM account_address WHERE expires_at <= $1 LIMIT $2)`, store.Micros(now), sweepLimit)
		},
	},
	{
		Table: "account_past", Every: 15 * time.Minute,
		Keep: "For a week: the address that an account had before, sealed, which is told what happens to the account and can undo the change.",
		Sweep: func(_ context.Context, tx *store.Tx, now time.Time) (int64, error) {
			return tx.Exec(`DELETE FROM account_past WHERE email_index IN
				(SELECT email_index FROM account_past WHERE expires_at <= $1 LIMIT $2) AND expires_at <= $3`, store.Micros(now), sweepLimit, store.Micros(now))
		},
	},
	{
		Table: "account_recovery", Every: 15 * time.Minute,
		Keep: "Until the recovery is finished or stopped, three days where nobody approves it, and a week after its time at the latest; what happened stays in the log.",
		Sweep: func(_ context.Context, tx *store.Tx, now time.Time) (int64, error) {
			return tx.Exec(`DELETE FROM account_recovery WHERE recovery IN
				(SELECT recovery FROM account_recovery WHERE expires_at <= $1 LIMIT $2)`, store.Micros(now), sweepLimit)
		},
	},
	{
		Table: "account_told", Every: 15 * time.Minute,
		Keep: "Until the next sign-in, and for 30 days at the latest: why the sessions of an account were ended.",
		Sweep: func(_ context.Context, tx *store.Tx, now time.Time) (int64, error) {
			return tx.Exec(`DELETE FROM account_told WHERE account IN
				(SELECT account FROM account_told WHERE told_at <= $1 LIMIT $2)`, store.Micros(now.Add(-maxAbsolute)), sweepLimit)
		},
	},
	{
		Table: "session", Every: 15 * time.Minute,
		Keep: "Until the session ends: when its holder or a new password ends it, when it is left idle, and after 30 days at the latest.",
		Sweep: func(_ context.Context, tx *store.Tx, now time.Time) (int64, error) {
			return endSessions(tx, `session IN
				(SELECT session FROM session WHERE expires_at <= $1 OR seen_at + idle <= $2 LIMIT $3)`, store.Micros(now), store.Micros(now), sweepLimit)
		},
	},
}...)
