package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"

	"troth/internal/fault"
)

const (
	maxReplays   = 20                     // of a transaction that others got in the way of
	firstBackoff = 4 * time.Millisecond   // before the first replay, doubled for each further one
	lastBackoff  = 400 * time.Millisecond // at most
	maxCommit    = 30 * time.Second       // how long a COMMIT may take: a replica may have to agree
	connIdle     = 5 * time.Minute
)

// postgresDB is a Postgres server, or one that speaks its language.
type postgresDB struct {
	db    *DB
	pool  *sql.DB
	queue chan struct{} // one for each Write that waits or runs
}

func openPostgres(ctx context.Context, db *DB) (*postgresDB, error) {
	cfg, err := pgx.ParseConfig(db.opts.URL)
	if err != nil {
		return nil, fault.Wrap(err, fault.Invalid, "store.url", `The database URL cannot be read; it looks like "postgres://user@host:5432/name".`).On("store.url")
	}
	if cfg.ValidateConnect == nil {
		// Of several hosts the one that takes writes: target_session_attrs=read-write.
		cfg.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	}
	if cfg.ConnectTimeout == 0 {
		cfg.ConnectTimeout = 5 * time.Second
	}
	for name, value := range map[string]string{
		"application_name":                    "troth",
		"statement_timeout":                   "30s",
		"lock_timeout":                        "10s",
		"idle_in_transaction_session_timeout": "60s",
	} {
		if _, set := cfg.RuntimeParams[name]; !set {
			cfg.RuntimeParams[name] = value
		}
	}
	p := &postgresDB{db: db, pool: stdlib.OpenDB(*cfg), queue: make(chan struct{}, maxQueue)}
	n := db.opts.Readers
	if n <= 0 {
		n = min(max(4*runtime.GOMAXPROCS(0), 16), 64)
	}
	p.pool.SetMaxOpenConns(n)
	p.pool.SetMaxIdleConns(n)
	p.pool.SetConnMaxIdleTime(connIdle)
	if err := p.ping(ctx); err != nil {
		p.pool.Close()
		return nil, err
	}
	return p, nil
}

var postgresDialect = dialect{
	name:     Postgres,
	now:      "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint", // the server's clock
	tables:   "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()",
	snapshot: []string{"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", "SELECT 1"},
	schema:   postgresSchema,
}

func (p *postgresDB) dialect() *dialect { return &postgresDialect }

func (p *postgresDB) read(ctx context.Context, fn func(*Tx) error) error {
	c, err := p.begin(ctx, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
	if err != nil {
		return err
	}
	defer p.rollback(c)
	ctx, cancel := context.WithCancel(ctx) // its end closes what fn leaves open
	defer cancel()
	err = fn(&Tx{db: p.db, ctx: ctx, stmtCtx: ctx, q: oneAnswer{c}, readOnly: true})
	if err == nil && busy(c) {
		return errOpenRows
	}
	if isConnection(err) {
		return unavailable(err)
	}
	return err
}

// oneAnswer refuses a statement while the answer to another one is being read.
// Postgres refuses it as well, but on the way back database/sql waits for the
// rows that wait for it.
type oneAnswer struct{ *sql.Conn }

func (c oneAnswer) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	if busy(c.Conn) {
		return nil, errStillOpen
	}
	return c.Conn.ExecContext(ctx, query, args...)
}

func (c oneAnswer) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	if busy(c.Conn) {
		return nil, errStillOpen
	}
	return c.Conn.QueryContext(ctx, query, args...)
}

func (c oneAnswer) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	if busy(c.Conn) {
		return failedRow(errStillOpen)
	}
	return c.Conn.QueryRowContext(ctx, query, args...)
}

// busy reports whether an answer is being read.
func busy(c *sql.Conn) (busy bool) {
	c.Raw(func(dc any) error {
		busy = dc.(*stdlib.Conn).Conn().PgConn().IsBusy()
		return nil
	})
	return busy
}

// begin takes a connection and starts a transaction on it. A server that does
// not answer is tried again for a moment: it may be restarting or handing over.
func (p *postgresDB) begin(ctx context.Context, query string) (*sql.Conn, error) {
	wait, cancel := context.WithTimeout(ctx, maxWait)
	defer cancel()
	for n := 0; ; n++ {
		c, err := p.pool.Conn(wait)
		if err == nil {
			if _, err = c.ExecContext(ctx, query); err == nil {
				return c, nil
			}
			discard(c)
		}
		if wait.Err() != nil {
			return nil, waited(err)
		}
		if !isConnection(err) {
			return nil, fmt.Errorf("beginning: %w", err)
		}
		if n >= 5 || !sleep(wait, backoff(n+3)) {
			return nil, unavailable(err)
		}
	}
}

// write runs fn until nothing got in its way.
func (p *postgresDB) write(ctx context.Context, fn func(*Tx) error) error {
	injected := p.db.inject("write")
	select {
	case p.queue <- struct{}{}:
		defer func() { <-p.queue }()
	default:
		return errFull
	}
	for n := 0; ; n++ {
		tx, err := p.once(ctx, fn, injected)
		switch {
		case err == nil:
			tx.committed()
			return nil
		case !isReplayable(err) || ctx.Err() != nil:
			return err
		case n >= maxReplays:
			return fault.Wrap(err, fault.Unavailable, "store.contended", "Too many changes are being made at the same place; nothing was changed. Try again.").In(time.Second)
		case !sleep(ctx, backoff(n)):
			return waited(err)
		}
	}
}

