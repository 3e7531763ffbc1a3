package account

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"troth/internal/fault"
	"troth/internal/secret"
	"troth/internal/store"
	"troth/internal/store/storetest"
)

// One fault at every point of the steps of signing in and of proving again: the
// person tries again and gets in, and no session is without its second factor
// or without its event.
func TestStepsUnderFaults(t *testing.T) {
	for _, outcome := range []store.Outcome{store.Lost, store.Persisted} {
		for op, step := range map[string]int64{"write": 1, "read": 1, "statement": 9} {
			t.Run(fmt.Sprintf("%s %v", op, outcome), func(t *testing.T) {
				for n := int64(1); ; n += step {
					if !steps(t, op, outcome, n) {
						if n < 3 {
							t.Fatalf("the sweep ended after %d faults", n)
						}
						return
					}
				}
			})
		}
	}
}

// steps takes every step with one fault, and reports whether it struck.
func steps(t *testing.T, op string, outcome store.Outcome, n int64) bool {
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
	h := build(t, storetest.Open(t, o, schema()...))
	l, account := locked(h)
	l.give(account, "totp", "1", "2", "3", "4", "5", "6")
	code := 0
	next := func() secret.String { code++; return secret.Of(fmt.Sprint(code)) }
	when := fmt.Sprintf("fault %d", n)

	armed.Store(true)
	var signed Signed
	for try := 0; signed.Session == ""; try++ {
		if try == 3 {
			t.Fatalf("%s: nobody gets in", when)
		}
		o, err := h.SignIn(ctx, stranger(), attempt(ada, goodWord))
		if err != nil {
			if fault.KindOf(err) == fault.Unauthenticated {
				t.Fatalf("%s: the person is blamed: %v", when, err)
			}
			continue
		}
		if o.Next != StepFactor {
			t.Fatalf("%s: the password led to %q", when, o.Next)
		}
		for range 2 {
			done, err := h.Answer(ctx, stranger(), o.Pending, Answer{Kind: "totp", Code: next(), Remember: true})
			if err == nil {
				signed = done.Signed
				break
			}
			if fault.KindOf(err) == fault.Gone && outcome == store.Persisted {
				break // it went through, and its answer was lost
			}
		}
	}
	by, err := h.Authenticate(ctx, signed.Token.Reveal())
	if err != nil {
		by = h.who(signed.Token)
	}
	h.clock.add(time.Hour)
	again, err := h.Again(ctx, by, secret.Of(goodWord), Answer{Kind: "totp", Code: next()})
	if err != nil {
		again, err = h.Again(ctx, by, secret.Of(goodWord), Answer{Kind: "totp", Code: next()})
	}
	armed.Store(false)
	if err != nil {
		t.Fatalf("%s: proving again: %v", when, err)
	}
	if by := h.who(again.Token); !by.Factor || !h.signedIn(again.Token) {
		t.Fatalf("%s: the session is %+v", when, by)
	}
	r, _, err := h.find(ctx, account)
	if err != nil {
		t.Fatal(err)
	}
	h.everySessionHasItsFactor(when, r)
	return struck.Load()
}

// everySessionHasItsFactor looks at the sessions that began after the factor was
// set up; the one before it is the first.
func (h *house) everySessionHasItsFactor(when string, r row) {
	h.t.Helper()
	h.sessionsMatchTheLog(when, r)
	bare := 0
	err := h.DB.Read(ctx, func(tx *store.Tx) error {
		bare = 0
		rows, err := tx.Query(`SELECT amr FROM session WHERE account = $1`, r.account)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var amr string
			if err := rows.Scan(&amr); err != nil {
				return err
			}
			if !has(strings.Fields(amr), amrMulti) {
				bare++
			}
		}
		return rows.Err()
	})
	if err != nil || bare > 1 {
		h.t.Fatalf("%s: %d sessions began without a second factor, %v", when, bare, err)
	}
}
