package verify_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"troth/verify"
)

// TestSizes recomputes logs whose sizes lie at every kind of boundary.
func TestSizes(t *testing.T) {
	f := newFixture(t)
	for _, size := range []int{0, 1, 2, 255, 256, 257, 511, 512, 513, 1000, 65535, 65536, 65537} {
		f.fill(size - len(f.tree.records))
		f.write()
		only(t, f.examine(verify.Options{}))
	}
}

// TestEveryPriorSize holds a log against a checkpoint of each earlier size.
func TestEveryPriorSize(t *testing.T) {
	f := newFixture(t)
	f.fill(771)
	f.write()
	var seen [][]byte
	for size := range int64(772) {
		seen = append(seen, f.checkpoint(size))
	}
	only(t, f.examine(verify.Options{Seen: seen}))
	other := newFixture(t)
	other.private, other.signer, other.key = f.private, f.signer, f.key
	other.fill(771)
	for _, size := range []int64{1, 255, 256, 257, 512, 770} {
		only(t, f.examine(verify.Options{Seen: [][]byte{other.checkpoint(size)}}), fmt.Sprintf("log-rewritten first %d entries", size))
	}
}

// TestTampered changes one thing of a log that is right and expects it named.
func TestTampered(t *testing.T) {
	cases := []struct {
		name   string
		change func(*fixture)
		want   []string
	}{
		{"entry", func(f *fixture) { f.flip("tile/entries/001", 36*3+10) }, []string{"entry-differs entry 259 (tile/entries/001)", "root-differs checkpoint of size 700"}},
		{"entry of the last bundle", func(f *fixture) { f.flip("tile/entries/002.p/188", 10) }, []string{"entry-differs entry 512 (tile/entries/002.p/188)", "root-differs checkpoint of size 700"}},
		{"entry's kind", func(f *fixture) { f.flip("tile/entries/000", 3) }, []string{"entry-malformed entry 0", "entry-differs entry 0 (tile/entries/000)", "root-differs checkpoint of size 700"}},
		{"bundle cut short", func(f *fixture) { must(t, os.Truncate(f.path("tile/entries/001"), 100)) }, []string{"entries-malformed tile/entries/001"}},
		{"bundle missing", func(f *fixture) { must(t, os.Remove(f.path("tile/entries/000"))) }, []string{"entries-missing tile/entries/000"}},
		{"tile", func(f *fixture) { f.flip("tile/0/001", 32*7) }, []string{"tile-differs tile/0/001, row 7"}},
		{"last tile", func(f *fixture) { f.flip("tile/0/002.p/188", 32*7) }, []string{"tile-differs tile/0/002.p/188, row 7"}},
		{"upper tile", func(f *fixture) { f.flip("tile/1/000.p/2", 33) }, []string{"tile-differs tile/1/000.p/2, row 1"}},
		{"tile too long", func(f *fixture) { f.file("tile/0/001", make([]byte, 9000)) }, []string{"tile-malformed tile/0/001"}},
		{"tile too short", func(f *fixture) { f.file("tile/0/001", make([]byte, 31)) }, []string{"tile-malformed tile/0/001"}},
		{"tile missing", func(f *fixture) { must(t, os.Remove(f.path("tile/1/000.p/2"))) }, []string{"tile-missing tile/1/000.p/2"}},
		{"checkpoint's size", func(f *fixture) { f.flip("checkpoint", len(origin)+3) }, []string{"checkpoint-signature checkpoint"}},
		{"checkpoint's signature", func(f *fixture) { f.flip("checkpoint", 160) }, []string{"checkpoint-signature checkpoint"}},
		{"checkpoint missing", func(f *fixture) { must(t, os.Remove(f.path("checkpoint"))) }, []string{"checkpoint-missing checkpoint"}},
		{"entry and tile", func(f *fixture) {
			f.flip("tile/entries/001", 10)
			f.tree.records[256][10-2] ^= 1
			h := tlog.RecordHash(f.tree.records[256])
			b, err := os.ReadFile(f.path("tile/0/001"))
			must(t, err)
			copy(b, h[:])
			f.file("tile/0/001", b)
		}, []string{"tile-differs tile/1/000.p/2, row 1", "root-differs checkpoint of size 700"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			f := newFixture(t)
			f.fill(700)
			f.write()
			only(t, f.examine(verify.Options{}))
			c.change(f)
			only(t, f.examine(verify.Options{}), c.want...)
		})
	}
}

