package account

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"troth/internal/config"
	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/password"
	"troth/internal/secret"
	"troth/internal/store"
)

// cheap is a hash that costs nothing, so that what is around it can be attacked
// for a month within seconds. It counts what is compared with a password that is
// set.
type cheap struct{ looked atomic.Int64 }

func (*cheap) Hash(_ context.Context, p secret.String) (string, error) {
	return fmt.Sprintf("$cheap$%x", sha256.Sum256([]byte(p.Reveal()))), nil
}

// Verify counts.
func (c *cheap) Verify(ctx context.Context, stored string, p secret.String) (password.Verdict, error) {
	if stored == "" {
		return password.Verdict{}, nil
	}
	c.looked.Add(1)
	again, err := c.Hash(ctx, p)
	return password.Verdict{Match: again == stored}, err
}

// town is the whole of package account on SQLite, and people who have signed in
// in a browser of theirs, each from a network of its own.
type town struct {
	*house
	hash   *cheap
	people []*citizen

	tries, taken, fell int   // of the attack: what networks could pay for is taken
	looked             int64 // and what is looked at of that
	visits, out        int   // of people in their own browsers
}

type citizen struct {
	email, password string
	device          secret.String
	at              string // its network
}

func newTown(t *testing.T, people int, change ...func(*Options)) *town {
	t.Helper()
	w := &town{hash: &cheap{}}
	w.house = sqlite(t, append(change, func(o *Options) { o.Hashing = w.hash })...)
	for n := range people {
		c := &citizen{email: fmt.Sprintf("citizen%d@example.org", n), password: fmt.Sprint("marmalade lanterns at dusk ", n), at: fmt.Sprintf("10.1.%d.%d", n>>8, n&255)}
		if _, err := w.SignUp(ctx, from(c.at), Application{Email: c.email, Name: "Ada Byron", Password: secret.Of(c.password), Browser: w.house.browser}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Confirm(ctx, from(c.at), w.link(c.email, PathConfirm), w.here()); err != nil {
			t.Fatal(err)
		}
		o, err := w.SignIn(ctx, from(c.at), attempt(c.email, c.password))
		if err != nil {
			t.Fatal(err)
		}
		c.device = o.Device
		w.people = append(w.people, c)
	}
	return w
}

// attack is one try of the attacker, who has no known browser.
func (w *town) attack(at netip.Addr, email, password string) error {
	before := w.hash.looked.Load()
	_, err := w.SignIn(ctx, from(at.String()), attempt(email, password))
	w.tries++
	w.looked += w.hash.looked.Load() - before
	if fault.KindOf(err) != fault.TooMany {
		w.taken++
	}
	if err == nil {
		w.fell++
	}
	return err
}

// visit has people sign in in their own browsers, at home.
func (w *town) visit(people ...*citizen) {
	for _, c := range people {
		w.visits++
		if _, err := w.SignIn(ctx, from(c.at), in(c.device, c.email, c.password)); err != nil {
			w.out++
			w.t.Errorf("%s is kept out: %v", c.email, err)
		}
	}
}

// moves has somebody sign in in a new browser at a new place: when strangers are
// kept waiting, with the mailed link. It reports whether that was needed.
func (w *town) moves(c *citizen, at string) (mailed bool) {
	if _, err := w.SignIn(ctx, from(at), attempt(c.email, c.password)); err == nil {
		return false
	}
	if err := w.AskUnlock(ctx, from(at), c.email); err != nil {
		w.t.Fatal(err)
	}
	device, err := w.UnlockByLink(ctx, from(at), w.unlockLink(c.email), secret.String{})
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.SignIn(ctx, from(at), in(device, c.email, c.password)); err != nil {
		w.out++
		w.t.Errorf("%s is kept out of a browser in which the account was unlocked: %v", c.email, err)
	}
	return true
}

// budget is what networks can pay for in a time: all of the crowd together, and
// each that became known by itself.
func (w *town) budget(d time.Duration, known int) int {
	c := w.Config.Guessing
	crowd := c.CrowdBurst + int(d/c.CrowdEvery.D())
	return crowd + known*(c.NetworkBurst+int(d/c.NetworkEvery.D())) + 1
}

func (w *town) report(attack, note string) {
	w.t.Helper()
	w.t.Logf("%s | tries %d | taken %d (%.2f %%) | looked at %d | accounts that fell %d | kept out in known browsers %d of %d | %s",
		attack, w.tries, w.taken, 100*float64(w.taken)/float64(w.tries), w.looked, w.fell, w.out, w.visits, note)
}

// small is a crowd as an installation with a few hundred people would set it.
func small(o *Options) {
	o.Config.Guessing.CrowdBurst, o.Config.Guessing.CrowdEvery = 50, config.Duration(5*time.Minute)
}

// Twenty thousand leaked pairs from two thousand places within a day, of which
// one in five hundred is right; everybody signs in at home meanwhile, and one
// moves.
func TestSimulateWholeStuffing(t *testing.T) {
	const pairs, places, people = 20_000, 2000, 40
	w := newTown(t, people, small)
	mailed := false
	for i := range pairs {
		w.clock.add(24 * time.Hour / pairs)
		email, word := fmt.Sprintf("leaked%d@example.org", i), "whatever it was there"
		if i%(pairs/people) == 7 {
			c := w.people[i/(pairs/people)]
			email, word = c.email, c.password
		}
		_ = w.attack(botnet(i%places), email, word)
		if i%(pairs/people) == 100 {
			w.visit(w.people[i/(pairs/people)])
		}
		if i == pairs/2 {
			mailed = w.moves(w.people[0], "11.0.0.1")
		}
	}
	w.report(fmt.Sprintf("Stuffing: %d pairs, %d addresses, a day", pairs, places), fmt.Sprintf("of %d right pairs; in a new browser by the mailed link: %t", people, mailed))
	if most := w.budget(24*time.Hour, w.fell); w.taken > most || w.fell > people/3 {
		t.Errorf("%d guesses were taken, of a budget of %d, and %d accounts fell", w.taken, most, w.fell)
	}
}

// The five most common passwords at a thousand addresses, of which forty are
// accounts and four have one of them, from five hundred places within a day.
func TestSimulateWholeSpraying(t *testing.T) {
	const words, addresses, places, people = 5, 1000, 500, 40
	w := newTown(t, people, small)
	for n := range 4 { // none can be set, so these came from elsewhere
		c := w.people[10*n]
		c.password = fmt.Sprint("common", n)
		phc, _ := w.hash.Hash(ctx, secret.Of(c.password))
		w.write(func(tx *store.Tx) error {
			_, err := tx.Exec(`UPDATE account SET password = $1 WHERE account = $2`, phc, w.account(c.email))
			return err
		})
	}
	for word := range words {
		for i := range addresses {
			w.clock.add(24 * time.Hour / (words * addresses))
			_ = w.attack(botnet((word*addresses+i)%places), fmt.Sprintf("citizen%d@example.org", i), fmt.Sprint("common", word))
		}
		w.visit(w.people...)
	}
	w.report(fmt.Sprintf("Spraying: %d passwords, %d addresses, %d networks, a day", words, addresses, places), "of 4 with such a password")
	if most := w.budget(24*time.Hour, w.fell); w.taken > most {
		t.Errorf("%d guesses were taken, of a budget of %d", w.taken, most)
	}
}

// A password of one account every quarter of an hour for thirty days, from two
// thousand places. Its owner signs in every day, and once in a new browser. From
// the first pause on the right password is of no use to a stranger, while the
// guesses go on.
func TestSimulateWholeLockOut(t *testing.T) {
	const every, days, places = 15 * time.Minute, 30, 2000
	w := newTown(t, 2)
	owner, other := w.people[0], w.people[1]
	n, mailed := 0, false
	for day := range days {
		for range int(24 * time.Hour / every) {
			w.clock.add(every)
			if err := w.attack(botnet(n%places), owner.email, fmt.Sprint("a guess ", n)); fault.KindOf(err) != fault.TooMany && !errors.Is(err, errSignIn) {
				t.Fatal(err)
			}
			n++
		}
		before := w.hash.looked.Load()
		if _, err := w.SignIn(ctx, from(fmt.Sprint("11.0.1.", day)), attempt(owner.email, owner.password)); !errors.Is(err, errSignIn) || w.hash.looked.Load() != before {
			t.Fatalf("on day %d a stranger with the right password is answered %v", day, err)
		}
		w.visit(owner, other)
		if day == 14 {
			mailed = w.moves(owner, "11.0.0.1")
		}
	}
	w.report(fmt.Sprintf("Lock-out: a try every 15 min for %d days", days), fmt.Sprintf("once in a new browser by the mailed link: %t", mailed))
	if w.looked > 2*maxGuesses || w.fell > 0 || !mailed {
		t.Errorf("%d guesses were looked at, and %d accounts fell", w.looked, w.fell)
	}
}

// account finds the identifier of somebody.
func (w *town) account(email string) id.Account {
	w.t.Helper()
	v, err := w.Find(ctx, host(), email)
	if err != nil {
		w.t.Fatal(err)
	}
	return v.ID
}
