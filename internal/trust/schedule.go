package trust

import (
	"context"
	"fmt"
	"time"

	"troth/internal/jobs"
	"troth/internal/store"
)

// A check that failed runs again soon, to see whether it still does; one that
// could not be exercised says nothing yet, so it is tried again sooner.
const (
	retryFailed  = 5 * time.Minute
	retryUntried = 30 * time.Second
)

// dueAt is when a check is next to run.
func (t *Trust) dueAt(tx *store.Tx, c Claim, k Check) (time.Time, error) {
	r, ok, err := lastRun(tx, c.ID, k.Name)
	if err != nil {
		return time.Time{}, err
	}
	changed := ok && !r.about(t.o.Origin, c.ref().Digest().String(), k)
	switch {
	case !ok:
		at, err := registeredAt(tx, k.Name)
		return at.Add(k.Earliest), err
	case changed:
		return r.finishedAt, nil
	case r.err != "":
		return r.finishedAt.Add(min(retryUntried, k.Period)), nil
	case !r.passed:
		return r.finishedAt.Add(min(retryFailed, k.Period)), nil
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
