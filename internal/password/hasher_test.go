package password

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"troth/internal/fault"
	"troth/internal/secret"
)

func TestHashAndVerify(t *testing.T) {
	h := cheapest(t)
	word := secret.Of(goodWord)
	one, err := h.Hash(ctx, word)
	if err != nil {
		t.Fatal(err)
	}
	two, err := h.Hash(ctx, word)
	if err != nil {
		t.Fatal(err)
	}
	a, _ := ParseHash(one)
	b, _ := ParseHash(two)
	if string(a.Salt) == string(b.Salt) || string(a.Tag) == string(b.Tag) {
		t.Error("one password was hashed twice to the same")
	}
	if a.Params != Floor || len(a.Salt) != 16 || len(a.Tag) != 32 || strings.Contains(one, goodWord) {
		t.Errorf("the hash is %s", one)
	}
	for name, c := range map[string]struct {
		stored, password string
		match            bool
	}{
		"right": {one, goodWord, true}, "wrong": {one, newWord, false}, "other case": {one, strings.ToUpper(goodWord), false},
		"prefix": {one, goodWord[:20], false}, "empty": {one, "", false}, "nobody": {"", goodWord, false}, "nobody, empty": {"", "", false},
	} {
		v, err := h.Verify(ctx, c.stored, secret.Of(c.password))
		if err != nil || v.Match != c.match || v.Stale {
			t.Errorf("%s: %+v, %v", name, v, err)
		}
	}
	if _, err := h.Verify(ctx, "plain", word); err == nil || strings.Contains(err.Error(), "plain") {
		t.Errorf("a stored text that is no hash: %v", err)
	}
}

// A hash cheaper than the present cost is stale; one that costs more is not.
func TestStale(t *testing.T) {
	dear, err := NewHasher(Params{Memory: Floor.Memory, Passes: 3, Lanes: 1}, 256<<20, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	cheap := cheapest(t)
	old, err := cheap.Hash(ctx, secret.Of(goodWord))
	if err != nil {
		t.Fatal(err)
	}
	if v, err := dear.Verify(ctx, old, secret.Of(goodWord)); err != nil || !v.Match || !v.Stale {
		t.Errorf("a cheaper hash: %+v, %v", v, err)
	}
	if v, err := dear.Verify(ctx, old, secret.Of(newWord)); err != nil || v.Match || v.Stale {
		t.Errorf("a cheaper hash and a wrong password: %+v, %v", v, err)
	}
	young, err := dear.Hash(ctx, secret.Of(goodWord))
	if err != nil {
		t.Fatal(err)
	}
	if v, err := cheap.Verify(ctx, young, secret.Of(goodWord)); err != nil || !v.Match || v.Stale {
		t.Errorf("a dearer hash: %+v, %v", v, err)
	}
}

// A wrong password costs the same work whatever the stored hash costs, to
// within one pass.
func TestWrongPasswordsCostTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := Params{Memory: rapid.Uint32Range(Floor.Memory, 1<<17).Draw(t, "memory"), Passes: rapid.Uint32Range(2, 64).Draw(t, "passes"), Lanes: 1}
		h := &Hasher{params: now}
		old := Params{Memory: rapid.Uint32Range(8, 1<<17).Draw(t, "old memory"), Passes: rapid.Uint32Range(1, 64).Draw(t, "old passes"), Lanes: 1}
		total := old.work() + uint64(h.missing(old))*uint64(old.Memory)
		if total < now.work() && now.work()-total >= uint64(old.Memory) {
			t.Fatalf("a wrong password on %v costs %d, at %v it costs %d", old, total, now, now.work())
		}
		if old.work() >= now.work() && h.missing(old) != 0 {
			t.Fatalf("%v is filled up although it costs more than %v", old, now)
		}
	})
}

func TestWeakHashersAreRefused(t *testing.T) {
	for name, p := range map[string]Params{
		"little memory": {Memory: Floor.Memory - 1, Passes: 64, Lanes: 1},
		"one pass":      {Memory: Floor.Memory, Passes: 1, Lanes: 1},
		"no lane":       {Memory: Floor.Memory, Passes: 2},
		"far too much":  {Memory: 1 << 22, Passes: 1 << 16, Lanes: 1},
	} {
		if _, err := NewHasher(p, 1<<40, time.Second); err == nil {
			t.Errorf("%s: %s was taken", name, p)
		}
	}
	_, err := NewHasher(Floor, 18<<20, time.Second)
	want(t, err, fault.Invalid, "password.small_budget")
}

