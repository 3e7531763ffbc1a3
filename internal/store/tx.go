package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"runtime"
	"time"

	"troth/internal/id"
)

// Tx is one run of a transaction. It must not be kept after its function
// returned, nor be used by two goroutines at once.
type Tx struct {
	db       *DB
	ctx      context.Context // the caller's
	stmtCtx  context.Context // what the driver sees; ends with the transaction's function
	q        querier
	readOnly bool
	audited  bool
	why      string
	mistake  error
	changes  []change
	after    []func()
}

// querier is the part of *sql.Conn and *sql.Tx that a transaction needs.
type querier interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// insideWrite marks the context of a running Write.
type insideWrite struct{}

// Context is the caller's context, marked so that a Write within it is refused
// instead of waiting for itself.
func (tx *Tx) Context() context.Context { return tx.ctx }

// Exec runs a statement and returns the number of rows it changed.
func (tx *Tx) Exec(query string, args ...any) (int64, error) {
	if tx.readOnly {
		return 0, errors.New("store: Exec inside of Read")
	}
	injected := tx.db.inject("statement")
	if err := errors.Join(tx.ctx.Err(), injected.before()); err != nil {
		return 0, err
	}
	r, err := tx.q.ExecContext(tx.stmtCtx, query, args...)
	if err != nil {
		return 0, fmt.Errorf("executing %.60q: %w", query, err)
	}
	if err := injected.after(); err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// Query runs a statement that answers rows; the caller closes them.
func (tx *Tx) Query(query string, args ...any) (*sql.Rows, error) {
	if err := tx.ready(); err != nil {
		return nil, err
	}
	rows, err := tx.q.QueryContext(tx.stmtCtx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("querying %.60q: %w", query, err)
	}
	return rows, nil
}

// QueryRow runs a statement that answers at most one row. Its error, ErrNoRows
// included, comes from Scan.
func (tx *Tx) QueryRow(query string, args ...any) *sql.Row {
	if err := tx.ready(); err != nil {
		return failedRow(err)
	}
	return tx.q.QueryRowContext(tx.stmtCtx, query, args...)
}

// failedRow is a row whose Scan returns the error. *sql.Row has no constructor;
// a database that cannot be connected to makes one.
func failedRow(err error) *sql.Row {
	db := sql.OpenDB(failing{err})
	defer db.Close()
	return db.QueryRow("")
}

// failing is a connector that does not connect.
type failing struct{ err error }

func (f failing) Connect(context.Context) (driver.Conn, error) { return nil, f.err }
func (f failing) Driver() driver.Driver                        { return nil }

// ready refuses a query whose time is over, or that is to fail.
func (tx *Tx) ready() error {
	if err := tx.ctx.Err(); err != nil {
		return err
	}
	if tx.db.inject("statement") != Works {
		return errInjected
	}
	return nil
}

// Audited says that the transaction wrote an event to the log. Package audit
// says it; nobody else should.
func (tx *Tx) Audited() { tx.audited = true }

// Unaudited says why the transaction needs no event in the log. The reasons
// can be searched for.
func (tx *Tx) Unaudited(why string) {
	if why == "" {
		tx.wrong("Unaudited needs a reason")
	}
	tx.why = why
}

// AfterCommit has fn called once, after the transaction is known to be
// durable, before Write returns, in the order of the calls. It is not called
// when the answer to the commit was lost.
func (tx *Tx) AfterCommit(fn func()) { tx.after = append(tx.after, fn) }

// Changed tells every node that what is cached under the topic and the key is
// outdated: this node as soon as the transaction is durable, the others within
// a second (see [DB.Watch]).
func (tx *Tx) Changed(topic, key string) {
	tx.changes = append(tx.changes, change{id: id.New[id.Change](tx.db.opts.Now()), topic: topic, key: key})
}

// wrong remembers a mistake in the calling code; the commit is refused.
func (tx *Tx) wrong(what string) {
	if tx.mistake == nil {
		_, file, line, _ := runtime.Caller(2)
		tx.mistake = fmt.Errorf("store: %s (%s:%d)", what, file, line)
	}
}

// finish is the last part of every writing transaction: it holds the rule that
// nothing happens without an event, and records what changed.
func (tx *Tx) finish() error {
	if tx.mistake != nil {
		return tx.mistake
	}
	if !tx.audited && tx.why == "" {
		return errors.New("store: the transaction wrote no event; append one with package audit, or say Unaudited(why)")
	}
	if err := tx.ctx.Err(); err != nil {
		return err
	}
	return tx.writeChanges()
}

// committed runs what waited for the commit.
func (tx *Tx) committed() {
	tx.db.feed.local(tx.changes)
	for _, fn := range tx.after {
		fn()
	}
}

// deadline bounds what a single transaction may take.
func deadline(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithValue(ctx, insideWrite{}, true), d)
}
