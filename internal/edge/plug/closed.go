package plug

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"troth/internal/trust"
)

// Chain is a second installation, built by the constructor that built the
// first, with an application behind it and dependencies that can be broken.
type Chain struct {
	Bench   trust.Bench // of the second chain
	Public  string      // a path of its application that is public: "/public/"
	Reached func() int  // how many requests reached its application
	// Break makes every operation of a part fail ("store", "keys" or "log"),
	// or mends it.
	Break func(part string, broken bool)
	Close func() error
}

// parts are what can be broken.
var parts = []string{"store", "keys", "log"}

// closesWithin is how soon after a failure nothing may pass any more.
const closesWithin = 2 * time.Second

func (p *plug) checkFailsClosed(ctx context.Context, _ trust.Bench) (result trust.Result, err error) {
	if p.d.Chain == nil {
		return trust.Result{}, errors.New("there is no second chain to break")
	}
	chain, err := p.d.Chain(ctx)
	if err != nil {
		return trust.Result{}, fmt.Errorf("building a second chain: %w", err)
	}
	defer func() { err = errors.Join(err, chain.Close()) }()
	bench := trust.Standalone(chain.Bench)
	canary, err := bench.Canary(ctx, "fails-closed")
	if err != nil {
		return trust.Result{}, fmt.Errorf("signing up on the second chain: %w", err)
	}
	member, err := canary.SignIn(ctx, netip.Addr{})
	if err != nil {
		return trust.Result{}, fmt.Errorf("signing in on the second chain: %w", err)
	}
	var look trust.Look
	for _, part := range parts {
		err := breakOne(ctx, &look, chain, bench, member, part)
		// What was seen to pass is a failure, whatever went wrong afterwards: a
		// request that passes may itself sign the member out, or undo the chain.
		if seen, none := look.Result(); none == nil && !seen.Passed {
			return seen, nil
		}
		if err != nil {
			return trust.Result{}, err
		}
	}
	return look.Result()
}

// breakOne breaks one part and mends it.
func breakOne(ctx context.Context, look *trust.Look, chain *Chain, b trust.Bench, member *trust.Visitor, part string) error {
	before := chain.Reached()
	status, err := statusOf(ctx, member, http.MethodGet, "/")
	if err != nil {
		return fmt.Errorf("asking the second chain before anything is broken: %w", err)
	}
	if status == http.StatusServiceUnavailable || chain.Reached() == before {
		return fmt.Errorf("the second chain does not work before anything is broken: it answers %d", status)
	}
	chain.Break(part, true)
	defer chain.Break(part, false)
	shut, err := until(ctx, closesWithin, member, func(status int) bool { return status == http.StatusServiceUnavailable })
	if err != nil {
		return err
	}
	look.That(shut, "the door shuts when the "+part+" cannot be reached", "within "+closesWithin.String(), yes(shut, "it shut", "it stayed open"))
	reached := chain.Reached()
	passed, tried, err := tryAll(ctx, b, member, chain.Public)
	if err != nil {
		return err
	}
	look.That(len(passed) == 0, fmt.Sprintf("%d kinds of request without the %s", tried, part), "503 for each", yes(len(passed) == 0, "503 for each", strings.Join(passed, ", ")))
	look.Equal("requests that reached the application without the "+part, 0, chain.Reached()-reached)
	chain.Break(part, false)
	open, err := until(ctx, 10*time.Second, member, func(status int) bool { return status != http.StatusServiceUnavailable })
	if err != nil {
		return err
	}
	if !open {
		return fmt.Errorf("the second chain did not recover after the %s came back", part)
	}
	return nil
}

// tryAll sends every kind of request, signed in and as a stranger, and returns
// those that were not refused with 503.
func tryAll(ctx context.Context, b trust.Bench, member *trust.Visitor, public string) (passed []string, tried int, err error) {
	stranger, err := b.Visitor(netip.Addr{})
	if err != nil {
		return nil, 0, err
	}
	for who, v := range map[string]*trust.Visitor{"signed in": member, "as a stranger": stranger} {
		for _, r := range []struct{ method, path string }{
			{http.MethodGet, "/"}, {http.MethodPost, "/"}, {http.MethodGet, public}, {http.MethodGet, "/some/page?of=the-application"},
			{http.MethodGet, "/-/account/"}, {http.MethodPost, "/-/account/"}, {http.MethodGet, "/-/account/sessions"},
			{http.MethodGet, "/-/signin"}, {http.MethodPost, "/-/signin"}, {http.MethodGet, "/-/signup"}, {http.MethodPost, "/-/signup"}, {http.MethodPost, "/-/signout"},
			{http.MethodGet, "/-/trust"}, {http.MethodGet, "/-/trust.json"}, {http.MethodGet, "/-/jwks.json"}, {http.MethodGet, "/-/log/checkpoint"}, {http.MethodGet, "/-/nothing"},
		} {
			tried++
			status, err := statusOf(ctx, v, r.method, r.path)
			if err != nil {
				return nil, tried, err
			}
			if status != http.StatusServiceUnavailable {
				passed = append(passed, fmt.Sprintf("%s %s %s: %d", r.method, r.path, who, status))
			}
		}
	}
	return passed, tried, nil
}

func statusOf(ctx context.Context, v *trust.Visitor, method, path string) (int, error) {
	var page *trust.Page
	var err error
	if method == http.MethodPost {
		page, err = v.Post(ctx, path, "email", "nobody@"+trust.CanaryDomain, "password", "none of this is right", "name", "Nobody", "code", "000000")
	} else {
		page, err = v.Get(ctx, path)
	}
	if err != nil {
		return 0, err
	}
	return page.Status, nil
}

// until asks for the application's front page until the answer is right.
func until(ctx context.Context, within time.Duration, v *trust.Visitor, right func(status int) bool) (bool, error) {
	end := time.Now().Add(within)
	t := time.NewTicker(25 * time.Millisecond)
	defer t.Stop()
	for {
		status, err := statusOf(ctx, v, http.MethodGet, "/")
		if err != nil {
			return false, err
		}
		if right(status) {
			return true, nil
		}
		if time.Now().After(end) {
			return false, nil
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
}

func yes(ok bool, good, bad string) string {
	if ok {
		return good
	}
	return bad
}
