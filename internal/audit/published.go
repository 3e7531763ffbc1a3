package audit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"troth/internal/fault"
	"troth/internal/store"
	"troth/verify"
)

// keepEvery is how often the sequencer writes the file. What is served is
// written before it is served, at any rate.
const keepEvery = time.Second

// publishedFile keeps the newest published checkpoint outside of the database,
// so that a database restored from an older backup is noticed.
type publishedFile struct {
	path string
	now  func() time.Time

	mu     sync.Mutex
	kept   int64 // the size in the file
	keptAt time.Time
}

// size is that of the checkpoint in the file.
func (f *publishedFile) size() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.kept
}

// keepLazily writes the checkpoint when the last writing was long enough ago.
// An error waits for keep, which reports it to who wants to publish.
func (f *publishedFile) keepLazily(signed []byte) {
	f.mu.Lock()
	recent := f.now().Sub(f.keptAt) < keepEvery
	f.mu.Unlock()
	if !recent {
		_ = f.keep(signed)
	}
}

// keep writes the checkpoint durably unless the file has a newer one.
func (f *publishedFile) keep(signed []byte) error {
	size, err := sizeOf(signed)
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if size <= f.kept && !f.keptAt.IsZero() {
		return nil
	}
	// Another process on the same data, such as a command, may have written
	// since: the file only grows.
	have, err := load(f.path)
	if err != nil {
		return fmt.Errorf("reading the kept checkpoint: %w", err)
	}
	if other, err := sizeOf(have); err == nil && other >= size {
		f.kept, f.keptAt = other, f.now()
		return nil
	}
	return f.replace(signed, size)
}

// replace writes the checkpoint whatever the file has. The caller holds the lock.
func (f *publishedFile) replace(signed []byte, size int64) error {
	if f.path != "" {
		if err := replaceFile(f.path, 0o600, signed); err != nil {
			return fmt.Errorf("keeping the published checkpoint: %w", err)
		}
	}
	f.kept, f.keptAt = size, f.now()
	return nil
}

// sizeOf reads the second line of a signed checkpoint that was made here.
func sizeOf(signed []byte) (int64, error) {
	lines := bytes.SplitN(signed, []byte("\n"), 3)
	if len(lines) < 3 {
		return 0, errors.New("the checkpoint has no size")
	}
	return strconv.ParseInt(string(lines[1]), 10, 64)
}

// fixOrigin makes the platform log's head at the first start. Later starts
// keep the origin of the first: to whoever pinned the key, another name would
// be another log.
func (l *Log) fixOrigin(ctx context.Context, origin string) error {
	if _, err := (verify.Checkpoint{Origin: origin}).Encode(); err != nil {
		return fault.Wrap(err, fault.Invalid, "audit.origin", "The log's origin must be a name such as example.org, without spaces and plus signs.").On("log.origin")
	}
	read := func(tx *store.Tx) error {
		p, err := readPlatform(tx)
		l.origin = p.origin
		return err
	}
	err := l.db.Read(ctx, read)
	if !errors.Is(err, store.ErrNoRows) {
		return err
	}
	return l.db.Write(ctx, func(tx *store.Tx) error {
		tx.Unaudited("makes the head of the empty log")
		if err := insertPlatform(tx, origin); err != nil {
			return err
		}
		return read(tx)
	})
}

// compareWithPublished signs the first checkpoint of an empty log, and opens a
// new epoch when what was published is not a part of what the database holds.
func (l *Log) compareWithPublished(ctx context.Context) error {
	published, known, err := l.lastPublished()
	if err != nil {
		return err
	}
	var head checkpointRow
	var behind bool
	err = l.db.Read(ctx, func(tx *store.Tx) error {
		var ok bool
		if head, ok, err = lastCheckpoint(tx, platformTree); err != nil || !ok {
			behind = known && published.Size > 0
			return err
		}
		behind, err = l.behind(tx, published, known)
		return err
	})
	if err != nil {
		return fmt.Errorf("comparing the head with the published checkpoint: %w", err)
	}
	signed := head.note
	if behind {
		signed, err = l.openEpoch(ctx, published, head)
	} else if len(signed) == 0 {
		err = l.db.Write(ctx, func(tx *store.Tx) error {
			tx.Unaudited("signs the empty log")
			signed, err = l.signFirst(tx)
			return err
		})
	}
	if err != nil {
		return err
	}
	if !behind && !l.lost(published, known, signed) {
		return l.file.keep(signed)
	}
	size, err := sizeOf(signed)
	if err != nil {
		return err
	}
	l.file.mu.Lock()
	defer l.file.mu.Unlock()
	return l.file.replace(signed, size)
}

