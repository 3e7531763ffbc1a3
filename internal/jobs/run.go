package jobs

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"troth/internal/fault"
	"troth/internal/store"
)

const (
	lookSQLite   = 5 * time.Second  // how often to look for work that another process left
	lookPostgres = time.Second      // the same with other nodes
	checkAlarms  = 15 * time.Second // how often to look for the absence of success
	tidyEvery    = time.Hour
	stopGently   = 10 * time.Second // how long running work may go on when the node stops
	stopFirmly   = 10 * time.Second // how long it may take to end once told to
	recordWithin = 15 * time.Second // how long recording an outcome may take
)

// Run does the work until ctx ends. It then lets running work finish for a
// moment, tells the rest to end, and gives back what did not finish, so that
// another node, or this one after its restart, takes it at once.
func (j *Jobs) Run(ctx context.Context) error {
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	var running sync.WaitGroup
	var alarmed, tidied time.Time
	started := j.now()
	for ctx.Err() == nil {
		if j.now().Sub(tidied) >= tidyEvery && j.tidy(ctx) {
			tidied = j.now()
		}
		if j.now().Sub(alarmed) >= checkAlarms {
			alarmed = j.now()
			j.checkAlarms(ctx, started)
		}
		wait, err := j.round(ctx, work, &running)
		if err != nil && ctx.Err() == nil {
			j.log.Error("looking for work", "error", err)
			wait = lookPostgres
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-j.wake:
		case <-timer.C:
		}
		timer.Stop()
	}
	if !within(&running, stopGently) {
		cancel()
		if !within(&running, stopFirmly) {
			return errors.New("jobs: work went on after it was told to end; its leases run out by themselves")
		}
	}
	return nil
}

// within waits for running work, but not longer than d.
func within(wg *sync.WaitGroup, d time.Duration) bool {
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-done:
		return true
	case <-timer.C:
		return false
	}
}

// tidy makes missing rows and deletes old ones.
func (j *Jobs) tidy(ctx context.Context) bool {
	err := errors.Join(j.schedule(ctx), j.sweep(ctx))
	if err != nil && ctx.Err() == nil {
		j.log.Error("tidying the jobs", "error", err)
	}
	return err == nil
}

// round starts the work that is due and says how long to wait for more.
func (j *Jobs) round(ctx, work context.Context, running *sync.WaitGroup) (time.Duration, error) {
	look := lookSQLite
	if j.db.Engine() == store.Postgres {
		look = lookPostgres
	}
	kinds, room := j.idle()
	if room == 0 {
		return look, nil // whoever finishes wakes the loop
	}
	due, any, err := j.due(ctx, kinds)
	if err != nil || !any {
		return look, err
	}
	if wait := due.Sub(j.now()); wait > 0 {
		return min(wait, look), nil
	}
	leases, err := j.take(ctx, kinds, room)
	for _, l := range leases {
		j.count(l.kind, +1)
		running.Go(func() {
			defer j.nudge()
			defer j.count(l.kind, -1)
			j.do(work, l)
		})
	}
	if len(leases) > 0 {
		look = 0 // there may be more
	}
	return look, err
}

// idle lists the kinds that may start more work, and how much.
func (j *Jobs) idle() (kinds []*kind, room int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	room = workers - j.running
	for _, name := range j.order {
		k := j.kinds[name]
		limit := perQueue
		if k.every > 0 {
			limit = 1
		}
		if k.running < limit {
			kinds = append(kinds, k)
			if k.every == 0 {
				room = min(room, limit-k.running)
			}
		}
	}
	if len(kinds) == 0 {
		room = 0
	}
	return kinds, room
}

func (j *Jobs) count(k *kind, n int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	k.running += n
	j.running += n
}

func (j *Jobs) all() []*kind {
	j.mu.Lock()
	defer j.mu.Unlock()
	kinds := make([]*kind, len(j.order))
	for i, name := range j.order {
		kinds[i] = j.kinds[name]
	}
	return kinds
}

// due is when the next work of the kinds is due that nobody has a lease on.
func (j *Jobs) due(ctx context.Context, kinds []*kind) (at time.Time, any bool, err error) {
	marks, args := names(kinds, store.Micros(j.now()))
	err = j.db.Read(ctx, func(tx *store.Tx) error {
		var micros int64
		err := tx.QueryRow("SELECT not_before FROM job WHERE given_up = FALSE AND leased_until <= $1 AND queue IN ("+marks+") ORDER BY not_before LIMIT 1", args...).Scan(&micros)
		if errors.Is(err, store.ErrNoRows) {
			return nil
		}
		at, any = store.FromMicros(micros), true
		return err
	})
	if err != nil {
		return at, false, fmt.Errorf("jobs: looking for due work: %w", err)
	}
	return at, any, nil
}

// do runs one piece of work and records what came of it.
func (j *Jobs) do(work context.Context, l lease) error {
	ctx, cancel := context.WithTimeout(work, l.kind.timeout)
	err := contained(ctx, l)
	cancel()
	record, cancel := context.WithTimeout(context.WithoutCancel(work), recordWithin)
	defer cancel()
	var recorded error
	switch {
	case err == nil:
		recorded = j.succeeded(record, l)
		j.mu.Lock()
		l.kind.succeeded = j.now()
		j.mu.Unlock()
	case work.Err() != nil:
		recorded = j.release(record, l)
	default:
		j.log.Warn("a job failed", "job", l.kind.name, "attempt", l.attempts, "error", err)
		recorded = j.failed(record, l, said(err))
	}
	if recorded != nil {
		j.log.Error("recording the outcome of a job; it will run again", "job", l.kind.name, "error", recorded)
	}
	return err
}

// errExited is the outcome of work that ended its goroutine.
var errExited = errors.New("the job ended its goroutine")

// contained runs the work so that neither a panic nor the end of its goroutine
// reaches anything else.
func contained(ctx context.Context, l lease) error {
	outcome := make(chan error, 1)
	go func() {
		err := errExited
		defer func() {
			if r := recover(); r != nil {
				err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
			}
			outcome <- err
		}()
		err = l.kind.run(ctx, l.payload)
	}()
	return <-outcome
}

// said is what of an error may stand in the table: the sentence of a fault.
// Anything else may quote an address or worse, and is only in the log.
func said(err error) string {
	if f := fault.As(err); f != nil {
		return f.Message.String()
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return "It took too long."
	}
	return "It failed; the reason is in the log."
}

// RunNow runs a periodic job now, on this node, whether or not it is due, and
// returns what it returns. A job that runs at the moment is fault.Conflict, a
// name that is none is fault.NotFound. [Jobs.Run] need not be running.
func (j *Jobs) RunNow(ctx context.Context, name string) error {
	j.mu.Lock()
	k := j.kinds[name]
	j.mu.Unlock()
	if k == nil || k.every == 0 {
		return fault.New(fault.NotFound, "jobs.unknown", "There is no periodic job %q.", name)
	}
	if err := j.schedule(ctx); err != nil {
		return err
	}
	l, err := j.takeNow(ctx, k)
	if err != nil {
		return err
	}
	j.count(k, +1)
	defer j.count(k, -1)
	return j.do(ctx, l)
}
