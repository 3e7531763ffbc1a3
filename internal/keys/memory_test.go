package keys

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"troth/internal/fault"
)

// memory is a Ring for the tests of this package; the real one is in package
// store and passes the same tests there.
type memory struct {
	mu      sync.Mutex
	entries []Entry // sorted by (ref, version)
}

func (m *memory) find(ref Ref, version int) (int, bool) {
	return slices.BinarySearchFunc(m.entries, Entry{Ref: ref, Version: version}, func(a, b Entry) int {
		return cmp.Or(cmp.Compare(a.Ref, b.Ref), cmp.Compare(a.Version, b.Version))
	})
}

func (m *memory) Entries(ctx context.Context, ref Ref) ([]Entry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var found []Entry
	for i, _ := m.find(ref, 0); i < len(m.entries) && m.entries[i].Ref == ref; i++ {
		found = append(found, m.entries[i])
	}
	slices.Reverse(found)
	return found, ctx.Err()
}

func (m *memory) Insert(ctx context.Context, e Entry) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	i, exists := m.find(e.Ref, e.Version)
	if exists {
		return fault.New(fault.Conflict, "test.exists", "It exists.")
	}
	m.entries = slices.Insert(m.entries, i, e)
	return ctx.Err()
}

func (m *memory) Walk(ctx context.Context, after Ref, limit int) ([]Entry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	i, _ := m.find(after, 1<<20)
	end := i
	for refs := 0; end < len(m.entries); end++ {
		if end == i || m.entries[end].Ref != m.entries[end-1].Ref {
			if refs++; refs > limit {
				break
			}
		}
	}
	return slices.Clone(m.entries[i:end]), ctx.Err()
}

func (m *memory) Rewrap(ctx context.Context, entries []Entry) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range entries {
		if i, exists := m.find(e.Ref, e.Version); exists && !m.entries[i].Destroyed() {
			m.entries[i].Wrapped, m.entries[i].Epoch = e.Wrapped, e.Epoch
		}
	}
	return ctx.Err()
}

func (m *memory) Count(ctx context.Context) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.entries), ctx.Err()
}

// backup is a copy of the ring, as a backup of the keyring would hold it.
func (m *memory) backup() *memory {
	m.mu.Lock()
	defer m.mu.Unlock()
	return &memory{entries: slices.Clone(m.entries)}
}

// faulty stands before root and ring. Its n-th operation fails, either without
// having happened ("lost") or after it did ("persisted"); before, when set,
// decides for every operation by its name.
type faulty struct {
	root Root
	ring Ring

	mu        sync.Mutex
	calls     map[string]int
	count     int
	failAt    int
	persisted bool
	before    func(ctx context.Context, op string) error
}

var errBroken = errors.New("the line is cut")

// do counts an operation and breaks it when it is its turn.
func (f *faulty) do(ctx context.Context, op string, run func() error) error {
	f.mu.Lock()
	f.count++
	if f.calls == nil {
		f.calls = map[string]int{}
	}
	f.calls[op]++
	broken, before := f.count == f.failAt, f.before
	f.mu.Unlock()
	if before != nil {
		if err := before(ctx, op); err != nil {
			return err
		}
	}
	if broken && !f.persisted {
		return errBroken
	}
	if err := run(); err != nil {
		return err
	}
	if broken {
		return errBroken
	}
	return nil
}

func (f *faulty) called(op string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls[op]
}

func (f *faulty) set(before func(context.Context, string) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.before = before
}

