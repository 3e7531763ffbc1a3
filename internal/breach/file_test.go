package breach

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"troth/internal/fault"
	"troth/internal/password"
	"troth/internal/secret"
)

// hashes is a synthetic list of n entries, as a reader.
func hashes(n int64) io.Reader {
	r, w := io.Pipe()
	go func() { _ = w.CloseWithError(synthetic(w, n)) }() // a reader that went away ends it
	return r
}

// made builds the file of a synthetic list with small shards.
func made(t *testing.T, n int64, full int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "sha1.list")
	b, _, err := resume(path+".part", origin{version, SHA1, ""})
	must(t, err)
	b.full = full
	run := &importing{Import: Import{Format: FormatSHA1}, kind: SHA1}
	in, err := openInput("-", hashes(n), &run.done)
	must(t, err)
	must(t, in.begin(FormatSHA1))
	run.files = []*reader{in}
	must(t, run.read(ctx, b.add))
	_, err = b.finish(clockStart)
	must(t, errors.Join(err, b.close(), replace(path+".part", path)))
	return path
}

// each hands every hash of a synthetic list on.
func eachHash(t *testing.T, n int64, do func(key)) {
	t.Helper()
	in := &reader{kind: SHA1, in: newBuffered(hashes(n))}
	for range n {
		k, err := in.next()
		must(t, err)
		do(k)
	}
}

func TestShards(t *testing.T) {
	const n = 50_000
	l, err := openList(made(t, n, 700))
	must(t, err)
	defer l.close()
	if len(l.m.Shards) < 60 || l.m.Entries != n {
		t.Errorf("%d shards with %d entries", len(l.m.Shards), l.m.Entries)
	}
	eachHash(t, n, func(k key) {
		if ok, err := l.has(k); !ok || err != nil {
			t.Fatalf("%x is not found: %v", k, err)
		}
	})
	false_ := 0
	const tries = 1_000_000
	for i := range uint64(tries) {
		if ok, err := l.has(key{mix(i + 1<<40), mix(i + 1<<41)}); err != nil {
			t.Fatal(err)
		} else if ok {
			false_++
		}
	}
	if false_ > 40 { // 15.3 are expected; more than 40 happens by chance in one of 10^7 runs
		t.Errorf("%d of %d others are said to be in the list", false_, tries)
	}
	must(t, l.verifyAll())
}

// Every bit of the file is vouched for: whatever is flipped, the list is refused
// as a whole or no longer asked.
func TestADamagedFileIsNeverBelieved(t *testing.T) {
	const n = 2000
	path := made(t, n, 500)
	whole, err := os.ReadFile(path)
	must(t, err)
	good, err := openList(path)
	must(t, err)
	used := map[int]bool{}
	for i := range 8 {
		used[i] = true
	}
	for _, s := range good.m.Shards {
		for i := range 2 * s.cells() {
			used[int(s.Offset+i)] = true
		}
	}
	last := good.m.Shards[len(good.m.Shards)-1]
	end := int(last.Offset + 2*last.cells())
	must(t, good.close())
	for at := 0; at < len(whole); at += 1 + len(whole)/400 {
		if !used[at] && at < end {
			continue // zeros between the shards
		}
		bad := bytes.Clone(whole)
		bad[at] ^= 0x10
		must(t, os.WriteFile(path, bad, 0o600))
		l, err := openList(path)
		if err != nil {
			if !isDamage(err) {
				t.Fatalf("byte %d: %v", at, err)
			}
			continue
		}
		if err := l.verifyAll(); !isDamage(err) {
			t.Fatalf("byte %d: every shard is believed: %v", at, err)
		}
		if _, err := l.has(key{1 << 63, 5}); !isDamage(err) {
			t.Fatalf("byte %d: the list still answers: %v", at, err)
		}
		must(t, l.close())
	}
	for _, cut := range []int{0, 5, headerSize, len(whole) / 2, len(whole) - 1} {
		must(t, os.WriteFile(path, whole[:cut], 0o600))
		if _, err := openList(path); !isDamage(err) {
			t.Errorf("cut at %d: %v", cut, err)
		}
	}
}

// Choosing a password is refused while the list is damaged, and the reason is
// told to those who can do something about it.
func TestADamagedListRefuses(t *testing.T) {
	h := sqlite(t)
	h.takes(h.file("f", lines(SHA1, words(300)...)...))
	whole, err := os.ReadFile(h.path(SHA1))
	must(t, err)
	bad := bytes.Clone(whole)
	bad[headerSize+100] ^= 1
	must(t, os.WriteFile(h.path(SHA1), bad, 0o600))
	for range 2 {
		_, err = h.Known(ctx, secret.Of("whatever it may be"))
		want(t, err, fault.Unavailable, "breach.damaged", "troth breach status")
	}
	if f, err := h.Known(ctx, secret.Of("password")); f != password.Common || err != nil {
		t.Errorf("a common password: %d, %v", f, err)
	}
	s, err := h.Status(ctx, host(), true)
	if err != nil || len(s.Lists) != 1 || !strings.Contains(s.Lists[0].Problem, "shard 1 of 1 is damaged") {
		t.Errorf("status: %+v, %v", s, err)
	}
	if err := h.Verify(ctx); err == nil {
		t.Error("the job finds nothing")
	}
	// The same at the end of the file, and in a process that starts with it.
	must(t, os.WriteFile(h.path(SHA1), whole[:len(whole)-3], 0o600))
	fresh := h.open()
	_, err = fresh.Known(ctx, secret.Of("whatever it may be"))
	want(t, err, fault.Unavailable, "breach.damaged", "troth breach status")
	// Importing again mends it, without a restart.
	h.takes(h.file("f", lines(SHA1, words(300)...)...))
	h.clock.add(lookEvery)
	for _, l := range []*Lists{h.Lists, fresh} {
		if f, err := l.Known(ctx, secret.Of(word(3))); f != password.Breached || err != nil {
			t.Errorf("after a new import: %d, %v", f, err)
		}
	}
	must(t, h.Verify(ctx))
}

