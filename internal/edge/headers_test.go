package edge

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
)

func TestWhatOnlyTrothMaySayIsTakenOutInEverySpelling(t *testing.T) {
	h := http.Header{}
	for _, name := range []string{
		"Troth-Assertion", "troth-assertion", "TROTH-ASSERTION", "Troth_Assertion", "troth_assertion", "Troth.Assertion", "Troth-Anything", "Troth", "_Troth-Assertion", "!troth~assertion",
		"X-Forwarded-For", "X_Forwarded_For", "x-forwarded-proto", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Prefix", "X-Forwarded-Client-Cert", "X.Forwarded.For",
		"Forwarded", "X-Real-Ip", "X_Real_IP", "True-Client-Ip", "Client-Ip", "Cf-Connecting-Ip", "X-Original-Url", "X-Original-URI", "X-Rewrite-Url", "Remote-User", "REMOTE_USER", "remote_addr", "X-Remote-User", "X-Auth-Request-User", "X-Auth-Request-Email", "X-Envoy-Original-Path", "X-Forward-For", "X-ProxyUser-Ip", "X_Original_URL", "Proxy",
		"Troth-" + strings.Repeat("x", 100), "X-Forwarded-" + strings.Repeat("x", 100),
	} {
		h[name] = []string{"forged"}
	}
	kept := []string{"Accept", "Authorization", "Content-Type", "Trothful", "Api_key", "X-Forward", "X-Request-Id", "Proxy-Thing", "Client-Id", "Forwarded-Not", "Referer", "X-Auth", "X-Originals", "Range"}
	for _, name := range kept {
		h[name] = []string{"kept"}
	}
	stripRequest(h)
	got := slices.Sorted(maps.Keys(h))
	slices.Sort(kept)
	if !slices.Equal(got, kept) {
		t.Errorf("left over is %v, not %v", got, kept)
	}
}

func TestOwnCookiesDoNotGoUpstream(t *testing.T) {
	for _, c := range []struct{ in, want []string }{
		{[]string{"a=1; b=2"}, []string{"a=1; b=2"}},
		{[]string{"__Host-troth=secret"}, nil},
		{[]string{"a=1; __Host-troth=secret; b=2"}, []string{"a=1; b=2"}},
		{[]string{"a=1", "__Host-troth-flash=x", "b=2"}, []string{"a=1", "b=2"}},
		{[]string{"__HOST-TROTH=secret; a=1"}, []string{"a=1"}},
		{[]string{"a=1;__Host-troth=secret;b=2"}, []string{"a=1; b=2"}},
		{[]string{"=__Host-troth=secret; a=1"}, []string{"a=1"}},
		{[]string{"__Host-other=1; x__Host-troth=2"}, []string{"__Host-other=1; x__Host-troth=2"}},
	} {
		h := http.Header{"Cookie": slices.Clone(c.in)}
		stripRequest(h)
		if got := h["Cookie"]; !slices.Equal(got, c.want) {
			t.Errorf("%q becomes %q, not %q", c.in, got, c.want)
		}
	}
}

func TestTheApplicationCannotSpeakForTroth(t *testing.T) {
	h := http.Header{
		"Set-Cookie":                {"a=1", "__Host-troth=forged; Path=/; Secure", " __host-TROTH-flash=x", "=__Host-troth=x", "b=2"},
		"Troth-Assertion":           {"x"},
		"Troth_Thing":               {"x"},
		"Alt-Svc":                   {`h3=":443"`},
		"Strict-Transport-Security": {"max-age=0"},
		"X-Frame-Options":           {"DENY"},
		"Content-Type":              {"text/html"},
	}
	stripResponse(h, hstsAge)
	if got := h["Set-Cookie"]; !slices.Equal(got, []string{"a=1", "b=2"}) {
		t.Errorf("cookies: %q", got)
	}
	want := map[string]string{"Strict-Transport-Security": hstsAge, "X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff",
		"Referrer-Policy": "strict-origin-when-cross-origin", "Troth-Assertion": "", "Alt-Svc": ""}
	for name, value := range want {
		if h.Get(name) != value {
			t.Errorf("%s is %q, not %q", name, h.Get(name), value)
		}
	}
	for name := range h {
		if strings.EqualFold(name, "Troth_Thing") {
			t.Error("Troth_Thing is still there")
		}
	}
	own := http.Header{"Content-Security-Policy": {"default-src 'self'; frame-ancestors https://portal.example"}, "Set-Cookie": {"__Host-troth=x"}}
	stripResponse(own, "")
	if own.Get("X-Frame-Options") != "" || own.Get("Strict-Transport-Security") != "" || own["Set-Cookie"] != nil {
		t.Errorf("the answer became %v", own)
	}
}

func TestUsualHeadersCostNothing(t *testing.T) {
	h := http.Header{"Accept": {"*/*"}, "Content-Type": {"x"}, "Cookie": {"a=1"}, "X-Request-Id": {"1"}, "Cache-Control": {"no-cache"}, "Te": {"trailers"}}
	if n := testing.AllocsPerRun(100, func() { stripRequest(h) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestStrictTransportIsForNamesOnly(t *testing.T) {
	for host, want := range map[string]string{"localhost": "", "app.localhost": "", "127.0.0.1": "", "::1": "", "[::1]": "", "LOCALHOST.": "", "troth.example": hstsAge} {
		if got := strictTransport(host); got != want {
			t.Errorf("%s: %q", host, got)
		}
	}
}
