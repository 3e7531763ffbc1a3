package main

import (
	"context"
	"fmt"
	"time"

	"troth/internal/audit"
	"troth/internal/id"
	"troth/internal/store"
	"troth/verify"
)

const (
	sequenceEvents = 10_000
	sequenceRounds = 5
)

// sequence measures how many events a second the sequencer moves into the trees:
// of one tenant, and spread over a thousand, on the encrypted store and on one
// that is not.
func sequence(ctx context.Context, l *lab) error {
	for _, n := range []int{1, 1000} {
		if err := l.sequenceOver(ctx, n); err != nil {
			return err
		}
	}
	return nil
}

func (l *lab) sequenceOver(ctx context.Context, n int) error {
	encrypted, err := l.newGround(ctx, fmt.Sprintf("sequence-%d", n), nil)
	if err != nil {
		return err
	}
	defer encrypted.close()
	plain, err := l.newGround(ctx, fmt.Sprintf("%ssequence-%d", plainName, n), nil)
	if err != nil {
		return err
	}
	defer plain.close()
	tenants := someTenants(n)
	var p pairs
	for range sequenceRounds {
		ours, err := encrypted.sequence(ctx, tenants, sequenceEvents)
		if err != nil {
			return err
		}
		theirs, err := plain.sequence(ctx, tenants, sequenceEvents)
		if err != nil {
			return err
		}
		p.take(ours, theirs)
	}
	what := fmt.Sprintf("sequencing, spread over %d tenants", n)
	if n == 1 {
		what = "sequencing, in one tenant"
	}
	l.table.add(line{what: what, asked: "≥ 6,000 events/s on the encrypted store", measured: perSecond(median(p.ours)),
		beside: "not encrypted: " + perSecond(median(p.theirs)), ratio: p.String(), holds: median(p.ours) >= 6000})
	if n > 1 {
		l.table.growth("a batch of 1,024 events that touches T tenants writes T heads and T checkpoints and T entries of the platform log, so the cost is per event and per tenant touched, not per tenant that exists; in the number of events it is the logarithm (see leaves).")
	}
	return nil
}

// sequence makes events pending and returns how many a second were sequenced.
func (g *ground) sequence(ctx context.Context, tenants []id.Tenant, n int) (float64, error) {
	if err := g.pend(ctx, tenants, n); err != nil {
		return 0, err
	}
	began := time.Now()
	moved, err := g.log.Sequence(ctx)
	if err == nil && moved < n {
		err = fmt.Errorf("%d of %d events were sequenced", moved, n)
	}
	return float64(moved) / time.Since(began).Seconds(), err
}

// pend leaves events pending, in turn for the tenants, as actions do.
func (g *ground) pend(ctx context.Context, tenants []id.Tenant, n int) error {
	return g.db.Write(ctx, func(tx *store.Tx) error {
		tx.Unaudited("fills the queue of a benchmark")
		for i := range n {
			leaf := verify.Leaf{Class: audit.ClassAudit, At: time.Now().Truncate(time.Microsecond), Commitment: verify.DigestOf([]byte{byte(i)})}
			leaf.Event = string(id.New[id.Event](leaf.At))
			entry, err := leaf.Encode()
			if err != nil {
				return err
			}
			if _, err := tx.Exec(`INSERT INTO audit_pending (name, tree, entry) VALUES ($1, $2, $3)`, leaf.Event, tenants[i%len(tenants)], entry); err != nil {
				return err
			}
		}
		return nil
	})
}

func someTenants(n int) []id.Tenant {
	all := make([]id.Tenant, n)
	for i := range all {
		all[i] = id.New[id.Tenant](time.Now())
	}
	return all
}
