package audit

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"troth/verify"
)

// replaceFile replaces a file whole, so that after a crash it is the old or
// the new one: the bytes are on the disk before they get the name, and the
// name is when it returns. The directory must exist.
func replaceFile(path string, mode fs.FileMode, b []byte) (err error) {
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(tmp.Name())
		}
	}()
	if err = tmp.Chmod(mode); err == nil {
		_, err = tmp.Write(b)
	}
	if err == nil {
		err = tmp.Sync()
	}
	if cerr := tmp.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

// load reads a small file, as much of it as a checkpoint may have; nil if
// there is none.
func load(path string) ([]byte, error) {
	if path == "" {
		return nil, nil
	}
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, verify.MaxCheckpoint+1))
}
