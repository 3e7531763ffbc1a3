package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"troth/internal/fault"
	"troth/internal/store"
	"troth/internal/store/storetest"
)

// kv is a table for tests.
var kv = fstest.MapFS{"migrations/209901010001_kv.sql": {Data: []byte(`-- +goose Up
CREATE TABLE IF NOT EXISTS kv (k TEXT NOT NULL PRIMARY KEY, v TEXT, n BIGINT, b BYTEA, f BOOLEAN);
CREATE TABLE IF NOT EXISTS kid (id TEXT NOT NULL PRIMARY KEY, k TEXT NOT NULL REFERENCES kv (k));
`)}}

// put writes one row.
func put(ctx context.Context, db *store.DB, k, v string) error {
	return db.Write(ctx, func(tx *store.Tx) error {
		tx.Unaudited("test")
		_, err := tx.Exec("INSERT INTO kv (k, v) VALUES ($1, $2)", k, v)
		return err
	})
}

// all lists the keys.
func all(t testing.TB, db *store.DB) (keys []string) {
	t.Helper()
	must(t, db.Read(t.Context(), func(tx *store.Tx) error {
		rows, err := tx.Query("SELECT k FROM kv ORDER BY k")
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var k string
			if err := rows.Scan(&k); err != nil {
				return err
			}
			keys = append(keys, k)
		}
		return rows.Err()
	}))
	return keys
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantKind(t testing.TB, err error, kind fault.Kind, code string) {
	t.Helper()
	if f := fault.As(err); f == nil || f.Kind != kind || f.Code != code {
		t.Fatalf("error is %v, want the fault %s (%s)", err, code, kind)
	}
}

func TestTypesComeBackAsTheyWent(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		type row struct {
			v *string
			n *int64
			b []byte
			f *bool
		}
		text, big, yes, no := "é ' \" $1 ? -- x", int64(math.MaxInt64), true, false
		now := store.Micros(time.Now())
		rows := map[string]row{
			"full":  {&text, &big, []byte{0, 1, 255}, &yes},
			"null":  {},
			"empty": {new(string), &now, []byte{}, &no},
		}
		for k, r := range rows {
			must(t, db.Write(t.Context(), func(tx *store.Tx) error {
				tx.Unaudited("test")
				_, err := tx.Exec("INSERT INTO kv (k, v, n, b, f) VALUES ($1, $2, $3, $4, $5)", k, r.v, r.n, r.b, r.f)
				return err
			}))
		}
		for k, want := range rows {
			var got row
			must(t, db.Read(t.Context(), func(tx *store.Tx) error {
				return tx.QueryRow("SELECT v, n, b, f FROM kv WHERE k = $1", k).Scan(&got.v, &got.n, &got.b, &got.f)
			}))
			if !same(got.v, want.v) || !same(got.n, want.n) || !same(got.f, want.f) || !bytes.Equal(got.b, want.b) || (got.b == nil) != (want.b == nil) {
				t.Errorf("%s came back as %+v", k, got)
			}
		}
		var n int
		must(t, db.Read(t.Context(), func(tx *store.Tx) error {
			return tx.QueryRow("SELECT count(*) FROM kv WHERE f = TRUE OR b = $1", []byte{}).Scan(&n)
		}))
		if n != 2 {
			t.Errorf("%d rows are true or empty, want 2", n)
		}
	}, kv)
}

func same[T comparable](a, b *T) bool { return (a == nil) == (b == nil) && (a == nil || *a == *b) }

func TestParametersAreBoundByNumber(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		must(t, db.Write(t.Context(), func(tx *store.Tx) error {
			tx.Unaudited("test")
			_, err := tx.Exec("INSERT INTO kv (v, k, n) VALUES ($2, $1, length($2))", "first", "second")
			return err
		}))
		var k, v string
		var n int
		must(t, db.Read(t.Context(), func(tx *store.Tx) error {
			return tx.QueryRow("SELECT k, v, n FROM kv WHERE v = $2 AND k = $1", "first", "second").Scan(&k, &v, &n)
		}))
		if k != "first" || v != "second" || n != 6 {
			t.Fatalf("bound the wrong way round: k=%q v=%q n=%d", k, v, n)
		}
		for query, args := range map[string][]any{
			"SELECT k FROM kv WHERE k = $1":             {},
			"SELECT v FROM kv WHERE k = $1":             {"a", "b"},
			"SELECT n FROM kv WHERE k = ?":              {"a"},
			"SELECT b FROM kv WHERE k = $1 AND n != $3": {"a", "b", "c"},
		} {
			err := db.Read(t.Context(), func(tx *store.Tx) error {
				rows, err := tx.Query(query, args...)
				if err == nil {
					defer rows.Close()
					for rows.Next() {
					}
					err = rows.Err()
				}
				return err
			})
			if err == nil {
				t.Errorf("%s with %d arguments was accepted", query, len(args))
			}
		}
	}, kv)
}

