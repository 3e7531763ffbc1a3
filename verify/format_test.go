package verify_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"troth/verify"
)

func TestLeafLimits(t *testing.T) {
	good := verify.Leaf{Event: "evt_01jd", Class: "audit", At: day.Add(123456 * time.Microsecond), Commitment: verify.DigestOf([]byte("x"))}
	b, err := good.Encode()
	must(t, err)
	if got, err := verify.ParseLeaf(b); err != nil || got != good {
		t.Errorf("read back as %+v, %v", got, err)
	}
	for name, change := range map[string]func(*verify.Leaf){
		"no event":          func(l *verify.Leaf) { l.Event = "" },
		"event too long":    func(l *verify.Leaf) { l.Event = strings.Repeat("e", verify.MaxEventID+1) },
		"event of capitals": func(l *verify.Leaf) { l.Event = "EVT" },
		"no class":          func(l *verify.Leaf) { l.Class = "" },
		"class too long":    func(l *verify.Leaf) { l.Class = strings.Repeat("a", verify.MaxClass+1) },
		"class of digits":   func(l *verify.Leaf) { l.Class = "a1" },
		"before 1970":       func(l *verify.Leaf) { l.At = time.Unix(-1, 0) },
		"after 9999":        func(l *verify.Leaf) { l.At = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) },
	} {
		l := good
		change(&l)
		if _, err := l.Encode(); err == nil {
			t.Errorf("%s was encoded", name)
		}
	}
	for i := range b {
		if _, err := verify.ParseLeaf(b[:i]); err == nil {
			t.Errorf("the first %d bytes were read as a leaf", i)
		}
	}
	if _, err := verify.ParseLeaf(append(b, 0)); err == nil {
		t.Error("a byte after the leaf was ignored")
	}
}

func TestEntryLimits(t *testing.T) {
	epoch := verify.Entry{Kind: verify.KindEpoch, Epoch: verify.Epoch{Number: 2, At: day, Size: 7, Root: tlog.Hash{1}}}
	for _, e := range []verify.Entry{epoch, verify.EvidenceEntry([]byte("e")), verify.TenantEntry([32]byte{1}, []byte("c"))} {
		b, err := e.Encode()
		must(t, err)
		if got, err := verify.ParseEntry(b); err != nil || got != e {
			t.Errorf("read back as %+v, %v", got, err)
		}
		for i := range b {
			if _, err := verify.ParseEntry(b[:i]); err == nil {
				t.Errorf("%s: the first %d bytes were read as an entry", e.Kind, i)
			}
		}
		if _, err := verify.ParseEntry(append(b, 0)); err == nil {
			t.Errorf("%s: a byte after the entry was ignored", e.Kind)
		}
	}
	first, negative := epoch, epoch
	first.Epoch.Number, negative.Epoch.Size = 1, -1
	for _, e := range []verify.Entry{first, negative, {}, {Kind: 9}} {
		if _, err := e.Encode(); err == nil {
			t.Errorf("%+v was encoded", e)
		}
	}
}

func TestBundle(t *testing.T) {
	entries := [][]byte{{}, []byte("one"), bytes.Repeat([]byte{7}, verify.MaxEntry)}
	b, err := verify.Bundle(entries)
	must(t, err)
	got, err := verify.ParseBundle(b, 3)
	must(t, err)
	for i := range entries {
		if !bytes.Equal(got[i], entries[i]) {
			t.Errorf("entry %d differs", i)
		}
	}
	for _, n := range []int{-1, 0, 2, 4, 257} {
		if _, err := verify.ParseBundle(b, n); err == nil {
			t.Errorf("read as %d entries", n)
		}
	}
	if _, err := verify.Bundle([][]byte{make([]byte, verify.MaxEntry+1)}); err == nil {
		t.Error("an entry of 65,536 bytes was encoded")
	}
	if _, err := verify.Bundle(make([][]byte, 257)); err == nil {
		t.Error("a bundle of 257 entries was encoded")
	}
}

