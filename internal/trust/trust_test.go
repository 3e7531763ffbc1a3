package trust

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	intoto "github.com/in-toto/attestation/go/v1"
	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	"google.golang.org/protobuf/encoding/protojson"

	"troth/internal/audit"
	"troth/internal/fault"
	"troth/internal/store"
	"troth/internal/store/storetest"
	"troth/verify"
)

// TestLife follows one claim through everything that can happen to it, on both
// engines; a stranger agrees at every step.
func TestLife(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := &switchable{run: pass}
		c := claim("A1", "door.tried", s.Run)
		h := open(t, db, c, claim("A2", "door.other", pass))
		h.status("A1", verify.Pending)
		h.clean()

		h.exercise("A1")
		proven := h.clock.now()
		h.status("A1", verify.Proven)
		h.status("A2", verify.Pending)
		h.clean()

		h.clock.pass(3*time.Hour + time.Second)
		h.status("A1", verify.Stale)
		h.clean()

		h.exercise("A1")
		h.status("A1", verify.Proven)
		if r := h.record("A1"); r.Since.Equal(proven) {
			t.Error("it counts as proven all the while that it was stale")
		}

		s.set(fail)
		h.clock.pass(time.Hour)
		broke := h.clock.now()
		h.exercise("A1")
		h.clock.pass(10 * time.Minute)
		h.exercise("A1")
		h.status("A1", verify.Failing)
		if r := h.record("A1"); !r.Since.Equal(broke) || len(r.Failures) != 1 || !r.Failures[0].To.IsZero() {
			t.Errorf("failing since %s with failures %+v, want since %s", r.Since, r.Failures, broke)
		}
		h.clean()

		// A run that could not be made hides no failure.
		s.set(func(context.Context, Bench) (Result, error) { return Result{}, errors.New("no mail") })
		h.clock.pass(time.Minute)
		h.exercise("A1")
		h.status("A1", verify.Failing)
		h.clean()

		// Nor do other words.
		c.Sentence = "All doors are shut."
		h.reopen(c, claim("A2", "door.other", pass))
		h.status("A1", verify.Failing)
		h.clean()

		s.set(pass)
		h.clock.pass(time.Minute)
		h.exercise("A1")
		h.status("A1", verify.Proven)
		if r := h.record("A1"); len(r.Failures) != 1 || r.Failures[0].To.IsZero() || r.Failures[0].Exhibit.Evidence.Observed[0].Seen != "open" {
			t.Errorf("the failure is not shown any more: %+v", r.Failures)
		}
		h.clean()

		// New words are not carried by old evidence.
		c.Sentence = "All doors and windows are shut."
		h.reopen(c)
		h.status("A1", verify.Pending)
		h.clean()
		h.clock.pass(time.Minute)
		h.exercise("A1")

		h.reopen(claim("A2", "door.other", pass))
		h.status("A1", verify.Withdrawn)
		if r := h.record("A1"); r.Claim.Sentence != "All doors and windows are shut." {
			t.Errorf("a withdrawn claim says %q", r.Claim.Sentence)
		}
		h.clean()
	}, audit.Migrations, Migrations)
}