func TestWriteRefusesWithoutAnEvent(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		err := db.Write(t.Context(), func(tx *store.Tx) error {
			_, err := tx.Exec("INSERT INTO kv (k) VALUES ('unsaid')")
			return err
		})
		if err == nil || len(all(t, db)) != 0 {
			t.Fatalf("a transaction without an event was stored: %v", err)
		}
		must(t, db.Write(t.Context(), func(tx *store.Tx) error {
			tx.Audited()
			_, err := tx.Exec("INSERT INTO kv (k) VALUES ('said')")
			return err
		}))
		err = db.Write(t.Context(), func(tx *store.Tx) error { tx.Unaudited(""); tx.Audited(); return nil })
		if err == nil {
			t.Fatal("Unaudited without a reason was accepted")
		}
		if got := all(t, db); !slices.Equal(got, []string{"said"}) {
			t.Fatalf("stored %q", got)
		}
	}, kv)
}

func TestOnlyTheFailingWriteIsUndone(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		const writers = 40
		mine := errors.New("mine")
		var wg sync.WaitGroup
		for i := range writers {
			wg.Go(func() {
				defer func() {
					if r := recover(); (r != nil) != (i%4 == 2) {
						t.Errorf("writer %d: recovered %v", i, r)
					}
				}()
				err := db.Write(t.Context(), func(tx *store.Tx) error {
					tx.Unaudited("test")
					if _, err := tx.Exec("INSERT INTO kv (k) VALUES ($1)", fmt.Sprintf("%02d", i)); err != nil {
						return err
					}
					switch i % 4 {
					case 1:
						return mine
					case 2:
						panic("mine")
					}
					return nil
				})
				if want := i%4 == 1; errors.Is(err, mine) != want {
					t.Errorf("writer %d: %v", i, err)
				}
			})
		}
		wg.Wait()
		var want []string
		for i := range writers {
			if i%4 == 0 || i%4 == 3 {
				want = append(want, fmt.Sprintf("%02d", i))
			}
		}
		if got := all(t, db); !slices.Equal(got, want) {
			t.Fatalf("stored %q, want %q", got, want)
		}
	}, kv)
}

func TestAStatementThatFailsSpoilsItsTransaction(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		must(t, put(t.Context(), db, "a", "1"))
		var first error
		err := db.Write(t.Context(), func(tx *store.Tx) error {
			tx.Unaudited("test")
			_, first = tx.Exec("INSERT INTO kv (k) VALUES ('a')")
			_, err := tx.Exec("INSERT INTO kv (k) VALUES ('b')")
			return err
		})
		if !store.IsUnique(first) || err == nil {
			t.Fatalf("first %v, then %v", first, err)
		}
		err = db.Write(t.Context(), func(tx *store.Tx) error {
			tx.Unaudited("test")
			tx.Exec("INSERT INTO kv (k) VALUES ('c')")
			tx.Exec("INSERT INTO kv (k) VALUES ('a')")
			return nil
		})
		if err == nil {
			t.Fatal("a transaction whose failed statement was ignored was stored")
		}
		err = db.Write(t.Context(), func(tx *store.Tx) error {
			tx.Unaudited("test")
			_, err := tx.Exec("INSERT INTO kid (id, k) VALUES ('x', 'nobody')")
			return err
		})
		if err == nil || store.IsUnique(err) {
			t.Fatalf("a broken reference: %v", err)
		}
		if got := all(t, db); !slices.Equal(got, []string{"a"}) {
			t.Fatalf("stored %q", got)
		}
	}, kv)
}

func TestReadIsOneMomentAndReadOnly(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		must(t, put(t.Context(), db, "a", "1"))
		must(t, db.Read(t.Context(), func(tx *store.Tx) error {
			var before, after int
			count := func(n *int) error { return tx.QueryRow("SELECT count(*) FROM kv").Scan(n) }
			if err := count(&before); err != nil {
				return err
			}
			if err := put(t.Context(), db, "b", "2"); err != nil {
				return err
			}
			if err := count(&after); err != nil {
				return err
			}
			if before != 1 || after != 1 {
				t.Errorf("the snapshot moved from %d to %d rows", before, after)
			}
			if _, err := tx.Exec("DELETE FROM kv"); err == nil {
				t.Error("Exec inside of Read was accepted")
			}
			return nil
		}))
		err := db.Read(t.Context(), func(tx *store.Tx) error {
			return tx.QueryRow("DELETE FROM kv RETURNING k").Scan(new(string))
		})
		if err == nil || len(all(t, db)) != 2 {
			t.Fatalf("a deletion inside of Read: %v", err)
		}
	}, kv)
}