// TestTailReadsWhatIsCited: evidence of a claim that is not green is older than
// that of the green ones, or there is no green claim at all.
func TestTailReadsWhatIsCited(t *testing.T) {
	for _, green := range []bool{true, false} {
		f := newFixture(t)
		f.fill(10)
		old := f.claim("A1", day.Add(-100*24*time.Hour))
		old.Status = verify.Stale
		f.fill(3000)
		if green {
			f.claim("A2", day)
		}
		f.write()
		r := f.examine(verify.Options{Tail: true})
		if r.Has("evidence-not-in-log") || r.From != 0 {
			t.Errorf("with a green claim: %t; read from %d, found %+v", green, r.From, r.Findings)
		}
	}
}

// TestTail reads only what the claims need, of logs of every awkward size, and
// still binds it to the root.
func TestTail(t *testing.T) {
	f := newFixture(t)
	for _, before := range []int{0, 1, 255, 256, 300, 511, 512, 1000, 65535, 65536, 66000, 131071} {
		f.fill(before - len(f.tree.records))
		f.doc.Claims = nil
		f.claim("A1", day)
		f.claim("A2", day)
		f.write()
		r := f.examine(verify.Options{Tail: true})
		only(t, r)
		if want := int64(before) / 256 * 256; r.From != want || len(r.Claims) != 2 || r.Claims[1].Derived != verify.Proven {
			t.Errorf("after %d entries: read from %d, want %d; %+v", before, r.From, want, r.Claims)
		}
	}
	f.flip("tile/entries/000", 10) // not read
	only(t, f.examine(verify.Options{Tail: true, Seen: [][]byte{f.checkpoint(200)}}))
	f.flip("tile/1/001", 3)
	if r := f.examine(verify.Options{Tail: true}); !r.Has("root-differs") {
		t.Errorf("a changed hash on the left was believed: %+v", r.Findings)
	}
}

// TestFullTileInPlaceOfPartial: a server may drop partial tiles once the full
// ones stand (C2SP tlog-tiles).
func TestFullTileInPlaceOfPartial(t *testing.T) {
	f := newFixture(t)
	f.fill(200)
	f.write()
	checkpoint, err := os.ReadFile(f.path("checkpoint"))
	must(t, err)
	f.fill(100)
	f.write()
	f.file("checkpoint", checkpoint)
	must(t, os.RemoveAll(f.path("tile/0/000.p")))
	must(t, os.RemoveAll(f.path("tile/entries/000.p")))
	only(t, f.examine(verify.Options{}))
}

func TestState(t *testing.T) {
	f := newFixture(t)
	state := filepath.Join(t.TempDir(), "seen")
	o := verify.Options{State: state}
	f.fill(300)
	f.write()
	only(t, f.examine(o))
	f.fill(300)
	f.write()
	if r := f.examine(o); r.Seen == nil || *r.Seen != 300 {
		t.Errorf("compared with %v, want 300", r.Seen)
	}
	t.Run("shrunk", func(t *testing.T) {
		g := *f
		g.t, g.dir, g.tree = t, t.TempDir(), tree{}
		g.fill(10)
		g.write()
		only(t, g.examine(o), "log-shrunk checkpoint")
	})
	t.Run("restored openly", func(t *testing.T) {
		g := *f
		g.t, g.dir, g.tree = t, t.TempDir(), tree{}
		g.fill(10)
		g.entry(verify.Entry{Kind: verify.KindEpoch, Epoch: verify.Epoch{Number: 2, At: day, Size: 600, Root: f.tree.root(t, 600)}})
		g.write()
		r := g.examine(o)
		only(t, r, "log-restored checkpoint")
		if len(r.Epochs) != 1 || r.Epochs[0].Size != 600 {
			t.Errorf("epochs %+v", r.Epochs)
		}
		only(t, g.examine(verify.Options{})) // a stranger who saw nothing before
	})
	t.Run("another key", func(t *testing.T) {
		g := newFixture(t)
		g.fill(700)
		g.write()
		only(t, g.examine(o), "seen-signature checkpoint seen before")
	})
	b, err := os.ReadFile(state)
	must(t, err)
	if c, err := verify.OpenCheckpoint(b, f.key); err != nil || c.Size != 600 {
		t.Errorf("findings changed the state to %+v, %v", c, err)
	}
}

