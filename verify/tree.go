package verify

import "golang.org/x/mod/sumdb/tlog"

// subtree is the root of a perfect tree over 2^k hashes (RFC 6962, 2.1). It
// overwrites its argument.
func subtree(hashes []tlog.Hash) tlog.Hash {
	for n := len(hashes); n > 1; n /= 2 {
		for i := range n / 2 {
			hashes[i] = tlog.NodeHash(hashes[2*i], hashes[2*i+1])
		}
	}
	return hashes[0]
}

// perfect splits n hashes of one level into the roots of perfect trees, the
// largest first.
func perfect(hashes []tlog.Hash) []tlog.Hash {
	var roots []tlog.Hash
	buf := make([]tlog.Hash, TileWidth)
	for bit := TileWidth; bit > 0; bit /= 2 {
		if len(hashes)&bit != 0 { // what remains is always shorter than two bits
			roots = append(roots, subtree(buf[:copy(buf, hashes[:bit])]))
			hashes = hashes[bit:]
		}
	}
	return roots
}

// frontier holds, for each level of tiles, the hashes of the tile that is not
// full yet: all that is needed to compute the root, in memory that grows with
// the logarithm of the log.
type frontier [maxLevel + 2][]tlog.Hash

// add appends a hash to a level and says whether the level's tile is now full.
func (f *frontier) add(level int, h tlog.Hash) (full bool) {
	f[level] = append(f[level], h)
	return len(f[level]) == TileWidth
}

// close empties a full tile and returns its root, which belongs to the level above.
func (f *frontier) close(level int) tlog.Hash {
	root := subtree(f[level])
	f[level] = f[level][:0]
	return root
}

// root is the root of the tree whose tail at the level of entries is given
// (RFC 6962, 2.1: the root of an empty tree is the hash of nothing).
func (f *frontier) root(tail []tlog.Hash) tlog.Hash {
	var roots []tlog.Hash
	for level := len(f) - 1; level > 0; level-- {
		roots = append(roots, perfect(f[level])...)
	}
	roots = append(roots, perfect(tail)...)
	if len(roots) == 0 {
		return tlog.Hash(emptyRoot)
	}
	h := roots[len(roots)-1]
	for i := len(roots) - 2; i >= 0; i-- {
		h = tlog.NodeHash(roots[i], h)
	}
	return h
}

// emptyRoot is SHA-256 of nothing.
var emptyRoot = DigestOf(nil)
