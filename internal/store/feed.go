package store

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"troth/internal/id"
)

const (
	pollEvery  = 250 * time.Millisecond
	freshFor   = time.Second     // how old the feed may be before caches must not be trusted
	overlap    = time.Minute     // how far back every poll looks: no transaction takes longer
	keepFor    = 5 * time.Minute // how long the entries stay in the table
	sweepEvery = time.Minute
	maxChanges = 20000 // entries of one overlap that a node looks at singly
)

// change is one entry of the feed.
type change struct {
	id         id.Change
	topic, key string
}

// feed is what one node knows about the change feed.
type feed struct {
	mu       sync.Mutex
	watchers map[string][]func(string)
	seen     map[id.Change]bool // what the last poll found, and what this node did since
	polled   time.Time          // when the last poll that succeeded began
	started  time.Time
	beat     atomic.Int64 // when polled began, as a duration since started, for Fresh
}

func (f *feed) init() {
	f.watchers = map[string][]func(string){}
	f.seen = map[id.Change]bool{}
	f.started = time.Now()
}

// Watch has fn called with the key of every [Tx.Changed] under the topic: at
// once for transactions of this node, within a second for those of others, at
// least once each. An empty key says that anything under the topic may have
// changed: the feed was out of reach for too long, or too much changed at
// once. fn must be quick and must not use the store. Watch before [DB.Run].
func (db *DB) Watch(topic string, fn func(key string)) {
	db.feed.mu.Lock()
	defer db.feed.mu.Unlock()
	db.feed.watchers[topic] = append(db.feed.watchers[topic], fn)
}

// Fresh reports whether the feed was read within the last second. While it is
// false a cache may hold what another node changed, and must not be trusted.
// It takes no lock: every request asks.
func (db *DB) Fresh() bool {
	// The program's own clock, not Options.Now: it counts how long a loop of
	// this process has been silent.
	beat := db.feed.beat.Load()
	return beat != 0 && time.Since(db.feed.started)-time.Duration(beat) < freshFor
}

// Run reads the change feed until ctx ends.
func (db *DB) Run(ctx context.Context) error {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	var swept time.Time
	for {
		if err := db.poll(ctx); err != nil && ctx.Err() == nil {
			db.opts.Log.Warn("reading the change feed", "error", err)
		}
		if time.Since(swept) > sweepEvery {
			swept = time.Now()
			if err := db.sweep(ctx); err != nil && ctx.Err() == nil {
				db.opts.Log.Warn("sweeping the change feed", "error", err)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// poll reads every entry of the last minute and hands on what is new. It keeps
// no high-water mark: a transaction may commit after one that began later, and
// its entry would stay below the mark unseen.
func (db *DB) poll(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	began := time.Now()
	var found []change
	err := db.engine.read(ctx, func(tx *Tx) error {
		query := "SELECT id, topic, key FROM store_change WHERE changed_at >= " + db.engine.dialect().now + " - $1 ORDER BY changed_at, id LIMIT $2"
		return scanAll(tx.stmtCtx, tx.q, query, func(scan func(...any) error) error {
			var c change
			err := scan(&c.id, &c.topic, &c.key)
			found = append(found, c)
			return err
		}, overlap.Microseconds(), maxChanges+1)
	})
	if err != nil {
		return fmt.Errorf("polling: %w", err)
	}
	db.feed.merge(found, began)
	return nil
}

// sweep removes what no poll looks at any more.
func (db *DB) sweep(ctx context.Context) error {
	return db.engine.alone(ctx, "DELETE FROM store_change WHERE changed_at < "+db.engine.dialect().now+" - $1", keepFor.Microseconds())
}

// merge hands on what a poll found and this node has not seen.
func (f *feed) merge(found []change, began time.Time) {
	f.mu.Lock()
	gap := !f.polled.IsZero() && began.Sub(f.polled) > overlap/2
	f.mu.Unlock()
	if gap || len(found) > maxChanges {
		f.everything()
	}
	f.deliver(found)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.polled = began
	f.beat.Store(int64(max(began.Sub(f.started), 1)))
	f.seen = make(map[id.Change]bool, len(found))
	for _, c := range found {
		f.seen[c.id] = true
	}
}

// local hands on what a transaction of this node changed.
func (f *feed) local(changes []change) {
	if len(changes) > 0 {
		f.deliver(changes)
	}
}

func (f *feed) deliver(changes []change) {
	for _, c := range changes {
		f.mu.Lock()
		var fns []func(string)
		if !f.seen[c.id] {
			fns = f.watchers[c.topic]
		}
		f.mu.Unlock()
		for _, fn := range fns {
			fn(c.key)
		}
		f.mu.Lock()
		if len(f.seen) < 2*maxChanges {
			f.seen[c.id] = true
		}
		f.mu.Unlock()
	}
}

// everything tells every watcher that anything may have changed.
func (f *feed) everything() {
	f.mu.Lock()
	var fns []func(string)
	for _, w := range f.watchers {
		fns = append(fns, w...)
	}
	f.mu.Unlock()
	for _, fn := range fns {
		fn("")
	}
}

// writeChanges records what the transaction changed, in the transaction.
func (tx *Tx) writeChanges() error {
	query := "INSERT INTO store_change (id, topic, key, changed_at) VALUES ($1, $2, $3, " + tx.db.engine.dialect().now + ")"
	for _, c := range tx.changes {
		if _, err := tx.q.ExecContext(tx.stmtCtx, query, c.id, c.topic, c.key); err != nil {
			return fmt.Errorf("recording a change: %w", err)
		}
	}
	return nil
}
