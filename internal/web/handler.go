package web

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"runtime/debug"
	"time"

	"troth/internal/access"
	"troth/internal/fault"
	"troth/internal/id"
)

// Deps is what all handlers share.
type Deps struct {
	Renderer       *Renderer
	Authenticators []Authenticator // asked in order; the first that knows the subject decides
	// Refused records that a subject was denied something (audit). It is called
	// before the answer is sent; when it fails, the answer is 503, because a
	// refusal that leaves no trace is not given.
	Refused   func(r *Request, denied *fault.Error) error
	Room      Room                           // where routes with a Cost are worked on; nil: anywhere
	ClientIP  func(*http.Request) netip.Addr // nil: the address of the connection
	RequestID func(*http.Request) id.Request // nil: a new one
	Now       func() time.Time
	Log       *slog.Logger
}

// Room bounds how many requests of routes with a Cost are worked on at once.
type Room interface {
	// Enter waits for a place, no longer than is worth it, and reports whether
	// there is one.
	Enter(ctx context.Context) bool
	// Leave gives the place back.
	Leave()
}

var errCrowded = fault.New(fault.Unavailable, "web.crowded", "Too many people are signing in at this moment. Try again in a few seconds.").In(5 * time.Second)

var errUnavailable = fault.New(fault.Unavailable, "web.unavailable",
	"Troth cannot reach something that it needs to answer safely, so it refuses. Try again in a moment.")

// Handler makes the handler of one route: it authenticates, decides, reads the
// body within its limit, runs the route's handler, renders what it returns,
// recovers from panics and writes one line to the log.
func Handler(route Route, deps Deps) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, hr *http.Request) {
		r := begin(w, hr, route, deps)
		defer r.logLine()
		defer func() {
			if p := recover(); p != nil {
				if p == http.ErrAbortHandler {
					panic(p)
				}
				r.fail(fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
			}
		}()
		if err := r.serve(); err != nil {
			r.fail(err)
		}
	})
}

// Refuse answers a request that reached no route, with an error: what is
// before the routes uses it, so that its refusals look and are logged like
// those of a page. Neither the body nor the origin of the request matters.
func Refuse(w http.ResponseWriter, hr *http.Request, deps Deps, err error) {
	r := begin(w, hr, Route{Method: "*", Path: "(refused)", Public: "whoever is refused is told why", Redact: true}, deps)
	defer r.logLine()
	if aerr := r.authenticate(); aerr != nil {
		r.Subject = access.Nobody(r.Subject.Context) // the page is the same without a name on it
	}
	r.fail(err)
}

// begin makes the Request of an HTTP request and sets what every answer carries.
func begin(w http.ResponseWriter, hr *http.Request, route Route, deps Deps) *Request {
	rec := &recorder{ResponseWriter: w}
	r := &Request{Request: hr, W: rec, Now: deps.Now(), route: route, deps: deps}
	r.identify()
	protect(rec.Header(), hr, route.Redact)
	rec.Header().Set("Request-Id", string(r.ID))
	return r
}

// identify finds out all that is known about a request before anybody is
// authenticated.
func (r *Request) identify() {
	if r.deps.RequestID != nil {
		r.ID = r.deps.RequestID(r.Request)
	} else {
		r.ID = id.New[id.Request](r.Now)
	}
	if r.deps.ClientIP != nil {
		r.IP = r.deps.ClientIP(r.Request)
	} else if ap, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		r.IP = ap.Addr().Unmap()
	}
	r.Text = r.deps.Renderer.printer(r.Header.Get("Accept-Language"))
	r.about()
}

// about puts the circumstances of the request into the subject, for the log.
func (r *Request) about() {
	c := &r.Subject.Context
	c.IP, c.Agent, c.Request = r.IP, clip(r.UserAgent(), maxAgent), r.ID
	if c.Session == "" {
		c.Session = r.Subject.Session
	}
}

// maxAgent bounds the User-Agent that is kept.
const maxAgent = 256

func (r *Request) serve() error {
	if err := sameSite(r.Request); err != nil {
		return err
	}
	if !r.route.Anonymous {
		if err := r.authenticate(); err != nil {
			return err
		}
	}
	if r.route.Public == "" {
		if err := r.Subject.Require(r.route.Needs); err != nil {
			return err
		}
	}
	if r.stale() {
		return r.askAgain()
	}
	if err := r.read(); err != nil {
		return err
	}
	if room := r.deps.Room; room != nil && r.route.Cost != "" {
		if !room.Enter(r.Context()) {
			return errCrowded
		}
		defer room.Leave()
	}
	return r.route.Handle(r)
}

func (r *Request) authenticate() error {
	for _, a := range r.deps.Authenticators {
		s, err := a.Authenticate(r.Request)
		if err != nil {
			if fault.As(err) != nil {
				return err
			}
			return fault.Wrap(err, fault.Unavailable, errUnavailable.Code, errUnavailable.Message.Format)
		}
		if s.Kind != access.KindNobody {
			r.Subject = s
			break
		}
	}
	r.about()
	return nil
}

// logLine writes what was asked and answered: never a query, and for a path
// that holds a token only its pattern. The address of the client is personal
// and stands in the sealed access log, as every request does; the operator's
// log is quiet as long as nothing is wrong.
func (r *Request) logLine() {
	rec, _ := r.W.(*recorder)
	level := levelOf(rec.status)
	if !r.deps.Log.Enabled(r.Context(), level) {
		return
	}
	r.deps.Log.LogAttrs(r.Context(), level, "request",
		slog.String("request", string(r.ID)), slog.String("method", r.Method), slog.String("path", r.logPath()),
		slog.Int("status", rec.status), slog.Int64("bytes", rec.bytes), slog.Duration("took", r.deps.Now().Sub(r.Now)),
		slog.String("account", string(r.Subject.Account)), slog.String("tenant", string(r.Subject.Tenant)))
}

// levelOf is the level of what is said about an answer: an error that is ours,
// or nothing that an operator has to read.
func levelOf(status int) slog.Level {
	if status >= 500 {
		return slog.LevelError
	}
	return slog.LevelDebug
}

func (r *Request) logPath() string {
	if r.route.Redact {
		return r.route.Path
	}
	return clip(r.URL.EscapedPath(), 512)
}

// recorder remembers what was answered.
type recorder struct {
	http.ResponseWriter
	status int
	bytes  int64
}

// WriteHeader remembers the first final status.
func (w *recorder) WriteHeader(status int) {
	if w.status == 0 && status >= 200 || status == http.StatusSwitchingProtocols {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write counts.
func (w *recorder) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	n, err := w.ResponseWriter.Write(p)
	w.bytes += int64(n)
	return n, err
}

// Unwrap is for http.ResponseController.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }
