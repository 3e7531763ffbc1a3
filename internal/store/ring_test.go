package store_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"troth/internal/fault"
	"troth/internal/keys"
	"troth/internal/store"
	"troth/internal/store/pgtest"
)

// eachRing runs a test on a keyring of each engine.
func eachRing(t *testing.T, test func(t *testing.T, r *store.Ring, url string)) {
	urls := map[string]func(t *testing.T) string{
		store.SQLite:   func(t *testing.T) string { return "sqlite:" + filepath.Join(t.TempDir(), "ring", "keyring.db") },
		store.Postgres: func(t *testing.T) string { return pgtest.URL(t) },
	}
	for engine, url := range urls {
		t.Run(engine, func(t *testing.T) {
			u := url(t)
			test(t, ring(t, u), u)
		})
	}
}

func ring(t *testing.T, url string) *store.Ring {
	t.Helper()
	r, err := store.OpenRing(t.Context(), url, time.Now)
	must(t, err)
	t.Cleanup(func() { r.Close() })
	return r
}

func entry(ref string, version int, epoch, wrapped string) keys.Entry {
	return keys.Entry{Ref: keys.Ref(ref), Version: version, Epoch: epoch, Wrapped: []byte(wrapped), CreatedAt: time.Date(2026, 11, 21, 1, 2, 3, 4000, time.UTC)}
}

func same2(a, b keys.Entry) bool {
	return a.Ref == b.Ref && a.Version == b.Version && a.Epoch == b.Epoch && bytes.Equal(a.Wrapped, b.Wrapped) && a.CreatedAt.Equal(b.CreatedAt)
}

func TestRingKeepsEntries(t *testing.T) {
	eachRing(t, func(t *testing.T, r *store.Ring, url string) {
		must(t, r.Ping(t.Context()))
		for _, e := range []keys.Entry{entry("b", 1, "e1", "b1"), entry("a", 1, "e1", "a1"), entry("a", 2, "e1", "a2"), entry("c", 1, "e1", "c1")} {
			must(t, r.Insert(t.Context(), e))
		}
		wantKind(t, r.Insert(t.Context(), entry("a", 2, "e1", "other")), fault.Conflict, "store.key_exists")
		got, err := r.Entries(t.Context(), "a")
		must(t, err)
		if len(got) != 2 || !same2(got[0], entry("a", 2, "e1", "a2")) || !same2(got[1], entry("a", 1, "e1", "a1")) {
			t.Fatalf("entries %+v", got)
		}
		if none, err := r.Entries(t.Context(), "nobody"); err != nil || len(none) != 0 {
			t.Fatalf("entries of nobody: %v, %v", none, err)
		}
		if n, err := r.Count(t.Context()); err != nil || n != 4 {
			t.Fatalf("count %d: %v", n, err)
		}
		// A second process sees the same.
		if got, err := ring(t, url).Entries(t.Context(), "b"); err != nil || len(got) != 1 {
			t.Fatalf("from a second handle: %v, %v", got, err)
		}
	})
}

func TestRingWalksEverythingOnce(t *testing.T) {
	eachRing(t, func(t *testing.T, r *store.Ring, _ string) {
		for i := range 25 {
			for v := range 1 + i%3 {
				must(t, r.Insert(t.Context(), entry(fmt.Sprintf("ref/%02d", i), v+1, "e1", "x")))
			}
		}
		seen := map[string]bool{}
		var after keys.Ref
		for {
			page, err := r.Walk(t.Context(), after, 4)
			must(t, err)
			if len(page) == 0 {
				break
			}
			for _, e := range page {
				k := fmt.Sprint(e.Ref, e.Version)
				if seen[k] || e.Ref <= after {
					t.Fatalf("%s came twice or out of order", k)
				}
				seen[k] = true
			}
			after = page[len(page)-1].Ref
		}
		if n, err := r.Count(t.Context()); err != nil || len(seen) != n {
			t.Fatalf("walked over %d of %d: %v", len(seen), n, err)
		}
	})
}

