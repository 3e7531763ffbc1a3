package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"troth/internal/fault"
	"troth/internal/secret"
)

// The engines.
const (
	SQLite   = "sqlite"
	Postgres = "postgres"
)

const (
	maxWrite = 15 * time.Second // how long one Write may hold the store
	maxRead  = 2 * time.Minute  // how long one Read may hold its snapshot
	maxWait  = 10 * time.Second // how long a Write waits for its turn
	maxQueue = 4096             // how many Writes may wait for their turn
)

// Options says which database to open and how.
type Options struct {
	URL     string                  // "sqlite:PATH" or "postgres://…"
	Key     secret.Bytes            // 64 bytes for AES-256-XTS; SQLite only
	Readers int                     // connections that read at once (Postgres: all connections); 0 picks by the number of processors
	Now     func() time.Time        // the clock; nil is time.Now
	Log     *slog.Logger            // nil discards
	Fault   func(op string) Outcome // tests only: makes operations fail, see Outcome
}

// DB is an open database. It is safe for concurrent use.
type DB struct {
	opts   Options
	engine backend
	feed   feed
}

// backend is what the two engines have in common.
type backend interface {
	dialect() *dialect
	// read runs fn on one read-only snapshot.
	read(ctx context.Context, fn func(*Tx) error) error
	// write runs fn and then Tx.finish in a serializable transaction, returns
	// once it is durable, and then calls Tx.committed. fn may run more than once.
	write(ctx context.Context, fn func(*Tx) error) error
	// alone runs one statement by itself, durable on return.
	alone(ctx context.Context, query string, args ...any) error
	// settle makes sure that what was overwritten is gone from the files.
	settle(ctx context.Context) error
	// handle is a bare handle with one connection that may write, for what
	// takes longer than a Read or a Write may.
	handle() (*sql.DB, error)
	// backup copies everything, as of one moment, into an empty file.
	backup(ctx context.Context, path string, progress func(done, total int)) error
	check(ctx context.Context) error
	size(ctx context.Context) (int64, error)
	ping(ctx context.Context) error
	close() error
}

// dialect is what the engines say differently.
type dialect struct {
	name     string
	now      string   // the clock that all nodes share, in microseconds
	tables   string   // lists the tables
	snapshot []string // begins a snapshot of this moment
	schema   describer
}

// Open opens the database and refuses one that the key does not fit. It
// creates an SQLite file that does not exist; it changes no schema: see
// [DB.Migrate]. A server that cannot be reached is fault.Unavailable.
func Open(ctx context.Context, o Options) (*DB, error) {
	if n := len(o.Key.Reveal()); n != keySize && strings.HasPrefix(o.URL, "sqlite:") {
		return nil, fmt.Errorf("opening the database: its key has %d bytes, not %d", n, keySize)
	}
	return open(ctx, o)
}

// open is Open without the rule that an SQLite file is encrypted.
func open(ctx context.Context, o Options) (*DB, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	db := &DB{opts: o}
	db.feed.init()
	var err error
	switch scheme, rest, _ := strings.Cut(o.URL, ":"); scheme {
	case "sqlite":
		db.engine, err = openSQLite(ctx, db, rest)
	case "postgres", "postgresql":
		db.engine, err = openPostgres(ctx, db)
	default:
		err = fault.New(fault.Invalid, "store.url", `The database URL must start with "sqlite:" or "postgres://".`).On("store.url")
	}
	if err != nil {
		return nil, err
	}
	return db, nil
}

// Engine is [SQLite] or [Postgres].
func (db *DB) Engine() string { return db.engine.dialect().name }

// Close waits for the transactions that run and closes the database.
func (db *DB) Close() error { return db.engine.close() }

// Ping reports whether the database answers now: it reads, and on Postgres it
// makes sure that the server it reaches accepts writes.
func (db *DB) Ping(ctx context.Context) error { return db.engine.ping(ctx) }

// Tables lists the tables, sorted, without those of the engine itself.
func (db *DB) Tables(ctx context.Context) ([]string, error) {
	var names []string
	err := db.engine.read(ctx, func(tx *Tx) (err error) {
		names, err = column(tx.stmtCtx, tx.q, db.engine.dialect().tables)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listing the tables: %w", err)
	}
	slices.Sort(names)
	return names, nil
}

// Size is the number of bytes that the database takes on disk.
func (db *DB) Size(ctx context.Context) (int64, error) { return db.engine.size(ctx) }

// Read runs fn on a read-only snapshot: everything it reads is of one moment,
// and that moment is no earlier than the last Write acknowledged on this node.
// A Read inside of a Read takes a second of the few connections; do not nest.
func (db *DB) Read(ctx context.Context, fn func(tx *Tx) error) error {
	if db.inject("read") != Works {
		return errInjected
	}
	ctx, cancel := context.WithTimeout(ctx, maxRead)
	defer cancel()
	return db.engine.read(ctx, fn)
}

// Write runs fn in a transaction that is serializable against all others and
// returns once it is durable. fn may run more than once, so it has no effect
// outside of tx: what must happen once, and only after the commit, is given to
// [Tx.AfterCommit]. An error or a panic of fn undoes fn alone.
//
// fault.Unavailable means that nothing was written: the queue was full, ctx
// ended while waiting, or the database refuses. Any other error that is not
// fn's own may come after a commit whose answer was lost; identifiers are made
// by the caller, so that writing the same rows again is recognised.
func (db *DB) Write(ctx context.Context, fn func(tx *Tx) error) error {
	if ctx.Value(insideWrite{}) != nil {
		return errors.New("store: Write was called inside of Write; join its transaction with a …Tx method instead")
	}
	return db.engine.write(ctx, fn)
}

// ErrNoRows is what scanning a QueryRow without a row returns.
var ErrNoRows = sql.ErrNoRows

// Micros is a time as it stands in a BIGINT column: microseconds since 1970.
// The zero time is 0.
func Micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// FromMicros reads a BIGINT column of Micros, in UTC.
func FromMicros(v int64) time.Time {
	if v == 0 {
		return time.Time{}
	}
	return time.UnixMicro(v).UTC()
}

// jitter is a random duration in [d/2, d).
func jitter(d time.Duration) time.Duration {
	var b [8]byte
	rand.Read(b[:])
	half := uint64(d / 2)
	if half == 0 {
		return d
	}
	return time.Duration(half + binary.BigEndian.Uint64(b[:])%half)
}
