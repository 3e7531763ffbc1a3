package account

import (
	"context"

	"strconv"
	"time"

	"troth/internal/access"
	"troth/internal/audit"
	"troth/internal/fault"
	"troth/internal/store"
)

// wrong records a guess that was wrong, or that was not looked at, and returns
// the refusal. The first pause of strangers since the last right guess is told
// to the holder, with a link that takes the browser that opens it out of it; and
// so is that waiting does not help any more.
//
// The work is the same for an address without an account: there, the link goes
// to nobody.
func (a *Accounts) wrong(ctx context.Context, by access.Subject, r row, g guess, e audit.Event, refusal error) error {
	if !g.pauses() {
		return a.refused(ctx, e, refusal)
	}
	err := a.DB.Write(ctx, func(tx *store.Tx) error {
		if _, err := a.Log.AppendTx(tx, e); err != nil {
			return err
		}
		return a.afterPauseTx(ctx, tx, by, r, g)
	})
	if err != nil {
		return fault.Wrap(err, fault.Unavailable, "account.unrecorded", "This cannot be recorded at the moment, so it was not done. Try again in a minute.")
	}
	return refusal
}

// afterPauseTx is what a wrong guess brings with which a pause begins, in the
// transaction that records it.
func (a *Accounts) afterPauseTx(ctx context.Context, tx *store.Tx, by access.Subject, r row, g guess) error {
	shut := g.policy.shut(g.tally)
	switch {
	case g.of == ofSession && shut:
		return a.expelTx(tx, by, g)
	case g.of == ofBrowser && shut:
		return a.strangeTx(tx, by, g)
	case g.of != ofStrangers:
		return a.pausedTx(tx, evOwnPaused, by, g)
	}
	return a.tellPauseTx(ctx, tx, by, r, g)
}

// pausedTx records that a count began to pause, or is shut.
func (a *Accounts) pausedTx(tx *store.Tx, name string, by access.Subject, g guess) error {
	metadata := map[string]string{"failures": strconv.Itoa(g.tally.failures)}
	if !g.policy.shut(g.tally) {
		metadata["pause"] = g.policy.pause(g.tally.failures).String()
	}
	_, err := a.Log.AppendTx(tx, a.event(name, by, g.who, metadata))
	return err
}

// strangeTx makes a browser new to an account that guessed wrong too often in it.
func (a *Accounts) strangeTx(tx *store.Tx, by access.Subject, g guess) error {
	d, known, err := deviceTx(tx, g.who.account, g.from.digest)
	if err == nil && known {
		_, err = forgetDeviceTx(tx, g.who.account, d.device)
	}
	if err != nil {
		return err
	}
	if _, err := tx.Exec(`DELETE FROM account_guess WHERE key = $1`, g.key[:]); err != nil {
		return err
	}
	return a.pausedTx(tx, evBrowserStrange, by, g)
}

// expelTx ends a session in which its holder guessed wrong too often: it may be a
// stolen one.
func (a *Accounts) expelTx(tx *store.Tx, by access.Subject, g guess) error {
	if _, err := endSessions(tx, `session = $1 AND account = $2`, by.Session, g.who.account); err != nil {
		return err
	}
	return a.pausedTx(tx, evSessionExpelled, by, g)
}

// unlockLife is how long the link lives that unlocks an account: long enough to
// be found after a holiday.
const unlockLife = 14 * 24 * time.Hour

// tellPauseTx records that strangers have to wait, and tells the holder when that
// begins and when it will not end by itself.
func (a *Accounts) tellPauseTx(ctx context.Context, tx *store.Tx, by access.Subject, r row, g guess) error {
	n, err := tx.Exec(`UPDATE account_guess SET told = TRUE WHERE key = $1 AND told = FALSE`, g.key[:])
	if err == nil && (n > 0 || g.policy.shut(g.tally)) {
		err = a.tellHolderTx(ctx, tx, r, g)
	}
	if err != nil {
		return err
	}
	if g.policy.shut(g.tally) {
		return a.pausedTx(tx, evGuessesShut, by, g)
	}
	return a.pausedTx(tx, evGuessesPaused, by, g)
}

// tellHolderTx sends the link that unlocks an account; to nobody where there is
// none.
func (a *Accounts) tellHolderTx(ctx context.Context, tx *store.Tx, r row, g guess) error {
	token, l, err := a.newLink(ctx, linkUnlock, r.account, unlockLife, nil)
	if err != nil {
		return err
	}
	holder, err := a.holder(ctx, r)
	if err != nil {
		return err
	}
	letter := a.unlockLetter(holder, r.person, g, token)
	if !r.state.returns() || r.confirmedAt == 0 {
		l.kind, letter = linkNone, decoy(letter, holder)
	}
	if err := insertLink(tx, l); err != nil {
		return err
	}
	return a.Post.SendTx(tx, letter)
}
