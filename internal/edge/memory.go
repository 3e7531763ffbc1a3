package edge

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"
)

// checkNet is where checks come from. RFC 5737, 3: TEST-NET-1 is never the
// address of anybody, so the limits that a check trips hurt nobody and nobody
// can be impersonated.
var checkNet = netip.MustParsePrefix("192.0.2.0/24")

// floodNet is where a check comes from that floods the door on purpose: TEST-NET-2,
// so that what a flood costs its own network costs no other check anything.
var floodNet = netip.MustParsePrefix("198.51.100.0/24")

// aloneNet is where a check comes from that must not be counted together with
// what others do: TEST-NET-3.
var aloneNet = netip.MustParsePrefix("203.0.113.0/24")

// pipeBuffer bounds what one end of a connection may send ahead of the other.
const pipeBuffer = 64 << 10

// memory is a net.Listener inside of the process.
type memory struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
	local net.Addr
}

func newMemory(local net.Addr) *memory {
	return &memory{conns: make(chan net.Conn), done: make(chan struct{}), local: local}
}

// Accept waits for the next Dial.
func (m *memory) Accept() (net.Conn, error) {
	select {
	case c := <-m.conns:
		return c, nil
	case <-m.done:
		return nil, net.ErrClosed
	}
}

// Close ends Accept and refuses what dials from now on.
func (m *memory) Close() error {
	m.once.Do(func() { close(m.done) })
	return nil
}

// Addr is the address that the listener claims to have.
func (m *memory) Addr() net.Addr { return m.local }

// dial connects from an address of [checkNet].
func (m *memory) dial(ctx context.Context, from netip.Addr) (net.Conn, error) {
	if !checkNet.Contains(from) && !floodNet.Contains(from) && !aloneNet.Contains(from) {
		return nil, fmt.Errorf("a check comes from %s, not from %s", checkNet, from)
	}
	remote := net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 49152)) // RFC 6335, 6: a dynamic port
	client, server := newPipe(remote, m.local)
	select {
	case m.conns <- server:
		return client, nil
	case <-m.done:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// newPipe makes two connected ends. Unlike those of net.Pipe they buffer, as
// sockets do: a writer does not wait for the reader, so a TLS connection can
// say good-bye to one that has left.
func newPipe(client, server net.Addr) (net.Conn, net.Conn) {
	up, down := newFlow(), newFlow()
	return &pipeEnd{in: down, out: up, local: client, remote: server},
		&pipeEnd{in: up, out: down, local: server, remote: client}
}

type pipeEnd struct {
	in, out       *flow
	local, remote net.Addr
}

func (p *pipeEnd) Read(b []byte) (int, error)  { return p.in.read(b) }
func (p *pipeEnd) Write(b []byte) (int, error) { return p.out.write(b) }
func (p *pipeEnd) LocalAddr() net.Addr         { return p.local }
func (p *pipeEnd) RemoteAddr() net.Addr        { return p.remote }

func (p *pipeEnd) Close() error {
	p.in.close(true)
	p.out.close(false)
	return nil
}

func (p *pipeEnd) SetDeadline(t time.Time) error {
	p.in.deadline(&p.in.reader, t)
	p.out.deadline(&p.out.writer, t)
	return nil
}

func (p *pipeEnd) SetReadDeadline(t time.Time) error {
	p.in.deadline(&p.in.reader, t)
	return nil
}

func (p *pipeEnd) SetWriteDeadline(t time.Time) error {
	p.out.deadline(&p.out.writer, t)
	return nil
}

// flow is one direction of a pipe.
type flow struct {
	mu             sync.Mutex
	cond           *sync.Cond
	buf            []byte
	ended          bool // the writer closed: what is buffered can still be read
	gone           bool // the reader closed
	reader, writer alarm
}

// alarm is a deadline of one side.
type alarm struct {
	timer *time.Timer
	rang  bool
}

func newFlow() *flow {
	f := &flow{}
	f.cond = sync.NewCond(&f.mu)
	return f
}

func (f *flow) read(b []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for {
		switch {
		case f.gone:
			return 0, net.ErrClosed
		case f.reader.rang:
			return 0, os.ErrDeadlineExceeded
		case len(f.buf) > 0:
			n := copy(b, f.buf)
			f.buf = f.buf[n:]
			f.cond.Broadcast()
			return n, nil
		case f.ended:
			return 0, io.EOF
		case len(b) == 0:
			return 0, nil
		}
		f.cond.Wait()
	}
}

func (f *flow) write(b []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	written := 0
	for {
		switch {
		case f.ended:
			return written, net.ErrClosed
		case f.gone:
			return written, io.ErrClosedPipe
		case f.writer.rang:
			return written, os.ErrDeadlineExceeded
		}
		n := min(len(b), pipeBuffer-len(f.buf))
		f.buf = append(f.buf, b[:n]...)
		b, written = b[n:], written+n
		if n > 0 {
			f.cond.Broadcast()
		}
		if len(b) == 0 {
			return written, nil
		}
		f.cond.Wait()
	}
}

func (f *flow) close(byReader bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if byReader {
		f.gone = true
	} else {
		f.ended = true
	}
	f.cond.Broadcast()
}

func (f *flow) deadline(a *alarm, t time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if a.timer != nil {
		a.timer.Stop()
	}
	a.timer, a.rang = nil, false
	if t.IsZero() {
		return
	}
	if d := time.Until(t); d > 0 {
		var timer *time.Timer
		timer = time.AfterFunc(d, func() {
			f.mu.Lock()
			defer f.mu.Unlock()
			if a.timer == timer { // a later deadline replaced this one
				a.rang = true
				f.cond.Broadcast()
			}
		})
		a.timer = timer
		return
	}
	a.rang = true
	f.cond.Broadcast()
}
