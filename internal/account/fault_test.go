package account

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/secret"
	"troth/internal/store"
	"troth/internal/store/storetest"
)

// act is something that a person does; it fails like a person's request.
type act struct {
	name string
	do   func(h *house) error
}

// acts are what one life of an account consists of, in an order in which each
// is possible after the ones before.
func acts() []act {
	signIn := func(h *house) error {
		for _, password := range []string{goodWord, newWord} {
			if _, err := h.SignIn(ctx, stranger(), attempt(ada, password)); !errors.Is(err, errSignIn) {
				return err
			}
		}
		return errSignIn
	}
	return []act{
		{"apply", func(h *house) error {
			_, err := h.SignUp(ctx, stranger(), Application{Email: ada, Name: "Ada", Password: secret.Of(goodWord), Browser: h.browser})
			return err
		}},
		{"confirm", func(h *house) error {
			_, err := h.Confirm(ctx, stranger(), h.link(ada, PathConfirm), h.here())
			return err
		}},
		{"sign in", signIn},
		{"ask for a reset", func(h *house) error { return h.AskReset(ctx, stranger(), ada) }},
		{"reset", func(h *house) error { return h.Reset(ctx, stranger(), h.link(ada, PathReset), secret.Of(newWord)) }},
		{"sign in again", signIn},
		{"list", func(h *house) error { _, err := h.Profiles(ctx, nil); return err }},
		{"destroy", func(h *house) error {
			v, err := h.Find(ctx, host(), ada)
			if err != nil {
				return err
			}
			_, err = h.Destroy(ctx, host(), v.ID, false)
			return err
		}},
	}
}

// The N-th operation of the store fails, lost or persisted, for every N: what
// was said to be done is done, nothing is half done, and trying again works.
func TestFaultSweep(t *testing.T) {
	for _, outcome := range []store.Outcome{store.Lost, store.Persisted} {
		for _, op := range []string{"write", "read", "statement"} {
			t.Run(fmt.Sprintf("%s %v", op, outcome), func(t *testing.T) {
				step := int64(1)
				if op == "statement" {
					step = 7
				}
				for n := int64(1); ; n += step {
					if !life(t, op, outcome, n) {
						if n < 5 {
							t.Fatalf("the sweep ended after %d faults", n)
						}
						return
					}
				}
			})
		}
	}
}

// life goes through all acts with one fault, and reports whether it struck.
func life(t *testing.T, op string, outcome store.Outcome, n int64) bool {
	t.Helper()
	var seen atomic.Int64
	var armed, struck atomic.Bool
	o := storetest.SQLiteOptions(t)
	o.Fault = func(which string) store.Outcome {
		if which == op && armed.Load() && seen.Add(1) == n {
			struck.Store(true)
			return outcome
		}
		return store.Works
	}
	db := storetest.Open(t, o, schema()...)
	h := build(t, db)
	for _, a := range acts() {
		armed.Store(true)
		err := a.do(h)
		armed.Store(false)
		if err != nil && !struck.Load() {
			t.Fatalf("fault %d: %s failed before the fault: %v", n, a.name, err)
		}
		if err != nil && (errors.Is(err, errGone) || fault.KindOf(err) == fault.Invalid) {
			t.Fatalf("fault %d: %s blames the person: %v", n, a.name, err)
		}
		if err != nil { // the person tries again; what was done already is said to be so
			if err = a.do(h); err != nil && !doneAlready(a.name, outcome, err) {
				t.Fatalf("fault %d: %s again: %v", n, a.name, err)
			}
		}
		h.consistent(fmt.Sprintf("fault %d, after %s", n, a.name))
	}
	return struck.Load()
}

// doneAlready says whether an answer to trying again is right when the first
// try was persisted and only its answer was lost.
func doneAlready(name string, outcome store.Outcome, err error) bool {
	switch name {
	case "confirm", "reset":
		return outcome == store.Persisted && errors.Is(err, errGone)
	case "destroy":
		return fault.KindOf(err) == fault.NotFound // it is gone; its keys are finished later
	}
	return false
}

// consistent looks for what must never be, whatever failed.
func (h *house) consistent(when string) {
	h.t.Helper()
	if err := h.FinishDestroying(ctx); err != nil {
		h.t.Fatalf("%s: finishing: %v", when, err)
	}
	var accounts []row
	var orphans int
	err := h.DB.Read(ctx, func(tx *store.Tx) error {
		accounts = accounts[:0]
		rows, err := tx.Query(`SELECT ` + columns + ` FROM account`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var r row
			if err := r.scan(rows); err != nil {
				return err
			}
			accounts = append(accounts, r)
		}
		if err := rows.Err(); err != nil {
			return err
		}
		return tx.QueryRow(`SELECT COUNT(*) FROM session WHERE account NOT IN (SELECT account FROM account WHERE state = 'active')`).Scan(&orphans)
	})
	if err != nil {
		h.t.Fatalf("%s: %v", when, err)
	}
	if len(accounts) > 1 || orphans != 0 {
		h.t.Fatalf("%s: %d accounts and %d sessions of nobody", when, len(accounts), orphans)
	}
	for _, r := range accounts {
		if r.state == Destroyed {
			if n := count(h.events(id.Platform), evDestroyed); n != 1 {
				h.t.Fatalf("%s: the account is destroyed and the log says so %d times", when, n)
			}
			continue
		}
		if _, err := h.view(ctx, r); err != nil {
			h.t.Fatalf("%s: the account cannot be opened: %v", when, err)
		}
		if n := count(h.events(r.home), evSignedUp); n != 1 {
			h.t.Fatalf("%s: the log says %d times that the account was made", when, n)
		}
		h.sessionsMatchTheLog(when, r)
	}
}

// sessionsMatchTheLog holds that there is no session without its event.
func (h *house) sessionsMatchTheLog(when string, r row) {
	h.t.Helper()
	list, err := h.sessionsOf(ctx, r.account, "")
	if err != nil {
		h.t.Fatalf("%s: %v", when, err)
	}
	if n := count(h.events(r.home), evSignedIn); len(list) > n {
		h.t.Fatalf("%s: there are %d sessions and %d sign-ins", when, len(list), n)
	}
}

// The mail cannot be queued: nothing happened.
func TestMailFails(t *testing.T) {
	h := sqlite(t)
	h.post.fail = errors.New("the outbox is broken")
	if _, err := h.SignUp(ctx, stranger(), Application{Email: ada, Name: "Ada", Password: secret.Of(goodWord)}); err == nil {
		t.Fatal("an application without a mail was taken")
	}
	h.post.fail = nil
	by, s := h.person(ada, goodWord)
	h.post.fail = errors.New("the outbox is broken")
	if _, err := h.ChangePassword(ctx, by, secret.Of(goodWord), secret.Of(newWord)); err == nil {
		t.Error("a password was changed without telling the holder")
	}
	if _, err := h.Recover(ctx, host(), by.Account); err == nil {
		t.Error("a recovery link was issued without telling the holder")
	}
	if !h.signedIn(s.Token) {
		t.Error("the session ended although nothing happened")
	}
	h.post.fail = nil
	h.signIn(ada, goodWord)
}
