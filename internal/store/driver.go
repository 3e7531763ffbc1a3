package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/ncruces/go-sqlite3"
	sqlite "github.com/ncruces/go-sqlite3/driver"
)

// connector opens connections to SQLite whose statements are written with $N
// and stay prepared.
type connector struct {
	driver.Connector
	init func(*sqlite3.Conn) error // sets the key and the pragmas, in this order
}

// newConnector wraps the SQLite driver for a file: URI. The URI holds no key.
func newConnector(uri string, init func(*sqlite3.Conn) error) (*connector, error) {
	c, err := (&sqlite.SQLite{}).OpenConnector(uri)
	return &connector{c, init}, err
}

// Connect implements driver.Connector.
func (c *connector) Connect(ctx context.Context) (driver.Conn, error) {
	inner, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	sc := inner.(sqlite.Conn)
	if err := c.init(sc.Raw()); err != nil {
		sc.Close()
		return nil, err
	}
	return &conn{Conn: sc, cache: map[string]*statement{}}, nil
}

// maxStatements bounds the prepared statements of one connection.
const maxStatements = 256

// conn is one connection with its prepared statements.
type conn struct {
	sqlite.Conn
	cache map[string]*statement
	open  *rows // the rows that were not closed yet
	sour  error // the statement error that spoilt the current part of a transaction
	part  bool  // whether a part of a transaction is running
}

// statement is a prepared statement.
type statement struct {
	driver.Stmt
	params int
}

var (
	_ driver.ExecerContext     = (*conn)(nil)
	_ driver.QueryerContext    = (*conn)(nil)
	_ driver.NamedValueChecker = (*conn)(nil)
)

// errStillOpen is what Postgres says too: a connection reads one answer at a
// time. SQLite could read several, and the code would break on the other engine.
var errStillOpen = errors.New("store: the rows of an earlier query are still open; read them to their end or close them first")

var errOpenRows = errors.New("store: the transaction's function left rows open")

// errIgnored is what becomes of a transaction whose function ignored the
// failure of a statement.
var errIgnored = errors.New("store: a statement of the transaction failed and its error was ignored, so everything was undone")

// errSour is what SQLite would not say and Postgres does (25P02), so that what
// passes its tests on the one does not break on the other.
var errSour = errors.New("store: an earlier statement of this transaction failed, so it can only be given up")

// begin starts a part of a transaction: from here on a statement that fails
// spoils all that follow.
func (c *conn) begin() { c.part, c.sour = true, nil }

// end ends the part and says why it cannot be kept, if it cannot.
func (c *conn) end() error {
	sour := c.sour
	c.part, c.sour = false, nil
	switch {
	case c.open != nil:
		c.open.Close() // now, on this goroutine: later the connection is somebody else's
		return errOpenRows
	case sour != nil:
		return fmt.Errorf("%w: %w", errIgnored, sour)
	}
	return nil
}

// spoil remembers the first failure of a part.
func (c *conn) spoil(err error) error {
	if c.part && c.sour == nil && err != nil {
		c.sour = err
	}
	return err
}

// PrepareContext implements driver.ConnPrepareContext.
func (c *conn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	text, _, err := rewrite(query)
	if err != nil {
		return nil, err
	}
	return c.Conn.PrepareContext(ctx, text)
}

// statement returns the prepared statement of a query.
func (c *conn) statement(ctx context.Context, query string) (*statement, error) {
	if s := c.cache[query]; s != nil {
		return s, nil
	}
	text, params, err := rewrite(query)
	if err != nil {
		return nil, err
	}
	inner, err := c.Conn.PrepareContext(ctx, text)
	if err != nil {
		return nil, err
	}
	c.evict()
	s := &statement{Stmt: inner, params: params}
	c.cache[query] = s
	return s, nil
}

// Close implements driver.Conn. SQLite keeps a connection open whose statements
// are not closed.
func (c *conn) Close() error {
	for _, s := range c.cache {
		s.Close()
	}
	clear(c.cache)
	return c.Conn.Close()
}

// evict makes room for one statement. Which one goes is left to chance: the
// program has fewer statements than there is room.
func (c *conn) evict() {
	if len(c.cache) < maxStatements {
		return
	}
	for query, s := range c.cache {
		s.Close()
		delete(c.cache, query)
		return
	}
}

// ready returns the statement with everything checked that database/sql leaves
// to the driver.
func (c *conn) ready(ctx context.Context, query string, args int) (*statement, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if c.sour != nil {
		return nil, errSour
	}
	if c.open != nil {
		return nil, errStillOpen
	}
	s, err := c.statement(ctx, query)
	if err != nil {
		return nil, err
	}
	if s.params != args {
		return nil, fmt.Errorf("store: the statement has %d parameters, not %d", s.params, args)
	}
	return s, nil
}

// ExecContext implements driver.ExecerContext.
func (c *conn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	s, err := c.ready(ctx, query, len(args))
	if err != nil {
		return nil, c.spoil(err)
	}
	r, err := s.Stmt.(driver.StmtExecContext).ExecContext(ctx, args)
	return r, c.spoil(err)
}

// QueryContext implements driver.QueryerContext.
func (c *conn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	s, err := c.ready(ctx, query, len(args))
	if err != nil {
		return nil, c.spoil(err)
	}
	inner, err := s.Stmt.(driver.StmtQueryContext).QueryContext(ctx, args)
	if err != nil {
		return nil, c.spoil(err)
	}
	c.open = &rows{Rows: inner, c: c}
	return c.open, nil
}

// rows is the answer that a connection is reading.
type rows struct {
	driver.Rows
	c      *conn
	closed atomic.Bool
}

// Next implements driver.Rows.
func (r *rows) Next(dest []driver.Value) error {
	if r.closed.Load() {
		return errOpenRows
	}
	err := r.Rows.Next(dest)
	if err != nil && isSQLite(err) {
		r.c.spoil(err)
	}
	return err
}

// Close implements driver.Rows.
func (r *rows) Close() error {
	if !r.closed.CompareAndSwap(false, true) {
		return nil
	}
	r.c.open = nil
	return r.Rows.Close()
}

// CheckNamedValue implements driver.NamedValueChecker: it takes the types of
// the columns and leaves the rest to database/sql.
func (c *conn) CheckNamedValue(v *driver.NamedValue) error {
	switch a := v.Value.(type) {
	case []byte:
		if a == nil {
			v.Value = nil // NULL, as on Postgres
		}
		return nil
	case string, int64, bool, nil:
		return nil
	case time.Time:
		return errors.New("store: a time is stored as BIGINT, with Micros")
	default:
		return driver.ErrSkip
	}
}

// isSQLite reports whether the error is SQLite's own.
func isSQLite(err error) bool {
	var e *sqlite3.Error
	var code sqlite3.ErrorCode
	var extended sqlite3.ExtendedErrorCode
	return errors.As(err, &e) || errors.As(err, &code) || errors.As(err, &extended)
}
