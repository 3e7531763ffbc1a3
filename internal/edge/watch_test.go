package edge

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"troth/internal/access"
	"troth/internal/id"
)

// lastsApp answers with a WebSocket, a stream, a flood or a long poll, and
// tells on ended when its side is over.
func lastsApp(ended chan<- string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "" {
			socketApp(w, r)
			ended <- "socket"
			return
		}
		what := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
		if what == "stream" || what == "flood" {
			_, _ = io.WriteString(w, "first\n")
			_ = http.NewResponseController(w).Flush()
		}
		for what == "flood" {
			if _, err := w.Write(make([]byte, 32<<10)); err != nil {
				break
			}
		}
		<-r.Context().Done()
		ended <- what
	}
}

// lasting is a house with one lasting request of each kind and who made it.
type lasting struct {
	*house
	cookie string
	ended  chan string
}

func openLasting(t *testing.T, change ...func(*Options)) *lasting {
	l := &lasting{ended: make(chan string, 16)}
	l.house = open(t, lastsApp(l.ended), change...)
	l.cookie = l.signIn(access.Admin)
	return l
}

// socket opens a WebSocket and shows that it works.
func (l *lasting) socket(path, cookie string) (net.Conn, *bufio.Reader) {
	l.t.Helper()
	c := l.wire()
	fmt.Fprintf(c, "%sCookie: __Host-troth=%s\r\n\r\n", strings.Replace(upgrade, "/ws", path, 1), cookie)
	br := bufio.NewReader(c)
	res, err := http.ReadResponse(br, nil)
	l.must(err)
	if res.StatusCode != 101 {
		l.t.Fatalf("%d", res.StatusCode)
	}
	l.ping(c, br)
	return c, br
}

func (l *lasting) ping(c net.Conn, br *bufio.Reader) {
	l.t.Helper()
	_, err := io.WriteString(c, "ping")
	l.must(err)
	back := make([]byte, 4)
	if _, err := io.ReadFull(br, back); err != nil || string(back) != "ping" {
		l.t.Fatalf("%q, %v", back, err)
	}
}

// get begins a request and returns its answer, whose body has not ended.
func (l *lasting) get(path, cookie string) *http.Response {
	l.t.Helper()
	req, err := http.NewRequestWithContext(l.t.(*testing.T).Context(), "GET", "https://localhost:8443"+path, nil)
	l.must(err)
	req.Header.Set("Cookie", "__Host-troth="+cookie)
	client := l.client()
	l.t.Cleanup(client.CloseIdleConnections)
	res, err := client.Do(req)
	l.must(err)
	l.t.Cleanup(func() { res.Body.Close() })
	return res
}

// soon is how long what has lost its right may go on.
const soon = 3 * time.Second

// over waits for the end of a connection or an answer, which must not look
// like a regular one.
func (l *lasting) over(what string, r io.Reader, from time.Time) {
	l.t.Helper()
	_, err := io.Copy(io.Discard, r)
	if d := time.Since(from); d > soon {
		l.t.Errorf("%s went on for %v", what, d)
	}
	if what != "socket" && err == nil {
		l.t.Errorf("%s: half an answer passed for a whole one", what)
	}
}

func (l *lasting) applicationToldOf(n int) {
	l.t.Helper()
	for range n {
		select {
		case <-l.ended:
		case <-time.After(soon):
			l.t.Fatal("the application still believes that somebody listens")
		}
	}
}

func TestWhatLastsEndsWithTheSession(t *testing.T) {
	l := openLasting(t)
	_, socket := l.socket("/ws", l.cookie)
	_, public := l.socket("/public/ws", l.cookie)
	stream := l.get("/stream", l.cookie)
	other := l.signIn(access.Member)
	c, others := l.socket("/ws", other)
	poll := make(chan answer, 1)
	go func() { poll <- l.ask("GET", "/poll", l.cookie) }()
	eventually(t, "the long poll has come", func() bool { return l.reached.Load() == 5 })
	uses := l.uses.Load()
	time.Sleep(2500 * time.Millisecond) // they last while nothing changes
	if n := l.uses.Load(); n != uses {
		t.Errorf("requests that go on counted %d times as use of a session", n-uses)
	}
	from := time.Now()
	l.people.Delete(l.cookie)
	l.over("socket", socket, from)
	l.over("socket", public, from)
	l.over("stream", stream.Body, from)
	if a := <-poll; a.StatusCode != http.StatusUnauthorized || strings.Contains(a.text, "\"edge.upstream") || time.Since(from) > soon {
		t.Errorf("the long poll: %d %s after %v", a.StatusCode, a.text, time.Since(from))
	}
	l.applicationToldOf(4)
	l.ping(c, others) // of somebody who is still signed in
}

