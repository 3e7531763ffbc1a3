package trust

import (
	"context"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"troth/internal/audit"
	"troth/internal/keys"
	"troth/internal/store"
	"troth/internal/store/storetest"
	"troth/verify"
)

// clock is a time that a test moves.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func newClock() *clock { return &clock{at: time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// house is a store, keys and a log, all real, with trust over them.
type house struct {
	*Trust
	t     *testing.T
	db    *store.DB
	keys  *keys.Keys
	log   *audit.Log
	clock *clock
}

func open(t *testing.T, db *store.DB, claims ...Claim) *house {
	t.Helper()
	ctx := context.Background()
	h := &house{t: t, db: db, clock: newClock()}
	dir := t.TempDir()
	ring, err := store.OpenRing(ctx, "sqlite:"+filepath.Join(dir, "keyring.db"), h.clock.now)
	must(t, err)
	t.Cleanup(func() { ring.Close() })
	root, err := keys.CreateRoot(filepath.Join(dir, "root"))
	must(t, err)
	h.keys = keys.New(root, ring, h.clock.now)
	h.log, err = audit.New(db, h.keys, audit.Options{Origin: "log.example", Types: Events(), Now: h.clock.now})
	must(t, err)
	h.reopen(claims...)
	return h
}

// reopen starts the program again, perhaps with other claims.
func (h *house) reopen(claims ...Claim) {
	h.t.Helper()
	var err error
	h.Trust, err = New(h.t.Context(), h.db, h.log, h.keys, claims, Options{Origin: "https://app.example", Build: "test", Now: h.clock.now})
	must(h.t, err)
}

func sqlite(t *testing.T, claims ...Claim) *house {
	t.Helper()
	return open(t, storetest.SQLite(t, audit.Migrations, Migrations), claims...)
}

func (h *house) exercise(ids ...string) []Outcome {
	h.t.Helper()
	out, err := h.Exercise(h.t.Context(), Bench{}, ids...)
	must(h.t, err)
	return out
}

// record is what the page says of a claim.
func (h *house) record(claim string) Record {
	h.t.Helper()
	h.forget()
	claims, withdrawn, err := h.Records(h.t.Context())
	must(h.t, err)
	for _, r := range append(claims[:len(claims):len(claims)], withdrawn...) {
		if r.Claim.ID == claim {
			return r
		}
	}
	h.t.Fatalf("the page does not know the claim %s", claim)
	return Record{}
}

func (h *house) status(claim string, want Status) {
	h.t.Helper()
	if r := h.record(claim); r.Status != want {
		h.t.Errorf("%s is %s since %s, want %s", claim, r.Status, r.Since, want)
	}
}

// examine exports everything and has package verify look at it, as a stranger
// would.
func (h *house) examine() *verify.Report {
	h.t.Helper()
	h.forget()
	dir := h.t.TempDir()
	must(h.t, h.Export(h.t.Context(), dir, nil))
	key, err := verify.ParseKey(h.VKey())
	must(h.t, err)
	src, err := verify.OpenDirectory(dir)
	must(h.t, err)
	defer src.Close()
	r, err := verify.Log(h.t.Context(), src, &key, verify.Options{NeedDocument: true, Now: h.clock.now})
	must(h.t, err)
	return r
}

// clean asserts that a stranger finds nothing wrong.
func (h *house) clean() {
	h.t.Helper()
	if r := h.examine(); !r.OK() {
		h.t.Errorf("a stranger finds %+v", r.Findings)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// switchable is a check that a test turns.
type switchable struct {
	mu   sync.Mutex
	run  func(context.Context, Bench) (Result, error)
	runs int
}

func (s *switchable) set(run func(context.Context, Bench) (Result, error)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.run = run
}

func (s *switchable) Run(ctx context.Context, b Bench) (Result, error) {
	s.mu.Lock()
	run := s.run
	s.runs++
	s.mu.Unlock()
	return run(ctx, b)
}

func pass(context.Context, Bench) (Result, error) {
	var l Look
	l.Equal("the door", "shut", "shut")
	return l.Result()
}

func fail(context.Context, Bench) (Result, error) {
	var l Look
	l.Equal("the door", "shut", "open")
	l.Equal("the window", "shut", "shut")
	return l.Result()
}

// claim is a valid claim with one check.
func claim(id, check string, run func(context.Context, Bench) (Result, error)) Claim {
	return Claim{ID: id, Sentence: "The door of " + id + " is shut.", Scope: "the house", Criteria: []string{"CC6.1", "A.8.5"}, NotProven: "That nobody has a key.",
		Fresh: 3 * time.Hour, Checks: []Check{{Name: check, Version: 1, Method: "It tries the door.", Period: time.Hour, Run: run}}}
}
