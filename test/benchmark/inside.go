package main

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"fmt"
	"testing"
	"time"

	"troth/internal/id"
	"troth/internal/keys"
)

// session measures what every request pays to know who is asking and what they
// may do: the token's digest, the cached session, the cached decision, and one
// permission.
func session(ctx context.Context, l *lab) error {
	dir, err := l.install(ctx, "session")
	if err != nil {
		return err
	}
	c, err := openChain(ctx, dir)
	if err != nil {
		return err
	}
	who, err := c.person(ctx)
	if err != nil {
		return err
	}
	return errors.Join(c.live(ctx, func() error {
		return c.checks(ctx, l, who.Token.Reveal(), func(n int) ([]string, error) { return c.sessions(ctx, who, n) })
	}), c.close())
}

func (c *chain) checks(ctx context.Context, l *lab, token string, more func(int) ([]string, error)) error {
	check := func(token string) error {
		s, err := c.accounts.Authenticate(ctx, token)
		if err == nil && !s.May("account.own") {
			err = errors.New("the session does not open")
		}
		return err
	}
	first, err := bench(func(int) error { return check(token) })
	if err != nil {
		return err
	}
	const limit = 2 * time.Microsecond
	l.table.add(line{what: "session check and decision, in process", asked: "≤ 2 µs, 0 allocations",
		measured: fmt.Sprintf("%s, %d allocations", short(first.took), first.allocs), holds: first.took <= limit && first.allocs == 0})
	for _, n := range []int{1000, 30_000} {
		tokens, err := more(n)
		if err != nil {
			return err
		}
		for _, t := range tokens { // the first use reads the database
			if err := check(t); err != nil {
				return err
			}
		}
		r, err := bench(func(i int) error { return check(tokens[i%n]) })
		if err != nil {
			return err
		}
		l.table.growth("%s with %d sessions in use, each in turn: a look-up in a map of bounded size (65,536), so it does not grow with accounts, tenants or events; what grows is the miss of the processor's cache.", short(r.took), n)
	}
	subject, err := c.accounts.Authenticate(ctx, token)
	if err != nil {
		return err
	}
	may, err := bench(func(int) error {
		if !subject.May("account.own") {
			return errors.New("denied")
		}
		return nil
	})
	l.table.note("one decision on a subject at hand", fmt.Sprintf("%s, %d allocations", short(may.took), may.allocs))
	return err
}

// seal measures the sealing and opening of a field.
func seal(ctx context.Context, l *lab) error {
	g, err := l.newGround(ctx, "seal", nil)
	if err != nil {
		return err
	}
	defer g.close()
	at, who := id.New[id.Tenant](time.Now()), id.New[id.Account](time.Now())
	refs := []keys.Ref{keys.TenantRef(at), keys.SubjectRef(who)}
	for _, ref := range refs {
		if err := g.keys.Create(ctx, ref, 32); err != nil {
			return err
		}
	}
	place := keys.Place{Tenant: at, Table: "account", Column: "email", Row: string(who)}
	block, err := aes.NewCipher(random(32))
	if err != nil {
		return err
	}
	bare, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return err
	}
	plain, aad := []byte(email), make([]byte, 100)
	var p pairs
	var sealed []byte
	for range 3 {
		ours, err := bench(func(int) (err error) { sealed, err = g.keys.Seal(ctx, place, plain, refs...); return err })
		if err != nil {
			return err
		}
		theirs, err := bench(func(int) error { bare.Seal(nil, nil, plain, aad); return nil })
		if err != nil {
			return err
		}
		p.take(float64(ours.took), float64(theirs.took))
	}
	open, err := bench(func(int) error { _, err := g.keys.Open(ctx, place, sealed, refs...); return err })
	if err != nil {
		return err
	}
	l.table.note("sealing a field under two keys", short(time.Duration(median(p.ours))),
		"bare AES-256-GCM with a key at hand: "+short(time.Duration(median(p.theirs))), p.String())
	l.table.note("opening it", short(open.took))
	l.table.growth("constant while the keys are cached (16,384 of them, 15 minutes each); a key that is not costs one read of the keyring.")
	return nil
}

// result is what one operation takes.
type result struct {
	took   time.Duration
	allocs int64
}

// bench measures an operation for about a second.
func bench(op func(i int) error) (result, error) {
	var failed error
	r := testing.Benchmark(func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			if err := op(i); err != nil {
				failed = err
				b.Fatal(err)
			}
		}
	})
	if failed != nil {
		return result{}, failed
	}
	return result{time.Duration(r.NsPerOp()), r.AllocsPerOp()}, nil
}
