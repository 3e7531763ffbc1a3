// Package fault is the one typed error that crosses packages: a kind, a stable
// code and a sentence that is safe to show to the person who caused it.
//
// Everything else that goes wrong is an ordinary error. An ordinary error never
// reaches a page, an answer or a terminal as it is: whoever renders it shows
// "internal" with a reference, and the reference is in the log.
//
// A fault may wrap the error that caused it (see [Wrap]). The cause is for the
// operator's log; only the sentence is for the person.
package fault

import (
	"errors"
	"fmt"
	"time"

	"troth/internal/text"
)

// Kind says what the caller can do about a fault. It decides the HTTP status
// (RFC 9110) and the exit status of a command.
type Kind uint8

// The kinds, from "the caller's mistake" to "ours".
const (
	Internal        Kind = iota // a defect or an unexpected state: 500
	Invalid                     // the input is wrong; the sentence says how to mend it: 422
	Unauthenticated             // nobody is signed in, or the proof of who is was refused: 401
	Denied                      // the subject is known and may not do this: 403
	NotFound                    // it does not exist, or the subject may not know that it does: 404
	Conflict                    // somebody else changed it first, or it exists already: 409
	Gone                        // it existed and was used up, expired or destroyed: 410
	TooLarge                    // larger than the stated limit: 413
	TooMany                     // a limit over time was reached; After says when to come back: 429
	Unavailable                 // something Troth depends on cannot be reached, so it refuses: 503
)

var kinds = [...]struct {
	name   string
	status int
}{
	Internal:        {"internal", 500},
	Invalid:         {"invalid", 422},
	Unauthenticated: {"unauthenticated", 401},
	Denied:          {"denied", 403},
	NotFound:        {"not-found", 404},
	Conflict:        {"conflict", 409},
	Gone:            {"gone", 410},
	TooLarge:        {"too-large", 413},
	TooMany:         {"too-many", 429},
	Unavailable:     {"unavailable", 503},
}

// String is the kind's name as it stands in problem documents and in the log.
func (k Kind) String() string { return kinds[k].name }

// Status is the HTTP status code of the kind (RFC 9110, 15).
func (k Kind) Status() int { return kinds[k].status }

// Error is a fault. Its zero value is an internal fault without a sentence.
type Error struct {
	Kind    Kind
	Code    string        // stable, lower-case, dotted: "account.wrong_password"
	Message text.Text     // what happened and what to do, safe to show
	Field   string        // the form field or configuration key at fault, if one is
	After   time.Duration // with TooMany and Unavailable: when to try again; 0 is "unknown"
	cause   error
}

// New makes a fault. The format is a whole English sentence; it is also the
// key under which a translation is looked up (see package text).
func New(kind Kind, code, format string, args ...any) *Error {
	return &Error{Kind: kind, Code: code, Message: text.New(format, args...)}
}

// Wrap makes a fault out of the error that caused it. The cause is found by
// errors.Is and errors.As and is written to the log, never to the person.
func Wrap(cause error, kind Kind, code, format string, args ...any) *Error {
	e := New(kind, code, format, args...)
	e.cause = cause
	return e
}

// On returns the fault with the form field or configuration key at fault.
func (e *Error) On(field string) *Error {
	c := *e
	c.Field = field
	return &c
}

// In returns the fault with the time after which trying again makes sense.
func (e *Error) In(after time.Duration) *Error {
	c := *e
	c.After = after
	return &c
}

// Error is the sentence in English, followed by the cause: for logs.
func (e *Error) Error() string {
	if e.cause == nil {
		return e.Message.String()
	}
	return fmt.Sprintf("%s (%v)", e.Message, e.cause)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.cause }

// Is reports whether the target is a fault with the same code, so that a
// package can export a fault value and its callers can use errors.Is.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code != "" && t.Code == e.Code
}

// As returns the first fault in err's chain. Any other error, a context that
// ended included, comes back as nil: it has no sentence that may be shown.
func As(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return nil
}

// KindOf returns the kind of the first fault in err's chain, or Internal.
func KindOf(err error) Kind {
	if e := As(err); e != nil {
		return e.Kind
	}
	return Internal
}
