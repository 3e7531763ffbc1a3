package edge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// How often what the front door depends on is asked, and how long it may take
// to answer. Together they bound how long after its death requests are still
// let through on what is cached: a second when it says so, two when it is silent.
const (
	gateEvery   = 400 * time.Millisecond
	gatePatient = 500 * time.Millisecond
)

// Dependency is something without which no request may pass: the store, the
// keys, the log.
type Dependency struct {
	Name  string                          // "store": readiness tells it to strangers
	Check func(ctx context.Context) error // cheap: it is called several times a second
}

// gate is open while everything that the front door depends on answers.
type gate struct {
	depends  []Dependency
	log      *slog.Logger
	shut     atomic.Pointer[[]string] // the names of what is missing; nil when open
	draining atomic.Bool
	mu       sync.Mutex
	running  []bool // a check that has not come back is not started again
	failed   []bool
	late     []bool // did not answer in time when it was asked last
	primed   atomic.Bool
}

// open reports whether requests may pass.
func (g *gate) open() bool { return g.primed.Load() && g.shut.Load() == nil }

// missing names what cannot be reached.
func (g *gate) missing() []string {
	if !g.primed.Load() {
		return []string{"start"}
	}
	if names := g.shut.Load(); names != nil {
		return *names
	}
	return nil
}

// Ready reports whether requests are let through, and otherwise the names of
// what cannot be reached; a front door that is about to stop says "stopping".
func (e *Edge) Ready() (bool, []string) {
	if e.gate.draining.Load() {
		return false, []string{"stopping"}
	}
	return e.gate.open(), e.gate.missing()
}

// run looks until ctx ends; then the gate is shut.
func (g *gate) run(ctx context.Context) {
	t := time.NewTicker(gateEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			g.look(ctx)
		}
	}
}

// look asks everything at once and waits no longer than gatePatient, whatever
// the checks do.
func (g *gate) look(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, gatePatient)
	defer cancel()
	errs := make([]error, len(g.depends))
	answers := make(chan func(), len(g.depends))
	g.mu.Lock()
	if g.running == nil {
		g.running, g.failed = make([]bool, len(g.depends)), make([]bool, len(g.depends))
	}
	waiting := 0
	for i, d := range g.depends {
		errs[i] = errSilent
		if g.running[i] {
			continue
		}
		g.running[i] = true
		waiting++
		go func() {
			err := ask(ctx, d)
			g.mu.Lock()
			g.running[i] = false
			g.mu.Unlock()
			answers <- func() { errs[i] = err }
		}()
	}
	g.mu.Unlock()
	for ; waiting > 0; waiting-- {
		select {
		case set := <-answers:
			set()
		case <-ctx.Done():
			waiting = 1 // what did not answer stays an error
		}
	}
	g.conclude(errs)
}

// ask calls one check; one that panics has failed.
func ask(ctx context.Context, d Dependency) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return d.Check(ctx)
}

// errSilent says that a dependency did not answer in time.
var errSilent = errors.New("it does not answer")

// conclude opens or shuts the gate, and logs what changed. An answer that says
// no shuts it at once; one that is only late does so the second time, since a
// busy machine is late too. What has never answered is not waited for.
func (g *gate) conclude(errs []error) {
	var names []string
	g.mu.Lock()
	if g.late == nil {
		g.late = make([]bool, len(errs))
	}
	for i, err := range errs {
		name := g.depends[i].Name
		silent := errors.Is(err, errSilent) || errors.Is(err, context.DeadlineExceeded)
		if silent && !g.late[i] && !g.failed[i] && g.primed.Load() {
			g.late[i], err = true, nil
		} else {
			g.late[i] = silent
		}
		if err != nil {
			names = append(names, name)
		}
		switch {
		case err != nil && !g.failed[i]:
			g.log.Error("requests are refused: something that they need cannot be reached", "part", name, "error", err.Error())
		case err == nil && g.failed[i]:
			g.log.Info("it can be reached again", "part", name)
		}
		g.failed[i] = err != nil
	}
	g.mu.Unlock()
	if names == nil {
		g.shut.Store(nil)
	} else {
		g.shut.Store(&names)
	}
	g.primed.Store(true)
}
