package edge

import (
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// deadlineStep is how often a deadline is moved on while bytes flow.
const deadlineStep = 5 * time.Second

// guardBody bounds how long a client may keep silent in the middle of a body.
func (e *Edge) guardBody(v *visit, r *http.Request) io.ReadCloser {
	if r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0 {
		return http.NoBody
	}
	v.body = true
	return &steady{ReadCloser: r.Body, ctl: http.NewResponseController(v.ResponseWriter), stall: e.limits.BodyStall}
}

// steady is a request's body whose reader does not wait for ever.
type steady struct {
	io.ReadCloser
	ctl   *http.ResponseController
	stall time.Duration
	set   time.Time // when the deadline was moved on last
	done  bool
}

// bodyError is an error of the client's side of a request.
type bodyError struct{ err error }

func (b *bodyError) Error() string { return "reading the request's body: " + b.err.Error() }
func (b *bodyError) Unwrap() error { return b.err }

// Read reads; the deadline begins anew with bytes that came.
func (s *steady) Read(p []byte) (int, error) {
	if now := time.Now(); !s.done && now.Sub(s.set) > min(deadlineStep, s.stall/2) {
		s.set = now
		_ = s.ctl.SetReadDeadline(now.Add(s.stall)) // a test's recorder has none
	}
	n, err := s.ReadCloser.Read(p)
	switch {
	case err == io.EOF:
		s.finish(time.Time{}) // the server watches the connection from now on
	case err != nil:
		s.done = true // the deadline stays: nobody waits for the rest
		err = &bodyError{err}
	}
	return n, err
}

// Close ends the guard. The server may still read away what the application
// did not want, for no longer than before.
func (s *steady) Close() error {
	s.finish(time.Now().Add(s.stall))
	return s.ReadCloser.Close()
}

func (s *steady) finish(deadline time.Time) {
	if !s.done {
		s.done = true
		_ = s.ctl.SetReadDeadline(deadline)
	}
}

// patient is a listener whose connections do not wait for ever for a client
// that takes nothing of its answer.
type patient struct {
	net.Listener
	stall time.Duration
	turns *turns
}

// Accept wraps the next connection.
func (l patient) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &patientConn{Conn: c, stall: l.stall, turns: l.turns}, nil
}

type patientConn struct {
	net.Conn
	stall time.Duration
	set   time.Time // used by one writer at a time: crypto/tls holds a lock
	turns *turns
	known atomic.Bool // somebody on it was signed in
}

// Write moves the deadline on, at most once in deadlineStep.
func (c *patientConn) Write(p []byte) (int, error) {
	if now := time.Now(); now.Sub(c.set) > deadlineStep {
		c.set = now
		if err := c.SetWriteDeadline(now.Add(c.stall + deadlineStep)); err != nil {
			return 0, err
		}
	}
	return c.Conn.Write(p)
}
