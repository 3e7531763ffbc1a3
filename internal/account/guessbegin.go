package account

import (
	"context"
	"fmt"
	"time"

	"troth/internal/access"
	"troth/internal/audit"
	"troth/internal/fault"
	"troth/internal/secret"
	"troth/internal/store"
	"troth/internal/throttle"
)

// beginSignIn begins a guess at the password of whoever has an address. A known
// browser pays with a budget of its own; the network of any other one pays, and
// fault.TooMany says that it cannot. The row is zero where there is no account.
// The guess has its turn until done is called.
func (a *Accounts) beginSignIn(ctx context.Context, by access.Subject, email string, b browser) (r row, g guess, err error) {
	indexes, err := a.indexes(ctx, email)
	if err != nil {
		return row{}, guess{}, err
	}
	from, err := a.standing(ctx, indexes, b)
	if err != nil {
		return row{}, guess{}, err
	}
	g = guess{of: ofStrangers, key: a.strangersKey(email)}
	if from.known {
		g = a.inBrowser(g, from)
	} else if g.paid, err = a.pay(by); err != nil {
		return row{}, guess{}, err
	}
	if g.done, err = a.guess.turns.take(ctx, g.key, a.Config.PasswordWait.D()); err != nil {
		g.paid.Back()
		return row{}, guess{}, err
	}
	err = a.DB.Write(ctx, func(tx *store.Tx) (err error) {
		tx.Unaudited("what comes of a guess is recorded when that is known")
		if r, err = byEmail(tx, indexes); err != nil {
			return err
		}
		g.who = r.person
		return a.countTx(tx, &g)
	})
	if err != nil {
		g.done()
		g.paid.Back()
		return row{}, guess{}, uncounted(err)
	}
	if !g.open {
		g.done() // whatever comes of it, the next one need not wait for it
	}
	return r, g, nil
}

// standing is what a browser is to whoever has an address. One that holds no
// token is nothing to anybody.
func (a *Accounts) standing(ctx context.Context, indexes [][]byte, b browser) (s standing, err error) {
	if !b.held {
		return standing{}, nil
	}
	err = a.DB.Read(ctx, func(tx *store.Tx) error {
		r, err := byEmail(tx, indexes)
		if err != nil {
			return err
		}
		s, err = a.standingTx(tx, r.account, b.digest)
		return err
	})
	if err != nil {
		return standing{}, fmt.Errorf("looking for a browser: %w", err)
	}
	return s, nil
}

// inBrowser makes a guess of strangers one of a known browser.
func (a *Accounts) inBrowser(g guess, from standing) guess {
	g.of, g.from = ofBrowser, from
	g.key = a.guess.t.Key("account.browser", append(g.key[:], from.digest[:]...))
	return g
}

// uncounted is the fault of a guess that could not be counted: it is not looked at.
func uncounted(err error) error {
	return fault.Wrap(err, fault.Unavailable, "account.unrecorded", "This cannot be recorded at the moment, so it was not done. Try again in a minute.")
}

// countTx counts a guess at its key, by the policy of whoever it is about.
func (a *Accounts) countTx(tx *store.Tx, g *guess) (err error) {
	g.policy = a.Config.Guessing.policy()
	if g.of != ofStrangers {
		g.policy.limit = a.Config.Guessing.BrowserLimit
	}
	if err := g.policy.ownTx(tx, g.who.account); err != nil {
		return err
	}
	if g.before, err = tallyTx(tx, g.key); err != nil {
		return err
	}
	if g.tally, g.open = g.policy.begin(g.before, store.Micros(a.now())); !g.open {
		return nil
	}
	return putTally(tx, *g, a.now())
}

// rightTx forgets the wrong guesses before one that is right. What its network
// has paid comes back once that is durable.
func (a *Accounts) rightTx(tx *store.Tx, by access.Subject, g guess) error {
	if g.of == "" {
		return nil // nothing was guessed at
	}
	who := a.guess.t.Key("account", []byte(g.who.account))
	tx.AfterCommit(func() {
		if g.of == ofBrowser {
			a.guess.from.Vouch(by.Context.IP, who)
		} else {
			g.paid.Right(who)
		}
	})
	_, err := tx.Exec(`DELETE FROM account_guess WHERE key = $1`, g.key[:])
	return err
}

