package edge

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"troth/internal/access"
)

// benchApp answers a page of 1 KiB.
func benchApp() http.Handler {
	page := []byte(strings.Repeat("x", 1024))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		_, _ = w.Write(page)
	})
}

// serveTCP serves a handler at a port of its own.
func serveTCP(b *testing.B, s *http.Server, conf *tls.Config) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	if conf == nil {
		go s.Serve(l)
	} else {
		s.TLSConfig = conf
		go s.ServeTLS(l, "", "")
	}
	return l.Addr().String()
}

// load keeps so many connections busy for a while and returns requests a
// second. The client is written by hand, so that the server is what is
// measured.
func load(b *testing.B, addr string, conf *tls.Config, cookie string, connections int, d time.Duration) float64 {
	var done atomic.Int64
	var clients sync.WaitGroup
	stop := time.Now().Add(d)
	request := []byte("GET /page HTTP/1.1\r\nHost: localhost:8443\r\nUser-Agent: bench\r\nAccept: text/html,application/xhtml+xml\r\nAccept-Encoding: gzip\r\nAccept-Language: en\r\nCookie: theme=dark; __Host-troth=" + cookie + "\r\n\r\n")
	for range connections {
		clients.Go(func() {
			c, err := tls.Dial("tcp", addr, conf)
			if err != nil {
				b.Error(err)
				return
			}
			defer c.Close()
			buf := make([]byte, 8192)
			for time.Now().Before(stop) {
				if _, err := c.Write(request); err != nil {
					b.Error(err)
					return
				}
				if err := readAnswer(c, buf); err != nil {
					b.Error(err)
					return
				}
				done.Add(1)
			}
		})
	}
	clients.Wait()
	return float64(done.Load()) / d.Seconds()
}

// readAnswer reads a header and 1024 bytes.
func readAnswer(c net.Conn, buf []byte) error {
	n := 0
	for {
		m, err := c.Read(buf[n:])
		if err != nil {
			return err
		}
		n += m
		if i := strings.Index(string(buf[:n]), "\r\n\r\n"); i >= 0 && n >= i+4+1024 {
			if !strings.HasPrefix(string(buf[:n]), "HTTP/1.1 200") {
				return fmt.Errorf("the answer is %.200q", buf[:n])
			}
			return nil
		}
	}
}

// BenchmarkProxy compares the front door, with session, decision, assertion
// and access log, with the standard library's bare reverse proxy, in front of
// the same application, with the same certificate and under the same load, in
// turns. The ratio is the median of the turns.
func BenchmarkProxy(b *testing.B) {
	h := build(b, benchApp())
	front, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	h.edge.o.Audit = h.lines.AccessLog // without the test's memory of lines
	h.serve(front)
	target, err := url.Parse(h.upstream.URL)
	if err != nil {
		b.Fatal(err)
	}
	bare := serveTCP(b, &http.Server{Handler: httputil.NewSingleHostReverseProxy(target)}, tlsConfig(h.edge.o.Certificates))
	tuned := serveTCP(b, &http.Server{Handler: &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) { p.SetURL(target); p.SetXForwarded() }, Transport: transport("", time.Minute), BufferPool: &buffers{},
	}}, tlsConfig(h.edge.o.Certificates))
	conf := h.edge.clientTLS()
	conf.ServerName, conf.NextProtos = "localhost", []string{"http/1.1"}
	cookie := h.signIn(access.Member)
	const connections, turn = 16, 700 * time.Millisecond
	measure := func(addr string) (rate, cpu float64) {
		before := cpuTime()
		rate = load(b, addr, conf, cookie, connections, turn)
		return rate, (cpuTime() - before).Seconds() * 1e6 / (rate * turn.Seconds())
	}
	measure(front.Addr().String())
	measure(bare)
	var troth, plain, best, ratio, ratioTuned, cpuTroth, cpuRatio []float64
	for b.Loop() {
		t, ct := measure(front.Addr().String())
		p, _ := measure(bare)
		u, cu := measure(tuned)
		troth, plain, best = append(troth, t), append(plain, p), append(best, u)
		ratio, ratioTuned = append(ratio, t/p), append(ratioTuned, t/u)
		cpuTroth, cpuRatio = append(cpuTroth, ct), append(cpuRatio, cu/ct)
	}
	b.ReportMetric(median(troth), "troth_req/s")
	b.ReportMetric(median(plain), "bare_req/s")
	b.ReportMetric(median(best), "tuned_req/s")
	b.ReportMetric(median(ratio), "ratio")
	b.ReportMetric(median(ratioTuned), "ratio_to_tuned")
	b.ReportMetric(median(cpuTroth), "troth_cpu_us/req")
	b.ReportMetric(median(cpuRatio), "cpu_ratio_to_tuned")
	b.ReportMetric(0, "ns/op")
}

