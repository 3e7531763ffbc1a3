package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"troth/verify"
)

// settleFor is the longest that the checks of a first start may take.
const settleFor = 2 * time.Minute

// house is a data directory in which one person has signed up, and whose checks
// have run. It is made once.
func (l *lab) house(ctx context.Context) (string, error) {
	if l.home != "" {
		return l.home, nil
	}
	dir, err := l.install(ctx, "house")
	if err != nil {
		return "", err
	}
	if err := l.settle(ctx, dir); err != nil {
		return "", err
	}
	c, err := openChain(ctx, dir)
	if err != nil {
		return "", err
	}
	l.who, err = c.person(ctx)
	l.home = dir
	return dir, errors.Join(err, c.close())
}

// settle starts the program once on a new data directory and waits until every
// claim was exercised: that is an hour's worth of checks, with passwords hashed
// and a backup written, in the first minute, and no part of what is measured.
func (l *lab) settle(ctx context.Context, dir string) error {
	s, err := l.serve(ctx, dir)
	if err != nil {
		return err
	}
	client := s.client()
	began := time.Now()
	for time.Since(began) < settleFor {
		waiting, err := pending(ctx, client, s.origin)
		if err != nil {
			return errors.Join(err, s.stop())
		}
		if waiting == 0 {
			break
		}
		if err := sleep(ctx, time.Second); err != nil {
			return err
		}
	}
	err = s.quiet(ctx)
	l.say("the checks of the first start ended after %s", time.Since(began).Round(time.Second))
	return errors.Join(err, s.stop())
}

// quiet waits until the program does next to nothing: a check that could not be
// exercised is tried again soon, also at the next start.
func (p *program) quiet(ctx context.Context) error {
	const look, calm = 2 * time.Second, 3
	began, before := time.Now(), p.processor()
	for n := 0; n < calm && time.Since(began) < settleFor; n++ {
		if err := sleep(ctx, look); err != nil {
			return err
		}
		now := p.processor()
		if now-before > look/10 {
			n = -1
		}
		before = now
	}
	return nil
}

// pending counts the claims that were not exercised yet.
func pending(ctx context.Context, client *http.Client, origin string) (int, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, origin+"/-/trust.json", nil)
	if err != nil {
		return 0, err
	}
	res, err := client.Do(r)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	var d verify.Document
	if err := json.NewDecoder(res.Body).Decode(&d); err != nil {
		return 0, err
	}
	n := 0
	for _, c := range d.Claims {
		if c.CheckedAt == nil {
			n++
		}
	}
	return n, nil
}
