package breach

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"troth/internal/access"
	"troth/internal/fault"
	"troth/internal/store"
)

// Import is what [Lists.Import] does.
type Import struct {
	Files      []string // "-" is Stdin; a directory stands for its range files
	Format     Format
	Incomplete bool // take a list that has gaps
	DryRun     bool // read and check everything, and change nothing
	Stdin      io.Reader
	Progress   func(done, total int64) // bytes of the files; total is 0 if it is not known
}

// Imported is what an import found.
type Imported struct {
	Kind       Kind   `json:"kind"`
	Entries    int64  `json:"entries"`
	Duplicates int64  `json:"duplicates"`
	Bytes      int64  `json:"bytes"` // of the new list
	Shards     int    `json:"shards"`
	Resumed    int64  `json:"resumed"`  // entries that an interrupted import had built
	Replaced   int64  `json:"replaced"` // entries of the list that it takes the place of
	File       string `json:"file,omitempty"`
}

// Import reads a list of hashes and puts it in the place of the one of the same
// kind, for the operator on the host. Nothing changes before the whole input was
// read without an error. fault.Invalid names the file and the line that is
// wrong; it never repeats the line.
func (l *Lists) Import(ctx context.Context, by access.Subject, i Import) (Imported, error) {
	if err := onHost(by); err != nil {
		return Imported{}, err
	}
	run, err := l.begin(i)
	if err != nil || len(run.files) == 0 {
		return Imported{}, errors.Join(err, run.close())
	}
	if i.DryRun {
		err = run.read(ctx, func(key) error { return nil })
		return run.found, errors.Join(err, run.close())
	}
	path := l.path(run.kind)
	if err := os.MkdirAll(l.dir, 0o700); err != nil {
		return Imported{}, fault.Wrap(err, fault.Invalid, "breach.dir", "The directory %s cannot be made: %v.", l.dir, reason(err))
	}
	if old, err := openList(path); err == nil {
		run.found.Replaced = old.m.Entries
		_ = old.close() // was only read
	}
	if err := errors.Join(run.build(ctx, path, l.full, l.now()), run.close()); err != nil {
		return Imported{}, err
	}
	run.found.File = path
	err = l.DB.Write(ctx, func(tx *store.Tx) error {
		_, err := l.Log.AppendTx(tx, l.event(evImported, by, map[string]string{
			"kind": string(run.kind), "entries": strconv.FormatInt(run.found.Entries, 10),
		}))
		return err
	})
	if err != nil {
		return run.found, fmt.Errorf("recording that a list was imported: %w", err)
	}
	return run.found, nil
}

// importing is an import that is going on.
type importing struct {
	Import
	kind   Kind
	files  []*reader
	inputs input
	done   atomic.Int64
	found  Imported
}

// begin opens the files and puts them in the order of their hashes.
func (l *Lists) begin(i Import) (*importing, error) {
	run := &importing{Import: i}
	names, err := expand(i.Files)
	if err != nil {
		return run, err
	}
	if i.Format == "" {
		run.Format = FormatAuto
	}
	if !slices.Contains([]Format{FormatAuto, FormatSHA1, FormatNTLM, FormatRange}, run.Format) {
		return run, fault.New(fault.Invalid, "breach.format", "There is no format %q; choose auto, sha1, ntlm or range.", run.Format)
	}
	if run.inputs = inputOf(names); run.inputs.digest == "" {
		run.inputs.newest = l.now() // of a pipe nothing else is known
	}
	if run.Format == FormatRange || run.ranges(names) {
		return run, run.beginRanges(names)
	}
	for _, name := range names {
		if err := run.open(name); err != nil {
			return run, err
		}
	}
	if len(run.files) == 0 {
		return run, errEmpty
	}
	return run, run.sort()
}

var errEmpty = fault.New(fault.Invalid, "breach.empty", "There is no hash in what was given. Nothing was changed.")

// ranges reports whether all the files are named after a range, in which case
// they are opened one by one.
func (run *importing) ranges(names []string) bool {
	return run.Format == FormatAuto && len(names) > 0 && !slices.ContainsFunc(names, func(n string) bool { return rangePrefix(n) == "" })
}

// beginRanges sorts range files by their names. Only the first is opened, to
// see of which kind they are.
func (run *importing) beginRanges(names []string) error {
	run.Format = FormatRange
	slices.SortFunc(names, func(a, b string) int { return cmp.Compare(rangePrefix(a), rangePrefix(b)) })
	for _, name := range names {
		run.files = append(run.files, &reader{name: name, close: func() error { return nil }})
	}
	for _, name := range names {
		r, err := openInput(name, run.Stdin, new(atomic.Int64))
		if err != nil {
			return err
		}
		err = errors.Join(r.begin(run.Format), r.close())
		if run.kind = r.kind; err != nil || r.kind != "" {
			return err
		}
	}
	return errEmpty
}

// open opens a whole list. An empty file is left out.
func (run *importing) open(name string) error {
	r, err := openInput(name, run.Stdin, &run.done)
	if err != nil {
		return err
	}
	run.files = append(run.files, r)
	if err := r.begin(run.Format); err != nil {
		return err
	}
	switch {
	case r.kind == "":
		run.files = run.files[:len(run.files)-1]
		return r.close()
	case run.kind != "" && run.kind != r.kind:
		return fault.New(fault.Invalid, "breach.mixed", "%s holds %s hashes, and the files before it %s. Import them one kind after the other.", r.name, r.kind, run.kind)
	}
	run.kind = r.kind
	return nil
}