func TestAfterCommitRunsOnceAndOnlyAfterACommit(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		var said []string
		write := func(k string, fail error) error {
			return db.Write(t.Context(), func(tx *store.Tx) error {
				tx.Unaudited("test")
				tx.AfterCommit(func() { said = append(said, k+"1") })
				tx.AfterCommit(func() { said = append(said, k+"2") })
				_, err := tx.Exec("INSERT INTO kv (k) VALUES ($1)", k)
				return errors.Join(err, fail)
			})
		}
		must(t, write("a", nil))
		if write("b", errors.New("no")) == nil || write("a", nil) == nil {
			t.Fatal("failing writes were acknowledged")
		}
		if !slices.Equal(said, []string{"a1", "a2"}) {
			t.Fatalf("after the commits: %q", said)
		}
	}, kv)
}

func TestAWriteWhoseContextEndedIsUndone(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx, cancel := context.WithCancel(t.Context())
		err := db.Write(ctx, func(tx *store.Tx) error {
			tx.Unaudited("test")
			_, err := tx.Exec("INSERT INTO kv (k) VALUES ('a')")
			cancel()
			return err
		})
		if !errors.Is(err, context.Canceled) || len(all(t, db)) != 0 {
			t.Fatalf("stored %q: %v", all(t, db), err)
		}
		if put(ctx, db, "b", "") == nil || len(all(t, db)) != 0 {
			t.Fatal("a write with an ended context was stored")
		}
		must(t, put(t.Context(), db, "c", ""))
	}, kv)
}

func TestWriteInsideOfWriteIsRefused(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		err := db.Write(t.Context(), func(tx *store.Tx) error {
			tx.Unaudited("test")
			return put(tx.Context(), db, "a", "")
		})
		if err == nil || len(all(t, db)) != 0 {
			t.Fatalf("nested: %v", err)
		}
	}, kv)
}

func TestConcurrentReadModifyWriteLosesNothing(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		must(t, db.Write(t.Context(), func(tx *store.Tx) error {
			tx.Unaudited("test")
			_, err := tx.Exec("INSERT INTO kv (k, n) VALUES ('counter', 0)")
			return err
		}))
		const writers, rounds = 8, 10
		var wg sync.WaitGroup
		for range writers {
			wg.Go(func() {
				for range rounds {
					err := db.Write(t.Context(), func(tx *store.Tx) error {
						tx.Unaudited("test")
						var n int
						if err := tx.QueryRow("SELECT n FROM kv WHERE k = 'counter'").Scan(&n); err != nil {
							return err
						}
						_, err := tx.Exec("UPDATE kv SET n = $1 WHERE k = 'counter'", n+1)
						return err
					})
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		var n int
		must(t, db.Read(t.Context(), func(tx *store.Tx) error { return tx.QueryRow("SELECT n FROM kv WHERE k = 'counter'").Scan(&n) }))
		if n != writers*rounds {
			t.Fatalf("counted %d of %d", n, writers*rounds)
		}
	}, kv)
}

func TestTablesAreListed(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		names, err := db.Tables(t.Context())
		must(t, err)
		if want := []string{"kid", "kv", "store_change", "store_migration"}; !slices.Equal(names, want) {
			t.Fatalf("tables %q, want %q", names, want)
		}
		must(t, db.Ping(t.Context()))
		if n, err := db.Size(t.Context()); err != nil || n <= 0 {
			t.Fatalf("size %d: %v", n, err)
		}
	}, kv)
}

func TestOneAnswerIsReadAtATime(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		must(t, put(t.Context(), db, "a", ""))
		must(t, put(t.Context(), db, "b", ""))
		err := db.Read(t.Context(), func(tx *store.Tx) error {
			outer, err := tx.Query("SELECT k FROM kv ORDER BY k")
			if err != nil {
				return err
			}
			defer outer.Close()
			outer.Next()
			return tx.QueryRow("SELECT count(*) FROM kv").Scan(new(int))
		})
		if err == nil {
			t.Fatal("a query inside of another one was accepted; Postgres cannot do that")
		}
		for range 20 { // the connections are as good as new
			if n := len(all(t, db)); n != 2 {
				t.Fatalf("%d rows", n)
			}
		}
	}, kv)
}
