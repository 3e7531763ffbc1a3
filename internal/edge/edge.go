// Package edge is the front door: the one server that strangers, members and
// the application's visitors meet.
//
// # What it promises
//
// A request passes these steps in this order, and none is skipped on any path:
// TLS 1.2 or newer; the form of the request (method, host, one meaning of the
// path); the health gate; who it is; the access line, queued before anything is
// done; the decision; then one of Troth's own pages or the application.
//
//   - Nothing fails open. While the store, the keys or the log cannot be
//     reached, every request but those of the health pages and for the style
//     files that are built into the program is 503, and the reason is in the
//     log. The gate is looked at by every request and filled
//     several times a second in the background, so it costs the request nothing.
//   - A request has one form. The host is one of the front door's names with
//     its port, no header is declared away (see connection.go), and WebSocket is
//     the only protocol to which a connection may change.
//   - A path has one meaning. Where an application could read a path in another
//     way than Troth, and another rule would then apply, it is refused with
//     400 (see path.go). What is under /-/ never goes upstream.
//   - The application learns who it is from the header Troth-Assertion and
//     nothing else: a JSON Web Token (RFC 7519) signed with ES256, which lives
//     for 60 seconds. Nothing that a client writes under a name of that family,
//     in any spelling, arrives; nor does Troth's own session cookie. What the
//     application answers cannot set Troth's cookies or headers.
//   - A request that lasts obeys too: once a second it is asked anew whether the
//     person may still do it (see watch.go). An open WebSocket or stream is no use
//     of the session: when nothing else is done, it ends with the idle session.
//   - A flood is bounded: of requests that cost an effort only so many are worked
//     on at once and so many wait, and all others are refused before their body is
//     read (see room.go), so that it takes no page from anybody else.
//   - A request that was accepted is answered: [Edge.Serve] ends by letting
//     running requests finish, within a deadline.
//
// # What it is not for
//
// It renders no pages (package web does), knows no domains and decides nothing
// itself: the subject comes from a [web.Authenticator], the permission from
// [access.Subject.May]. What may be tried how often is for package throttle
// and those who ask it. A firewall and ACME certificates take their places in the
// same pipeline later.
//
// # Checks
//
// [Edge.Client] makes clients of a listener inside of the process: the same
// server, TLS configuration and handlers, with a client address from
// 192.0.2.0/24 (RFC 5737). There is no way around anything for them.
//
// Standards: RFC 9110 (HTTP), RFC 9112 (HTTP/1.1), RFC 9113 (HTTP/2), RFC 9325
// (recommendations for TLS), RFC 6797 (HSTS), RFC 7239 (forwarding), RFC 7519,
// 7517, 7638 (tokens and keys).
package edge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"troth/internal/access"
	"troth/internal/audit"
	"troth/internal/web"
)

// Options are what a front door is made of.
type Options struct {
	Origin string   // "https://localhost:8443": what browsers see, and the issuer of assertions
	Hosts  []string // further names under which it is reached; any other Host is 421

	Upstream  *url.URL   // the application: http, https, or unix:/path/of/socket; nil is none
	AppRoutes []AppRoute // who may reach which part of it

	Routes         []web.Route // Troth's own pages
	Authenticators []web.Authenticator
	Web            web.Deps // ClientIP, RequestID and Authenticators are filled here
	Known          func(access.Permission) bool

	Signer       *Signer // signs assertions; needed with an Upstream
	Audit        AccessLog
	Certificates Certificates
	Depends      []Dependency // what must be reachable, or else every answer is 503

	TrustedProxies []netip.Prefix // whose X-Forwarded-For is believed
	Limits         Limits
	Log            *slog.Logger
	Now            func() time.Time
}

// AccessLog takes the line of every request.
type AccessLog interface {
	// Begin queues a line before the request is acted upon. The line becomes
	// durable within moments; an error means that it would not, and the
	// request is refused.
	Begin(line audit.AccessLine) (Line, error)
}

// Line is an access line whose request is under way.
type Line interface {
	// End completes the line. It is called once.
	End(status int, bytes int64, took time.Duration)
}

// Audited is the access log in package audit.
func Audited(log *audit.Log) AccessLog { return audited{log} }

type audited struct{ log *audit.Log }

func (a audited) Begin(line audit.AccessLine) (Line, error) {
	open, err := a.log.Begin(line)
	if err != nil {
		return nil, err
	}
	return open, nil
}