func TestCouldNotBeExercised(t *testing.T) {
	secret := "postgres://user:hunter2@host"
	cases := map[string]struct {
		run  func(context.Context, Bench) (Result, error)
		want string
	}{
		"error":               {func(context.Context, Bench) (Result, error) { return Result{}, errors.New(secret) }, "reason is in the operator's log under req_"},
		"error beside a pass": {func(ctx context.Context, b Bench) (Result, error) { r, _ := pass(ctx, b); return r, errors.New(secret) }, "reason is in the operator's log"},
		"fault": {func(context.Context, Bench) (Result, error) {
			return Result{}, fault.Wrap(errors.New(secret), fault.Unavailable, "x.y", "No letter arrived.")
		}, "No letter arrived."},
		"panic":            {func(context.Context, Bench) (Result, error) { panic(secret) }, "The check broke off."},
		"nothing observed": {func(context.Context, Bench) (Result, error) { return Result{Passed: true}, nil }, "observed nothing"},
		"empty look":       {func(context.Context, Bench) (Result, error) { var l Look; return l.Result() }, "reason is in the operator's log"},
		"out of time":      {func(ctx context.Context, _ Bench) (Result, error) { <-ctx.Done(); return Result{}, ctx.Err() }, "did not end within 10ms"},
		"deaf":             {func(context.Context, Bench) (Result, error) { select {} }, "did not end within 10ms"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			one := claim("A1", "door.tried", c.run)
			one.Checks[0].Timeout = 10 * time.Millisecond
			h := sqlite(t, one)
			out := h.exercise()
			if len(out) != 1 || out[0].Passed || !strings.Contains(out[0].Error, c.want) {
				t.Fatalf("%+v", out)
			}
			h.status("A1", verify.Pending)
			h.clean()
			if b, err := h.log.EvidenceBytes(t.Context(), out[0].Digest.String()); err != nil || strings.Contains(string(b), "hunter2") {
				t.Errorf("the evidence: %s, %v", b, err)
			}
		})
	}
}

// TestProgramEnds: a run that ends with the program says nothing about a claim.
func TestProgramEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	h := sqlite(t, claim("A1", "door.tried", func(ctx context.Context, _ Bench) (Result, error) { cancel(); <-ctx.Done(); return Result{}, ctx.Err() }))
	if _, err := h.Exercise(ctx, Bench{}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if r := h.record("A1"); r.Checks[0].Last != nil {
		t.Errorf("the run was recorded: %+v", r.Checks[0].Last)
	}
}

// TestTwoChecks: a claim is as good as its worst check.
func TestTwoChecks(t *testing.T) {
	one, two := &switchable{run: pass}, &switchable{run: pass}
	c := claim("B1", "door.one", one.Run)
	c.Checks = append(c.Checks, claim("B1", "door.two", two.Run).Checks[0])
	c.Checks[1].Earliest = time.Hour
	h := sqlite(t, c)
	_, err := h.ExerciseDue(t.Context(), Bench{})
	must(t, err)
	h.status("B1", verify.Pending) // the second is not due before an hour
	if r := h.record("B1"); !r.DueAt.Equal(h.clock.now().Add(time.Hour)) {
		t.Errorf("due at %s", r.DueAt)
	}
	h.clock.pass(time.Hour)
	_, err = h.ExerciseDue(t.Context(), Bench{})
	must(t, err)
	h.status("B1", verify.Proven)
	two.set(fail)
	h.clock.pass(time.Hour)
	_, err = h.ExerciseDue(t.Context(), Bench{})
	must(t, err)
	h.status("B1", verify.Failing)
	h.clean()
}

// TestDue: when each run comes, told by how often the check ran.
func TestDue(t *testing.T) {
	s := &switchable{run: pass}
	c := claim("A1", "door.tried", s.Run)
	h := sqlite(t, c)
	step := func(d time.Duration, want int) {
		t.Helper()
		h.clock.pass(d)
		_, err := h.ExerciseDue(t.Context(), Bench{})
		must(t, err)
		if s.runs != want {
			t.Errorf("at %s it ran %d times, want %d", h.clock.now().Format(time.TimeOnly), s.runs, want)
		}
	}
	step(0, 1)
	step(59*time.Minute, 1)
	step(time.Minute, 2)
	s.set(fail)
	step(time.Hour, 3)
	step(4*time.Minute, 3)
	step(time.Minute, 4) // soon again, so that the mending shows soon
	s.set(pass)
	step(5*time.Minute, 5)
	step(59*time.Minute, 5)
	c.Checks[0].Version++
	h.reopen(c)
	h.status("A1", verify.Pending)
	step(0, 6) // another version has not been exercised yet
	h.status("A1", verify.Proven)
}