func TestWhatLastsEndsWithThePermissionOrTheTenant(t *testing.T) {
	l := openLasting(t)
	for name, lose := range map[string]func(cookie string, who access.SignedIn){
		"the role": func(_ string, who access.SignedIn) {
			l.roles.mu.Lock()
			l.roles.m[string(who.Tenant)+string(who.Account)] = access.Member
			l.roles.mu.Unlock()
			l.must(l.changed(who))
		},
		"the membership": func(_ string, who access.SignedIn) {
			l.roles.mu.Lock()
			delete(l.roles.m, string(who.Tenant)+string(who.Account))
			l.roles.mu.Unlock()
			l.must(l.changed(who))
		},
		"the tenant": func(cookie string, who access.SignedIn) {
			who.Tenant = id.New[id.Tenant](time.Now())
			l.people.Store(cookie, who)
		},
	} {
		cookie := l.signIn(access.Admin)
		_, socket := l.socket("/report/ws", cookie)
		stream := l.get("/report/stream", cookie)
		from := time.Now()
		lose(cookie, l.person(cookie))
		l.over("socket", socket, from)
		l.over("stream", stream.Body, from)
		l.applicationToldOf(2)
		t.Logf("without %s it was over after %v", name, time.Since(from))
	}
}

func TestWhatLastsEndsWhenItCannotBeToldForLong(t *testing.T) {
	for name, shut := range map[string]func(l *lasting){
		"the gate is shut":           func(l *lasting) { l.sick.Store("store", errors.New("unplugged")) },
		"nobody can tell who it is":  func(l *lasting) { err := errors.New("away"); l.broken.Store(&err) },
		"authentication breaks down": func(l *lasting) { l.people.Store(l.cookie, "a panic") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := openLasting(t)
			_, socket := l.socket("/ws", l.cookie)
			from := time.Now()
			shut(l)
			_, _ = io.Copy(io.Discard, socket)
			if d := time.Since(from); d < watchDoubt-time.Second || d > watchDoubt+soon {
				t.Errorf("it ended after %v", d)
			}
			l.applicationToldOf(1)
		})
	}
}

func TestWhatIsNobodysLastsOn(t *testing.T) {
	l := openLasting(t)
	c, br := l.socket("/public/ws", "")
	time.Sleep(2500 * time.Millisecond)
	l.ping(c, br)
	l.edge.watch.mu.Lock()
	defer l.edge.watch.mu.Unlock()
	if r := &l.edge.watch.ring; r.next != nil && r.next != r {
		t.Error("it is watched")
	}
}

// TestAClientThatTakesNothingCannotHoldOn keeps the handler waiting in a write.
func TestAClientThatTakesNothingCannotHoldOn(t *testing.T) {
	l := openLasting(t)
	h2 := l.get("/flood", l.cookie)
	c := l.wire()
	fmt.Fprintf(c, "GET /flood HTTP/1.1\r\nHost: localhost:8443\r\nCookie: __Host-troth=%s\r\n\r\n", l.cookie)
	if _, err := bufio.NewReaderSize(c, 16).ReadByte(); err != nil {
		t.Fatal(err)
	}
	_ = h2
	l.people.Delete(l.cookie)
	l.applicationToldOf(2)
	eventually(t, "both lines are completed", func() bool {
		l.lines.mu.Lock()
		defer l.lines.mu.Unlock()
		return l.lines.lines[0].Duration > 0 && l.lines.lines[1].Duration > 0
	})
}

func TestShortRequestsLeaveTheQueueEmpty(t *testing.T) {
	h := open(t, http.HandlerFunc(echo))
	cookie := h.signIn(access.Member)
	for range 20 {
		h.ask("GET", "/page", cookie)
	}
	eventually(t, "the queue is empty", func() bool {
		h.edge.watch.mu.Lock()
		defer h.edge.watch.mu.Unlock()
		return h.edge.watch.ring.next == &h.edge.watch.ring && h.edge.watch.ring.prev == &h.edge.watch.ring
	})
}

func TestTheQueueIsFair(t *testing.T) {
	var w watch
	list := make([]*watched, 3)
	for i := range list {
		list[i] = &watched{}
		w.add(list[i])
	}
	if w.take(watchTicks-1) != nil {
		t.Error("one was due too early")
	}
	w.tick = watchTicks
	for i := range list {
		if got := w.take(w.tick); got != list[i] {
			t.Errorf("number %d was not taken in its turn", i)
		}
	}
	if w.take(w.tick) != nil {
		t.Error("one was due twice")
	}
	w.remove(list[1])
	w.tick *= 2
	if w.take(w.tick) != list[0] || w.take(w.tick) != list[2] || w.take(w.tick) != nil {
		t.Error("who has left is still in the queue")
	}
}