// sort brings the files into the order of their first hashes.
func (run *importing) sort() error {
	type begun struct {
		*reader
		first key
	}
	all := make([]begun, len(run.files))
	for i, r := range run.files {
		head, err := r.in.Peek(r.kind.digits())
		if err != nil {
			return r.bad("is cut")
		}
		first, _, _ := r.parse(head) // a line that is wrong is told when it is read
		all[i] = begun{r, first}
	}
	slices.SortStableFunc(all, func(a, b begun) int { return a.first.compare(b.first) })
	for i, f := range all {
		run.files[i] = f.reader
	}
	return nil
}

func (run *importing) close() error {
	var all error
	for _, r := range run.files {
		all = errors.Join(all, r.close())
	}
	return all
}

// expand replaces directories by the range files in them.
func expand(names []string) ([]string, error) {
	var all []string
	for _, name := range names {
		info, err := os.Stat(name)
		if name == "-" || err != nil || !info.IsDir() {
			all = append(all, name) // what cannot be read is told when it is opened
			continue
		}
		inside, err := os.ReadDir(name)
		if err != nil {
			return nil, fault.Wrap(err, fault.Invalid, "breach.input", "%s cannot be read: %v.", name, reason(err))
		}
		before := len(all)
		for _, f := range inside {
			if rangePrefix(f.Name()) != "" {
				all = append(all, filepath.Join(name, f.Name()))
			}
		}
		if len(all) == before {
			return nil, fault.New(fault.Invalid, "breach.input", "The directory %s holds no range files: they are named after five digits, as in 0A1B2.txt.", name)
		}
	}
	if len(all) == 0 {
		return nil, errEmpty
	}
	return all, nil
}

// A gap between neighbouring hashes that is widest times the usual one happens
// by chance in one of e^64 places.
const (
	widest    = 64
	gapsCount = 1000 // of so many entries a gap tells something
)

// tell is after how many hashes progress is told and ctx asked.
const tell = 1 << 16

// read hands every hash on, in order, each once, and finds what is missing.
func (run *importing) read(ctx context.Context, each func(key) error) error {
	run.found.Kind = run.kind
	var last, from, to key
	var gap uint64
	n, started := int64(0), false
	for _, r := range run.files {
		if err := run.reopen(r); err != nil {
			return err
		}
		for {
			k, err := r.next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return err
			}
			switch c := k.compare(last); {
			case started && c == 0:
				run.found.Duplicates++
				continue
			case started && c < 0:
				return r.bad("is smaller than the hash before it, but the list has to be in the order of its hashes (the download “ordered by hash”; or: LC_ALL=C sort)")
			}
			if wide := k.hi - last.hi; wide > gap {
				gap, from, to = wide, last, k
			}
			if err := each(k); err != nil {
				return err
			}
			last, started = k, true
			if n++; n%tell == 0 {
				if err := run.tell(ctx); err != nil {
					return err
				}
			}
		}
		if run.Format == FormatRange {
			if err := r.close(); err != nil {
				return fmt.Errorf("closing a range file: %w", err)
			}
			r.close, r.in = func() error { return nil }, nil
		}
	}
	if n == 0 {
		return errEmpty
	}
	if wide := math.MaxUint64 - last.hi; wide > gap {
		gap, from, to = wide, last, key{math.MaxUint64, math.MaxUint64}
	}
	run.found.Entries = n
	if n >= gapsCount && gap/widest > math.MaxUint64/uint64(n) && !run.Incomplete {
		return fault.New(fault.Invalid, "breach.incomplete", "The list is not whole: between %08X… and %08X… nothing stands, which is no chance. Download it again, or take it as it is with --incomplete. Nothing was changed.", from.hi>>32, to.hi>>32)
	}
	return run.tell(ctx)
}

// reopen opens a range file when its turn comes.
func (run *importing) reopen(r *reader) error {
	if run.Format != FormatRange {
		return nil
	}
	opened, err := openInput(r.name, run.Stdin, &run.done)
	if err != nil {
		return err
	}
	*r = *opened
	if err := r.begin(run.Format); err != nil {
		return err
	}
	if r.kind != "" && r.kind != run.kind {
		return fault.New(fault.Invalid, "breach.mixed", "%s holds %s hashes, and the files before it %s. Import them one kind after the other.", r.name, r.kind, run.kind)
	}
	r.kind, r.prefix = run.kind, rangePrefix(r.name)
	return nil
}

func (run *importing) tell(ctx context.Context) error {
	if run.Progress != nil {
		run.Progress(run.done.Load(), run.inputs.size)
	}
	return ctx.Err()
}

// build makes the list of what is read and puts it in its place.
func (run *importing) build(ctx context.Context, path string, full int, now time.Time) error {
	part := path + ".part"
	b, last, err := resume(part, origin{version, run.kind, run.inputs.digest})
	if err != nil {
		return err
	}
	b.full, b.m.NewestAt = full, run.inputs.newest.UTC()
	run.found.Resumed = b.m.Entries
	err = run.read(ctx, func(k key) error {
		if run.found.Resumed > 0 && k.hi <= last {
			return nil
		}
		return b.add(k)
	})
	if err != nil {
		return errors.Join(err, b.end(), b.close())
	}
	m, err := b.finish(now.UTC())
	if err = errors.Join(err, b.close()); err != nil {
		return err
	}
	run.found.Shards, run.found.Bytes = len(m.Shards), b.at
	if err := replace(part, path); err != nil {
		return err
	}
	if err := os.Remove(part + ".journal"); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("removing the journal of an import: %w", err)
	}
	return nil
}

func (b *builder) close() error {
	err := b.part.Close()
	if b.log != nil {
		err = errors.Join(err, b.log.f.Close())
	}
	return err
}
