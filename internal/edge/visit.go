package edge

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"troth/internal/access"
	"troth/internal/audit"
	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/web"
)

// visit is one request on its way through the front door, and the writer of
// its answer.
type visit struct {
	http.ResponseWriter
	edge    *Edge
	at      time.Time
	id      id.Request
	ip      netip.Addr
	subject access.Subject
	unknown error // why it cannot be told who it is
	route   string
	body    bool // the request has one
	line    Line
	status  int
	bytes   int64
	host    string // the canonical one
	watched watched
}

// visitKey finds the visit in the context of a request for an own page.
type visitKey struct{}

func visitOf(r *http.Request) *visit {
	v, _ := r.Context().Value(visitKey{}).(*visit)
	return v
}

func withVisit(r *http.Request, v *visit) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), visitKey{}, v))
}

// WriteHeader remembers the first final status. What the application says
// before it (RFC 9110, 15.2) is cleaned here: package httputil shows it to
// nobody else.
func (v *visit) WriteHeader(status int) {
	switch {
	case status < 200 && status != http.StatusSwitchingProtocols:
		stripEarly(v.Header())
	case v.status == 0:
		v.status = status
	}
	v.ResponseWriter.WriteHeader(status)
}

// Write counts.
func (v *visit) Write(p []byte) (int, error) {
	if v.status == 0 {
		v.status = http.StatusOK
	}
	n, err := v.ResponseWriter.Write(p)
	v.bytes += int64(n)
	return n, err
}

// Unwrap is for http.ResponseController: flushing, hijacking, deadlines.
func (v *visit) Unwrap() http.ResponseWriter { return v.ResponseWriter }

// Hijack hands the connection over after an upgrade; the answer that says so is
// written past this writer.
func (v *visit) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	c, buf, err := http.NewResponseController(v.ResponseWriter).Hijack()
	if err == nil {
		v.status = http.StatusSwitchingProtocols
		v.watched.upgraded(c)
	}
	return c, buf, err
}

// authenticate asks who it is. What cannot be told is an error: never nobody.
func (v *visit) authenticate(r *http.Request) {
	v.subject, v.unknown = v.edge.who(r, v.ip)
	if v.subject.Kind == access.KindPerson {
		vouch(r)
	}
	c := &v.subject.Context
	c.IP, c.Request, c.Agent = v.ip, v.id, agent(r)
	if c.Session == "" {
		c.Session = v.subject.Session
	}
}

// who asks the authenticators, in their order.
func (e *Edge) who(r *http.Request, from netip.Addr) (access.Subject, error) {
	return e.ask(func(a web.Authenticator) (access.Subject, error) {
		if l, ok := a.(web.Locating); ok {
			return l.AuthenticateFrom(r, from)
		}
		return a.Authenticate(r)
	})
}

// look is who for a request that goes on. It does not count as use of the
// session, so that one ends when nobody does anything (OWASP ASVS 5.0, 7.3.1).
func (e *Edge) look(r *http.Request) (access.Subject, error) {
	return e.ask(func(a web.Authenticator) (access.Subject, error) {
		if l, ok := a.(web.Looker); ok {
			return l.Look(r)
		}
		return a.Authenticate(r)
	})
}

// ask takes the first answer that is somebody.
func (e *Edge) ask(question func(web.Authenticator) (access.Subject, error)) (access.Subject, error) {
	for _, a := range e.o.Authenticators {
		s, err := question(a)
		if err != nil {
			return access.Subject{}, err
		}
		if s.Kind != access.KindNobody {
			return s, nil
		}
	}
	return access.Subject{}, nil
}

// known hands what the front door found out to the page.
type known struct{}

// Authenticate returns the subject of the visit.
func (known) Authenticate(r *http.Request) (access.Subject, error) {
	v := visitOf(r)
	if v == nil {
		return access.Subject{}, errLost
	}
	return v.subject, v.unknown
}

var errLost = fault.New(fault.Unavailable, "edge.lost", "The request came here on a way that does not exist. Try again.")

// maxAgent bounds the User-Agent that is kept.
const maxAgent = 256

func agent(r *http.Request) string {
	if ua := r.Header["User-Agent"]; len(ua) > 0 {
		return ua[0][:min(len(ua[0]), maxAgent)]
	}
	return ""
}

// begin queues the access line. An error means that the request must be
// refused.
func (v *visit) begin(r *http.Request, path string) error {
	line, err := v.edge.o.Audit.Begin(audit.AccessLine{
		At: v.at, Method: clip(r.Method, maxLogMethod), Host: clip(r.Host, maxLogHost), Path: clip(path, maxLogPath), Route: v.route,
		Account: v.subject.Account, Tenant: v.subject.Tenant, Session: v.subject.Session,
		Request: v.id, IP: v.ip, Agent: agent(r),
	})
	if err == nil {
		v.line = line
	}
	return err
}

// What is kept of a request is bounded. The longest registered method has 17
// letters, the longest name 253.
const (
	maxLogPath   = 1024
	maxLogMethod = 32
	maxLogHost   = 260
)

func clip(s string, n int) string { return s[:min(len(s), n)] }

// end completes the access line.
func (v *visit) end() {
	if v.line != nil {
		v.line.End(v.status, v.bytes, v.edge.o.Now().Sub(v.at))
	}
}

// rawPath is the path as it came, without the query.
func rawPath(r *http.Request) string {
	raw, _, _ := strings.Cut(r.RequestURI, "?")
	if raw == "" || raw[0] != '/' { // the absolute form, RFC 9112, 3.2.2
		raw = r.URL.EscapedPath()
	}
	return raw
}
