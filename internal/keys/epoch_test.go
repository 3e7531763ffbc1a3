package keys

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"

	"troth/internal/fault"
)

func (w *world) epochs(t testing.TB) []string {
	t.Helper()
	all, err := w.line.root.Epochs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func (w *world) mustRoll(t testing.TB) string {
	t.Helper()
	epoch, err := w.Roll(t.Context(), nil)
	if err != nil {
		t.Fatalf("rolling: %v", err)
	}
	return epoch
}

func (w *world) mustRetire(t testing.TB, epochs ...string) {
	t.Helper()
	for _, epoch := range epochs {
		if done, err := w.Retire(t.Context(), epoch); err != nil || done.IsZero() {
			t.Fatalf("retiring %s: %v, %v", epoch, done, err)
		}
	}
}

func TestRollWhileAnotherProcessServes(t *testing.T) {
	w := newWorld(t)
	w.mustCreate(t, tenantA)
	sealed := w.mustSeal(t, "before", tenantA)
	cli := w.process(t)
	first := w.epochs(t)[0]
	second := cli.mustRoll(t)
	cli.mustRetire(t, first)

	w.mustOpen(t, "before", sealed, tenantA) // from its cache
	w.mustCreate(t, subjectA)                // it notices the new epoch
	w.Evict()
	w.mustOpen(t, "before", sealed, tenantA) // and entries wrapped under it
	for _, e := range w.ring.entries {
		if e.Epoch != second {
			t.Errorf("%s is wrapped under %s", e.Ref, e.Epoch)
		}
	}
}

// What Shred promises about backups: an older copy of the keyring opens nothing
// once the epoch was rolled and retired, even with today's root.
func TestOlderKeyringBackupDies(t *testing.T) {
	w := newWorld(t)
	w.mustCreate(t, tenantA, subjectA)
	erased, kept := w.mustSeal(t, "erased", subjectA), w.mustSeal(t, "kept", tenantA)
	backup := w.ring.backup()
	if err := w.Shred(t.Context(), subjectA); err != nil {
		t.Fatal(err)
	}
	restored := func() *world {
		p := w.process(t)
		return worldOver(w.dir, p.line.root.(*FileRoot), backup.backup())
	}
	restored().mustOpen(t, "erased", erased, subjectA) // the reason for rolling
	if owed, err := w.Owed(t.Context()); owed != 1 || err != nil {
		t.Errorf("owed before: %d, %v", owed, err)
	}
	first := w.epochs(t)[0]
	w.mustRoll(t)
	w.mustRetire(t, first)
	if owed, err := w.Owed(t.Context()); owed != 0 || err != nil {
		t.Errorf("owed after: %d, %v", owed, err)
	}
	_, err := restored().Open(t.Context(), here, erased, subjectA)
	wantKind(t, err, fault.Gone, "opening with a restored keyring")
	_, err = restored().Open(t.Context(), here, kept, tenantA)
	wantKind(t, err, fault.Gone, "opening anything with a keyring that is too old")
	w.mustOpen(t, "kept", kept, tenantA)
}

func TestRollContinuesAnInterruptedOne(t *testing.T) {
	w := newWorld(t)
	for i := range 2*page + 7 {
		w.mustCreate(t, Ref(fmt.Sprintf("tenant/ten_%05d", i)))
	}
	w.mustCreate(t, subjectA)
	pages := 0
	w.line.set(func(ctx context.Context, op string) error {
		if op == "rewrap" {
			if pages++; pages > 1 {
				return errBroken
			}
		}
		return nil
	})
	_, err := w.Roll(t.Context(), nil)
	wantKind(t, err, fault.Unavailable, "rolling over a cut line")
	w.mend()
	if n := len(w.epochs(t)); n != 2 {
		t.Fatalf("%d epochs", n)
	}
	if _, err := w.Retire(t.Context(), w.epochs(t)[0]); fault.KindOf(err) != fault.Conflict {
		t.Fatalf("an epoch in use was retired: %v", err)
	}
	// A process with cold caches reads entries of both epochs.
	for _, e := range w.ring.entries {
		if _, err := w.process(t).Secret(t.Context(), e.Ref); err != nil {
			t.Fatal(err)
		}
		if e.Ref > "tenant/ten_00005" {
			break
		}
	}
	var last, total int
	if _, err := w.Roll(t.Context(), func(d, n int) { last, total = d, n }); err != nil {
		t.Fatal(err)
	}
	if last != total || total != 2*page+8 {
		t.Errorf("progress ended at %d of %d", last, total)
	}
	if n := len(w.epochs(t)); n != 2 {
		t.Errorf("continuing made an epoch of its own: %d", n)
	}
	// But when a key was destroyed since, continuing would not be enough.
	old := w.epochs(t)[0]
	w.mustRetire(t, old)
	w.line.set(func(ctx context.Context, op string) error {
		if op == "rewrap" {
			return errBroken
		}
		return nil
	})
	_, err = w.Roll(t.Context(), nil)
	wantKind(t, err, fault.Unavailable, "rolling over a cut line")
	w.mend()
	if err := w.Shred(t.Context(), subjectA); err != nil {
		t.Fatal(err)
	}
	current := w.mustRoll(t)
	for _, e := range w.epochs(t) {
		if e != current {
			w.mustRetire(t, e)
		}
	}
	if owed, err := w.Owed(t.Context()); owed != 0 || err != nil {
		t.Errorf("owed: %d, %v", owed, err)
	}
}

func TestRetireRefuses(t *testing.T) {
	w := newWorld(t)
	w.mustCreate(t, tenantA)
	first := w.epochs(t)[0]
	_, err := w.Retire(t.Context(), first)
	wantKind(t, err, fault.Conflict, "retiring the current epoch")
	_, err = w.Retire(t.Context(), "000009-abcdefgh")
	wantKind(t, err, fault.NotFound, "retiring an unknown epoch")
	if _, err := w.line.root.Create(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err = w.Retire(t.Context(), first)
	wantKind(t, err, fault.Conflict, "retiring an epoch in use")
	w.mustOpen(t, "x", w.mustSeal(t, "x", tenantA), tenantA)
}

// An entry whose epoch key is lost does not stop the others, and is named.
func TestRollNamesWhatIsLost(t *testing.T) {
	w := newWorld(t)
	w.mustCreate(t, subjectA, tenantA)
	w.ring.entries[0].Wrapped[5] ^= 1 // subject/acc_a
	_, err := w.Roll(t.Context(), nil)
	wantKind(t, err, fault.Conflict, "rolling with a damaged entry")
	if w.ring.entries[1].Epoch != w.epochs(t)[1] {
		t.Error("the healthy entry was not rewrapped")
	}
	if err := w.Shred(t.Context(), subjectA); err != nil {
		t.Fatal(err)
	}
	w.mustRoll(t)
}

// Two processes roll while others make, use, renew and destroy keys: nothing
// that was acknowledged is lost, nothing destroyed comes back, and afterwards
// every older epoch can be retired.
func TestRollAmongConcurrentWork(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	var mu sync.Mutex
	sealed, dead := map[Ref][]byte{}, map[Ref][]byte{}
	var all sync.WaitGroup
	for n := range 4 {
		p := w.process(t)
		all.Go(func() {
			for i := range 120 {
				ref := Ref(fmt.Sprintf("tenant/ten_%d_%03d", n, i))
				p.mustCreate(t, ref)
				s := p.mustSeal(t, string(ref), ref)
				if i%5 == 1 {
					if _, err := p.NewVersion(ctx, ref); err != nil {
						t.Errorf("new version of %s: %v", ref, err)
					}
				}
				mu.Lock()
				sealed[ref] = s
				mu.Unlock()
				if i%3 == 0 {
					if err := p.Shred(ctx, ref); err != nil {
						t.Errorf("shredding %s: %v", ref, err)
					}
					mu.Lock()
					delete(sealed, ref)
					dead[ref] = s
					mu.Unlock()
				}
			}
		})
	}
	for range 2 {
		p := w.process(t)
		all.Go(func() {
			for range 8 {
				p.mustRoll(t)
			}
		})
	}
	all.Wait()
	current := w.mustRoll(t)
	for _, epoch := range w.epochs(t) {
		if epoch != current {
			w.mustRetire(t, epoch)
		}
	}
	if owed, err := w.Owed(ctx); owed != 0 || err != nil {
		t.Errorf("owed: %d, %v", owed, err)
	}
	p := w.process(t)
	for ref, s := range sealed {
		p.mustOpen(t, string(ref), s, ref)
	}
	for ref, s := range dead {
		_, err := p.Open(ctx, here, s, ref)
		wantKind(t, err, fault.Gone, "opening the destroyed "+string(ref))
	}
}

// The sweep: the N-th operation of root or ring fails, for every N, before or
// after it took effect. Whatever was acknowledged holds, whatever was
// acknowledged as destroyed is destroyed, and doing it again succeeds.
func TestFaultSweep(t *testing.T) {
	for _, persisted := range []bool{false, true} {
		for n := 1; ; n++ {
			w := newWorld(t)
			w.line.failAt, w.line.persisted = n, persisted
			name := fmt.Sprintf("operation %d, persisted %v", n, persisted)
			first := w.story(t, name, map[Ref][]byte{}, true)
			if w.line.count < n {
				break // the story ends before the fault
			}
			second := w.process(t)
			second.story(t, name+", again", first, false)
		}
	}
}

// story lives one life of keys; sealed carries what an earlier attempt was told
// is safe, and errors are allowed only from the broken line.
func (w *world) story(t *testing.T, name string, sealed map[Ref][]byte, faults bool) map[Ref][]byte {
	t.Helper()
	ctx := t.Context()
	ok := func(doing string, err error) bool {
		if err != nil && (!faults || fault.KindOf(err) != fault.Unavailable || !errors.Is(err, errBroken)) {
			t.Fatalf("%s: %s: %v", name, doing, err)
		}
		return err == nil
	}
	for _, ref := range []Ref{tenantA, subjectA, month} {
		if ref == subjectA && !faults {
			continue // shredded by the first attempt, or about to be
		}
		if ok("create", w.Create(ctx, ref, keySize)) {
			s, err := w.Seal(ctx, here, []byte("x"), ref)
			if ok("seal", err) {
				sealed[ref] = s
			}
		}
	}
	_, err := w.NewVersion(ctx, month)
	if fault.KindOf(err) != fault.NotFound { // its making was what failed
		ok("new version", err)
	}
	shredded := ok("shred", w.Shred(ctx, subjectA))
	current, err := w.Roll(ctx, nil)
	rolled := ok("roll", err)
	if rolled {
		epochs, err := w.Keys.root.Epochs(ctx)
		if err != nil && !faults {
			t.Fatalf("%s: epochs: %v", name, err)
		}
		for _, epoch := range epochs {
			if epoch != current {
				_, err := w.Retire(ctx, epoch)
				ok("retire", err)
			}
		}
	}
	p := w.process(t) // cold caches, a line that holds
	for ref, s := range sealed {
		if ref == subjectA {
			continue
		}
		if _, err := p.Open(ctx, here, s, ref); err != nil {
			t.Fatalf("%s: %s was acknowledged and is lost: %v", name, ref, err)
		}
	}
	if s := sealed[subjectA]; shredded && s != nil {
		_, err := p.Open(ctx, here, s, subjectA)
		wantKind(t, err, fault.Gone, name+": opening what was destroyed")
	}
	return sealed
}

func TestRootDirectoryAway(t *testing.T) {
	w := newWorld(t)
	w.mustCreate(t, tenantA)
	sealed := w.mustSeal(t, "x", tenantA)
	if err := os.Rename(w.dir, w.dir+".away"); err != nil {
		t.Fatal(err)
	}
	w.mustOpen(t, "x", sealed, tenantA) // cached
	wantKind(t, w.Health(t.Context()), fault.Unavailable, "health")
	w.Evict()
	_, err := w.Open(t.Context(), here, sealed, tenantA)
	wantKind(t, err, fault.Unavailable, "opening while the directory is away: it may come back")
	if err := os.Rename(w.dir+".away", w.dir); err != nil {
		t.Fatal(err)
	}
	w.mustOpen(t, "x", sealed, tenantA)
}

func BenchmarkRoll100000(b *testing.B) {
	w := newWorld(b)
	epoch := w.epochs(b)[0]
	for i := range 100_000 {
		e, err := w.wrap(b.Context(), Ref(fmt.Sprintf("subject/acc_%08d", i)), 1, make([]byte, keySize), epoch)
		if err != nil {
			b.Fatal(err)
		}
		w.ring.entries = append(w.ring.entries, e)
	}
	for b.Loop() {
		w.mustRoll(b)
	}
}
