package backup

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"troth/internal/id"
	"troth/internal/keys"
)

// A dump is a sequence of frames: a byte that is 1 in the last one and 0 before,
// a length of four bytes, and so many bytes of ciphertext. A frame is sealed for
// its place in this dump: its number, and whether it is the last one. Frames that
// were exchanged, left out, or cut off at the end do not open.
const frameSize = 256 << 10

type frameHeader struct {
	Last bool
	Size uint32
}

func frameAt(taken time.Time, n int, last bool) keys.Place {
	return keys.Place{Tenant: id.Platform, Table: "backup", Column: "frame", Row: fmt.Sprintf("%d/%d/%t", taken.Unix(), n, last)}
}

// sealer seals what is written to it in frames.
type sealer struct {
	ctx   context.Context
	keys  *keys.Keys
	to    io.Writer
	taken time.Time
	frame []byte
	n     int
}

// Write seals whole frames and keeps the rest; it always keeps at least one
// byte, so that Close can mark the last frame.
func (s *sealer) Write(p []byte) (int, error) {
	written := len(p)
	for len(p) > 0 {
		if len(s.frame) == frameSize {
			if err := s.flush(false); err != nil {
				return 0, err
			}
		}
		n := min(len(p), frameSize-len(s.frame))
		s.frame, p = append(s.frame, p[:n]...), p[n:]
	}
	return written, nil
}

// Close seals the last frame.
func (s *sealer) Close() error { return s.flush(true) }

func (s *sealer) flush(last bool) error {
	sealed, err := s.keys.Seal(s.ctx, frameAt(s.taken, s.n, last), s.frame, dumpRef)
	if err != nil {
		return fmt.Errorf("sealing a frame: %w", err)
	}
	s.n, s.frame = s.n+1, s.frame[:0]
	if err := binary.Write(s.to, binary.BigEndian, frameHeader{last, uint32(len(sealed))}); err != nil {
		return err
	}
	_, err = s.to.Write(sealed)
	return err
}

// opener reads what a sealer wrote.
type opener struct {
	ctx   context.Context
	keys  *keys.Keys
	from  io.Reader
	taken time.Time
	frame []byte
	n     int
	ended bool
}

// Read returns io.EOF only after the last frame.
func (o *opener) Read(p []byte) (int, error) {
	for len(o.frame) == 0 {
		if o.ended {
			return 0, io.EOF
		}
		if err := o.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, o.frame)
	o.frame = o.frame[n:]
	return n, nil
}

func (o *opener) next() error {
	var h frameHeader
	if err := binary.Read(o.from, binary.BigEndian, &h); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return fmt.Errorf("the dump breaks off at frame %d: %w", o.n, err)
	}
	if h.Size > frameSize+1024 {
		return fmt.Errorf("frame %d of the dump claims %d bytes", o.n, h.Size)
	}
	sealed := make([]byte, h.Size)
	if _, err := io.ReadFull(o.from, sealed); err != nil {
		return fmt.Errorf("the dump breaks off in frame %d: %w", o.n, err)
	}
	plain, err := o.keys.Open(o.ctx, frameAt(o.taken, o.n, h.Last), sealed, dumpRef)
	if err != nil {
		return fmt.Errorf("opening frame %d of the dump: %w", o.n, err)
	}
	o.ended = h.Last
	o.frame, o.n = plain, o.n+1
	return nil
}

// dump writes all tables of a Postgres database, of one snapshot, sealed.
func (s Source) dump(ctx context.Context, path string, taken time.Time, progress Progress) error {
	if err := s.Keys.Create(ctx, dumpRef, dumpKeySize); err != nil {
		return err
	}
	return writeFile(path, func(w io.Writer) error {
		sealed := &sealer{ctx: ctx, keys: s.Keys, to: w, taken: taken}
		counted := &counter{to: sealed, report: func(n int) { progress("copying the database", n, 0) }}
		if err := s.DB.Dump(ctx, counted); err != nil {
			return err
		}
		return sealed.Close()
	})
}

// counter tells how many bytes went through.
type counter struct {
	to     io.Writer
	n      int
	report func(n int)
}

// Write passes on.
func (c *counter) Write(p []byte) (int, error) {
	n, err := c.to.Write(p)
	c.n += n
	c.report(c.n)
	return n, err
}

// openDump opens a sealed dump for reading.
func openDump(ctx context.Context, k *keys.Keys, path string, taken time.Time) (io.ReadCloser, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("opening the dump: %w", err)
	}
	return struct {
		io.Reader
		io.Closer
	}{&opener{ctx: ctx, keys: k, from: f, taken: taken}, f}, nil
}
