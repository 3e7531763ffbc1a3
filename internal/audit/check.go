package audit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/keys"
	"troth/internal/store"
	"troth/verify"
)

// Fetch serves the public log by the paths of an export; it makes the log a
// verify.Source. The error for a file that does not exist is fs.ErrNotExist.
func (l *Log) Fetch(ctx context.Context, path string, limit int64) (b []byte, err error) {
	digest, evidence := strings.CutPrefix(path, "evidence/")
	switch {
	case path == "checkpoint":
		b, err = l.Checkpoint(ctx)
	case path == "vkey":
		b = []byte(l.VKey() + "\n")
	case evidence:
		b, err = l.EvidenceBytes(ctx, digest)
	default:
		b, err = l.Tile(ctx, path)
	}
	if fault.KindOf(err) == fault.NotFound {
		return nil, fmt.Errorf("%s: %w", path, fs.ErrNotExist)
	}
	if int64(len(b)) > limit {
		return nil, fmt.Errorf("%s has %d bytes, more than %d", path, len(b), limit)
	}
	return b, err
}

// CheckRows compares what the database holds with the log, which a stranger
// cannot do: the public log with package verify; every tenant's tree with its
// leaves, tiles, checkpoints and the platform entries that commit to them;
// every event's row and payload with its leaf; and the activity of every person
// with the events that are about them. It names each thing that does not fit.
// The error says that the comparison could not be made.
//
// It believes nothing that the sequencer computed: every tree is grown anew
// from its leaves, as far as any of head, checkpoints and leaves says that it
// reaches.
func (l *Log) CheckRows(ctx context.Context, progress func(done, total int)) ([]verify.Finding, error) {
	if progress == nil {
		progress = func(int, int) {}
	}
	key, err := verify.ParseKey(l.VKey())
	if err != nil {
		return nil, err
	}
	report, err := verify.Log(ctx, l, &key, verify.Options{Now: l.now, Workers: 2})
	if err != nil {
		return nil, fmt.Errorf("examining the public log: %w", err)
	}
	c := &checker{log: l, findings: report.Findings, progress: progress, size: report.Size, commitments: report.Entries[verify.KindTenant.String()],
		expired: map[keys.Ref]bool{}}
	if err := c.run(ctx); err != nil {
		return c.findings, fmt.Errorf("comparing rows with the log: %w", err)
	}
	return c.findings, nil
}

// checkLimit bounds the findings: after so many, more tell nothing new.
const checkLimit = 1000

type checker struct {
	log         *Log
	size        int64 // of the public log
	commitments int64 // to tenants' checkpoints in it
	compared    int64 // tenants' checkpoints that it should commit to
	expired     map[keys.Ref]bool
	findings    []verify.Finding
	progress    func(done, total int)
	done, total int
}

func (c *checker) found(code, where, format string, args ...any) {
	if len(c.findings) < checkLimit {
		c.findings = append(c.findings, verify.Finding{Code: code, Where: where, What: fmt.Sprintf(format, args...)})
	}
}

func (c *checker) run(ctx context.Context) error {
	var sizes []treeSize
	err := c.log.db.Read(ctx, func(tx *store.Tx) (err error) {
		if err = c.platform(tx); err != nil {
			return err
		}
		sizes, err = treeSizes(tx)
		return err
	})
	if err != nil {
		return err
	}
	for _, s := range sizes {
		c.total += int(s.size)
	}
	for _, s := range sizes {
		if err := c.tree(ctx, s); err != nil {
			return err
		}
	}
	if c.compared != c.commitments {
		c.found("checkpoint-missing", "platform log", "It commits to %d checkpoints of tenants, and %d are there.", c.commitments, c.compared)
	}
	if err := c.unlogged(ctx); err != nil {
		return err
	}
	return c.activities(ctx)
}

// platform compares the platform log's head with its signed checkpoint, which
// was compared with the entries.
func (c *checker) platform(tx *store.Tx) error {
	signed, ok, err := lastCheckpoint(tx, platformTree)
	if err != nil || !ok {
		return err
	}
	size, root, edge, ok, err := headRow(tx, platformTree)
	if err != nil {
		return err
	}
	if !ok {
		c.found("head-missing", "platform log", "Its signed checkpoint has %d entries, and it has no head.", signed.size)
		return nil
	}
	head, err := loadTree(platformTree, size, root, edge)
	if err != nil {
		c.found("head-differs", "platform log", "Its head does not fit itself: %v.", err)
	} else if head.size != signed.size || head.root() != signed.root {
		c.found("head-differs", "platform log", "Its head has %d entries and is not that of its signed checkpoint, which has %d.", head.size, signed.size)
	}
	return nil
}

