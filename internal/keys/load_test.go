package keys

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"troth/internal/fault"
)

// cut makes every operation of root and ring fail from now on.
func (w *world) cut(err error) {
	w.line.set(func(context.Context, string) error { return err })
}

func (w *world) mend() { w.line.set(nil) }

// aged seals one field at the beginning of a bubble's clock.
func aged(t *testing.T) (*world, []byte) {
	w := newWorld(t)
	w.mustCreate(t, tenantA)
	w.Evict()
	return w, w.mustSeal(t, "old", tenantA)
}

func TestConcurrentLoadsAreOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.mustCreate(t, tenantA)
		sealed := w.mustSeal(t, "x", tenantA)
		w.Evict()
		w.line.set(func(ctx context.Context, op string) error { time.Sleep(time.Second); return nil })
		before := w.line.called("unwrap")
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() { w.mustOpen(t, "x", sealed, tenantA) })
		}
		all.Wait()
		if n := w.line.called("unwrap") - before; n != 1 {
			t.Errorf("50 concurrent uses unwrapped %d times, want once", n)
		}
	})
}

// Use does not prolong a key's life: 15 minutes from loading are the end.
func TestCacheNeverSlides(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, sealed := aged(t)
		w.cut(errBroken)
		for range 14*60 + 59 {
			w.mustOpen(t, "old", sealed, tenantA)
			w.mustSeal(t, "new", tenantA)
			time.Sleep(time.Second)
		}
		time.Sleep(time.Second)
		_, err := w.Open(t.Context(), here, sealed, tenantA)
		wantKind(t, err, fault.Unavailable, "opening after the hard stop")
		_, err = w.Secret(t.Context(), tenantA)
		wantKind(t, err, fault.Unavailable, "reading after the hard stop")
		w.mend()
		w.mustOpen(t, "old", sealed, tenantA)
	})
}

// While root and ring answer, a key in use is renewed in the background.
func TestCacheRenewsInTheBackground(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, sealed := aged(t)
		for range 60 {
			w.mustOpen(t, "old", sealed, tenantA)
			synctest.Wait()
			time.Sleep(time.Minute)
		}
		if n := w.line.called("unwrap"); n < 8 || n > 14 {
			t.Errorf("unwrapped %d times in an hour of use, want about one each five minutes", n)
		}
	})
}

func TestHangingRootServesFromCacheAndDoesNotHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, sealed := aged(t)
		w.line.set(func(ctx context.Context, op string) error { <-ctx.Done(); return ctx.Err() })
		time.Sleep(6 * time.Minute)
		began := time.Now()
		w.mustOpen(t, "old", sealed, tenantA)
		if took := time.Since(began); took != 0 {
			t.Errorf("a use of a cached key waited %v for the root", took)
		}
		time.Sleep(10 * time.Minute)
		began = time.Now()
		_, err := w.Open(t.Context(), here, sealed, tenantA)
		wantKind(t, err, fault.Unavailable, "opening after the hard stop")
		if took := time.Since(began); took > loadTime {
			t.Errorf("waited %v for a root that hangs, at most %v", took, loadTime)
		}
	})
}

func TestDeniedEmptiesTheCacheAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, sealed := aged(t)
		w.mustCreate(t, month)
		byMonth := w.mustSeal(t, "m", month)
		time.Sleep(6 * time.Minute)
		w.cut(fmt.Errorf("asking: %w", ErrDenied))
		w.mustOpen(t, "old", sealed, tenantA) // this use asks again, in the background
		synctest.Wait()
		for _, f := range []struct {
			sealed []byte
			under  Ref
		}{{sealed, tenantA}, {byMonth, month}} {
			_, err := w.Open(t.Context(), here, f.sealed, f.under)
			wantKind(t, err, fault.Unavailable, "opening after the root refused")
		}
	})
}

func TestHealthNoticesARefusal(t *testing.T) {
	w, sealed := aged(t)
	if err := w.Health(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.cut(ErrDenied)
	wantKind(t, w.Health(t.Context()), fault.Unavailable, "health while the root refuses")
	_, err := w.Open(t.Context(), here, sealed, tenantA)
	wantKind(t, err, fault.Unavailable, "opening after health noticed")
	w.cut(errBroken)
	wantKind(t, w.Health(t.Context()), fault.Unavailable, "health while the line is cut")
}

// Another process destroys a key: this one notices with the next renewal.
func TestDestructionElsewhereIsNoticed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, sealed := aged(t)
		if err := w.process(t).Shred(t.Context(), tenantA); err != nil {
			t.Fatal(err)
		}
		time.Sleep(softAge)
		w.Open(t.Context(), here, sealed, tenantA)
		synctest.Wait()
		_, err := w.Open(t.Context(), here, sealed, tenantA)
		wantKind(t, err, fault.Gone, "opening after the renewal")
	})
}

