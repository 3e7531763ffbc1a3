package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"github.com/ncruces/go-sqlite3"

	"troth/internal/audit"
	"troth/internal/secret"
	"troth/internal/store"
)

// raw is the other side of an audited write: SQLite itself, through the driver's
// own interface, with prepared statements, on an encrypted file with the same
// schema and the settings of package store. Nothing is sealed, hashed or queued.
type raw struct {
	conn  *sqlite3.Conn
	stmts []*sqlite3.Stmt
}

// values are the columns of one row of each table.
type values [][]any

// settings are those of the store's writer (store.initWriter).
const settings = `PRAGMA busy_timeout=10000; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA secure_delete=ON;
	PRAGMA foreign_keys=ON; PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON; PRAGMA cache_size=-32768;
	PRAGMA wal_autocheckpoint=4000; PRAGMA journal_size_limit=67108864`

// newRaw makes the file.
func (l *lab) newRaw(ctx context.Context, tables ...fs.FS) (*raw, error) {
	path, key := filepath.Join(l.dir, "raw", "raw.db"), secret.OfBytes(random(64))
	db, err := openStore(ctx, path, key)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(db.Migrate(ctx, append(tables, store.Migrations, audit.Migrations)...), db.Close()); err != nil {
		return nil, err
	}
	r := &raw{}
	r.conn, err = openRaw(path, key)
	return r, err
}

// openRaw opens an encrypted file without package store.
func openRaw(path string, key secret.Bytes) (*sqlite3.Conn, error) {
	c, err := sqlite3.Open("file:" + path + "?vfs=" + storeVFS)
	if err != nil {
		return nil, err
	}
	return c, errors.Join(c.Exec("PRAGMA hexkey='"+hex.EncodeToString(key.Reveal())+"'"), c.Exec(settings))
}

// empty copies the write-ahead log back, so that both sides begin with none and
// pay for the same checkpoints.
func empty(c *sqlite3.Conn) error { return c.Exec("PRAGMA wal_checkpoint(TRUNCATE)") }

// table makes the month's table that the log has, and prepares the statements.
func (r *raw) table(ctx context.Context, g *ground) error {
	month := audit.MonthTables + audit.ClassAudit + "_" + time.Now().UTC().Format("200601")
	err := g.db.Read(ctx, func(tx *store.Tx) error {
		var sql string
		if err := tx.QueryRow(`SELECT sql FROM sqlite_master WHERE name = $1`, month).Scan(&sql); err != nil {
			return err
		}
		return r.conn.Exec(sql)
	})
	if err != nil {
		return err
	}
	for _, t := range []struct{ table, columns string }{
		{"bench_note", "tenant, note, body"},
		{"audit_event", "tenant, event, type, class, occurred_at, actor"},
		{month, "tenant, event, body"},
		{"audit_person", "account, event, tenant"},
		{"audit_pending", "name, tree, entry"},
	} {
		insert := fmt.Sprintf("INSERT INTO %s (%s) VALUES (?%s)", t.table, t.columns, strings.Repeat(",?", strings.Count(t.columns, ",")))
		s, _, err := r.conn.PrepareFlags(insert, sqlite3.PREPARE_PERSISTENT)
		if err != nil {
			return err
		}
		r.stmts = append(r.stmts, s)
	}
	return nil
}

// insert inserts the rows, each batch in a transaction of its own.
func (r *raw) insert(batches [][]values) (time.Duration, error) {
	began := time.Now()
	for _, b := range batches {
		if err := r.conn.Exec("BEGIN IMMEDIATE"); err != nil {
			return 0, err
		}
		for _, rows := range b {
			for i, row := range rows {
				if err := step(r.stmts[i], row); err != nil {
					return 0, err
				}
			}
		}
		if err := r.conn.Exec("COMMIT"); err != nil {
			return 0, err
		}
	}
	return time.Since(began), nil
}

func step(s *sqlite3.Stmt, row []any) error {
	for i, v := range row {
		var err error
		switch v := v.(type) {
		case string:
			err = s.BindText(i+1, v)
		case []byte:
			err = s.BindBlob(i+1, v)
		case int64:
			err = s.BindInt64(i+1, v)
		}
		if err != nil {
			return err
		}
	}
	s.Step()
	return errors.Join(s.Err(), s.Reset())
}

// clear empties what the sequencer empties on our side.
func (r *raw) clear() error { return r.conn.Exec("DELETE FROM audit_pending") }

func (r *raw) close() error {
	var errs []error
	for _, s := range r.stmts {
		errs = append(errs, s.Close())
	}
	return errors.Join(append(errs, r.conn.Close())...)
}

// rowsOf reads back what the acts wrote, in batches.
func (g *ground) rowsOf(ctx context.Context, people []writer, acts []act) ([][]values, error) {
	month := audit.MonthTables + audit.ClassAudit + "_" + time.Now().UTC().Format("200601")
	var all [][]values
	err := g.db.Read(ctx, func(tx *store.Tx) error {
		for _, b := range batches(acts) {
			var batch []values
			for _, a := range b {
				w := people[a.writer]
				event, tenant := string(a.event), string(w.tenant)
				var class, kind, actor string
				var at int64
				if err := tx.QueryRow(`SELECT type, class, occurred_at, actor FROM audit_event WHERE tenant = $1 AND event = $2`, tenant, event).Scan(&kind, &class, &at, &actor); err != nil {
					return err
				}
				var payload, leaf []byte
				if err := tx.QueryRow(`SELECT body FROM `+month+` WHERE tenant = $1 AND event = $2`, tenant, event).Scan(&payload); err != nil {
					return err
				}
				if err := tx.QueryRow(`SELECT entry FROM audit_pending WHERE name = $1`, event).Scan(&leaf); err != nil {
					return err
				}
				batch = append(batch, values{
					{tenant, a.note, body}, {tenant, event, kind, class, at, actor}, {tenant, event, payload},
					{string(w.account), event, tenant}, {event, tenant, leaf},
				})
			}
			all = append(all, batch)
		}
		return nil
	})
	return all, err
}
