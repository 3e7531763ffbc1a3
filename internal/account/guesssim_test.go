package account

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"troth/internal/keys"
	"troth/internal/store"
	"troth/internal/store/storetest"
	"troth/internal/throttle"
)

// sim is an attack on the code that decides about guesses, with nothing around
// it: networks pay to the real limiters, accounts count with the real policy, and
// the time is the test's. The database and the hash are left out, so that a
// million guesses take seconds.
type sim struct {
	t      testing.TB
	now    time.Time
	from   *throttle.Guesses
	policy guessPolicy
	count  map[string]tally // by account, and by account and known browser

	waits  int // refused for the network, before any work
	hashes int // guesses that cost a hash
	looked int // of those, that were looked at
}

func newSim(t testing.TB) *sim {
	t.Helper()
	s := &sim{t: t, now: time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC), count: map[string]tally{}}
	now := func() time.Time { return s.now }
	db := storetest.SQLite(t, throttle.Migrations)
	th, err := throttle.Open(ctx, throttle.Options{DB: db, Keys: testKeys(t, now), Now: now})
	if err != nil {
		t.Fatal(err)
	}
	c := defaultGuessing()
	s.policy = c.policy()
	if s.from, err = th.Guesses(ctx, "sim", c.rates()); err != nil {
		t.Fatal(err)
	}
	return s
}

// the outcomes of a try.
const (
	waits = iota // told to come back
	wrong        // or so it was answered
	right
)

// try is one try at an account from an address; browser names a known one.
func (s *sim) try(from netip.Addr, account, browser string, is bool) int {
	var paid throttle.Guess
	policy, key := s.policy, account
	if browser == "" {
		var wait time.Duration
		if paid, wait = s.from.Begin(from); wait > 0 {
			s.waits++
			return waits
		}
	} else {
		key += " " + browser
		policy.limit = defaultGuessing().BrowserLimit
	}
	s.hashes++
	next, open := policy.begin(s.count[key], s.now.UnixMicro())
	if !open {
		return wrong
	}
	s.looked++
	if !is {
		s.count[key] = next
		return wrong
	}
	delete(s.count, key)
	paid.Back() // whoever attacks vouches for no network: that would take it out of the crowd ten times a day
	return right
}

// owner signs in to an account, as its holder does: when strangers are kept
// waiting, with the mailed link. It returns how long that took.
func (s *sim) owner(from netip.Addr, account, browser string) (took time.Duration, mailed bool) {
	if s.try(from, account, browser, true) == right {
		return 0, false
	}
	delete(s.count, account) // the link unlocks, and lets this browser count by itself
	if s.try(from, account, "unlocked", true) != right {
		s.t.Error("an owner was kept out although the account was unlocked in this browser")
	}
	return time.Minute, true // until the mail is there
}

func botnet(n int) netip.Addr {
	v := uint32(n)*2654435761 | 1<<31
	return netip.AddrFrom4([4]byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)})
}

var city = netip.MustParseAddr("10.1.2.3") // none of the botnet's, which begin at 128

// A million pairs of addresses and passwords from a leak, of which one in two
// hundred is right, from fifty thousand places, within a day; meanwhile people
// sign in.
func TestSimulateStuffing(t *testing.T) {
	const pairs, places, one = 1_000_000, 50_000, 200
	s := newSim(t)
	chance := rand.New(rand.NewPCG(3, 63))
	good, fell, out, mailed, people := 0, 0, 0, 0, 0
	for i := range pairs {
		s.now = s.now.Add(24 * time.Hour / pairs)
		is := chance.IntN(one) == 0
		if is {
			good++
		}
		if s.try(botnet(i%places), fmt.Sprint("account ", i), "", is) == right {
			fell++
		}
		if i%1000 == 0 { // somebody from a browser that is known
			people++
			if s.try(city, fmt.Sprint("person ", i), "known", true) != right {
				out++
			}
		}
		if i%10_000 == 0 { // somebody in a new browser at a new place
			people++
			if _, m := s.owner(netip.AddrFrom4([4]byte{11, byte(i >> 16), byte(i >> 8), byte(i)}), fmt.Sprint("moved ", i), ""); m {
				mailed++
			}
		}
	}
	report(t, "Stuffing: 1,000,000 pairs, 50,000 addresses, a day", pairs, s.looked-people, fell, fmt.Sprintf("of %d right pairs", good), out, fmt.Sprintf("%d of 100 in new browsers at new places used the mailed link", mailed))
	if s.looked-people > 12_000 || fell > 80 || out > 0 {
		t.Errorf("%d guesses were looked at, %d accounts fell, %d people were kept out", s.looked, fell, out)
	}
}