// A load that began before a key was destroyed does not bring it back.
func TestShredWinsOverALoadUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, sealed := aged(t)
		w.Evict()
		w.line.set(func(ctx context.Context, op string) error {
			if op == "unwrap" {
				time.Sleep(5 * time.Second)
			}
			return nil
		})
		var all sync.WaitGroup
		all.Go(func() { w.Open(t.Context(), here, sealed, tenantA) })
		time.Sleep(time.Second)
		if err := w.Shred(t.Context(), tenantA); err != nil {
			t.Fatal(err)
		}
		_, err := w.Open(t.Context(), here, sealed, tenantA)
		wantKind(t, err, fault.Gone, "opening while the older load is under way")
		all.Wait()
		_, err = w.Open(t.Context(), here, sealed, tenantA)
		wantKind(t, err, fault.Gone, "opening after the older load ended")
	})
}

func TestOneCallersCancellationFailsNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, sealed := aged(t)
		w.Evict()
		w.line.set(func(ctx context.Context, op string) error {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(2 * time.Second):
				return nil
			}
		})
		hurried, stop := context.WithTimeout(t.Context(), time.Second)
		defer stop()
		var all sync.WaitGroup
		all.Go(func() {
			if _, err := w.Open(hurried, here, sealed, tenantA); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("the hurried caller got %v", err)
			}
		})
		all.Go(func() { w.mustOpen(t, "old", sealed, tenantA) })
		all.Wait()
	})
}

func TestClockSetBackDoesNotProlongAKey(t *testing.T) {
	w := newWorld(t)
	now := time.Now()
	k := New(w.line, w.line, func() time.Time { return now })
	w.mustCreate(t, tenantA)
	sealed := w.mustSeal(t, "x", tenantA)
	if _, err := k.Open(t.Context(), here, sealed, tenantA); err != nil {
		t.Fatal(err)
	}
	now = now.Add(-time.Hour)
	w.cut(errBroken)
	_, err := k.Open(t.Context(), here, sealed, tenantA)
	wantKind(t, err, fault.Unavailable, "opening with a key of unknown age")
}

func TestCacheIsBounded(t *testing.T) {
	cache := map[int]int{}
	for i := range 3 * maxCached {
		makeRoom(cache)
		cache[i] = i
	}
	if len(cache) != maxCached {
		t.Errorf("the cache holds %d, at most %d", len(cache), maxCached)
	}
}

// A swapped, renamed or altered entry of the ring does not unwrap.
func TestEntriesAreBound(t *testing.T) {
	for name, change := range map[string]func(w *world){
		"swapped": func(w *world) {
			e := w.ring.entries
			e[0].Wrapped, e[1].Wrapped = e[1].Wrapped, e[0].Wrapped
		},
		"another version":   func(w *world) { w.ring.entries[1].Version = 2 },
		"version 0":         func(w *world) { w.ring.entries[1].Version = 0 },
		"a changed byte":    func(w *world) { w.ring.entries[1].Wrapped[20] ^= 1 },
		"a cut value":       func(w *world) { w.ring.entries[1].Wrapped = w.ring.entries[1].Wrapped[:10] },
		"an unknown format": func(w *world) { w.ring.entries[1].Wrapped[0] = 9 },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.mustCreate(t, subjectA, tenantA)
			change(w)
			_, err := w.process(t).Secret(t.Context(), tenantA)
			if !errors.Is(err, ErrAltered) {
				t.Errorf("got %v, want ErrAltered", err)
			}
		})
	}
}

func FuzzRingEntry(f *testing.F) {
	w := newWorld(f)
	w.mustCreate(f, tenantA)
	good := w.ring.entries[0]
	f.Add(string(good.Ref), good.Version, good.Epoch, good.Wrapped)
	f.Add("tenant/x", 70_000, "../../etc/passwd", []byte{1})
	f.Add("", 0, "", []byte{})
	f.Fuzz(func(t *testing.T, ref string, version int, epoch string, wrapped []byte) {
		e := Entry{Ref: Ref(ref), Version: version, Epoch: epoch, Wrapped: wrapped}
		key, err := w.unwrap(t.Context(), e)
		if err == nil && (e.Ref != good.Ref || version != good.Version || epoch != good.Epoch || string(wrapped) != string(good.Wrapped)) {
			t.Errorf("%+v unwrapped to %d bytes", e, len(key))
		}
		if err != nil && !errors.Is(err, ErrAltered) && !errors.Is(err, ErrNoEpoch) {
			t.Errorf("%+v: %v", e, err)
		}
	})
}
