package store

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/ncruces/go-sqlite3"

	"troth/internal/fault"
)

// Outcome is what becomes of an operation under [Options.Fault]. The
// operations are "read", "write" and "statement". A test that fails the N-th
// one in each way, for every N, has been through every half-done state.
type Outcome int

// The outcomes.
const (
	Works     Outcome = iota
	Lost              // it fails and has no effect
	Persisted         // it takes effect and its answer is lost
)

var errInjected = errors.New("store: an injected fault")

// inject asks what becomes of an operation.
func (db *DB) inject(op string) Outcome {
	if db.opts.Fault == nil {
		return Works
	}
	return db.opts.Fault(op)
}

func (o Outcome) before() error {
	if o == Lost {
		return errInjected
	}
	return nil
}

func (o Outcome) after() error {
	if o == Persisted {
		return errInjected
	}
	return nil
}

var (
	errFull = fault.New(fault.Unavailable, "store.full", "Too many changes are waiting to be stored; try again in a moment.").In(time.Second)
)

// waited is the answer to a write that gave up before its turn.
func waited(why error) error {
	return fault.Wrap(why, fault.Unavailable, "store.waited", "The change waited too long to be stored; nothing was changed. Try again.")
}

// unavailable marks an error of the engine as one after which trying again
// makes sense. Faults stay as they are.
func unavailable(err error) error {
	if f := fault.As(err); f != nil {
		return f
	}
	return fault.Wrap(err, fault.Unavailable, "store.unavailable", "The database cannot be reached at the moment; try again shortly.")
}

// IsUnique reports whether a statement failed because a row with the same
// unique key exists. On both engines the transaction can then only be given
// up; a statement with ON CONFLICT does not fail.
func IsUnique(err error) bool {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		return pg.Code == "23505" // unique_violation
	}
	return errors.Is(err, sqlite3.CONSTRAINT_UNIQUE) || errors.Is(err, sqlite3.CONSTRAINT_PRIMARYKEY)
}

// ended reports whether a context's end is what an error is about.
func ended(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}
