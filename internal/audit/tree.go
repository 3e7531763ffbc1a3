package audit

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"math/bits"

	"golang.org/x/mod/sumdb/tlog"

	"troth/internal/store"
	"troth/verify"
)

// platformTree is the name of the platform log among the trees; every other
// tree bears the identifier of its tenant.
const platformTree = "log"

// tileHeight is that of C2SP tlog-tiles: 256 hashes.
const tileHeight = 8

// tree is a head that grows in memory. Edge holds the roots of the complete
// subtrees that the size is made of, largest first: RFC 6962, 2.1 cuts a tree
// of n leaves at the powers of two in n.
type tree struct {
	name string
	size int64
	edge []tlog.Hash

	first  int64 // the size before growing
	fresh  []tlog.Hash
	leaves []leafRow
}

// leafRow is a leaf that joins a tree. Name is the event, or the digest of
// evidence, or empty.
type leafRow struct {
	name  string
	entry []byte
}

// push appends a leaf.
func (t *tree) push(r leafRow) {
	h := tlog.RecordHash(r.entry)
	t.leaves = append(t.leaves, r)
	t.fresh = append(t.fresh, h)
	// Each trailing one bit of the old size is a complete subtree to merge with.
	for range bits.TrailingZeros64(^uint64(t.size)) {
		h = tlog.NodeHash(t.edge[len(t.edge)-1], h)
		t.edge = t.edge[:len(t.edge)-1]
	}
	t.edge = append(t.edge, h)
	t.size++
}

// root is the tree's root hash.
func (t *tree) root() tlog.Hash {
	if t.size == 0 {
		return sha256.Sum256(nil) // RFC 6962, 2.1: the hash of an empty list
	}
	h := t.edge[len(t.edge)-1]
	for i := len(t.edge) - 2; i >= 0; i-- {
		h = tlog.NodeHash(t.edge[i], h)
	}
	return h
}

func packHashes(hashes []tlog.Hash) []byte {
	b := make([]byte, 0, len(hashes)*tlog.HashSize)
	for _, h := range hashes {
		b = append(b, h[:]...)
	}
	return b
}

func unpackHashes(b []byte) ([]tlog.Hash, error) {
	if len(b)%tlog.HashSize != 0 {
		return nil, errors.New("stored hashes have a broken length")
	}
	hashes := make([]tlog.Hash, len(b)/tlog.HashSize)
	for i := range hashes {
		copy(hashes[i][:], b[i*tlog.HashSize:])
	}
	return hashes, nil
}

// loadTree makes a tree from its stored head, which must fit itself.
func loadTree(name string, size int64, root, edge []byte) (*tree, error) {
	hashes, err := unpackHashes(edge)
	if err != nil {
		return nil, fmt.Errorf("reading the head of tree %s: %w", name, err)
	}
	t := &tree{name: name, size: size, edge: hashes, first: size}
	if size < 0 || len(hashes) != bits.OnesCount64(uint64(size)) {
		return nil, fmt.Errorf("reading the head of tree %s: it holds %d hashes, which a tree of %d leaves has not", name, len(hashes), size)
	}
	if r := t.root(); string(r[:]) != string(root) {
		return nil, fmt.Errorf("reading the head of tree %s: its root does not follow from its edge", name)
	}
	return t, nil
}

// fullTiles writes the tiles that became full since the tree was loaded. The
// leaves must have been written.
func (t *tree) fullTiles(tx *store.Tx) error {
	for n := t.first / verify.TileWidth; (n+1)*verify.TileWidth <= t.size; n++ {
		hashes, err := t.leafHashes(tx, n)
		if err != nil {
			return err
		}
		if err := writeTile(tx, t.name, 0, n, hashes); err != nil {
			return err
		}
		// A full tile may be the last that a tile of the next level needs.
		for level, up := 1, n; (up+1)%verify.TileWidth == 0; level++ {
			up /= verify.TileWidth
			hashes, err := tileRoots(tx, t.name, level-1, up, verify.TileWidth)
			if err != nil {
				return err
			}
			if err := writeTile(tx, t.name, level, up, hashes); err != nil {
				return err
			}
		}
	}
	return nil
}