func (f *faulty) Entries(ctx context.Context, ref Ref) (found []Entry, err error) {
	err = f.do(ctx, "entries", func() (err error) { found, err = f.ring.Entries(ctx, ref); return })
	return found, err
}
func (f *faulty) Insert(ctx context.Context, e Entry) error {
	return f.do(ctx, "insert", func() error { return f.ring.Insert(ctx, e) })
}
func (f *faulty) Walk(ctx context.Context, after Ref, limit int) (found []Entry, err error) {
	err = f.do(ctx, "walk", func() (err error) { found, err = f.ring.Walk(ctx, after, limit); return })
	return found, err
}
func (f *faulty) Rewrap(ctx context.Context, entries []Entry) error {
	return f.do(ctx, "rewrap", func() error { return f.ring.Rewrap(ctx, entries) })
}
func (f *faulty) Count(ctx context.Context) (n int, err error) {
	err = f.do(ctx, "count", func() (err error) { n, err = f.ring.Count(ctx); return })
	return n, err
}
func (f *faulty) Epochs(ctx context.Context) (all []string, err error) {
	err = f.do(ctx, "epochs", func() (err error) { all, err = f.root.Epochs(ctx); return })
	return all, err
}
func (f *faulty) Current(ctx context.Context) (epoch string, err error) {
	err = f.do(ctx, "current", func() (err error) { epoch, err = f.root.Current(ctx); return })
	return epoch, err
}
func (f *faulty) Create(ctx context.Context) (epoch string, err error) {
	err = f.do(ctx, "create", func() (err error) { epoch, err = f.root.Create(ctx); return })
	return epoch, err
}
func (f *faulty) Wrap(ctx context.Context, epoch string, plain, aad []byte) (w []byte, err error) {
	err = f.do(ctx, "wrap", func() (err error) { w, err = f.root.Wrap(ctx, epoch, plain, aad); return })
	return w, err
}
func (f *faulty) Unwrap(ctx context.Context, epoch string, wrapped, aad []byte) (p []byte, err error) {
	err = f.do(ctx, "unwrap", func() (err error) { p, err = f.root.Unwrap(ctx, epoch, wrapped, aad); return })
	return p, err
}
func (f *faulty) Destroy(ctx context.Context, epoch string) (done time.Time, err error) {
	err = f.do(ctx, "destroy", func() (err error) { done, err = f.root.Destroy(ctx, epoch); return })
	return done, err
}

// world is one installation: a root directory, a ring, and the hierarchy over
// both with a line that can be cut.
type world struct {
	dir  string
	ring *memory
	line *faulty
	*Keys
}

func newWorld(t testing.TB) *world {
	t.Helper()
	dir := t.TempDir() + "/root"
	root, err := CreateRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	return worldOver(dir, root, &memory{})
}

func worldOver(dir string, root *FileRoot, ring *memory) *world {
	line := &faulty{root: root, ring: ring}
	return &world{dir: dir, ring: ring, line: line, Keys: New(line, line, time.Now)}
}

// process is another process over the same files, with nothing cached.
func (w *world) process(t testing.TB) *world {
	t.Helper()
	root, err := OpenRoot(w.dir)
	if err != nil {
		t.Fatal(err)
	}
	return worldOver(w.dir, root, w.ring)
}

func (w *world) mustCreate(t testing.TB, refs ...Ref) {
	t.Helper()
	for _, ref := range refs {
		if err := w.Create(t.Context(), ref, keySize); err != nil {
			t.Fatalf("creating %s: %v", ref, err)
		}
	}
}

func (w *world) mustSeal(t testing.TB, plain string, under ...Ref) []byte {
	t.Helper()
	sealed, err := w.Seal(t.Context(), here, []byte(plain), under...)
	if err != nil {
		t.Fatalf("sealing under %v: %v", under, err)
	}
	return sealed
}

func (w *world) mustOpen(t testing.TB, want string, sealed []byte, under ...Ref) {
	t.Helper()
	plain, err := w.Open(t.Context(), here, sealed, under...)
	if err != nil || !bytes.Equal(plain, []byte(want)) {
		t.Fatalf("opening under %v: got %q, %v; want %q", under, plain, err, want)
	}
}

func wantKind(t testing.TB, err error, kind fault.Kind, doing string) {
	t.Helper()
	if err == nil || fault.KindOf(err) != kind {
		t.Fatalf("%s: got %v (%v), want %v", doing, err, fault.KindOf(err), kind)
	}
}

var here = Place{Tenant: "ten_1", Region: "eu", Table: "account", Column: "email", Row: "acc_1"}

const (
	tenantA  = Ref("tenant/ten_a")
	subjectA = Ref("subject/acc_a")
	month    = Ref("month/audit/202611")
)