func TestTilePaths(t *testing.T) {
	for path, want := range map[string]verify.TileCoordinates{
		"tile/0/000":                 {Level: 0, N: 0, Width: 256},
		"tile/3/x123/x456/789":       {Level: 3, N: 123456789, Width: 256},
		"tile/0/x001/067.p/12":       {Level: 0, N: 1067, Width: 12},
		"tile/entries/x001/067":      {Level: -1, N: 1067, Width: 256},
		"tile/entries/x001/067.p/12": {Level: -1, N: 1067, Width: 12},
	} {
		got, err := verify.ParseTilePath(path)
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v", path, got, err)
		}
		back := verify.TilePath(got.Level, got.N, got.Width)
		if got.Level < 0 {
			back = verify.EntriesPath(got.N, got.Width)
		}
		if back != path {
			t.Errorf("%s was written as %s", path, back)
		}
	}
	for _, path := range []string{"", "tile", "tile/0", "tile/0/", "tile/8/0/000", "tile/data/000", "tile/-1/000", "tile/00/000", "tile/7/000", "tile/0/0", "tile/0/000.p/0",
		"tile/0/000.p/256", "tile/0/000.p/01", "tile/0/x000/000", "tile/0/../../etc/passwd", "tile/0/1000", "/tile/0/000", "tile/0/000/", "tile/entries/x999/x999/x999/x999/x999/x999/999",
		"tile/0/x9223372036854775807", "tile/entries/" + strings.Repeat("x001/", 30) + "001"} {
		if c, err := verify.ParseTilePath(path); err == nil {
			t.Errorf("%q was read as %+v", path, c)
		}
	}
}

func TestCheckpointText(t *testing.T) {
	c := verify.Checkpoint{Origin: "log.example/ten_1", Size: 12, Root: tlog.RecordHash([]byte("x"))}
	b, err := c.Encode()
	must(t, err)
	if got, err := verify.ParseCheckpoint(b); err != nil || got != c {
		t.Errorf("%+v, %v", got, err)
	}
	root := c.Root.String()
	for _, text := range []string{"", "o\n1\n", "o\n1\n" + root, "o\n01\n" + root + "\n", "o\n-1\n" + root + "\n", "o\n+1\n" + root + "\n", "\n1\n" + root + "\n", "a b\n1\n" + root + "\n",
		"a+b\n1\n" + root + "\n", "o\n1\n" + root[:40] + "\n", "o\n1\n" + root + "\nextension\n", "o\n99999999999999999999\n" + root + "\n", "o\r\n1\n" + root + "\n", "o\n72057594037927937\n" + root + "\n"} {
		if c, err := verify.ParseCheckpoint([]byte(text)); err == nil {
			t.Errorf("%q was read as %+v", text, c)
		}
	}
}

// TestOrigin: the name of the key is the origin, so that one key cannot speak
// for two logs.
func TestOrigin(t *testing.T) {
	f := newFixture(t)
	f.fill(1)
	signed := f.checkpoint(1)
	if _, err := verify.OpenCheckpoint(signed, f.key); err != nil {
		t.Error(err)
	}
	moved := f.key
	moved.Name = "other.example"
	if _, err := verify.OpenCheckpoint(signed, moved); err == nil {
		t.Error("a checkpoint of another origin was opened")
	}
	for _, vkey := range []string{"", "a", "log.example+00000000+AAAA", strings.Replace(f.key.VKey, "log.", "lug.", 1), f.key.VKey + "AAAA"} {
		if _, err := verify.ParseKey(vkey); err == nil {
			t.Errorf("%q was read as a key", vkey)
		}
	}
}