// leafHashes are the hashes of the full tile n of level 0: those of this
// growth are in memory, earlier ones are made from their leaves.
func (t *tree) leafHashes(tx *store.Tx, n int64) ([]tlog.Hash, error) {
	from := n * verify.TileWidth
	if from >= t.first {
		return t.fresh[from-t.first:][:verify.TileWidth], nil
	}
	entries, err := readLeaves(tx, t.name, from, t.first)
	if err != nil {
		return nil, err
	}
	hashes := make([]tlog.Hash, 0, verify.TileWidth)
	for _, e := range entries {
		hashes = append(hashes, tlog.RecordHash(e))
	}
	if int64(len(hashes)) != t.first-from {
		return nil, fmt.Errorf("the tree %s lacks leaves between %d and %d", t.name, from, t.first)
	}
	return append(hashes, t.fresh[:verify.TileWidth-len(hashes)]...), nil
}

// fold is the root of a full tile.
func fold(hashes []tlog.Hash) tlog.Hash {
	if len(hashes) == 1 {
		return hashes[0]
	}
	half := len(hashes) / 2
	return tlog.NodeHash(fold(hashes[:half]), fold(hashes[half:]))
}

// tileReader reads hashes of a stored tree at a size. It implements
// tlog.HashReader for proofs, and keeps the tiles that it read.
type tileReader struct {
	tx   *store.Tx
	name string
	size int64
	read map[tileName][]byte
	edge map[int64]tlog.Hash // by index, see knowEdge
}

type tileName struct {
	level int
	n     int64
}

// ReadHashes implements tlog.HashReader.
func (r *tileReader) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		if h, ok := r.edge[index]; ok {
			hashes[i] = h
			continue
		}
		t := tlog.TileForIndex(tileHeight, index)
		data, err := r.tile(t.L, t.N)
		if err != nil {
			return nil, err
		}
		t.W = len(data) / tlog.HashSize
		if hashes[i], err = tlog.HashFromTile(t, data, index); err != nil {
			return nil, fmt.Errorf("reading hash %d of tree %s: %w", index, r.name, err)
		}
	}
	return hashes, nil
}

// knowEdge takes the complete subtrees at the right from the head, if the head
// has the reader's size: so a proof reads no partial tile for them.
func (r *tileReader) knowEdge() error {
	heads, err := readTrees(r.tx, []string{r.name})
	if err != nil {
		return err
	}
	t := heads[r.name]
	if t.size != r.size {
		return nil
	}
	r.edge = make(map[int64]tlog.Hash, len(t.edge))
	at := int64(0)
	for _, h := range t.edge {
		level := bits.Len64(uint64(t.size-at)) - 1
		r.edge[tlog.StoredHashIndex(level, at>>level)] = h
		at += 1 << level
	}
	return nil
}

// width is how many hashes the tile holds in a tree of the reader's size.
func (r *tileReader) width(level int, n int64) int {
	return int(min(verify.TileWidth, r.size>>(tileHeight*level)-n*verify.TileWidth))
}

// tile reads the hashes of a tile as wide as the size allows.
func (r *tileReader) tile(level int, n int64) ([]byte, error) {
	name := tileName{level, n}
	if data, ok := r.read[name]; ok {
		return data, nil
	}
	w := r.width(level, n)
	if w <= 0 {
		return nil, fmt.Errorf("tree %s of size %d has no tile %d at level %d", r.name, r.size, n, level)
	}
	data, err := readTile(r.tx, r.name, level, n, w)
	if err != nil {
		return nil, err
	}
	if len(data) != w*tlog.HashSize {
		return nil, fmt.Errorf("tile %d at level %d of tree %s holds %d bytes instead of %d hashes", n, level, r.name, len(data), w)
	}
	if r.read == nil {
		r.read = map[tileName][]byte{}
	}
	r.read[name] = data
	return data, nil
}
