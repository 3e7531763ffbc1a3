package edge

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// How often certificates and signing keys are looked after.
const (
	certEvery   = 10 * time.Second
	signerEvery = 30 * time.Second
)

// linger is how long requests are still taken while answers say already that
// the connection ends: afterwards only connections are left that were idle for
// that long, and closing an idle one can hardly meet a request on its way
// (RFC 9112, 9.6).
const linger = 200 * time.Millisecond

func (e *Edge) newServer() {
	e.memory = newMemory(localAddr)
	e.server = &http.Server{
		Handler:           e,
		TLSConfig:         tlsConfig(e.o.Certificates),
		ReadHeaderTimeout: e.limits.HeaderTimeout,
		IdleTimeout:       e.limits.Idle,
		MaxHeaderBytes:    e.limits.Header,
		ConnContext:       withConn,
		BaseContext:       func(net.Listener) context.Context { return e.base },
		ErrorLog:          log.New(quiet{e.o.Log}, "", 0),
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: e.limits.Streams,
			SendPingTimeout:      e.limits.Idle / 2, // finds connections whose client vanished
			PingTimeout:          15 * time.Second,
			WriteByteTimeout:     e.limits.WriteStall,
			MaxReadFrameSize:     64 << 10,
		},
		DisableGeneralOptionsHandler: true, // "OPTIONS *" is refused as every other odd path
	}
}

// Serve serves the listeners, and the in-memory one, until ctx ends; then it
// stops without losing a request: listeners close, answers say that the
// connection ends (HTTP/2: GOAWAY), what runs may finish within Limits.Drain,
// and only then are streams that never end cut off. It returns nil after an
// orderly stop. The listeners are closed in any case; a listener that fails by
// itself ends Serve with its error. Serve is called once.
func (e *Edge) Serve(ctx context.Context, listeners ...net.Listener) error {
	background, stop := context.WithCancel(ctx)
	defer stop()
	e.gate.look(ctx)
	var loops sync.WaitGroup
	loops.Go(func() { e.gate.run(background) })
	loops.Go(func() { e.every(background, certEvery, "certificate", e.o.Certificates.Refresh) })
	if e.o.Signer != nil {
		loops.Go(func() { e.every(background, signerEvery, "signing keys", e.o.Signer.Refresh) })
	}
	watching, unwatch := context.WithCancel(context.WithoutCancel(ctx)) // until the last request has ended
	defer unwatch()
	loops.Go(func() { e.watch.run(watching, e) })
	listeners = append(slices.Clone(listeners), e.memory)
	failed, turns := make(chan error, len(listeners)), newTurns(e.room)
	for _, l := range listeners {
		go func() { failed <- e.server.ServeTLS(patient{l, e.limits.WriteStall, turns}, "", "") }()
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
		err = fmt.Errorf("listening: %w", err)
	}
	drained := e.drain()
	stop()
	unwatch()
	loops.Wait()
	return errors.Join(err, drained)
}

// drain lets what runs finish. The gate stays as it is: requests that came
// before the end are answered like all others.
func (e *Edge) drain() error {
	e.gate.draining.Store(true)
	time.Sleep(linger)
	ctx, cancel := context.WithTimeout(context.Background(), e.limits.Drain)
	defer cancel()
	err := e.server.Shutdown(ctx)
	if err == nil && !e.active.idle(ctx) { // upgraded connections are not the server's any more
		err = ctx.Err()
	}
	e.cancel()
	if err != nil {
		e.o.Log.Warn("requests were still running at the end of the time they had; they were cut off", "time", e.limits.Drain.String())
		last, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		e.active.idle(last)
		return e.server.Close()
	}
	return nil
}

// every calls fn in the background; an error is logged, and tried again.
func (e *Edge) every(ctx context.Context, d time.Duration, what string, fn func(context.Context) error) {
	t := time.NewTicker(d)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		if err := fn(ctx); err != nil && ctx.Err() == nil {
			e.o.Log.Error("looking after the "+what+": the former one stays in use", "error", err.Error())
		}
	}
}

