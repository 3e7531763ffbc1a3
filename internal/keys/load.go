package keys

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"
)

// material is what is known of one ref: its versions, newest first, or that it
// was destroyed. Only retry changes after it was made.
type material struct {
	versions []version
	gone     bool
	at       time.Time    // when it was loaded
	retry    atomic.Int64 // when to ask again after a failed refresh, Unix nanoseconds
}

// version is one version of a key. Its key is nil when the epoch that wraps it
// does not exist any more.
type version struct {
	number int
	key    []byte
}

// Format keeps the key out of every verb of package fmt.
func (v version) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "version %d", v.number) }

// Format keeps the keys out of every verb of package fmt. It stands on the
// pointer: fmt calls no method of an unexported field, but prints a pointer in
// one as an address.
func (m *material) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "%d versions", len(m.versions)) }

// newest is the key to seal under.
func (m *material) newest() (version, error) {
	if m.gone || m.versions[0].key == nil {
		return version{}, ErrGone
	}
	return m.versions[0], nil
}

// number finds a version to open with.
func (m *material) number(n int) (v version, known bool) {
	for _, v := range m.versions {
		if v.number == n {
			return v, true
		}
	}
	return version{}, false
}

// get returns what is known of a ref, from the cache or by loading it.
func (k *Keys) get(ctx context.Context, ref Ref) (*material, error) {
	now := k.now()
	k.mu.RLock()
	m := k.loaded[ref]
	k.mu.RUnlock()
	if m != nil {
		switch age := now.Sub(m.at); {
		case age < 0: // the clock was set back: the age is unknown
		case age < softAge:
			return m, nil
		case age < hardAge:
			k.refresh(ref, m, now)
			return m, nil
		}
	}
	return k.load(ctx, ref)
}

// load asks ring and root for a ref; callers that ask at the same time share
// one answer. One caller's cancellation does not fail the others.
func (k *Keys) load(ctx context.Context, ref Ref) (*material, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	// After an eviction nobody joins a load that began before it.
	flight := strconv.FormatUint(k.drops.Load(), 36) + " " + string(ref)
	result := k.loads.DoChan(flight, func() (any, error) {
		ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), loadTime)
		defer stop()
		return k.fetch(ctx, ref)
	})
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case r := <-result:
		if r.Err != nil {
			return nil, r.Err
		}
		return r.Val.(*material), nil
	}
}

// fetch reads a ref from ring and root and caches it, unless something was
// evicted meanwhile: then it might bring back what was just destroyed.
func (k *Keys) fetch(ctx context.Context, ref Ref) (*material, error) {
	drops := k.drops.Load()
	m := &material{at: k.now()}
	entries, err := k.ring.Entries(ctx, ref)
	if err != nil {
		return nil, k.unreachable(fmt.Errorf("reading %s from the keyring: %w", ref, err))
	}
	if len(entries) == 0 {
		return nil, ErrUnknown
	}
	for _, e := range entries {
		if e.Destroyed() {
			m.gone = true
			continue
		}
		key, err := k.unwrap(ctx, e)
		switch {
		case errors.Is(err, ErrAltered):
			return nil, err // a damaged keyring: a defect, not an outage
		case err != nil && !errors.Is(err, ErrNoEpoch):
			return nil, k.unreachable(err)
		}
		m.versions = append(m.versions, version{e.Version, key})
	}
	if m.gone {
		m.versions = nil
	}
	k.mu.Lock()
	if k.drops.Load() == drops {
		makeRoom(k.loaded)
		k.loaded[ref] = m
	}
	k.mu.Unlock()
	return m, nil
}

// refresh asks again in the background about a key that grows old.
func (k *Keys) refresh(ref Ref, m *material, now time.Time) {
	next := m.retry.Load()
	if now.UnixNano() < next || !m.retry.CompareAndSwap(next, now.Add(retryAfter).UnixNano()) {
		return
	}
	select {
	case k.refreshes <- struct{}{}:
	default:
		return // enough under way; the next use tries again
	}
	go func() {
		defer func() { <-k.refreshes }()
		// An error needs no answer here: a refusal has emptied the caches, and
		// without an answer the key serves until its hard stop.
		_, err := k.load(context.Background(), ref)
		if errors.Is(err, ErrUnknown) || errors.Is(err, ErrAltered) {
			k.Evict(ref)
		}
	}()
}

// Evict drops what is cached of the refs, or everything when none is named. A
// process calls it when it learns that another one destroyed or added keys.
func (k *Keys) Evict(refs ...Ref) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.drops.Add(1)
	if len(refs) == 0 {
		clear(k.loaded)
		clear(k.derived)
		return
	}
	for _, ref := range refs {
		delete(k.loaded, ref)
		for name, d := range k.derived {
			if d.uses(ref) {
				delete(k.derived, name)
			}
		}
	}
}

// makeRoom drops an arbitrary entry from a full cache. Go's random map order
// is enough: a key that is used much comes back with its next use, and the age
// of an entry is bounded anyway.
func makeRoom[K comparable, V any](cache map[K]V) {
	for name := range cache {
		if len(cache) < maxCached {
			return
		}
		delete(cache, name)
	}
}

// wrapAAD binds a wrapped key to its name, version and epoch.
func wrapAAD(ref Ref, number int, epoch string) []byte {
	b := append(make([]byte, 0, 128), "troth keyring entry v1"...)
	b = appendPart(b, string(ref))
	b = append(b, byte(number>>8), byte(number))
	return appendPart(b, epoch)
}

// unwrap opens an entry of the ring.
func (k *Keys) unwrap(ctx context.Context, e Entry) ([]byte, error) {
	if e.Version < 1 || e.Version > maxVersion {
		return nil, fmt.Errorf("unwrapping %s: %w: there is no version %d", e.Ref, ErrAltered, e.Version)
	}
	key, err := k.root.Unwrap(ctx, e.Epoch, e.Wrapped, wrapAAD(e.Ref, e.Version, e.Epoch))
	if err != nil {
		return nil, fmt.Errorf("unwrapping %s version %d of epoch %s: %w", e.Ref, e.Version, e.Epoch, err)
	}
	if len(key) < minKeyBytes || len(key) > maxKeyBytes {
		return nil, fmt.Errorf("unwrapping %s: %w: it has %d bytes", e.Ref, ErrAltered, len(key))
	}
	return bytes.Clone(key), nil
}

// wrap makes an entry of the ring under an epoch.
func (k *Keys) wrap(ctx context.Context, ref Ref, number int, key []byte, epoch string) (Entry, error) {
	wrapped, err := k.root.Wrap(ctx, epoch, key, wrapAAD(ref, number, epoch))
	if err != nil {
		return Entry{}, fmt.Errorf("wrapping %s version %d under epoch %s: %w", ref, number, epoch, err)
	}
	return Entry{Ref: ref, Version: number, Epoch: epoch, Wrapped: wrapped, CreatedAt: k.now().UTC()}, nil
}
