package app

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"troth/internal/access"
	"troth/internal/store"
	"troth/internal/text"
)

// TestRevocationIsObeyedEverywhere ends sessions in every way that there is on
// one node, and measures until another one refuses them.
func TestRevocationIsObeyedEverywhere(t *testing.T) {
	shared := onPostgres(t)
	a := raise(t, shared)
	b := second(a, shared)
	owner, guest := a.person("olga"), a.person("gert")
	org := owner.organisation("Orchard")
	guest.join(owner.invite(guest.address, access.Viewer), org)

	var slowest time.Duration
	var began time.Time // before the victim signed in, who is told of it by mail
	for _, way := range []struct {
		name string
		end  func(victim *who)
	}{
		{"signing out", func(w *who) { w.does("/-/signout") }},
		{"from the list of another browser", func(w *who) { guest.does("/-/account/sessions", "session", string(w.session())) }},
		{"all others", func(*who) { guest.does("/-/account/sessions", "session", "others") }},
		{"the link of a notice", func(w *who) { w.does(a.linkIn(a.letter(w.address, began))) }},
		{"a removed second factor", func(*who) {
			who := access.System("a factor was removed")
			err := a.in.db.Write(t.Context(), func(tx *store.Tx) error {
				tx.Unaudited("package factor records what it removes")
				return a.in.accounts.FactorChangedTx(t.Context(), tx, who, guest.account, text.New("A second factor was removed."), true)
			})
			if err != nil {
				t.Fatal(err)
			}
		}},
		{"a higher role", func(w *who) { owner.does("/-/org/people/"+string(w.account), "role", string(access.Admin)) }},
		{"the operator", func(w *who) {
			if _, err := a.in.accounts.EndAll(t.Context(), checker(), w.account); err != nil {
				t.Fatal(err)
			}
		}},
		{"a new password", func(w *who) {
			guest.does("/-/account/password", "current", guest.password, "password", guest.password+" anew")
			guest.password += " anew"
		}},
	} {
		if guest.status("/-/account/") != http.StatusOK {
			guest.signIn()
		}
		victim := &who{Visitor: a.visitor(), h: a, address: guest.address, password: guest.password, account: guest.account}
		began = a.clock.now()
		victim.signIn()
		there := &who{Visitor: b.copyOf(victim.Visitor), h: b} // a copy of the cookie, as a thief has it
		for range 2 {
			if got := there.status("/-/account/"); got != http.StatusOK {
				t.Fatalf("%s: the other node answers %d before", way.name, got)
			}
		}
		way.end(victim)
		ended := time.Now()
		if got := (&who{Visitor: a.copyOf(there.Visitor), h: a}).status("/-/account/"); got != http.StatusSeeOther {
			t.Errorf("%s: the node that did it answers %d to the next request", way.name, got)
		}
		await(t, way.name+" is obeyed on the other node", obeyed, func() bool { return there.status("/-/account/") == http.StatusSeeOther })
		took := time.Since(ended)
		slowest = max(slowest, took)
		t.Logf("%-34s obeyed on the other node after %v", way.name, took.Round(time.Millisecond))
	}
	t.Logf("slowest: %v, of at most %v", slowest.Round(time.Millisecond), obeyed)
}

// does sends a form that is taken.
func (w *who) does(path string, fields ...string) {
	w.h.t.Helper()
	p, err := w.Post(context.Background(), path, fields...)
	w.h.want(p, err, http.StatusSeeOther)
}

// session is the session of a browser.
func (w *who) session() (which string) {
	w.h.t.Helper()
	w.h.read(func(tx *store.Tx) error {
		return tx.QueryRow(`SELECT session FROM session WHERE account = $1 ORDER BY session DESC LIMIT 1`, w.account).Scan(&which)
	})
	return which
}

// TestAnOpenWebSocketKeepsNobodySignedIn: it ends with the session that is left
// idle, although it was open and busy all the time.
func TestAnOpenWebSocketKeepsNobodySignedIn(t *testing.T) {
	t.Parallel()
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, buf, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		fmt.Fprint(buf, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")
		if buf.Flush() == nil {
			_, _ = io.Copy(c, buf)
		}
	}))
	t.Cleanup(up.Close)
	h := raise(t, func(s *Settings) { s.site.Upstream = up.URL })
	w := h.person("wanda")
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, h.in.edge.Origin()+"/ws", nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version": "13", "Origin": h.in.edge.Origin()} {
		req.Header.Set(name, value)
	}
	client := *w.Client
	client.Timeout = 0 // it would hide that the connection can be written to
	res, err := client.Do(req)
	if err != nil || res.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("opening a WebSocket: %v, %v", res, err)
	}
	socket := res.Body.(io.ReadWriteCloser)
	defer socket.Close()
	lines := bufio.NewReader(socket)
	alive := func() bool {
		if _, err := io.WriteString(socket, "ping\n"); err != nil {
			return false
		}
		line, err := lines.ReadString('\n')
		return err == nil && line == "ping\n"
	}
	idle := h.in.set.account.Idle.D()
	for passed := time.Duration(0); passed < idle-time.Hour; passed += time.Hour {
		if !alive() {
			t.Fatalf("the WebSocket ended after %v", passed)
		}
		h.jump(time.Hour)
	}
	if !alive() {
		t.Fatal("the WebSocket ended before its session was left idle")
	}
	h.jump(2 * time.Hour)
	await(t, "an idle session ends what it has open", 5*time.Second, func() bool { return !alive() })
	if got := w.status("/-/account/"); got != http.StatusSeeOther {
		t.Errorf("the session goes on: %d", got)
	}
}