// Client makes a client of the in-memory listener that comes from an address of
// 192.0.2.0/24, one at random if none is given (or of the other two networks of RFC
// 5737, for a check that floods and for one that has to be alone), and reaches this front door
// only. It follows no redirect and keeps no cookies. It works while Serve runs.
func (e *Edge) Client(from netip.Addr) *http.Client {
	if !from.IsValid() {
		from = netip.AddrFrom4([4]byte{192, 0, 2, byte(1 + rand.N(253))})
	}
	host := e.origin.Host
	if e.origin.Port() == "" {
		host = net.JoinHostPort(e.origin.Hostname(), "443")
	}
	t := &http.Transport{
		DialContext: func(ctx context.Context, _, addr string) (net.Conn, error) {
			if !strings.EqualFold(addr, host) {
				return nil, fmt.Errorf("a check reaches %s only, not %s", host, addr)
			}
			return e.memory.dial(ctx, from)
		},
		TLSClientConfig:   e.clientTLS(),
		ForceAttemptHTTP2: true,
		IdleConnTimeout:   20 * time.Second,
	}
	return &http.Client{Transport: t, Timeout: 30 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// clientTLS trusts what this very process presents: its local authority, or,
// with a certificate from outside, that certificate and no other.
func (e *Edge) clientTLS() *tls.Config {
	if roots := e.o.Certificates.Roots(); roots != nil {
		return &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	}
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: true, // VerifyConnection is stricter: one certificate only
		VerifyConnection: func(s tls.ConnectionState) error {
			mine, err := e.o.Certificates.Certificate(&tls.ClientHelloInfo{ServerName: s.ServerName})
			if err != nil {
				return err
			}
			leaf, err := x509.ParseCertificate(mine.Certificate[0])
			if err != nil || !leaf.Equal(s.PeerCertificates[0]) {
				return errors.New("that is not the certificate of this front door")
			}
			return nil
		},
	}
}

// Redirect answers plain HTTP: it sends browsers to the same page of the origin,
// and refuses everything that would do something, because it has been sent in
// the clear already.
func Redirect(origin string) (http.Handler, error) {
	u, err := url.Parse(origin)
	if err != nil || u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("the origin %q must be https:// and a host name", origin)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			http.Error(w, "Use https://: what was sent here was not protected.", http.StatusForbidden)
			return
		}
		to := url.URL{Scheme: "https", Host: u.Host, Path: r.URL.Path, RawPath: r.URL.RawPath, RawQuery: r.URL.RawQuery}
		w.Header().Set("Location", to.String())
		w.WriteHeader(http.StatusPermanentRedirect) // RFC 9110, 15.4.9
	}), nil
}

// counter counts what is running.
type counter struct {
	mu      sync.Mutex
	n       int
	waiting chan struct{} // closed when n is 0, if anybody waits
}

func (c *counter) enter() {
	c.mu.Lock()
	c.n++
	c.mu.Unlock()
}

func (c *counter) leave() {
	c.mu.Lock()
	if c.n--; c.n == 0 && c.waiting != nil {
		close(c.waiting)
		c.waiting = nil
	}
	c.mu.Unlock()
}

// idle waits until nothing runs, and reports whether that came before the end
// of ctx.
func (c *counter) idle(ctx context.Context) bool {
	c.mu.Lock()
	if c.n == 0 {
		c.mu.Unlock()
		return true
	}
	if c.waiting == nil {
		c.waiting = make(chan struct{})
	}
	waiting := c.waiting
	c.mu.Unlock()
	select {
	case <-waiting:
		return true
	case <-ctx.Done():
		return false
	}
}

// quiet is where net/http writes about connections that never became requests.
// Everybody on the internet can cause such lines, and they hold addresses,
// which are personal: without them, and for debugging only.
type quiet struct{ log *slog.Logger }

var peer = regexp.MustCompile(`(from |serving )\S+?:\d+`)

// Write logs one line.
func (q quiet) Write(p []byte) (int, error) {
	q.log.Debug("connection", "what", peer.ReplaceAllString(strings.TrimSpace(string(p)), "${1}a client"))
	return len(p), nil
}
