package store_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"troth/internal/store"
	"troth/internal/store/storetest"
)

// heard collects what a node heard of.
type heard struct {
	mu   sync.Mutex
	keys []string
	more chan struct{}
}

func listen(db *store.DB, topic string) *heard {
	h := &heard{more: make(chan struct{}, 100)}
	db.Watch(topic, func(key string) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.keys = append(h.keys, key)
		h.more <- struct{}{}
	})
	return h
}

func (h *heard) all() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.keys)
}

func change(db *store.DB, topic string, fail error, keys ...string) error {
	return db.Write(context.Background(), func(tx *store.Tx) error {
		tx.Unaudited("test")
		for _, k := range keys {
			tx.Changed(topic, k)
		}
		return fail
	})
}

func runFeed(t testing.TB, db *store.DB) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- db.Run(ctx) }()
	stop = sync.OnceFunc(func() { cancel(); <-done })
	t.Cleanup(stop)
	return stop
}

func TestOtherNodesHearOfChanges(t *testing.T) {
	for _, engine := range storetest.Engines {
		t.Run(engine, func(t *testing.T) {
			o := storetest.Options(t, engine)
			a := storetest.Open(t, o)
			b := storetest.Open(t, o)
			here, there, other := listen(a, "role"), listen(b, "role"), listen(b, "session")
			runFeed(t, a)
			runFeed(t, b)
			if err := change(a, "role", errors.New("no"), "undone"); err == nil {
				t.Fatal("a failing write was acknowledged")
			}
			must(t, change(a, "role", nil, "x", "y"))
			if got := here.all(); !slices.Equal(got, []string{"x", "y"}) {
				t.Fatalf("this node heard %q before Write returned", got)
			}
			began := time.Now()
			<-there.more
			<-there.more
			if d := time.Since(began); d > 2*time.Second {
				t.Errorf("the other node heard after %v", d)
			}
			if got := slices.Sorted(slices.Values(there.all())); !slices.Equal(got, []string{"x", "y"}) || len(other.all()) != 0 {
				t.Errorf("the other node heard %q and %q", got, other.all())
			}
		})
	}
}

func TestTheFeedIsFreshOnlyWhileItIsRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := storetest.SQLite(t)
		if db.Fresh() {
			t.Fatal("fresh before the feed was read")
		}
		stop := runFeed(t, db)
		time.Sleep(10 * time.Second)
		if !db.Fresh() {
			t.Fatal("not fresh while the feed is read")
		}
		stop()
		time.Sleep(2 * time.Second)
		if db.Fresh() {
			t.Fatal("fresh after the feed ended")
		}
	})
}

func TestALongSilenceOutdatesEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := storetest.SQLiteOptions(t)
		a, b := storetest.Open(t, o), storetest.Open(t, o)
		there := listen(b, "role")
		stop := runFeed(t, b)
		time.Sleep(time.Second)
		stop()
		must(t, change(a, "role", nil, "missed"))
		time.Sleep(time.Hour)
		runFeed(t, b)
		time.Sleep(time.Second)
		if got := there.all(); !slices.Equal(got, []string{""}) {
			t.Fatalf("heard %q, want the empty key: anything may have changed", got)
		}
	})
}

func TestTheFeedIsHeardOnceAndSwept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := storetest.SQLiteOptions(t)
		a, b := storetest.Open(t, o), storetest.Open(t, o)
		here, there := listen(a, "role"), listen(b, "role")
		runFeed(t, a)
		runFeed(t, b)
		// Never at the moment of a poll: a change that meets one may be heard twice.
		time.Sleep(time.Millisecond)
		for range 30 {
			must(t, change(a, "role", nil, "k"))
			time.Sleep(10 * time.Second)
		}
		time.Sleep(10 * time.Second)
		if len(here.all()) != 30 || len(there.all()) != 30 {
			t.Errorf("heard %d and %d times of 30 changes", len(here.all()), len(there.all()))
		}
		time.Sleep(10 * time.Minute)
		var n int
		must(t, a.Read(t.Context(), func(tx *store.Tx) error { return tx.QueryRow("SELECT count(*) FROM store_change").Scan(&n) }))
		if n != 0 {
			t.Errorf("%d entries are left", n)
		}
	})
}

func TestAFloodOutdatesEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := storetest.SQLiteOptions(t)
		a, b := storetest.Open(t, o), storetest.Open(t, o)
		var all atomic.Int64
		b.Watch("role", func(key string) {
			if key == "" {
				all.Add(1)
			}
		})
		keys := strings.Split(strings.Repeat("k ", 10000), " ")
		for range 3 {
			must(t, change(a, "role", nil, keys...))
		}
		runFeed(t, b)
		time.Sleep(time.Second)
		if all.Load() == 0 {
			t.Fatal("a flood did not say that anything may have changed")
		}
	})
}