// TestDigests pins the two digests that stand in evidence to values computed
// apart, so that they never change by accident.
func TestDigests(t *testing.T) {
	claim := verify.ClaimRef{ID: "A1", Sentence: "s", NotProven: "n", Criteria: []string{"CC6.1", "A.8.5"}}
	check := verify.CheckRef{Name: "c", Version: 3, Method: "m", Build: "b"}
	for got, want := range map[verify.Digest]string{
		claim.Digest(): "claim", check.Digest(): "check",
	} {
		fields := map[string][]string{"claim": {"troth claim v1", "A1", "s", "n", "CC6.1", "A.8.5"}, "check": {"troth check v1", "c", "3", "m", "b"}}[want]
		var in []byte
		for _, f := range fields {
			in = append(in, 0, 0, 0, 0, 0, 0, 0, byte(len(f)))
			in = append(in, f...)
		}
		if got != verify.DigestOf(in) {
			t.Errorf("the digest of a %s is another", want)
		}
	}
	moved := verify.ClaimRef{ID: "A1", Sentence: "sn", Criteria: claim.Criteria}
	if moved.Digest() == claim.Digest() {
		t.Error("text may move from one field to the next")
	}
}

func FuzzParseLeaf(f *testing.F) {
	b, _ := verify.Leaf{Event: "evt_1", Class: "access", At: day}.Encode()
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := verify.ParseLeaf(b)
		if err != nil {
			return
		}
		if back, err := l.Encode(); err != nil || !bytes.Equal(back, b) {
			t.Fatalf("%x was written as %x, %v", b, back, err)
		}
	})
}

func FuzzParseEntry(f *testing.F) {
	for _, e := range []verify.Entry{verify.EvidenceEntry(nil), {Kind: verify.KindEpoch, Epoch: verify.Epoch{Number: 2, At: day}}} {
		b, _ := e.Encode()
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := verify.ParseEntry(b)
		if err != nil {
			return
		}
		if back, err := e.Encode(); err != nil || !bytes.Equal(back, b) {
			t.Fatalf("%x was written as %x, %v", b, back, err)
		}
	})
}

func FuzzParseBundle(f *testing.F) {
	b, _ := verify.Bundle([][]byte{{1}, {}, {2, 3}})
	f.Add(b, 3)
	f.Fuzz(func(t *testing.T, b []byte, n int) {
		entries, err := verify.ParseBundle(b, n)
		if err != nil {
			return
		}
		if back, err := verify.Bundle(entries); err != nil || !bytes.Equal(back, b) || len(entries) != n {
			t.Fatalf("%x was written as %x, %v", b, back, err)
		}
	})
}

func FuzzParseTilePath(f *testing.F) {
	f.Add("tile/0/x001/067.p/12")
	f.Add("tile/entries/000")
	f.Fuzz(func(t *testing.T, path string) {
		c, err := verify.ParseTilePath(path)
		if err != nil {
			return
		}
		back := verify.EntriesPath(c.N, c.Width)
		if c.Level >= 0 {
			back = verify.TilePath(c.Level, c.N, c.Width)
		}
		if back != path {
			t.Fatalf("%q was written as %q", path, back)
		}
	})
}

func FuzzParseCheckpoint(f *testing.F) {
	b, _ := verify.Checkpoint{Origin: "o", Size: 1}.Encode()
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := verify.ParseCheckpoint(b)
		if err != nil {
			return
		}
		if back, err := c.Encode(); err != nil || !bytes.Equal(back, b) {
			t.Fatalf("%q was written as %q, %v", b, back, err)
		}
	})
}

func FuzzOpenEvidence(f *testing.F) {
	x := newFixture(f)
	f.Add(x.sign(evidence("A1", "A1-1", day)))
	f.Fuzz(func(t *testing.T, b []byte) {
		if s, err := verify.OpenEvidence(b, x.key); err == nil && !s.Predicate.Passed {
			t.Fatalf("%q was read as %+v", b, s)
		}
	})
}

func FuzzParseDocument(f *testing.F) {
	x := newFixture(f)
	x.claim("A1", day)
	b, _ := json.Marshal(x.doc)
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := verify.ParseDocument(b)
		if err != nil {
			return
		}
		back, err := json.Marshal(d)
		if err != nil {
			return // a year past 9999
		}
		if _, err := verify.ParseDocument(back); err != nil {
			t.Fatalf("%q was written as %q: %v", b, back, err)
		}
	})
}