// TestEdited: a row that is changed by hand changes the page, and a stranger
// sees that the log does not carry it.
func TestEdited(t *testing.T) {
	h := sqlite(t, claim("A1", "door.tried", fail))
	h.exercise()
	h.status("A1", verify.Failing)
	must(t, h.db.Write(t.Context(), func(tx *store.Tx) error {
		tx.Unaudited("an attacker with the database")
		_, err := tx.Exec("UPDATE trust_run SET passed = TRUE, fresh_until = $1", store.Micros(h.clock.now().Add(time.Hour)))
		return err
	}))
	h.status("A1", verify.Proven)
	if r := h.examine(); !r.Has("claim-not-derivable") {
		t.Errorf("nobody noticed: %+v", r.Findings)
	}
	must(t, h.db.Write(t.Context(), func(tx *store.Tx) error {
		tx.Unaudited("an attacker with the database")
		_, err := tx.Exec("DELETE FROM trust_run")
		return err
	}))
	h.exercise() // fails again, and so does the log's older entry
	h.clean()
}

// TestMoved: at another address everything is to be tried anew.
func TestMoved(t *testing.T) {
	h := sqlite(t, claim("A1", "door.tried", pass))
	h.exercise()
	h.clock.pass(time.Minute)
	var err error
	h.Trust, err = New(t.Context(), h.db, h.log, h.keys, h.Claims(), Options{Origin: "https://other.example", Now: h.clock.now})
	must(t, err)
	h.status("A1", verify.Pending)
	h.clean()
	out, err := h.ExerciseDue(t.Context(), Bench{})
	if err != nil || len(out) != 1 {
		t.Fatalf("%+v, %v", out, err)
	}
	h.status("A1", verify.Proven)
	h.clean()
}

// TestAnnounced: the beginning and the end of a failure are events.
func TestAnnounced(t *testing.T) {
	s := &switchable{run: fail}
	h := sqlite(t, claim("A1", "door.tried", s.Run))
	for _, run := range []func(context.Context, Bench) (Result, error){fail, fail, pass, pass, fail} {
		s.set(run)
		h.exercise()
		h.clock.pass(time.Minute)
	}
	entries, _, err := h.log.List(t.Context(), audit.Filter{Tenant: "ten_00000000000000000000000000", Types: []string{eventFailed, eventRecovered}})
	must(t, err)
	var got []string
	for _, e := range entries {
		got = append(got, e.Event.Type)
	}
	if strings.Join(got, " ") != eventFailed+" "+eventRecovered+" "+eventFailed {
		t.Errorf("events, newest first: %v", got)
	}
}

// TestStatement: the evidence is what the in-toto and DSSE projects' own code
// reads.
func TestStatement(t *testing.T) {
	h := sqlite(t, claim("A1", "door.tried", pass))
	out := h.exercise()
	b, err := h.log.EvidenceBytes(t.Context(), out[0].Digest.String())
	must(t, err)
	var env dsse.Envelope
	must(t, json.Unmarshal(b, &env))
	body, err := env.DecodeB64Payload()
	must(t, err)
	var s intoto.Statement
	must(t, protojson.Unmarshal(body, &s))
	must(t, s.Validate())
	if s.GetPredicateType() != verify.PredicateType || len(s.GetSubject()) != 2 || s.GetSubject()[0].GetName() != "claim/A1" {
		t.Errorf("%v", &s)
	}
	key, err := verify.ParseKey(h.VKey())
	must(t, err)
	v, err := dsse.NewEnvelopeVerifier(key)
	must(t, err)
	if keys, err := v.Verify(t.Context(), &env); err != nil || len(keys) != 1 {
		t.Errorf("%v, %v", keys, err)
	}
}

