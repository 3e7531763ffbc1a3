package plug

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"unicode/utf16"
)

// The bounds of a search.
const (
	maxScan  = 2 << 30 // bytes of one file or stream: its first and its last half of that
	scanStep = 1 << 20
)

// needle is something that must not be found, in all the forms in which it
// might have been written.
type needle [][]byte

// spellings are the bytes themselves, in base 16, in base 64 at each of its
// three alignments, and as UTF-16.
func spellings(b []byte) needle {
	n := needle{bytes.Clone(b), []byte(hex.EncodeToString(b)), bytes.ToUpper([]byte(hex.EncodeToString(b)))}
	for shift := range 3 {
		for _, e := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			s := e.EncodeToString(append(make([]byte, shift), b...))
			// What the neighbours decide is left out, at both ends.
			s = s[(shift*8+5)/6 : len(s)-1]
			if !slices.ContainsFunc(n, func(f []byte) bool { return string(f) == s }) {
				n = append(n, []byte(s))
			}
		}
	}
	var le, be []byte
	for _, u := range utf16.Encode([]rune(string(b))) {
		le, be = append(le, byte(u), byte(u>>8)), append(be, byte(u>>8), byte(u))
	}
	return append(n, le, be)
}

// search looks for needles in what is written to it.
type search struct {
	needles []needle
	found   []bool // by needle
	bytes   int64
	longest int
	tail    []byte // of what was written before: a needle may stand across
}

func newSearch(needles ...needle) *search {
	s := &search{needles: needles, found: make([]bool, len(needles))}
	for _, n := range needles {
		for _, form := range n {
			s.longest = max(s.longest, len(form))
		}
	}
	return s
}

// errEnough ends a stream that is larger than what is searched.
var errEnough = errors.New("enough was searched")

// Write searches one piece.
func (s *search) Write(p []byte) (int, error) {
	s.bytes += int64(len(p))
	s.tail = append(s.tail, p...)
	for i, n := range s.needles {
		for _, form := range n {
			s.found[i] = s.found[i] || bytes.Contains(s.tail, form)
		}
	}
	s.tail = append(s.tail[:0], s.tail[max(0, len(s.tail)-s.longest+1):]...)
	if s.bytes > maxScan {
		return len(p), errEnough
	}
	return len(p), nil
}

// file searches one file, of a very large one its beginning and its end. A file
// that vanishes meanwhile was temporary.
func (s *search) file(ctx context.Context, path string) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("opening a file to search: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return err
	}
	s.tail = s.tail[:0]
	buf := make([]byte, scanStep)
	for at := int64(0); ; {
		if err := ctx.Err(); err != nil {
			return err
		}
		if size := info.Size(); size > maxScan && at >= maxScan/2 && at < size-maxScan/2 {
			at, s.tail = size-maxScan/2, s.tail[:0]
		}
		n, err := f.ReadAt(buf, at)
		s.Write(buf[:n]) // its error is for streams
		at += int64(n)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading a file to search: %w", err)
		}
	}
}

// tree searches all files below a directory, but for those to skip, and returns
// how many.
func (s *search) tree(ctx context.Context, dir string, skip []string) (files int, err error) {
	var away []string
	for _, d := range skip {
		if abs, err := filepath.Abs(d); err == nil {
			away = append(away, abs)
		}
	}
	dir, err = filepath.Abs(dir)
	if err != nil {
		return 0, fmt.Errorf("resolving the data directory: %w", err)
	}
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist) && path != dir:
			return nil
		case err != nil:
			return err
		case d.IsDir() && slices.Contains(away, path):
			return fs.SkipDir
		case !d.Type().IsRegular():
			return nil
		}
		files++
		return s.file(ctx, path)
	})
	if err != nil {
		return files, fmt.Errorf("searching the data directory: %w", err)
	}
	return files, nil
}
