package mail

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"troth/internal/id"
)

// CanaryDomain is the domain of the canary's addresses. Nothing that is sent to
// it leaves the process (RFC 2606, 2).
const CanaryDomain = "canary.invalid"

// canaryKeeps bounds the canary mailbox; the oldest messages go first.
const canaryKeeps = 256

// Canary is the mailbox of the canary tenant: in this process, bounded, and
// read by the checks of the trust page.
type Canary struct {
	now func() time.Time

	mu      sync.Mutex
	held    []Received
	arrived chan struct{} // closed and replaced at every arrival
}

// NewCanary makes an empty mailbox.
func NewCanary(now func() time.Time) *Canary {
	return &Canary{now: now, arrived: make(chan struct{})}
}

// Route is the route to the mailbox, for [Options].
func (c *Canary) Route() Route {
	return Route{Domain: CanaryDomain, Transport: c, Here: true}
}

// Deliver puts a message into the mailbox. It takes nothing for anybody else.
func (c *Canary) Deliver(_ context.Context, _, to string, raw []byte) error {
	if !Address(to).in(CanaryDomain) {
		return &Rejected{errors.New("this is no address of the canary")}
	}
	got, err := read(raw)
	if err != nil {
		return &Rejected{err}
	}
	got.To, got.At = to, c.now()
	if queued := id.Time(got.made); !queued.IsZero() {
		got.At = queued
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.held) >= canaryKeeps {
		c.held = append(c.held[:0], c.held[len(c.held)-canaryKeeps+1:]...)
	}
	// Deliveries overtake each other; the messages stand in the order in which
	// they were queued.
	i := len(c.held)
	for i > 0 && got.made != "" && c.held[i-1].made > got.made {
		i--
	}
	c.held = slices.Insert(c.held, i, got)
	close(c.arrived)
	c.arrived = make(chan struct{})
	return nil
}

// Wait returns the newest message to an address that was queued at or after a
// time, to the millisecond, and waits for one until the context ends.
func (c *Canary) Wait(ctx context.Context, to string, after time.Time) (Received, error) {
	after = after.Truncate(time.Millisecond)
	for {
		c.mu.Lock()
		for _, got := range slices.Backward(c.held) {
			if got.To == to && !got.At.Before(after) {
				c.mu.Unlock()
				return got, nil
			}
		}
		arrived := c.arrived
		c.mu.Unlock()
		select {
		case <-arrived:
		case <-ctx.Done():
			return Received{}, fmt.Errorf("waiting for mail to the canary: %w", ctx.Err())
		}
	}
}
