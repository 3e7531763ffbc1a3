package account

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"troth/internal/fault"
	"troth/internal/secret"
	"troth/internal/store"
	"troth/internal/store/storetest"
)

// effort is what a request costs, in units that do not depend on the machine.
type effort struct {
	Hashes, Verifies, Reads, Writes int64
}

// What a stranger can do with an address is answered the same, after the same
// work, whether the address has an account, is waiting for a confirmation, or
// is unknown.
func TestNothingTellsWhoHasAnAccount(t *testing.T) {
	for _, engine := range storetest.Engines {
		t.Run(engine, func(t *testing.T) {
			var reads, writes atomic.Int64
			o := storetest.Options(t, engine)
			o.Fault = func(op string) store.Outcome {
				switch op {
				case "read":
					reads.Add(1)
				case "write":
					writes.Add(1)
				}
				return store.Works
			}
			h := build(t, storetest.Open(t, o, schema()...))
			h.person(ada, goodWord)
			h.apply("waiting@example.org", goodWord)
			if _, err := h.SignIn(ctx, stranger(), "warm@example.org", secret.Of(newWord)); err == nil {
				t.Fatal("a stranger is in")
			}
			for what, do := range map[string]func(email string) error{
				"sign-up": func(email string) error {
					s, err := h.SignUp(ctx, stranger(), Application{Email: email, Name: "X", Password: secret.Of(newWord)})
					return errors.Join(err, map[bool]error{false: errors.New("a session began")}[s == (Signed{})])
				},
				"sign-in": func(email string) error {
					_, err := h.SignIn(ctx, stranger(), email, secret.Of(newWord))
					return err
				},
				"reset": func(email string) error { return h.AskReset(ctx, stranger(), email) },
			} {
				answers := map[string]string{}
				for _, email := range []string{ada, "waiting@example.org", "unknown@example.org"} {
					h.settle()
					before := effort{h.hashing.hashes.Load(), h.hashing.verifies.Load(), reads.Load(), writes.Load()}
					err := do(email)
					after := effort{h.hashing.hashes.Load(), h.hashing.verifies.Load(), reads.Load(), writes.Load()}
					spent := effort{after.Hashes - before.Hashes, after.Verifies - before.Verifies, after.Reads - before.Reads, after.Writes - before.Writes}
					answers[email] = fmt.Sprintf("%v %v, %+v", fault.KindOf(err), err, spent)
				}
				if answers[ada] != answers["unknown@example.org"] || answers[ada] != answers["waiting@example.org"] {
					t.Errorf("%s tells who has an account:\n%v", what, answers)
				}
			}
		})
	}
}

// settle writes what is waiting, so that it is not counted as effort.
func (h *house) settle() {
	h.t.Helper()
	if err := errors.Join(h.seen.flush(ctx), h.Log.Flush(ctx)); err != nil {
		h.t.Fatal(err)
	}
}

// The same by the clock: the medians of wrong sign-ins for a known and an
// unknown address differ by less than a fifth of the whole. It is the
// median of interleaved tries, so that what else runs on the machine hits both.
func TestSignInTakesTheSameTime(t *testing.T) {
	h := sqlite(t)
	h.person(ada, goodWord)
	took := map[string][]time.Duration{}
	for range 60 {
		for _, email := range []string{ada, "unknown@example.org"} {
			start := time.Now()
			if _, err := h.SignIn(ctx, stranger(), email, secret.Of(newWord)); !errors.Is(err, errSignIn) {
				t.Fatal(err)
			}
			took[email] = append(took[email], time.Since(start))
		}
	}
	median := func(email string) time.Duration {
		slices.Sort(took[email])
		return took[email][len(took[email])/2]
	}
	known, unknown := median(ada), median("unknown@example.org")
	if diff := (known - unknown).Abs(); diff > max(known, unknown)/5 {
		t.Errorf("a known address takes %v, an unknown one %v", known, unknown)
	}
}
