package throttle

import (
	"context"
	"net/netip"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"troth/internal/keys"
	"troth/internal/store"
	"troth/internal/store/storetest"
)

var ctx = context.Background()

// clock is a clock that tests move.
type clock struct{ at atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.at.Store(time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC).UnixMicro())
	return c
}

func (c *clock) now() time.Time        { return time.UnixMicro(c.at.Load()).UTC() }
func (c *clock) move(by time.Duration) { c.at.Add(by.Microseconds()) }

// house is a throttle with what stands below it.
type house struct {
	*Throttle
	t     testing.TB
	keys  *keys.Keys
	clock *clock
}

func build(t testing.TB, db *store.DB) *house {
	t.Helper()
	dir := t.TempDir()
	root, err := keys.CreateRoot(filepath.Join(dir, "root"))
	if err != nil {
		t.Fatal(err)
	}
	h := &house{t: t, clock: newClock()}
	ring, err := store.OpenRing(ctx, "sqlite:"+filepath.Join(dir, "keyring.db"), h.clock.now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ring.Close() })
	h.keys = keys.New(root, ring, h.clock.now)
	return h.node(db)
}

// node is another node over a database, or the same one after a restart.
func (h *house) node(db *store.DB) *house {
	h.t.Helper()
	n := *h
	var err error
	if n.Throttle, err = Open(ctx, Options{DB: db, Keys: h.keys, Now: h.clock.now}); err != nil {
		h.t.Fatal(err)
	}
	return &n
}

func sqlite(t testing.TB) *house {
	t.Helper()
	return build(t, storetest.SQLite(t, Migrations))
}

// limiter makes a limiter or ends the test.
func (h *house) limiter(l Limits) *Limiter {
	h.t.Helper()
	made, err := h.Limiter(ctx, l)
	if err != nil {
		h.t.Fatal(err)
	}
	return made
}

func (h *house) sync() {
	h.t.Helper()
	if err := h.Sync(ctx); err != nil {
		h.t.Fatal(err)
	}
}

func key(t *Throttle, s string) Key { return t.Key("test", []byte(s)) }

// address is the n-th address of version 4, spread over all of them.
func address(n int) netip.Addr {
	v := uint32(n) * 2654435761 // Knuth's multiplier: odd, so no two are equal
	return netip.AddrFrom4([4]byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)})
}
