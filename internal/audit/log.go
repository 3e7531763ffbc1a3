package audit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/keys"
	"troth/internal/store"
)

// The loops' rhythm and the ages at which the log is no longer healthy.
const (
	sequenceEvery = 250 * time.Millisecond
	flushEvery    = 500 * time.Millisecond
	monthsEvery   = time.Hour
	aliveWithin   = 10 * time.Second
)

// Options are what a Log needs besides the store and the keys.
type Options struct {
	Origin    string           // the log's name, such as "example.org"; the first start fixes it
	Types     []Type           // of all packages
	Published string           // file that keeps the last published checkpoint outside of the database; "" keeps none
	Names     Names            // what people are called now; nil calls nobody anything
	Now       func() time.Time // time.Now when nil
	Log       *slog.Logger     // discards when nil
}

// Names says what a person is called now: an event holds accounts, not names.
// "" is for an account that is destroyed or unknown. It reads, and may be asked
// for each event of a list; the answers of one list are remembered.
type Names func(ctx context.Context, account id.Account) (string, error)

// Log is the log of an installation.
type Log struct {
	db    *store.DB
	keys  *keys.Keys
	now   func() time.Time
	log   *slog.Logger
	types map[string]*kind
	names Names

	origin string
	signer *signer
	file   publishedFile

	months  months
	refused refusals
	queue   lineQueue

	sequencing sync.Mutex
	flushing   sync.Mutex
	running    atomic.Bool
	sequenced  atomic.Int64 // when the sequencer last succeeded, microseconds
	flushed    atomic.Int64 // when the flusher last succeeded, microseconds
}

// New opens the log: it registers the types, makes the signing key and the
// month tables that are missing, fixes the origin at the first start, and
// compares the head with the last published checkpoint. The store must have
// been migrated.
func New(db *store.DB, k *keys.Keys, o Options) (*Log, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	l := &Log{db: db, keys: k, names: o.Names, now: o.Now, log: o.Log, file: publishedFile{path: o.Published, now: o.Now}}
	var err error
	if l.types, err = register(withOwn(o.Types)); err != nil {
		return nil, err
	}
	l.refused.init()
	l.queue.init(o.Now)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := l.open(ctx, o.Origin); err != nil {
		return nil, fmt.Errorf("opening the log: %w", err)
	}
	return l, nil
}

func (l *Log) open(ctx context.Context, origin string) error {
	if err := l.createKey(ctx, keys.TenantRef(id.Platform), keySize); err != nil {
		return fmt.Errorf("making the platform's key: %w", err)
	}
	if err := l.PrepareMonths(ctx); err != nil {
		return err
	}
	if err := l.fixOrigin(ctx, origin); err != nil {
		return err
	}
	if err := l.openSigner(ctx); err != nil {
		return err
	}
	return l.compareWithPublished(ctx)
}

// Origin is the log's name: the first line of its checkpoints.
func (l *Log) Origin() string { return l.origin }

// Run sequences and flushes until ctx ends, and then once more, so that an
// orderly stop leaves nothing behind. One Run a process; several processes on
// one database are safe.
func (l *Log) Run(ctx context.Context) error {
	if !l.running.CompareAndSwap(false, true) {
		return errors.New("audit: Run runs already")
	}
	defer l.running.Store(false)
	l.alive()
	var loops sync.WaitGroup
	loops.Go(func() { l.every(ctx, sequenceEvery, nil, l.sequenceTurn) })
	loops.Go(func() { l.every(ctx, flushEvery, l.queue.full, l.flushTurn) })
	loops.Go(func() { l.every(ctx, monthsEvery, nil, l.PrepareMonths) })
	loops.Wait()
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if err := l.Flush(last); err != nil {
		return fmt.Errorf("flushing at the end: %w", err)
	}
	if _, err := l.Sequence(last); err != nil {
		return fmt.Errorf("sequencing at the end: %w", err)
	}
	return ctx.Err()
}

func (l *Log) alive() {
	l.sequenced.Store(l.now().UnixMicro())
	l.flushed.Store(l.now().UnixMicro())
}

// every calls fn at each beat, and at once when hurry speaks.
func (l *Log) every(ctx context.Context, beat time.Duration, hurry <-chan struct{}, fn func(context.Context) error) {
	t := time.NewTicker(beat)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		case <-hurry:
		}
		if err := fn(ctx); err != nil && ctx.Err() == nil {
			l.log.Error("the log did not advance", "err", err)
		}
	}
}

func (l *Log) sequenceTurn(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	_, err := l.Sequence(ctx)
	return err
}

func (l *Log) flushTurn(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	return l.flush(ctx, false)
}

// Healthy returns nil while Run is alive and both of its loops succeeded
// within ten seconds, and otherwise the reason, a fault.Unavailable.
func (l *Log) Healthy() error {
	if !l.running.Load() {
		return fault.New(fault.Unavailable, "audit.stopped", "The log is not running.")
	}
	now := l.now()
	if now.Sub(time.UnixMicro(l.sequenced.Load())) > aliveWithin {
		return fault.New(fault.Unavailable, "audit.sequencer", "The log has not advanced for ten seconds.")
	}
	if now.Sub(time.UnixMicro(l.flushed.Load())) > aliveWithin {
		return fault.New(fault.Unavailable, "audit.flusher", "Requests have not been recorded for ten seconds.")
	}
	return l.queue.ready(now)
}
