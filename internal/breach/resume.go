package breach

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"troth/internal/fault"
)

// A journal stands beside a part file and says what it is made from and which
// shards are in it, so that an import that was interrupted goes on behind them.
// It is believed only for the same files, and each shard only if its
// fingerprints have the SHA-256 that the journal says.
type journal struct {
	f *os.File
	w *json.Encoder
}

// origin is the first line of a journal.
type origin struct {
	Version int    `json:"version"`
	Kind    Kind   `json:"kind"`
	Inputs  string `json:"inputs"` // SHA-256 of the names, sizes and times of the files; "": they cannot be known again
}

// entry is each further line: a shard, and the first half of its last hash.
type entry struct {
	Shard shard `json:"shard"`
	Last  hex64 `json:"last"`
}

func (j *journal) note(s shard, last uint64) error {
	if err := j.w.Encode(entry{s, hex64(last)}); err != nil {
		return fmt.Errorf("writing the journal of an import: %w", err)
	}
	return nil
}

// input is what is known of the files of an import before they are read.
type input struct {
	digest string // "" if one of them is no file
	size   int64
	newest time.Time
}

func inputOf(names []string) input {
	var in input
	sum := sha256.New()
	for _, name := range names {
		info, err := os.Stat(name)
		if err != nil || !info.Mode().IsRegular() {
			return input{}
		}
		in.size += info.Size()
		if info.ModTime().After(in.newest) {
			in.newest = info.ModTime()
		}
		fmt.Fprintf(sum, "%q %d %d\n", name, info.Size(), info.ModTime().UnixNano())
	}
	in.digest = hex.EncodeToString(sum.Sum(nil))
	return in
}

// readJournal returns the entries of a journal that was written for the same
// files. A last line that was cut is left out.
func readJournal(path string, from origin) []entry {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	d := json.NewDecoder(bufio.NewReader(f))
	var was origin
	if d.Decode(&was) != nil || was != from {
		return nil
	}
	var all []entry
	for {
		var e entry
		if d.Decode(&e) != nil {
			return all
		}
		all = append(all, e)
	}
}

// sound is how many of the entries' shards are in the part file as they were
// written.
func sound(part *os.File, entries []entry) int {
	for i, e := range entries {
		sum := sha256.New()
		n, err := io.Copy(sum, io.NewSectionReader(part, e.Shard.Offset, 2*e.Shard.cells()))
		if err != nil || n != 2*e.Shard.cells() || hex.EncodeToString(sum.Sum(nil)) != e.Shard.SHA256 {
			return i
		}
	}
	return len(entries)
}

// resume opens the part file of an import, with what an earlier one left there,
// and a journal that goes on. Last is the first half of the last hash that is
// in it. Without inputs that can be known again it begins anew.
func resume(path string, from origin) (b *builder, last uint64, err error) {
	part, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, 0, fmt.Errorf("making the file of a list: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, part.Close())
		}
	}()
	if !lockFile(part) || !stillAt(part, path) {
		return nil, 0, fault.New(fault.Conflict, "breach.busy", "Another import of this kind is going on. Wait until it has ended.")
	}
	m := manifest{Version: version, Kind: from.Kind}
	var kept []entry
	if from.Inputs != "" {
		kept = readJournal(path+".journal", from)
		kept = kept[:sound(part, kept)]
	}
	at := int64(0)
	for _, e := range kept {
		m.Shards, m.Entries = append(m.Shards, e.Shard), m.Entries+e.Shard.Entries
		at, last = e.Shard.Offset+2*e.Shard.cells(), uint64(e.Last)
	}
	if err := part.Truncate(at); err != nil {
		return nil, 0, fmt.Errorf("cutting the file of a list: %w", err)
	}
	var j *journal
	if from.Inputs != "" {
		if j, err = newJournal(path+".journal", from, kept); err != nil {
			return nil, 0, err
		}
	}
	b, err = newBuilder(part, m, at, j)
	return b, last, err
}

// stillAt reports whether an open file is the one at a path: the import that had
// it may have made it the list before it let go of it.
func stillAt(f *os.File, path string) bool {
	open, err := f.Stat()
	if err != nil {
		return false
	}
	there, err := os.Stat(path)
	return err == nil && os.SameFile(open, there)
}

// newJournal writes a journal anew, with the entries that were kept.
func newJournal(path string, from origin, kept []entry) (*journal, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("making the journal of an import: %w", err)
	}
	j := &journal{f, json.NewEncoder(f)}
	if err := j.w.Encode(from); err != nil {
		return nil, errors.Join(fmt.Errorf("writing the journal of an import: %w", err), f.Close())
	}
	for _, e := range kept {
		if err := j.note(e.Shard, uint64(e.Last)); err != nil {
			return nil, errors.Join(err, f.Close())
		}
	}
	return j, nil
}
