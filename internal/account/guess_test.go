package account

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"troth/internal/audit"
	"troth/internal/config"
	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/password"
	"troth/internal/secret"
	"troth/internal/store/storetest"
	"troth/internal/throttle"
)

// guessAt is a wrong password from a network of its own each time.
func (h *house) guessAt(n int, email string) error {
	h.t.Helper()
	by := stranger()
	by.Context.IP = netip.AddrFrom4([4]byte{100, 64, byte(n >> 8), byte(n)})
	_, err := h.SignIn(ctx, by, attempt(email, newWord))
	return err
}

// lock has strangers guess until they are kept waiting.
func (h *house) lock(email string) {
	h.t.Helper()
	for n := range h.Config.Guessing.Free {
		if err := h.guessAt(n, email); !errors.Is(err, errSignIn) {
			h.t.Fatalf("wrong guess %d was answered %v", n+1, err)
		}
	}
}

// known signs somebody in in a browser and returns what the browser keeps.
func (h *house) known(email, password string) secret.String {
	h.t.Helper()
	o, err := h.SignIn(ctx, stranger(), attempt(email, password))
	if err != nil || o.Device.IsZero() {
		h.t.Fatalf("signing in: %v", err)
	}
	return o.Device
}

func in(device secret.String, email, password string) Attempt {
	t := attempt(email, password)
	t.Device = device
	return t
}

// Strangers who guess wrong are kept waiting, with the right password too, and
// are not told. The holder's own browser goes on, and so does everybody when the
// time is over.
func TestStrangersWaitAndTheOwnerDoesNot(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.person(ada, goodWord)
		device := h.known(ada, goodWord)
		h.lock(ada)
		before := h.hashing.verifies.Load()
		_, wrong := h.SignIn(ctx, from("203.0.113.1"), attempt(ada, newWord))
		_, right := h.SignIn(ctx, from("203.0.113.2"), attempt(ada, goodWord))
		if !errors.Is(right, errSignIn) || right.Error() != wrong.Error() || fault.As(right).After != fault.As(wrong).After {
			t.Errorf("during the pause a right password is answered %v, a wrong one %v", right, wrong)
		}
		if n := h.hashing.verifies.Load() - before; n != 2 {
			t.Errorf("the two cost %d hashes", n)
		}
		if _, err := h.SignIn(ctx, from("203.0.113.3"), in(device, ada, goodWord)); err != nil {
			t.Errorf("in the known browser: %v", err)
		}
		if _, err := h.SignIn(ctx, from("203.0.113.2"), attempt(ada, goodWord)); err == nil {
			t.Error("the sign-in in the known browser ended the pause of strangers")
		}
		h.clock.add(h.Config.Guessing.Delay.D())
		if _, err := h.SignIn(ctx, from("203.0.113.2"), attempt(ada, goodWord)); err != nil {
			t.Errorf("after the pause: %v", err)
		}
		h.lock(ada) // the right one began the count anew
	})
}

func TestPausesGrow(t *testing.T) {
	p := defaultGuessing().policy()
	var got []string
	for n := 4; n <= 13; n++ {
		got = append(got, p.pause(n).String())
	}
	if want := "0s 1m0s 2m0s 4m0s 8m0s 16m0s 32m0s 1h0m0s 1h0m0s 1h0m0s"; strings.Join(got, " ") != want {
		t.Errorf("the pauses are %v", got)
	}
	var now int64 = 1
	var count tally
	looked := 0
	for range 1000 {
		next, open := p.begin(count, now)
		if count = next; open {
			looked++
		}
		now = max(now, count.until)
	}
	if looked != maxGuesses || !p.shut(count) {
		t.Errorf("of 1,000 guesses, each after the pause before it, %d were looked at", looked)
	}
}

// After a hundred wrong guesses waiting does not help strangers; the known
// browser, the mailed link and the operator do.
func TestShut(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		by, _ := h.person(ada, goodWord)
		device := h.known(ada, goodWord)
		for n := range maxGuesses {
			if err := h.guessAt(n, ada); !errors.Is(err, errSignIn) {
				t.Fatal(err)
			}
			h.clock.add(h.Config.Guessing.Longest.D())
		}
		h.clock.add(7 * 24 * time.Hour)
		if _, err := h.SignIn(ctx, from("203.0.113.2"), attempt(ada, goodWord)); !errors.Is(err, errSignIn) {
			t.Errorf("a week later, a stranger with the right password: %v", err)
		}
		if _, err := h.SignIn(ctx, from("203.0.113.2"), in(device, ada, goodWord)); err != nil {
			t.Errorf("in the known browser: %v", err)
		}
		if n := count(h.events(by.Tenant), evGuessesShut); n != 1 {
			t.Errorf("the log says %d times that it is shut", n)
		}
		if _, err := h.Unlock(ctx, stranger(), by.Account); fault.KindOf(err) != fault.Denied {
			t.Errorf("a stranger unlocks: %v", err)
		}
		if counted, err := h.Unlock(ctx, host(), by.Account); err != nil || !counted {
			t.Errorf("the operator unlocks: %t, %v", counted, err)
		}
		if _, err := h.SignIn(ctx, from("203.0.113.2"), attempt(ada, goodWord)); err != nil {
			t.Errorf("after that: %v", err)
		}
	})
}

