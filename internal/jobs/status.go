package jobs

import (
	"context"
	"fmt"
	"time"

	"troth/internal/store"
)

// Status is how one job or queue fares, on all nodes together.
type Status struct {
	Name        string
	Periodic    bool
	LastSuccess time.Time // zero: never; of a queue: since this process started
	LastError   string    // what the last attempt failed with, unless one succeeded since
	Next        time.Time // when the next work is due; zero: nothing waits
	Waiting     int       // pieces of work that are due or scheduled
	Running     int
	Failed      int // pieces of work that were given up in the last week
	Alarming    bool

	since time.Time // when success was last had, or first possible
	alarm time.Duration
}

// Alarm says that success has been absent for too long, or is back.
type Alarm struct {
	Name        string
	LastSuccess time.Time // zero: never
	Since       time.Time // when success was due
	LastError   string
	Over        bool // success is back
}

// OnAlarm has fn called when success has been absent for too long and when it
// is back. fn must be quick. Register before [Jobs.Run].
func (j *Jobs) OnAlarm(fn func(Alarm)) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.onAlarm = append(j.onAlarm, fn)
}

// Status lists all jobs and queues in the order in which they were added.
func (j *Jobs) Status(ctx context.Context) ([]Status, error) {
	now := j.now()
	found := map[string]*Status{}
	list := make([]Status, 0, len(j.kinds))
	for _, k := range j.all() {
		j.mu.Lock()
		list = append(list, Status{Name: k.name, Periodic: k.every > 0, LastSuccess: k.succeeded, since: now, alarm: k.alarm})
		j.mu.Unlock()
		found[k.name] = &list[len(list)-1]
	}
	err := j.db.Read(ctx, func(tx *store.Tx) error {
		return each(tx, func(scan func(...any) error) error {
			var g group
			if err := scan(&g.name, &g.givenUp, &g.running, &g.n, &g.next, &g.succeeded, &g.due, &g.lastError); err != nil {
				return err
			}
			if s := found[g.name]; s != nil {
				s.add(g, now)
			}
			return nil
		}, `SELECT queue, given_up, CASE WHEN leased_until > $1 THEN 1 ELSE 0 END, count(*), min(not_before), max(succeeded_at), min(due_at), max(last_error)
			FROM job GROUP BY 1, 2, 3`, store.Micros(now))
	})
	if err != nil {
		return nil, fmt.Errorf("jobs: reading the status: %w", err)
	}
	for i := range list {
		list[i].Alarming = list[i].Failed > 0 && !list[i].Periodic || now.Sub(list[i].since) > list[i].alarm
	}
	return list, nil
}

// group is some rows of one kind.
type group struct {
	name                 string
	givenUp              bool
	running, n           int
	next, succeeded, due int64
	lastError            string
}

// add counts some rows of the kind.
func (s *Status) add(g group, now time.Time) {
	if g.lastError != "" {
		s.LastError = g.lastError
	}
	next := store.FromMicros(g.next)
	switch {
	case g.givenUp:
		s.Failed += g.n
		return
	case g.running == 1:
		s.Running += g.n
	default:
		s.Waiting += g.n
		if s.Next.IsZero() || next.Before(s.Next) {
			s.Next = next
		}
	}
	// A periodic job succeeded last when it did, a queue is as far behind as
	// its oldest work.
	since := store.FromMicros(g.due)
	if s.Periodic {
		s.LastSuccess = store.FromMicros(g.succeeded)
		since = store.FromMicros(max(g.succeeded, g.due))
	}
	if since.Before(s.since) {
		s.since = since
	}
}

// checkAlarms reports what began or ceased to be overdue. Work that could not
// run because no node did gets the time of one run first.
func (j *Jobs) checkAlarms(ctx context.Context, started time.Time) {
	list, err := j.Status(ctx)
	if err != nil {
		if ctx.Err() == nil {
			j.log.Error("looking for overdue jobs", "error", err)
		}
		return
	}
	now := j.now()
	for _, s := range list {
		j.mu.Lock()
		k, fns := j.kinds[s.Name], j.onAlarm
		tooEarly := now.Sub(started) < min(k.alarm, k.timeout+grace)
		changed := s.Alarming != k.alarming && !(s.Alarming && tooEarly)
		if changed {
			k.alarming = s.Alarming
		}
		j.mu.Unlock()
		if !changed {
			continue
		}
		a := Alarm{Name: s.Name, LastSuccess: s.LastSuccess, Since: s.since.Add(s.alarm), LastError: s.LastError, Over: !s.Alarming}
		j.log.Warn("a job's success", "job", s.Name, "absent", s.Alarming, "last_success", s.LastSuccess)
		for _, fn := range fns {
			fn(a)
		}
	}
}
