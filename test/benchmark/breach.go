package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"troth/internal/breach"
	"troth/internal/secret"
)

// breached measures lists of breached passwords: what the program takes to
// import one, what it takes on the disk, and what asking it adds to a sign-in.
func breached(ctx context.Context, l *lab) error {
	dir, err := l.install(ctx, "breach")
	if err != nil {
		return err
	}
	var took []time.Duration
	var last imported
	sizes := []int64{5_000_000, 20_000_000}
	for _, n := range sizes {
		began := time.Now()
		if last, err = l.importHashes(ctx, dir, n); err != nil {
			return err
		}
		took = append(took, time.Since(began))
	}
	n := sizes[len(sizes)-1]
	each := float64(last.Bytes) / float64(n)
	l.table.add(line{what: fmt.Sprintf("a list of %d hashes, on the disk", n), asked: "≤ 2.4 bytes an entry", measured: fmt.Sprintf("%.2f bytes an entry", each), holds: each <= 2.4})
	l.table.add(line{what: "memory of the program that imports it", asked: "≤ 1 GB", measured: megabytes(last.memory), holds: last.memory <= 1e9})
	l.table.note("importing it", fmt.Sprintf("%s, %s entries/s", took[1].Round(100*time.Millisecond), count(float64(n)/took[1].Seconds())))
	l.table.growth("%d entries take %s, %d take %s: linear, in the memory of one shard of a million entries (%s).", sizes[0], took[0].Round(100*time.Millisecond), n, took[1].Round(100*time.Millisecond), megabytes(last.memory))
	return l.askHashes(dir)
}

// askHashes asks the list for passwords that are not in it.
func (l *lab) askHashes(dir string) error {
	lists := breach.New(breach.Options{Dir: filepath.Join(dir, "breach"), Config: breach.Defaults()})
	defer lists.Close()
	began := time.Now()
	if err := lists.Verify(context.Background()); err != nil {
		return err
	}
	l.table.note("comparing all of it with its checksums", time.Since(began).Round(time.Millisecond).String())
	const tries = 5_000_000
	wrong := 0
	for i := range tries {
		found, err := lists.Listed(secret.Of("not in the list: " + strconv.Itoa(i)))
		if err != nil {
			return err
		}
		if found {
			wrong++
		}
	}
	const promised = tries / 65_000.0
	// Three standard deviations: chance alone goes beyond in one of 700 runs.
	l.table.add(line{what: "passwords that are said to be in it and are not", asked: "≤ 1 in 65,000",
		measured: fmt.Sprintf("%d of %d, 1 in %.0f", wrong, tries, tries/math.Max(1, float64(wrong))), holds: float64(wrong) <= promised+3*math.Sqrt(promised)})
	r, err := bench(func(i int) error {
		_, err := lists.Listed(secret.Of("another one that is not: " + strconv.Itoa(i)))
		return err
	})
	const limit = 2 * time.Microsecond
	l.table.add(line{what: "asking it for a password, with the SHA-1", asked: "≤ 2 µs", measured: short(r.took), holds: r.took <= limit})
	return err
}

// imported is what the program says that it imported.
type imported struct {
	Entries int64 `json:"entries"`
	Bytes   int64 `json:"bytes"`
	memory  int64 // most that was resident
}

// importHashes pipes a synthetic list into the program: hashes in order, one at
// a chance place of each of n equal spans, in the form of the download.
func (l *lab) importHashes(ctx context.Context, dir string, n int64) (imported, error) {
	var got imported
	in, out := io.Pipe()
	go func() { _ = out.CloseWithError(writeHashes(out, n)) }() // a program that stopped reading has said why
	cmd := exec.CommandContext(ctx, l.binary, "breach", "import", "-", "--json", "--data", dir)
	cmd.Stdin = in
	answer, err := cmd.Output()
	if err != nil {
		return got, fmt.Errorf("importing a list: %w", err)
	}
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		got.memory = usage.Maxrss * 1024
	}
	err = json.Unmarshal(answer, &got)
	if err == nil && got.Entries != n {
		err = fmt.Errorf("%d of %d entries were imported", got.Entries, n)
	}
	return got, err
}

func writeHashes(to io.Writer, n int64) error {
	w := bufio.NewWriterSize(to, 1<<20)
	chance := rand.New(rand.NewPCG(1, 2))
	span := math.MaxUint64 / uint64(n)
	var hash [20]byte
	for i := range uint64(n) {
		binary.BigEndian.PutUint64(hash[:], i*span+chance.Uint64N(span))
		binary.BigEndian.PutUint64(hash[8:], chance.Uint64())
		if _, err := fmt.Fprintf(w, "%X:%d\r\n", hash[:], 1+i%9); err != nil {
			return err
		}
	}
	return w.Flush()
}

func megabytes(n int64) string { return fmt.Sprintf("%d MB", n/1_000_000) }
