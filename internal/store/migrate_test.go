package store_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/fstest"

	"troth/internal/fault"
	"troth/internal/store"
	"troth/internal/store/storetest"
)

func sqlFile(body string) *fstest.MapFile {
	return &fstest.MapFile{Data: []byte("-- +goose Up\n" + body)}
}

func TestMigrationsRunInOrderOnceAndLate(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		second := fstest.MapFS{"m/209901020001_b.sql": sqlFile("ALTER TABLE first ADD COLUMN b TEXT;")}
		first := fstest.MapFS{"209901010001_a.sql": sqlFile("CREATE TABLE first (a TEXT NOT NULL PRIMARY KEY);")}
		for range 3 {
			must(t, db.Migrate(t.Context(), second, first, nil))
		}
		// A part that was added later brings a lower number.
		late := fstest.MapFS{"209901010000_z.sql": sqlFile("CREATE TABLE late (a TEXT NOT NULL PRIMARY KEY);")}
		must(t, db.Migrate(t.Context(), first, second, late))
		names, err := db.Tables(t.Context())
		must(t, err)
		if !slices.Contains(names, "first") || !slices.Contains(names, "late") {
			t.Fatalf("tables %q", names)
		}
	})
}

func TestMigrateRefuses(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		name := "209901010001_a.sql"
		must(t, db.Migrate(t.Context(), fstest.MapFS{name: sqlFile("CREATE TABLE a (a TEXT);")}))
		refused := map[string]fstest.MapFS{
			"store.changed_migration": {name: sqlFile("CREATE TABLE a (b TEXT);"), "209901010002_b.sql": sqlFile("CREATE TABLE b (b TEXT);")},
			"store.newer_database":    {"209901010002_b.sql": sqlFile("CREATE TABLE b (b TEXT);")},
		}
		for code, files := range refused {
			wantKind(t, db.Migrate(t.Context(), files), fault.Conflict, code)
		}
		for what, files := range map[string]fstest.MapFS{
			"a bad name":    {"1_x.sql": sqlFile("CREATE TABLE b (b TEXT);")},
			"a bad number":  {name: sqlFile("CREATE TABLE a (a TEXT);"), "209901010001_other.sql": sqlFile("CREATE TABLE b (b TEXT);")},
			"bad SQL":       {name: sqlFile("CREATE TABLE a (a TEXT);"), "209901010002_b.sql": sqlFile("CREATE TABLE b (b TEXT); CREATE NONSENSE;")},
			"no annotation": {name: sqlFile("CREATE TABLE a (a TEXT);"), "209901010002_b.sql": {Data: []byte("CREATE TABLE b (b TEXT);")}},
		} {
			if err := db.Migrate(t.Context(), files); err == nil {
				t.Errorf("%s was accepted", what)
			}
		}
		names, err := db.Tables(t.Context())
		must(t, err)
		if slices.Contains(names, "b") {
			t.Fatal("a refused migration left something behind")
		}
	})
}

func TestManyMigrationsAreQuick(t *testing.T) {
	files := fstest.MapFS{}
	for i := range 60 {
		files[fmt.Sprintf("20990101%04d_t.sql", i)] = sqlFile(fmt.Sprintf("CREATE TABLE t%d (a TEXT NOT NULL PRIMARY KEY);", i))
	}
	db := storetest.SQLite(t, files)
	must(t, db.Migrate(t.Context(), files))
	names, err := db.Tables(t.Context())
	must(t, err)
	if len(names) != 62 {
		t.Fatalf("%d tables", len(names))
	}
}
