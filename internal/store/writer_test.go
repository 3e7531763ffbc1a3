package store_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"troth/internal/fault"
	"troth/internal/secret"
	"troth/internal/store"
	"troth/internal/store/storetest"
)

// hold runs a Write that keeps its turn until it is let go.
func hold(t testing.TB, db *store.DB) (release func()) {
	t.Helper()
	holding, let := make(chan bool), make(chan bool)
	done := make(chan error, 1)
	go func() {
		done <- db.Write(context.Background(), func(tx *store.Tx) error {
			tx.Unaudited("test")
			holding <- true
			<-let
			return nil
		})
	}()
	<-holding
	return func() { close(let); must(t, <-done) }
}

func TestAWriteGivesUpWaitingWhenItsContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := storetest.SQLite(t, kv)
		release := hold(t, db)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		wantKind(t, put(ctx, db, "a", ""), fault.Unavailable, "store.waited")
		began := time.Now()
		wantKind(t, put(t.Context(), db, "b", ""), fault.Unavailable, "store.waited")
		if d := time.Since(began); d != 10*time.Second {
			t.Errorf("gave up after %v", d)
		}
		release()
		must(t, put(t.Context(), db, "c", ""))
		if got := all(t, db); len(got) != 1 {
			t.Fatalf("stored %q", got)
		}
	})
}

func TestWritesTakeTurnsInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := storetest.SQLite(t, kv)
		release := hold(t, db)
		var order []int
		var wg sync.WaitGroup
		for i := range 300 {
			wg.Go(func() {
				if err := db.Write(t.Context(), func(tx *store.Tx) error {
					tx.Unaudited("test")
					order = append(order, i)
					return nil
				}); err != nil {
					t.Error(err)
				}
			})
			synctest.Wait() // it is in the queue before the next one comes
		}
		release()
		wg.Wait()
		for i, n := range order {
			if n != i {
				t.Fatalf("turn %d went to %d", i, n)
			}
		}
	})
}

func TestAFullQueueRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := storetest.SQLite(t, kv)
		release := hold(t, db)
		var wg sync.WaitGroup
		for range 4096 {
			wg.Go(func() {
				if err := db.Write(t.Context(), func(tx *store.Tx) error { tx.Unaudited("test"); return nil }); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		wantKind(t, put(t.Context(), db, "a", ""), fault.Unavailable, "store.full")
		release()
		wg.Wait()
	})
}

func TestCloseFinishesWhatWaitsAndRefusesTheRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := storetest.SQLiteOptions(t)
		db := storetest.Open(t, o, kv)
		release := hold(t, db)
		waiting := make(chan error, 1)
		go func() { waiting <- put(t.Context(), db, "waited", "") }()
		synctest.Wait()
		closed := make(chan error, 1)
		go func() { closed <- db.Close() }()
		synctest.Wait()
		wantKind(t, put(t.Context(), db, "late", ""), fault.Unavailable, "store.closed")
		release()
		must(t, <-waiting)
		must(t, <-closed)
		if got := all(t, storetest.Open(t, o, kv)); len(got) != 1 || got[0] != "waited" {
			t.Fatalf("stored %q", got)
		}
	})
}

func TestALongTransactionIsEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := storetest.SQLite(t, kv)
		err := db.Write(t.Context(), func(tx *store.Tx) error {
			tx.Unaudited("test")
			if _, err := tx.Exec("INSERT INTO kv (k) VALUES ('a')"); err != nil {
				return err
			}
			time.Sleep(20 * time.Second)
			_, err := tx.Exec("INSERT INTO kv (k) VALUES ('b')")
			return err
		})
		if !errors.Is(err, context.DeadlineExceeded) || len(all(t, db)) != 0 {
			t.Fatalf("stored %q: %v", all(t, db), err)
		}
	})
}

func TestRowsLeftOpenAreAMistakeThatHurtsNobodyElse(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		must(t, put(t.Context(), db, "a", ""))
		must(t, put(t.Context(), db, "b", ""))
		var left []*sql.Rows
		query := func(tx *store.Tx) error {
			rows, err := tx.Query("SELECT k FROM kv")
			rows.Next()
			left = append(left, rows)
			return err
		}
		unread := func(tx *store.Tx) error {
			tx.QueryRow("SELECT k FROM kv")
			return nil
		}
		for what, leave := range map[string]func(*store.Tx) error{"rows": query, "a row": unread} {
			began := time.Now()
			if err := db.Read(t.Context(), leave); err == nil {
				t.Errorf("%s left open in Read went unnoticed", what)
			}
			err := db.Write(t.Context(), func(tx *store.Tx) error { tx.Unaudited("test"); return leave(tx) })
			if err == nil {
				t.Errorf("%s left open in Write went unnoticed", what)
			}
			if d := time.Since(began); d > 5*time.Second {
				t.Errorf("%s left open took %v to notice", what, d)
			}
		}
		for i := range 20 {
			must(t, put(t.Context(), db, fmt.Sprint(i), ""))
			if n := len(all(t, db)); n != 3+i {
				t.Fatalf("%d rows", n)
			}
		}
		for _, rows := range left {
			rows.Close()
		}
	}, kv)
}