// Whoever waits too long, or finds the queue full, is told when to come back,
// and holds no place afterwards.
func TestPatienceAndQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, err := NewHasher(Floor, 256<<20, 5*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if err := h.room.Acquire(ctx, h.capacity); err != nil { // all places are taken
			t.Fatal(err)
		}
		start := time.Now()
		_, err = h.Hash(ctx, secret.Of(goodWord))
		want(t, err, fault.Unavailable, "password.busy")
		if took := time.Since(start); took != 5*time.Second || fault.As(err).After != 5*time.Second {
			t.Errorf("it waited %v and said to come back in %v", took, fault.As(err).After)
		}
		var told atomic.Int64
		for range h.queue {
			go func() {
				if _, err := h.Verify(ctx, "", secret.Of(goodWord)); errors.Is(err, errBusy) {
					told.Add(1)
				}
			}()
		}
		synctest.Wait()
		start = time.Now()
		_, err = h.Hash(ctx, secret.Of(goodWord))
		want(t, err, fault.Unavailable, "password.busy")
		if took := time.Since(start); took != 0 {
			t.Errorf("with a full queue it waited %v", took)
		}
		time.Sleep(6 * time.Second)
		if told.Load() != h.queue || h.waiting.Load() != 0 {
			t.Errorf("%d of %d were told, %d still wait", told.Load(), h.queue, h.waiting.Load())
		}
		gone, cancel := context.WithCancel(ctx)
		cancel()
		if _, err := h.Hash(gone, secret.Of(goodWord)); !errors.Is(err, context.Canceled) {
			t.Errorf("whoever went away gets %v", err)
		}
		h.room.Release(h.capacity)
		if _, err := h.Hash(ctx, secret.Of(goodWord)); err != nil {
			t.Errorf("when there is room again: %v", err)
		}
	})
}

// A flood takes no more memory than the budget, and the garbage of it.
func TestFloodStaysWithinItsMemory(t *testing.T) {
	const budget, crowd = 64 << 20, 60 // unbounded, the crowd would take 1,140 MiB at once
	h, err := NewHasher(Floor, budget, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	runtime.GC()
	var before, m runtime.MemStats
	runtime.ReadMemStats(&before)
	done := make(chan struct{})
	var peak uint64
	var watch, all sync.WaitGroup
	watch.Go(func() {
		for {
			select {
			case <-done:
				return
			case <-time.After(2 * time.Millisecond):
				runtime.ReadMemStats(&m)
				peak = max(peak, m.HeapAlloc)
			}
		}
	})
	for range crowd {
		all.Go(func() {
			if _, err := h.Verify(ctx, "", secret.Of(goodWord)); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	close(done)
	watch.Wait()
	if peak > before.HeapAlloc+4*budget {
		t.Errorf("the heap grew by %d MiB, with a budget of %d", (peak-before.HeapAlloc)>>20, budget>>20)
	}
}

// The calibrated cost takes about the target on a machine of any speed, and
// never less than the floor.
func TestCalibrate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		perMiB := rapid.Float64Range(10e3, 20e6).Draw(t, "nanoseconds a MiB")
		target := time.Duration(rapid.Int64Range(int64(10*time.Millisecond), int64(2*time.Second)).Draw(t, "target"))
		machine := func(p Params) time.Duration {
			noise := rapid.Float64Range(1, 1.3).Draw(t, "noise")
			return time.Duration(noise * perMiB * float64(p.work()) / 1024)
		}
		p := Calibrate(Argon2id, target, machine)
		if err := p.valid(); err != nil {
			t.Fatal(err)
		}
		if _, err := NewHasher(p, 1<<40, time.Second); err != nil {
			t.Fatalf("the calibrated cost %s is refused: %v", p, err)
		}
		took := time.Duration(perMiB * float64(p.work()) / 1024)
		if p != Floor && took > target*3/2 {
			t.Fatalf("%s takes %v, aimed at %v", p, took, target)
		}
		if p.Passes < maxCalibrated && took < target/2 {
			t.Fatalf("%s takes %v, aimed at %v", p, took, target)
		}
	})
}

// What is calibrated here takes about the target here, on a machine that other
// tests use too.
func TestCalibrateThisMachine(t *testing.T) {
	const target = 100 * time.Millisecond
	p := Calibrate(Argon2id, target, Measure)
	best := time.Hour
	for range 5 {
		best = min(best, Measure(p))
	}
	if best < target/3 {
		t.Errorf("%s takes %v, aimed at %v", p, best, target)
	}
}
