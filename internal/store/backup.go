package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/driver"

	"troth/internal/fault"
)

// backupStep is the number of pages copied between two looks at the context.
const backupStep = 256

// BackupTo writes a copy of the whole database, as it was at one moment, to a
// new file: an SQLite file under [Options.Key], ciphertext like the database
// itself, that Open opens. Reading and writing go on meanwhile. progress may
// be nil; what it counts is pages on SQLite and nothing on Postgres, where the
// copy is made row by row ([DB.Dump]) and the key has to be given as well.
//
// The file is durable on return. After an error there is no file.
func (db *DB) BackupTo(ctx context.Context, path string, progress func(done, total int)) (err error) {
	if progress == nil {
		progress = func(int, int) {}
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return fmt.Errorf("resolving the path of the backup: %w", err)
	}
	f, err := os.OpenFile(abs, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return fault.Wrap(err, fault.Invalid, "store.backup_file", "The backup's file %s cannot be created: its folder must exist and be writable, and the file must not exist yet.", path)
	}
	defer func() {
		if err != nil {
			for _, suffix := range []string{"", "-journal", "-wal", "-shm"} {
				os.Remove(abs + suffix)
			}
		}
	}()
	if err := f.Close(); err != nil {
		return fmt.Errorf("creating the backup's file: %w", err)
	}
	if err := db.engine.backup(ctx, abs, progress); err != nil {
		return fmt.Errorf("backing up to %s: %w", path, err)
	}
	return durable(abs)
}

// durable makes a file and its name durable.
func durable(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close(), syncFolder(filepath.Dir(path)))
}

// backup copies the pages. The open snapshot is what keeps the copy from
// starting over at every write.
func (s *sqliteDB) backup(ctx context.Context, path string, progress func(done, total int)) error {
	h, err := s.handle()
	if err != nil {
		return err
	}
	defer h.Close()
	c, err := h.Conn(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := begin(ctx, c, s.dialect().snapshot); err != nil {
		return err
	}
	defer c.ExecContext(context.WithoutCancel(ctx), "ROLLBACK")
	q := url.Values{"modeof": {path}}
	if key := s.db.opts.Key; !key.IsZero() {
		name, takeBack := lend(key)
		defer takeBack()
		q.Set("vfs", vfsName)
		q.Set("textkey", name) // a name for the key, not the key: see ciphers.KDF
	}
	target := (&url.URL{Scheme: "file", OmitHost: true, Path: path, RawQuery: q.Encode()}).String()
	return c.Raw(func(dc any) error {
		return copyPages(ctx, dc.(driver.Conn).Raw(), target, progress)
	})
}

func copyPages(ctx context.Context, c *sqlite3.Conn, target string, progress func(done, total int)) error {
	b, err := c.BackupInit("main", target)
	if err != nil {
		return err
	}
	for done := false; !done; {
		if err = ctx.Err(); err != nil {
			break
		}
		if done, err = b.Step(backupStep); err != nil {
			break
		}
		progress(b.PageCount()-b.Remaining(), b.PageCount())
	}
	return errors.Join(err, b.Close())
}

// begin starts a snapshot that lasts until ROLLBACK and touches it, so that it
// is of this moment.
func begin(ctx context.Context, c *sql.Conn, statements []string) error {
	for _, statement := range statements {
		if _, err := c.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

// backup writes an SQLite file with the same rows.
func (p *postgresDB) backup(ctx context.Context, path string, _ func(done, total int)) error {
	to, err := open(ctx, Options{URL: "sqlite:" + path, Key: p.db.opts.Key, Readers: 1, Now: p.db.opts.Now, Log: p.db.opts.Log})
	if err != nil {
		return err
	}
	r, w := io.Pipe()
	go func() { w.CloseWithError(p.db.Dump(ctx, w)) }()
	err = to.Load(ctx, r)
	r.CloseWithError(errors.New("the copy was given up"))
	if err == nil {
		err = to.engine.settle(ctx)
	}
	return errors.Join(err, to.Close())
}

// Check reads the whole database and reports damage to its structure: pages
// that do not decrypt to what they were, indexes that disagree with their
// tables. On Postgres that is the server's business and nothing is read.
func (db *DB) Check(ctx context.Context) error { return db.engine.check(ctx) }

func (p *postgresDB) check(ctx context.Context) error { return p.ping(ctx) }

func (s *sqliteDB) check(ctx context.Context) error {
	h, err := s.handle()
	if err != nil {
		return err
	}
	defer h.Close()
	found, err := column(ctx, h, "PRAGMA integrity_check(20)")
	if err != nil {
		return fault.Wrap(err, fault.Internal, "store.damaged", "The database is damaged and cannot be read to its end. Restore a backup.")
	}
	if len(found) != 1 || found[0] != "ok" {
		return fault.Wrap(errors.New(strings.Join(found, "; ")), fault.Internal, "store.damaged", "The database is damaged. Restore a backup.")
	}
	return nil
}
