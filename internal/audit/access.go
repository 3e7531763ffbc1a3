package audit

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/store"
)

// The bounds of the queue of access lines.
const (
	queueLines   = 1 << 16                // lines that wait at most
	segmentLines = 4096                   // lines in one segment at most
	lineHold     = 500 * time.Millisecond // how long a line waits for the end of its request
	queuePatient = 2 * time.Second        // the age at which the queue refuses
)

// AccessLine is one request, as the front door saw it.
type AccessLine struct {
	At       time.Time // zero is now
	Method   string
	Host     string
	Path     string // never with the query; what is secret in it is redacted by the caller
	Route    string // the pattern that served it
	Status   int    // 0 while the answer is under way
	Bytes    int64  // of the answer's body
	Duration time.Duration
	Account  id.Account // "" of a stranger
	Tenant   id.Tenant  // "" is id.Platform
	Session  id.Session
	Request  id.Request
	IP       netip.Addr
	Agent    string
}

// Line is a queued access line whose request may still be under way.
type Line struct {
	AccessLine
	queue   *lineQueue
	queued  time.Time
	ended   bool
	flushed bool // it is in a segment: the end becomes a line of its own
}

// lineQueue holds the lines that are not durable yet, oldest first.
type lineQueue struct {
	now  func() time.Time
	full chan struct{} // speaks when there is enough for a segment

	mu      sync.Mutex
	lines   []*Line
	writing []*Line // taken by the flusher; they count for age and bound
}

func (q *lineQueue) init(now func() time.Time) {
	q.now, q.full = now, make(chan struct{}, 1)
}

var errQueue = fault.New(fault.Unavailable, "audit.queue", "Requests cannot be recorded at the moment, so none is served. Try again in a few seconds.").In(2 * time.Second)

// ready tells whether a line could be queued now.
func (q *lineQueue) ready(now time.Time) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.readyLocked(now)
}

func (q *lineQueue) readyLocked(now time.Time) error {
	oldest := now
	if len(q.writing) > 0 {
		oldest = q.writing[0].queued
	} else if len(q.lines) > 0 {
		oldest = q.lines[0].queued
	}
	if now.Sub(oldest) > queuePatient || len(q.lines)+len(q.writing) >= queueLines {
		return errQueue
	}
	return nil
}

func (q *lineQueue) add(l *Line) error {
	now := q.now()
	l.queue, l.queued = q, now
	if l.At.IsZero() {
		l.At = now
	}
	q.mu.Lock()
	if err := q.readyLocked(now); err != nil {
		q.mu.Unlock()
		return err
	}
	q.lines = append(q.lines, l)
	enough := len(q.lines) >= segmentLines
	q.mu.Unlock()
	if enough {
		select {
		case q.full <- struct{}{}:
		default:
		}
	}
	return nil
}

// Access queues the line of a request that is over, or of one whose end does
// not matter. It is durable within about a second; a crash before that loses
// it. When lines have not become durable for two seconds, or too many wait, it
// is fault.Unavailable: the request is to be refused.
func (l *Log) Access(line AccessLine) error {
	return l.queue.add(&Line{AccessLine: line, ended: true})
}

// Begin queues the line of a request before it is forwarded, with the errors
// of [Log.Access]; [Line.End] completes it. A request that takes longer than
// half a second is recorded when it begins, and again when it ends.
func (l *Log) Begin(line AccessLine) (*Line, error) {
	queued := &Line{AccessLine: line}
	if err := l.queue.add(queued); err != nil {
		return nil, err
	}
	return queued, nil
}

// End completes the line: status, bytes of the answer's body, duration. Only
// the first call counts.
func (l *Line) End(status int, bytes int64, d time.Duration) {
	q := l.queue
	q.mu.Lock()
	defer q.mu.Unlock()
	if l.ended {
		return
	}
	if !l.flushed {
		l.Status, l.Bytes, l.Duration, l.ended = status, bytes, d, true
		return
	}
	l.ended = true
	end := &Line{AccessLine: l.AccessLine, queue: q, queued: q.now(), ended: true}
	end.Status, end.Bytes, end.Duration = status, bytes, d
	// Not refused for the bound: the request was served, and there are no
	// more requests under way than were let in.
	q.lines = append(q.lines, end)
}

// take moves the lines that are ready to the flusher: those whose request is
// over, and those that waited long enough. The copies do not change any more.
func (q *lineQueue) take(all bool) []AccessLine {
	now := q.now()
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.writing) == 0 { // otherwise the last segment was not written: again
		keep := make([]*Line, 0, min(len(q.lines), 64))
		for i, l := range q.lines {
			if len(q.writing) == segmentLines {
				keep = append(keep, q.lines[i:]...)
				break
			}
			if all || l.ended || now.Sub(l.queued) >= lineHold {
				l.flushed = true
				q.writing = append(q.writing, l)
			} else {
				keep = append(keep, l)
			}
		}
		q.lines = keep
	}
	lines := make([]AccessLine, len(q.writing))
	for i, l := range q.writing {
		lines[i] = l.AccessLine
	}
	return lines
}

// written forgets what the flusher took.
func (q *lineQueue) written() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.writing = nil
}

// Flush makes every queued line and every counted refusal durable.
func (l *Log) Flush(ctx context.Context) error { return l.flush(ctx, true) }

func (l *Log) flush(ctx context.Context, all bool) error {
	l.flushing.Lock()
	defer l.flushing.Unlock()
	for {
		lines := l.queue.take(all)
		if len(lines) == 0 {
			break
		}
		if err := l.writeSegments(ctx, lines); err != nil {
			return fmt.Errorf("recording requests: %w", err)
		}
		l.queue.written()
	}
	if err := l.flushRefusals(ctx, all); err != nil {
		return fmt.Errorf("recording refusals: %w", err)
	}
	l.flushed.Store(l.now().UnixMicro())
	return nil
}

// writeSegments writes the lines as one segment, or as several when more
// persons are in them than a payload has sections.
func (l *Log) writeSegments(ctx context.Context, lines []AccessLine) error {
	for len(lines) > 0 {
		seg := segment(lines)
		lines = lines[seg.lines:]
		e := Event{ID: id.New[id.Event](l.now()), Type: typeSegment, Actor: Actor{Kind: KindSystem, Name: "front door"}}
		if err := l.complete(&e); err != nil {
			return err
		}
		if err := l.writeSegment(ctx, &e, seg); err != nil {
			return err
		}
	}
	return nil
}

// writeSegment writes one segment. After an error that may come behind a
// commit the lines are written again, in another segment: twice is right,
// never is wrong.
func (l *Log) writeSegment(ctx context.Context, e *Event, seg segmented) error {
	return l.db.Write(ctx, func(tx *store.Tx) error {
		if err := l.prepareMonthTx(tx, ClassAccess, monthOf(e.ID)); err != nil {
			return err
		}
		sections, err := l.segmentSections(tx.Context(), e, seg)
		if err != nil {
			return err
		}
		return l.insertTx(tx, e, ClassAccess, sections)
	})
}
