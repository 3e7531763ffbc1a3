package edge

import (
	"net"
	"net/http"
	"net/netip"
	"strings"

	"troth/internal/fault"
)

var (
	errHost = fault.New(fault.Invalid, "edge.host",
		"This server does not answer under that name. Use the address that you were given.")
	errHostForm = fault.New(fault.Invalid, "edge.host_form",
		"The request does not name the server in a form that can be read. Use the address that you were given.")
)

// hostOf is the host that a request is for, in its one form: lower case, and
// with a port only if that is not 443. Applications build links from it, so it
// passes only if it is one of the front door's names, and its port the origin's
// or the one that the request came in by.
func (e *Edge) hostOf(r *http.Request) (string, error) {
	if r.Host == e.origin.Host {
		return r.Host, nil
	}
	name, port, ok := splitHost(r.Host)
	switch {
	case r.Host == "": // HTTP/1.0 may leave it out
		return "", errHost
	case !ok:
		return "", errHostForm
	case !e.hosts[name]:
		return "", errHost
	}
	if port != "" && port != e.port {
		local, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
		if local == nil || !strings.HasSuffix(local.String(), ":"+port) {
			return "", errHost
		}
	}
	if strings.IndexByte(name, ':') >= 0 {
		name = "[" + name + "]"
	}
	if port == "" || port == "443" {
		return name, nil
	}
	return name + ":" + port, nil
}

// splitHost reads host[:port] (RFC 9110, 7.2), the host in lower case and an
// IPv6 address without its brackets.
func splitHost(s string) (name, port string, ok bool) {
	rest := ""
	if strings.HasPrefix(s, "[") {
		if name, rest, ok = strings.Cut(s[1:], "]"); !ok {
			return "", "", false
		}
		if a, err := netip.ParseAddr(name); err != nil || !a.Is6() || a.Zone() != "" {
			return "", "", false
		}
	} else {
		if i := strings.IndexByte(s, ':'); i >= 0 {
			s, rest = s[:i], s[i:]
		}
		name = s
		for i := 0; i < len(name); i++ {
			if c := name[i]; !isAlnum(c) && c != '-' && c != '.' && c != '_' {
				return "", "", false
			}
		}
	}
	if len(name) == 0 || len(name) > 253 {
		return "", "", false
	}
	if rest != "" {
		port = rest[1:]
		if rest[0] != ':' || port == "" || len(port) > 5 || strings.Trim(port, "0123456789") != "" {
			return "", "", false
		}
	}
	return strings.ToLower(name), port, true
}