// However many guesses come at once, no more are compared than in turn.
func TestGuessesAtOnce(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.person(ada, goodWord)
		looked := &looking{Hashing: h.hashing.Hashing}
		h.hashing.Hashing = looked
		var all sync.WaitGroup
		for n := range 40 {
			all.Go(func() { _ = h.guessAt(n, ada) })
		}
		all.Wait()
		if n := looked.n.Load(); n != int64(h.Config.Guessing.Free) {
			t.Errorf("%d guesses were compared with the password", n)
		}
	})
}

// looking counts the guesses that are compared with a password that is set.
type looking struct {
	password.Hashing
	n atomic.Int64
}

// Verify counts.
func (l *looking) Verify(c context.Context, stored string, p secret.String) (password.Verdict, error) {
	if stored != "" {
		l.n.Add(1)
	}
	return l.Hashing.Verify(c, stored, p)
}

// A known browser has a budget of its own: what is wrong there keeps nobody else
// waiting, and too much of it makes the browser a new one.
func TestKnownBrowsersCountByThemselves(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		by, _ := h.person(ada, goodWord)
		device, other := h.known(ada, goodWord), h.known(ada, goodWord)
		for range h.Config.Guessing.Free {
			_, _ = h.SignIn(ctx, stranger(), in(device, ada, newWord))
		}
		if _, err := h.SignIn(ctx, stranger(), in(device, ada, goodWord)); !errors.Is(err, errSignIn) {
			t.Errorf("in the browser in which wrong ones were typed: %v", err)
		}
		if _, err := h.SignIn(ctx, stranger(), in(other, ada, goodWord)); err != nil {
			t.Errorf("in the other one: %v", err)
		}
		if _, err := h.SignIn(ctx, from("203.0.113.9"), attempt(ada, goodWord)); err != nil {
			t.Errorf("a new browser: %v", err)
		}
		for range h.Config.Guessing.BrowserLimit {
			h.clock.add(h.Config.Guessing.Longest.D())
			_, _ = h.SignIn(ctx, stranger(), in(device, ada, newWord))
		}
		events := h.events(by.Tenant)
		if count(events, evBrowserStrange) != 1 || count(events, evOwnPaused) == 0 {
			t.Errorf("the log has %d browsers that became new ones and %d pauses", count(events, evBrowserStrange), count(events, evOwnPaused))
		}
		h.clock.add(h.Config.Guessing.Longest.D())
		h.lock(ada)
		if _, err := h.SignIn(ctx, stranger(), in(device, ada, goodWord)); !errors.Is(err, errSignIn) {
			t.Errorf("a browser that became a new one does not wait with strangers: %v", err)
		}
		if n := len(h.post.to(ada)); n < 2 {
			t.Errorf("the holder was sent %d mails", n)
		}
	})
}

// A network that guessed wrong too often is told so before any work, whatever the
// address; nobody else is, and a known browser there is not either.
func TestNetworksPay(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.person(ada, goodWord)
		device := h.known(ada, goodWord)
		for n := range h.Config.Guessing.NetworkBurst {
			if _, err := h.SignIn(ctx, from("203.0.113.1"), attempt(fmt.Sprint("nobody", n, "@example.org"), newWord)); !errors.Is(err, errSignIn) {
				t.Fatal(err)
			}
		}
		before := h.hashing.work()
		for _, email := range []string{ada, "nobody@example.org"} {
			_, err := h.SignIn(ctx, from("203.0.113.1"), attempt(email, goodWord))
			want(t, err, fault.TooMany, "account.too_many")
			if after := fault.As(err).After; after <= 0 || after > time.Minute {
				t.Errorf("it says to come back after %s", after)
			}
		}
		if n := h.hashing.work() - before; n != 0 {
			t.Errorf("what was refused cost %d hashes", n)
		}
		if _, err := h.SignIn(ctx, from("203.0.113.1"), in(device, ada, goodWord)); err != nil {
			t.Errorf("a known browser in that network: %v", err)
		}
		if _, err := h.SignIn(ctx, from("203.0.113.2"), attempt(ada, goodWord)); err != nil {
			t.Errorf("its neighbour: %v", err)
		}
		h.clock.add(time.Hour)
		if _, err := h.SignIn(ctx, from("203.0.113.1"), attempt(ada, goodWord)); err != nil {
			t.Errorf("an hour later: %v", err)
		}
	})
}

