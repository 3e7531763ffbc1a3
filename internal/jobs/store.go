package jobs

import (
	"context"
	"fmt"
	"strings"
	"time"

	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/store"
)

const unaudited = "jobs are bookkeeping; what the work does is audited by the work"

// lease is one piece of work that this node has taken.
type lease struct {
	id       id.Job
	kind     *kind
	key      string
	payload  []byte
	attempts int
}

// EnqueueTx leaves work behind for a queue, in the transaction of whatever
// makes it necessary. Of two pieces of work with the same key the second is
// dropped while the first waits or runs, and takes its place once that was
// given up; an empty key is unlike any other. A zero notBefore is now.
func (j *Jobs) EnqueueTx(tx *store.Tx, queue, uniqueKey string, payload []byte, notBefore time.Time) error {
	j.mu.Lock()
	k := j.kinds[queue]
	j.mu.Unlock()
	if k == nil || k.every > 0 {
		return fmt.Errorf("jobs: there is no queue %q", queue)
	}
	if len(payload) > maxPayload {
		return fmt.Errorf("jobs: a payload of %d bytes for %q is more than %d", len(payload), queue, maxPayload)
	}
	now := j.now()
	if notBefore.IsZero() {
		notBefore = now
	}
	job := id.New[id.Job](now)
	if uniqueKey == "" {
		uniqueKey = string(job)
	}
	if payload == nil {
		payload = []byte{}
	}
	_, err := tx.Exec(`INSERT INTO job (id, queue, unique_key, payload, not_before, leased_until, leased_by, attempts, given_up, last_error, succeeded_at, due_at)
		VALUES ($1, $2, $3, $4, $5, 0, '', 0, FALSE, '', 0, $5)
		ON CONFLICT (queue, unique_key) DO UPDATE SET payload = excluded.payload, not_before = excluded.not_before, attempts = 0,
			given_up = FALSE, leased_until = 0, leased_by = '', due_at = excluded.due_at WHERE job.given_up = TRUE`,
		job, queue, uniqueKey, payload, store.Micros(notBefore))
	if err != nil {
		return fmt.Errorf("enqueueing for %s: %w", queue, err)
	}
	tx.AfterCommit(j.nudge)
	return nil
}

// nudge has the loop look for work now.
func (j *Jobs) nudge() {
	select {
	case j.wake <- struct{}{}:
	default:
	}
}

// schedule makes the row of every periodic job that has none. The first run is
// due at once.
func (j *Jobs) schedule(ctx context.Context) error {
	missing, err := j.missing(ctx)
	if err != nil || len(missing) == 0 {
		return err
	}
	return j.write(ctx, "scheduling", func(tx *store.Tx) error {
		now := j.now()
		for _, k := range missing {
			slot := k.slot(now)
			var rows int
			if err := tx.QueryRow("SELECT count(*) FROM job WHERE queue = $1", k.name).Scan(&rows); err != nil {
				return err
			}
			if rows > 0 {
				continue // another node was faster
			}
			if _, err := tx.Exec(`INSERT INTO job (id, queue, unique_key, payload, not_before, leased_until, leased_by, attempts, given_up, last_error, succeeded_at, due_at)
				VALUES ($1, $2, $3, $4, $5, 0, '', 0, FALSE, '', 0, $6) ON CONFLICT (queue, unique_key) DO NOTHING`,
				id.New[id.Job](now), k.name, scheduled(k, slot), []byte{}, store.Micros(slot), store.Micros(now)); err != nil {
				return err
			}
		}
		return nil
	})
}

// scheduled is the key of one slot: the same on every node.
func scheduled(k *kind, slot time.Time) string {
	return k.name + "@" + slot.UTC().Format(time.RFC3339Nano)
}

// missing lists the periodic jobs without a row.
func (j *Jobs) missing(ctx context.Context) ([]*kind, error) {
	known := map[string]bool{}
	err := j.db.Read(ctx, func(tx *store.Tx) error {
		return each(tx, func(scan func(...any) error) error {
			var name string
			err := scan(&name)
			known[name] = true
			return err
		}, "SELECT DISTINCT queue FROM job")
	})
	if err != nil {
		return nil, fmt.Errorf("looking for unscheduled jobs: %w", err)
	}
	var missing []*kind
	for _, k := range j.all() {
		if k.every > 0 && !known[k.name] {
			missing = append(missing, k)
		}
	}
	return missing, nil
}

// take leases up to n pieces of work of the kinds that are due.
func (j *Jobs) take(ctx context.Context, kinds []*kind, n int) ([]lease, error) {
	now := j.now()
	marks, args := names(kinds, store.Micros(now), n, j.owner)
	var taken []lease
	err := j.write(ctx, "taking work", func(tx *store.Tx) error {
		taken = nil
		return each(tx, func(scan func(...any) error) error {
			var l lease
			var queue string
			if err := scan(&l.id, &queue, &l.key, &l.payload, &l.attempts); err != nil {
				return err
			}
			l.kind = kindOf(kinds, queue)
			taken = append(taken, l)
			return nil
		}, `UPDATE job SET leased_by = $3, attempts = attempts + 1, leased_until = $1 + `+spans(kinds)+`
			WHERE id IN (SELECT id FROM job WHERE given_up = FALSE AND not_before <= $1 AND leased_until <= $1 AND queue IN (`+marks+`) ORDER BY not_before, id LIMIT $2)
			RETURNING id, queue, unique_key, payload, attempts`, args...)
	})
	return taken, err
}

