package edge

import (
	"context"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"troth/internal/web"
)

// The bounds of requests that cost an effort (web.Route.Cost), of all of them
// together: so many are worked on at once, whatever they wait for there, and so
// many wait for their turn, for so long. While as many wait, all others are
// refused with as little work as can be, before anything of their body is read.
// Whoever sends a body slowly holds no place meanwhile. What a flood of sign-ins
// takes from the pages of others is bounded by that (CWE-400).
const (
	roomInside  = 256
	roomWaiting = 1024
	roomPatient = 5 * time.Second
)

// room is where requests that cost an effort are worked on.
type room struct {
	inside  chan struct{}
	waiting atomic.Int64
	queue   int64
	patient time.Duration
}

func newRoom() *room {
	return &room{inside: make(chan struct{}, roomInside), queue: roomWaiting, patient: roomPatient}
}

// full reports whether as many wait as may.
func (m *room) full() bool { return m.waiting.Load() >= m.queue }

// pressed reports whether somebody waits.
func (m *room) pressed() bool { return m.waiting.Load() > 0 }

// Enter waits for a place, and reports whether there is one; then Leave gives it
// back.
func (m *room) Enter(ctx context.Context) bool {
	select {
	case m.inside <- struct{}{}:
		return true
	default:
	}
	if m.waiting.Add(1) > m.queue {
		m.waiting.Add(-1)
		return false
	}
	defer m.waiting.Add(-1)
	t := time.NewTimer(m.patient)
	defer t.Stop()
	select {
	case m.inside <- struct{}{}:
		return true
	case <-t.C:
	case <-ctx.Done():
	}
	return false
}

// Leave gives a place back.
func (m *room) Leave() { <-m.inside }

// crowdedText is the whole answer to a request for which there is no room: what a
// page costs is what is being saved.
const crowdedText = "Too many people are signing in at this moment. Try again in a few seconds.\n"

// crowded refuses a request of a route for which there is no room. It is recorded
// as all are; who sent it is not looked up.
func (e *Edge) crowded(v *visit, r *http.Request, route web.Route) {
	v.route = route.Path
	v.subject.Context.IP, v.subject.Context.Request = v.ip, v.id
	if err := v.begin(r, route.Path); err != nil {
		v.fail(r, errUnrecorded)
		return
	}
	h := v.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Retry-After", "5")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Request-Id", string(v.id))
	v.WriteHeader(http.StatusServiceUnavailable)
	_, _ = io.WriteString(v, crowdedText)
}
