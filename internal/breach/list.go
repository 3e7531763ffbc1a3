package breach

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"sort"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/FastFilter/xorfilter"
)

// list is the open file of one kind. Its methods are safe for concurrent use,
// but for close.
type list struct {
	m     manifest
	info  os.FileInfo
	data  []byte
	unmap func() error

	filters  []xorfilter.BinaryFuse[uint16]
	verified []atomic.Bool
	mu       sync.Mutex // one shard is verified at a time
	damaged  atomic.Pointer[damage]
}

// damage is why a list is not believed.
type damage struct{ error }

// openList maps the file of a list. The manifest is checked now, the shards
// when they are first asked.
func openList(path string) (*list, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() // the mapping stays
	m, size, err := readManifest(f)
	if err != nil {
		return nil, &damage{err}
	}
	l := &list{m: m, filters: make([]xorfilter.BinaryFuse[uint16], len(m.Shards)), verified: make([]atomic.Bool, len(m.Shards))}
	if l.info, err = f.Stat(); err != nil {
		return nil, err
	}
	if l.data, l.unmap, err = mapFile(f, size); err != nil {
		return nil, fmt.Errorf("mapping a list into memory: %w", err)
	}
	for i, s := range m.Shards {
		l.filters[i] = s.filter(prints(l.bytes(i)))
	}
	return l, nil
}

func (l *list) close() error { return l.unmap() }

// bytes are the fingerprints of a shard as they stand in the file.
func (l *list) bytes(i int) []byte {
	s := l.m.Shards[i]
	return l.data[s.Offset : s.Offset+2*s.cells()]
}

// prints are fingerprints in the memory of this machine: the file's own, where
// it is little-endian.
func prints(b []byte) []uint16 {
	if binary.NativeEndian.Uint16([]byte{1, 0}) == 1 {
		return unsafe.Slice((*uint16)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/2) // the offset is a multiple of 64
	}
	all := make([]uint16, len(b)/2)
	for i := range all {
		all[i] = binary.LittleEndian.Uint16(b[2*i:])
	}
	return all
}

// has reports whether a hash is in the list; of those that are not, one in
// 65,536 is said to be.
func (l *list) has(k key) (found bool, err error) {
	if d := l.damaged.Load(); d != nil {
		return false, d
	}
	i := sort.Search(len(l.m.Shards), func(i int) bool { return uint64(l.m.Shards[i].First) > k.hi }) - 1
	if i < 0 {
		return false, nil
	}
	// A file that somebody shortened while it is mapped makes the memory behind
	// its end fault (SIGBUS). That must not end the program.
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = l.condemn(fmt.Errorf("the file was changed while it was open: %v", r))
		}
	}()
	if !l.verified[i].Load() {
		if err := l.verify(i); err != nil {
			return false, err
		}
	}
	return l.filters[i].Contains(k.lo), nil
}

// verify compares a shard with its SHA-256.
func (l *list) verify(i int) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.verified[i].Load() {
		return nil
	}
	s := l.m.Shards[i]
	soon(l.data, s.Offset, s.Offset+2*s.cells())
	if sum := sha256.Sum256(l.bytes(i)); hex.EncodeToString(sum[:]) != l.m.Shards[i].SHA256 {
		return l.condemn(fmt.Errorf("shard %d of %d is damaged", i+1, len(l.m.Shards)))
	}
	l.verified[i].Store(true)
	return nil
}

// verifyAll compares every shard again, whether it was before or not.
func (l *list) verifyAll() (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = l.condemn(fmt.Errorf("the file was changed while it was open: %v", r))
		}
	}()
	for i := range l.verified {
		l.verified[i].Store(false)
		if err := l.verify(i); err != nil {
			return err
		}
	}
	return nil
}

// condemn marks the list as damaged, for as long as it is open.
func (l *list) condemn(err error) error {
	d := &damage{err}
	l.damaged.CompareAndSwap(nil, d)
	return d
}

// isDamage reports whether an error says that a file is not what was written.
func isDamage(err error) bool {
	_, ok := errors.AsType[*damage](err)
	return ok
}

// same reports whether a file is still the one that was looked at.
func same(was, is os.FileInfo) bool {
	return was != nil && os.SameFile(was, is) && was.Size() == is.Size() && was.ModTime().Equal(is.ModTime())
}