// What can be no password costs its network a guess, and nobody a hash.
func TestNoPasswordPaysToo(t *testing.T) {
	h := sqlite(t)
	h.person(ada, goodWord)
	before := h.hashing.work()
	for range h.Config.Guessing.NetworkBurst {
		if _, err := h.SignIn(ctx, from("203.0.113.1"), attempt(ada, "")); !errors.Is(err, errSignIn) {
			t.Fatal(err)
		}
	}
	_, err := h.SignIn(ctx, from("203.0.113.1"), attempt(ada, ""))
	want(t, err, fault.TooMany, "account.too_many")
	if n := h.hashing.work() - before; n != 0 {
		t.Errorf("%d hashes were computed", n)
	}
}

// A hash that could not be computed says nothing, so the guess does not count.
func TestWhatWasNotLookedAtDoesNotCount(t *testing.T) {
	h := sqlite(t)
	h.person(ada, goodWord)
	works := h.hashing.Hashing
	h.hashing.Hashing = broken{}
	for range 3 * h.Config.Guessing.NetworkBurst {
		if _, err := h.SignIn(ctx, from("203.0.113.1"), attempt(ada, goodWord)); fault.KindOf(err) != fault.Unavailable {
			t.Fatal(err)
		}
	}
	h.hashing.Hashing = works
	if _, err := h.SignIn(ctx, from("203.0.113.1"), attempt(ada, goodWord)); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

type broken struct{ password.Hashing }

// Verify fails.
func (broken) Verify(context.Context, string, secret.String) (password.Verdict, error) {
	return password.Verdict{}, fault.New(fault.Unavailable, "test.busy", "Busy.")
}

// A pause on one node is one on the other, with its next request.
func TestPausesHoldOnAllNodes(t *testing.T) {
	o := storetest.PostgresOptions(t)
	h := build(t, storetest.Open(t, o, schema()...))
	other := h.start(storetest.Open(t, o, schema()...), h.Keys)
	by, _ := h.person(ada, goodWord)
	device := h.known(ada, goodWord)
	h.lock(ada)
	if _, err := other.SignIn(ctx, from("203.0.113.7"), attempt(ada, goodWord)); !errors.Is(err, errSignIn) {
		t.Errorf("a stranger with the right password at the other node: %v", err)
	}
	if _, err := other.SignIn(ctx, from("203.0.113.7"), in(device, ada, goodWord)); err != nil {
		t.Errorf("the known browser at the other node: %v", err)
	}
	if _, err := other.Unlock(ctx, host(), by.Account); err != nil {
		t.Fatal(err)
	}
	if _, err := h.SignIn(ctx, from("203.0.113.7"), attempt(ada, goodWord)); err != nil {
		t.Errorf("after the other node unlocked: %v", err)
	}
}

// Guesses at the present password count for the session: it pauses, and ends.
func TestSessionsCountByThemselves(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.person(ada, goodWord)
		_, thief := h.signIn(ada, goodWord)
		for range h.Config.Guessing.Free {
			_, err := h.ChangePassword(ctx, h.who(thief.Token), secret.Of(newWord), secret.Of(newWord))
			want(t, err, fault.Invalid, "account.wrong_present")
		}
		_, err := h.ChangePassword(ctx, h.who(thief.Token), secret.Of(goodWord), secret.Of(newWord))
		want(t, err, fault.TooMany, "account.paused")
		if after := fault.As(err).After; after <= 0 || after > time.Minute+time.Second {
			t.Errorf("it says to come back after %s", after)
		}
		for range h.Config.Guessing.BrowserLimit - h.Config.Guessing.Free {
			h.clock.add(h.Config.Guessing.Longest.D())
			if !h.signedIn(thief.Token) {
				t.Fatal("the session ended early")
			}
			_, _ = h.Again(ctx, h.who(thief.Token), secret.Of(newWord), Answer{})
		}
		if h.signedIn(thief.Token) {
			t.Error("a session in which too many wrong passwords were typed goes on")
		}
		holder, _ := h.signIn(ada, goodWord)
		if _, err := h.ChangePassword(ctx, holder, secret.Of(goodWord), secret.Of(newWord)); err != nil {
			t.Errorf("another session: %v", err)
		}
	})
}

