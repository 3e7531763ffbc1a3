package throttle

import (
	"encoding/binary"
	"sync"
)

// ways is how many keys share one corner of a table; within it a key is found
// by looking at all.
const ways = 8

// locks is into how many parts a table is divided, each under a lock of its own.
const locks = 64

// entry is what is known about a key: the moment, in microseconds, at which it
// has nothing to be remembered for any more. The zero entry is free.
type entry struct {
	key   Key
	until int64
}

// table holds a fixed number of keys. A key's corner follows from the key itself,
// which is a keyed digest: nobody outside can choose it.
type table struct {
	sets [][ways]entry
	mask uint64
	lock [locks]struct {
		sync.Mutex
		_ [56]byte // a cache line each
	}
}

// newTable makes a table for at least so many keys.
func newTable(keys int) *table {
	n := 1
	for n*ways < keys {
		n *= 2
	}
	return &table{sets: make([][ways]entry, n), mask: uint64(n - 1)}
}

// corner locks the corner of a key, and returns it with what unlocks it.
func (t *table) corner(k Key) (*[ways]entry, *sync.Mutex) {
	i := binary.LittleEndian.Uint64(k[:8]) & t.mask
	l := &t.lock[i%locks].Mutex
	l.Lock()
	return &t.sets[i], l
}

// find is the entry of a key, or nil.
func find(set *[ways]entry, k Key) *entry {
	for i := range set {
		if set[i].key == k && set[i].until != 0 {
			return &set[i]
		}
	}
	return nil
}

// place is the entry of a key, made if need be in the place of the one that says
// least. If that one still owes, the newcomer takes over what it owes.
func place(set *[ways]entry, k Key, now int64) *entry {
	if e := find(set, k); e != nil {
		return e
	}
	least := &set[0]
	for i := range set {
		if set[i].until < least.until {
			least = &set[i]
		}
	}
	least.key, least.until = k, max(least.until, now)
	return least
}