// tree compares one tenant's tree: it grows a second one from the leaves.
func (c *checker) tree(ctx context.Context, s treeSize) error {
	grown := &tree{name: s.name}
	lost := false
	for grown.size < s.size && !lost {
		err := c.log.db.Read(ctx, func(tx *store.Tx) error {
			from := grown.size
			until := min(from+verify.TileWidth, s.size)
			leaves, err := leavesWithRows(tx, s.name, from, until)
			if err != nil {
				return err
			}
			if lost = int64(len(leaves)) != until-from; lost {
				c.found("leaf-missing", "tree "+s.name, "Of the leaves %d to %d, only %d are there.", from, until-1, len(leaves))
				// Nothing can be grown beyond; the checkpoints there are not missing.
				beyond, err := countCheckpoints(tx, s.name, from, c.size)
				c.compared += beyond
				return err
			}
			return c.tile(ctx, tx, grown, leaves)
		})
		if err != nil {
			return err
		}
		c.done += verify.TileWidth
		c.progress(min(c.done, c.total), c.total)
	}
	switch {
	case s.head < 0:
		c.found("head-missing", "tree "+s.name, "Its leaves or checkpoints reach to %d, and it has no head.", s.size)
	case s.head < s.size:
		c.found("head-differs", "tree "+s.name, "Its head says that it has %d leaves; its leaves or checkpoints reach to %d.", s.head, s.size)
	}
	if lost {
		return nil
	}
	return c.log.db.Read(ctx, func(tx *store.Tx) error { return c.head(tx, s, grown) })
}

// tile compares up to 256 leaves and what lies above them.
func (c *checker) tile(ctx context.Context, tx *store.Tx, grown *tree, leaves []leafAndRow) error {
	from := grown.size
	checkpoints, err := checkpointsBetween(tx, grown.name, from, from+int64(len(leaves)))
	if err != nil {
		return err
	}
	for _, leaf := range leaves {
		grown.push(leafRow{leaf.name, leaf.entry})
		if err := c.event(ctx, tx, grown.name, leaf); err != nil {
			return err
		}
		for len(checkpoints) > 0 && checkpoints[0].size == grown.size {
			if err := c.checkpoint(tx, grown, checkpoints[0]); err != nil {
				return err
			}
			checkpoints = checkpoints[1:]
		}
	}
	hashes := grown.fresh
	grown.fresh, grown.leaves = nil, nil
	if len(leaves) == verify.TileWidth {
		return c.hashes(tx, grown.name, 0, from/verify.TileWidth, hashes)
	}
	return nil
}

// hashes compares a full tile with the hashes that it should hold, and the
// tiles above it that it completes.
func (c *checker) hashes(tx *store.Tx, name string, level int, n int64, want []tlog.Hash) error {
	where := fmt.Sprintf("tile %d at level %d of tree %s", n, level, name)
	data, root, ok, err := tileRow(tx, name, level, n)
	if err != nil {
		return err
	}
	if !ok {
		c.found("tile-missing", where, "The tile is not there.")
		return nil
	}
	if fold(want) != root {
		c.found("tile-differs", where, "The tile's root is not that of the leaves below it.")
	}
	got, err := unpackHashes(data)
	if err != nil || len(got) != len(want) {
		c.found("tile-differs", where, "The tile does not hold %d hashes.", len(want))
		return nil
	}
	for i := range got {
		if got[i] != want[i] {
			c.found("tile-differs", where, "The hash at position %d is not that of leaf or tile %d.", i, n*verify.TileWidth+int64(i))
			break
		}
	}
	if (n+1)%verify.TileWidth != 0 {
		return nil
	}
	up, err := tileRoots(tx, name, level, n/verify.TileWidth, verify.TileWidth)
	if err != nil {
		c.found("tile-missing", where, "The tile above cannot be made: %v.", err)
		return nil
	}
	return c.hashes(tx, name, level+1, n/verify.TileWidth, up)
}

// head compares the head with the leaves, and looks for their checkpoint.
func (c *checker) head(tx *store.Tx, s treeSize, grown *tree) error {
	if s.head == s.size {
		if s.root != grown.root() {
			c.found("head-differs", "tree "+s.name, "The head's root is not that of its %d leaves.", s.size)
		} else if string(s.edge) != string(packHashes(grown.edge)) {
			c.found("head-differs", "tree "+s.name, "The subtrees that its head holds are not those of its %d leaves.", s.size)
		}
	}
	last, err := checkpointsBetween(tx, s.name, s.size-1, s.size)
	if err == nil && len(last) == 0 {
		c.found("checkpoint-missing", "tree "+s.name, "The last of its %d leaves has no checkpoint.", s.size)
	}
	return err
}

