package edge

import (
	"fmt"
	"net/http"
	"net/netip"
	"runtime/debug"
	"strings"

	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/web"
)

var (
	errShut = fault.New(fault.Unavailable, "edge.shut",
		"Something that is needed to answer safely cannot be reached, so everything is refused for the moment. Try again soon.").In(5e9)
	errUnrecorded = fault.New(fault.Unavailable, "edge.unrecorded",
		"The request cannot be recorded right now, so it was refused. Try again soon.").In(5e9)
	errUnknown = fault.New(fault.Unavailable, "edge.unknown_subject",
		"It cannot be found out right now who you are, so the request was refused. Try again soon.").In(5e9)
	errMethod = fault.New(fault.Invalid, "edge.method", "The method of the request is not taken here.")
	errNoPage = fault.New(fault.NotFound, "edge.nothing", "There is nothing at this address. Check it, or start from the first page.")
)

// healthPrefix is answered even when the gate is shut: whoever restarts the
// program must be able to ask.
const healthPrefix = "/-/health/"

// assetPrefix is where the style of the pages is, built into the program. It
// needs nothing that could be away, and without it the page that says so could
// hardly be read.
const assetPrefix = "/-/assets/"

// ServeHTTP takes a request through all steps.
func (e *Edge) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e.active.enter()
	defer e.active.leave()
	now := e.o.Now()
	v := &visit{ResponseWriter: w, edge: e, at: now, id: id.New[id.Request](now),
		ip: clientAddr(r.RemoteAddr, r.Header["X-Forwarded-For"], e.o.TrustedProxies)}
	defer v.end()
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		if p != http.ErrAbortHandler {
			err := fmt.Errorf("panic: %v\n%s", p, debug.Stack())
			if v.status == 0 {
				v.fail(r, err)
				return
			}
			e.o.Log.Error("a request broke off", "request", string(v.id), "error", err.Error())
		}
		panic(http.ErrAbortHandler) // half an answer must not pass for a whole one
	}()
	if e.gate.draining.Load() && r.ProtoMajor == 1 {
		w.Header()["Connection"] = closing
	}
	e.serve(v, r)
}

var closing = []string{"close"}

// serve decides where a request goes and begins its access line.
func (e *Edge) serve(v *visit, r *http.Request) {
	path := rawPath(r)
	rule, err := e.form(v, r, path)
	if err == nil && strings.HasPrefix(path, healthPrefix) {
		e.health(v, r, path)
		return
	}
	if !e.gate.open() {
		if err == nil && e.isAsset(r, path) {
			e.health(v, r, path)
			return
		}
		_ = v.begin(r, e.recordable(path, rule)) // refused in any case
		v.fail(r, errShut)
		return
	}
	if err != nil {
		e.refuse(v, r, e.recordable(path, rule), err)
		return
	}
	if rule == own {
		e.ownPage(v, r, path)
		return
	}
	v.route = rule.path
	v.authenticate(r)
	if err := v.begin(r, path); err != nil {
		v.fail(r, fault.Wrap(err, errUnrecorded.Kind, errUnrecorded.Code, errUnrecorded.Message.Format))
		return
	}
	if e.proxy == nil {
		v.withoutApplication(r, path)
		return
	}
	if err := v.admit(rule); fault.KindOf(err) == fault.Denied && v.unknown == nil {
		v.deny(r, rule)
		return
	} else if err != nil {
		v.fail(r, err)
		return
	}
	e.forward(v, r, rule)
}

// form refuses requests that are not what they seem. The rule is nil only when
// there is none.
func (e *Edge) form(v *visit, r *http.Request, path string) (*rule, error) {
	found, err := e.table.rule(path)
	if err != nil {
		return nil, err
	}
	switch r.Method {
	case http.MethodConnect, http.MethodTrace:
		return found, errMethod // RFC 9110, 9.3.6 and 9.3.8: for proxies of another kind
	}
	if v.host, err = e.hostOf(r); err != nil && !strings.HasPrefix(path, healthPrefix) {
		return found, err
	}
	return found, oneHop(r.Header)
}

