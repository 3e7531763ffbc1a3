package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"troth/internal/id"
	"troth/internal/keys"
	"troth/internal/store"
)

// roll measures a new epoch: every entry of the keyring is unwrapped and wrapped
// again, durably.
func roll(ctx context.Context, l *lab) error {
	small, err := l.rollFresh(ctx, 10_000)
	if err != nil {
		return err
	}
	large, err := l.rollFresh(ctx, 100_000)
	if err != nil {
		return err
	}
	l.table.note("a new epoch for 100,000 keys, while running", short(large))
	l.table.growth("10,000 keys %s, 100,000 keys %s: linear in keys, two an account. Data are never encrypted again.", short(small), short(large))
	return nil
}

func (l *lab) rollFresh(ctx context.Context, n int) (time.Duration, error) {
	dir := filepath.Join(l.dir, fmt.Sprintf("roll-%d", n))
	root, err := keys.CreateRoot(filepath.Join(dir, "root"))
	if err != nil {
		return 0, err
	}
	ring, err := store.OpenRing(ctx, "sqlite:"+filepath.Join(dir, "keyring.db"), time.Now)
	if err != nil {
		return 0, err
	}
	k := keys.New(root, ring, time.Now)
	began := time.Now()
	err = parallel(256, n, func(int) error { return k.Create(ctx, keys.SubjectRef(id.New[id.Account](time.Now())), 32) })
	if err != nil {
		return 0, err
	}
	l.say("made %d keys in %s", n, time.Since(began).Round(time.Millisecond))
	began = time.Now()
	_, err = k.Roll(ctx, nil)
	return time.Since(began), errors.Join(err, ring.Close())
}
