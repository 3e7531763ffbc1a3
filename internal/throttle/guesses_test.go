package throttle

import (
	"net/netip"
	"testing"
	"time"
)

// usual are rates as a sign-in has them.
var usual = GuessRates{
	Near: Rate{30 * time.Second, 20}, Wide: Rate{10 * time.Second, 60}, Crowd: Rate{10 * time.Second, 500},
	Known: 30 * 24 * time.Hour, Vouch: Rate{2 * time.Hour, 3},
}

func (h *house) guesses() *Guesses {
	h.t.Helper()
	g, err := h.Guesses(ctx, "test", usual)
	if err != nil {
		h.t.Fatal(err)
	}
	return g
}

// tries counts how many guesses an address has.
func tries(g *Guesses, ip netip.Addr) (n int) {
	for n < 1000 {
		if _, wait := g.Begin(ip); wait > 0 {
			return n
		}
		n++
	}
	return n
}

var home, office = netip.MustParseAddr("198.51.100.7"), netip.MustParseAddr("198.51.100.8")

func TestWrongGuessesSpend(t *testing.T) {
	h := sqlite(t)
	g := h.guesses()
	if n := tries(g, home); n != 20 {
		t.Errorf("an address has %d guesses", n)
	}
	if n := tries(g, office); n != 20 {
		t.Errorf("its neighbour has %d", n)
	}
	h.clock.move(time.Minute)
	if n := tries(g, home); n != 2 {
		t.Errorf("after a minute it has %d", n)
	}
}

// Guesses that turn out right cost nothing, however many there are; those that
// are under way at once do.
func TestRightGuessesAreFree(t *testing.T) {
	h := sqlite(t)
	g := h.guesses()
	who := key(h.Throttle, "ada")
	for i := range 500 {
		guess, wait := g.Begin(home)
		if wait > 0 {
			t.Fatalf("right guess %d waits %s", i, wait)
		}
		guess.Right(who)
	}
	for range 100 {
		guess, _ := g.Begin(office)
		guess.Back()
	}
	if n := tries(g, office); n != 20 {
		t.Errorf("after guesses that were none there are %d", n)
	}
	Guess{}.Back()
	Guess{}.Right(who)
}

// A /48 of version 6 has a budget too: whoever has one moves between 65,536 /64.
func TestWideNetworks(t *testing.T) {
	h := sqlite(t)
	g := h.guesses()
	n := 0
	for i := range 200 {
		n += tries(g, netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 0, 1, 0, byte(i)}))
	}
	if n != 60 {
		t.Errorf("a /48 has %d guesses", n)
	}
	if n := tries(g, netip.MustParseAddr("2001:db8:2::1")); n != 20 {
		t.Errorf("its neighbour has %d", n)
	}
}

// Many networks that each guess a little spend the budget of the crowd: its
// guesses become dearer, and then it waits. Networks that are known notice
// nothing of it.
func TestTheCrowd(t *testing.T) {
	h := sqlite(t)
	g := h.guesses()
	guess, _ := g.Begin(home)
	guess.Right(key(h.Throttle, "ada"))
	var each []int
	total := 0
	for i := range 2000 {
		n := tries(g, address(i))
		total += n
		if i%5 == 0 && len(each) < 40 {
			each = append(each, n)
		}
	}
	if total != 500 || g.crowd.spent(g.everybody) < 0.99 {
		t.Errorf("a crowd has %d guesses, and %.2f of its budget is spent", total, g.crowd.spent(g.everybody))
	}
	if each[0] != 20 || each[8] > 5 || each[len(each)-1] > 2 {
		t.Errorf("the guesses of one network after the other: %v", each)
	}
	if _, wait := g.Begin(office); wait == 0 || wait > 10*time.Second {
		t.Errorf("a network that is not known waits %s", wait)
	}
	if n := tries(g, home); n != 20 {
		t.Errorf("a network that is known has %d guesses", n)
	}
}

// One account cannot take a botnet out of the crowd.
func TestVouching(t *testing.T) {
	h := sqlite(t)
	g := h.guesses()
	thief := key(h.Throttle, "thief")
	for i := range 100 {
		guess, _ := g.Begin(address(i))
		guess.Right(thief)
	}
	known := 0
	for i := range 100 {
		if g.known.has(h.Networks(address(i)).Near) {
			known++
		}
	}
	if known != usual.Vouch.Burst {
		t.Errorf("one account vouched for %d networks", known)
	}
	h.clock.move(usual.Known + time.Hour)
	if g.known.has(h.Networks(address(0)).Near) {
		t.Error("a network is known for ever")
	}
}
