package edge

import (
	"context"
	"fmt"
	"maps"
	"net"
	"net/http"
	"sync"
	"time"

	"troth/internal/access"
	"troth/internal/fault"
	"troth/internal/id"
)

// A request is decided on once, when it comes. A WebSocket, a stream of events
// or a long poll may last for hours after that, so those that last are asked
// anew once a second: whether the session still stands for the same person in
// the same tenant, with the same role, and whether the rule of the route still
// lets them in. Whoever lost the right is cut off: the request to the
// application is cancelled, and what hangs even then is closed a second later.
// While it cannot be told, the request goes on for watchDoubt and no longer.
//
// One goroutine does it for all. A short request costs its place in a list.
const (
	watchTick  = 500 * time.Millisecond
	watchTicks = 2 // between two looks at the same request
	watchDoubt = 5 * time.Second
)

var errChanged = fault.New(fault.Conflict, "edge.changed",
	"What you may do here has changed while this was under way, so it was ended. Load the page again.")

// watched is a request of a signed-in person that the application is answering.
type watched struct {
	writer  http.ResponseWriter
	request *http.Request // as it came in, but for what was stripped
	cookies []string      // as they came in
	rule    *rule
	id      id.Request
	account id.Account
	tenant  id.Tenant
	session id.Session
	version uint64
	cancel  context.CancelCauseFunc

	prev, next *watched // guarded by watch.mu, as is due
	due        uint64

	sure time.Time // when it was last known to be right; the sweeper's own

	mu     sync.Mutex
	conn   net.Conn // after an upgrade
	lost   error    // why it was cut off
	forced bool     // the connection is of no further use
	over   bool
}

// watch is a queue of requests: whoever is due next comes first.
type watch struct {
	mu   sync.Mutex
	ring watched // its neighbours are the first and the last
	tick uint64
}

// add puts a request at the end of the queue. The lock is held.
func (w *watch) add(x *watched) {
	if w.ring.next == nil {
		w.ring.next, w.ring.prev = &w.ring, &w.ring
	}
	x.due = w.tick + watchTicks
	x.prev, x.next = w.ring.prev, &w.ring
	x.prev.next, x.next.prev = x, x
}

func (w *watch) remove(x *watched) {
	x.prev.next, x.next.prev = x.next, x.prev
	x.prev, x.next = nil, nil
}

// enter begins to watch a request. The context that it returns ends with the
// right to go on.
func (w *watch) enter(v *visit, r *http.Request, rule *rule, cookies []string) context.Context {
	ctx, cancel := context.WithCancelCause(r.Context())
	x := &v.watched
	x.writer, x.request, x.cookies, x.rule, x.cancel, x.id = v.ResponseWriter, r, cookies, rule, cancel, v.id
	s := &v.subject
	x.account, x.tenant, x.session, x.version = s.Account, s.Tenant, s.Session, s.Version
	w.mu.Lock()
	w.add(x)
	w.mu.Unlock()
	return ctx
}

// leave ends the watch. It panics with http.ErrAbortHandler when the
// connection was made unusable, so that no further request meets it.
func (w *watch) leave(x *watched) {
	w.mu.Lock()
	w.remove(x)
	w.mu.Unlock()
	x.mu.Lock()
	x.over = true
	forced := x.forced
	x.mu.Unlock()
	x.cancel(nil)
	if forced {
		panic(http.ErrAbortHandler)
	}
}

// take returns the next request that is due, and puts it at the end.
func (w *watch) take(tick uint64) *watched {
	w.mu.Lock()
	defer w.mu.Unlock()
	x := w.ring.next
	if x == nil || x == &w.ring || x.due > tick {
		return nil
	}
	w.remove(x)
	w.add(x)
	return x
}

// run looks after all requests until ctx ends.
func (w *watch) run(ctx context.Context, e *Edge) {
	t := time.NewTicker(watchTick)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		w.mu.Lock()
		w.tick++
		tick := w.tick
		w.mu.Unlock()
		w.sweep(ctx, e, tick)
	}
}

// sweep looks at every request that is due. Whoever has to be asked may take a
// second for all of them; who was not reached by then is in doubt.
func (w *watch) sweep(ctx context.Context, e *Edge, tick uint64) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	for x := w.take(tick); x != nil; x = w.take(tick) {
		if x.cut() {
			x.force()
			continue
		}
		certain, err := e.still(ctx, x)
		now := time.Now()
		switch {
		case err == nil || x.sure.IsZero() && !certain:
			x.sure = now
		case certain || now.Sub(x.sure) > watchDoubt:
			e.o.Log.Debug("a request was ended: the right to it is gone, or cannot be told", "request", string(x.id), "error", err.Error())
			x.lose(err)
		}
	}
}

func (x *watched) cut() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.lost != nil
}

// lose cancels the request to the application and closes an upgraded
// connection. An answer that has begun is broken off by that: HTTP/2 resets the
// stream, HTTP/1.1 closes the connection.
func (x *watched) lose(err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.over {
		return
	}
	x.lost = err
	x.cancel(err)
	if x.conn != nil {
		go x.conn.Close() // it may wait for a client that takes nothing
	}
}

// force frees a handler that waits for a client that takes nothing.
func (x *watched) force() {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.over || x.conn != nil {
		return
	}
	x.forced = true
	_ = http.NewResponseController(x.writer).SetWriteDeadline(time.Unix(1, 0))
}

// upgraded remembers the connection.
func (x *watched) upgraded(c net.Conn) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.conn = c
	if x.lost != nil {
		go c.Close()
	}
}

// still asks whether a request may go on. An error that is not certain means
// that it cannot be told.
func (e *Edge) still(ctx context.Context, x *watched) (certain bool, err error) {
	defer func() {
		if p := recover(); p != nil {
			certain, err = false, fmt.Errorf("panic: %v", p)
		}
	}()
	if !e.gate.open() {
		return false, errShut
	}
	if err := ctx.Err(); err != nil {
		return false, unknown(err)
	}
	in := x.request
	header := maps.Clone(in.Header)
	header["Cookie"] = x.cookies
	s, err := e.look((&http.Request{Method: in.Method, URL: in.URL, Proto: in.Proto, ProtoMajor: in.ProtoMajor, ProtoMinor: in.ProtoMinor,
		Header: header, Host: in.Host, RemoteAddr: in.RemoteAddr, RequestURI: in.RequestURI, TLS: in.TLS, Body: http.NoBody}).WithContext(ctx))
	switch {
	case err != nil:
		kind := fault.KindOf(err)
		return kind != fault.Internal && kind != fault.Unavailable, unknown(err)
	case s.Kind != access.KindPerson || s.Account != x.account || s.Session != x.session:
		return true, errStranger
	case s.Tenant != x.tenant || s.Version != x.version:
		return true, errChanged // the assertion that the application got is no longer true
	}
	return true, x.rule.admits(s)
}
