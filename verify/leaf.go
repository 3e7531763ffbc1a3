package verify

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// Limits of a tenant leaf and of the sections behind it.
const (
	MaxEventID  = 64      // characters of an event's identifier
	MaxClass    = 16      // characters of a class
	SaltSize    = 32      // bytes of every salt
	MaxSections = 1024    // sections of one payload
	MaxSection  = 4 << 20 // bytes of one section
)

// leafVersion is the first byte of a tenant leaf.
const leafVersion = 1

// maxMicros is the last microsecond of the year 9999, the end of RFC 3339.
const maxMicros = 253402300799999999

// Leaf is one event as it stands in the tree of its tenant. It shows when
// something was recorded and of which class, and commits to the rest.
//
// Encoding, without any other form:
//
//	byte     1                     version
//	byte     n   then n bytes      event identifier, 1–64 of [a-z0-9_]
//	byte     m   then m bytes      class, 1–16 of [a-z]
//	8 bytes  big endian            time, microseconds since 1970 UTC
//	32 bytes                       commitment to the payload ([Commit])
type Leaf struct {
	Event      string    // "evt_01jd…"
	Class      string    // "audit", "access"
	At         time.Time // to the microsecond
	Commitment Digest
}

// Encode returns the leaf's only encoding, or an error that names the field
// that the format cannot hold.
func (l Leaf) Encode() ([]byte, error) {
	if err := l.check(); err != nil {
		return nil, err
	}
	b := make([]byte, 0, 3+len(l.Event)+len(l.Class)+8+sha256.Size)
	b = append(b, leafVersion, byte(len(l.Event)))
	b = append(b, l.Event...)
	b = append(b, byte(len(l.Class)))
	b = append(b, l.Class...)
	b = binary.BigEndian.AppendUint64(b, uint64(l.At.UnixMicro()))
	return append(b, l.Commitment[:]...), nil
}

func (l Leaf) check() error {
	if !within(l.Event, MaxEventID, eventChar) {
		return fmt.Errorf("the event identifier %q is not 1 to %d of a–z, 0–9 and _", clip(l.Event), MaxEventID)
	}
	if !within(l.Class, MaxClass, classChar) {
		return fmt.Errorf("the class %q is not 1 to %d of a–z", clip(l.Class), MaxClass)
	}
	if us := l.At.UnixMicro(); us < 0 || us > maxMicros {
		return fmt.Errorf("the time %s is outside of 1970 to 9999", l.At)
	}
	return nil
}

// ParseLeaf reads a leaf. It accepts exactly what Encode returns.
func ParseLeaf(b []byte) (Leaf, error) {
	if len(b) == 0 {
		return Leaf{}, errors.New("the leaf is empty")
	}
	if b[0] != leafVersion {
		return Leaf{}, fmt.Errorf("the leaf has version %d, known is %d", b[0], leafVersion)
	}
	event, rest, ok := cut(b[1:])
	class, rest, ok2 := cut(rest)
	if !ok || !ok2 || len(rest) != 8+sha256.Size {
		return Leaf{}, errors.New("the leaf's length does not fit its fields")
	}
	us := binary.BigEndian.Uint64(rest)
	if us > maxMicros {
		return Leaf{}, errors.New("the leaf's time is after the year 9999")
	}
	l := Leaf{Event: event, Class: class, At: time.UnixMicro(int64(us)).UTC()}
	copy(l.Commitment[:], rest[8:])
	return l, l.check()
}

// Hash is the leaf's hash in the tenant's tree (RFC 6962, 2.1).
func (l Leaf) Hash() (tlog.Hash, error) {
	b, err := l.Encode()
	if err != nil {
		return tlog.Hash{}, err
	}
	return tlog.RecordHash(b), nil
}

// cut reads a byte n and n bytes after it.
func cut(b []byte) (field string, rest []byte, ok bool) {
	if len(b) == 0 || len(b) < 1+int(b[0]) {
		return "", nil, false
	}
	n := 1 + int(b[0])
	return string(b[1:n]), b[n:], true
}

func eventChar(c byte) bool { return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '_' }
func classChar(c byte) bool { return 'a' <= c && c <= 'z' }

func within(s string, limit int, allowed func(byte) bool) bool {
	for i := range len(s) {
		if !allowed(s[i]) {
			return false
		}
	}
	return len(s) > 0 && len(s) <= limit
}

// clip keeps foreign text in an error short.
func clip(s string) string {
	if len(s) > 80 {
		return s[:80] + "…"
	}
	return s
}
