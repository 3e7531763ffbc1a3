package store

import (
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/ncruces/go-sqlite3"

	"troth/internal/fault"
)

const (
	busyTimeout    = 10 * time.Second // while another process writes
	readerIdle     = time.Minute      // an idle reader gives its memory back after this
	writerCache    = 32 << 10         // KiB
	readerCache    = 64 << 10         // KiB a reader, at most
	readersCache   = 256 << 10        // KiB, all readers together
	checkpointSize = 4000             // pages in the WAL before it is copied back
	journalLimit   = 64 << 20         // bytes that the WAL keeps on disk
)

// sqliteDB is the embedded engine: one writer, several readers, one file.
type sqliteDB struct {
	db      *DB
	path    string
	readers *sql.DB
	aside   *sql.DB // for what must not wait in the writer's queue
	writer  *writer
	files   present
	sick    atomic.Bool // the last change that was to be stored was not: see ping
}

// openSQLite opens or creates the file. Without a key it is a plain file: only
// the keyring, whose values are wrapped already, does that.
func openSQLite(ctx context.Context, db *DB, path string) (*sqliteDB, error) {
	registerVFS()
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("resolving the database path: %w", err)
	}
	s := &sqliteDB{db: db, path: abs}
	if err := createPrivate(abs); err != nil {
		return nil, err
	}
	if s.writer, err = s.openWriter(ctx); err != nil {
		return nil, s.refusal(err)
	}
	if s.files, err = look(abs); err != nil {
		s.writer.close()
		return nil, err
	}
	n := db.opts.Readers
	if n <= 0 {
		n = min(max(2*runtime.GOMAXPROCS(0), 4), 8)
	}
	connector, err := newConnector(s.uri(), s.initReader(n))
	if err != nil {
		s.writer.close()
		return nil, fmt.Errorf("opening the database for reading: %w", err)
	}
	s.readers = sql.OpenDB(connector)
	s.readers.SetMaxOpenConns(n)
	s.readers.SetMaxIdleConns(n)
	s.readers.SetConnMaxIdleTime(readerIdle)
	if s.aside, err = s.handle(); err != nil {
		return nil, errors.Join(err, s.close())
	}
	s.aside.SetConnMaxIdleTime(readerIdle)
	return s, nil
}

// createPrivate makes the file, and its folder, readable by nobody else. What
// SQLite puts beside the file takes over its mode.
func createPrivate(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fault.Wrap(err, fault.Invalid, "store.folder", "The database's folder cannot be created: check store.url and the permissions of the folder above it.").On("store.url")
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fault.Wrap(err, fault.Invalid, "store.file", "The database file cannot be opened for writing: check store.url and the file's owner and mode.").On("store.url")
	}
	return f.Close()
}

// uri names the file, never its key.
func (s *sqliteDB) uri() string {
	q := url.Values{"modeof": {s.path}}
	if !s.db.opts.Key.IsZero() {
		q.Set("vfs", vfsName)
	}
	return (&url.URL{Scheme: "file", OmitHost: true, Path: s.path, RawQuery: q.Encode()}).String()
}

// unlock gives the connection the key: the first thing said on it.
func (s *sqliteDB) unlock(c *sqlite3.Conn) error {
	if s.db.opts.Key.IsZero() {
		return nil
	}
	return c.Exec("PRAGMA hexkey='" + hex.EncodeToString(s.db.opts.Key.Reveal()) + "'")
}

func (s *sqliteDB) initWriter(c *sqlite3.Conn) error {
	if err := s.unlock(c); err != nil {
		return err
	}
	if err := c.BusyTimeout(busyTimeout); err != nil {
		return err
	}
	if err := useWAL(c); err != nil {
		return err
	}
	// FULL: a transaction that was acknowledged survives a power cut.
	// secure_delete: what was deleted is overwritten, not only forgotten.
	return c.Exec(fmt.Sprintf(`PRAGMA synchronous=FULL; PRAGMA secure_delete=ON; PRAGMA foreign_keys=ON; PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON;
		PRAGMA cache_size=-%d; PRAGMA wal_autocheckpoint=%d; PRAGMA journal_size_limit=%d`,
		writerCache, checkpointSize, journalLimit))
}

// useWAL turns the write-ahead log on. SQLite does not wait there for another
// process that opens or closes the file at the same moment.
func useWAL(c *sqlite3.Conn) error {
	for began := time.Now(); ; time.Sleep(jitter(10 * time.Millisecond)) {
		err := c.Exec("PRAGMA journal_mode=WAL")
		if !errors.Is(err, sqlite3.BUSY) || time.Since(began) > busyTimeout {
			return err
		}
	}
}

