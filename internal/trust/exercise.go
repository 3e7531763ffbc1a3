package trust

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"troth/internal/fault"
	"troth/internal/id"
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
	out.Digest, err = t.append(ctx, e)
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