// Limits bound what one client can hold. Zero is the default.
type Limits struct {
	Header         int           // bytes of a request's header; 32 KiB
	HeaderTimeout  time.Duration // to send the header; 10 s
	BodyStall      time.Duration // without a byte of the body; 30 s
	WriteStall     time.Duration // without a byte of the answer being taken; 60 s
	Idle           time.Duration // between two requests of a connection; 120 s
	Streams        int           // at once on one HTTP/2 connection; 100
	Body           int64         // bytes of a request to the application; 1 GiB; negative is any
	UpstreamHeader time.Duration // until the application begins to answer; 60 s
	Drain          time.Duration // for running requests at the end; 30 s
}

func (l Limits) withDefaults() Limits {
	set := func(d *time.Duration, to time.Duration) {
		if *d == 0 {
			*d = to
		}
	}
	set(&l.HeaderTimeout, 10*time.Second)
	set(&l.BodyStall, 30*time.Second)
	set(&l.WriteStall, 60*time.Second)
	set(&l.Idle, 120*time.Second)
	set(&l.UpstreamHeader, 60*time.Second)
	set(&l.Drain, 30*time.Second)
	if l.Header == 0 {
		l.Header = 32 << 10
	}
	if l.Streams == 0 {
		l.Streams = 100
	}
	if l.Body == 0 {
		l.Body = 1 << 30
	}
	return l
}

// Edge is the front door.
type Edge struct {
	o      Options
	limits Limits
	origin *url.URL
	port   string // of the origin
	hosts  map[string]bool
	words  map[string]bool // of which the addresses of own pages are made
	hsts   string
	table  *table
	own    *http.ServeMux
	routes map[string]web.Route // by pattern
	deps   web.Deps             // with what the edge finds out filled in
	proxy  *httputil.ReverseProxy
	gate   gate
	server *http.Server
	memory *memory
	cancel context.CancelFunc // ends what is still running after the drain
	base   context.Context
	active counter
	watch  watch
	odd    odd
	room   *room
}

// New compiles the routes and connects the parts. It reports everything that
// is wrong with the options in sentences, and opens no socket.
func New(o Options) (*Edge, error) {
	e := &Edge{o: o, limits: o.Limits.withDefaults(), room: newRoom()}
	e.base, e.cancel = context.WithCancel(context.Background())
	var wrong []error
	check := func(err error) {
		if err != nil {
			wrong = append(wrong, err)
		}
	}
	check(o.complete())
	check(e.parseOrigin())
	check(web.Check(o.Routes))
	var err error
	e.table, err = newTable(o.AppRoutes, func(p string) bool { return o.Known == nil || o.Known(access.Permission(p)) })
	check(err)
	if len(wrong) == 0 {
		check(e.compile())
		check(e.newProxy())
	}
	if len(wrong) > 0 {
		return nil, errors.Join(wrong...)
	}
	e.gate.depends, e.gate.log = o.Depends, o.Log
	e.newServer()
	return e, nil
}

func (o *Options) complete() error {
	switch {
	case o.Log == nil || o.Now == nil || o.Audit == nil || o.Certificates == nil:
		return errors.New("the front door needs a logger, a clock, an access log and certificates")
	case len(o.Depends) == 0:
		return errors.New("the front door must know what it depends on, or it would fail open")
	case o.Upstream != nil && o.Signer == nil:
		return errors.New("an application needs a signer of assertions")
	}
	return nil
}

func (e *Edge) parseOrigin() error {
	u, err := url.Parse(e.o.Origin)
	if err != nil || u.Scheme != "https" || u.Host == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.User != nil {
		return fmt.Errorf("the origin %q must be https://, a host name and possibly a port, as in https://localhost:8443", e.o.Origin)
	}
	u.Host = strings.TrimSuffix(strings.ToLower(u.Host), ":443")
	e.origin = u
	if e.port = u.Port(); e.port == "" {
		e.port = "443"
	}
	e.hsts = strictTransport(u.Hostname())
	e.hosts = map[string]bool{strings.ToLower(u.Hostname()): true}
	for _, h := range e.o.Hosts {
		e.hosts[strings.ToLower(h)] = true
	}
	if e.hsts == "" { // localhost or a bare address: its other names are the same machine
		for _, h := range localHosts(nil) {
			e.hosts[h] = true
		}
	}
	return nil
}

// Handler is the whole pipeline behind TLS.
func (e *Edge) Handler() http.Handler { return e }

// Origin is the origin without a trailing slash.
func (e *Edge) Origin() string { return e.origin.Scheme + "://" + e.origin.Host }

// AppRoutes lists the routes of the application as they are enforced, sorted.
// Whatever they do not cover needs a signed-in person.
func (e *Edge) AppRoutes() []AppRoute { return e.table.rules() }

// localAddr is the address that the in-memory listener claims to have.
var localAddr = &net.TCPAddr{IP: net.IPv4(192, 0, 2, 254), Port: 443}