func TestUnpinned(t *testing.T) {
	f := newFixture(t)
	f.fill(3)
	f.write()
	src, err := verify.OpenDirectory(f.dir)
	must(t, err)
	defer src.Close()
	r, err := verify.Log(t.Context(), src, nil, verify.Options{})
	must(t, err)
	if r.Pinned || !r.OK() || r.Size != 3 || r.Entries["tenant"] != 3 {
		t.Errorf("%+v", r)
	}
	other := newFixture(t)
	r, err = verify.Log(t.Context(), src, &other.key, verify.Options{})
	must(t, err)
	only(t, r, "checkpoint-signature checkpoint")
	must(t, os.Remove(f.path("vkey")))
	if _, err = verify.Log(t.Context(), src, nil, verify.Options{}); err == nil {
		t.Error("a log without any key was examined")
	}
}

func TestEpochsInOrder(t *testing.T) {
	f := newFixture(t)
	for _, n := range []uint32{2, 4} {
		f.entry(verify.Entry{Kind: verify.KindEpoch, Epoch: verify.Epoch{Number: n, At: day}})
	}
	f.write()
	only(t, f.examine(verify.Options{}), "epoch-out-of-order entry 1")
}

// TestSourceThatFails: what could not be read is an error, not a verdict.
func TestSourceThatFails(t *testing.T) {
	f := newFixture(t)
	f.fill(600)
	f.claim("A1", day)
	f.write()
	dir, err := verify.OpenDirectory(f.dir)
	must(t, err)
	defer dir.Close()
	for _, prefix := range []string{"checkpoint", "trust.json", "tile/0/001", "tile/1", "tile/entries/001", "evidence/"} {
		src := failing{dir, prefix}
		if r, err := verify.Log(t.Context(), src, &f.key, verify.Options{Now: func() time.Time { return day }}); err == nil {
			t.Errorf("without %s: %+v", prefix, r)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := verify.Log(ctx, dir, &f.key, verify.Options{}); err == nil {
		t.Error("went on after the end of its context")
	}
}

type failing struct {
	verify.Source
	prefix string
}

func (s failing) Fetch(ctx context.Context, path string, limit int64) ([]byte, error) {
	if strings.HasPrefix(path, s.prefix) {
		return nil, fs.ErrPermission
	}
	return s.Source.Fetch(ctx, path, limit)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// BenchmarkLog examines a log of 1,000,000 entries in a directory.
func BenchmarkLog(b *testing.B) {
	const size = 1_000_000
	f := newFixture(b)
	f.tree.records = make([][]byte, 0, size)
	f.tree.stored = make(hashes, 0, 2*size)
	random := make([]byte, 32*size)
	rand.Read(random)
	for i := range size {
		f.entry(verify.Entry{Kind: verify.KindTenant, Digest: verify.Digest(random[32*i:])})
	}
	f.write()
	f.tree = tree{}
	for b.Loop() {
		if r := f.examine(verify.Options{}); !r.OK() || r.Size != size {
			b.Fatalf("%+v", r)
		}
	}
	b.ReportMetric(float64(size)*float64(b.N)/b.Elapsed().Seconds(), "entries/s")
}
