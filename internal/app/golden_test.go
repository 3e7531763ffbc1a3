package app

import (
	"os"
	"strings"
	"testing"
)

// golden compares a document that is rendered with the one that is kept;
// UPDATE=1 writes it anew.
func golden(t *testing.T, path, now string) {
	t.Helper()
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(path, []byte(now), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(kept) == now {
		return
	}
	old, fresh := strings.Split(string(kept), "\n"), strings.Split(now, "\n")
	for i := range max(len(old), len(fresh)) {
		if i >= len(old) || i >= len(fresh) || old[i] != fresh[i] {
			t.Fatalf("%s is out of date from line %d on; UPDATE=1 writes it anew", path, i+1)
		}
	}
}
