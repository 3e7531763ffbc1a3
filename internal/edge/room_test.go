package edge

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"troth/internal/web"
)

// No more are worked on at once than there are places, no more wait than may, and
// nobody waits for longer than is worth it.
func TestRoom(t *testing.T) {
	m := &room{inside: make(chan struct{}, 2), queue: 1, patient: time.Hour}
	for range cap(m.inside) {
		if m.full() || !m.Enter(t.Context()) {
			t.Fatal("there is no place in a room that is not full")
		}
	}
	entered := make(chan bool)
	go func() { entered <- m.Enter(context.Background()) }()
	for !m.full() {
		time.Sleep(time.Millisecond)
	}
	if m.Enter(t.Context()) {
		t.Error("more wait than may")
	}
	m.Leave()
	if !<-entered || m.full() {
		t.Error("who waited was not let in")
	}
	m.patient = time.Millisecond
	if m.Enter(t.Context()) {
		t.Error("there was a place too many")
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if m.patient = time.Hour; m.Enter(gone) {
		t.Error("who has gone got a place")
	}
	m.Leave()
	m.Leave()
}

// While the room is full, what costs an effort is refused before its body is
// read, and recorded; everything else goes on.
func TestFullRoomRefusesWhatCosts(t *testing.T) {
	h := open(t, http.HandlerFunc(echo))
	h.edge.room = &room{inside: make(chan struct{}), queue: 0, patient: time.Hour}
	h.edge.routes["POST /-/costly"] = web.Route{Method: "POST", Path: "/-/costly", Cost: "password"}
	h.edge.own.HandleFunc("POST /-/costly", func(w http.ResponseWriter, r *http.Request) { t.Error("it was reached") })
	a := h.ask("POST", "/-/costly", "", "Origin", "https://localhost:8443")
	if a.StatusCode != http.StatusServiceUnavailable || a.Header.Get("Retry-After") != "5" || !strings.Contains(a.text, "few seconds") {
		t.Errorf("%d %v %s", a.StatusCode, a.Header, a.text)
	}
	if line := h.lines.last(); line.Path != "/-/costly" || line.Status != http.StatusServiceUnavailable {
		t.Errorf("the line is %+v", line)
	}
	if a := h.ask("GET", "/public/x", ""); a.StatusCode != http.StatusOK {
		t.Errorf("another page: %d", a.StatusCode)
	}
}