// The twenty most common passwords at a hundred thousand accounts from ten
// thousand places within a day. One account in a hundred has one of them, which
// Troth refuses when a password is set.
func TestSimulateSpraying(t *testing.T) {
	const words, accounts, places = 20, 100_000, 10_000
	s := newSim(t)
	chance := rand.New(rand.NewPCG(9, 64))
	has := map[int]int{} // the common password of an account that has one
	for len(has) < accounts/100 {
		has[chance.IntN(accounts)] = chance.IntN(words)
	}
	fell := map[int]bool{}
	n := 0
	for word := range words {
		for account := range accounts {
			s.now = s.now.Add(24 * time.Hour / (words * accounts))
			its, weak := has[account]
			if s.try(botnet(n%places), fmt.Sprint(account), "", weak && its == word) == right {
				fell[account] = true
			}
			n++
		}
	}
	out := 0
	for account := range 1000 {
		if s.try(city, fmt.Sprint(account), "known", true) != right {
			out++
		}
	}
	report(t, "Spraying: 20 passwords, 100,000 accounts, 10,000 addresses, a day", words*accounts, s.looked-1000, len(fell), "of 1000 with such a password", out, "")
	if s.looked > 13_000 || len(fell) > 30 || out > 0 {
		t.Errorf("%d guesses were looked at, %d accounts fell, %d people were kept out", s.looked, len(fell), out)
	}
}

// Somebody with ten thousand places tries a password of one account every ten
// seconds for a month. Its owner signs in every day in a known browser, and once
// in a new one.
func TestSimulateTargetedLockOut(t *testing.T) {
	const places, every, days = 10_000, 10 * time.Second, 30
	s := newSim(t)
	n, out, guesses := 0, 0, 0
	var took time.Duration
	var mailed bool
	for day := range days {
		for range int(24 * time.Hour / every) {
			s.now = s.now.Add(every)
			s.try(botnet(n%places), "owner", "", false)
			n++
		}
		guesses = s.looked - day - map[bool]int{true: 1}[mailed]
		if s.try(city, "owner", "known", true) != right {
			out++
		}
		if day == 14 {
			took, mailed = s.owner(netip.MustParseAddr("11.0.0.1"), "owner", "")
		}
	}
	report(t, "Lock-out: one account, 10,000 addresses, a try every 10 s for 30 days", n, guesses, 0, "", out,
		fmt.Sprintf("once in a new browser: %s, by the mailed link: %t", took, mailed))
	if guesses > 2*maxGuesses || out > 0 || took > time.Minute {
		t.Errorf("%d guesses were looked at, and the owner was kept out on %d days and for %s", guesses, out, took)
	}
}

// report prints a line of the table in docs/accounts.md.
func report(t *testing.T, attack string, tries, looked, fell int, of string, out int, note string) {
	t.Helper()
	t.Log(strings.TrimSpace(fmt.Sprintf("%s | tries %d | looked at %d (%.2f %%) | accounts that fell %d %s | kept out in known browsers %d | %s",
		attack, tries, looked, 100*float64(looked)/float64(tries), fell, of, out, note)))
}

func testKeys(t testing.TB, now func() time.Time) *keys.Keys {
	t.Helper()
	dir := t.TempDir()
	root, err := keys.CreateRoot(filepath.Join(dir, "root"))
	if err != nil {
		t.Fatal(err)
	}
	ring, err := store.OpenRing(ctx, "sqlite:"+filepath.Join(dir, "keyring.db"), now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ring.Close() })
	return keys.New(root, ring, now)
}
