package throttle

import (
	"context"
	"crypto/rand"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"troth/internal/keys"
	"troth/internal/store"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrations is the schema of this package.
var Migrations fs.FS = migrations

// Tables are the tables of this package.
var Tables = []string{"throttle_state"}

// Options are what a [Throttle] is made of.
type Options struct {
	DB   *store.DB
	Keys *keys.Keys
	Now  func() time.Time // nil: time.Now
	Log  *slog.Logger     // nil: discard
}

// Throttle is what the limiters of one node share: the key of the digests, and
// the way to the other nodes. It is safe for concurrent use.
type Throttle struct {
	db      *store.DB
	now     func() time.Time
	log     *slog.Logger
	hashers *sync.Pool
	node    string // names this node in the change feed
	pending pending

	mu     sync.Mutex
	states map[string]*state

	syncing sync.Mutex // one Sync at a time
	told    atomic.Bool
	wake    chan struct{}
	readAt  int64 // when the other nodes were read last, in microseconds
}

// state is what a limiter or a set of marks remembers.
type state struct {
	table *table
	marks bool // moments are told as they are, not added up
}

// digestRef is the key of the digests. They live for a day, those of marks for
// as long as marks do.
var digestRef = keys.ServiceRef("throttle")

const keySize = 32

// topic is the topic of the change feed: its keys name the node that told.
const topic = "throttle"

// Open makes the throttle of a migrated database. It watches the change feed, so
// it must be called before db.Run.
func Open(ctx context.Context, o Options) (*Throttle, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if err := o.Keys.Create(ctx, digestRef, keySize); err != nil {
		return nil, fmt.Errorf("making the key of the throttle: %w", err)
	}
	key, err := o.Keys.Secret(ctx, digestRef)
	if err != nil {
		return nil, err
	}
	var node [8]byte
	rand.Read(node[:]) // never fails: crypto/rand stops the program instead
	t := &Throttle{
		db: o.DB, now: o.Now, log: o.Log, hashers: newHashers(key), node: hex.EncodeToString(node[:]),
		states: map[string]*state{}, wake: make(chan struct{}, 1),
	}
	t.pending.init()
	t.db.Watch(topic, t.heard)
	return t, nil
}

// heard notes that another node told something.
func (t *Throttle) heard(node string) {
	if node == t.node {
		return
	}
	t.told.Store(true)
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

func (t *Throttle) micros() int64 { return store.Micros(t.now()) }

// register adds a state under its name, and fills it.
func (t *Throttle) register(ctx context.Context, name string, alone bool, s *state) error {
	t.mu.Lock()
	taken := name == "" || t.states[name] != nil
	if !taken {
		t.states[name] = s
	}
	t.mu.Unlock()
	switch {
	case taken:
		return fmt.Errorf("making the limiter %q: there is one of that name", name)
	case alone:
		return nil
	}
	return t.load(ctx, name, s)
}

func (t *Throttle) state(name string) *state {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.states[name]
}

// flushEvery is how often what was spent is told.
const flushEvery = 250 * time.Millisecond

// Run tells the other nodes what was spent, and hears what they tell, until ctx
// ends. What cannot be told now is told later.
func (t *Throttle) Run(ctx context.Context) error {
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			return ignoring(t.Sync(last))
		case <-tick.C:
		case <-t.wake:
		}
		if err := t.Sync(ctx); err != nil && ctx.Err() == nil {
			t.log.Warn("what was spent of limits could not be told to other nodes", "error", err)
		}
	}
}

// ignoring lets the end of the program pass: a budget that is spent, and not
// known to be, is no reason to end with an error.
func ignoring(error) error { return nil }

// Sync tells what was spent since the last time, if anything was, and reads what
// other nodes told.
func (t *Throttle) Sync(ctx context.Context) error {
	t.syncing.Lock()
	defer t.syncing.Unlock()
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	err := t.flush(ctx)
	if t.told.Swap(false) {
		if rerr := t.read(ctx); rerr != nil {
			t.told.Store(true)
			err = errors.Join(err, rerr)
		}
	}
	return err
}