// isAsset reports whether the request is for a file that is built into the
// program and names nobody.
func (e *Edge) isAsset(r *http.Request, path string) bool {
	if !strings.HasPrefix(path, assetPrefix) {
		return false
	}
	_, pattern := e.own.Handler(r)
	return e.routes[pattern].Anonymous
}

// refuse answers a request that was not even looked at further; it is recorded
// as a stranger's.
func (e *Edge) refuse(v *visit, r *http.Request, path string, err error) {
	e.tell(v, err)
	v.subject.Context.IP, v.subject.Context.Request = v.ip, v.id
	if lerr := v.begin(r, path); lerr != nil {
		err = fault.Wrap(lerr, errUnrecorded.Kind, errUnrecorded.Code, errUnrecorded.Message.Format)
	}
	v.fail(r, err)
}

// admit holds the rule of a route of the application.
func (v *visit) admit(rule *rule) error {
	if v.unknown != nil {
		return unknown(v.unknown)
	}
	return rule.admits(v.subject)
}

// unknown is the fault of not knowing who it is.
func unknown(err error) error {
	if fault.As(err) != nil {
		return err
	}
	return fault.Wrap(err, errUnknown.Kind, errUnknown.Code, errUnknown.Message.Format)
}

// withoutApplication answers when nothing stands behind the front door.
func (v *visit) withoutApplication(r *http.Request, path string) {
	if path != "/" {
		v.fail(r, errNoPage)
		return
	}
	v.Header().Set("Location", "/-/account/")
	v.Header().Set("Cache-Control", "no-store")
	v.WriteHeader(http.StatusSeeOther)
}

var errStranger = fault.New(fault.Unauthenticated, "edge.sign_in", "Sign in first.")

// ownPage serves what stands under /-/.
func (e *Edge) ownPage(v *visit, r *http.Request, path string) {
	_, pattern := e.own.Handler(r)
	route, ok := e.routes[pattern]
	if route.Cost != "" && e.room.full() {
		e.crowded(v, r, route)
		return
	}
	switch {
	case !ok:
		path = e.recordable(path, own)
	case route.Redact:
		v.route, path = route.Path, route.Path
	default:
		v.route, path = route.Path, hideTokens(path)
	}
	if !ok || !route.Anonymous {
		v.authenticate(r)
	} else {
		v.subject.Context.IP, v.subject.Context.Request = v.ip, v.id
	}
	if err := v.begin(r, path); err != nil {
		v.fail(r, fault.Wrap(err, errUnrecorded.Kind, errUnrecorded.Code, errUnrecorded.Message.Format))
		return
	}
	e.page(v, r)
}

// page hands a request to the handlers of package web.
func (e *Edge) page(v *visit, r *http.Request) {
	if e.hsts != "" {
		v.Header().Set("Strict-Transport-Security", e.hsts)
	}
	r.Body = e.guardBody(v, r)
	e.own.ServeHTTP(v, withVisit(r, v))
}

// health answers without the gate, without a name and, when it must be, without
// a line in the log: it tells nothing but that. So are assets answered while
// the gate is shut.
func (e *Edge) health(v *visit, r *http.Request, path string) {
	v.route = healthPrefix
	if strings.HasPrefix(path, assetPrefix) {
		v.route = assetPrefix
	}
	_ = v.begin(r, e.recordable(path, own))
	e.page(v, r)
}

// compile makes the handlers of Troth's own pages.
func (e *Edge) compile() error {
	deps := e.o.Web
	deps.Authenticators = []web.Authenticator{known{}}
	deps.ClientIP = func(r *http.Request) (a netip.Addr) {
		if v := visitOf(r); v != nil {
			a = v.ip
		}
		return a
	}
	deps.RequestID = func(r *http.Request) (q id.Request) {
		if v := visitOf(r); v != nil {
			q = v.id
		}
		return q
	}
	deps.Room = e.room
	var err error
	if e.own, err = web.Mux(e.o.Routes, deps); err != nil {
		return err
	}
	e.deps = deps
	e.routes, e.words = map[string]web.Route{}, map[string]bool{".": true, "..": true}
	for _, route := range e.o.Routes {
		e.routes[route.Pattern()] = route
		e.learn(route.Path)
		if isOwn(route.Path) {
			continue
		}
		if err := e.table.reserve(route.Path); err != nil {
			return err
		}
	}
	return nil
}
