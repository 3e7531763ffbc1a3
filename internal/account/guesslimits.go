package account

import (
	"context"
	"fmt"
	"time"

	"troth/internal/access"
	"troth/internal/fault"
	"troth/internal/throttle"
)

// guesses is what limits guessing.
type guesses struct {
	t        *throttle.Throttle
	from     *throttle.Guesses // by where they come from
	turns    *turns
	effort   *throttle.Limiter // what costs work and is no guess
	passkeys *throttle.Limiter // challenges and answers of strangers' passkeys
}

// openGuesses makes the limits. Without a throttle it makes one that no other
// node hears of.
func (a *Accounts) openGuesses(ctx context.Context) (err error) {
	g := &a.guess
	g.turns = &turns{of: map[throttle.Key]*turn{}}
	if g.t = a.Throttle; g.t == nil {
		if g.t, err = throttle.Open(ctx, throttle.Options{DB: a.DB, Keys: a.Keys, Now: a.now, Log: a.log}); err != nil {
			return err
		}
	}
	if g.from, err = g.t.Guesses(ctx, "account.guess", a.Config.Guessing.rates()); err == nil {
		g.effort, err = g.t.Limiter(ctx, throttle.Limits{Name: "account.effort", Rate: a.Config.Guessing.effort()})
	}
	if err == nil {
		g.passkeys, err = g.t.Limiter(ctx, throttle.Limits{Name: "account.passkey", Rate: throttle.Rate{Every: passkeyEvery, Burst: passkeyBurst}})
	}
	if err != nil {
		return fmt.Errorf("making the limits on guessing: %w", err)
	}
	return nil
}

// errGuesses is what a network is told that has guessed wrong too often, or that
// has to wait because others have: whatever the address is that was typed.
var errGuesses = fault.New(fault.TooMany, "account.too_many", "There were too many wrong attempts. Try again later, or use a browser in which you have signed in before.")

// patience is a wait as it is told: whole seconds, at least one.
func patience(d time.Duration) time.Duration { return d.Truncate(time.Second) + time.Second }

// pay lets the network of a guess pay for it.
func (a *Accounts) pay(by access.Subject) (throttle.Guess, error) {
	g, wait := a.guess.from.Begin(by.Context.IP)
	if wait > 0 {
		return g, errGuesses.In(patience(wait))
	}
	return g, nil
}

var errEffort = fault.New(fault.TooMany, "account.too_often", "Your network has asked for this too often. Try again later.")

// effort lets a network pay for something that costs work and guesses at nothing.
func (a *Accounts) effort(by access.Subject) error {
	if wait := a.guess.effort.Take(a.guess.t.Networks(by.Context.IP).Near, 1); wait > 0 {
		return errEffort.In(patience(wait))
	}
	return nil
}
