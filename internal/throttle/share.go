package throttle

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"troth/internal/store"
)

// The bounds of what is told.
const (
	flushRows  = 500              // keys that are told in one transaction
	maxPending = 8192             // keys that wait to be told
	readRows   = 10_000           // keys that are read at once, the newest first
	overlap    = 10 * time.Second // how far before the last reading the next begins: clocks differ, and a transaction takes time
)

// pendingKey is a key of a limiter.
type pendingKey struct {
	name string
	key  Key
}

// pending is what was spent and has not been told yet. Its maps are reused.
type pending struct {
	mu    sync.Mutex
	spent map[pendingKey]int64
	spare map[pendingKey]int64
}

func (p *pending) init() {
	p.spent = make(map[pendingKey]int64, maxPending)
	p.spare = make(map[pendingKey]int64, flushRows)
}

// add notes what was spent, or given back.
func (p *pending) add(name string, k Key, v int64) {
	key := pendingKey{name, k}
	p.mu.Lock()
	defer p.mu.Unlock()
	old, ok := p.spent[key]
	switch {
	case !ok && len(p.spent) >= maxPending:
	case !ok:
		p.spent[key] = v
	case old+v == 0:
		delete(p.spent, key)
	default:
		p.spent[key] = old + v
	}
}

// set notes the moment of a mark.
func (p *pending) set(name string, k Key, until int64) {
	key := pendingKey{name, k}
	p.mu.Lock()
	defer p.mu.Unlock()
	if old, ok := p.spent[key]; ok || len(p.spent) < maxPending {
		p.spent[key] = max(old, until)
	}
}

// of is what waits for a key.
func (p *pending) of(key pendingKey) int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.spent[key]
}

// take takes as much as one transaction tells.
func (p *pending) take() map[pendingKey]int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	clear(p.spare)
	for key, v := range p.spent {
		if len(p.spare) == flushRows {
			break
		}
		p.spare[key] = v
		delete(p.spent, key)
	}
	return p.spare
}

// flush tells what was spent: the database adds up what all nodes spent.
func (t *Throttle) flush(ctx context.Context) error {
	batch := t.pending.take()
	if len(batch) == 0 {
		return nil
	}
	var found map[pendingKey]int64
	err := t.db.Write(ctx, func(tx *store.Tx) error {
		tx.Unaudited("budgets are counted; what is refused for them is recorded by whoever refuses")
		found = make(map[pendingKey]int64, len(batch))
		now := t.micros()
		for _, key := range inOrder(batch) {
			v := batch[key]
			until, err := tellTx(tx, key, v, t.state(key.name).marks, now)
			if err != nil {
				return err
			}
			found[key] = until
		}
		tx.Changed(topic, t.node)
		return nil
	})
	if err != nil {
		for key, v := range batch {
			if t.state(key.name).marks {
				t.pending.set(key.name, key.key, v)
			} else {
				t.pending.add(key.name, key.key, v)
			}
		}
		return fmt.Errorf("telling what was spent: %w", err)
	}
	for key, until := range found {
		t.learn(key, until)
	}
	return nil
}

// inOrder are the keys of a batch in the one order in which all nodes write
// them, so that none waits for another in a circle.
func inOrder(batch map[pendingKey]int64) []pendingKey {
	return slices.SortedFunc(maps.Keys(batch), func(a, b pendingKey) int {
		return cmp.Or(cmp.Compare(a.name, b.name), bytes.Compare(a.key[:], b.key[:]))
	})
}

// tellTx adds what was spent to what the database knows, and returns the moment
// that follows from both.
func tellTx(tx *store.Tx, key pendingKey, v int64, marks bool, now int64) (until int64, err error) {
	if marks {
		err = tx.QueryRow(`INSERT INTO throttle_state (limiter, digest, until, changed_at) VALUES ($1, $2, $3, $4)
			ON CONFLICT (limiter, digest) DO UPDATE SET changed_at = excluded.changed_at,
				until = CASE WHEN throttle_state.until > excluded.until THEN throttle_state.until ELSE excluded.until END
			RETURNING until`, key.name, key.key[:], v, now).Scan(&until)
		return until, err
	}
	err = tx.QueryRow(`INSERT INTO throttle_state (limiter, digest, until, changed_at) VALUES ($1, $2, $3, $4)
		ON CONFLICT (limiter, digest) DO UPDATE SET changed_at = excluded.changed_at,
			until = $5 + CASE WHEN throttle_state.until > $6 THEN throttle_state.until ELSE $7 END
		RETURNING until`, key.name, key.key[:], now+v, now, v, now, now).Scan(&until)
	return until, err
}

// learn takes a moment that the database knows of: nothing that is spent on
// another node is unspent here.
func (t *Throttle) learn(key pendingKey, until int64) {
	s := t.state(key.name)
	if s == nil {
		return // a limiter that this version of the program does not have
	}
	if !s.marks {
		until += t.pending.of(key)
	}
	if until <= t.micros() {
		return
	}
	set, lock := s.table.corner(key.key)
	raise(set, key.key, until)
	lock.Unlock()
}

// read reads what was told since the last time.
func (t *Throttle) read(ctx context.Context) error {
	since := t.readAt - overlap.Microseconds()
	began := t.micros()
	err := t.each(ctx, `SELECT limiter, digest, until FROM throttle_state WHERE changed_at >= $1 ORDER BY changed_at DESC LIMIT $2`, since, readRows)
	if err == nil {
		t.readAt = began
	}
	return err
}

// load fills a state at the start.
func (t *Throttle) load(ctx context.Context, name string, s *state) error {
	return t.each(ctx, `SELECT limiter, digest, until FROM throttle_state WHERE limiter = $1 AND until > $2 ORDER BY until DESC LIMIT $3`,
		name, t.micros(), len(s.table.sets)*ways)
}

// each learns from the rows of a query.
func (t *Throttle) each(ctx context.Context, query string, args ...any) error {
	err := t.db.Read(ctx, func(tx *store.Tx) error {
		rows, err := tx.Query(query, args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var key pendingKey
			var digest []byte
			var until int64
			if err := rows.Scan(&key.name, &digest, &until); err != nil {
				return err
			}
			if copy(key.key[:], digest) != len(key.key) {
				return errors.New("a digest is too short")
			}
			t.learn(key, until)
		}
		return rows.Err()
	})
	if err != nil {
		return fmt.Errorf("reading what was spent: %w", err)
	}
	return nil
}

// sweepLimit is how many rows one transaction removes.
const sweepLimit = 1000

// SweepTx removes rows whose moment has passed, and returns how many.
func SweepTx(tx *store.Tx, now time.Time) (int64, error) {
	return tx.Exec(`DELETE FROM throttle_state WHERE (limiter, digest) IN
		(SELECT limiter, digest FROM throttle_state WHERE until <= $1 LIMIT $2)`, store.Micros(now), sweepLimit)
}
