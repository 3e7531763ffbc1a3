package store

import (
	"crypto/aes"
	"crypto/rand"
	"sync"

	"github.com/ncruces/go-sqlite3/util/vfsutil"
	"github.com/ncruces/go-sqlite3/vfs"
	xtsvfs "github.com/ncruces/go-sqlite3/vfs/xts"
	"golang.org/x/crypto/xts"

	"troth/internal/secret"
)

// keySize is the length of the database key: AES-256-XTS takes two keys of 32
// bytes (IEEE 1619; SP 800-38E).
const keySize = 64

// vfsName is the name under which SQLite knows the encrypting file system.
const vfsName = "troth"

var registerVFS = sync.OnceFunc(func() {
	vfs.Register(vfsName, fileSystem{xtsvfs.Wrap(vfs.Find(""), ciphers{}).(vfs.VFSFilename)})
})

// fileSystem is the encrypting file system, which keeps the journals of
// savepoints in memory.
type fileSystem struct{ vfs.VFSFilename }

// OpenFilename implements vfs.VFSFilename.
func (f fileSystem) OpenFilename(name *vfs.Filename, flags vfs.OpenFlag) (vfs.File, vfs.OpenFlag, error) {
	if flags&vfs.OPEN_SUBJOURNAL == 0 {
		return f.VFSFilename.OpenFilename(name, flags)
	}
	return &journal{File: new(vfsutil.SliceFile), spill: func() (vfs.File, error) {
		file, _, err := f.VFSFilename.OpenFilename(name, flags)
		return file, err
	}}, flags, nil
}

// maxJournal is how much of a savepoint's journal stays in memory.
const maxJournal = 16 << 20

// journal is the journal of a savepoint: the old content of every page that
// changes, needed until the savepoint is released and never after a crash. As
// an encrypted file it would cost more than all the rest of a small write.
// When it grows too large it becomes one.
type journal struct {
	vfs.File
	spill func() (vfs.File, error) // nil once it is a file
}

// WriteAt implements io.WriterAt.
func (j *journal) WriteAt(b []byte, off int64) (int, error) {
	if j.spill != nil && off+int64(len(b)) > maxJournal {
		file, err := j.spill()
		if err != nil {
			return 0, err
		}
		old := *j.File.(*vfsutil.SliceFile)
		if _, err := file.WriteAt(old, 0); err != nil {
			file.Close()
			return 0, err
		}
		j.File, j.spill = file, nil
	}
	return j.File.WriteAt(b, off)
}

// ciphers makes the ciphers of the encrypting file system. Against the
// library's own it takes only AES-256, gives temporary files AES-256 too (the
// library: AES-128), and knows keys that were lent under a name, so that the
// key of a backup's file never stands in a URI.
type ciphers struct{}

// XTS makes a cipher; nil refuses the key.
func (ciphers) XTS(key []byte) *xts.Cipher {
	if len(key) != keySize {
		return nil
	}
	c, err := xts.NewCipher(aes.NewCipher, key)
	if err != nil {
		return nil
	}
	return c
}

// KDF returns the key that was lent under the name, or a random one for a
// temporary file, which has no name.
func (ciphers) KDF(name string) []byte {
	if name == "" {
		key := make([]byte, keySize)
		rand.Read(key)
		return key
	}
	key, _ := lent.Load(name)
	k, _ := key.(secret.Bytes)
	return k.Reveal()
}

// lent holds keys under random names while a backup runs.
var lent sync.Map

// lend makes a key known to the file system under a random name.
func lend(key secret.Bytes) (name string, takeBack func()) {
	name = rand.Text()
	lent.Store(name, key)
	return name, func() { lent.Delete(name) }
}
