package edge

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"troth/internal/access"
)

func TestNothingPassesWhileSomethingIsAway(t *testing.T) {
	h := open(t, http.HandlerFunc(echo))
	cookie := h.signIn(access.Owner)
	if a := h.ask("GET", "/page", cookie); a.StatusCode != 200 {
		t.Fatalf("before: %d", a.StatusCode)
	}
	for _, part := range []string{"store", "keys", "log"} {
		h.sick.Store(part, errors.New("unplugged for the test"))
		eventually(t, "the gate shuts for "+part, func() bool { return !h.edge.gate.open() })
		before := h.reached.Load()
		for _, path := range []string{"/", "/page", "/public/x", "/-/about", "/-/account/", "/-/nothing", "/.well-known/change-password", "/x/../y"} {
			for _, method := range []string{"GET", "POST"} {
				if a := h.ask(method, path, cookie); a.StatusCode != http.StatusServiceUnavailable {
					t.Errorf("without %s, %s %s is %d", part, method, path, a.StatusCode)
				}
			}
		}
		if h.reached.Load() != before {
			t.Errorf("without %s, the application was reached", part)
		}
		if a := h.ask("GET", "/page", "", page...); a.StatusCode != 503 || !strings.Contains(a.text, "<html") || a.Header.Get("Retry-After") == "" || strings.Contains(a.text, "unplugged") {
			t.Errorf("without %s, a stranger sees %d %s", part, a.StatusCode, a.text)
		}
		if a := h.ask("GET", "/-/health/live", ""); a.StatusCode != 200 {
			t.Errorf("without %s, it is not even alive: %d", part, a.StatusCode)
		}
		for path, want := range map[string]int{"/-/assets/0123/app.css": 200, "/-/assets/secret": 503, "/-/assets/": 503, "/-/assets/../account/": 503, "/-/assets//x": 503, "/-/assets": 503} {
			if a := h.askRaw("GET", path); a.StatusCode != want {
				t.Errorf("without %s, %s is %d", part, path, a.StatusCode)
			}
		}
		if a := h.ask("POST", "/-/assets/0123/app.css", cookie); a.StatusCode != 503 {
			t.Errorf("without %s, a POST to an asset is %d", part, a.StatusCode)
		}
		if ready, missing := h.edge.Ready(); ready || len(missing) != 1 || missing[0] != part {
			t.Errorf("without %s, readiness says %v %v", part, ready, missing)
		}
		if j := h.journal.String(); !strings.Contains(j, "part="+part) || !strings.Contains(j, "unplugged for the test") {
			t.Errorf("the log does not say that %s is away", part)
		}
		h.sick.Delete(part)
		eventually(t, "the gate opens again", h.edge.gate.open)
	}
	if a := h.ask("GET", "/page", cookie); a.StatusCode != 200 {
		t.Errorf("afterwards: %d", a.StatusCode)
	}
}

func TestARequestThatCannotBeRecordedIsRefused(t *testing.T) {
	h := open(t, http.HandlerFunc(echo))
	cookie := h.signIn(access.Owner)
	h.lines.setFail(errors.New("the queue is full"))
	for _, path := range []string{"/page", "/public/x", "/-/about", "/x/../y"} {
		if a := h.ask("GET", path, cookie); a.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("%s: %d", path, a.StatusCode)
		}
	}
	if h.reached.Load() != 0 {
		t.Error("the application was reached")
	}
	if !strings.Contains(h.journal.String(), "the queue is full") {
		t.Error("the reason is not in the log")
	}
}

func TestARequestThatCannotBeSignedIsRefused(t *testing.T) {
	h := open(t, http.HandlerFunc(echo))
	h.signer.set.Store(&keySet{})
	if a := h.ask("GET", "/page", h.signIn(access.Owner)); a.StatusCode != http.StatusServiceUnavailable || h.reached.Load() != 0 {
		t.Errorf("%d, reached %d times", a.StatusCode, h.reached.Load())
	}
	if a := h.ask("GET", "/public/x", ""); a.StatusCode != 200 {
		t.Errorf("a stranger needs no assertion: %d", a.StatusCode)
	}
}

// testGate is a gate whose only dependency does what the function says.
func testGate(check func(context.Context) error) *gate {
	return &gate{log: slog.New(slog.DiscardHandler), depends: []Dependency{{"x", check}, {"y", func(context.Context) error { return nil }}}}
}

func TestTheGateIsShutUntilItLooked(t *testing.T) {
	g := testGate(func(context.Context) error { return nil })
	if g.open() || g.missing()[0] != "start" {
		t.Error("it is open before anybody looked")
	}
	if g.look(t.Context()); !g.open() || g.missing() != nil {
		t.Error("it is shut although all is well")
	}
}

func TestADependencyThatHangsIsAwayAndIsAskedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int64
		release := make(chan struct{})
		g := testGate(func(context.Context) error { // it does not even look at its context
			calls.Add(1)
			<-release
			return nil
		})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		begin := time.Now()
		g.look(ctx)
		if d := time.Since(begin); d != gatePatient || g.open() || g.missing()[0] != "x" {
			t.Errorf("after %v it is open: %v", d, g.open())
		}
		go func() { g.run(ctx); close(done) }()
		time.Sleep(10 * time.Second)
		if calls.Load() != 1 || g.open() {
			t.Errorf("%d calls, open: %v", calls.Load(), g.open())
		}
		close(release)
		time.Sleep(2*gateEvery + gatePatient)
		if !g.open() {
			t.Errorf("it stays shut: %v", g.missing())
		}
		cancel()
		<-done
	})
}

func TestACheckThatPanicsHasFailed(t *testing.T) {
	g := testGate(func(context.Context) error { panic("on purpose") })
	if g.look(t.Context()); g.open() {
		t.Error("the gate is open")
	}
}