// spans is the length of the lease by queue, as SQL. The names are written
// $4, $5, …, as names numbers them; the lengths are numbers of ours.
func spans(kinds []*kind) string {
	var b strings.Builder
	b.WriteString("CASE queue")
	for i, k := range kinds {
		fmt.Fprintf(&b, " WHEN $%d THEN %d", i+4, (k.timeout + grace).Microseconds())
	}
	b.WriteString(" END")
	return b.String()
}

// names lists the names of the kinds as parameters behind the first arguments.
func names(kinds []*kind, first ...any) (marks string, args []any) {
	list := make([]string, len(kinds))
	for i, k := range kinds {
		list[i] = fmt.Sprintf("$%d", len(first)+1+i)
		args = append(args, k.name)
	}
	return strings.Join(list, ", "), append(first, args...)
}

// succeeded ends a lease: work of a queue is deleted, a periodic job moves to
// its next slot.
func (j *Jobs) succeeded(ctx context.Context, l lease) error {
	now := j.now()
	return j.write(ctx, "finishing "+l.kind.name, func(tx *store.Tx) error {
		if l.kind.every == 0 {
			_, err := tx.Exec("DELETE FROM job WHERE id = $1 AND leased_by = $2 AND attempts = $3", l.id, j.owner, l.attempts)
			return err
		}
		next := l.kind.slot(now).Add(l.kind.every)
		_, err := tx.Exec(`UPDATE job SET unique_key = $4, not_before = $5, leased_until = 0, leased_by = '', attempts = 0, last_error = '', succeeded_at = $6
			WHERE id = $1 AND leased_by = $2 AND attempts = $3`,
			l.id, j.owner, l.attempts, scheduled(l.kind, next), store.Micros(next), store.Micros(now))
		return err
	})
}

// failed ends a lease after an attempt that failed.
func (j *Jobs) failed(ctx context.Context, l lease, why string) error {
	next := j.now().Add(l.kind.pause(l.attempts))
	givenUp := l.kind.attempts > 0 && l.attempts >= l.kind.attempts
	return j.write(ctx, "recording the failure of "+l.kind.name, func(tx *store.Tx) error {
		_, err := tx.Exec(`UPDATE job SET not_before = $4, leased_until = 0, leased_by = '', last_error = $5, given_up = $6
			WHERE id = $1 AND leased_by = $2 AND attempts = $3`, l.id, j.owner, l.attempts, store.Micros(next), why, givenUp)
		return err
	})
}

// release gives a lease back as if it had never been taken.
func (j *Jobs) release(ctx context.Context, l lease) error {
	return j.write(ctx, "releasing "+l.kind.name, func(tx *store.Tx) error {
		_, err := tx.Exec("UPDATE job SET leased_until = 0, leased_by = '', attempts = attempts - 1 WHERE id = $1 AND leased_by = $2 AND attempts = $3",
			l.id, j.owner, l.attempts)
		return err
	})
}

// takeNow leases a periodic job whether or not it is due.
func (j *Jobs) takeNow(ctx context.Context, k *kind) (l lease, err error) {
	now := j.now()
	err = j.write(ctx, "taking "+k.name, func(tx *store.Tx) error {
		l = lease{kind: k}
		n, err := tx.Exec(`UPDATE job SET leased_by = $1, attempts = attempts + 1, leased_until = $2 WHERE queue = $3 AND leased_until <= $4`,
			j.owner, store.Micros(now.Add(k.timeout+grace)), k.name, store.Micros(now))
		if err != nil {
			return err
		}
		if n == 0 {
			return fault.New(fault.Conflict, "jobs.running", "The job %s is running already.", k.name)
		}
		return tx.QueryRow("SELECT id, unique_key, attempts FROM job WHERE queue = $1", k.name).Scan(&l.id, &l.key, &l.attempts)
	})
	return l, err
}

const (
	keepGivenUp  = 7 * 24 * time.Hour  // what was given up
	keepAnything = 30 * 24 * time.Hour // what nobody has taken for so long: its queue is gone
)

// sweep deletes what was given up or forgotten.
func (j *Jobs) sweep(ctx context.Context) error {
	now := j.now()
	return j.write(ctx, "sweeping", func(tx *store.Tx) error {
		_, err := tx.Exec("DELETE FROM job WHERE leased_until <= $1 AND (given_up = TRUE AND not_before < $2 OR not_before < $3)",
			store.Micros(now), store.Micros(now.Add(-keepGivenUp)), store.Micros(now.Add(-keepAnything)))
		return err
	})
}

func (j *Jobs) write(ctx context.Context, doing string, fn func(tx *store.Tx) error) error {
	err := j.db.Write(ctx, func(tx *store.Tx) error {
		tx.Unaudited(unaudited)
		return fn(tx)
	})
	if err != nil {
		return fmt.Errorf("jobs: %s: %w", doing, err)
	}
	return nil
}

// each reads the rows of a query.
func each(tx *store.Tx, row func(scan func(...any) error) error, query string, args ...any) error {
	rows, err := tx.Query(query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := row(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

func kindOf(kinds []*kind, name string) *kind {
	for _, k := range kinds {
		if k.name == name {
			return k
		}
	}
	return nil
}
