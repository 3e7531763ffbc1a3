package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"troth/internal/audit"
	"troth/internal/id"
	"troth/internal/keys"
	"troth/internal/store"
	"troth/verify"
)

const (
	manyLeaves = 1_000_000
	leafStep   = 50_000
	provable   = 20 // events a step that are whole, so that they can be proven
)

// leaves fills the log until a tenant's tree and the platform's have a million
// leaves each, and measures on the way what depends on their number: sequencing,
// inclusion proofs, and the verification of the whole public log.
func leaves(ctx context.Context, l *lab) error {
	g, err := l.newGround(ctx, "leaves", written)
	if err != nil {
		return err
	}
	defer g.close()
	f := &filling{ground: g, tenant: id.New[id.Tenant](time.Now())}
	if err := g.keys.Create(ctx, keys.TenantRef(f.tenant), 32); err != nil {
		return err
	}
	if err := f.grow(ctx, l, manyLeaves/10); err != nil {
		return err
	}
	few, _, err := f.prove(ctx)
	if err != nil {
		return err
	}
	fewVerified, err := f.verify(ctx, l)
	if err != nil {
		return err
	}
	if err := f.grow(ctx, l, manyLeaves); err != nil {
		return err
	}
	many, worst, err := f.prove(ctx)
	if err != nil {
		return err
	}
	verified, err := f.verify(ctx, l)
	if err != nil {
		return err
	}
	l.table.add(line{what: "inclusion proof of an event at 1,000,000 leaves, tenant's and platform's tree", asked: "≤ 1 ms",
		measured: short(many) + ", 99 % within " + short(worst), holds: atMost(many, time.Millisecond)})
	l.table.add(line{what: "verification of 1,000,000 leaves, every entry and tile", asked: "≤ 4 s (aim 2 s)", measured: short(verified), holds: atMost(verified, 4*time.Second)})
	l.table.growth("sequencing in one tenant: %s at the first %d leaves, %s at the last before %d.", perSecond(f.rates[0]), leafStep, perSecond(f.rates[len(f.rates)-1]), manyLeaves)
	l.table.growth("proof: %s at 100,000 leaves, %s at 1,000,000: one tile of 256 hashes more in each tree for each factor of 256, so the logarithm. Verification: %s at 100,000, %s at 1,000,000: linear in leaves, in memory that does not grow.",
		short(few), short(many), short(fewVerified), short(verified))
	return nil
}

// filling is a log on its way to a million leaves.
type filling struct {
	*ground
	tenant id.Tenant
	size   int
	rates  []float64
	events []id.Event
}

// grow adds leaves up to a number, to both trees alike.
func (f *filling) grow(ctx context.Context, l *lab, until int) error {
	for ; f.size < until; f.size += leafStep {
		if err := f.whole(ctx); err != nil {
			return err
		}
		rate, err := f.sequence(ctx, []id.Tenant{f.tenant}, leafStep-provable)
		if err != nil {
			return err
		}
		f.rates = append(f.rates, rate)
		if err := f.platform(ctx); err != nil {
			return err
		}
		if f.size%200_000 == 0 {
			l.say("%d of %d leaves", f.size, manyLeaves)
		}
	}
	return nil
}

// whole appends events with everything that belongs to them.
func (f *filling) whole(ctx context.Context) error {
	return f.db.Write(ctx, func(tx *store.Tx) error {
		for range provable {
			e, err := f.log.AppendTx(tx, audit.Event{Type: "bench.noted", Tenant: f.tenant, Actor: audit.Actor{Kind: audit.KindSystem, Name: "benchmark"}})
			if err != nil {
				return err
			}
			f.events = append(f.events, e)
		}
		return nil
	})
}

// platform grows the public log by entries such as other tenants cause. Their
// trees are not made: nobody looks at them here.
func (f *filling) platform(ctx context.Context) error {
	err := f.db.Write(ctx, func(tx *store.Tx) error {
		tx.Unaudited("fills the queue of a benchmark")
		var salt [verify.SaltSize]byte
		for range leafStep {
			rand.Read(salt[:])
			entry, err := verify.TenantEntry(salt, salt[:]).Encode()
			if err != nil {
				return err
			}
			if _, err := tx.Exec(`INSERT INTO audit_pending (name, tree, entry) VALUES ($1, 'log', $2)`, id.New[id.Event](time.Now()), entry); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		_, err = f.log.Sequence(ctx)
	}
	return err
}

// prove proves the whole events one after the other, checks the proofs, and
// returns the median time and the 99th percentile.
func (f *filling) prove(ctx context.Context) (mid, worst time.Duration, err error) {
	key, err := verify.ParseKey(f.log.VKey())
	if err != nil {
		return 0, 0, err
	}
	var all []time.Duration
	for range 5 {
		for _, e := range f.events {
			began := time.Now()
			p, err := f.log.Proof(ctx, f.tenant, e)
			if err != nil {
				return 0, 0, err
			}
			all = append(all, time.Since(began))
			if len(all)%100 == 1 {
				if _, err := p.Check(key); err != nil {
					return 0, 0, err
				}
			}
		}
	}
	return median(all), percentile(all, 0.99), nil
}

// verify exports the public log and verifies all of it three times.
func (f *filling) verify(ctx context.Context, l *lab) (time.Duration, error) {
	dir := filepath.Join(l.dir, "export")
	began := time.Now()
	if err := f.log.Export(ctx, dir, nil); err != nil {
		return 0, err
	}
	exported := time.Since(began)
	key, err := verify.ParseKey(f.log.VKey())
	if err != nil {
		return 0, err
	}
	var all []time.Duration
	for range 3 {
		src, err := verify.OpenDirectory(dir)
		if err != nil {
			return 0, err
		}
		began := time.Now()
		r, err := verify.Log(ctx, src, &key, verify.Options{})
		took := time.Since(began)
		if err := errors.Join(err, src.Close()); err != nil {
			return 0, err
		}
		if !r.OK() || r.Size < int64(f.size) {
			return 0, fmt.Errorf("the log of %d entries does not verify: %v", r.Size, r.Findings)
		}
		all = append(all, took)
	}
	l.say("exported in %s, verified in %s", short(exported), short(median(all)))
	return median(all), nil
}
