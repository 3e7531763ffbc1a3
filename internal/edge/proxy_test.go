package edge

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"troth/internal/access"
)

// wire opens a connection that speaks HTTP/1.1 by hand.
func (h *house) wire() net.Conn {
	h.t.Helper()
	raw, err := h.edge.memory.dial(context.Background(), testFrom)
	h.must(err)
	conf := h.edge.clientTLS()
	conf.ServerName, conf.NextProtos = "localhost", []string{"http/1.1"}
	c := tls.Client(raw, conf)
	h.must(c.Handshake())
	h.must(c.SetDeadline(time.Now().Add(20 * time.Second)))
	h.t.Cleanup(func() { c.Close() })
	return c
}

// socketApp speaks the WebSocket handshake and then returns every byte.
func socketApp(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Upgrade") != "websocket" {
		http.Error(w, "a WebSocket is wanted", http.StatusUpgradeRequired)
		return
	}
	conn, buf, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	fmt.Fprintf(buf, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nX-Assertion: %v\r\n\r\n", r.Header.Get(AssertionHeader) != "")
	_ = buf.Flush()
	_, _ = io.Copy(conn, buf)
}

const upgrade = "GET /ws HTTP/1.1\r\nHost: localhost:8443\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"

func TestWebSocketsPassAndAreCutOffAtTheEnd(t *testing.T) {
	h := open(t, http.HandlerFunc(socketApp), func(o *Options) { o.Limits.Drain = 300 * time.Millisecond })
	c := h.wire()
	fmt.Fprintf(c, "%s\r\n", upgrade)
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	h.must(err)
	if res.StatusCode != http.StatusUnauthorized {
		t.Errorf("a stranger's WebSocket: %d", res.StatusCode)
	}
	c = h.wire()
	fmt.Fprintf(c, "%sCookie: __Host-troth=%s\r\n\r\n", upgrade, h.signIn(access.Member))
	br := bufio.NewReader(c)
	res, err = http.ReadResponse(br, nil)
	h.must(err)
	if res.StatusCode != 101 || res.Header.Get("X-Assertion") != "true" {
		t.Fatalf("%d, %v", res.StatusCode, res.Header)
	}
	for _, frame := range []string{"\x81\x85\x00\x00\x00\x00hello", strings.Repeat("x", 100_000)} {
		go io.WriteString(c, frame)
		back := make([]byte, len(frame))
		if _, err := io.ReadFull(br, back); err != nil || string(back) != frame {
			t.Fatalf("%d bytes came back as %.20q, %v", len(frame), back, err)
		}
	}
	if line := h.lines.last(); line.Status != 0 || line.Path != "/ws" {
		t.Errorf("while it is open, the line is %+v", line)
	}
	h.stop()
	if _, err := br.ReadByte(); err == nil {
		t.Error("the connection outlived the front door")
	}
	<-h.stopped
	h.stopped <- nil
	eventually(t, "the line is completed", func() bool { return h.lines.last().Status == 101 })
}

func TestStreamsAreNotHeldBack(t *testing.T) {
	next := make(chan string)
	h := open(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for s := range next {
			fmt.Fprintf(w, "data: %s\n\n", s)
			_ = http.NewResponseController(w).Flush()
		}
	}))
	req, err := http.NewRequest("GET", "https://localhost:8443/public/events", nil)
	h.must(err)
	client := h.client()
	client.Timeout = 0
	defer client.CloseIdleConnections()
	done := make(chan struct{})
	go func() { next <- "0"; close(done) }()
	res, err := client.Do(req)
	h.must(err)
	defer res.Body.Close()
	<-done
	br := bufio.NewReader(res.Body)
	for i := range 5 {
		if i > 0 {
			next <- fmt.Sprint(i)
		}
		line, err := br.ReadString('\n')
		if _, err2 := br.ReadString('\n'); err != nil || err2 != nil || line != fmt.Sprintf("data: %d\n", i) {
			t.Fatalf("event %d is %q, %v, %v", i, line, err, err2)
		}
	}
	close(next)
}

func TestAnApplicationThatDoesNotAnswer(t *testing.T) {
	release := make(chan struct{})
	h := open(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/public/hangs":
			<-release
		case "/public/garbage":
			c, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				_, _ = io.WriteString(c, "SMTP? no\r\n\r\n")
				c.Close()
			}
		case "/public/dies":
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, "half")
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}
	}), func(o *Options) { o.Limits.UpstreamHeader = 200 * time.Millisecond })
	for path, want := range map[string]int{"/public/hangs": 504, "/public/garbage": 502} {
		a := h.ask("GET", path, "", page...)
		if a.StatusCode != want || !strings.Contains(a.text, string(h.lines.last().Request)) {
			t.Errorf("%s: %d, want %d with a reference", path, a.StatusCode, want)
		}
		if a := h.ask("GET", path, ""); a.StatusCode != want || a.Header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %d %s", path, a.StatusCode, a.Header.Get("Content-Type"))
		}
	}
	client := h.client()
	defer client.CloseIdleConnections()
	if res, err := client.Get("https://localhost:8443/public/dies"); err == nil { // or the stream is reset before its header is out
		if b, err := io.ReadAll(res.Body); err == nil {
			t.Errorf("half an answer passed for a whole one: %q", b)
		}
		res.Body.Close()
	}
	close(release)
	h.upstream.Close()
	if a := h.ask("GET", "/public/x", ""); a.StatusCode != 502 {
		t.Errorf("a dead application: %d", a.StatusCode)
	}
	if !strings.Contains(h.journal.String(), "edge.upstream") {
		t.Error("the reason is not in the log")
	}
}