// cpuTime is what this process has used of the processors, client, proxy and
// application together. On a machine that is busy with other things it says
// more than the clock.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func median(list []float64) float64 {
	slices.Sort(list)
	return list[len(list)/2]
}

// BenchmarkDecide is what the front door adds to a proxied request before it
// is forwarded, access line included, in process.
func BenchmarkDecide(b *testing.B) {
	h := build(b, benchApp())
	h.edge.o.Audit = h.lines.AccessLog
	h.edge.gate.look(context.Background())
	cookie := h.signIn(access.Member)
	subject, err := h.access.Person(b.Context(), h.person(cookie))
	if err != nil {
		b.Fatal(err)
	}
	b.Run("rule", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := h.edge.table.rule("/some/page/of/the/application"); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("assertion", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := h.signer.assertion(b.Context(), subject); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("sign", func(b *testing.B) {
		b.ReportAllocs()
		key := h.signer.set.Load().signing(time.Now())
		for b.Loop() {
			if _, err := h.signer.sign(b.Context(), key, subject, time.Now()); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("headers", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			stripRequest(http.Header{"Accept": {"x"}, "Cookie": {"theme=dark; __Host-troth=" + cookie}, "Content-Type": {"y"}, "X-Request-Id": {"1"}})
		}
	})
}

// still is an application that answers at once, without a network.
type still struct{}

func (still) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: 200, ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{"Content-Type": {"text/plain"}},
		Body: http.NoBody, Request: r}, nil
}

// BenchmarkPipeline is one request through the handlers alone: the front door's
// and the bare proxy's.
func BenchmarkPipeline(b *testing.B) {
	h := build(b, benchApp())
	h.edge.o.Audit = h.lines.AccessLog
	h.edge.proxy.Transport = still{}
	h.edge.gate.look(context.Background())
	cookie := h.signIn(access.Member)
	target, err := url.Parse(h.upstream.URL)
	if err != nil {
		b.Fatal(err)
	}
	bare := &httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) { p.SetURL(target); p.SetXForwarded() }, Transport: still{}, BufferPool: &buffers{}}
	for name, handler := range map[string]http.Handler{"troth": h.edge, "bare": bare} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			w := &nowhere{h: http.Header{}}
			for b.Loop() {
				r := &http.Request{Method: "GET", URL: &url.URL{Path: "/page"}, RequestURI: "/page", Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
					Host: "localhost:8443", RemoteAddr: "127.0.0.1:5555", Body: http.NoBody,
					Header: http.Header{"Accept": {"text/html"}, "User-Agent": {"bench"}, "Accept-Encoding": {"gzip"}, "Accept-Language": {"en"}, "Cookie": {"theme=dark; __Host-troth=" + cookie}}}
				clear(w.h)
				handler.ServeHTTP(w, r.WithContext(b.Context()))
			}
		})
	}
}

type nowhere struct{ h http.Header }

func (n *nowhere) Header() http.Header         { return n.h }
func (n *nowhere) Write(p []byte) (int, error) { return len(p), nil }
func (n *nowhere) WriteHeader(int)             {}
func (n *nowhere) Flush()                      {}
