package fsck

import (
	"context"
	"encoding/binary"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/tessera/client"
	"github.com/transparency-dev/tessera/fsck"
	"golang.org/x/mod/sumdb/note"
)

// workers is Tessera's N. A worker stops at its first finding and a log where
// all have stopped is waited for forever, so there are more than findings.
const workers = 8

// check runs Tessera's fsck over an exported log.
func check(t *testing.T, dir string) error {
	t.Helper()
	vkey, err := os.ReadFile(filepath.Join(dir, "vkey"))
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := note.NewVerifier(strings.TrimSpace(string(vkey)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil { // Tessera indexes past a bundle that is too short
				done <- fmt.Errorf("fsck panicked: %v", p)
			}
		}()
		done <- fsck.New(verifier.Name(), verifier, client.FileFetcher{Root: dir}, hashBundle, fsck.Opts{N: workers}).Check(ctx)
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		t.Fatal("fsck did not end")
		return nil
	}
}

// hashBundle splits an entry bundle as C2SP tlog-tiles lays it out.
func hashBundle(b []byte) ([][]byte, error) {
	var hashes [][]byte
	for len(b) > 0 {
		if len(b) < 2 || len(b) < 2+int(binary.BigEndian.Uint16(b)) {
			return nil, fmt.Errorf("the bundle ends within entry %d", len(hashes))
		}
		n := 2 + int(binary.BigEndian.Uint16(b))
		hashes = append(hashes, rfc6962.DefaultHasher.HashLeaf(b[2:n]))
		b = b[n:]
	}
	return hashes, nil
}

// exported is a log that Troth wrote.
func exported(t *testing.T) string {
	t.Helper()
	if dir := os.Getenv("TROTH_LOG_DIR"); dir != "" {
		return dir
	}
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "go", "test", "-count=1", "-run", "^TestExport$", "./internal/trust")
	cmd.Dir = filepath.Join("..", "..")
	cmd.Env = append(os.Environ(), "TROTH_EXPORT_DIR="+dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("exporting a log: %v\n%s", err, out)
	}
	return dir
}

// TestFsck: Tessera finds nothing in a log that was exported, and something in
// every one that was tampered with.
func TestFsck(t *testing.T) {
	dir := exported(t)
	if err := check(t, dir); err != nil {
		t.Fatalf("a log as it was exported: %v", err)
	}
	cases := map[string]func(t *testing.T, dir string){
		"an entry":                   func(t *testing.T, dir string) { flip(t, tiles(t, dir, "tile/entries")[0], 5) },
		"an entry of the last tile":  func(t *testing.T, dir string) { flip(t, last(tiles(t, dir, "tile/entries")), 5) },
		"a tile":                     func(t *testing.T, dir string) { flip(t, tiles(t, dir, "tile/0")[0], 40) },
		"the last tile":              func(t *testing.T, dir string) { flip(t, last(tiles(t, dir, "tile/0")), 0) },
		"the checkpoint's size":      func(t *testing.T, dir string) { replaceSize(t, dir) },
		"the checkpoint's signature": func(t *testing.T, dir string) { flip(t, filepath.Join(dir, "checkpoint"), -10) },
		"an entry removed": func(t *testing.T, dir string) {
			path := tiles(t, dir, "tile/entries")[0]
			b := read(t, path)
			write(t, path, b[2+int(binary.BigEndian.Uint16(b)):])
		},
		"two entries swapped": func(t *testing.T, dir string) {
			path := tiles(t, dir, "tile/entries")[0]
			b := read(t, path)
			first := 2 + int(binary.BigEndian.Uint16(b))
			second := first + 2 + int(binary.BigEndian.Uint16(b[first:]))
			write(t, path, slices.Concat(b[first:second], b[:first], b[second:]))
		},
		"a tile missing": func(t *testing.T, dir string) {
			if err := os.Remove(tiles(t, dir, "tile/0")[0]); err != nil {
				t.Fatal(err)
			}
		},
	}
	if _, err := os.Stat(filepath.Join(dir, "tile", "1")); err == nil {
		cases["a tile above"] = func(t *testing.T, dir string) { flip(t, tiles(t, dir, "tile/1")[0], 1) }
	} else if os.Getenv("TROTH_LOG_DIR") == "" {
		t.Error("the log is so small that it has one level of tiles")
	}
	for name, change := range cases {
		t.Run(name, func(t *testing.T) {
			copied := t.TempDir()
			if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
				t.Fatal(err)
			}
			change(t, copied)
			if err := check(t, copied); err == nil {
				t.Error("nothing was found")
			} else {
				t.Logf("%.80s", err)
			}
		})
	}
}

// tiles lists the files under a folder of an exported log, in order.
func tiles(t *testing.T, dir, under string) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir(filepath.Join(dir, filepath.FromSlash(under)), func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(files)
	return files
}

func last(files []string) string { return files[len(files)-1] }

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func write(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
}

// flip changes one bit; a negative place counts from the end.
func flip(t *testing.T, path string, at int) {
	t.Helper()
	b := read(t, path)
	if at < 0 {
		at += len(b)
	}
	b[at] ^= 1
	write(t, path, b)
}

// replaceSize makes the checkpoint one entry shorter than was signed.
func replaceSize(t *testing.T, dir string) {
	t.Helper()
	path := filepath.Join(dir, "checkpoint")
	lines := strings.SplitN(string(read(t, path)), "\n", 3)
	var size int
	if _, err := fmt.Sscan(lines[1], &size); err != nil {
		t.Fatal(err)
	}
	write(t, path, []byte(fmt.Sprintf("%s\n%d\n%s", lines[0], size-1, lines[2])))
}