func TestAClientThatLeavesIsRecorded(t *testing.T) {
	started := make(chan struct{})
	h := open(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(started)
		<-r.Context().Done()
	}))
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, "GET", "https://localhost:8443/public/slow", nil)
	h.must(err)
	go func() {
		if res, err := h.client().Do(req); err == nil {
			res.Body.Close()
		}
	}()
	<-started
	cancel()
	eventually(t, "the line is completed", func() bool { return h.lines.last().Status == statusGone })
}

func TestBodiesAreBounded(t *testing.T) {
	h := open(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		fmt.Fprintln(w, n, err)
	}), func(o *Options) { o.Limits.Body = 1000 })
	for _, c := range []struct {
		body io.Reader
		want int
	}{
		{strings.NewReader(strings.Repeat("x", 1000)), 200},
		{strings.NewReader(strings.Repeat("x", 1001)), 413},
		{io.MultiReader(strings.NewReader(strings.Repeat("x", 900))), 200}, // of unknown length
		{io.MultiReader(strings.NewReader(strings.Repeat("x", 5000))), 413},
	} {
		req, err := http.NewRequest("POST", "https://localhost:8443/public/", c.body)
		h.must(err)
		if a := h.do(req); a.StatusCode != c.want {
			t.Errorf("%d, want %d: %s", a.StatusCode, c.want, a.text)
		}
	}
}

func TestASilentClientDoesNotHoldTheApplication(t *testing.T) {
	h := open(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) }),
		func(o *Options) {
			o.Limits.BodyStall, o.Limits.HeaderTimeout = 200*time.Millisecond, 200*time.Millisecond
		})
	c := h.wire()
	fmt.Fprint(c, "POST /public/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nhalf")
	if res, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil || res.StatusCode != 400 {
		t.Errorf("a body that stops: %v, %v", res, err)
	}
	c = h.wire()
	fmt.Fprint(c, "GET /public/ HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
	if b, err := io.ReadAll(c); err != nil && !strings.Contains(err.Error(), "EOF") && !strings.Contains(err.Error(), "closed") {
		t.Errorf("a header that stops: %q, %v", b, err)
	}
}

