package store

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/ncruces/go-sqlite3"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"

	"troth/internal/fault"
)

// Migrations are the tables of the store itself; [DB.Migrate] applies them
// before all others.
//
//go:embed migrations/*.sql
var Migrations embed.FS

// migrationName is YYYYMMDD, two digits for the floor, two to count.
var migrationName = regexp.MustCompile(`^([0-9]{12})_[a-z0-9_]+\.sql$`)

// migration is one file.
type migration struct {
	name   string
	body   []byte
	digest string
}

// Migrate brings the schema up to date: it applies the files of all folders
// that were not applied yet, in the order of their numbers, each in a
// transaction of its own, and records each with its digest. It may be run any
// number of times, and by several nodes at once.
//
// It refuses, changing nothing, when an applied file reads differently now and
// when the database holds migrations that this program does not know.
func (db *DB) Migrate(ctx context.Context, dirs ...fs.FS) error {
	files, err := collect(append([]fs.FS{Migrations}, dirs...))
	if err != nil {
		return err
	}
	return db.migrate(ctx, files, "store_migration")
}

func (db *DB) migrate(ctx context.Context, files map[int64]migration, table string) error {
	folder, err := zipped(files)
	if err != nil {
		return fmt.Errorf("gathering the migrations: %w", err)
	}
	h, err := db.engine.handle()
	if err != nil {
		return fmt.Errorf("opening the database for migrations: %w", err)
	}
	defer h.Close()
	ledger := &ledger{table: table, files: files, now: db.opts.Now}
	// Another node may be doing the same: whoever comes second fails on the
	// ledger's primary key or on a table that appeared meanwhile, is undone,
	// looks again and finds less to do. There is no lock that all engines have.
	for n := 0; ; n++ {
		err = apply(ctx, h, folder, ledger)
		if err == nil || n >= 30 || !isRace(err) || !sleep(ctx, backoff(n+2)) {
			return err
		}
	}
}

func apply(ctx context.Context, h *sql.DB, folder fs.FS, l *ledger) error {
	if err := l.CreateVersionTable(ctx, h); err != nil {
		return fmt.Errorf("creating the table of migrations: %w", err)
	}
	if err := l.check(ctx, h); err != nil {
		return err
	}
	p, err := goose.NewProvider(goose.DialectCustom, h, folder, goose.WithStore(l),
		goose.WithDisableGlobalRegistry(true), goose.WithAllowOutofOrder(true))
	if err != nil {
		return fmt.Errorf("reading the migrations: %w", err)
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("migrating: %w", err)
	}
	return nil
}

// collect reads all *.sql files below the folders.
func collect(dirs []fs.FS) (map[int64]migration, error) {
	files := map[int64]migration{}
	for _, dir := range dirs {
		if dir == nil {
			continue
		}
		err := fs.WalkDir(dir, ".", func(p string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || path.Ext(p) != ".sql" {
				return err
			}
			match := migrationName.FindStringSubmatch(d.Name())
			if match == nil {
				return fmt.Errorf("the migration %s is not named YYYYMMDDNNNN_name.sql", p)
			}
			version, _ := strconv.ParseInt(match[1], 10, 64)
			body, err := fs.ReadFile(dir, p)
			if err != nil {
				return err
			}
			sum := sha256.Sum256(body)
			m := migration{name: d.Name(), body: body, digest: hex.EncodeToString(sum[:])}
			if other, ok := files[version]; ok && (other.name != m.name || other.digest != m.digest) {
				return fmt.Errorf("the migrations %s and %s have the same number", other.name, m.name)
			}
			files[version] = m
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("collecting the migrations: %w", err)
		}
	}
	return files, nil
}

// zipped makes one folder of all files: an archive in memory is the smallest
// file system that there is.
func zipped(files map[int64]migration) (fs.FS, error) {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, version := range slices.Sorted(maps.Keys(files)) {
		w, err := z.CreateHeader(&zip.FileHeader{Name: files[version].name, Method: zip.Store})
		if err != nil {
			return nil, err
		}
		if _, err := w.Write(files[version].body); err != nil {
			return nil, err
		}
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return zip.NewReader(bytes.NewReader(b.Bytes()), int64(b.Len()))
}

// isRace reports whether two nodes may have got into each other's way.
func isRace(err error) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return IsUnique(err) || errors.Is(err, sqlite3.BUSY)
	}
	switch pg.Code {
	case "40001", "40P01", "23505", "42P07", "42710", "42701", "XX000":
		return true // serialization, deadlock, unique, duplicate table, object, column; "tuple concurrently updated"
	}
	return false
}