func TestAFullDiskRefusesAndDamagesNothing(t *testing.T) {
	db := storetest.SQLite(t, kv)
	must(t, db.Write(t.Context(), func(tx *store.Tx) error {
		tx.Unaudited("test")
		var pages int
		return tx.QueryRow("PRAGMA max_page_count = 60").Scan(&pages)
	}))
	var mu sync.Mutex
	var stored []string
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			size, k := 10, fmt.Sprintf("%02d", i)
			if i == 7 {
				size = 1 << 20
			}
			switch err := put(t.Context(), db, k, strings.Repeat("x", size)); {
			case err == nil:
				mu.Lock()
				stored = append(stored, k)
				mu.Unlock()
			case i != 7: // it shared the commit with the one that was too much
				if f := fault.As(err); f == nil || f.Code != "store.disk_full" {
					t.Errorf("write %d: %v", i, err)
				}
			}
		})
	}
	wg.Wait()
	slices.Sort(stored)
	if got := all(t, db); !slices.Equal(got, stored) || slices.Contains(got, "07") {
		t.Fatalf("stored %q, acknowledged %q", got, stored)
	}
	must(t, put(t.Context(), db, "after", ""))
	must(t, db.Check(t.Context()))
}

func TestAnExitingGoroutineDoesNotHoldTheWriter(t *testing.T) {
	db := storetest.SQLite(t, kv)
	done := make(chan bool)
	go func() {
		defer close(done)
		db.Write(context.Background(), func(tx *store.Tx) error {
			tx.Unaudited("test")
			tx.Exec("INSERT INTO kv (k) VALUES ('a')")
			(&testing.T{}).FailNow() // runtime.Goexit
			return nil
		})
	}()
	<-done
	must(t, put(t.Context(), db, "b", ""))
	if got := all(t, db); len(got) != 1 {
		t.Fatalf("stored %q", got)
	}
}

func TestOpenRefuses(t *testing.T) {
	o := storetest.SQLiteOptions(t)
	storetest.Open(t, o, kv).Close()
	other := storetest.SQLiteOptions(t)
	other.URL = o.URL
	for name, c := range map[string]struct {
		o    store.Options
		kind fault.Kind
		code string
	}{
		"another key": {other, fault.Invalid, "store.key_mismatch"},
		"a scheme":    {store.Options{URL: "mysql://x", Key: o.Key}, fault.Invalid, "store.url"},
		"a bad URL":   {store.Options{URL: "postgres://%zz"}, fault.Invalid, "store.url"},
		"no server":   {store.Options{URL: "postgres:///x?host=" + t.TempDir()}, fault.Unavailable, "store.unreachable"},
		"a folder":    {store.Options{URL: "sqlite:" + t.TempDir(), Key: o.Key}, fault.Invalid, "store.file"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := store.Open(t.Context(), c.o)
			wantKind(t, err, c.kind, c.code)
		})
	}
	for _, n := range []int{0, 32, 63, 65} {
		if _, err := store.Open(t.Context(), store.Options{URL: o.URL, Key: secret.OfBytes(make([]byte, n))}); err == nil {
			t.Errorf("a key of %d bytes was accepted", n)
		}
	}
}

// TestEveryFaultLeavesAllOrNothing fails each operation of a small history, in
// both ways, and looks at what is left.
func TestEveryFaultLeavesAllOrNothing(t *testing.T) {
	for _, engine := range storetest.Engines {
		for _, outcome := range []store.Outcome{store.Lost, store.Persisted} {
			t.Run(fmt.Sprint(engine, outcome), func(t *testing.T) {
				o := storetest.Options(t, engine)
				var n, at int
				o.Fault = func(string) store.Outcome {
					n++
					if n == at {
						return outcome
					}
					return store.Works
				}
				db := storetest.Open(t, o, kv)
				for at = 1; ; at++ {
					n = 0
					a, b := fmt.Sprintf("%03da", at), fmt.Sprintf("%03db", at)
					var after int
					err := db.Write(t.Context(), func(tx *store.Tx) error {
						tx.Unaudited("test")
						tx.AfterCommit(func() { after++ })
						if _, err := tx.Exec("INSERT INTO kv (k) VALUES ($1)", a); err != nil {
							return err
						}
						if err := tx.QueryRow("SELECT k FROM kv WHERE k = $1", a).Scan(&a); err != nil {
							return err
						}
						_, err := tx.Exec("INSERT INTO kv (k) VALUES ($1)", b)
						return err
					})
					hit := n >= at
					now := at
					at = 0
					kept := strings.Count(strings.Join(all(t, db), " "), fmt.Sprintf("%03d", now))
					at = now
					if kept != 0 && kept != 2 {
						t.Fatalf("operation %d: half of the transaction is stored", at)
					}
					if !hit {
						must(t, err)
						break
					}
					wantKept := outcome == store.Persisted && at == 1 // the commit, which is asked about first
					if err == nil || (kept == 2) != wantKept || after != 0 {
						t.Fatalf("operation %d: %v, %d rows, %d calls after the commit", at, err, kept, after)
					}
				}
				if at < 5 {
					t.Fatalf("only %d operations: the test tested nothing", at)
				}
			})
		}
	}
}