func TestBadRequestsOnTheWire(t *testing.T) {
	h := open(t, http.HandlerFunc(echo))
	const host = "Host: localhost:8443\r\n"
	for name, c := range map[string]struct {
		raw  string
		want []int
	}{
		"two lengths":                {"POST /public/ HTTP/1.1\r\n" + host + "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", []int{400}},
		"length and chunks":          {"POST /public/ HTTP/1.1\r\n" + host + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /evil HTTP/1.1\r\n\r\n", []int{400, 200}},
		"chunked twice":              {"POST /public/ HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", []int{400, 501}},
		"an unknown coding":          {"POST /public/ HTTP/1.1\r\n" + host + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", []int{400, 501}},
		"chunked with a tab":         {"POST /public/ HTTP/1.1\r\n" + host + "Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n", []int{400, 501}},
		"a space before the colon":   {"GET /public/ HTTP/1.1\r\n" + host + "Troth-Assertion : forged\r\n\r\n", []int{400}},
		"a folded header":            {"GET /public/ HTTP/1.1\r\n" + host + "X-A: b\r\n Troth-Assertion: forged\r\n\r\n", []int{200, 400}},
		"a bad length":               {"POST /public/ HTTP/1.1\r\n" + host + "Content-Length: +3\r\n\r\nabc", []int{400}},
		"a negative length":          {"POST /public/ HTTP/1.1\r\n" + host + "Content-Length: -1\r\n\r\n", []int{400}},
		"two hosts":                  {"GET /public/ HTTP/1.1\r\n" + host + "Host: evil.example\r\n\r\n", []int{400}},
		"no host":                    {"GET /public/ HTTP/1.1\r\n\r\n", []int{400}},
		"no host, HTTP/1.0":          {"GET /public/ HTTP/1.0\r\n\r\n", []int{421}},
		"another host in the target": {"GET https://evil.example/public/ HTTP/1.1\r\n" + host + "\r\n", []int{421}},
		"the absolute form":          {"GET https://localhost:8443/public/ HTTP/1.1\r\n" + host + "\r\n", []int{200}},
		"an asterisk":                {"OPTIONS * HTTP/1.1\r\n" + host + "\r\n", []int{400}},
		"CONNECT":                    {"CONNECT localhost:22 HTTP/1.1\r\n" + host + "\r\n", []int{400, 405, 421}},
		"a NUL in a header":          {"GET /public/ HTTP/1.1\r\n" + host + "X-A: b\x00c\r\n\r\n", []int{400}},
		"a bare CR in a header":      {"GET /public/ HTTP/1.1\r\n" + host + "X-A: b\rTroth-Assertion: forged\r\n\r\n", []int{400}},
		"a backslash":                {"GET /public\\..\\x HTTP/1.1\r\n" + host + "\r\n", []int{400}},
		"a fragment":                 {"GET /public/#x HTTP/1.1\r\n" + host + "\r\n", []int{400}},
		"a space in the path":        {"GET /public/ x HTTP/1.1\r\n" + host + "\r\n", []int{400}},
		"a broken escape":            {"GET /public/%zz HTTP/1.1\r\n" + host + "\r\n", []int{400}},
		"a huge header":              {"GET /public/ HTTP/1.1\r\n" + host + "X-A: " + strings.Repeat("x", 64<<10) + "\r\n\r\n", []int{431}},
		"plain words":                {"hello\r\n\r\n", []int{400}},
	} {
		conn := h.wire()
		go io.WriteString(conn, c.raw)
		before := h.reached.Load()
		br := bufio.NewReader(conn)
		res, err := http.ReadResponse(br, nil)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		body, _ := io.ReadAll(res.Body) //nolint: what came is enough
		ok := false
		for _, w := range c.want {
			ok = ok || res.StatusCode == w
		}
		if !ok {
			t.Errorf("%s: %d, want %v: %s", name, res.StatusCode, c.want, body)
		}
		if strings.Contains(string(body), "\nTroth-Assertion: forged") || strings.Contains(string(body), "GET /evil") {
			t.Errorf("%s: the application got %s", name, body)
		}
		if res.StatusCode != 200 && h.reached.Load() != before {
			t.Errorf("%s: refused with %d, yet the application was reached", name, res.StatusCode)
		}
		conn.Close()
	}
	if strings.Contains(h.journal.String(), "evil") && h.reached.Load() == 0 {
		t.Log("refused requests are in the log")
	}
}

func TestPlainHTTPIsToldToUseTLS(t *testing.T) {
	h := build(t, nil)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	h.must(err)
	h.serve(l)
	c, err := net.Dial("tcp", l.Addr().String())
	h.must(err)
	defer c.Close()
	h.must(c.SetDeadline(time.Now().Add(10 * time.Second)))
	fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
	b, err := io.ReadAll(c)
	if err != nil || !strings.Contains(string(b), "400 Bad Request") || !strings.Contains(string(b), "HTTPS server") {
		t.Errorf("%q, %v", b, err)
	}
	if strings.Contains(h.journal.String(), "127.0.0.1:") {
		t.Errorf("the log holds an address:\n%s", h.journal)
	}
}

func TestTheApplicationMayBeBehindASocketOrAPath(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "app.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	app := &http.Server{Handler: http.HandlerFunc(echo)}
	go app.Serve(l)
	defer app.Close()
	h := open(t, nil, func(o *Options) { o.Upstream = &url.URL{Scheme: "unix", Path: socket} })
	if a := h.ask("GET", "/public/x", ""); a.StatusCode != 200 || !strings.Contains(a.text, "Host: localhost:8443\n") {
		t.Errorf("%d %s", a.StatusCode, a.text)
	}
	h = open(t, http.HandlerFunc(echo), func(o *Options) { o.Upstream = o.Upstream.JoinPath("/base/") })
	if a := h.ask("GET", "/public/x%2Fy?a=b", ""); !strings.Contains(a.text, "GET /base/public/x%2Fy?a=b\n") {
		t.Errorf("%d %s", a.StatusCode, a.text)
	}
	for _, bad := range []string{"ftp://x", "http://", "unix:relative", "http://user:secret@host", "http://host/?x"} {
		u, err := url.Parse(bad)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := upstream(u); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func TestWhatAnApplicationSendsIsNotInTheLog(t *testing.T) {
	answers := map[string]string{
		"/public/header": "HTTP/1.1 200 OK\r\nSet-Cookie: app=PLANTED\x01\r\n\r\n",
		"/public/status": "HTTP/1.1 PLANTED\r\n\r\n",
		"/public/words":  "PLANTED words\r\n\r\n",
		"/public/length": "HTTP/1.1 200 OK\r\nContent-Length: PLANTED\r\n\r\n",
		"/public/coding": "HTTP/1.1 200 OK\r\nTransfer-Encoding: PLANTED\r\n\r\n",
	}
	h := open(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, _, err := http.NewResponseController(w).Hijack(); err == nil {
			_, _ = io.WriteString(c, answers[r.URL.Path])
			c.Close()
		}
	}))
	for path := range answers {
		if a := h.ask("GET", path, ""); a.StatusCode != 502 {
			t.Errorf("%s: %d", path, a.StatusCode)
		}
	}
	if j := h.journal.String(); strings.Contains(j, "PLANTED") || !strings.Contains(j, "no answer that can be read") {
		t.Errorf("the log is\n%s", j)
	}
}
