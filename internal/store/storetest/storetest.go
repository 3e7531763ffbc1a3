// Package storetest opens databases for tests: fresh, migrated, real.
//
// [Each] runs one test on both engines, which is how every package that keeps
// tables shows that its SQL means the same on both. [SQLite] is for tests that
// are not about SQL; it is made in milliseconds and may be used inside a
// testing/synctest bubble, which a server cannot.
package storetest

import (
	"context"
	"crypto/rand"
	"io/fs"
	"path/filepath"
	"testing"

	"troth/internal/secret"
	"troth/internal/store"
	"troth/internal/store/pgtest"
)

// Each runs the test on a fresh, migrated database of each engine.
func Each(t *testing.T, test func(t *testing.T, db *store.DB), migrations ...fs.FS) {
	t.Helper()
	t.Run(store.SQLite, func(t *testing.T) { test(t, SQLite(t, migrations...)) })
	t.Run(store.Postgres, func(t *testing.T) { test(t, Postgres(t, migrations...)) })
}

// SQLite opens a fresh, migrated, encrypted SQLite database, which is closed
// when the test has ended.
func SQLite(t testing.TB, migrations ...fs.FS) *store.DB {
	t.Helper()
	return Open(t, SQLiteOptions(t), migrations...)
}

// Postgres opens a fresh, migrated Postgres database.
func Postgres(t testing.TB, migrations ...fs.FS) *store.DB {
	t.Helper()
	return Open(t, PostgresOptions(t), migrations...)
}

// Options are the options of a fresh database of an engine, for tests that
// open it twice, or with a clock or faults of their own.
func Options(t testing.TB, engine string) store.Options {
	t.Helper()
	if engine == store.Postgres {
		return PostgresOptions(t)
	}
	return SQLiteOptions(t)
}

// SQLiteOptions are the options of a fresh SQLite database.
func SQLiteOptions(t testing.TB) store.Options {
	t.Helper()
	key := make([]byte, 64)
	rand.Read(key)
	return store.Options{URL: "sqlite:" + filepath.Join(t.TempDir(), "test.db"), Key: secret.OfBytes(key)}
}

// PostgresOptions are the options of a fresh Postgres database.
func PostgresOptions(t testing.TB) store.Options {
	t.Helper()
	return store.Options{URL: pgtest.URL(t)}
}

// Open opens and migrates a database and closes it when the test has ended.
func Open(t testing.TB, o store.Options, migrations ...fs.FS) *store.DB {
	t.Helper()
	db, err := store.Open(context.Background(), o)
	if err != nil {
		t.Fatalf("opening a database for the test: %v", err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("closing the test's database: %v", err)
		}
	})
	if err := db.Migrate(context.Background(), migrations...); err != nil {
		t.Fatalf("migrating a database for the test: %v", err)
	}
	return db
}

// Each engine, for table tests.
var Engines = []string{store.SQLite, store.Postgres}