// back takes a guess back that could not be looked at after all, as when too
// many others were.
func (a *Accounts) back(ctx context.Context, g guess) {
	g.paid.Back()
	if g.tally == g.before {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	err := a.DB.Write(ctx, func(tx *store.Tx) error {
		tx.Unaudited("a guess that was not looked at is taken back")
		_, err := tx.Exec(`UPDATE account_guess SET failures = $1, paused_until = $2 WHERE key = $3 AND failures = $4`,
			g.before.failures, g.before.until, g.key[:], g.tally.failures)
		return err
	})
	if err != nil {
		a.log.Warn("a guess that was not looked at could not be taken back", "error", err)
	}
}

// errPaused is what somebody is told who has proven to know the password, or is
// signed in, and must wait.
var errPaused = fault.New(fault.TooMany, "account.paused", "There were too many wrong entries in a row. Wait a while, then try again.")

// paused is errPaused with the time that is left; a count that is shut has none.
func (a *Accounts) paused(g guess) error {
	left := time.Duration(g.tally.until-store.Micros(a.now())) * time.Microsecond
	if g.policy.shut(g.tally) || left <= 0 {
		return errPaused
	}
	return errPaused.In(patience(left))
}

// beginOwn begins a guess at the present password, or at a code, by somebody who
// is signed in. Sessions count by themselves: whoever has stolen one uses up its
// own budget. It is fault.TooMany during a pause.
func (a *Accounts) beginOwn(ctx context.Context, by access.Subject, who person) (guess, error) {
	g := guess{of: ofSession, key: a.guess.t.Key("account.session", []byte(by.Session)), who: who}
	err := a.DB.Write(ctx, func(tx *store.Tx) error {
		tx.Unaudited("what comes of a guess is recorded when that is known")
		return a.countTx(tx, &g)
	})
	switch {
	case err != nil:
		return guess{}, uncounted(err)
	case !g.open:
		return guess{}, a.paused(g)
	}
	return g, nil
}

// presentPassword compares the password of somebody who is signed in. A wrong one
// is the refusal, recorded by an event; during a pause it is
// fault.TooMany. The guess is to be said right with what it allows.
func (a *Accounts) presentPassword(ctx context.Context, by access.Subject, r row, typed secret.String, wrong audit.Event, refusal error) (guess, error) {
	g, err := a.beginOwn(ctx, by, r.person)
	if err != nil {
		return guess{}, err
	}
	verdict, _, err := a.compare(ctx, r, typed)
	if err != nil {
		a.back(ctx, g)
		return guess{}, err
	}
	if !verdict.Match {
		return guess{}, a.wrong(ctx, by, r, g, wrong, refusal)
	}
	return g, nil
}

// kindPasskey is the one kind of answer that cannot be guessed: no count keeps
// its holder waiting.
const kindPasskey = "passkey"

// beginCodeTx begins a guess at a second factor of a pending sign-in.
func (a *Accounts) beginCodeTx(tx *store.Tx, r row, o ongoing, kind string, paid throttle.Guess) (guess, error) {
	from, err := a.standingTx(tx, r.account, o.device)
	if err != nil {
		return guess{}, err
	}
	g := guess{of: ofStrangers, key: a.codesKey(r.account), who: r.person, paid: paid}
	switch {
	case from.pass:
		g.key = a.unlockedCodesKey(r.account)
	case from.known:
		g = a.inBrowser(g, from)
	}
	err = a.countTx(tx, &g)
	g.open = g.open || kind == kindPasskey
	return g, err
}

// payForCode lets the network of an answer to a pending sign-in pay for it,
// unless its browser is known.
func (a *Accounts) payForCode(ctx context.Context, by access.Subject, digest secret.Digest) (throttle.Guess, error) {
	var s standing
	err := a.DB.Read(ctx, func(tx *store.Tx) error {
		o, r, err := a.pendingTx(tx, digest)
		if err != nil {
			return err
		}
		s, err = a.standingTx(tx, r.account, o.device)
		return err
	})
	if err != nil || s.known {
		return throttle.Guess{}, err
	}
	return a.pay(by)
}
