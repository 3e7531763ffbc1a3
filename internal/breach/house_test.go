package breach

import (
	"bufio"
	"context"
	"crypto/sha1"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"troth/internal/access"
	"troth/internal/audit"
	"troth/internal/fault"
	"troth/internal/keys"
	"troth/internal/password"
	"troth/internal/secret"
	"troth/internal/store"
	"troth/internal/store/storetest"
)

var ctx = context.Background()

func host() access.Subject { return access.System("operator on the host") }

// clock is a time that tests move.
type clock struct{ at atomic.Int64 }

func (c *clock) now() time.Time      { return time.Unix(0, c.at.Load()).UTC() }
func (c *clock) add(d time.Duration) { c.at.Add(int64(d)) }

// house is the lists with everything that stands below them.
type house struct {
	*Lists
	t     testing.TB
	clock *clock
	log   *strings.Builder
	open  func() *Lists // as another process would
}

func build(t testing.TB, db *store.DB, change ...func(*Options)) *house {
	t.Helper()
	h := &house{t: t, clock: &clock{}, log: &strings.Builder{}}
	h.clock.at.Store(clockStart.UnixNano())
	dir := t.TempDir()
	root, err := keys.CreateRoot(filepath.Join(dir, "root"))
	must(t, err)
	ring, err := store.OpenRing(ctx, "sqlite:"+filepath.Join(dir, "keyring.db"), h.clock.now)
	must(t, err)
	t.Cleanup(func() { ring.Close() })
	k := keys.New(root, ring, h.clock.now)
	log, err := audit.New(db, k, audit.Options{Origin: "log.example", Types: Events, Now: h.clock.now})
	must(t, err)
	o := Options{Dir: filepath.Join(dir, "breach"), Config: Defaults(), DB: db, Keys: k, Log: log, Now: h.clock.now}
	for _, c := range change {
		c(&o)
	}
	h.open = func() *Lists {
		l := New(o)
		t.Cleanup(func() { _ = l.Close() })
		return l
	}
	h.Lists = h.open()
	return h
}

func each(t *testing.T, test func(t *testing.T, h *house)) {
	t.Helper()
	storetest.Each(t, func(t *testing.T, db *store.DB) { test(t, build(t, db)) }, audit.Migrations, Migrations)
}

func sqlite(t testing.TB, change ...func(*Options)) *house {
	t.Helper()
	return build(t, storetest.SQLite(t, audit.Migrations, Migrations), change...)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func want(t testing.TB, err error, kind fault.Kind, code, says string) {
	t.Helper()
	f := fault.As(err)
	if f == nil || f.Kind != kind || f.Code != code || !strings.Contains(f.Error(), says) {
		t.Fatalf("the error is %v, want the %s fault %s with %q", err, kind, code, says)
	}
}

// known asks for a password.
func (h *house) known(text string) password.Finding {
	h.t.Helper()
	f, err := h.Known(ctx, secret.Of(text))
	must(h.t, err)
	return f
}

// word is the n-th password of the lists of tests.
func word(n int) string { return fmt.Sprintf("password number %d of the test", n) }

// lines are the hashes of passwords as the download has them.
func lines(kind Kind, words ...string) []string {
	var all []string
	for i, w := range words {
		sum := sha1.Sum([]byte(w))
		digest := sum[:]
		if kind == NTLM {
			digest = password.NTLM(secret.Of(w))
		}
		all = append(all, fmt.Sprintf("%X:%d", digest, i+1))
	}
	slices.Sort(all)
	return all
}

func words(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = word(i)
	}
	return all
}

// file writes lines to a file of the test.
func (h *house) file(name string, lines ...string) string {
	h.t.Helper()
	path := filepath.Join(h.t.TempDir(), name)
	must(h.t, os.WriteFile(path, []byte(strings.Join(lines, "\r\n")+"\r\n"), 0o600))
	return path
}

// takes imports files.
func (h *house) takes(files ...string) Imported {
	h.t.Helper()
	got, err := h.Import(ctx, host(), Import{Files: files})
	must(h.t, err)
	return got
}

// synthetic writes n hashes in order, evenly spread, as the download is: one
// at a chance place of each of n equal spans, always the same.
func synthetic(w io.Writer, n int64) error {
	out := bufio.NewWriterSize(w, 1<<20)
	step := ^uint64(0) / uint64(n+1)
	buf := make([]byte, 0, 64)
	for i := range n {
		at := uint64(i)*step + mix(uint64(i))%step
		buf = append(appendHex(appendHex(buf[:0], at, 16), mix(at), 16), "0A1B2C3D:7\r\n"...)
		if _, err := out.Write(buf); err != nil {
			return err
		}
	}
	return out.Flush()
}

func mix(x uint64) uint64 {
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	x *= 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}

func appendHex(b []byte, v uint64, digits int) []byte {
	for i := digits - 1; i >= 0; i-- {
		b = append(b, "0123456789ABCDEF"[v>>(4*i)&15])
	}
	return b
}

var clockStart = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func newBuffered(r io.Reader) *bufio.Reader { return bufio.NewReaderSize(r, readBuffer) }