// lost reports whether the file states more than the log has, which an epoch
// marker has told already: the start ended before the file was replaced.
func (l *Log) lost(published verify.Checkpoint, known bool, signed []byte) bool {
	size, err := sizeOf(signed)
	return err != nil || known && published.Size >= size
}

// lastPublished reads and checks the file.
func (l *Log) lastPublished() (c verify.Checkpoint, known bool, err error) {
	signed, err := load(l.file.path)
	if err != nil || len(signed) == 0 {
		return c, false, err
	}
	key, err := verify.ParseKey(l.VKey())
	if err != nil {
		return c, false, err
	}
	if c, err = verify.OpenCheckpoint(signed, key); err != nil {
		return c, false, fault.Wrap(err, fault.Invalid, "audit.published",
			"The last published checkpoint in %s was not signed by this log's key. Restore the keyring that belongs to the database, or move the file away if this is meant to be another log.", l.file.path)
	}
	return c, true, nil
}

// behind reports whether the stored log lacks the published tree, and no
// epoch marker has said so yet.
func (l *Log) behind(tx *store.Tx, published verify.Checkpoint, known bool) (bool, error) {
	if !known || published.Size == 0 {
		return false, nil
	}
	p, err := readPlatform(tx)
	if err != nil {
		return false, err
	}
	if held, err := holds(tx, p, published); err != nil || held {
		return false, err
	}
	if p.epoch < 2 {
		return true, nil
	}
	_, entry, ok, err := leafOf(tx, platformTree, epochName(p.epoch))
	if err != nil || !ok {
		return true, err
	}
	e, err := verify.ParseEntry(entry)
	return e.Epoch.Size != published.Size || e.Epoch.Root != published.Root, err
}

// holds reports whether the published tree is the beginning of the stored one.
func holds(tx *store.Tx, p platform, published verify.Checkpoint) (bool, error) {
	if published.Size > p.tree.size {
		return false, nil
	}
	root, err := tlog.TreeHash(published.Size, &tileReader{tx: tx, name: platformTree, size: p.tree.size})
	return root == published.Root, err
}

func epochName(n int64) string { return "epoch/" + strconv.FormatInt(n, 10) }

// signFirst signs the checkpoint of a log that has none: the empty one.
func (l *Log) signFirst(tx *store.Tx) ([]byte, error) {
	if err := lockHead(tx); err != nil {
		return nil, err
	}
	if c, ok, err := lastCheckpoint(tx, platformTree); err != nil || ok {
		return c.note, err // another process was first
	}
	p, err := readPlatform(tx)
	if err != nil {
		return nil, err
	}
	return l.finishPlatform(tx, p, l.now())
}

// openEpoch says, in the public log and in the platform's activity, that the
// tree that was published is not a part of this one any more.
func (l *Log) openEpoch(ctx context.Context, published verify.Checkpoint, head checkpointRow) ([]byte, error) {
	var signed []byte
	err := l.db.Write(ctx, func(tx *store.Tx) error {
		if err := lockHead(tx); err != nil {
			return err
		}
		p, err := readPlatform(tx)
		if err != nil {
			return err
		}
		p.epoch++
		entry, err := verify.Entry{Kind: verify.KindEpoch, Epoch: verify.Epoch{
			Number: uint32(p.epoch), At: l.now(), Size: published.Size, Root: published.Root}}.Encode()
		if err != nil {
			return err
		}
		p.tree.push(leafRow{epochName(p.epoch), entry})
		if signed, err = l.finishPlatform(tx, p, l.now()); err != nil {
			return err
		}
		_, err = l.AppendTx(tx, Event{Type: typeEpoch, Actor: Actor{Kind: KindSystem, Name: "log"}, Metadata: map[string]string{
			"epoch": strconv.FormatInt(p.epoch, 10), "published": strconv.FormatInt(published.Size, 10), "found": strconv.FormatInt(head.size, 10)}})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("opening a new epoch: %w", err)
	}
	l.log.Warn("the database is older than the published log; a new epoch was opened", "published", published.Size, "found", head.size)
	return signed, nil
}
