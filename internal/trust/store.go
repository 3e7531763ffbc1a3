package trust

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"troth/internal/id"
	"troth/internal/store"
	"troth/verify"
)

// run is one run of a check as the table keeps it. What it says stands in the
// evidence too, signed; the table is only the quicker way to it.
type run struct {
	claim       string
	id          id.Evidence
	check       string
	claimDigest string
	checkDigest string
	origin      string
	passed      bool
	err         string
	startedAt   time.Time
	finishedAt  time.Time
	freshUntil  time.Time
	evidence    string
	logIndex    int64
}

const runColumns = "claim, run, check_name, claim_digest, check_digest, origin, passed, error, started_at, finished_at, fresh_until, evidence, log_index"

func (r run) insert(tx *store.Tx) error {
	_, err := tx.Exec("INSERT INTO trust_run ("+runColumns+") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) ON CONFLICT (claim, run) DO NOTHING",
		r.claim, string(r.id), r.check, r.claimDigest, r.checkDigest, r.origin, r.passed, r.err,
		store.Micros(r.startedAt), store.Micros(r.finishedAt), store.Micros(r.freshUntil), r.evidence, r.logIndex)
	return err
}

func scanRuns(rows *sql.Rows, err error) ([]run, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []run
	for rows.Next() {
		var r run
		var started, finished, fresh int64
		if err := rows.Scan(&r.claim, &r.id, &r.check, &r.claimDigest, &r.checkDigest, &r.origin, &r.passed, &r.err, &started, &finished, &fresh, &r.evidence, &r.logIndex); err != nil {
			return nil, err
		}
		r.startedAt, r.finishedAt, r.freshUntil = store.FromMicros(started), store.FromMicros(finished), store.FromMicros(fresh)
		out = append(out, r)
	}
	return out, rows.Err()
}

// historyLength bounds how many runs of a claim are looked at.
const historyLength = 500

// recentRuns are the last runs of a claim whose evidence is in the log, the
// newest first.
func recentRuns(tx *store.Tx, claim string) ([]run, error) {
	return scanRuns(tx.Query("SELECT "+runColumns+" FROM trust_run WHERE claim = $1 AND log_index >= 0 ORDER BY run DESC LIMIT $2", claim, historyLength))
}

// lastRun is the newest run of a check, in the log or not.
func lastRun(tx *store.Tx, claim, check string) (run, bool, error) {
	runs, err := scanRuns(tx.Query("SELECT "+runColumns+" FROM trust_run WHERE claim = $1 AND check_name = $2 ORDER BY run DESC LIMIT 1", claim, check))
	if err != nil || len(runs) == 0 {
		return run{}, false, err
	}
	return runs[0], true, nil
}

// claimsWithRuns are the ids of all claims that were ever exercised.
func claimsWithRuns(tx *store.Tx) ([]string, error) {
	rows, err := tx.Query("SELECT DISTINCT claim FROM trust_run WHERE log_index >= 0 ORDER BY claim")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var ids []string
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			return nil, err
		}
		ids = append(ids, s)
	}
	return ids, rows.Err()
}

// register notes since when each check is waited for.
func (t *Trust) register(ctx context.Context) error {
	return t.db.Write(ctx, func(tx *store.Tx) error {
		tx.Unaudited("which checks the program has is no action of anybody")
		for _, c := range t.claims {
			for _, k := range c.Checks {
				if _, err := tx.Exec("INSERT INTO trust_check (check_name, claim, registered_at) VALUES ($1, $2, $3) ON CONFLICT (check_name) DO NOTHING",
					k.Name, c.ID, store.Micros(t.o.Now())); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

func registeredAt(tx *store.Tx, check string) (time.Time, error) {
	var at int64
	err := tx.QueryRow("SELECT registered_at FROM trust_check WHERE check_name = $1", check).Scan(&at)
	if errors.Is(err, store.ErrNoRows) {
		return time.Time{}, nil
	}
	return store.FromMicros(at), err
}

// settle notes where evidence stands in the log, as soon as it does.
func (t *Trust) settle(ctx context.Context) (left int, err error) {
	var open []run
	err = t.db.Read(ctx, func(tx *store.Tx) error {
		open, err = scanRuns(tx.Query("SELECT " + runColumns + " FROM trust_run WHERE log_index < 0 ORDER BY claim, run LIMIT 1000"))
		return err
	})
	if err != nil || len(open) == 0 {
		return 0, err
	}
	found, err := t.found(ctx, open)
	if err != nil || len(found) == 0 {
		return len(open), err
	}
	err = t.db.Write(ctx, func(tx *store.Tx) error {
		tx.Unaudited("the entry is in the log already; this only says where")
		for _, r := range found {
			if _, err := tx.Exec("UPDATE trust_run SET log_index = $1 WHERE claim = $2 AND run = $3", r.logIndex, r.claim, string(r.id)); err != nil {
				return err
			}
		}
		return nil
	})
	t.forget()
	return len(open) - len(found), err
}

// found are those of the runs whose evidence is in the log, with its place.
func (t *Trust) found(ctx context.Context, open []run) ([]run, error) {
	var found []run
	for _, r := range open {
		digest, err := verify.ParseDigest(r.evidence)
		if err != nil {
			return nil, fmt.Errorf("reading the run %s: %w", r.id, err)
		}
		index, ok, err := t.log.EvidenceIndex(ctx, digest)
		if err != nil {
			return nil, fmt.Errorf("looking for evidence in the log: %w", err)
		}
		if ok {
			r.logIndex = index
			found = append(found, r)
		}
	}
	return found, nil
}

// keepRuns is how long runs stay in the table; their evidence stays in the log.
const keepRuns = 400 * 24 * time.Hour

// Sweep removes runs older than about thirteen months, except the newest of
// each check: what a status follows from is never removed.
func Sweep(_ context.Context, tx *store.Tx, now time.Time) (int64, error) {
	tx.Unaudited("the evidence of the runs stays in the log")
	return tx.Exec(`DELETE FROM trust_run WHERE (claim, run) IN (
		SELECT o.claim, o.run FROM trust_run o WHERE o.finished_at < $1
		AND EXISTS (SELECT 1 FROM trust_run n WHERE n.claim = o.claim AND n.check_name = o.check_name AND n.run > o.run AND n.error = '' AND n.log_index >= 0)
		LIMIT 2000)`, store.Micros(now.Add(-keepRuns)))
}
