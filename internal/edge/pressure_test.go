package edge

import (
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// arriving is a connection with something to read, and how long reading takes.
func arriving(t *testing.T, turns *turns) (*patientConn, func() time.Duration) {
	here, there := net.Pipe()
	t.Cleanup(func() { here.Close(); there.Close() })
	c := &patientConn{Conn: here, turns: turns}
	return c, func() time.Duration {
		go func() { _, _ = there.Write([]byte("x")) }()
		began := time.Now()
		if n, err := c.Read(make([]byte, 1)); n != 1 || err != nil {
			t.Errorf("read %d, %v", n, err)
		}
		return time.Since(began)
	}
}

// While somebody waits for a place in the room, strangers are handed on one at a
// time and never stopped; whoever is signed in is not kept at all.
func TestStrangersTakeTurnsWhileTheRoomIsPressed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newRoom()
		turns := newTurns(m)
		_, first := arriving(t, turns)
		_, second := arriving(t, turns)
		known, mine := arriving(t, turns)
		known.known.Store(true)
		if d := first(); d != 0 {
			t.Errorf("nobody waits in the room, and a stranger was kept for %s", d)
		}
		m.waiting.Store(1)
		done := make(chan time.Duration, 2)
		go func() { done <- first() }()
		go func() { done <- second() }()
		synctest.Wait()
		if d := mine(); d != 0 {
			t.Errorf("somebody who is signed in was kept for %s", d)
		}
		if a, b := <-done, <-done; a != turnMost || b != 2*turnMost {
			t.Errorf("two strangers were kept for %s and %s", a, b)
		}
		go func() { done <- first() }()
		synctest.Wait()
		m.waiting.Store(0)
		if d := <-done; d > 2*turnLook {
			t.Errorf("a stranger was kept for %s after the room was free", d)
		}
	})
}

// A connection is known once somebody on it was signed in.
func TestConnectionIsVouchedFor(t *testing.T) {
	c := &patientConn{}
	r, err := http.NewRequestWithContext(withConn(t.Context(), c), http.MethodGet, "/", nil)
	if err != nil {
		t.Fatal(err)
	}
	if vouch(r); !c.known.Load() {
		t.Error("the connection of somebody who is signed in is a stranger's")
	}
	vouch(new(http.Request)) // one without a connection is nobody's
}
