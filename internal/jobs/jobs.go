package jobs

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"troth/internal/store"
)

// Periodic is work that recurs.
type Periodic struct {
	Name    string                          // unique, "audit.sequence"
	Every   time.Duration                   // from one scheduled time to the next
	Alarm   time.Duration                   // how long success may be absent; 0 is three times Every
	Timeout time.Duration                   // how long one run may take; 0 is Every, at most an hour
	Run     func(ctx context.Context) error // must bear being run again after a crash
}

// Queue is a kind of work that is enqueued with a payload.
type Queue struct {
	Name     string
	Run      func(ctx context.Context, payload []byte) error // must bear being run again after a crash
	Attempts int                                             // after so many failures the work is given up; 0 is 10
	Backoff  time.Duration                                   // before the second attempt, doubled for each further one; 0 is 5 s
	Timeout  time.Duration                                   // how long one attempt may take; 0 is a minute
	Alarm    time.Duration                                   // how long work may wait undone; 0 is an hour
}

// Status is how one job or queue fares.
type Status struct {
	Name        string
	Periodic    bool
	LastSuccess time.Time // zero: never
	LastError   string    // of the last failed attempt since the last success
	Next        time.Time // when the next run is due
	Waiting     int       // pieces of work that are due or scheduled
	Running     int
	Failed      int // pieces of work that were given up
	Alarming    bool
}

// Alarm says that success has been absent for too long.
type Alarm struct {
	Name        string
	LastSuccess time.Time
	Since       time.Time // when success was due
	LastError   string
	Over        bool // success came back
}

// Jobs runs the work of one node.
type Jobs struct{}

var errTODO = errors.New("jobs: not written yet")

// New makes an empty set of jobs.
func New(db *store.DB, now func() time.Time, log *slog.Logger) *Jobs { return &Jobs{} }

func (j *Jobs) Add(ps ...Periodic)                             {}
func (j *Jobs) AddQueue(qs ...Queue)                           {}
func (j *Jobs) OnAlarm(fn func(Alarm))                         {}
func (j *Jobs) Run(ctx context.Context) error                  { return errTODO }
func (j *Jobs) RunNow(ctx context.Context, name string) error  { return errTODO }
func (j *Jobs) Status(ctx context.Context) ([]Status, error)   { return nil, errTODO }
func (j *Jobs) EnqueueTx(tx *store.Tx, queue, uniqueKey string, payload []byte, notBefore time.Time) error {
	return errTODO
}
