package jobs

import (
	"context"
	"crypto/rand"
	"embed"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"troth/internal/store"
)

// Migrations holds the table of jobs.
//
//go:embed migrations/*.sql
var Migrations embed.FS

// Periodic is work that recurs.
type Periodic struct {
	Name    string                          // unique among jobs and queues: "retention.sweep"
	Every   time.Duration                   // from one scheduled time to the next; the slots count from 1970, in UTC
	Alarm   time.Duration                   // how long success may be absent; 0 is three times Every, at least a minute
	Timeout time.Duration                   // how long one run may take; 0 is Every, at least 10 s, at most an hour
	Run     func(ctx context.Context) error // must bear being run again after a crash
}

// Queue is a kind of work that transactions leave behind.
type Queue struct {
	Name     string
	Run      func(ctx context.Context, payload []byte) error // must bear being run again after a crash
	Attempts int                                             // after so many the work is given up; 0 is 10
	Backoff  time.Duration                                   // before the second attempt, doubled for each further one up to an hour; 0 is 5 s
	Timeout  time.Duration                                   // how long one attempt may take; 0 is a minute
	Alarm    time.Duration                                   // how long work may wait undone; 0 is an hour
}

const (
	workers    = 8                // pieces of work at once
	perQueue   = workers / 2      // of one queue
	grace      = 30 * time.Second // how much longer than the work the lease lasts
	longest    = time.Hour        // the longest backoff and timeout
	maxPayload = 64 << 10
)

// Jobs runs the work of one node.
type Jobs struct {
	db    *store.DB
	now   func() time.Time
	log   *slog.Logger
	owner string // names this node's leases

	mu      sync.Mutex
	kinds   map[string]*kind
	order   []string
	onAlarm []func(Alarm)
	running int
	wake    chan struct{} // work may be due
}

// kind is a periodic job or a queue, as the node runs it.
type kind struct {
	name     string
	every    time.Duration // 0: a queue
	alarm    time.Duration
	timeout  time.Duration
	attempts int // 0: never given up
	backoff  time.Duration
	run      func(ctx context.Context, payload []byte) error

	running   int
	succeeded time.Time // on this node
	alarming  bool
}

// New makes an empty set of jobs. The database holds [Migrations].
func New(db *store.DB, now func() time.Time, log *slog.Logger) *Jobs {
	if now == nil {
		now = time.Now
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Jobs{db: db, now: now, log: log, owner: rand.Text(), kinds: map[string]*kind{}, wake: make(chan struct{}, 1)}
}

// Add registers periodic work, before [Jobs.Run]. A name that is taken, or a
// job that cannot run, stops the program: it is a mistake in the code.
func (j *Jobs) Add(ps ...Periodic) {
	for _, p := range ps {
		if p.Every <= 0 || p.Run == nil {
			panic(fmt.Sprintf("jobs: %q has no period or nothing to run", p.Name))
		}
		j.register(&kind{
			name: p.Name, every: p.Every,
			alarm:   or(p.Alarm, max(3*p.Every, time.Minute)),
			timeout: or(p.Timeout, min(max(p.Every, 10*time.Second), longest)),
			backoff: min(5*time.Second, p.Every),
			run:     func(ctx context.Context, _ []byte) error { return p.Run(ctx) },
		})
	}
}

// AddQueue registers queues, under the same rules.
func (j *Jobs) AddQueue(qs ...Queue) {
	for _, q := range qs {
		if q.Run == nil {
			panic(fmt.Sprintf("jobs: the queue %q has nothing to run", q.Name))
		}
		attempts := q.Attempts
		if attempts <= 0 {
			attempts = 10
		}
		j.register(&kind{
			name: q.Name, attempts: attempts, run: q.Run,
			alarm:   or(q.Alarm, time.Hour),
			timeout: or(q.Timeout, time.Minute),
			backoff: or(q.Backoff, 5*time.Second),
		})
	}
}

func (j *Jobs) register(k *kind) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if k.name == "" || j.kinds[k.name] != nil {
		panic(fmt.Sprintf("jobs: the name %q is empty or taken", k.name))
	}
	j.kinds[k.name] = k
	j.order = append(j.order, k.name)
}

func or(d, standard time.Duration) time.Duration {
	if d > 0 {
		return d
	}
	return standard
}

// slot is the latest scheduled time that is not after t.
func (k *kind) slot(t time.Time) time.Time {
	return t.Add(-time.Duration(((t.UnixNano() % int64(k.every)) + int64(k.every)) % int64(k.every)))
}

// pause is how long to wait before the next attempt.
func (k *kind) pause(attempts int) time.Duration {
	d := k.backoff << min(max(attempts-1, 0), 20)
	if d <= 0 || d > longest {
		d = longest
	}
	if k.every > 0 {
		d = min(d, k.every)
	}
	return d
}
