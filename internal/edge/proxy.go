package edge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"time"

	"troth/internal/access"
	"troth/internal/fault"
)

var (
	errUpstream = fault.New(fault.Unavailable, "edge.upstream",
		"The application did not answer. Try again in a moment; if it stays so, name the reference below to whoever runs this service.")
	errUpstreamLate = fault.New(fault.Unavailable, "edge.upstream_late",
		"The application took too long to answer. Try again in a moment; what you sent may or may not have been done.")
	errBrokenBody = fault.New(fault.Invalid, "edge.broken_body", "The request broke off before it was complete. Send it again.")
	errBodySize   = fault.New(fault.TooLarge, "edge.too_large", "The request is larger than is taken here. Send less at once.")
	errUnsigned   = fault.New(fault.Unavailable, "edge.unsigned",
		"The application cannot be told right now who you are, so the request was refused. Try again soon.").In(5 * time.Second)
)

// newProxy connects to the application.
func (e *Edge) newProxy() error {
	u := e.o.Upstream
	if u == nil {
		return nil
	}
	target, socket, err := upstream(u)
	if err != nil {
		return err
	}
	e.proxy = &httputil.ReverseProxy{
		Rewrite:        func(p *httputil.ProxyRequest) { rewrite(p, target) },
		Transport:      transport(socket, e.limits.UpstreamHeader),
		BufferPool:     &buffers{},
		ModifyResponse: e.modify,
		ErrorHandler:   e.upstreamFailed,
		ErrorLog:       slog.NewLogLogger(e.o.Log.Handler(), slog.LevelDebug),
	}
	return nil
}

// upstream reads the address of the application.
func upstream(u *url.URL) (target *url.URL, socket string, err error) {
	switch u.Scheme {
	case "http", "https":
		if u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
			return nil, "", fmt.Errorf("the upstream %q must be http://, a host, a port and possibly a path", u.Redacted())
		}
		return u, "", nil
	case "unix":
		path := u.Path
		if path == "" {
			path = u.Opaque
		}
		if !strings.HasPrefix(path, "/") {
			return nil, "", fmt.Errorf("the upstream %q must name a socket with an absolute path: unix:/run/app.sock", u.Redacted())
		}
		return &url.URL{Scheme: "http", Host: "upstream.invalid"}, path, nil
	}
	return nil, "", fmt.Errorf("the upstream %q is of no kind that is known: http://, https:// and unix: are", u.Redacted())
}

// transport keeps connections to the application open: one is as good as any
// other, so there are as many idle ones as were ever needed at once.
func transport(socket string, header time.Duration) *http.Transport {
	dialer := &net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}
	t := &http.Transport{
		DialContext:            dialer.DialContext,
		ForceAttemptHTTP2:      true, // only over https
		MaxIdleConnsPerHost:    512,
		IdleConnTimeout:        90 * time.Second,
		TLSHandshakeTimeout:    5 * time.Second,
		ResponseHeaderTimeout:  header,
		ExpectContinueTimeout:  time.Second,
		MaxResponseHeaderBytes: 256 << 10,
		DisableCompression:     true, // what the application sends is what the client gets
	}
	if socket != "" {
		t.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "unix", socket)
		}
	}
	return t
}

// forward sends the request to the application, with everything that it needs
// to know and nothing that only Troth may say.
func (e *Edge) forward(v *visit, r *http.Request, rule *rule) {
	h := r.Header
	cookies := h["Cookie"]
	stripRequest(h)
	onlyWebSocket(h)
	r.Host = v.host
	if v.ip.IsValid() {
		h["X-Forwarded-For"] = []string{v.ip.String()}
	}
	if v.subject.Kind == access.KindPerson {
		token, err := e.o.Signer.assertion(r.Context(), v.subject)
		if err != nil {
			v.fail(r, fault.Wrap(err, errUnsigned.Kind, errUnsigned.Code, errUnsigned.Message.Format))
			return
		}
		h[AssertionHeader] = token
	}
	if e.limits.Body > 0 && r.ContentLength > e.limits.Body {
		v.fail(r, errBodySize)
		return
	}
	r.Body = e.guardBody(v, r)
	if e.limits.Body > 0 && r.ContentLength < 0 && r.Body != http.NoBody {
		r.Body = http.MaxBytesReader(v.ResponseWriter, r.Body, e.limits.Body)
	}
	if v.subject.Kind == access.KindPerson {
		r = r.WithContext(e.watch.enter(v, r, rule, cookies))
		defer e.watch.leave(&v.watched)
	}
	e.proxy.ServeHTTP(v, r)
	stripTrailers(v.Header())
}