// initReader sizes the page cache, which fills as it is used: decrypting costs
// processor time a page, so that a large cache is what makes reads as fast as
// from a plain file.
func (s *sqliteDB) initReader(readers int) func(*sqlite3.Conn) error {
	return func(c *sqlite3.Conn) error {
		if err := s.unlock(c); err != nil {
			return err
		}
		return c.Exec(fmt.Sprintf(`PRAGMA busy_timeout=%d; PRAGMA query_only=ON; PRAGMA trusted_schema=OFF;
			PRAGMA cell_size_check=ON; PRAGMA cache_size=-%d`, busyTimeout.Milliseconds(), min(readerCache, readersCache/readers)))
	}
}

// refusal turns the ways in which a file does not open into sentences.
func (s *sqliteDB) refusal(err error) error {
	switch {
	case errors.Is(err, sqlite3.NOTADB):
		return fault.Wrap(err, fault.Invalid, "store.key_mismatch", "The database file does not open with the key in the keyring: it is not a Troth database, is damaged, or belongs to another keyring. Restore the two from the same backup.")
	case errors.Is(err, sqlite3.BUSY):
		return fault.Wrap(err, fault.Unavailable, "store.busy", "Another process is using the database and did not finish in time; try again.")
	}
	return fmt.Errorf("opening the database: %w", err)
}

var sqliteDialect = dialect{
	name:     SQLite,
	now:      "CAST(unixepoch('now', 'subsec') * 1000000 AS INTEGER)", // the machine's clock: every process that uses the file shares it
	tables:   "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'",
	snapshot: []string{"PRAGMA query_only=ON", "BEGIN", "SELECT count(*) FROM sqlite_master"},
	schema:   sqliteSchema,
}

func (s *sqliteDB) dialect() *dialect { return &sqliteDialect }

func (s *sqliteDB) read(ctx context.Context, fn func(*Tx) error) (err error) {
	wait, cancel := context.WithTimeout(ctx, maxWait)
	c, err := s.readers.Conn(wait)
	cancel()
	if err != nil {
		return unavailable(s.refusal(err))
	}
	defer c.Close()
	if _, err := c.ExecContext(ctx, "BEGIN"); err != nil {
		return unavailable(err)
	}
	statements, cancel := context.WithCancel(ctx) // its end closes what fn leaves open
	defer func() {
		left := c.Raw(func(dc any) error { return dc.(*conn).end() })
		cancel()
		if errors.Is(left, errOpenRows) && err == nil {
			err = left
		}
		c.ExecContext(context.WithoutCancel(ctx), "ROLLBACK")
	}()
	c.Raw(func(dc any) error { dc.(*conn).begin(); return nil })
	return fn(&Tx{db: s.db, ctx: ctx, stmtCtx: statements, q: c, readOnly: true})
}

func (s *sqliteDB) write(ctx context.Context, fn func(*Tx) error) error {
	return s.writer.write(ctx, fn)
}

// handle opens a second writing connection; SQLite keeps the two apart.
func (s *sqliteDB) handle() (*sql.DB, error) {
	connector, err := newConnector(s.uri()+"&_txlock=immediate", s.initWriter)
	if err != nil {
		return nil, err
	}
	h := sql.OpenDB(connector)
	h.SetMaxOpenConns(1)
	return h, nil
}

func (s *sqliteDB) alone(ctx context.Context, query string, args ...any) error {
	return s.write(ctx, func(tx *Tx) error {
		tx.Unaudited("the store's own bookkeeping")
		_, err := tx.q.ExecContext(tx.stmtCtx, query, args...)
		return err
	})
}

// settle copies the WAL back and empties it: what secure_delete overwrote in
// the file must not live on there.
func (s *sqliteDB) settle(ctx context.Context) error {
	if _, err := s.aside.ExecContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)"); err != nil {
		return fmt.Errorf("emptying the write-ahead log: %w", err)
	}
	return nil
}

func (s *sqliteDB) size(context.Context) (n int64, err error) {
	for _, suffix := range []string{"", "-wal", "-shm"} {
		switch fi, err := os.Stat(s.path + suffix); {
		case err == nil:
			n += fi.Size()
		case !errors.Is(err, os.ErrNotExist):
			return 0, fmt.Errorf("measuring the database: %w", err)
		}
	}
	return n, nil
}

func (s *sqliteDB) close() error {
	err := s.writer.close()
	for _, h := range []*sql.DB{s.readers, s.aside} {
		if h != nil {
			err = errors.Join(err, h.Close())
		}
	}
	return err
}

// syncFolder makes the names of the files in a folder durable.
func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
