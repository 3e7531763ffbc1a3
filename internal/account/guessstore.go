package account

import (
	"errors"
	"time"

	"troth/internal/id"
	"troth/internal/store"
	"troth/internal/throttle"
)

// How long counts are kept after the last guess: one that could still end by
// waiting for a month, one that cannot for as long as a known browser lives.
const (
	tallyLife = 30 * 24 * time.Hour
	shutLife  = 400 * 24 * time.Hour
)

// tallyTx reads a count; none is zero.
func tallyTx(tx *store.Tx, key throttle.Key) (tally, error) {
	var t tally
	err := tx.QueryRow(`SELECT failures, paused_until FROM account_guess WHERE key = $1`, key[:]).Scan(&t.failures, &t.until)
	if errors.Is(err, store.ErrNoRows) {
		return tally{}, nil
	}
	return t, err
}

func putTally(tx *store.Tx, g guess, now time.Time) error {
	life := tallyLife
	if g.policy.shut(g.tally) {
		life = shutLife
	}
	_, err := tx.Exec(`INSERT INTO account_guess (key, account, failures, paused_until, told, expires_at) VALUES ($1, $2, $3, $4, FALSE, $5)
		ON CONFLICT (key) DO UPDATE SET account = excluded.account, failures = excluded.failures, paused_until = excluded.paused_until,
			expires_at = excluded.expires_at`,
		g.key[:], g.who.account, g.tally.failures, g.tally.until, store.Micros(now.Add(life)))
	return err
}

// ownTx takes the policy of an account that has one of its own.
func (p *guessPolicy) ownTx(tx *store.Tx, account id.Account) error {
	var free int
	var delay int64
	err := tx.QueryRow(`SELECT guess_free, guess_delay FROM account WHERE account = $1`, account).Scan(&free, &delay)
	if errors.Is(err, store.ErrNoRows) {
		return nil
	}
	if free > 0 {
		p.free, p.delay = min(p.free, free), time.Duration(delay)*time.Microsecond
	}
	return err
}
