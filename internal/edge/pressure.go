package edge

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"runtime"
	"sync/atomic"
	"time"
)

// Whoever is signed in comes first. While requests wait for a place in the room,
// what arrives on a connection on which nobody has been signed in yet is handed on
// one connection at a time: the rest of a flood stays where it is, in the buffers
// of the network, instead of as many goroutines that all want the processor
// before the page of somebody else has it. It is a pause and no stop, because
// what is in the room may need the rest of its body.
const (
	turnLook = time.Millisecond
	turnMost = 100 * time.Millisecond
)

// turns hands on what arrives, one connection at a time.
type turns struct {
	room *room
	one  chan struct{}
}

func newTurns(room *room) *turns { return &turns{room: room, one: make(chan struct{}, 1)} }

// wait lets a connection go on when it is its turn, at once if nobody waits.
func (t *turns) wait() {
	if !t.room.pressed() && len(t.one) == 0 {
		return
	}
	t.one <- struct{}{}
	defer func() { <-t.one }()
	for waited := time.Duration(0); t.room.pressed() && waited < turnMost; waited += turnLook {
		time.Sleep(turnLook)
	}
}

// Read hands on what arrived when it is the connection's turn.
func (c *patientConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 && !c.known.Load() {
		runtime.Gosched() // what others have just sent reaches the room first, so that it is seen who waits
		c.turns.wait()
	}
	return n, err
}

// connKey is where a request's connection is in its context.
type connKey struct{}

// withConn remembers the connection of the requests that come on it.
func withConn(ctx context.Context, c net.Conn) context.Context {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	if mine, ok := c.(*patientConn); ok {
		return context.WithValue(ctx, connKey{}, &mine.known)
	}
	return ctx
}

// vouch says that somebody on the request's connection is signed in.
func vouch(r *http.Request) {
	if known, ok := r.Context().Value(connKey{}).(*atomic.Bool); ok && !known.Load() {
		known.Store(true)
	}
}