// ledger is goose's store of applied versions, with the digest of each file in
// the same row, so that both become durable with what the file did.
type ledger struct {
	table string
	files map[int64]migration
	now   func() time.Time
}

var _ database.StoreExtender = (*ledger)(nil)

// check refuses a database that another program has migrated.
func (l *ledger) check(ctx context.Context, h *sql.DB) error {
	rows, err := h.QueryContext(ctx, "SELECT version, name, digest FROM "+l.table+" ORDER BY version")
	if err != nil {
		return fmt.Errorf("reading the applied migrations: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var version int64
		var name, digest string
		if err := rows.Scan(&version, &name, &digest); err != nil {
			return fmt.Errorf("reading the applied migrations: %w", err)
		}
		switch m, ok := l.files[version]; {
		case !ok:
			return fault.New(fault.Conflict, "store.newer_database", "The database was migrated by a newer version of Troth (%s). Start that version, or restore a backup that this version made.", name)
		case m.digest != digest:
			return fault.New(fault.Conflict, "store.changed_migration", "The migration %s was changed after it was applied to this database. Start the version of Troth that applied it; a released migration is never edited.", name)
		}
	}
	return rows.Err()
}

// Tablename implements database.Store.
func (l *ledger) Tablename() string { return l.table }

// CreateVersionTable implements database.Store.
func (l *ledger) CreateVersionTable(ctx context.Context, db database.DBTxConn) error {
	_, err := db.ExecContext(ctx, `CREATE TABLE IF NOT EXISTS `+l.table+` (
		version    BIGINT NOT NULL PRIMARY KEY,
		name       TEXT   NOT NULL,
		digest     TEXT   NOT NULL,
		applied_at BIGINT NOT NULL)`)
	return err
}

// TableExists implements database.StoreExtender: apply has created it.
func (l *ledger) TableExists(context.Context, database.DBTxConn) (bool, error) { return true, nil }

// Insert implements database.Store.
func (l *ledger) Insert(ctx context.Context, db database.DBTxConn, r database.InsertRequest) error {
	m := l.files[r.Version]
	_, err := db.ExecContext(ctx, "INSERT INTO "+l.table+" (version, name, digest, applied_at) VALUES ($1, $2, $3, $4)",
		r.Version, m.name, m.digest, Micros(l.now()))
	return err
}

// Delete implements database.Store. Troth never migrates downwards.
func (l *ledger) Delete(context.Context, database.DBTxConn, int64) error {
	return database.ErrNotImplemented
}

// GetMigration implements database.Store.
func (l *ledger) GetMigration(ctx context.Context, db database.DBTxConn, version int64) (*database.GetMigrationResult, error) {
	var at int64
	err := db.QueryRowContext(ctx, "SELECT applied_at FROM "+l.table+" WHERE version = $1", version).Scan(&at)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, database.ErrVersionNotFound
	}
	return &database.GetMigrationResult{Timestamp: FromMicros(at), IsApplied: true}, err
}

// GetLatestVersion implements database.Store.
func (l *ledger) GetLatestVersion(ctx context.Context, db database.DBTxConn) (int64, error) {
	var version sql.NullInt64
	if err := db.QueryRowContext(ctx, "SELECT max(version) FROM "+l.table).Scan(&version); err != nil {
		return 0, err
	}
	if !version.Valid {
		return 0, database.ErrVersionNotFound
	}
	return version.Int64, nil
}

// ListMigrations implements database.Store.
func (l *ledger) ListMigrations(ctx context.Context, db database.DBTxConn) ([]*database.ListMigrationsResult, error) {
	rows, err := db.QueryContext(ctx, "SELECT version FROM "+l.table+" ORDER BY version DESC")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []*database.ListMigrationsResult
	for rows.Next() {
		r := &database.ListMigrationsResult{IsApplied: true}
		if err := rows.Scan(&r.Version); err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	// goose expects a version 0 that stands for the empty schema.
	return append(all, &database.ListMigrationsResult{IsApplied: true}), rows.Err()
}
