package audit

import (
	"context"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"troth/internal/id"
	"troth/internal/keys"
	"troth/internal/store"
	"troth/internal/store/storetest"
	"troth/verify"
)

// clock is a time that tests move.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func newClock() *clock { return &clock{t: time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(time.Millisecond) // identifiers made one after the other sort so
	return c.t
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// testTypes are what other packages would register.
var testTypes = []Type{
	{Name: "account.signed_in", Sentence: "{actor} signed in from {ip}"},
	{Name: "account.sign_in_failed", Sentence: "{actor} failed to sign in from {place}", Outcome: Failure},
	{Name: "tenant.role_changed", Sentence: "{actor} changed the role of {target} to {role} (100%)"},
}

// house is a log with what stands below it.
type house struct {
	t     testing.TB
	db    *store.DB
	root  *keys.FileRoot
	ring  *store.Ring
	keys  *keys.Keys
	clock *clock
	log   *Log
	file  string
}

// open makes a house on a database.
func open(t testing.TB, db *store.DB) *house {
	t.Helper()
	dir := t.TempDir()
	h := &house{t: t, db: db, clock: newClock(), file: filepath.Join(dir, "checkpoint")}
	var err error
	if h.root, err = keys.CreateRoot(filepath.Join(dir, "root")); err != nil {
		t.Fatal(err)
	}
	if h.ring, err = store.OpenRing(context.Background(), "sqlite:"+filepath.Join(dir, "keyring.db"), h.clock.now); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.ring.Close() })
	h.keys = keys.New(h.root, h.ring, h.clock.now)
	if _, err := h.keys.Roll(context.Background(), nil); err != nil {
		t.Fatal(err)
	}
	h.start()
	return h
}

// start opens the log, as another process would.
func (h *house) start() {
	h.t.Helper()
	var err error
	if h.log, err = New(h.db, h.keys, Options{Origin: "log.example", Types: testTypes, Published: h.file, Now: h.clock.now}); err != nil {
		h.t.Fatal(err)
	}
}

func sqlite(t testing.TB) *house { return open(t, storetest.SQLite(t, Migrations)) }

func (h *house) tenant() id.Tenant {
	h.t.Helper()
	tenant := id.New[id.Tenant](h.clock.now())
	if err := h.keys.Create(context.Background(), keys.TenantRef(tenant), keySize); err != nil {
		h.t.Fatal(err)
	}
	return tenant
}

func (h *house) account() id.Account { return id.New[id.Account](h.clock.now()) }

func (h *house) append(e Event) id.Event {
	h.t.Helper()
	var made id.Event
	err := h.db.Write(context.Background(), func(tx *store.Tx) (err error) {
		made, err = h.log.AppendTx(tx, e)
		return err
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return made
}

func (h *house) sequence() int {
	h.t.Helper()
	n, err := h.log.Sequence(context.Background())
	if err != nil {
		h.t.Fatal(err)
	}
	return n
}

// examine has package verify look at an exported log.
func examine(t testing.TB, h *house, dir string, seen ...[]byte) *verify.Report {
	t.Helper()
	src, err := verify.OpenDirectory(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	key, err := verify.ParseKey(h.log.VKey())
	if err != nil {
		t.Fatal(err)
	}
	r, err := verify.Log(context.Background(), src, &key, verify.Options{Seen: seen, Now: h.clock.now})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// checkDir fails for everything that verify finds.
func checkDir(t testing.TB, h *house, dir string, seen ...[]byte) {
	t.Helper()
	for _, f := range examine(t, h, dir, seen...).Findings {
		t.Errorf("verify found: %v", &f)
	}
}
