package audit

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"troth/internal/fault"
	"troth/internal/store"
	"troth/verify"
)

// The SQL of the trees.

// lockHead takes the platform log's head for this transaction: whoever comes
// second waits, or is replayed.
func lockHead(tx *store.Tx) error {
	n, err := tx.Exec(`UPDATE log_head SET turn = turn + 1 WHERE tree = $1`, platformTree)
	if err == nil && n != 1 {
		err = errors.New("the platform log has no head")
	}
	return err
}

// platform is the platform log's row in log_head.
type platform struct {
	tree   *tree
	epoch  int64
	origin string
}

func readPlatform(tx *store.Tx) (p platform, err error) {
	var size int64
	var root, edge []byte
	err = tx.QueryRow(`SELECT size, root, edge, epoch, origin FROM log_head WHERE tree = $1`, platformTree).
		Scan(&size, &root, &edge, &p.epoch, &p.origin)
	if err != nil {
		return p, err
	}
	p.tree, err = loadTree(platformTree, size, root, edge)
	return p, err
}

func insertPlatform(tx *store.Tx, origin string) error {
	empty := (&tree{}).root()
	_, err := tx.Exec(`INSERT INTO log_head (tree, size, root, edge, turn, epoch, origin) VALUES ($1, 0, $2, $3, 0, 1, $4) ON CONFLICT (tree) DO NOTHING`,
		platformTree, empty[:], []byte{}, origin)
	return err
}

func writePlatform(tx *store.Tx, p platform) error {
	root := p.tree.root()
	_, err := tx.Exec(`UPDATE log_head SET size = $1, root = $2, edge = $3, epoch = $4 WHERE tree = $5`,
		p.tree.size, root[:], packHashes(p.tree.edge), p.epoch, platformTree)
	return err
}

// pendingRow waits in audit_pending.
type pendingRow struct {
	name, tree string
	entry      []byte
}

