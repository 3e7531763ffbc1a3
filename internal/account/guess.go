package account

import (
	"time"

	"troth/internal/throttle"
)

// Guesses at the secrets of an account are limited in two ways. The network that
// they come from pays for each before anything is looked at (package throttle);
// whoever cannot pay is told to come back, the same for everybody there. And the
// account counts the wrong ones in a row, of strangers all together, and of each
// browser in which its holder has signed in before by itself (OWASP, "Slow Down
// Online Guessing Attacks with Device Cookies"). So whoever knows an address can
// use up the guesses of strangers, and never those of the holder's own browsers,
// which need no budget of their network either.
//
// A count that grows too high pauses: for a minute after five wrong guesses, and
// for twice as long after each further one, up to an hour. During a pause the
// right password is answered as a wrong one is, after the same work. After a
// hundred (SP 800-63B-4, 3.2.2: no more than 100 consecutive failures) strangers
// wait until the holder, a recovery or the operator unlocks the account.
//
// A guess counts as wrong from its beginning until it is proven right: of many at
// once, no more are looked at than of many in turn. The counts are kept for
// addresses without an account too, by the same work.

// guessPolicy is how many wrong guesses in a row a count bears.
type guessPolicy struct {
	free    int           // without a pause
	delay   time.Duration // the first pause
	longest time.Duration // no pause is longer
	limit   int           // so many, and no further one is looked at
}

// tally is a count of wrong guesses in a row, as it is stored.
type tally struct {
	failures int
	until    int64 // nothing is looked at before, in microseconds
}

// pause is how long nothing is looked at after so many wrong guesses in a row.
func (p guessPolicy) pause(failures int) time.Duration {
	if failures < p.free {
		return 0
	}
	d := p.delay
	for n := failures - p.free; n > 0 && d < p.longest; n-- {
		d *= 2
	}
	return min(d, p.longest)
}

// shut reports whether a count is so high that waiting does not help.
func (p guessPolicy) shut(t tally) bool { return t.failures >= p.limit }

// begin counts a guess. It is looked at only if it is open; then next is the
// count if it turns out wrong, and otherwise it is as it was. A pause that is
// longer than the longest was begun while the clock was wrong, and is over.
func (p guessPolicy) begin(t tally, now int64) (next tally, open bool) {
	if p.shut(t) || t.until > now && t.until <= now+p.longest.Microseconds() {
		return t, false
	}
	t.failures++
	if pause := p.pause(t.failures); pause > 0 {
		t.until = now + pause.Microseconds()
	}
	return t, true
}

// budget is whose guesses a count is of.
type budget string

// The counts.
const (
	ofStrangers budget = "strangers" // all together
	ofBrowser   budget = "browser"   // of one in which the holder has signed in before
	ofSession   budget = "session"   // of somebody who is signed in
)

// guess is one guess that was begun.
type guess struct {
	paid   throttle.Guess // by its network
	of     budget
	key    throttle.Key // of its count
	who    person       // whose secret it is, if anybody's
	from   standing     // the browser that it comes from
	policy guessPolicy
	before tally
	tally  tally  // if it is wrong
	open   bool   // it is looked at; otherwise it is wrong, whatever it is
	done   func() // ends its turn, where it has one
}

// pauses reports whether a guess, if it is wrong, begins a pause.
func (g guess) pauses() bool { return g.tally != g.before && g.tally.failures >= g.policy.free }
