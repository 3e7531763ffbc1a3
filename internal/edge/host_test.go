package edge

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

func TestTheHostHasOneForm(t *testing.T) {
	h := build(t, nil, func(o *Options) { o.Hosts = []string{"app.example"} })
	const other, misread = "421", "400"
	for host, want := range map[string]string{
		"localhost:8443": "localhost:8443", "LOCALHOST:8443": "localhost:8443", "localhost": "localhost", "localhost:443": "localhost",
		"App.Example:8443": "app.example:8443", "127.0.0.1:8443": "127.0.0.1:8443", "[::1]:8443": "[::1]:8443", "[::1]": "[::1]",
		"localhost:9999": "localhost:9999", // the port that the request came in by
		"localhost:80":   other, "evil.example": other, "localhost:84430": other, "localhost.": other,
		"localhost:8443/evil": misread, "localhost:8443/../x": misread, "localhost/evil": misread, "localhost:": misread, "localhost:x": misread, "localhost:-1": misread,
		"localhost:8443:8443": misread, "localhost:8443@evil.example": misread, "user@localhost:8443": misread, "localhost:8443?x": misread, "localhost:8443#x": misread,
		"local host": misread, "::1": misread, "[::1": misread, "[::1]x": misread, "[localhost]": misread, "[fe80::1%25eth0]": misread, "": other, ":8443": misread,
		"localhost,evil": misread, "lοcalhost": misread, "localhost\\evil": misread, strings.Repeat("a", 300): misread,
	} {
		r := (&http.Request{Host: host}).WithContext(context.WithValue(t.Context(), http.LocalAddrContextKey, net.Addr(&net.TCPAddr{IP: net.IPv6loopback, Port: 9999})))
		if host == "localhost:443" {
			h.edge.port = "443" // an origin without a port
		} else {
			h.edge.port = "8443"
		}
		got, err := h.edge.hostOf(r)
		switch {
		case got == want && err == nil:
		case want == other && err == error(errHost), want == misread && err == error(errHostForm):
		default:
			t.Errorf("%q becomes %q, %v", host, got, err)
		}
	}
}

func TestTheApplicationGetsTheHostInItsOneForm(t *testing.T) {
	h := open(t, http.HandlerFunc(echo))
	for host, want := range map[string]string{"LocalHost:8443": "localhost:8443", "localhost:8443": "localhost:8443", "localhost:8443/evil": "", "localhost:1": ""} {
		c := h.wire()
		fmt.Fprintf(c, "GET /public/ HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", host)
		before := h.reached.Load()
		b, err := io.ReadAll(c)
		h.must(err)
		a := string(b)
		if want == "" {
			if !strings.HasPrefix(a, "HTTP/1.1 4") || h.reached.Load() != before {
				t.Errorf("%q: %s", host, a)
			}
			continue
		}
		if !strings.Contains(a, "Host: "+want+"\n") || !strings.Contains(a, "X-Forwarded-Host: "+want+"\r\n") {
			t.Errorf("%q: %s", host, a)
		}
	}
}