func anyPending(tx *store.Tx) (bool, error) {
	var name string
	err := tx.QueryRow(`SELECT name FROM audit_pending LIMIT 1`).Scan(&name)
	if errors.Is(err, store.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

func readPending(tx *store.Tx, limit int) ([]pendingRow, error) {
	rows, err := tx.Query(`SELECT name, tree, entry FROM audit_pending ORDER BY name LIMIT $1`, limit)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(p *pendingRow) []any { return []any{&p.name, &p.tree, &p.entry} })
}

// deletePending removes the rows that readPending returned, in the same
// snapshot: everything up to the last of them. A row more or less than that
// would be an event lost, so the number must fit.
func deletePending(tx *store.Tx, rows []pendingRow) error {
	n, err := tx.Exec(`DELETE FROM audit_pending WHERE name <= $1`, rows[len(rows)-1].name)
	if err == nil && n != int64(len(rows)) {
		err = fmt.Errorf("%d pending rows were read and %d deleted", len(rows), n)
	}
	return err
}

// readTrees loads the heads of the named trees; those without a row are empty.
func readTrees(tx *store.Tx, names []string) (map[string]*tree, error) {
	all := make(map[string]*tree, len(names))
	for _, name := range names {
		all[name] = &tree{name: name}
	}
	for chunk := range chunks(names) {
		args := make([]any, len(chunk))
		for i, name := range chunk {
			args[i] = name
		}
		rows, err := tx.Query(`SELECT tree, size, root, edge FROM log_head WHERE tree IN `+tuples(1, len(chunk)), args...)
		if err != nil {
			return nil, err
		}
		type head struct {
			name       string
			size       int64
			root, edge []byte
		}
		heads, err := collect(rows, func(h *head) []any { return []any{&h.name, &h.size, &h.root, &h.edge} })
		if err != nil {
			return nil, err
		}
		for _, h := range heads {
			if all[h.name], err = loadTree(h.name, h.size, h.root, h.edge); err != nil {
				return nil, err
			}
		}
	}
	return all, nil
}

// writeTrees stores the heads of tenant trees.
func writeTrees(tx *store.Tx, trees []*tree) error {
	in := inserter{tx: tx, into: `log_head (tree, size, root, edge, turn, epoch, origin)`, columns: 7,
		conflict: ` ON CONFLICT (tree) DO UPDATE SET size = excluded.size, root = excluded.root, edge = excluded.edge`}
	for _, t := range trees {
		root := t.root()
		in.add(t.name, t.size, root[:], packHashes(t.edge), 0, 0, "")
	}
	return in.done()
}

// writeLeaves stores the leaves that joined the trees.
func writeLeaves(tx *store.Tx, trees []*tree) error {
	in := inserter{tx: tx, into: `log_leaf (tree, idx, name, entry)`, columns: 4}
	for _, t := range trees {
		for i, r := range t.leaves {
			in.add(t.name, t.first+int64(i), r.name, r.entry)
		}
	}
	return in.done()
}

// checkpointRow is a row of log_checkpoint.
type checkpointRow struct {
	tree  string
	size  int64
	root  tlog.Hash
	salt  []byte
	entry int64
	note  []byte
}

func writeCheckpoints(tx *store.Tx, rows []checkpointRow, now time.Time) error {
	in := inserter{tx: tx, into: `log_checkpoint (tree, size, root, salt, entry, note, created_at)`, columns: 7}
	for _, c := range rows {
		in.add(c.tree, c.size, c.root[:], notNil(c.salt), c.entry, notNil(c.note), store.Micros(now))
	}
	return in.done()
}

// notNil is an empty value of a BYTEA column that is NOT NULL.
func notNil(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// lastCheckpoint reads the newest checkpoint of a tree, false if there is none.
func lastCheckpoint(tx *store.Tx, tree string) (c checkpointRow, ok bool, err error) {
	var root []byte
	err = tx.QueryRow(`SELECT tree, size, root, salt, entry, note FROM log_checkpoint WHERE tree = $1 ORDER BY size DESC LIMIT 1`, tree).
		Scan(&c.tree, &c.size, &root, &c.salt, &c.entry, &c.note)
	if errors.Is(err, store.ErrNoRows) {
		return c, false, nil
	}
	if err == nil && len(root) != tlog.HashSize {
		err = fmt.Errorf("the checkpoint of tree %s has a root of %d bytes", tree, len(root))
	}
	copy(c.root[:], root)
	return c, err == nil, err
}

func writeTile(tx *store.Tx, tree string, level int, n int64, hashes []tlog.Hash) error {
	root := fold(hashes)
	_, err := tx.Exec(`INSERT INTO log_tile (tree, level, n, root, hashes) VALUES ($1, $2, $3, $4, $5)`,
		tree, level, n, root[:], packHashes(hashes))
	return err
}

// tileRoots are the first w hashes of tile n of the level above: the roots of
// the full tiles below it.
func tileRoots(tx *store.Tx, tree string, level int, n int64, w int) ([]tlog.Hash, error) {
	roots, err := column[[]byte](tx.Query(`SELECT root FROM log_tile WHERE tree = $1 AND level = $2 AND n >= $3 AND n < $4 ORDER BY n`,
		tree, level, n*verify.TileWidth, n*verify.TileWidth+int64(w)))
	if err != nil {
		return nil, err
	}
	if len(roots) != w {
		return nil, fmt.Errorf("the tree %s has %d of the %d full tiles at level %d below tile %d", tree, len(roots), w, level, n)
	}
	var all []byte
	for _, r := range roots {
		all = append(all, r...)
	}
	return unpackHashes(all)
}

// readTile reads the first w hashes of a tile: of a full one as stored, of any
// other from what is below it.
func readTile(tx *store.Tx, tree string, level int, n int64, w int) ([]byte, error) {
	var hashes []tlog.Hash
	switch {
	case w == verify.TileWidth:
		var data []byte
		err := tx.QueryRow(`SELECT hashes FROM log_tile WHERE tree = $1 AND level = $2 AND n = $3`, tree, level, n).Scan(&data)
		if err != nil {
			return nil, fmt.Errorf("reading tile %d at level %d of tree %s: %w", n, level, tree, err)
		}
		return data, nil
	case level == 0:
		entries, err := readLeaves(tx, tree, n*verify.TileWidth, n*verify.TileWidth+int64(w))
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			hashes = append(hashes, tlog.RecordHash(e))
		}
	default:
		var err error
		if hashes, err = tileRoots(tx, tree, level-1, n, w); err != nil {
			return nil, err
		}
	}
	return packHashes(hashes), nil
}

// readLeaves reads the entries from (included) to until (excluded).
func readLeaves(tx *store.Tx, tree string, from, until int64) ([][]byte, error) {
	return column[[]byte](tx.Query(`SELECT entry FROM log_leaf WHERE tree = $1 AND idx >= $2 AND idx < $3 ORDER BY idx`, tree, from, until))
}

// leafOf finds the leaf that bears the name, false if there is none in the tree.
func leafOf(tx *store.Tx, tree, name string) (idx int64, entry []byte, ok bool, err error) {
	err = tx.QueryRow(`SELECT idx, entry FROM log_leaf WHERE name = $1 AND name <> '' AND tree = $2`, name, tree).Scan(&idx, &entry)
	if errors.Is(err, store.ErrNoRows) {
		return 0, nil, false, nil
	}
	return idx, entry, err == nil, err
}

// loggedAt is when the first checkpoint was made that holds the leaf.
func loggedAt(tx *store.Tx, tree string, index int64) (time.Time, error) {
	var at int64
	err := tx.QueryRow(`SELECT created_at FROM log_checkpoint WHERE tree = $1 AND size > $2 ORDER BY size LIMIT 1`, tree, index).Scan(&at)
	return store.FromMicros(at), err
}

func insertEvidence(tx *store.Tx, d verify.Digest, envelope, entry []byte, now time.Time) error {
	name := hex.EncodeToString(d[:])
	n, err := tx.Exec(`INSERT INTO log_evidence (digest, envelope, created_at) VALUES ($1, $2, $3) ON CONFLICT (digest) DO NOTHING`,
		name, envelope, store.Micros(now))
	if err != nil || n == 0 {
		return err // the same bytes are in the log already
	}
	_, err = tx.Exec(`INSERT INTO audit_pending (name, tree, entry) VALUES ($1, $2, $3)`, name, platformTree, entry)
	return err
}

var errNoEvidence = fault.New(fault.NotFound, "audit.no_evidence", "There is no evidence with this digest.")

func readEvidence(tx *store.Tx, digest string) ([]byte, error) {
	var envelope []byte
	err := tx.QueryRow(`SELECT envelope FROM log_evidence WHERE digest = $1`, digest).Scan(&envelope)
	if errors.Is(err, store.ErrNoRows) {
		return nil, errNoEvidence
	}
	return envelope, err
}

// insertStep is how many rows one statement inserts: enough that parsing it is
// a small part of the work, few enough for the limits on parameters.
const insertStep = 64

// inserter inserts rows, many with one statement. Only two texts a table ever
// reach the database: of a full step and of a single row.
type inserter struct {
	tx       *store.Tx
	into     string
	columns  int
	conflict string
	args     []any
	err      error
}

func (in *inserter) add(values ...any) {
	in.args = append(in.args, values...)
	if len(in.args) == insertStep*in.columns {
		in.flush(insertStep)
	}
}

// flush inserts what waits, step rows at a time.
func (in *inserter) flush(step int) {
	for width := step * in.columns; len(in.args) > 0 && in.err == nil; in.args = in.args[width:] {
		_, in.err = in.tx.Exec(`INSERT INTO `+in.into+` VALUES `+values(step, in.columns)+in.conflict, in.args[:width]...)
	}
	in.args = in.args[:0]
}

func (in *inserter) done() error {
	in.flush(1)
	return in.err
}

// stepValues caches the texts of full steps by the number of columns.
var stepValues = func() (all [8]string) {
	for c := 1; c < len(all); c++ {
		all[c] = tuples(insertStep, c)
	}
	return all
}()

func values(rows, columns int) string {
	if rows == insertStep && columns < len(stepValues) {
		return stepValues[columns]
	}
	return tuples(rows, columns)
}

// chunks cuts names into parts of at most insertStep.
func chunks(names []string) func(yield func([]string) bool) {
	return func(yield func([]string) bool) {
		for len(names) > 0 {
			n := min(insertStep, len(names))
			if !yield(names[:n]) {
				return
			}
			names = names[n:]
		}
	}
}

// tenantOrigin is the first line of a tenant's checkpoints.
func tenantOrigin(origin, tree string) string {
	var b strings.Builder
	b.Grow(len(origin) + len(tree) + 3)
	b.WriteString(origin)
	b.WriteString("/t/")
	b.WriteString(tree)
	return b.String()
}

// evidenceBetween lists the digests of evidence in a range of the platform
// log. A digest is the only name of 64 characters there.
func evidenceBetween(tx *store.Tx, from, until int64) ([]string, error) {
	return column[string](tx.Query(`SELECT name FROM log_leaf WHERE tree = $1 AND idx >= $2 AND idx < $3 AND length(name) = 64 ORDER BY idx`,
		platformTree, from, until))
}
