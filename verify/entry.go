package verify

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// MaxEntry is the largest entry of a log: C2SP tlog-tiles writes its length
// in 16 bits.
const MaxEntry = 65535

// entryVersion is the first byte of a platform entry.
const entryVersion = 1

// Kind says what a platform entry is.
type Kind uint8

// The kinds of platform entries. An unknown kind is refused.
const (
	KindTenant   Kind = 1 // the commitment to a tenant's checkpoint
	KindEvidence Kind = 2 // the digest of a piece of evidence
	KindEpoch    Kind = 3 // the marker of a new epoch after a restore
)

// String names the kind in findings.
func (k Kind) String() string {
	switch k {
	case KindTenant:
		return "tenant"
	case KindEvidence:
		return "evidence"
	case KindEpoch:
		return "epoch"
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// Entry is one line of the public platform log.
//
// Encoding, without any other form:
//
//	byte     1              version
//	byte                    kind
//	kinds 1 and 2:
//	32 bytes                digest
//	kind 3:
//	4 bytes  big endian     number of the new epoch, from 2
//	8 bytes  big endian     time, microseconds since 1970 UTC
//	8 bytes  big endian     size of the newest tree that was published before
//	32 bytes                its root hash
type Entry struct {
	Kind   Kind
	Digest Digest // of KindTenant: [CommitTenant]; of KindEvidence: SHA-256 of the envelope
	Epoch  Epoch  // of KindEpoch
}

// Epoch says openly that the log was taken back to an older head: the tree of
// Size entries that was published before is not a prefix of this log. The
// first epoch has no marker; the second has number 2.
type Epoch struct {
	Number uint32    `json:"number"`
	At     time.Time `json:"at"`
	Size   int64     `json:"size"`
	Root   tlog.Hash `json:"root"`
}

// TenantEntry is the entry that commits to a tenant's checkpoint.
func TenantEntry(salt [SaltSize]byte, checkpoint []byte) Entry {
	return Entry{Kind: KindTenant, Digest: CommitTenant(salt, checkpoint)}
}

// CommitTenant is SHA-256(salt ‖ tenant checkpoint).
func CommitTenant(salt [SaltSize]byte, checkpoint []byte) Digest {
	return DigestSection(salt, checkpoint)
}

// EvidenceEntry is the entry that stands for a DSSE envelope, byte for byte.
func EvidenceEntry(envelope []byte) Entry {
	return Entry{Kind: KindEvidence, Digest: DigestOf(envelope)}
}

// Encode returns the entry's only encoding.
func (e Entry) Encode() ([]byte, error) {
	b := []byte{entryVersion, byte(e.Kind)}
	switch e.Kind {
	case KindTenant, KindEvidence:
		return append(b, e.Digest[:]...), nil
	case KindEpoch:
		us := e.Epoch.At.UnixMicro()
		if e.Epoch.Number < 2 || us < 0 || us > maxMicros || e.Epoch.Size < 0 {
			return nil, errors.New("the epoch's number, time or size is out of range")
		}
		b = binary.BigEndian.AppendUint32(b, e.Epoch.Number)
		b = binary.BigEndian.AppendUint64(b, uint64(us))
		b = binary.BigEndian.AppendUint64(b, uint64(e.Epoch.Size))
		return append(b, e.Epoch.Root[:]...), nil
	}
	return nil, fmt.Errorf("there is no encoding of an entry of %v", e.Kind)
}

// ParseEntry reads a platform entry. It accepts exactly what Encode returns.
func ParseEntry(b []byte) (Entry, error) {
	if len(b) < 2 {
		return Entry{}, errors.New("the entry is shorter than its version and kind")
	}
	if b[0] != entryVersion {
		return Entry{}, fmt.Errorf("the entry has version %d, known is %d", b[0], entryVersion)
	}
	e, body := Entry{Kind: Kind(b[1])}, b[2:]
	switch e.Kind {
	case KindTenant, KindEvidence:
		if len(body) != sha256.Size {
			return Entry{}, fmt.Errorf("the digest of an entry has %d bytes instead of 32", len(body))
		}
		copy(e.Digest[:], body)
		return e, nil
	case KindEpoch:
		return parseEpoch(e, body)
	}
	return Entry{}, fmt.Errorf("the entry is of an unknown %v", e.Kind)
}

func parseEpoch(e Entry, body []byte) (Entry, error) {
	if len(body) != 4+8+8+tlog.HashSize {
		return Entry{}, fmt.Errorf("the epoch marker has %d bytes instead of 52", len(body))
	}
	us, size := binary.BigEndian.Uint64(body[4:]), binary.BigEndian.Uint64(body[12:])
	number := binary.BigEndian.Uint32(body)
	if number < 2 || us > maxMicros || size > maxSize {
		return Entry{}, errors.New("the epoch's number, time or size is out of range")
	}
	e.Epoch = Epoch{Number: number, At: time.UnixMicro(int64(us)).UTC(), Size: int64(size)}
	copy(e.Epoch.Root[:], body[20:])
	return e, nil
}
