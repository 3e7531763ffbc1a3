package keys

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"troth/internal/fault"
)

// onlyKey returns the path of the one root key in a directory.
func onlyKey(t testing.TB, dir string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "*"+rootSuffix))
	if err != nil || len(found) != 1 {
		t.Fatalf("root keys in %s: %v, %v", dir, found, err)
	}
	return found[0]
}

func TestRootFileIsPrivateAndWhole(t *testing.T) {
	dir := t.TempDir() + "/a/root"
	if _, err := CreateRoot(dir); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(onlyKey(t, dir))
	if err != nil || info.Mode().Perm() != 0o600 || info.Size() != int64(rootLine) {
		t.Errorf("mode %v, size %d, %v", info.Mode(), info.Size(), err)
	}
	if files, _ := os.ReadDir(dir); len(files) != 1 {
		t.Errorf("a temporary file was left: %v", files)
	}
	_, err = CreateRoot(dir)
	wantKind(t, err, fault.Conflict, "creating a root over a root")
	if _, err := OpenRoot(dir); err != nil {
		t.Error(err)
	}
}

// What an operator can get wrong, and the sentence that says what to do.
func TestRootRefusals(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(t *testing.T, dir, file string) error
		kind   fault.Kind
		says   string
	}{
		{"readable by all", func(t *testing.T, dir, file string) error { return os.Chmod(file, 0o644) }, fault.Denied, "chmod 600"},
		{"readable by the group", func(t *testing.T, dir, file string) error { return os.Chmod(file, 0o640) }, fault.Denied, "chmod 600"},
		{"directory writable by all", func(t *testing.T, dir, file string) error { return os.Chmod(dir, 0o777) }, fault.Denied, "chmod 700"},
		{"too short", func(t *testing.T, dir, file string) error { return os.Truncate(file, 20) }, fault.Invalid, "20 bytes"},
		{"empty", func(t *testing.T, dir, file string) error { return os.Truncate(file, 0) }, fault.Invalid, "0 bytes"},
		{"too long", func(t *testing.T, dir, file string) error { return appendTo(file, "x") }, fault.Invalid, "should have"},
		{"renamed", func(t *testing.T, dir, file string) error {
			return os.Rename(file, filepath.Join(dir, "000007-abcdefgh.key"))
		}, fault.Invalid, "check sum"},
		{"gone", func(t *testing.T, dir, file string) error { return os.Remove(file) }, fault.NotFound, "troth init"},
		{"directory gone", func(t *testing.T, dir, file string) error { return os.RemoveAll(dir) }, fault.NotFound, "troth init"},
		{"a directory of that name", func(t *testing.T, dir, file string) error {
			return errors.Join(os.Remove(file), os.Mkdir(file, 0o700))
		}, fault.Denied, "root key"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir() + "/root"
			if _, err := CreateRoot(dir); err != nil {
				t.Fatal(err)
			}
			if err := c.change(t, dir, onlyKey(t, dir)); err != nil {
				t.Fatal(err)
			}
			_, err := OpenRoot(dir)
			wantKind(t, err, c.kind, "opening")
			if !strings.Contains(err.Error(), c.says) {
				t.Errorf("the sentence %q does not say %q", err, c.says)
			}
		})
	}
}

func appendTo(file, s string) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(s)
	return errors.Join(err, f.Close())
}

// A key that becomes readable by others while the program runs is not used
// any more: that is a refusal, not an outage.
func TestRootNoticesALooseMode(t *testing.T) {
	w := newWorld(t)
	w.mustCreate(t, tenantA)
	sealed := w.mustSeal(t, "x", tenantA)
	if err := os.Chmod(onlyKey(t, w.dir), 0o604); err != nil {
		t.Fatal(err)
	}
	wantKind(t, w.Health(t.Context()), fault.Unavailable, "health")
	_, err := w.Open(t.Context(), here, sealed, tenantA)
	wantKind(t, err, fault.Unavailable, "opening")
	if !errors.Is(err, ErrDenied) {
		t.Errorf("not told as a refusal: %v", err)
	}
}

func TestDestroyRemovesTheFile(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	file := onlyKey(t, w.dir)
	held, err := os.Open(file) // sees the same blocks after the removal
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	before, _ := os.ReadFile(file)
	old := w.epochs(t)[0]
	wrapped, err := w.line.root.Wrap(ctx, old, []byte("key"), nil)
	if err != nil {
		t.Fatal(err)
	}
	w.mustRoll(t)
	w.mustRetire(t, old)
	if _, err := os.Stat(file); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file is still there: %v", err)
	}
	after := make([]byte, len(before))
	if _, err := held.ReadAt(after, 0); err != nil || bytes.Equal(before, after) {
		t.Errorf("the file was not overwritten: %v", err)
	}
	if _, err := w.line.root.Unwrap(ctx, old, wrapped, nil); !errors.Is(err, ErrNoEpoch) {
		t.Errorf("unwrapping under a destroyed epoch: %v", err)
	}
	if _, err := w.line.root.Destroy(ctx, old); err != nil {
		t.Errorf("destroying again: %v", err)
	}
	for _, bad := range []string{"", "../x", "000001-../../a", "1-abcdefgh"} {
		if _, err := w.line.root.Destroy(ctx, bad); !errors.Is(err, ErrNoEpoch) {
			t.Errorf("destroying %q: %v", bad, err)
		}
	}
}

func TestRootHonoursItsContext(t *testing.T) {
	w := newWorld(t)
	ended, stop := context.WithCancel(t.Context())
	stop()
	_, e1 := w.line.root.Epochs(ended)
	_, e2 := w.line.root.Wrap(ended, "x", nil, nil)
	_, e3 := w.line.root.Unwrap(ended, "x", nil, nil)
	_, e4 := w.line.root.Destroy(ended, "x")
	for i, err := range []error{e1, e2, e3, e4} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("call %d: %v", i, err)
		}
	}
}

// Interrupted writing leaves a temporary file, which is no epoch.
func TestRootIgnoresOtherFiles(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{".new-123", "README", "000001-abc.key", "x.key", "0000001-abcdefgh.key", "+00001-abcdefgh.key", "000001-abc\xffdefg.key"} {
		if err := os.WriteFile(filepath.Join(w.dir, name), []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(w.epochs(t)); n != 1 {
		t.Errorf("%d epochs", n)
	}
}

func FuzzRootFile(f *testing.F) {
	key := bytes.Repeat([]byte{5}, keySize)
	good := formatRoot("000001-abcdefgh", key)
	f.Add("000001-abcdefgh", good)
	f.Add("000002-abcdefgh", good)
	f.Add("", []byte(rootMagic))
	f.Fuzz(func(t *testing.T, epoch string, line []byte) {
		got, err := parseRoot(epoch, line)
		if err == nil && !bytes.Equal(formatRoot(epoch, got), line) {
			t.Errorf("%q was read as a root key and is written otherwise", line)
		}
		if err == nil && len(got) != keySize {
			t.Errorf("a root key of %d bytes", len(got))
		}
	})
}