// once runs fn in one transaction.
func (p *postgresDB) once(ctx context.Context, fn func(*Tx) error, injected Outcome) (*Tx, error) {
	c, err := p.begin(ctx, "BEGIN ISOLATION LEVEL SERIALIZABLE")
	if err != nil {
		return nil, err
	}
	ended := false
	defer func() {
		if !ended {
			p.rollback(c)
		}
	}()
	ctx, cancel := deadline(ctx, maxWrite)
	defer cancel()
	tx := &Tx{db: p.db, ctx: ctx, stmtCtx: ctx, q: oneAnswer{c}}
	if err := fn(tx); err != nil {
		return nil, err
	}
	if busy(c) {
		return nil, errOpenRows
	}
	if err := tx.finish(); err != nil {
		return nil, err
	}
	if err := injected.before(); err != nil {
		return nil, err
	}
	ended = true
	if err := p.commit(ctx, c); err != nil {
		return nil, err
	}
	return tx, injected.after()
}

// commit commits and gives the connection back. The end of the caller's
// context does not cut it short: that would leave the outcome unknown.
func (p *postgresDB) commit(ctx context.Context, c *sql.Conn) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), maxCommit)
	defer cancel()
	var tag pgconn.CommandTag
	err := c.Raw(func(dc any) (err error) {
		tag, err = dc.(*stdlib.Conn).Conn().Exec(ctx, "COMMIT")
		return err
	})
	if err == nil {
		c.Close()
		if tag.String() != "COMMIT" {
			return errIgnored
		}
		return nil
	}
	discard(c)
	if _, ok := errors.AsType[*pgconn.PgError](err); ok && !isConnection(err) {
		return fmt.Errorf("committing: %w", err)
	}
	// The connection broke: the server may or may not have committed.
	return fault.Wrap(err, fault.Unavailable, "store.unknown_outcome", "The connection to the database broke while the change was being stored. Look whether it was, before you try again.")
}

func (p *postgresDB) rollback(c *sql.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if _, err := c.ExecContext(ctx, "ROLLBACK"); err != nil {
		discard(c)
		return
	}
	c.Close()
}

// discard closes a connection instead of giving it back.
func discard(c *sql.Conn) {
	c.Raw(func(any) error { return driver.ErrBadConn })
	c.Close()
}

// alone is not serializable, so that it gets in nobody's way.
func (p *postgresDB) alone(ctx context.Context, query string, args ...any) error {
	_, err := p.pool.ExecContext(ctx, query, args...)
	return err
}

func (p *postgresDB) settle(context.Context) error { return nil }

func (p *postgresDB) size(ctx context.Context) (n int64, err error) {
	if err := p.pool.QueryRowContext(ctx, "SELECT pg_database_size(current_database())").Scan(&n); err != nil {
		return 0, fmt.Errorf("measuring the database: %w", err)
	}
	return n, nil
}

func (p *postgresDB) handle() (*sql.DB, error) {
	cfg, err := pgx.ParseConfig(p.db.opts.URL)
	if err != nil {
		return nil, err
	}
	if cfg.ValidateConnect == nil {
		cfg.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	}
	cfg.RuntimeParams["application_name"] = "troth"
	h := stdlib.OpenDB(*cfg)
	h.SetMaxOpenConns(1)
	return h, nil
}

func (p *postgresDB) ping(ctx context.Context) error {
	var standby bool
	err := p.pool.QueryRowContext(ctx, "SELECT pg_is_in_recovery()").Scan(&standby)
	if err != nil {
		return fault.Wrap(err, fault.Unavailable, "store.unreachable", "The database server does not answer: check that it runs, that store.url names it, and that it accepts the user.")
	}
	if standby {
		return fault.New(fault.Unavailable, "store.standby", "The database server is a standby and takes no writes.")
	}
	return nil
}

func (p *postgresDB) close() error { return p.pool.Close() }

// isReplayable reports whether a transaction that ended with err left nothing
// behind and may succeed when it is run again.
func isReplayable(err error) bool {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch pg.Code {
		case "40001", "40P01": // serialization_failure, deadlock_detected
			return true
		case "0A000": // a migration changed a table under a prepared statement
			return strings.Contains(pg.Message, "cached plan")
		}
	}
	if f := fault.As(err); f != nil {
		return false // the engine's own say already that it was tried, fn's are answers
	}
	return isConnection(err)
}

// isConnection reports whether err is about the way to the server or the
// server's state, not about the statement.
func isConnection(err error) bool {
	if err == nil || ended(err) {
		return false
	}
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch {
		case strings.HasPrefix(pg.Code, "08"), strings.HasPrefix(pg.Code, "57P"): // connection exception; shutting down, starting
			return true
		}
		return pg.Code == "53300" || pg.Code == "25006" // too many connections; a primary became a standby
	}
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return true
	}
	if _, ok := errors.AsType[net.Error](err); ok {
		return true
	}
	return errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) ||
		pgconn.SafeToRetry(err)
}

func backoff(n int) time.Duration {
	return jitter(min(firstBackoff<<min(n, 10), lastBackoff))
}

// sleep waits, unless ctx ends first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
