package account

import (
	"context"
	"sync"
	"time"

	"troth/internal/fault"
	"troth/internal/throttle"
)

// turns lets the guesses at one count take turns on this node: each counts as
// wrong until it is proven right, so that of several right ones at once the later
// would find a pause.
type turns struct {
	mu sync.Mutex
	of map[throttle.Key]*turn
}

// turn is whose turn it is at one count. It is there while anybody takes or
// awaits it.
type turn struct {
	taken chan struct{}
	users int
}

var errTurn = fault.New(fault.Unavailable, "account.busy", "Too many people are signing in at this moment. Try again in a few seconds.")

// take waits for the turn, no longer than patience, and returns what ends it.
func (t *turns) take(ctx context.Context, key throttle.Key, patience time.Duration) (done func(), err error) {
	t.mu.Lock()
	mine := t.of[key]
	if mine == nil {
		mine = &turn{taken: make(chan struct{}, 1)}
		t.of[key] = mine
	}
	mine.users++
	t.mu.Unlock()
	leave := func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if mine.users--; mine.users == 0 {
			delete(t.of, key)
		}
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case mine.taken <- struct{}{}:
		return sync.OnceFunc(func() { <-mine.taken; leave() }), nil
	case <-timer.C:
		leave()
		return nil, errTurn.In(patience)
	case <-ctx.Done():
		leave()
		return nil, ctx.Err()
	}
}