// rewrite addresses the outgoing request. httputil removed Forwarded and the
// X-Forwarded headers that it knows, stripRequest all others of that kind; what
// Troth says itself is set here, after the headers that the client listed in
// Connection were taken out.
func rewrite(p *httputil.ProxyRequest, target *url.URL) {
	out := p.Out
	out.URL.Scheme, out.URL.Host = target.Scheme, target.Host
	if base := strings.Trim(target.Path, "/"); base != "" {
		out.URL.Path = "/" + base + out.URL.Path
		if out.URL.RawPath != "" {
			out.URL.RawPath = "/" + base + out.URL.RawPath
		}
	}
	out.URL.RawQuery = p.In.URL.RawQuery // nothing was decided from it: byte for byte
	out.Host = p.In.Host
	out.Trailer = nil
	h := out.Header
	if from := p.In.Header["X-Forwarded-For"]; from != nil {
		h["X-Forwarded-For"] = from // set by forward: httputil took it out of the copy
	}
	if token := p.In.Header[AssertionHeader]; token != nil {
		h[AssertionHeader] = token // set by forward, too
	}
	h["X-Forwarded-Host"] = []string{p.In.Host}
	h["X-Forwarded-Proto"] = https
	if _, ok := h["User-Agent"]; !ok {
		h["User-Agent"] = unnamed // or the transport would name itself
	}
}

var (
	https   = []string{"https"}
	unnamed = []string{""}
)

// modify cleans the application's answer.
func (e *Edge) modify(res *http.Response) error {
	stripResponse(res.Header, e.hsts)
	return nil
}

// upstreamFailed answers for an application that did not.
func (e *Edge) upstreamFailed(w http.ResponseWriter, r *http.Request, err error) {
	v, ok := w.(*visit)
	if !ok {
		panic(http.ErrAbortHandler) // cannot happen: forward passes a visit
	}
	if cause := context.Cause(r.Context()); v.watched.cancel != nil && fault.As(cause) != nil {
		if fault.KindOf(cause) == fault.Unauthenticated {
			v.subject = access.Nobody(v.subject.Context)
		}
		v.fail(v.watched.request, cause)
		return
	}
	f := errUpstream
	_, tooLarge := errors.AsType[*http.MaxBytesError](err)
	timeout, isNet := errors.AsType[net.Error](err)
	stall, stalled := errors.AsType[*bodyError](err)
	switch {
	case tooLarge:
		f = errBodySize
	case stalled:
		f, err = errBrokenBody, stall.err
	case errors.Is(err, context.Canceled) && r.Context().Err() != nil:
		if !v.body { // the client went away: there is nobody to tell
			v.status = statusGone
			panic(http.ErrAbortHandler)
		}
		f = errBrokenBody // or a body that stopped: the server then ends the context before the reader learns why
	case isNet && timeout.Timeout():
		f = errUpstreamLate
	}
	if f == errUpstream {
		err = told(err)
	}
	v.fail(r, fault.Wrap(err, f.Kind, f.Code, f.Message.Format))
}

// told is what the log is told about an application that did not answer. An
// answer that cannot be read is quoted by net/http in its error, and whatever
// the application sent may be personal or secret: only the kind of such an
// error is told, all others as they are.
func told(err error) error {
	_, network := errors.AsType[*net.OpError](err)
	for _, known := range []error{context.Canceled, context.DeadlineExceeded, io.EOF, io.ErrUnexpectedEOF, http.ErrBodyReadAfterClose} {
		network = network || errors.Is(err, known)
	}
	_, tooLarge := errors.AsType[*http.MaxBytesError](err)
	timeout, isNet := errors.AsType[net.Error](err)
	if network || tooLarge || isNet && timeout.Timeout() {
		return err
	}
	return fmt.Errorf("what the application sent is no answer that can be read (%T)", err)
}

// statusGone is what the access line says of a request whose client left before
// the answer; it is never sent. nginx has the same number for it.
const statusGone = 499

// buffers are those through which answers are copied, 32 KiB as in io.Copy.
type buffers struct{ pool sync.Pool }

// Get returns a buffer.
func (b *buffers) Get() []byte {
	if p, ok := b.pool.Get().(*[32 << 10]byte); ok {
		return p[:]
	}
	return make([]byte, 32<<10)
}

// Put takes it back.
func (b *buffers) Put(p []byte) {
	if cap(p) >= 32<<10 {
		b.pool.Put((*[32 << 10]byte)(p[:32<<10]))
	}
}
