package throttle

import (
	"context"
	"net/netip"
	"time"
)

// GuessRates are the budgets of [Guesses].
type GuessRates struct {
	Near  Rate          // of one network: wrong guesses from an address of version 4, or a /64 of version 6
	Wide  Rate          // of a /48 of version 6
	Crowd Rate          // of all networks together that are not known
	Known time.Duration // how long a network is known after somebody guessed right from it
	Vouch Rate          // how many networks one account can make known
	Apart netip.Prefix  // networks that are not part of the crowd, and have their own budget only
}

// The sizes of the tables: 24 bytes a key, 22 MiB in all.
const (
	nearKeys  = 1 << 19
	wideKeys  = 1 << 17
	knownKeys = 1 << 18
	vouchKeys = 1 << 16
)

// Guesses limits guessing by where it comes from. It is safe for concurrent use.
type Guesses struct {
	t          *Throttle
	near, wide *Limiter
	crowd      *Limiter
	vouch      *Limiter
	known      *marks
	everybody  Key // the one key of the crowd
	apart      netip.Prefix
}

// Guesses makes the limiters of one thing that can be guessed at. The name is
// unique.
func (t *Throttle) Guesses(ctx context.Context, name string, r GuessRates) (*Guesses, error) {
	g := &Guesses{t: t, everybody: t.Key("crowd", nil), apart: r.Apart}
	var err error
	limiter := func(part string, rate Rate, keys int) (l *Limiter) {
		if err == nil {
			l, err = t.Limiter(ctx, Limits{Name: name + "." + part, Rate: rate, Keys: keys})
		}
		return l
	}
	g.near = limiter("near", r.Near, nearKeys)
	g.wide = limiter("wide", r.Wide, wideKeys)
	g.crowd = limiter("crowd", r.Crowd, 1)
	g.vouch = limiter("vouch", r.Vouch, vouchKeys)
	if err == nil {
		g.known, err = t.newMarks(ctx, name+".known", r.Known, knownKeys)
	}
	return g, err
}

// Guess is one guess that was begun: until it is said to be right it counts as
// wrong. The zero Guess was paid for by nobody.
type Guess struct {
	of    *Guesses
	from  Networks
	cells int
	crowd bool // the crowd paid too
}

// Begin lets the networks of an address pay for a guess. If one of them cannot,
// nobody pays, and wait says when to come back. It is the same for everybody
// there, whatever they guess at.
func (g *Guesses) Begin(ip netip.Addr) (guess Guess, wait time.Duration) {
	guess = Guess{of: g, from: g.t.Networks(ip), cells: 1}
	guess.crowd = !g.apart.Contains(ip.Unmap()) && !g.known.has(guess.from.Near)
	if guess.crowd {
		guess.cells = price(g.crowd.spent(g.everybody), g.near.Burst)
	}
	if wait = g.near.Take(guess.from.Near, guess.cells); wait > 0 {
		return Guess{}, wait
	}
	if guess.from.Two {
		if wait = g.wide.Take(guess.from.Wide, guess.cells); wait > 0 {
			g.near.Give(guess.from.Near, guess.cells)
			return Guess{}, wait
		}
	}
	if guess.crowd {
		if wait = g.crowd.Take(g.everybody, 1); wait > 0 {
			guess.crowd = false
			guess.Back()
			return Guess{}, wait
		}
	}
	return guess, 0
}

// price is what a guess costs a network that is not known: the more of the
// budget of all of them is spent, the dearer, up to all that the network has.
func price(spent float64, burst int) int {
	switch {
	case spent < 0.5:
		return 1
	case spent < 0.75:
		return max(1, burst/5)
	case spent < 0.9:
		return max(1, burst/2)
	}
	return burst
}

// Back gives back what was paid: it was no guess after all, as when whatever it
// was compared with could not be reached.
func (g Guess) Back() {
	if g.of == nil {
		return
	}
	g.of.near.Give(g.from.Near, g.cells)
	if g.from.Two {
		g.of.wide.Give(g.from.Wide, g.cells)
	}
	if g.crowd {
		g.of.crowd.Give(g.of.everybody, 1)
	}
}

// Right gives back what was paid, and makes the network known. Who guessed right
// vouches for it, and can do so for a bounded number of networks: otherwise
// whoever has an account could take every network out of the crowd.
func (g Guess) Right(who Key) {
	g.Back()
	if g.of == nil {
		return
	}
	if !g.crowd {
		g.of.known.set(g.from.Near) // known for longer
		return
	}
	if g.of.vouch.Take(who, 1) == 0 {
		g.of.known.set(g.from.Near)
	}
}

// Vouch makes a network known from which somebody proved who it is without a
// guess that was paid for, within the same bound.
func (g *Guesses) Vouch(ip netip.Addr, who Key) {
	near := g.t.Networks(ip).Near
	if g.known.has(near) || g.vouch.Take(who, 1) == 0 {
		g.known.set(near)
	}
}
