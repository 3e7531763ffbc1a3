package breach

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"troth/internal/fault"
)

// sound is a manifest of two shards without a fault.
func soundManifest() (m manifest, size int64) {
	s := shard{First: 0, Entries: 100, Offset: headerSize, Seed: 7, SegmentLength: 64, SegmentCount: 2, SHA256: strings.Repeat("0", 64)}
	next := s
	next.First, next.Offset = 1<<60, headerSize+2*s.cells()
	return manifest{Version: version, Kind: SHA1, Entries: 200, Shards: []shard{s, next}}, next.Offset + 2*next.cells()
}

// A manifest that would make the program read outside of the file, or answer
// nonsense, is refused, whoever wrote it.
func TestManifestsThatCannotBe(t *testing.T) {
	m, size := soundManifest()
	if err := m.valid(size); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(m *manifest){
		"another version":          func(m *manifest) { m.Version = 2 },
		"another kind":             func(m *manifest) { m.Kind = "md5" },
		"no shards":                func(m *manifest) { m.Shards, m.Entries = nil, 0 },
		"other entries":            func(m *manifest) { m.Entries++ },
		"a segment of 63":          func(m *manifest) { m.Shards[0].SegmentLength = 63 },
		"a segment of none":        func(m *manifest) { m.Shards[0].SegmentLength = 0 },
		"an endless segment":       func(m *manifest) { m.Shards[0].SegmentLength = 1 << 31 },
		"no segments":              func(m *manifest) { m.Shards[0].SegmentCount = 0 },
		"endless segments":         func(m *manifest) { m.Shards[1].SegmentCount = 1<<32 - 1 },
		"an odd place":             func(m *manifest) { m.Shards[1].Offset++ },
		"a place in the header":    func(m *manifest) { m.Shards[0].Offset = 0 },
		"a place before the file":  func(m *manifest) { m.Shards[0].Offset = -alignment },
		"a place behind the file":  func(m *manifest) { m.Shards[1].Offset += 1 << 40 },
		"an end behind the file":   func(m *manifest) { m.Shards[1].Offset += alignment },
		"shards in one place":      func(m *manifest) { m.Shards[1].Offset = headerSize },
		"shards in another order":  func(m *manifest) { m.Shards[0].First, m.Shards[1].First = 9, 8 },
		"shards with one begin":    func(m *manifest) { m.Shards[1].First = 0 },
		"a shard without entries":  func(m *manifest) { m.Shards[0].Entries, m.Entries = 0, 100 },
		"more entries than cells":  func(m *manifest) { m.Shards[0].Entries, m.Entries = 257, 357 },
		"a checksum that is short": func(m *manifest) { m.Shards[0].SHA256 = "00" },
	} {
		m, size := soundManifest()
		spoil(&m)
		if m.valid(size) == nil {
			t.Errorf("%s: it is believed", name)
		}
	}
}

func TestNumbersOfManifests(t *testing.T) {
	for _, n := range []hex64{0, 1, 1 << 63, 1<<64 - 1} {
		b, err := json.Marshal(n)
		var back hex64
		if err = errors.Join(err, json.Unmarshal(b, &back)); err != nil || back != n {
			t.Errorf("%x came back as %x, %v", uint64(n), uint64(back), err)
		}
	}
	for _, bad := range []string{`"12"`, `"000000000000000g"`, `"00000000000000000"`} {
		var n hex64
		if json.Unmarshal([]byte(bad), &n) == nil {
			t.Errorf("%s is read as %x", bad, uint64(n))
		}
	}
}

// A full disk ends the import with an error; nothing hangs, and no list is made.
func TestAFullDisk(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_RDWR, 0)
	must(t, err)
	defer full.Close()
	b, err := newBuilder(full, manifest{Version: version, Kind: SHA1}, headerSize, nil)
	must(t, err)
	b.full = 1 << 16
	var failed error
	for i := range uint64(1 << 21) {
		if failed = b.add(key{i << 40, mix(i)}); failed != nil {
			break
		}
	}
	if failed == nil {
		_, failed = b.finish(clockStart)
	} else if err := b.end(); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("it ends with %v", err)
	}
	if !errors.Is(failed, syscall.ENOSPC) {
		t.Errorf("the error is %v", failed)
	}
}

// Hashes with the same first half are in one shard, since it is found by that.
func TestHashesThatBeginAlikeStayTogether(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sha1.list")
	b, _, err := resume(path, origin{version, SHA1, ""})
	must(t, err)
	b.full = 10
	for i := range uint64(100) {
		must(t, b.add(key{i / 25, i}))
	}
	m, err := b.finish(clockStart)
	must(t, errors.Join(err, b.close()))
	if len(m.Shards) != 4 {
		t.Errorf("%d shards", len(m.Shards))
	}
	l, err := openList(path)
	must(t, err)
	defer l.close()
	for i := range uint64(100) {
		if ok, err := l.has(key{i / 25, i}); !ok || err != nil {
			t.Errorf("%d is not found: %v", i, err)
		}
	}
}

// A journal is believed for the same files only, and as far as it can be read.
func TestJournals(t *testing.T) {
	path := filepath.Join(t.TempDir(), "part.journal")
	from := origin{version, SHA1, "digest"}
	m, _ := soundManifest()
	kept := []entry{{m.Shards[0], 5}, {m.Shards[1], 1 << 61}}
	j, err := newJournal(path, from, kept)
	must(t, errors.Join(err, j.f.Close()))
	if got := readJournal(path, from); len(got) != 2 || got[1].Last != 1<<61 || got[0].Shard != m.Shards[0] {
		t.Errorf("read %+v", got)
	}
	for _, other := range []origin{{version + 1, SHA1, "digest"}, {version, NTLM, "digest"}, {version, SHA1, "another"}} {
		if got := readJournal(path, other); got != nil {
			t.Errorf("%+v: read %+v", other, got)
		}
	}
	whole, err := os.ReadFile(path)
	must(t, err)
	must(t, os.WriteFile(path, whole[:len(whole)-20], 0o600))
	if got := readJournal(path, from); len(got) != 1 {
		t.Errorf("cut, it has %d entries", len(got))
	}
	if got := readJournal(path+".none", from); got != nil {
		t.Errorf("none has %+v", got)
	}
}

// An import that waited for another one does not write over the list that the
// other one has just made.
func TestAFileThatBecameTheListIsLeftAlone(t *testing.T) {
	h := sqlite(t)
	must(t, os.MkdirAll(h.dir, 0o700))
	part := h.path(SHA1) + ".part"
	f, err := os.Create(part)
	must(t, err)
	defer f.Close()
	if !stillAt(f, part) {
		t.Fatal("it is not where it was made")
	}
	must(t, os.Rename(part, h.path(SHA1)))
	if stillAt(f, part) {
		t.Error("it is said to be where it was")
	}
	must(t, os.WriteFile(part, nil, 0o600))
	if stillAt(f, part) {
		t.Error("it is taken for another one")
	}
}

func TestADirectoryThatCannotBeMade(t *testing.T) {
	h := sqlite(t)
	must(t, os.WriteFile(h.dir, nil, 0o600))
	_, err := h.Import(ctx, host(), Import{Files: []string{h.file("f", lines(SHA1, "x")...)}})
	want(t, err, fault.Invalid, "breach.dir", "cannot be made")
}
