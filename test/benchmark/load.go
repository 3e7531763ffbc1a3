package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
)

// answerSize is the size of what the application behind answers.
const answerSize = 1024

// upstream is the application: it reads a request's header and answers 1 KiB,
// with as little work as can be, because it shares the machine with what is
// measured.
func upstream() (net.Listener, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	answer := []byte("HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nCache-Control: no-store\r\nContent-Length: " +
		strconv.Itoa(answerSize) + "\r\n\r\n" + strings.Repeat("x", answerSize))
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go answerAll(c, answer)
		}
	}()
	return l, nil
}

func answerAll(c net.Conn, answer []byte) {
	defer c.Close()
	buf, n := make([]byte, 64<<10), 0
	for {
		read, err := c.Read(buf[n:])
		if err != nil {
			return
		}
		if n += read; !bytes.HasSuffix(buf[:n], []byte("\r\n\r\n")) {
			continue
		}
		n = 0
		if _, err := c.Write(answer); err != nil {
			return
		}
	}
}

// loadOn is a number of connections, each of which sends one request after the
// other over TLS and HTTP/1.1 and keeps open.
type loadOn struct{ clients []*oneClient }

type oneClient struct {
	at      *program
	request []byte
	conn    net.Conn
	in      *bufio.Reader
}

// newLoad makes clients; each sends one of the session tokens, if there are any.
func newLoad(at *program, tokens []string, n int) *loadOn {
	l := &loadOn{}
	for i := range n {
		cookie := ""
		if len(tokens) > 0 {
			cookie = "Cookie: theme=dark; __Host-troth=" + tokens[i%len(tokens)] + "\r\n"
		}
		l.clients = append(l.clients, &oneClient{at: at, request: []byte("GET /notes/1?x=1 HTTP/1.1\r\nHost: " + strings.TrimPrefix(at.origin, "https://") +
			"\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\nAccept: application/json\r\nAccept-Language: en\r\n" + cookie + "\r\n")})
	}
	return l
}

func (l *loadOn) close() {
	for _, c := range l.clients {
		c.hangUp()
	}
}

// run sends for a while and returns how many requests a second were answered.
// An answer with another status is an error.
func (l *loadOn) run(ctx context.Context, d time.Duration, status int) (float64, error) {
	for _, c := range l.clients { // connections are made beforehand
		if err := c.ask(ctx, status); err != nil {
			return 0, err
		}
	}
	began := time.Now()
	type outcome struct {
		n   int
		err error
	}
	all := make(chan outcome, len(l.clients))
	for _, c := range l.clients {
		go func() {
			n := 0
			for time.Since(began) < d {
				if err := c.ask(ctx, status); err != nil {
					all <- outcome{n, err}
					return
				}
				n++
			}
			all <- outcome{n, nil}
		}()
	}
	total, errs := 0, []error(nil)
	for range l.clients {
		o := <-all
		total, errs = total+o.n, append(errs, o.err)
	}
	return float64(total) / time.Since(began).Seconds(), errors.Join(errs...)
}

// ask sends one request and reads its answer.
func (c *oneClient) ask(ctx context.Context, status int) error {
	if c.conn == nil {
		conn, err := (&tls.Dialer{Config: &tls.Config{RootCAs: c.at.roots, ServerName: "localhost", NextProtos: []string{"http/1.1"}}}).DialContext(ctx, "tcp", c.at.addr)
		if err != nil {
			return err
		}
		c.conn, c.in = conn, bufio.NewReaderSize(conn, 8<<10)
	}
	if _, err := c.conn.Write(c.request); err != nil {
		return err
	}
	return c.read(status)
}

func (c *oneClient) read(status int) error {
	first, err := c.in.ReadSlice('\n')
	if err != nil {
		return err
	}
	if len(first) < 12 || string(first[9:12]) != strconv.Itoa(status) {
		return fmt.Errorf("the answer is %q, not status %d", first, status)
	}
	length, ends := -1, false
	for {
		l, err := c.in.ReadSlice('\n')
		if err != nil {
			return err
		}
		if len(l) <= 2 {
			break
		}
		if v, ok := bytes.CutPrefix(l, []byte("Content-Length: ")); ok {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(v))); err != nil {
				return err
			}
		}
		ends = ends || bytes.HasPrefix(l, []byte("Connection: close"))
	}
	if length < 0 {
		return errors.New("the answer has no length")
	}
	if _, err := c.in.Discard(length); err != nil {
		return err
	}
	if ends {
		c.hangUp()
	}
	return nil
}

func (c *oneClient) hangUp() {
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
}
