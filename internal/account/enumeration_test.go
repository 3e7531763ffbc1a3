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
			if _, err := h.SignIn(ctx, stranger(), attempt("warm@example.org", newWord)); err == nil {
				t.Fatal("a stranger is in")
			}
			for what, do := range map[string]func(email string) error{
				"sign-up": func(email string) error {
					s, err := h.SignUp(ctx, stranger(), Application{Email: email, Name: "X", Password: secret.Of(newWord)})
					return errors.Join(err, map[bool]error{false: errors.New("a session began")}[s == (Signed{})])
				},
				"sign-in": func(email string) error {
					_, err := h.SignIn(ctx, stranger(), attempt(email, newWord))
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

// The same by the clock: a difference that is there shows in every round, one
// that the machine made does not. Tries are interleaved, in changing order, so
// that what else runs hits both; the lower quartile is what a patient stranger
// would look at.
func TestSignInTakesTheSameTime(t *testing.T) {
	h := sqlite(t, func(o *Options) { o.Config.Guessing.NetworkBurst, o.Config.Guessing.CrowdBurst = 1000, 1000 })
	h.person(ada, goodWord)
	var last string
	for range 4 {
		known, unknown := h.timed(ada, "unknown@example.org", 40)
		if diff := (known - unknown).Abs(); diff <= max(known, unknown)/10 {
			return
		}
		last = fmt.Sprintf("a known address takes %v, an unknown one %v", known, unknown)
	}
	t.Error("in every round one of them takes longer; in the last, " + last)
}

// timed is how long a wrong sign-in takes for either address: the lower quartile
// of so many tries.
func (h *house) timed(a, b string, tries int) (time.Duration, time.Duration) {
	h.t.Helper()
	took := map[string][]time.Duration{}
	for i := range tries {
		order := []string{a, b}
		if i%2 == 1 {
			slices.Reverse(order)
		}
		for _, email := range order {
			start := time.Now()
			if _, err := h.SignIn(ctx, stranger(), attempt(email, newWord)); !errors.Is(err, errSignIn) {
				h.t.Fatal(err)
			}
			took[email] = append(took[email], time.Since(start))
		}
	}
	quartile := func(email string) time.Duration {
		slices.Sort(took[email])
		return took[email][tries/4]
	}
	return quartile(a), quartile(b)
}
