package audit

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"

	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/store"
	"troth/internal/store/storetest"
)

// TestSeveralSequencersAndWritersAgree runs sequencers as several processes
// would, while actions are written.
func TestSeveralSequencersAndWritersAgree(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := open(t, db)
		ctx := context.Background()
		const writers, each, sequencers = 6, 20, 3
		tenants := make([]id.Tenant, writers)
		for i := range tenants {
			tenants[i] = h.tenant()
		}
		writing, stop := context.WithCancel(ctx)
		var all, w sync.WaitGroup
		for i := range sequencers {
			l := h.log
			if i > 0 {
				var err error
				if l, err = New(db, h.keys, Options{Origin: "log.example", Types: testTypes, Now: h.clock.now}); err != nil {
					t.Fatal(err)
				}
			}
			all.Go(func() {
				for writing.Err() == nil {
					if _, err := l.Sequence(ctx); err != nil {
						t.Errorf("sequencer %d: %v", i, err)
						return
					}
				}
			})
		}
		var mu sync.Mutex
		events := map[id.Event]id.Tenant{}
		for i := range writers {
			w.Go(func() {
				for n := range each {
					tenant := tenants[(i+n)%writers]
					var event id.Event
					err := db.Write(ctx, func(tx *store.Tx) (err error) {
						event, err = h.log.AppendTx(tx, Event{Type: "account.signed_in", Tenant: tenant, Actor: Actor{Kind: KindSystem}})
						return err
					})
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					events[event] = tenant
					mu.Unlock()
				}
			})
		}
		w.Wait()
		stop()
		all.Wait()
		if len(events) != writers*each {
			t.Fatalf("%d events were written", len(events))
		}
		if err := h.mustHold(&acknowledged{events: events}); err != nil {
			t.Error(err)
		}
	}, Migrations)
}

// TestSeveralProcessesStartAtOnce on an empty database.
func TestSeveralProcessesStartAtOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := &house{t: t, db: db, clock: newClock()}
		h.keysOnly(&faults{})
		var all sync.WaitGroup
		vkeys := make([]string, 6)
		for i := range vkeys {
			all.Go(func() {
				l, err := New(db, h.keys, Options{Origin: "log.example", Types: testTypes, Now: h.clock.now})
				if err != nil {
					t.Errorf("start %d: %v", i, err)
					return
				}
				vkeys[i] = l.VKey()
			})
		}
		all.Wait()
		for _, v := range vkeys {
			if v != vkeys[0] {
				t.Errorf("two keys: %s and %s", v, vkeys[0])
			}
		}
		if err := h.mustHold(&acknowledged{}); err != nil {
			t.Error(err)
		}
	}, Migrations)
}

// TestTreeAgreesWithTlog compares growing at the edge with x/mod's own way, and
// reads every tile and proof back from the tables.
func TestTreeAgreesWithTlog(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		steps := rapid.SliceOfN(rapid.IntRange(0, 300), 1, 4).Draw(t, "steps")
		grown := &tree{name: "t"}
		var hashes []tlog.Hash
		reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
			out := make([]tlog.Hash, len(indexes))
			for i, x := range indexes {
				out[i] = hashes[x]
			}
			return out, nil
		})
		size := int64(0)
		for _, n := range steps {
			for range n {
				entry := []byte{byte(size), byte(size >> 8)}
				grown.push(leafRow{entry: entry})
				h, err := tlog.StoredHashes(size, entry, reader)
				if err != nil {
					t.Fatal(err)
				}
				hashes = append(hashes, h...)
				size++
			}
			want, err := tlog.TreeHash(size, reader)
			if err != nil {
				t.Fatal(err)
			}
			if size == 0 {
				want = (&tree{}).root()
			}
			if grown.root() != want {
				t.Fatalf("at size %d the root differs", size)
			}
			root := grown.root()
			again, err := loadTree("t", grown.size, root[:], packHashes(grown.edge))
			if err != nil {
				t.Fatal(err)
			}
			grown = again
		}
	})
}

func TestABrokenHeadIsRefused(t *testing.T) {
	one := &tree{}
	one.push(leafRow{entry: []byte("x")})
	root := one.root()
	for name, load := range map[string]func() (*tree, error){
		"size":   func() (*tree, error) { return loadTree("t", 3, root[:], packHashes(one.edge)) },
		"root":   func() (*tree, error) { return loadTree("t", 1, make([]byte, 32), packHashes(one.edge)) },
		"length": func() (*tree, error) { return loadTree("t", 1, root[:], packHashes(one.edge)[:31]) },
	} {
		if tree, err := load(); err == nil {
			t.Errorf("%s: loaded %+v", name, tree)
		}
	}
}

// TestRunSequencesFlushesAndSaysHowItIs lets the loops run on a clock of their own.
func TestRunSequencesFlushesAndSaysHowItIs(t *testing.T) {
	o := storetest.SQLiteOptions(t)
	synctest.Test(t, func(t *testing.T) {
		h := open(t, storetest.Open(t, o, Migrations))
		h.log.now, h.log.queue.now = time.Now, time.Now
		if err := h.log.PrepareMonths(context.Background()); err != nil {
			t.Fatal(err)
		}
		if err := h.log.Healthy(); fault.KindOf(err) != fault.Unavailable {
			t.Errorf("before Run: %v", err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- h.log.Run(ctx) }()
		time.Sleep(time.Second)
		if err := h.log.Healthy(); err != nil {
			t.Errorf("while running: %v", err)
		}
		ten := h.tenant()
		event := h.append(Event{Type: "account.signed_in", Tenant: ten, Actor: Actor{Kind: KindSystem}})
		if err := h.log.Access(AccessLine{Path: "/"}); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Second)
		if _, err := h.log.Proof(ctx, ten, event); err != nil {
			t.Errorf("a second later: %v", err)
		}
		if n := len(h.list(Filter{Tenant: id.Platform, Types: []string{typeSegment}})); n != 1 {
			t.Errorf("%d segments a second later", n)
		}
		if err := h.log.Access(AccessLine{Path: "/last"}); err != nil {
			t.Error(err)
		}
		cancel()
		if err := <-done; err != context.Canceled {
			t.Errorf("Run ended with %v", err)
		}
		if n := len(h.list(Filter{Tenant: id.Platform, Types: []string{typeSegment}})); n != 2 {
			t.Errorf("%d segments after the stop", n)
		}
		if err := h.log.Healthy(); err == nil {
			t.Error("healthy after the stop")
		}
	})
}
