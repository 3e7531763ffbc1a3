package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

// How long the program is left alone before it is weighed: the checks of a first
// start have ended, and what they needed has been given back.
const (
	startTimes = 7
	idleFor    = 30 * time.Second
)

// start measures how long it takes until the program answers that it is ready,
// on an existing database with many accounts and on an empty one in turn, and
// what it weighs.
func start(ctx context.Context, l *lab) error {
	if err := l.makeCrowd(ctx); err != nil {
		return err
	}
	empty, err := l.install(ctx, "empty")
	if err != nil {
		return err
	}
	var p pairs
	for range startTimes {
		many, err := l.startOnce(ctx, l.crowd)
		if err != nil {
			return err
		}
		none, err := l.startOnce(ctx, empty)
		if err != nil {
			return err
		}
		p.take(many.Seconds(), none.Seconds())
	}
	l.table.add(line{what: fmt.Sprintf("start to ready, %d accounts", crowdSize), asked: "≤ 1 s", measured: short(seconds(median(p.ours))),
		beside: "without any: " + short(seconds(median(p.theirs))), ratio: p.String(), holds: median(p.ours) <= 1})
	l.table.growth("start reads heads and settings by key, nothing that grows with accounts, tenants or events: %s with none, %s with %d.",
		short(seconds(median(p.theirs))), short(seconds(median(p.ours))), crowdSize)
	return l.weigh(ctx)
}

func seconds(v float64) time.Duration { return time.Duration(v * float64(time.Second)) }

func (l *lab) startOnce(ctx context.Context, dir string) (time.Duration, error) {
	s, err := l.serve(ctx, dir)
	if err != nil {
		return 0, err
	}
	return s.ready, s.stop()
}

// weigh measures the program's memory: idle after a start, and again after it
// has worked.
func (l *lab) weigh(ctx context.Context) error {
	up, err := upstream()
	if err != nil {
		return err
	}
	defer up.Close()
	s, err := l.serve(ctx, l.crowd, "--upstream", "http://"+up.Addr().String())
	if err != nil {
		return err
	}
	if err := errors.Join(s.quiet(ctx), sleep(ctx, idleFor)); err != nil {
		return err
	}
	before := s.processor()
	if err := sleep(ctx, 10*time.Second); err != nil {
		return err
	}
	idle, used := s.resident(), s.processor()-before
	if err := l.exercise(ctx, s); err != nil {
		return err
	}
	busy := s.resident()
	if err := sleep(ctx, idleFor); err != nil {
		return err
	}
	after := s.resident()
	l.table.add(line{what: fmt.Sprintf("memory, idle %s after a start, %d accounts", idleFor, crowdSize), asked: "≤ 60 MB", measured: mib(idle), holds: idle <= 60e6})
	l.table.note("memory, idle "+idleFor.String()+" after sign-ins and load", mib(after), "at the end of the load: "+mib(busy))
	l.table.note("processor time while idle", fmt.Sprintf("%.1f %% of one", float64(used)/float64(10*time.Second)*100))
	l.table.growth("idle memory after a start has empty caches in it, so it does not grow with accounts, tenants or events. With use the page caches of SQLite fill, which is what stays after load: 32 MB of the writer, and of readers that go after a minute without use; all caches are bounded.")
	info, err := os.Stat(l.binary)
	if err != nil {
		return errors.Join(err, s.stop())
	}
	l.table.note("the program, one static file", mib(float64(info.Size())))
	return s.stop()
}

// exercise signs people in and sends load for a while.
func (l *lab) exercise(ctx context.Context, s *program) error {
	load := newLoad(s, nil, 16)
	defer load.close()
	client := s.client()
	for range 4 { // these fail, at the cost of those that do not
		_ = submit(ctx, client, s.origin)
	}
	_, err := load.run(ctx, 5*time.Second, 401)
	return err
}

// sleep waits, or ends with the context.
func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
