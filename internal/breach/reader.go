package breach

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"

	"troth/internal/fault"
)

// Format is how the input of an import is read.
type Format string

// The formats. Auto tells them apart by the length of the first line and the
// names of the files.
const (
	FormatAuto  Format = "auto"
	FormatSHA1  Format = "sha1"  // HEX40:COUNT
	FormatNTLM  Format = "ntlm"  // HEX32:COUNT
	FormatRange Format = "range" // files ABCDE.txt with SUFFIX:COUNT
)

// rangeDigits is how much of a hash stands in the name of a range file.
const rangeDigits = 5

// reader reads the hashes of one file.
type reader struct {
	name   string // as the operator wrote it
	kind   Kind
	prefix string // of a range file
	line   int64
	in     *bufio.Reader
	close  func() error
}

// readBuffer holds many lines; a longer line is none.
const readBuffer = 1 << 18

// counted counts what is read of a file, packed or not.
type counted struct {
	io.Reader
	done *atomic.Int64
}

func (c counted) Read(b []byte) (int, error) {
	n, err := c.Reader.Read(b)
	c.done.Add(int64(n))
	return n, err
}

// openInput opens a file, "-" for stdin, and unpacks gzip.
func openInput(name string, stdin io.Reader, done *atomic.Int64) (*reader, error) {
	r := &reader{name: name, close: func() error { return nil }}
	from := stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, fault.Wrap(err, fault.NotFound, "breach.input", "%s cannot be read: %v.", name, reason(err))
		}
		from, r.close = f, f.Close
	}
	r.in = bufio.NewReaderSize(counted{from, done}, readBuffer)
	head, _ := r.in.Peek(6) // what is shorter is no archive
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		z, err := gzip.NewReader(r.in)
		if err != nil {
			return nil, errors.Join(fault.Wrap(err, fault.Invalid, "breach.input", "%s is a damaged gzip file.", name), r.close())
		}
		r.in = bufio.NewReaderSize(z, readBuffer)
	case bytes.HasPrefix(head, []byte("7z\xbc\xaf")), bytes.HasPrefix(head, []byte("PK\x03\x04")):
		return nil, errors.Join(fault.New(fault.Invalid, "breach.input", "%s is an archive. Unpack it first, or pipe it in: 7z x -so %s | troth breach import -", name, name), r.close())
	}
	return r, nil
}

// reason is what the system says, without the path.
func reason(err error) error {
	if p, ok := errors.AsType[*os.PathError](err); ok {
		return p.Err
	}
	return err
}

// rangePrefix is the prefix that a range file is named after, or "".
func rangePrefix(name string) string {
	base := filepath.Base(name)
	base = strings.TrimSuffix(base, ".gz")
	base, ok := strings.CutSuffix(base, ".txt")
	if !ok && strings.Contains(base, ".") || len(base) != rangeDigits {
		return ""
	}
	for i := range len(base) {
		if nibble[base[i]] > 15 {
			return ""
		}
	}
	return strings.ToUpper(base)
}

// begin finds out what the file is made of, from its name and its first line.
// An empty file is of no kind.
func (r *reader) begin(format Format) error {
	head, err := r.in.Peek(64)
	if err != nil && !errors.Is(err, io.EOF) {
		return r.broken(err)
	}
	head = bytes.TrimPrefix(head, []byte("\xef\xbb\xbf"))
	digits := 0
	for digits < len(head) && nibble[head[digits]] < 16 {
		digits++
	}
	if format == FormatRange || format == FormatAuto && (digits == 35 || digits == 27) {
		if r.prefix = rangePrefix(r.name); r.prefix == "" {
			return fault.New(fault.Invalid, "breach.range_name", "%s holds the ends of hashes, and its name does not say how they begin. A range file is named after the first five digits, as in 0A1B2.txt.", r.name)
		}
		digits += rangeDigits
	}
	switch digits {
	case SHA1.digits():
		r.kind = SHA1
	case NTLM.digits():
		r.kind = NTLM
	}
	if want := Kind(format); r.kind != "" && (format == FormatSHA1 || format == FormatNTLM) && want != r.kind {
		return fault.New(fault.Invalid, "breach.format", "%s holds hashes of %d digits; --format %s has %d.", r.name, r.kind.digits(), format, want.digits())
	}
	if r.kind == "" && len(head) > 0 {
		return r.bad("is no hash of 40 (SHA-1) or 32 (NTLM) hexadecimal digits")
	}
	return nil
}

// bad is a fault about the line that is being read. It does not repeat it: it
// may be a password.
func (r *reader) bad(what string) error {
	return fault.New(fault.Invalid, "breach.line", "%s, line %d %s. Nothing was changed.", r.name, max(r.line, 1), what)
}

func (r *reader) broken(err error) error {
	return fault.Wrap(err, fault.Invalid, "breach.input", "%s cannot be read beyond line %d: %v. Nothing was changed.", r.name, r.line, reason(err))
}

// next is the key of the next line, or io.EOF. Lines with the count 0 pad the
// answers of the range service and are passed over.
func (r *reader) next() (key, error) {
	for {
		line, err := r.in.ReadSlice('\n')
		if errors.Is(err, io.EOF) && len(line) == 0 {
			return key{}, io.EOF
		}
		r.line++
		if errors.Is(err, bufio.ErrBufferFull) {
			return key{}, r.bad("is far too long")
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return key{}, r.broken(err)
		}
		for n := len(line); n > 0 && (line[n-1] == '\n' || line[n-1] == '\r'); n-- {
			line = line[:n-1]
		}
		if r.line == 1 {
			line = bytes.TrimPrefix(line, []byte("\xef\xbb\xbf"))
		}
		k, padding, ok := r.parse(line)
		switch {
		case !ok:
			return key{}, r.bad(fmt.Sprintf("is not %d hexadecimal digits, a colon and a count", r.kind.digits()-len(r.prefix)))
		case !padding:
			return k, nil
		}
	}
}

// parse reads SUFFIX[:COUNT].
func (r *reader) parse(line []byte) (k key, padding, ok bool) {
	want := r.kind.digits() - len(r.prefix)
	if len(line) < want {
		return key{}, false, false
	}
	var wrong byte
	at := 0
	for i := range len(r.prefix) {
		k.hi = k.hi<<4 | uint64(nibble[r.prefix[i]])
		at++
	}
	for _, c := range line[:want] {
		n := nibble[c]
		wrong |= n
		switch {
		case at < 16:
			k.hi = k.hi<<4 | uint64(n)
		case at < 32:
			k.lo = k.lo<<4 | uint64(n)
		}
		at++
	}
	if wrong > 15 {
		return key{}, false, false
	}
	if line = line[want:]; len(line) == 0 {
		return k, false, true
	}
	if line[0] != ':' || len(line) < 2 || len(line) > 20 {
		return key{}, false, false
	}
	padding = true
	for _, c := range line[1:] {
		if c < '0' || c > '9' {
			return key{}, false, false
		}
		padding = padding && c == '0'
	}
	return k, padding, true
}

// nibble is the value of a hexadecimal digit, and 255 for anything else.
var nibble = func() (table [256]byte) {
	for i := range table {
		table[i] = 255
	}
	for i := range 10 {
		table['0'+i] = byte(i)
	}
	for i := range 6 {
		table['a'+i], table['A'+i] = byte(10+i), byte(10+i)
	}
	return table
}()
