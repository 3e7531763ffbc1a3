package breach

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math/bits"
	"os"
	"time"

	"github.com/FastFilter/xorfilter"
)

// The file of a list, version 1:
//
//	offset 0   "TROTHBL1", zeros up to 4096
//	           for each shard its fingerprints, 16 bits each, little-endian,
//	           and zeros up to a multiple of 64
//	           the manifest (JSON)
//	at the end the length of the manifest (8 bytes, big-endian), its SHA-256,
//	           "TROTHBL1"
//
// The manifest says of every shard where it begins, among the hashes and in the
// file, the parameters of its filter and the SHA-256 of its fingerprints. So the
// end of the file vouches for the manifest, and the manifest for the rest.
const (
	magic      = "TROTHBL1"
	headerSize = 4096
	alignment  = 64
	footerSize = 8 + sha256.Size + 8
	version    = 1

	maxManifest = 64 << 20
	maxSegment  = 1 << 18
	maxCells    = 1 << 28
)

// manifest is what stands at the end of the file.
type manifest struct {
	Version    int       `json:"version"`
	Kind       Kind      `json:"kind"`
	Entries    int64     `json:"entries"`
	ImportedAt time.Time `json:"imported_at"`
	NewestAt   time.Time `json:"newest_at"` // of the input files: how old the list is at least
	Shards     []shard   `json:"shards"`
}

// shard is one filter: of the hashes whose first 64 bits are not below First
// and below those of the next shard.
type shard struct {
	First         hex64  `json:"first"`
	Entries       int64  `json:"entries"`
	Offset        int64  `json:"offset"`
	Seed          hex64  `json:"seed"`
	SegmentLength uint32 `json:"segment_length"`
	SegmentCount  uint32 `json:"segment_count"`
	SHA256        string `json:"sha256"`
}

// hex64 is a number that JSON readers do not round.
type hex64 uint64

// MarshalText writes 16 digits.
func (h hex64) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "%016x", uint64(h)), nil }

// UnmarshalText reads them.
func (h *hex64) UnmarshalText(b []byte) error {
	if len(b) != 16 {
		return fmt.Errorf("a number has %d digits, not 16", len(b))
	}
	var n uint64
	for _, c := range b {
		if nibble[c] > 15 {
			return fmt.Errorf("a number has a character that is no digit")
		}
		n = n<<4 | uint64(nibble[c])
	}
	*h = hex64(n)
	return nil
}

// cells is how many fingerprints a shard has (three hashes fall into three
// neighbouring segments, so there are two more than can be the first).
func (s shard) cells() int64 { return (int64(s.SegmentCount) + 2) * int64(s.SegmentLength) }

// filter is the shard's filter over its fingerprints.
func (s shard) filter(prints []uint16) xorfilter.BinaryFuse[uint16] {
	return xorfilter.BinaryFuse[uint16]{
		Seed: uint64(s.Seed), SegmentLength: s.SegmentLength, SegmentLengthMask: s.SegmentLength - 1,
		SegmentCount: s.SegmentCount, SegmentCountLength: s.SegmentCount * s.SegmentLength, Fingerprints: prints,
	}
}

// valid refuses what would read outside of the file.
func (m manifest) valid(size int64) error {
	if m.Version != version {
		return fmt.Errorf("the file is of version %d; this program reads %d", m.Version, version)
	}
	if m.Kind != SHA1 && m.Kind != NTLM {
		return fmt.Errorf("the file is of the unknown kind %q", m.Kind)
	}
	var entries int64
	end := int64(headerSize)
	for i, s := range m.Shards {
		switch {
		case bits.OnesCount32(s.SegmentLength) != 1 || s.SegmentLength > maxSegment || s.SegmentCount == 0 || s.cells() > maxCells:
			return fmt.Errorf("shard %d has segments that no filter has", i)
		case s.Offset < end || s.Offset%alignment != 0 || s.Offset > size || 2*s.cells() > size-s.Offset:
			return fmt.Errorf("shard %d does not lie in the file", i)
		case i > 0 && s.First <= m.Shards[i-1].First:
			return fmt.Errorf("shard %d does not follow the one before it", i)
		case s.Entries <= 0 || s.Entries > s.cells() || len(s.SHA256) != 2*sha256.Size:
			return fmt.Errorf("shard %d says what cannot be", i)
		}
		end = s.Offset + 2*s.cells()
		entries += s.Entries
	}
	if entries != m.Entries || entries == 0 {
		return fmt.Errorf("the shards have %d entries together, and the file says %d", entries, m.Entries)
	}
	return nil
}

// footer is the end of a file with the manifest.
func footer(doc []byte) []byte {
	b := binary.BigEndian.AppendUint64(nil, uint64(len(doc)))
	sum := sha256.Sum256(doc)
	return append(append(b, sum[:]...), magic...)
}

// readManifest reads and checks the manifest of a file.
func readManifest(f *os.File) (manifest, int64, error) {
	info, err := f.Stat()
	if err != nil {
		return manifest{}, 0, err
	}
	size := info.Size()
	head := make([]byte, len(magic))
	if _, err := f.ReadAt(head, 0); err != nil || string(head) != magic {
		return manifest{}, 0, fmt.Errorf("the file does not begin as a list does")
	}
	end := make([]byte, footerSize)
	if size < headerSize+footerSize {
		return manifest{}, 0, fmt.Errorf("the file is cut")
	}
	if _, err := f.ReadAt(end, size-footerSize); err != nil {
		return manifest{}, 0, fmt.Errorf("reading the end of the file: %w", err)
	}
	length := binary.BigEndian.Uint64(end)
	if string(end[footerSize-len(magic):]) != magic || length > maxManifest || int64(length) > size-headerSize-footerSize {
		return manifest{}, 0, fmt.Errorf("the file is cut or its end is damaged")
	}
	doc := make([]byte, length)
	if _, err := f.ReadAt(doc, size-footerSize-int64(length)); err != nil {
		return manifest{}, 0, fmt.Errorf("reading the manifest: %w", err)
	}
	if sum := sha256.Sum256(doc); !bytes.Equal(sum[:], end[8:8+sha256.Size]) {
		return manifest{}, 0, fmt.Errorf("the manifest of the file is damaged")
	}
	var m manifest
	d := json.NewDecoder(bytes.NewReader(doc))
	d.DisallowUnknownFields()
	if err := d.Decode(&m); err != nil {
		return manifest{}, 0, fmt.Errorf("reading the manifest: %w", err)
	}
	return m, size, m.valid(size - footerSize - int64(length))
}

// pad writes zeros up to the next multiple.
func pad(w io.Writer, at, multiple int64) (int64, error) {
	n := (multiple - at%multiple) % multiple
	_, err := w.Write(make([]byte, n))
	return n, err
}
