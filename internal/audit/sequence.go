package audit

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"golang.org/x/mod/sumdb/note"

	"troth/internal/store"
	"troth/verify"
)

// batchSize bounds the pending rows of one transaction, so that the writers
// that wait behind it on SQLite wait for a fraction of a second.
const batchSize = 1024

// Sequence moves everything that is pending into the trees and returns how
// many leaves that were. It works in batches, each a transaction of its own,
// and may run in several processes at once.
func (l *Log) Sequence(ctx context.Context) (int, error) {
	l.sequencing.Lock()
	defer l.sequencing.Unlock()
	total := 0
	for {
		n, err := l.sequenceBatch(ctx)
		total += n
		if err != nil {
			return total, fmt.Errorf("sequencing: %w", err)
		}
		l.sequenced.Store(l.now().UnixMicro())
		if n < batchSize {
			return total, nil
		}
	}
}

// sequenceBatch looks first without writing: an idle log costs no durable write.
func (l *Log) sequenceBatch(ctx context.Context) (int, error) {
	var any bool
	if err := l.db.Read(ctx, func(tx *store.Tx) (err error) {
		any, err = anyPending(tx)
		return err
	}); err != nil || !any {
		return 0, err
	}
	var n int
	var signed []byte
	err := l.db.Write(ctx, func(tx *store.Tx) (err error) {
		tx.Unaudited("moves events that are written already into the trees")
		n, signed, err = l.sequenceTx(tx)
		return err
	})
	if err != nil {
		return 0, err
	}
	if n > 0 {
		l.file.keepLazily(signed)
	}
	return n, nil
}

func (l *Log) sequenceTx(tx *store.Tx) (int, []byte, error) {
	if err := lockHead(tx); err != nil {
		return 0, nil, fmt.Errorf("taking the lock: %w", err)
	}
	p, err := readPlatform(tx)
	if err != nil {
		return 0, nil, fmt.Errorf("reading the platform log's head: %w", err)
	}
	if size := l.file.size(); p.tree.size < size {
		return 0, nil, fmt.Errorf("the platform log has %d entries, but %d were published: the database went back; start again to open a new epoch", p.tree.size, size)
	}
	rows, err := readPending(tx, batchSize)
	if err != nil || len(rows) == 0 {
		return 0, nil, err
	}
	now := l.now()
	if err := l.growTenants(tx, p, rows, now); err != nil {
		return 0, nil, err
	}
	for _, r := range rows {
		if r.tree == platformTree {
			p.tree.push(leafRow{r.name, r.entry})
		}
	}
	signed, err := l.finishPlatform(tx, p, now)
	if err != nil {
		return 0, nil, err
	}
	return len(rows), signed, deletePending(tx, rows)
}

// growTenants appends the rows to the trees of their tenants and the new
// tenant checkpoints to the platform log.
func (l *Log) growTenants(tx *store.Tx, p platform, rows []pendingRow, now time.Time) error {
	byTree := map[string][]leafRow{}
	var names []string // in the order of their first row
	for _, r := range rows {
		if r.tree == platformTree {
			continue
		}
		if byTree[r.tree] == nil {
			names = append(names, r.tree)
		}
		byTree[r.tree] = append(byTree[r.tree], leafRow{r.name, r.entry})
	}
	if len(names) == 0 {
		return nil
	}
	heads, err := readTrees(tx, names)
	if err != nil {
		return err
	}
	trees := make([]*tree, len(names))
	checkpoints := make([]checkpointRow, len(names))
	salts := make([]byte, verify.SaltSize*len(names))
	rand.Read(salts) // never fails: crypto/rand stops the program instead
	for i, name := range names {
		t := heads[name]
		for _, r := range byTree[name] {
			t.push(r)
		}
		trees[i] = t
		salt := salts[i*verify.SaltSize:][:verify.SaltSize:verify.SaltSize]
		c := checkpointRow{tree: name, size: t.size, root: t.root(), salt: salt, entry: p.tree.size}
		entry, err := l.tenantEntry(c)
		if err != nil {
			return fmt.Errorf("committing to the tree %s: %w", name, err)
		}
		p.tree.push(leafRow{entry: entry})
		checkpoints[i] = c
	}
	if err := writeLeaves(tx, trees); err != nil {
		return fmt.Errorf("writing leaves: %w", err)
	}
	for _, t := range trees {
		if err := t.fullTiles(tx); err != nil {
			return fmt.Errorf("writing the tiles of tree %s: %w", t.name, err)
		}
	}
	if err := writeTrees(tx, trees); err != nil {
		return fmt.Errorf("writing heads: %w", err)
	}
	return writeCheckpoints(tx, checkpoints, now)
}

// tenantCheckpoint is the text that the platform log commits to.
func (l *Log) tenantCheckpoint(c checkpointRow) ([]byte, error) {
	return verify.Checkpoint{Origin: tenantOrigin(l.origin, c.tree), Size: c.size, Root: c.root}.Encode()
}

func (l *Log) tenantEntry(c checkpointRow) ([]byte, error) {
	text, err := l.tenantCheckpoint(c)
	if err != nil {
		return nil, err
	}
	return verify.TenantEntry([verify.SaltSize]byte(c.salt), text).Encode()
}

// finishPlatform writes what the platform log grew by, and its signed checkpoint.
func (l *Log) finishPlatform(tx *store.Tx, p platform, now time.Time) ([]byte, error) {
	if err := writeLeaves(tx, []*tree{p.tree}); err != nil {
		return nil, fmt.Errorf("writing platform entries: %w", err)
	}
	if err := p.tree.fullTiles(tx); err != nil {
		return nil, fmt.Errorf("writing platform tiles: %w", err)
	}
	if err := writePlatform(tx, p); err != nil {
		return nil, fmt.Errorf("writing the platform log's head: %w", err)
	}
	c := checkpointRow{tree: platformTree, size: p.tree.size, root: p.tree.root()}
	var err error
	if c.note, err = l.signCheckpoint(c); err != nil {
		return nil, err
	}
	if err := writeCheckpoints(tx, []checkpointRow{c}, now); err != nil {
		return nil, fmt.Errorf("writing the checkpoint: %w", err)
	}
	return c.note, nil
}

func (l *Log) signCheckpoint(c checkpointRow) ([]byte, error) {
	text, err := verify.Checkpoint{Origin: l.origin, Size: c.size, Root: c.root}.Encode()
	if err != nil {
		return nil, fmt.Errorf("encoding the checkpoint: %w", err)
	}
	signed, err := note.Sign(&note.Note{Text: string(text)}, l.signer)
	if err != nil {
		return nil, fmt.Errorf("signing the checkpoint: %w", err)
	}
	return signed, nil
}
