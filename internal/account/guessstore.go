package account

import (
	"errors"
	"time"

	"troth/internal/id"
	"troth/internal/keys"
	"troth/internal/store"
	"troth/internal/throttle"
)

// unending is the end of a count that only a right guess, unlocking or the end of
// the account ends.
const unending = 0

// ends is when a count is forgotten without anybody's doing.
//
// Strangers' count at an account is not: SP 800-63B-4, 3.2.2 bounds consecutive
// failures, however slow they come, and a count that ends by itself hands whoever
// waits a hundred more. An account has two such rows, of its password and of its
// codes. Addresses without an account, which anybody can make up, are kept as long
// as a known browser is, and so is the count of that browser: with a crowd whose
// budget is spent all that time, that is 3.5 million rows. A session's count ends
// when the session must have.
func (g guess) ends(now time.Time) int64 {
	switch {
	case g.of == ofSession:
		return store.Micros(now.Add(maxAbsolute))
	case g.of == ofStrangers && g.who.account != "":
		return unending
	}
	return store.Micros(now.Add(DeviceLife))
}

// strangersKey is the key of strangers' count at an address, with an account or
// without.
func (a *Accounts) strangersKey(email string) throttle.Key {
	return a.guess.t.Key("account.password", []byte(keys.Normalise(email)))
}

// forgetGuessesAtTx forgets what was guessed at an address before it was that of
// the account which it now is: nobody could unlock it.
func (a *Accounts) forgetGuessesAtTx(tx *store.Tx, email string) error {
	key := a.strangersKey(email)
	_, err := tx.Exec(`DELETE FROM account_guess WHERE key = $1`, key[:])
	return err
}

// codesKey is the key of strangers' count at the codes of an account, and
// unlockedCodesKey that of all browsers together which a mailed link has
// unlocked. Neither a mailed link nor a new password ends them: the mailbox is
// what a second factor is there to be besides, and whoever reads it would have a
// hundred more guesses for each mail. A right second factor does, and so do the
// operator and a change of the factors themselves.
func (a *Accounts) codesKey(account id.Account) throttle.Key {
	return a.guess.t.Key("account.code", []byte(account))
}

func (a *Accounts) unlockedCodesKey(account id.Account) throttle.Key {
	return a.guess.t.Key("account.code.unlocked", []byte(account))
}

// forgetCodesTx forgets the wrong guesses at the codes of an account.
func (a *Accounts) forgetCodesTx(tx *store.Tx, account id.Account) error {
	strangers, unlocked := a.codesKey(account), a.unlockedCodesKey(account)
	_, err := tx.Exec(`DELETE FROM account_guess WHERE key = $1 OR key = $2`, strangers[:], unlocked[:])
	return err
}

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
	_, err := tx.Exec(`INSERT INTO account_guess (key, account, failures, paused_until, told, expires_at) VALUES ($1, $2, $3, $4, FALSE, $5)
		ON CONFLICT (key) DO UPDATE SET account = excluded.account, failures = excluded.failures, paused_until = excluded.paused_until,
			expires_at = excluded.expires_at`,
		g.key[:], g.who.account, g.tally.failures, g.tally.until, g.ends(now))
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
