package breach

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/FastFilter/xorfilter"
)

// shardEntries is when a shard is full. Building one takes about 40 bytes an
// entry; a larger one saves no space, and a smaller one is slower to find.
const shardEntries = 1 << 20

// builder writes the file of a list, one shard after the other, while the next
// one is being read.
type builder struct {
	part *os.File
	out  *bufio.Writer
	at   int64
	m    manifest
	log  *journal // nil: the input cannot be read again

	fuse  xorfilter.BinaryFuseBuilder
	first uint64
	keys  []uint64
	last  uint64 // of the hashes that were added
	full  int    // entries of a shard

	queue chan batch
	spare chan []uint64
	done  chan error
}

// batch is what one shard is made of.
type batch struct {
	first, last uint64
	keys        []uint64
}

// newBuilder goes on behind the shards that the part file has already.
func newBuilder(part *os.File, m manifest, at int64, log *journal) (*builder, error) {
	b := &builder{
		part: part, out: bufio.NewWriterSize(part, 1<<20), at: at, m: m, log: log, full: shardEntries,
		queue: make(chan batch), spare: make(chan []uint64, 3), done: make(chan error, 1),
	}
	if _, err := part.Seek(at, io.SeekStart); err != nil {
		return nil, fmt.Errorf("finding the end of the last shard: %w", err)
	}
	if at == 0 {
		n, err := b.out.WriteString(magic)
		if err != nil {
			return nil, fmt.Errorf("beginning the file of a list: %w", err)
		}
		if err := b.pad(int64(n), headerSize); err != nil {
			return nil, err
		}
	}
	for range cap(b.spare) {
		b.spare <- nil
	}
	b.keys = <-b.spare
	go b.work()
	return b, nil
}

// add takes the next hash, which is greater than the one before.
func (b *builder) add(k key) error {
	// Hashes with the same first half stay together: the shard is found by it.
	if len(b.keys) >= b.full && k.hi != b.last {
		if err := b.hand(); err != nil {
			return err
		}
	}
	if len(b.keys) == 0 {
		b.first = k.hi
	}
	b.keys, b.last = append(b.keys, k.lo), k.hi
	return nil
}

// hand hands a full shard to the worker.
func (b *builder) hand() error {
	select {
	case b.queue <- batch{b.first, b.last, b.keys}:
	case err := <-b.done:
		b.done <- err
		return err
	}
	b.keys = (<-b.spare)[:0]
	return nil
}

// work builds and writes until the queue is closed. After an error it takes
// nothing more.
func (b *builder) work() {
	for full := range b.queue {
		if err := b.write(full); err != nil {
			b.done <- err
			return
		}
		b.spare <- full.keys
	}
	b.done <- nil
}

func (b *builder) write(full batch) error {
	f, err := xorfilter.BuildBinaryFuse[uint16](&b.fuse, full.keys)
	if err != nil {
		return fmt.Errorf("building a filter of %d entries: %w", len(full.keys), err)
	}
	if err := b.pad(b.at, alignment); err != nil {
		return err
	}
	sum := sha256.New()
	both := io.MultiWriter(b.out, sum)
	var piece [4096]byte
	s := shard{
		First: hex64(full.first), Entries: int64(len(full.keys)), Offset: b.at,
		Seed: hex64(f.Seed), SegmentLength: f.SegmentLength, SegmentCount: f.SegmentCount,
	}
	for prints := f.Fingerprints; len(prints) > 0; {
		n := min(len(prints), len(piece)/2)
		for i, p := range prints[:n] {
			binary.LittleEndian.PutUint16(piece[2*i:], p)
		}
		if _, err := both.Write(piece[:2*n]); err != nil {
			return fmt.Errorf("writing a shard: %w", err)
		}
		prints = prints[n:]
	}
	b.at += 2 * s.cells()
	s.SHA256 = hex.EncodeToString(sum.Sum(nil))
	b.m.Shards, b.m.Entries = append(b.m.Shards, s), b.m.Entries+s.Entries
	if b.log == nil {
		return nil
	}
	if err := b.out.Flush(); err != nil {
		return fmt.Errorf("writing a shard: %w", err)
	}
	return b.log.note(s, full.last)
}

func (b *builder) pad(at, multiple int64) error {
	n, err := pad(b.out, at, multiple)
	if err != nil {
		return fmt.Errorf("writing the file of a list: %w", err)
	}
	b.at = at + n
	return nil
}

// end ends the worker and waits for it.
func (b *builder) end() error {
	close(b.queue)
	return <-b.done
}

// finish writes what is left and the manifest, and makes it durable.
func (b *builder) finish(now time.Time) (manifest, error) {
	if len(b.keys) > 0 {
		if err := b.hand(); err != nil {
			return manifest{}, err
		}
	}
	if err := b.end(); err != nil {
		return manifest{}, err
	}
	b.m.ImportedAt = now
	doc, err := json.Marshal(b.m)
	if err != nil {
		return manifest{}, fmt.Errorf("writing the manifest of a list: %w", err)
	}
	if _, err := b.out.Write(append(doc, footer(doc)...)); err != nil {
		return manifest{}, fmt.Errorf("writing the manifest of a list: %w", err)
	}
	if err := b.out.Flush(); err != nil {
		return manifest{}, fmt.Errorf("writing the file of a list: %w", err)
	}
	return b.m, b.part.Sync()
}

// replace makes a part file the list: whoever opens it from now on sees all of
// it, whoever has the old one open keeps that.
func replace(part, list string) error {
	if err := os.Rename(part, list); err != nil {
		return fmt.Errorf("putting the new list in its place: %w", err)
	}
	dir, err := os.Open(filepath.Dir(list))
	if err != nil {
		return fmt.Errorf("making the new list durable: %w", err)
	}
	defer dir.Close()
	return dir.Sync()
}
