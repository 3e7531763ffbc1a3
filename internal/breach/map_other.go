//go:build !unix

package breach

import (
	"io"
	"os"
)

// mapFile reads a file into memory where files cannot be mapped.
func mapFile(f *os.File, size int64) (data []byte, unmap func() error, err error) {
	data = make([]byte, size)
	_, err = io.ReadFull(io.NewSectionReader(f, 0, size), data)
	return data, func() error { return nil }, err
}

// soon has nothing to do where everything was read.
func soon([]byte, int64, int64) {}

// lockFile locks nothing where files cannot be locked.
func lockFile(*os.File) (ok bool) { return true }
