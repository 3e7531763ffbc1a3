package edge

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"strings"
	"testing"

	"troth/internal/access"
)

// speak sends lines of a header by hand, with a session.
func (h *house) speak(path, cookie, lines string) (int, string) {
	h.t.Helper()
	c := h.wire()
	defer c.Close()
	fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: localhost:8443\r\nCookie: __Host-troth=%s; theme=dark\r\n%s\r\n", path, cookie, lines)
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	h.must(err)
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	h.must(err)
	return res.StatusCode, string(b)
}

func TestNobodyTakesTheAssertionAwayWithAListOfHops(t *testing.T) {
	h := open(t, http.HandlerFunc(echo))
	cookie := h.signIn(access.Member)
	for _, list := range []string{"Troth-Assertion", "troth_assertion", "keep-alive, TROTH-ASSERTION", "close,troth-x", "Host", "Cookie", "cookie", "X-Forwarded-For",
		"x-forwarded-proto", "X_Forwarded_Host", "Forwarded", "X-Real-IP", "Authorization", "Origin", "Sec-Fetch-Site", "Content-Length", "keep-alive\r\nConnection: Troth-Assertion"} {
		before := h.reached.Load()
		if status, body := h.speak("/page", cookie, "Connection: "+list+"\r\n"); status != 400 || h.reached.Load() != before {
			t.Errorf("Connection: %s is %d %s", list, status, body)
		}
		if status, _ := h.speak("/-/about", cookie, "Connection: "+list+"\r\n"); status != 400 {
			t.Errorf("Connection: %s at an own page is %d", list, status)
		}
	}
	for _, list := range []string{"keep-alive", "close", "Keep-Alive, TE", "", ",", "X-Mine"} {
		status, body := h.speak("/page", cookie, "Te: trailers\r\nX-Mine: 1\r\nConnection: "+list+"\r\n")
		if status != 200 || !strings.Contains(body, "Troth-Assertion: ey") || !strings.Contains(body, "Cookie: theme=dark") || !strings.Contains(body, "X-Forwarded-For: 192.0.2.17") {
			t.Errorf("Connection: %s is %d %s", list, status, body)
		}
		if mine := strings.Contains(body, "X-Mine"); mine == (list == "X-Mine") { // RFC 9110, 7.6.1
			t.Errorf("Connection: %s: the application got %s", list, body)
		}
	}
}

func TestTheAssertionIsSetAfterTheHopsAreTakenOut(t *testing.T) {
	var got http.Header
	proxy := &httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) { rewrite(p, p.In.URL); got = p.Out.Header }, Transport: still{}}
	r := httptest.NewRequest("GET", "http://localhost/page", nil)
	r.Header = http.Header{"Connection": {"Troth-Assertion, X-Forwarded-For"}, AssertionHeader: {"signed"}, "X-Forwarded-For": {"192.0.2.17"}}
	proxy.ServeHTTP(httptest.NewRecorder(), r)
	if got.Get(AssertionHeader) != "signed" || got.Get("X-Forwarded-For") != "192.0.2.17" {
		t.Errorf("the application gets %v", got)
	}
}

func TestOnlyWebSocketsAreUpgraded(t *testing.T) {
	h := open(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "upgrade=%q settings=%q connection=%q", r.Header["Upgrade"], r.Header["Http2-Settings"], r.Header["Connection"])
	}))
	cookie := h.signIn(access.Member)
	for protocol, passes := range map[string]bool{"websocket": true, "WebSocket": true, "h2c": false, "HTTP/2.0": false, "websocket, h2c": false, "TLS/1.0": false, "x": false, "websocket\r\nUpgrade: h2c": false} {
		status, body := h.speak("/page", cookie, "Connection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\nUpgrade: "+protocol+"\r\n")
		want := "upgrade=[] settings=[] connection=[]"
		if passes {
			want = fmt.Sprintf("upgrade=[%q] settings=[] connection=[\"Upgrade\"]", protocol)
		}
		if status != 200 || body != want {
			t.Errorf("%s: %d %s", protocol, status, body)
		}
	}
}

func TestHintsAndTrailersCannotSpeakForTroth(t *testing.T) {
	h := open(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Set-Cookie", "__Host-troth=forged; Path=/; Secure")
		w.Header().Set("Troth-Assertion", "forged")
		w.Header().Set("Strict-Transport-Security", "max-age=0")
		w.Header().Set("Link", "</style.css>; rel=preload; as=style")
		w.WriteHeader(http.StatusEarlyHints)
		clear(w.Header())
		w.Header().Set("Trailer", "Set-Cookie, X-Sum")
		w.Header().Set("Content-Type", "text/plain")
		_, _ = io.WriteString(w, "page")
		_ = http.NewResponseController(w).Flush()
		w.Header().Set("Set-Cookie", "__Host-troth=forged; Path=/; Secure")
		w.Header().Set("X-Sum", "1")
		w.Header().Set(http.TrailerPrefix+"Troth-Assertion", "forged")
	}))
	c := h.wire()
	fmt.Fprint(c, "GET /public/ HTTP/1.1\r\nHost: localhost:8443\r\nTE: trailers\r\nConnection: close, TE\r\n\r\n")
	b, err := io.ReadAll(c)
	h.must(err)
	if got := string(b); strings.Contains(got, "forged") || strings.Contains(got, "max-age=0") || !strings.Contains(got, "103 Early Hints\r\nLink: </style.css>") ||
		!strings.Contains(got, "X-Sum: 1") || !strings.Contains(got, "page") || !strings.Contains(got, "HTTP/1.1 200 OK") {
		t.Errorf("the client got %s", got)
	}
}
