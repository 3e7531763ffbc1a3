package trust

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"

	"troth/internal/audit"
	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/jobs"
	"troth/internal/store"
	"troth/verify"
)

// Limits of a run.
const (
	atOnce          = 3   // checks that run at once
	maxObservations = 100 // of one run
	maxText         = 300 // characters of a text in an observation
)

// Outcome is what one run came to.
type Outcome struct {
	Claim    string
	Check    string
	Passed   bool
	Error    string // why it could not be exercised; "" when it could
	Observed []Observation
	At       time.Time // when it ended
	Took     time.Duration
	Digest   verify.Digest // of its evidence
}

// Exercise runs every check of the claims with these ids, or of all claims,
// and appends the evidence to the log. It returns when the evidence is in the
// log, or when ctx ends. An unknown id is fault.NotFound.
func (t *Trust) Exercise(ctx context.Context, b Bench, ids ...string) ([]Outcome, error) {
	var tasks []task
	for _, want := range ids {
		if !slices.ContainsFunc(t.claims, func(c Claim) bool { return c.ID == want }) {
			return nil, fault.New(fault.NotFound, "trust.no_claim", "There is no claim %s.", want)
		}
	}
	for _, c := range t.claims {
		if len(ids) > 0 && !slices.Contains(ids, c.ID) {
			continue
		}
		for _, k := range c.Checks {
			tasks = append(tasks, task{c, k})
		}
	}
	return t.exercise(ctx, b, tasks)
}

// task is a check of a claim that is to run.
type task struct {
	claim Claim
	check Check
}

