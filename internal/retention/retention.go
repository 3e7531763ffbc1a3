// Package retention sees to it that nothing is kept without a reason.
//
// Every table of the database has one [Rule]: a sentence that says how long its
// rows are kept and why, and, where rows outlive their use, the code that
// removes them. The program does not start when a table has no rule, or a rule
// no table ([Check]). The sentences are what the documentation of retention is
// rendered from (GDPR, article 30(1)(f): the envisaged time limits for erasure).
//
// Expired rows of personal data are removed, not marked. Removing rows is not
// destroying keys: see package keys for that. What has an owner, such as the
// rows of an account, goes with its owner; its rule says so and has no sweep.
package retention

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"troth/internal/jobs"
	"troth/internal/store"
)

// Rule says how long the rows of one table are kept.
type Rule struct {
	Table string
	Keep  string // how long and why, in words

	// Sweep removes expired rows, at most a few thousand in one transaction,
	// and returns how many; it is called again until it returns 0. It is nil
	// when rows live as long as their owner.
	Sweep func(ctx context.Context, tx *store.Tx, now time.Time) (n int64, err error)
	Every time.Duration // how often Sweep runs; 0 is an hour
}

// Check compares tables and rules. The one error names every table without a
// rule, every rule without a table, every table with two rules, and every rule
// that does not say its sentence.
func Check(tables []string, rules []Rule) error {
	var wrong []string
	seen := map[string]bool{}
	for _, r := range rules {
		switch {
		case seen[r.Table]:
			wrong = append(wrong, fmt.Sprintf("the table %s has two retention rules", r.Table))
		case !slices.Contains(tables, r.Table):
			wrong = append(wrong, fmt.Sprintf("there is a retention rule for the table %q, which does not exist", r.Table))
		case strings.TrimSpace(r.Keep) == "":
			wrong = append(wrong, fmt.Sprintf("the retention rule of the table %s does not say how long and why", r.Table))
		}
		seen[r.Table] = true
	}
	for _, table := range tables {
		if !seen[table] {
			wrong = append(wrong, fmt.Sprintf("the table %s has no retention rule", table))
			seen[table] = true
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	slices.Sort(wrong)
	return errors.New(strings.Join(wrong, "; "))
}

const (
	usual     = time.Hour
	maxRounds = 10_000 // sweeps in one run; more means that a Sweep never ends
)

// Jobs returns one job for each rule that sweeps, named "retention.TABLE", so
// that the absence of success is noticed table by table.
func Jobs(db *store.DB, rules []Rule, now func() time.Time, log *slog.Logger) []jobs.Periodic {
	var all []jobs.Periodic
	for _, r := range rules {
		if r.Sweep == nil {
			continue
		}
		every := r.Every
		if every == 0 {
			every = usual
		}
		all = append(all, jobs.Periodic{
			Name:  "retention." + r.Table,
			Every: every,
			Run:   func(ctx context.Context) error { return sweep(ctx, db, r, now, log) },
		})
	}
	return all
}

// sweep runs a rule until it finds nothing more, in small transactions, so that
// nobody waits for long.
func sweep(ctx context.Context, db *store.DB, r Rule, now func() time.Time, log *slog.Logger) error {
	var total int64
	at := now()
	for range maxRounds {
		var n int64
		err := db.Write(ctx, func(tx *store.Tx) (err error) {
			tx.Unaudited("expired rows are removed by the published retention rule of their table")
			n, err = r.Sweep(tx.Context(), tx, at)
			return err
		})
		if err != nil {
			return fmt.Errorf("removing expired rows of %s: %w", r.Table, err)
		}
		if total += n; n == 0 {
			if total > 0 {
				log.InfoContext(ctx, "expired rows were removed", "table", r.Table, "rows", total)
			}
			return nil
		}
	}
	return fmt.Errorf("removing expired rows of %s: after %d rounds there are still some", r.Table, maxRounds)
}
