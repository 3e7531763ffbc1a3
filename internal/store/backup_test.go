package store_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"

	"troth/internal/fault"
	"troth/internal/store"
	"troth/internal/store/storetest"
)

// pairs writes rows two at a time: a copy of one moment has an even number.
func pairs(t testing.TB, db *store.DB) (stop func()) {
	var halt atomic.Bool
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for n := 0; !halt.Load(); n++ {
				err := db.Write(context.Background(), func(tx *store.Tx) error {
					tx.Unaudited("test")
					for _, half := range "ab" {
						if _, err := tx.Exec("INSERT INTO kv (k, v) VALUES ($1, $2)", fmt.Sprintf("%d-%d-%c", w, n, half), strings.Repeat("x", 500)); err != nil {
							return err
						}
					}
					return nil
				})
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	return sync.OnceFunc(func() { halt.Store(true); wg.Wait() })
}

func TestABackupIsOneMomentWhileWritesGoOn(t *testing.T) {
	for _, engine := range storetest.Engines {
		t.Run(engine, func(t *testing.T) {
			o := storetest.Options(t, engine)
			o.Key = storetest.SQLiteOptions(t).Key
			db := storetest.Open(t, o, kv)
			stop := pairs(t, db)
			defer stop()
			for len(all(t, db)) < 1000 {
			}
			before := len(all(t, db))
			path := filepath.Join(t.TempDir(), "copy.db")
			var steps, total int
			must(t, db.BackupTo(t.Context(), path, func(done, of int) { steps++; total = of }))
			if engine == store.SQLite && (steps == 0 || total < 100) {
				t.Errorf("progress was told %d times, of %d pages", steps, total)
			}
			after := len(all(t, db))
			stop()
			copied, err := store.Open(t.Context(), store.Options{URL: "sqlite:" + path, Key: o.Key})
			must(t, err)
			defer copied.Close()
			must(t, copied.Check(t.Context()))
			must(t, copied.Migrate(t.Context(), kv))
			n := len(all(t, copied))
			if n%2 != 0 || n < before || n > after {
				t.Errorf("the copy has %d rows; there were %d before and %d after", n, before, after)
			}
			wantKind(t, db.BackupTo(t.Context(), path, nil), fault.Invalid, "store.backup_file")
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			given := filepath.Join(t.TempDir(), "given-up.db")
			if db.BackupTo(ctx, given, nil) == nil {
				t.Error("a backup with an ended context succeeded")
			}
			if _, err := os.Stat(given); err == nil {
				t.Error("a backup that failed left a file")
			}
		})
	}
}

func TestCheckFindsDamage(t *testing.T) {
	o := storetest.SQLiteOptions(t)
	db := storetest.Open(t, o, kv)
	stop := pairs(t, db)
	for len(all(t, db)) < 1000 {
	}
	stop()
	must(t, db.Check(t.Context()))
	path := filepath.Join(t.TempDir(), "copy.db")
	must(t, db.BackupTo(t.Context(), path, nil))
	b, err := os.ReadFile(path)
	must(t, err)
	for at := len(b) / 2; at < len(b)/2+4096; at += 512 {
		b[at] ^= 1
	}
	must(t, os.WriteFile(path, b, 0o600))
	copied, err := store.Open(t.Context(), store.Options{URL: "sqlite:" + path, Key: o.Key})
	must(t, err)
	defer copied.Close()
	wantKind(t, copied.Check(t.Context()), fault.Internal, "store.damaged")
}

// fill writes rows of every type and a table that no migration makes.
func fill(t testing.TB, db *store.DB) {
	t.Helper()
	must(t, db.Write(t.Context(), func(tx *store.Tx) error {
		tx.Unaudited("test")
		for i := range 300 {
			if _, err := tx.Exec("INSERT INTO kv (k, v, n, b, f) VALUES ($1, $2, $3, $4, $5)",
				fmt.Sprintf("k%03d", i), "é"+strings.Repeat("v", i), int64(math.MinInt64)+int64(i), []byte{byte(i), 0}, i%2 == 0); err != nil {
				return err
			}
			if _, err := tx.Exec("INSERT INTO kid (id, k) VALUES ($1, $2)", fmt.Sprintf("i%03d", i), fmt.Sprintf("k%03d", i)); err != nil {
				return err
			}
		}
		if _, err := tx.Exec("INSERT INTO kv (k) VALUES ('null')"); err != nil {
			return err
		}
		if _, err := tx.Exec("CREATE TABLE month_202611 (tenant TEXT NOT NULL, id TEXT NOT NULL, body BYTEA, PRIMARY KEY (tenant, id))"); err != nil {
			return err
		}
		if _, err := tx.Exec("CREATE INDEX month_202611_id ON month_202611 (id)"); err != nil {
			return err
		}
		_, err := tx.Exec("INSERT INTO month_202611 (tenant, id, body) VALUES ('t', 'i', $1)", []byte("sealed"))
		return err
	}))
}

func dump(t testing.TB, db *store.DB) []byte {
	t.Helper()
	var b bytes.Buffer
	must(t, db.Dump(t.Context(), &b))
	return b.Bytes()
}

func TestADumpLoadsIntoEitherEngine(t *testing.T) {
	for _, from := range storetest.Engines {
		for _, to := range storetest.Engines {
			t.Run(from+" to "+to, func(t *testing.T) {
				source := storetest.Open(t, storetest.Options(t, from), kv)
				fill(t, source)
				written := dump(t, source)
				target := storetest.Open(t, storetest.Options(t, to), kv)
				must(t, target.Load(t.Context(), bytes.NewReader(written)))
				if !slices.Equal(all(t, source), all(t, target)) {
					t.Error("the keys differ")
				}
				var v string
				var n int64
				var b, body []byte
				var f bool
				must(t, target.Read(t.Context(), func(tx *store.Tx) error {
					if err := tx.QueryRow("SELECT v, n, b, f FROM kv WHERE k = 'k007'").Scan(&v, &n, &b, &f); err != nil {
						return err
					}
					return tx.QueryRow("SELECT body FROM month_202611 WHERE tenant = 't' AND id = 'i'").Scan(&body)
				}))
				if v != "évvvvvvv" || n != math.MinInt64+7 || !bytes.Equal(b, []byte{7, 0}) || f || string(body) != "sealed" {
					t.Errorf("v=%q n=%d b=%x f=%v body=%q", v, n, b, f, body)
				}
				wantKind(t, target.Load(t.Context(), bytes.NewReader(written)), fault.Conflict, "store.not_empty")
			})
		}
	}
}

func TestLoadRefusesADumpOfANewerDatabase(t *testing.T) {
	source := storetest.SQLite(t, kv, fstest.MapFS{"209912310001_new.sql": sqlFile("CREATE TABLE later (a TEXT NOT NULL PRIMARY KEY);")})
	fill(t, source)
	target := storetest.SQLite(t, kv)
	wantKind(t, target.Load(t.Context(), bytes.NewReader(dump(t, source))), fault.Conflict, "store.newer_database")
	if len(all(t, target)) != 0 {
		t.Fatal("a refused dump left rows")
	}
}

func TestLoadRefusesWhatIsDamaged(t *testing.T) {
	source := storetest.SQLite(t, kv)
	fill(t, source)
	whole := dump(t, source)
	target := storetest.SQLite(t, kv)
	for _, cut := range []int{0, 5, 13, 14, 200, len(whole) / 2, len(whole) - 1} {
		wantKind(t, target.Load(t.Context(), bytes.NewReader(whole[:cut])), fault.Invalid, "store.dump")
	}
	wantKind(t, target.Load(t.Context(), bytes.NewReader(append(slices.Clone(whole), 0))), fault.Invalid, "store.dump")
	if len(all(t, target)) != 0 {
		t.Fatal("a refused dump left rows")
	}
}

// FuzzLoad feeds Load what nobody wrote: it refuses, and keeps nothing.
func FuzzLoad(f *testing.F) {
	source := storetest.SQLite(f, kv)
	must(f, put(context.Background(), source, "k", "v"))
	whole := dump(f, source)
	f.Add(whole)
	record := func(kind byte, body string) string {
		return string(binary.AppendUvarint([]byte{kind}, uint64(len(body)))) + body
	}
	hostile := `{"name":"x\"; DROP TABLE kv; --","columns":[{"name":"a\" TEXT); DROP TABLE kv; --","type":"TEXT"}]}`
	f.Add([]byte("troth dump 1\n" + record('S', "{}") + record('E', "\x00")))
	f.Add([]byte("troth dump 1\n" + record('S', hostile) + record('R', "s\x01y") + record('E', "\x01")))
	f.Fuzz(func(t *testing.T, data []byte) {
		target := storetest.SQLite(t, kv)
		err := target.Load(t.Context(), bytes.NewReader(data))
		names, terr := target.Tables(t.Context())
		must(t, terr)
		if err != nil && (len(names) != 4 || len(all(t, target)) > 0) {
			t.Fatalf("a refused dump left something: %q", names)
		}
		if !slices.Contains(names, "kv") {
			t.Fatal("a dump dropped a table")
		}
	})
}