func (t *Trust) exercise(ctx context.Context, b Bench, tasks []task) ([]Outcome, error) {
	if b.Now == nil {
		b.Now = t.o.Now
	}
	b.keep = t.canaries
	outcomes := make([]Outcome, len(tasks))
	errs := make([]error, len(tasks))
	var wg sync.WaitGroup
	for i, k := range tasks {
		wg.Go(func() {
			select {
			case t.exercising <- struct{}{}:
				defer func() { <-t.exercising }()
				outcomes[i], errs[i] = t.one(ctx, b, k)
			case <-ctx.Done():
				errs[i] = ctx.Err()
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return outcomes, err
	}
	return outcomes, t.Settle(ctx)
}

// Settle waits until the evidence of all runs is in the log and notes where.
func (t *Trust) Settle(ctx context.Context) error {
	for {
		if _, err := t.log.Sequence(ctx); err != nil {
			return fmt.Errorf("moving evidence into the log: %w", err)
		}
		left, err := t.settle(ctx)
		if err != nil || left == 0 {
			return err
		}
		select {
		case <-time.After(100 * time.Millisecond): // another node's sequencer has it
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// one runs a check and records the run.
func (t *Trust) one(ctx context.Context, b Bench, k task) (Outcome, error) {
	started := t.o.Now().UTC().Truncate(time.Microsecond)
	result, runErr := t.try(ctx, b, k.check)
	if ctx.Err() != nil {
		return Outcome{}, ctx.Err() // the program ends: that says nothing about the claim
	}
	finished := t.o.Now().UTC().Truncate(time.Microsecond)
	e := verify.Evidence{
		Claim: k.claim.ref(), Check: k.check.ref(t.o.Build), Observed: bounded(result.Observed),
		Passed: runErr == nil && result.Passed, StartedAt: started, FinishedAt: finished, FreshUntil: finished,
		Origin: t.o.Origin, Environment: t.o.Environment,
	}
	switch {
	case runErr != nil:
		e.Error = t.public(k.check, runErr)
	case len(result.Observed) == 0:
		e.Passed, e.Error = false, "The check observed nothing."
	default:
		e.FreshUntil = finished.Add(k.claim.Fresh)
	}
	out := Outcome{Claim: k.claim.ID, Check: k.check.Name, Passed: e.Passed, Error: e.Error, Observed: e.Observed, At: finished, Took: finished.Sub(started)}
	var err error
	out.Digest, err = t.record1(ctx, e)
	return out, err
}

// try runs a check within its time and contains its panics.
func (t *Trust) try(ctx context.Context, b Bench, k Check) (r Result, err error) {
	ctx, cancel := context.WithTimeout(ctx, k.limit())
	defer cancel()
	type answer struct {
		Result
		error
	}
	done := make(chan answer, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil {
				t.o.Log.Error("a check panicked", "check", k.Name, "panic", p, "stack", string(debug.Stack()))
				done <- answer{error: fault.New(fault.Internal, "trust.panic", "The check broke off.")}
			}
		}()
		r, err := k.Run(ctx, b)
		done <- answer{r, err}
	}()
	select {
	case a := <-done:
		if a.error != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return r, fault.Wrap(a.error, fault.Unavailable, "trust.timeout", "The check did not end within %s.", k.limit())
		}
		return a.Result, a.error
	case <-ctx.Done(): // the check ignores its context: it is left behind
		return r, fault.New(fault.Unavailable, "trust.timeout", "The check did not end within %s.", k.limit())
	}
}

// public is the reason why a check could not be exercised, as everyone may
// read it: the sentence of a fault, or a reference to the operator's log.
func (t *Trust) public(k Check, err error) string {
	reference := id.New[id.Request](t.o.Now())
	t.o.Log.Warn("a check could not be exercised", "check", k.Name, "reference", string(reference), "error", err)
	if f := fault.As(err); f != nil && !f.Message.IsZero() {
		return clip(f.Message.String())
	}
	return fmt.Sprintf("The check could not be exercised; the reason is in the operator's log under %s.", reference)
}

// record1 signs the evidence and appends it, in one transaction with its row.
func (t *Trust) record1(ctx context.Context, e verify.Evidence) (verify.Digest, error) {
	envelope, err := t.sign(ctx, e)
	if err != nil {
		return verify.Digest{}, err
	}
	digest := verify.DigestOf(envelope)
	check := e.Check
	check.Build = ""
	r := run{claim: e.Claim.ID, id: id.New[id.Evidence](e.FinishedAt), check: check.Name, claimDigest: e.Claim.Digest().String(), checkDigest: check.Digest().String(),
		passed: e.Passed, err: e.Error, startedAt: e.StartedAt, finishedAt: e.FinishedAt, freshUntil: e.FreshUntil, evidence: digest.String(), logIndex: -1}
	err = t.db.Write(ctx, func(tx *store.Tx) error {
		if _, err := t.log.Evidence(ctx, tx, envelope); err != nil {
			return err
		}
		before, known, err := lastConclusive(tx, r)
		if err != nil {
			return err
		}
		if r.err == "" && (!known && !r.passed || known && before.passed != r.passed) {
			if err := t.announce(tx, r); err != nil {
				return err
			}
		}
		return r.insert(tx)
	})
	if err != nil {
		return digest, fmt.Errorf("recording the run of %s: %w", r.check, err)
	}
	return digest, nil
}

func lastConclusive(tx *store.Tx, r run) (run, bool, error) {
	runs, err := scanRuns(tx.Query("SELECT "+runColumns+" FROM trust_run WHERE claim = $1 AND check_name = $2 AND error = '' AND run <> $3 ORDER BY run DESC LIMIT 1", r.claim, r.check, string(r.id)))
	if err != nil || len(runs) == 0 {
		return run{}, false, err
	}
	return runs[0], true, nil
}

// The events of this package.
const (
	eventFailed    = "trust.check_failed"
	eventRecovered = "trust.check_recovered"
)

// Events are the types that this package appends, to the installation's own log.
func Events() []audit.Type {
	return []audit.Type{
		{Name: eventFailed, Outcome: audit.Failure, Sentence: "The check {check} of the claim {claim} failed; the evidence is {evidence}"},
		{Name: eventRecovered, Sentence: "The check {check} of the claim {claim} passes again; the evidence is {evidence}"},
	}
}

// announce writes into the log that a check began to fail or passes again.
func (t *Trust) announce(tx *store.Tx, r run) error {
	kind := eventFailed
	if r.passed {
		kind = eventRecovered
	}
	_, err := t.log.AppendTx(tx, audit.Event{Type: kind, Actor: audit.Actor{Kind: audit.KindSystem, Name: "trust"},
		Targets:  []audit.Target{{Kind: "claim", ID: r.claim}},
		Metadata: map[string]string{"claim": r.claim, "check": r.check, "evidence": r.evidence}})
	return err
}

// signer makes the log's key a dsse.Signer.
type signer struct{ log *audit.Log }

// Sign signs the pre-authentication encoding, which begins with "DSSEv1 ".
func (s signer) Sign(_ context.Context, data []byte) ([]byte, error) { return s.log.Sign(data), nil }

// KeyID is the log's origin.
func (s signer) KeyID() (string, error) { return s.log.Origin(), nil }

// sign wraps evidence in a signed envelope.
func (t *Trust) sign(ctx context.Context, e verify.Evidence) ([]byte, error) {
	body, err := json.Marshal(verify.NewStatement(e))
	if err != nil {
		return nil, fmt.Errorf("writing the statement: %w", err)
	}
	s, err := dsse.NewEnvelopeSigner(signer{t.log})
	if err != nil {
		return nil, fmt.Errorf("preparing to sign: %w", err)
	}
	env, err := s.SignPayload(ctx, verify.EvidencePayload, body)
	if err != nil {
		return nil, fmt.Errorf("signing evidence: %w", err)
	}
	b, err := json.Marshal(env)
	if err == nil && len(b) > verify.MaxEvidence {
		err = fmt.Errorf("the evidence has %d bytes, more than %d", len(b), verify.MaxEvidence)
	}
	return b, err
}

// bounded keeps observations within what a page can show.
func bounded(in []Observation) []Observation {
	out := make([]Observation, 0, min(len(in), maxObservations))
	for _, o := range in[:min(len(in), maxObservations)] {
		out = append(out, Observation{What: clip(o.What), Expected: clip(o.Expected), Seen: clip(o.Seen)})
	}
	return out
}

func clip(s string) string {
	if r := []rune(s); len(r) > maxText {
		return string(r[:maxText]) + "…"
	}
	return s
}

// retry is how soon a check that failed or could not be exercised runs again.
const retry = 5 * time.Minute

// dueAt is when a check is next to run.
func (t *Trust) dueAt(tx *store.Tx, c Claim, k Check) (time.Time, error) {
	r, ok, err := lastRun(tx, c.ID, k.Name)
	if err != nil {
		return time.Time{}, err
	}
	changed := ok && (r.claimDigest != c.ref().Digest().String() || r.checkDigest != k.ref("").Digest().String())
	switch {
	case !ok:
		at, err := registeredAt(tx, k.Name)
		return at.Add(k.Earliest), err
	case changed:
		return r.finishedAt, nil
	case !r.passed:
		return r.finishedAt.Add(min(retry, k.Period)), nil
	}
	return r.finishedAt.Add(k.Period), nil
}

// ExerciseDue runs the checks that are due now.
func (t *Trust) ExerciseDue(ctx context.Context, b Bench) ([]Outcome, error) {
	var due []task
	now := t.o.Now()
	err := t.db.Read(ctx, func(tx *store.Tx) error {
		due = nil
		for _, c := range t.claims {
			for _, k := range c.Checks {
				at, err := t.dueAt(tx, c, k)
				if err != nil {
					return err
				}
				if !at.After(now) {
					due = append(due, task{c, k})
				}
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("looking which checks are due: %w", err)
	}
	if len(due) == 0 {
		_, err := t.settle(ctx)
		return nil, err
	}
	return t.exercise(ctx, b, due)
}

// Job exercises what is due, so often that what can run at once is exercised
// within 45 s of the first start. Both functions are asked each time: the claims
// are there once all parts are, the bench once the front door stands.
func Job(claims func() *Trust, bench func() (Bench, error)) jobs.Periodic {
	return jobs.Periodic{Name: "trust.exercise", Every: 10 * time.Second, Alarm: 10 * time.Minute, Timeout: 20 * time.Minute, Run: func(ctx context.Context) error {
		b, err := bench()
		if err != nil {
			return fmt.Errorf("preparing the bench: %w", err)
		}
		_, err = claims().ExerciseDue(ctx, b)
		return err
	}}
}