func TestRefusedClaims(t *testing.T) {
	db := storetest.SQLite(t, audit.Migrations, Migrations)
	h := open(t, db)
	good := claim("A1", "door.tried", pass)
	cases := map[string]func(*Claim) []Claim{
		"no check":            func(c *Claim) []Claim { c.Checks = nil; return []Claim{*c} },
		"twice":               func(c *Claim) []Claim { return []Claim{*c, *c} },
		"no criterion":        func(c *Claim) []Claim { c.Criteria = append(c.Criteria, "CC99.9"); return []Claim{*c} },
		"no sentence":         func(c *Claim) []Claim { c.Sentence = " "; return []Claim{*c} },
		"proves everything":   func(c *Claim) []Claim { c.NotProven = ""; return []Claim{*c} },
		"no scope":            func(c *Claim) []Claim { c.Scope = ""; return []Claim{*c} },
		"identifier":          func(c *Claim) []Claim { c.ID = "a1"; return []Claim{*c} },
		"no period":           func(c *Claim) []Claim { c.Checks[0].Period = 0; return []Claim{*c} },
		"no version":          func(c *Claim) []Claim { c.Checks[0].Version = 0; return []Claim{*c} },
		"no method":           func(c *Claim) []Claim { c.Checks[0].Method = ""; return []Claim{*c} },
		"no code":             func(c *Claim) []Claim { c.Checks[0].Run = nil; return []Claim{*c} },
		"name":                func(c *Claim) []Claim { c.Checks[0].Name = "Door"; return []Claim{*c} },
		"fresh for too short": func(c *Claim) []Claim { c.Fresh = time.Hour; return []Claim{*c} },
		"one check for two": func(c *Claim) []Claim {
			d := *c
			d.ID = "A2"
			return []Claim{*c, d}
		},
	}
	for name, change := range cases {
		c := good
		c.Checks = append([]Check(nil), good.Checks...)
		if _, err := New(t.Context(), db, h.log, h.keys, change(&c), Options{}); err == nil {
			t.Errorf("%s: it was accepted", name)
		}
	}
	if _, err := h.Exercise(t.Context(), Bench{}, "Z9"); fault.KindOf(err) != fault.NotFound {
		t.Errorf("an unknown claim was exercised: %v", err)
	}
}

// TestBounded: a check that sees too much leaves evidence all the same.
func TestBounded(t *testing.T) {
	h := sqlite(t, claim("A1", "door.tried", func(context.Context, Bench) (Result, error) {
		var l Look
		for range 1000 {
			l.Equal(strings.Repeat("€", 1000), "a", "a")
		}
		return l.Result()
	}))
	out := h.exercise()
	if !out[0].Passed || len(out[0].Observed) != maxObservations {
		t.Errorf("%d observations, passed %v, %s", len(out[0].Observed), out[0].Passed, out[0].Error)
	}
	h.status("A1", verify.Proven)
}

// TestSweep: old runs go, and never the one that a status rests on.
func TestSweep(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := &switchable{run: fail}
		h := open(t, db, claim("A1", "door.tried", s.Run))
		for range 5 {
			h.exercise()
			h.clock.pass(time.Hour)
		}
		h.clock.pass(keepRuns)
		sweep := func() (n int64) {
			must(t, db.Write(t.Context(), func(tx *store.Tx) (err error) {
				n, err = Sweep(t.Context(), tx, h.clock.now())
				return err
			}))
			return n
		}
		if n := sweep(); n != 4 {
			t.Errorf("removed %d runs, want 4", n)
		}
		if n := sweep(); n != 0 {
			t.Errorf("removed %d more", n)
		}
		h.status("A1", verify.Failing)
	}, audit.Migrations, Migrations)
}

// TestLogDown: without the log there is no evidence, and the run is an error.
func TestLogDown(t *testing.T) {
	h := sqlite(t, claim("A1", "door.tried", pass))
	must(t, h.db.Close())
	if _, err := h.Exercise(t.Context(), Bench{}); err == nil {
		t.Error("a run without evidence passed for one")
	}
}

// TestOrder: the claims stand in the order of the list of promises.
func TestOrder(t *testing.T) {
	h := sqlite(t, claim("J1", "a.j1", pass), claim("A10", "a.a10", pass), claim("B1", "a.b1", pass), claim("A2", "a.a2", pass))
	d, err := h.Document(t.Context())
	must(t, err)
	var got []string
	for _, c := range d.Claims {
		got = append(got, c.ID)
	}
	if strings.Join(got, " ") != "A2 A10 B1 J1" {
		t.Errorf("%v", got)
	}
}
