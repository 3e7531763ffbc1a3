package store

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"troth/internal/fault"
)

const (
	maxBatch   = 256                    // transactions that share one commit
	maxHold    = 50 * time.Millisecond  // how long the first of a batch waits for the others
	linger     = 500 * time.Microsecond // how long a batch waits for writers that were here a moment ago
	giveWay    = 200 * time.Millisecond // after so long without a pause …
	giveWayFor = 5 * time.Millisecond   // … other processes get one
)

// writer is the one writer of an SQLite file within this process. Writes queue
// up first in, first out; it takes what has queued up, lets each run in a
// savepoint of its own, commits once, and acknowledges all.
//
// A write runs on the goroutine of its caller, which has the turn meanwhile:
// a panic unwinds the right stack.
type writer struct {
	s     *sqliteDB
	pool  *sql.DB
	conn  *sql.Conn
	raw   *conn
	queue chan *turn
	ran   chan struct{} // the caller whose turn it is has run
	gone  chan struct{} // the loop has ended

	mu     sync.RWMutex // held for reading while enqueuing
	closed bool
	last   int       // size of the last batch
	busy   time.Time // since when there was no pause
}

// turn is one Write in the queue.
type turn struct {
	taken atomic.Bool // by the writer, or by a caller that gave up
	start chan error  // nil gives the turn, an error refuses it
	done  chan error  // the commit's outcome
	began bool        // whether its savepoint is open

	// What the run came to, and why the engine cannot keep it; the caller's
	// until it has run, the writer's afterwards.
	err, spoilt error
}

var (
	errPanicked = errors.New("store: the transaction's function did not return")
	errVanished = errors.New("store: SQLite gave the transaction up") // a full disk, an I/O error
)

func (s *sqliteDB) openWriter(ctx context.Context) (*writer, error) {
	connector, err := newConnector(s.uri(), s.initWriter)
	if err != nil {
		return nil, err
	}
	w := &writer{s: s, pool: sql.OpenDB(connector), queue: make(chan *turn, maxQueue), ran: make(chan struct{}, 1), gone: make(chan struct{})}
	if w.conn, err = w.pool.Conn(ctx); err != nil {
		w.pool.Close()
		return nil, err
	}
	w.conn.Raw(func(c any) error { w.raw = c.(*conn); return nil })
	// Reading the schema tells a wrong key; it also makes the WAL, whose name
	// has to be durable before anything in it is.
	var n int
	err = w.conn.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_master").Scan(&n)
	if err == nil {
		// The index of the WAL holds page numbers only, but is nobody's business.
		err = errors.Join(os.Chmod(s.path+"-shm", 0o600), syncFolder(filepath.Dir(s.path)))
	}
	if err != nil {
		w.conn.Close()
		w.pool.Close()
		return nil, err
	}
	go w.loop()
	return w, nil
}

// write queues fn, runs it when its turn has come, and waits for the commit.
func (w *writer) write(ctx context.Context, fn func(*Tx) error) error {
	injected := w.s.db.inject("write")
	t := &turn{start: make(chan error, 1), done: make(chan error, 1)}
	if err := w.enqueue(t); err != nil {
		return err
	}
	if err := w.await(ctx, t); err != nil {
		return err
	}
	ctx, cancel := deadline(ctx, maxWrite)
	defer cancel()
	// A statement is not interrupted: SQLite would undo the whole batch.
	statements, finished := context.WithCancel(context.WithoutCancel(ctx))
	tx := &Tx{db: w.s.db, ctx: ctx, stmtCtx: statements, q: &savepoint{w, t}}
	w.run(t, finished, func() error {
		if err := fn(tx); err != nil {
			return err
		}
		if err := tx.finish(); err != nil {
			return err
		}
		return injected.before()
	})
	if broken(t.err) {
		return w.s.unkept(t.err)
	}
	if t.err != nil {
		return t.err
	}
	if err := errors.Join(<-t.done, injected.after()); err != nil {
		return err
	}
	tx.committed()
	return nil
}

func (w *writer) enqueue(t *turn) error {
	w.mu.RLock()
	defer w.mu.RUnlock()
	if w.closed {
		return fault.New(fault.Unavailable, "store.closed", "Troth is stopping; try again in a moment.")
	}
	select {
	case w.queue <- t:
		return nil
	default:
		return errFull
	}
}

// await waits for the turn. Whoever gives up first, the caller or the writer,
// takes the turn from the other.
func (w *writer) await(ctx context.Context, t *turn) error {
	timer := time.NewTimer(maxWait)
	defer timer.Stop()
	var why error
	select {
	case err := <-t.start:
		return err
	case <-ctx.Done():
		why = ctx.Err()
	case <-timer.C:
		why = context.DeadlineExceeded
	}
	if !t.taken.CompareAndSwap(false, true) {
		return <-t.start
	}
	return waited(why)
}

