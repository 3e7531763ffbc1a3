package breach

import (
	"os"
	"path/filepath"
	"testing"

	"troth/internal/secret"
)

// BenchmarkLookup asks a list of a million entries that is in memory, by the key
// of a hash: what a look-up adds to hashing the password.
func BenchmarkLookup(b *testing.B) {
	h := sqlite(b)
	h.synthesise(1 << 20)
	l, err := openList(h.path(SHA1))
	must(b, err)
	defer l.close()
	must(b, l.verifyAll())
	i := uint64(0)
	for b.Loop() {
		i++
		if _, err := l.has(key{mix(i), mix(i + 1<<40)}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkKnown asks everything that is offline, as a sign-in does: the common
// passwords, the list, and the own list in the database.
func BenchmarkKnown(b *testing.B) {
	h := sqlite(b)
	h.synthesise(1 << 20)
	p := secret.Of("correct horse battery staple")
	for b.Loop() {
		if _, err := h.Known(ctx, p); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkImport reads a list of a million entries: the time an entry, and the
// bytes that it takes.
func BenchmarkImport(b *testing.B) {
	h := sqlite(b)
	const n = 1 << 20
	var got Imported
	path := h.synthetic(n)
	for b.Loop() {
		got = h.takes(path)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/entry")
	b.ReportMetric(float64(got.Bytes)/n, "bytes/entry")
}

// synthesise imports a synthetic list.
func (h *house) synthesise(n int64) { h.takes(h.synthetic(n)) }

// synthetic is the file of one.
func (h *house) synthetic(n int64) string {
	h.t.Helper()
	path := filepath.Join(h.t.TempDir(), "synthetic.txt")
	f, err := os.Create(path)
	must(h.t, err)
	must(h.t, synthetic(f, n))
	must(h.t, f.Close())
	return path
}
