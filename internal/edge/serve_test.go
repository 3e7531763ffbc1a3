package edge

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestAStopUnderLoadLosesNothing keeps clients of both protocols busy, on the
// real socket, while the front door stops. What the application did must have
// been answered, whole; a client that comes too late is refused, never cut off.
func TestAStopUnderLoadLosesNothing(t *testing.T) {
	for _, proto := range []string{"h2", "http/1.1"} {
		t.Run(proto, func(t *testing.T) {
			var did sync.Map
			h := build(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				b, err := io.ReadAll(r.Body)
				if err != nil {
					return
				}
				time.Sleep(time.Duration(len(b)%7) * time.Millisecond) // work
				did.Store(string(b[:16]), true)
				_, _ = w.Write(b)
			}))
			l, err := net.Listen("tcp", "127.0.0.1:0")
			h.must(err)
			h.serve(l)
			var answered sync.Map
			var count, late atomic.Int64
			var clients sync.WaitGroup
			for n := range 8 {
				clients.Go(func() { loadClient(h, l.Addr().String(), proto, n, &answered, &count, &late) })
			}
			eventually(t, "load", func() bool { return count.Load() > 500 })
			h.stop()
			if err := <-h.stopped; err != nil {
				t.Errorf("the stop: %v", err)
			}
			h.stopped <- nil
			clients.Wait()
			did.Range(func(key, _ any) bool {
				if _, ok := answered.Load(key); !ok {
					t.Errorf("request %v was done and never answered", key)
				}
				return true
			})
			h.lines.mu.Lock()
			defer h.lines.mu.Unlock()
			for _, line := range h.lines.lines {
				if line.Status != 200 {
					t.Errorf("a line was left at %d", line.Status)
				}
			}
			if int64(len(h.lines.lines)) != count.Load() {
				t.Errorf("%d lines, %d answers", len(h.lines.lines), count.Load())
			}
			t.Logf("%d requests answered, %d came too late", count.Load(), late.Load())
		})
	}
}

// loadClient posts until it is told that nobody is there any more.
func loadClient(h *house, addr, proto string, n int, answered *sync.Map, count, late *atomic.Int64) {
	conf := h.edge.clientTLS()
	conf.ServerName = "localhost"
	tr := &http.Transport{TLSClientConfig: conf, ForceAttemptHTTP2: proto == "h2",
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return net.Dial("tcp", addr) }}
	defer tr.CloseIdleConnections()
	client := &http.Client{Transport: tr, Timeout: 20 * time.Second}
	for i := 0; ; i++ {
		body := fmt.Appendf(nil, "%08d%08d%s", n, i, strings.Repeat("x", i%5000))
		res, err := client.Post("https://localhost:8443/public/work", "text/plain", bytes.NewReader(body))
		if err != nil {
			late.Add(1)
			return
		}
		back, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || res.StatusCode != 200 || !bytes.Equal(back, body) {
			h.t.Errorf("request %d of %d: %d, %v, %d of %d bytes", i, n, res.StatusCode, err, len(back), len(body))
			return
		}
		answered.Store(string(body[:16]), true)
		count.Add(1)
	}
}

func TestARequestThatNeverEndsIsCutOffAtTheDeadline(t *testing.T) {
	started := make(chan struct{})
	h := open(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(started)
		<-r.Context().Done()
	}), func(o *Options) { o.Limits.Drain = 200 * time.Millisecond })
	go func() {
		if res, err := h.client().Get("https://localhost:8443/public/x"); err == nil {
			res.Body.Close()
		}
	}()
	<-started
	begin := time.Now()
	h.stop()
	if err := <-h.stopped; err != nil {
		t.Error(err)
	}
	h.stopped <- nil
	if d := time.Since(begin); d > 5*time.Second {
		t.Errorf("it took %v", d)
	}
	if !strings.Contains(h.journal.String(), "cut off") {
		t.Error("the log does not say that requests were cut off")
	}
	eventually(t, "the line is completed", func() bool { return h.lines.last().Duration > 0 })
}

func TestReadinessEndsWithTheStop(t *testing.T) {
	h := open(t, nil)
	if ok, _ := h.edge.Ready(); !ok {
		eventually(t, "ready", func() bool { ok, _ := h.edge.Ready(); return ok })
	}
	h.stop()
	eventually(t, "no longer ready", func() bool { ok, why := h.edge.Ready(); return !ok && why[0] == "stopping" })
}

// failing is a listener that breaks.
type failing struct{ net.Listener }

func (failing) Accept() (net.Conn, error) { return nil, errors.New("out of descriptors") }