// Nobody is answered before the lists were looked at, and a list that was
// removed is missed.
func TestTheListsAreThereFromTheFirstAnswer(t *testing.T) {
	h := sqlite(t, func(o *Options) { o.Logger = nil })
	h.takes(h.file("f", lines(SHA1, words(3000)...)...))
	for range 20 {
		fresh := h.open()
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				if f, err := fresh.Known(ctx, secret.Of(word(i))); f != password.Breached || err != nil {
					t.Errorf("the answer was %d, %v", f, err)
				}
			})
		}
		all.Wait()
	}
	if h.known(word(1)) != password.Breached {
		t.Fatal("not in use")
	}
	away := h.path(SHA1) + ".away"
	must(t, os.Rename(h.path(SHA1), away))
	h.clock.add(lookEvery)
	if h.known(word(1)) != password.Unheard {
		t.Error("a list that was removed is asked")
	}
	must(t, os.Rename(away, h.path(SHA1)))
	h.clock.add(lookEvery)
	if h.known(word(1)) != password.Breached {
		t.Error("a list that came back is not asked")
	}
}

// A file that is shortened under the program's feet does not end it.
func TestAFileThatIsShortenedWhileOpen(t *testing.T) {
	h := sqlite(t)
	h.takes(h.file("f", lines(SHA1, words(20_000)...)...))
	if h.known(word(1)) != password.Breached {
		t.Fatal("not in use")
	}
	must(t, os.Truncate(h.path(SHA1), headerSize))
	if _, err := h.Known(ctx, secret.Of("whatever it may be")); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("the answer is %v", err)
	}
}

// small is a shard of which an import that is broken off after some progress has
// built one.
const small = 4 * tell

// interrupted imports until n hashes were read, and is then broken off.
func interrupted(t *testing.T, h *house, file string, after int64) {
	t.Helper()
	short, stop := context.WithCancel(ctx)
	defer stop()
	_, err := h.Import(short, host(), Import{Files: []string{file}, Progress: func(done, _ int64) {
		if done > after {
			stop()
		}
	}})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("the import was not broken off: %v", err)
	}
}

func TestAnImportGoesOnWhereItStopped(t *testing.T) {
	h := sqlite(t)
	h.full = small
	const n = small*2 + small/2
	h.takes(h.file("old", lines(SHA1, "of the old list")...))
	big := filepath.Join(t.TempDir(), "big.txt")
	f, err := os.Create(big)
	must(t, err)
	must(t, errors.Join(synthetic(f, n), f.Close()))
	interrupted(t, h, big, 44*(small+small/2))
	h.clock.add(lookEvery)
	if h.known("of the old list") != password.Breached {
		t.Error("the old list is not in use any more")
	}
	got := h.takes(big)
	if got.Entries != n || got.Resumed != small || got.Shards != 3 {
		t.Errorf("%+v", got)
	}
	l, err := openList(h.path(SHA1))
	must(t, err)
	defer l.close()
	must(t, l.verifyAll())
	eachHash(t, n, func(k key) {
		if ok, err := l.has(k); !ok || err != nil {
			t.Fatalf("%x is not found: %v", k, err)
		}
	})
	left, err := filepath.Glob(filepath.Join(h.dir, "*"))
	if err != nil || len(left) != 1 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// What an interrupted import left is of no use to another one, nor when it was
// damaged meanwhile.
func TestAnImportOfSomethingElseBeginsAnew(t *testing.T) {
	h := sqlite(t)
	h.full = small
	const n = small + small/2
	big := filepath.Join(t.TempDir(), "big.txt")
	f, err := os.Create(big)
	must(t, err)
	must(t, errors.Join(synthetic(f, n), f.Close()))
	interrupted(t, h, big, 44*(small+small/4))
	part := h.path(SHA1) + ".part"
	b, err := os.ReadFile(part)
	must(t, err)
	b[headerSize+9] ^= 1
	must(t, os.WriteFile(part, b, 0o600))
	if got := h.takes(big); got.Resumed != 0 || got.Entries != n {
		t.Errorf("a damaged part file is believed: %+v", got)
	}
	interrupted(t, h, big, 44*(small+small/4))
	if got := h.takes(h.file("other", lines(SHA1, words(5)...)...)); got.Resumed != 0 || got.Entries != 5 {
		t.Errorf("another file goes on where the first one stopped: %+v", got)
	}
}

func TestTwoImportsAtOnce(t *testing.T) {
	h := sqlite(t)
	must(t, os.MkdirAll(h.dir, 0o700))
	part, err := os.Create(h.path(SHA1) + ".part")
	must(t, err)
	defer part.Close()
	if !lockFile(part) {
		t.Fatal("the file cannot be locked")
	}
	_, err = h.Import(ctx, host(), Import{Files: []string{h.file("f", lines(SHA1, "x")...)}})
	want(t, err, fault.Conflict, "breach.busy", "Another import")
}
