//go:build unix

package breach

import (
	"os"

	"golang.org/x/sys/unix"
)

// mapFile maps a file into memory: nothing is read before it is asked for, and
// all processes of the machine share what was.
func mapFile(f *os.File, size int64) (data []byte, unmap func() error, err error) {
	data, err = unix.Mmap(int(f.Fd()), 0, int(size), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, nil, os.NewSyscallError("mmap", err)
	}
	// Look-ups are spread evenly: what lies beside is of no use.
	if err := unix.Madvise(data, unix.MADV_RANDOM); err != nil {
		return nil, nil, os.NewSyscallError("madvise", err)
	}
	return data, func() error { return unix.Munmap(data) }, nil
}

// soon says that a part of a mapped file is about to be read whole.
func soon(data []byte, from, to int64) {
	from -= from % int64(os.Getpagesize())
	_ = unix.Madvise(data[from:to], unix.MADV_WILLNEED) // it is read anyway, only slower
}

// lockFile keeps two imports from writing one file. The lock ends with the file.
func lockFile(f *os.File) (ok bool) {
	return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil
}