func TestAListenerThatBreaksEndsServing(t *testing.T) {
	h := build(t, nil)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	h.must(err)
	if err := h.edge.Serve(t.Context(), failing{l}); err == nil || !strings.Contains(err.Error(), "out of descriptors") {
		t.Errorf("serving ended with %v", err)
	}
}

func TestChecksReachThisFrontDoorOnly(t *testing.T) {
	h := open(t, nil)
	if res, err := h.edge.Client(netip.MustParseAddr("198.18.0.1")).Get("https://localhost:8443/-/about"); err == nil {
		res.Body.Close()
		t.Error("a check came from an address of somebody else")
	}
	if res, err := h.edge.Client(testFrom).Get("https://example.org/"); err == nil {
		res.Body.Close()
		t.Error("a check reached another host")
	}
}

func TestPlainHTTPIsRedirectedOnlyWhereThatIsSafe(t *testing.T) {
	redirect, err := Redirect("https://troth.example:8443")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		method, target, location string
		status                   int
	}{
		{"GET", "http://anything/a%2Fb?c=d", "https://troth.example:8443/a%2Fb?c=d", 308},
		{"HEAD", "http://troth.example/", "https://troth.example:8443/", 308},
		{"GET", "http://x//evil.example/", "https://troth.example:8443//evil.example/", 308},
		{"POST", "http://troth.example/-/signin", "", 403},
	} {
		w := httptest.NewRecorder()
		redirect.ServeHTTP(w, httptest.NewRequest(c.method, c.target, nil))
		if w.Code != c.status || w.Header().Get("Location") != c.location {
			t.Errorf("%s %s: %d %q", c.method, c.target, w.Code, w.Header().Get("Location"))
		}
	}
	if _, err := Redirect("http://troth.example"); err == nil {
		t.Error("a redirect to plain HTTP")
	}
}

func TestOldAndWeakTLSIsRefused(t *testing.T) {
	h := open(t, nil)
	for _, c := range []struct {
		min, max uint16
		suite    uint16
		ok       bool
	}{
		{tls.VersionTLS10, tls.VersionTLS11, 0, false},
		{tls.VersionTLS12, tls.VersionTLS12, tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, true},
		{tls.VersionTLS12, tls.VersionTLS12, tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, false},
		{tls.VersionTLS13, tls.VersionTLS13, 0, true},
	} {
		raw, err := h.edge.memory.dial(t.Context(), testFrom)
		h.must(err)
		conf := h.edge.clientTLS()
		conf.ServerName, conf.MinVersion, conf.MaxVersion = "localhost", c.min, c.max
		if c.suite != 0 {
			conf.CipherSuites = []uint16{c.suite}
		}
		conn := tls.Client(raw, conf)
		err = conn.HandshakeContext(t.Context())
		if (err == nil) != c.ok {
			t.Errorf("TLS %x to %x with suite %x: %v", c.min, c.max, c.suite, err)
		}
		if err == nil && c.max == tls.VersionTLS13 && conn.ConnectionState().CurveID != tls.X25519MLKEM768 {
			t.Errorf("the key exchange is %v", conn.ConnectionState().CurveID)
		}
		conn.Close()
	}
}

func TestThePipeIsLikeASocket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newPipe(localAddr, localAddr)
		if n, err := a.Write([]byte("hello")); n != 5 || err != nil {
			t.Fatalf("a write waits for its reader: %d, %v", n, err)
		}
		buf := make([]byte, 16)
		if n, err := b.Read(buf); string(buf[:n]) != "hello" || err != nil {
			t.Errorf("%q, %v", buf[:n], err)
		}
		begin := time.Now()
		must := func(err error) {
			if err != nil {
				t.Error(err)
			}
		}
		must(b.SetReadDeadline(begin.Add(time.Second)))
		if _, err := b.Read(buf); !isTimeout(err) || time.Since(begin) != time.Second {
			t.Errorf("after %v: %v", time.Since(begin), err)
		}
		must(b.SetReadDeadline(time.Time{}))
		must(a.SetWriteDeadline(time.Now().Add(time.Second)))
		if n, err := a.Write(make([]byte, 2*pipeBuffer)); n != pipeBuffer || !isTimeout(err) {
			t.Errorf("%d bytes, %v", n, err)
		}
		must(a.SetDeadline(time.Time{}))
		must(a.Close())
		if got, err := io.ReadAll(b); len(got) != pipeBuffer || err != nil {
			t.Errorf("%d bytes were left, %v", len(got), err)
		}
		if _, err := b.Write([]byte("x")); err == nil {
			t.Error("a write to nobody")
		}
		if _, err := a.Read(buf); !errors.Is(err, net.ErrClosed) {
			t.Errorf("reading a closed end: %v", err)
		}
	})
}

func isTimeout(err error) bool {
	e, ok := errors.AsType[net.Error](err)
	return ok && e.Timeout()
}