func TestRingRewrapsButNeverRevives(t *testing.T) {
	eachRing(t, func(t *testing.T, r *store.Ring, _ string) {
		must(t, r.Insert(t.Context(), entry("a", 1, "e1", "a1")))
		must(t, r.Insert(t.Context(), entry("b", 1, "e1", "b1")))
		dead := entry("a", 1, "e1", "")
		must(t, r.Rewrap(t.Context(), []keys.Entry{dead}))
		must(t, r.Rewrap(t.Context(), []keys.Entry{entry("a", 1, "e2", "revived"), entry("b", 1, "e2", "b2"), entry("nobody", 1, "e2", "n")}))
		a, err := r.Entries(t.Context(), "a")
		must(t, err)
		b, err := r.Entries(t.Context(), "b")
		must(t, err)
		if len(a) != 1 || !a[0].Destroyed() || a[0].Epoch != "e1" || len(b) != 1 || string(b[0].Wrapped) != "b2" || b[0].Epoch != "e2" {
			t.Fatalf("a %+v, b %+v", a, b)
		}
		if n, err := r.Count(t.Context()); err != nil || n != 2 {
			t.Fatalf("count %d: %v", n, err)
		}
		wantKind(t, r.Insert(t.Context(), entry("a", 1, "e2", "again")), fault.Conflict, "store.key_exists")
	})
}

func TestADestroyedKeyIsGoneFromTheFiles(t *testing.T) {
	dir := t.TempDir()
	r := ring(t, "sqlite:"+filepath.Join(dir, "keyring.db"))
	canary := "wrapped-value-canary-91c2"
	for i := range 200 {
		must(t, r.Insert(t.Context(), entry(fmt.Sprint(i), 1, "e1", canary)))
	}
	var gone []keys.Entry
	for i := range 200 {
		gone = append(gone, entry(fmt.Sprint(i), 1, "e1", ""))
	}
	must(t, r.Rewrap(t.Context(), gone))
	scan(t, dir, canary)
	fi, err := os.Stat(filepath.Join(dir, "keyring.db"))
	must(t, err)
	if fi.Mode().Perm() != 0o600 {
		t.Errorf("the keyring has the mode %v", fi.Mode())
	}
}

func TestRingBackup(t *testing.T) {
	eachRing(t, func(t *testing.T, r *store.Ring, _ string) {
		for i := range 100 {
			must(t, r.Insert(t.Context(), entry(fmt.Sprintf("%03d", i), 1, "e1", "w")))
		}
		must(t, r.Rewrap(t.Context(), []keys.Entry{entry("007", 1, "e1", "")}))
		path := filepath.Join(t.TempDir(), "copy.db")
		must(t, r.BackupTo(t.Context(), path, nil))
		copied := ring(t, "sqlite:"+path)
		if n, err := copied.Count(t.Context()); err != nil || n != 100 {
			t.Fatalf("the copy has %d entries: %v", n, err)
		}
		dead, err := copied.Entries(t.Context(), "007")
		must(t, err)
		if len(dead) != 1 || !dead[0].Destroyed() {
			t.Fatalf("the tombstone is %+v", dead)
		}
	})
}

func BenchmarkRingRewrap(b *testing.B) {
	r, err := store.OpenRing(b.Context(), "sqlite:"+filepath.Join(b.TempDir(), "keyring.db"), time.Now)
	must(b, err)
	defer r.Close()
	const page = 1000
	entries := make([]keys.Entry, page)
	for i := range entries {
		entries[i] = entry(fmt.Sprintf("subject/%05d", i), 1, "e1", "0123456789012345678901234567890123456789012345678901234567890123")
		must(b, r.Insert(b.Context(), entries[i]))
	}
	for b.Loop() {
		must(b, r.Rewrap(b.Context(), entries))
	}
	b.ReportMetric(float64(b.N)*page/b.Elapsed().Seconds(), "entries/s")
}
