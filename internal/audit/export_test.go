package audit

import (
	"os"
	"path/filepath"
	"testing"

	"troth/internal/fault"
	"troth/internal/store/storetest"
)

// TestAnExportReplacesNothingElse: a data directory has a file "checkpoint" too.
func TestAnExportReplacesNothingElse(t *testing.T) {
	h, _, _ := filled(t, storetest.SQLite(t, Migrations))
	own := h.log.VKey() + "\n"
	for name, files := range map[string]map[string]string{
		"something else":                      {"checkpoint": "another's"},
		"a directory called like a part":      {"checkpoint": "another's", "tile/notes": ""},
		"another log's export":                {"checkpoint": "another's", "vkey": "log.example+1d2c3b4a+AXyz\n"},
		"an installation":                     {"checkpoint": "another's", "troth.toml": ""},
		"an installation with an export":      {"checkpoint": "another's", "troth.toml": "", "vkey": own},
		"a database with an export":           {"checkpoint": "another's", "troth.db": "", "vkey": own},
		"the keyring of one, with an export":  {"checkpoint": "another's", "keyring.db": "", "vkey": own},
		"what only begins like a leaving":     {"checkpoint": "another's", ".vkey": ""},
		"a key that is cut, of no log at all": {"checkpoint": "another's", "vkey": own[:len(own)/2]},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			put(t, dir, files)
			err := h.log.Export(t.Context(), dir, nil)
			if f := fault.As(err); f == nil || f.Code != "audit.export_dir" || f.Kind != fault.Conflict {
				t.Errorf("the export says %v", err)
			}
			for path, want := range files {
				if b := read(t, dir, path); string(b) != want {
					t.Errorf("%s was replaced: %q", path, b)
				}
			}
			if got, err := os.ReadDir(dir); err != nil || len(got) != len(files) {
				t.Errorf("the directory holds %v, %v", got, err)
			}
		})
	}
	file := filepath.Join(t.TempDir(), "file")
	put(t, filepath.Dir(file), map[string]string{"file": ""})
	if err := h.log.Export(t.Context(), file, nil); fault.KindOf(err) != fault.Invalid {
		t.Errorf("an export to a file says %v", err)
	}
}

// TestAnInterruptedExportIsGoneOnWith, whatever it had written.
func TestAnInterruptedExportIsGoneOnWith(t *testing.T) {
	h, _, _ := filled(t, storetest.SQLite(t, Migrations))
	for name, files := range map[string]map[string]string{
		"nothing":            {},
		"a part of the key":  {".vkey-123": "log.ex"},
		"the key and a tile": {"vkey": h.log.VKey() + "\n", "tile/0/000.p/3": "half", "tile/0/.001-77": ""},
	} {
		dir := t.TempDir()
		put(t, dir, files)
		if err := h.log.Export(t.Context(), dir, nil); err != nil {
			t.Errorf("after %s: %v", name, err)
			continue
		}
		checkDir(t, h, dir)
		for _, path := range []string{"vkey", "checkpoint", "tile/0/000.p/3"} { // a web server may read it
			if mode := modeOf(t, filepath.Join(dir, path)); mode != 0o644 {
				t.Errorf("%s has the mode %v", path, mode)
			}
		}
	}
	if mode := modeOf(t, h.file); mode != 0o600 {
		t.Errorf("the kept checkpoint has the mode %v", mode)
	}
}

func put(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for path, s := range files {
		full := filepath.Join(dir, filepath.FromSlash(path))
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func modeOf(t *testing.T, path string) os.FileMode {
	t.Helper()
	s, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return s.Mode().Perm()
}