// An account can be stricter than the installation, never laxer.
func TestSetGuessing(t *testing.T) {
	h := sqlite(t)
	by, _ := h.person(ada, goodWord)
	for _, bad := range []struct {
		free  int
		delay time.Duration
	}{{-1, time.Minute}, {99, time.Minute}, {2, time.Millisecond}} {
		want(t, h.SetGuessing(ctx, host(), by.Account, bad.free, bad.delay), fault.Invalid, "account.guessing")
	}
	if err := h.SetGuessing(ctx, stranger(), by.Account, 2, time.Minute); fault.KindOf(err) != fault.Denied {
		t.Error(err)
	}
	if err := h.SetGuessing(ctx, host(), by.Account, 2, 3*time.Second); err != nil {
		t.Fatal(err)
	}
	for n := range 2 {
		_ = h.guessAt(n, ada)
	}
	if _, err := h.SignIn(ctx, stranger(), attempt(ada, goodWord)); err == nil {
		t.Error("after two wrong guesses there is no pause")
	}
	h.clock.add(3 * time.Second)
	h.signIn(ada, goodWord)
}

// What strangers did is in the activity of the account that they tried.
func TestPausesAreInTheLog(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		by, _ := h.person(ada, goodWord)
		h.lock(ada)
		h.lock("nobody@example.org")
		for _, tenant := range []id.Tenant{by.Tenant, id.Platform} {
			if n := count(h.events(tenant), evGuessesPaused); n != 1 {
				t.Errorf("the log of %s has %d pauses", tenant, n)
			}
		}
		list, _, err := h.Log.List(ctx, audit.Filter{Tenant: by.Tenant, Limit: 100})
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(list, func(e audit.Entry) bool { return e.Type == evGuessesPaused })
		if i < 0 || list[i].Metadata["failures"] != "5" || list[i].Metadata["pause"] != "1m0s" {
			t.Errorf("the event is %+v", list)
		}
	})
}

func TestGuessingConfig(t *testing.T) {
	good := defaultGuessing()
	if err := good.check(); err != nil {
		t.Error(err)
	}
	for name, change := range map[string]func(*Guessing){
		"free": func(g *Guessing) { g.Free = 0 }, "limit": func(g *Guessing) { g.Limit = 101 }, "browser_limit": func(g *Guessing) { g.BrowserLimit = 1 },
		"delay": func(g *Guessing) { g.Delay = 0 }, "longest": func(g *Guessing) { g.Longest = 1 << 62 },
		"network_burst": func(g *Guessing) { g.NetworkBurst = 0 }, "network_every": func(g *Guessing) { g.NetworkEvery = 0 },
		"crowd_burst": func(g *Guessing) { g.CrowdBurst = -1 }, "crowd_every": func(g *Guessing) { g.CrowdEvery = 1 << 62 },
		"effort_burst": func(g *Guessing) { g.EffortBurst = 0 }, "effort_every": func(g *Guessing) { g.EffortEvery = 0 },
	} {
		bad := good
		change(&bad)
		if f := fault.As(bad.check()); f == nil || f.Field != "throttle."+name {
			t.Errorf("a wrong %s is answered %v", name, bad.check())
		}
	}
}

// What costs work and is no guess has a budget of each network, as configured.
func TestEffort(t *testing.T) {
	h := sqlite(t, func(o *Options) {
		o.Config.Guessing.EffortBurst, o.Config.Guessing.EffortEvery = 2, config.Duration(time.Minute)
	})
	ask := func(ip string) error { return h.AskUnlock(ctx, from(ip), "nobody@example.org") }
	for range 2 {
		if err := ask("203.0.113.1"); err != nil {
			t.Fatal(err)
		}
	}
	err := ask("203.0.113.1")
	want(t, err, fault.TooMany, "account.too_often")
	if after := fault.As(err).After; after <= 0 || after > time.Minute {
		t.Errorf("it says to come back after %s", after)
	}
	if err := ask("203.0.113.2"); err != nil {
		t.Errorf("its neighbour: %v", err)
	}
	h.clock.add(time.Minute)
	if err := ask("203.0.113.1"); err != nil {
		t.Errorf("a minute later: %v", err)
	}
}

func TestTurns(t *testing.T) {
	turns := turns{of: map[throttle.Key]*turn{}}
	a, b := throttle.Key{1}, throttle.Key{2}
	done, err := turns.take(ctx, a, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := turns.take(ctx, a, time.Millisecond); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("while another has its turn: %v", err)
	}
	other, err := turns.take(ctx, b, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	done()
	done() // twice is as good as once
	again, err := turns.take(ctx, a, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	again()
	other()
	if len(turns.of) != 0 {
		t.Errorf("%d turns are kept", len(turns.of))
	}
}