// run runs fn on the caller's goroutine and gives the turn back however it ends.
// What fn leaves open is closed before, while the connection is the caller's.
func (w *writer) run(t *turn, finished func(), fn func() error) {
	t.err = errPanicked
	defer func() {
		t.spoilt = w.raw.end()
		finished()
		w.ran <- struct{}{}
	}()
	w.raw.begin()
	t.err = fn()
}

func (w *writer) loop() {
	defer close(w.gone)
	for t := range w.queue {
		if !t.taken.CompareAndSwap(false, true) {
			continue
		}
		if err := w.batch(t); err != nil {
			w.s.db.opts.Log.Error("a batch of writes was given up", "error", err)
		}
		w.pause()
	}
}

// pause lets other processes in: SQLite has no queue between processes, and
// one that never lets go starves the others.
func (w *writer) pause() {
	switch now := time.Now(); {
	case len(w.queue) == 0:
		w.busy = now
	case now.Sub(w.busy) > giveWay:
		time.Sleep(giveWayFor)
		w.busy = time.Now()
	}
}

// batch runs the first turn and those that queue up behind it, commits, and
// tells each what came of it. Its error is for the operator.
func (w *writer) batch(first *turn) error {
	if err := w.exec("BEGIN IMMEDIATE"); err != nil {
		first.start <- w.s.unkept(w.s.refusal(err))
		return err
	}
	var members []*turn
	began := time.Now()
	size := 0
	for t := first; t != nil; t = w.next(size, began) {
		size++
		ok, err := w.give(t)
		if err != nil {
			return w.giveUp(append(members, t), err)
		}
		if ok {
			members = append(members, t)
		}
	}
	w.last = size
	if len(members) == 0 {
		return w.exec("ROLLBACK")
	}
	// Looked at last: what is acknowledged is in the file at the path.
	if err := w.s.files.check(); err != nil {
		return w.giveUp(members, err)
	}
	if err := w.exec("COMMIT"); err != nil {
		return w.giveUp(members, err)
	}
	for _, t := range members {
		t.done <- nil
	}
	return nil
}

// give lets one turn run and keeps or undoes its part. An error means that the
// whole batch is lost.
func (w *writer) give(t *turn) (kept bool, err error) {
	t.start <- nil
	<-w.ran
	if w.raw.Raw().GetAutocommit() {
		return false, errors.Join(errVanished, t.spoilt)
	}
	switch {
	case t.err != nil || t.spoilt != nil:
		t.done <- t.spoilt // for a caller who believes that all went well
		if !t.began {
			return false, nil
		}
		if err := w.exec("ROLLBACK TO part"); err != nil {
			return false, err
		}
		return false, w.exec("RELEASE part")
	case t.began:
		return true, w.exec("RELEASE part")
	default:
		return true, nil
	}
}

// next is the next turn of a batch. When fewer came than the last time it
// waits a moment: those who were just acknowledged are about to write again.
func (w *writer) next(size int, began time.Time) *turn {
	if size >= maxBatch || time.Since(began) > maxHold {
		return nil
	}
	for {
		var t *turn
		select {
		case t = <-w.queue:
		default:
			if size >= w.last {
				return nil
			}
			timer := time.NewTimer(linger)
			select {
			case t = <-w.queue:
				timer.Stop()
			case <-timer.C:
				return nil
			}
		}
		if t == nil || t.taken.CompareAndSwap(false, true) {
			return t // nil: the queue is closed
		}
	}
}

// giveUp undoes the batch and tells everyone in it: nothing of it is stored.
func (w *writer) giveUp(members []*turn, err error) error {
	if !w.raw.Raw().GetAutocommit() {
		err = errors.Join(err, w.exec("ROLLBACK"))
	}
	told := w.s.unkept(err)
	for _, t := range members {
		t.done <- told
	}
	return err
}

// exec runs a statement of the writer's own, straight on the driver.
func (w *writer) exec(query string) error {
	_, err := w.raw.ExecContext(context.Background(), query, nil)
	return err
}

func (w *writer) close() error {
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		return nil
	}
	w.closed = true
	close(w.queue)
	w.mu.Unlock()
	<-w.gone
	return errors.Join(w.conn.Close(), w.pool.Close())
}

// savepoint runs the statements of one turn on the writer's connection; the
// first one opens the part of the transaction that can be undone alone.
type savepoint struct {
	w *writer
	t *turn
}

func (s *savepoint) begin() error {
	if s.t.began {
		return nil
	}
	s.t.began = true
	return s.w.exec("SAVEPOINT part")
}

func (s *savepoint) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	if err := s.begin(); err != nil {
		return nil, err
	}
	return s.w.conn.ExecContext(ctx, query, args...)
}

func (s *savepoint) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	if err := s.begin(); err != nil {
		return nil, err
	}
	return s.w.conn.QueryContext(ctx, query, args...)
}

func (s *savepoint) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	if err := s.begin(); err != nil {
		return failedRow(err)
	}
	return s.w.conn.QueryRowContext(ctx, query, args...)
}