// checkpoint compares a tenant's checkpoint with the tree, and the platform
// entry with the checkpoint.
func (c *checker) checkpoint(tx *store.Tx, grown *tree, have checkpointRow) error {
	where := fmt.Sprintf("checkpoint %d of tree %s", have.size, grown.name)
	if have.entry < c.size {
		c.compared++
	}
	if have.root != grown.root() {
		c.found("checkpoint-differs", where, "Its root is not that of the leaves before it: one of them was changed.")
		return nil
	}
	entries, err := readLeaves(tx, platformTree, have.entry, have.entry+1)
	if err != nil {
		return err
	}
	if len(have.salt) != verify.SaltSize || len(entries) != 1 {
		c.found("commitment-missing", where, "The platform log has no entry %d, or its salt is gone.", have.entry)
		return nil
	}
	want, err := c.log.tenantEntry(have)
	if err != nil {
		return err
	}
	if string(want) != string(entries[0]) {
		c.found("commitment-differs", where, "Entry %d of the platform log does not commit to it.", have.entry)
	}
	return nil
}

// event compares the row and the payload of an event with its leaf.
func (c *checker) event(ctx context.Context, tx *store.Tx, tenant string, have leafAndRow) error {
	leaf, err := verify.ParseLeaf(have.entry)
	if err != nil || leaf.Event != have.name {
		c.found("leaf-differs", fmt.Sprintf("leaf %d of tree %s", have.index, tenant), "The leaf of event %s cannot be read, or belongs to another event.", have.name)
		return nil
	}
	where := "event " + leaf.Event
	month := keys.MonthRef(leaf.Class, monthOf(id.Event(leaf.Event)))
	if !have.kind.Valid {
		gone, err := c.gone(ctx, month)
		if err == nil && !gone {
			c.found("event-missing", where, "Its leaf is in the log, its row is gone, and its month has not expired.")
		}
		return err
	}
	r := row{tenant: tenant, event: leaf.Event, kind: have.kind.String, class: have.class.String, at: have.at.Int64, actor: have.actor.String}
	if r.class != leaf.Class || r.at != store.Micros(leaf.At) {
		c.found("row-differs", where, "The class or time of its row is not that of its leaf.")
		return nil
	}
	return c.payload(ctx, tx, r, leaf.Commitment)
}

func (c *checker) payload(ctx context.Context, tx *store.Tx, r row, want verify.Digest) (err error) {
	where := "event " + r.event
	if r.body, err = readBody(tx, r.class, r.tenant, r.event); err != nil {
		return err
	}
	if r.body == nil {
		c.found("payload-missing", where, "Its payload is not there.")
		return nil
	}
	sections, err := decodeSections(r.body)
	if err != nil {
		c.found("payload-differs", where, "Its payload cannot be read.")
		return nil
	}
	if commitment(sections) != want {
		c.found("payload-differs", where, "Its payload is not what its leaf commits to.")
		return nil
	}
	at := payload{tenant: id.Tenant(r.tenant), event: id.Event(r.event), month: keys.MonthRef(r.class, monthOf(id.Event(r.event)))}
	var opened *core
	for _, s := range sections {
		_, exact, err := c.log.openSection(ctx, at, s)
		switch {
		case errors.Is(err, errShredded):
		case fault.KindOf(err) == fault.Unavailable || ctx.Err() != nil:
			return err
		case err != nil:
			c.found("payload-differs", where, "Its section %s was changed: %v.", s.name, err)
		case s.name == coreSection:
			opened = c.row(r, exact)
		}
	}
	return c.people(ctx, tx, r, at.month, about(r, opened, sections))
}

// row compares what lists an event with its core section, and returns that.
func (c *checker) row(r row, exact []byte) *core {
	var have core
	if err := json.Unmarshal(exact, &have); err != nil {
		c.found("payload-differs", "event "+r.event, "Its core section cannot be read.")
		return nil
	}
	if have.Type != r.kind || string(have.Tenant) != r.tenant || string(have.Actor.Account) != r.actor || store.Micros(have.At) != r.at {
		c.found("row-differs", "event "+r.event, "The type, tenant, actor or time of its row is not what was recorded.")
	}
	return &have
}

// unlogged looks for events that have neither a leaf nor wait for one, and
// compares those that wait.
func (c *checker) unlogged(ctx context.Context) error {
	var after eventKey
	for {
		var page []waiting
		err := c.log.db.Read(ctx, func(tx *store.Tx) (err error) {
			if page, err = withoutLeaf(tx, &after, 1000); err != nil {
				return err
			}
			for _, w := range page {
				if w.entry == nil {
					c.found("event-unlogged", "event "+w.event, "It is neither in the log nor waiting for it.")
				} else if err := c.event(ctx, tx, w.tenant, w.leaf()); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil || after == (eventKey{}) {
			return err
		}
	}
}
