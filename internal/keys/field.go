package keys

import (
	"context"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"time"

	"troth/internal/fault"
	"troth/internal/id"
)

// The header of a sealed field.
const (
	format1    = 1 // the layout in the package doc
	algXAES    = 1 // XAES-256-GCM under HKDF-SHA-256
	headerSize = 3 // format, algorithm, number of keys; then two bytes a key
	maxUnder   = 4 // keys that one field may stand under
	maxVersion = 1<<16 - 1
	maxField   = 16 << 20 // bytes of a field; larger things are files (package blob)
)

// Place says where a sealed field stands. It is authenticated, not stored: who
// opens must say the same place as who sealed.
type Place struct {
	Tenant id.Tenant
	Region string
	Table  string
	Column string
	Row    string // the primary key
}

// appendPart appends a length and the part, so that no two lists of parts
// look alike.
func appendPart(b []byte, part string) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(part)))
	return append(b, part...)
}

// aad is the additional data of a field: its header and its place.
func (p Place) aad(b, header []byte) []byte {
	b = append(b, header...)
	b = appendPart(b, string(p.Tenant))
	b = appendPart(b, p.Region)
	b = appendPart(b, p.Table)
	b = appendPart(b, p.Column)
	return appendPart(b, p.Row)
}

// derivation is the key for one list of refs, each in one version.
type derivation struct {
	x      *xaes
	header []byte
	refs   []Ref
	at     time.Time // when the oldest of its keys was loaded
}

func (d *derivation) uses(ref Ref) bool {
	for _, r := range d.refs {
		if r == ref {
			return true
		}
	}
	return false
}

// Seal encrypts a field for a place under all the named keys together, in
// their newest versions. The order of the refs counts: Open must name the same
// in the same order. An empty field is sealed like any other.
//
// It is fault.Gone when one of the keys was destroyed, fault.NotFound when one
// was never made, fault.Unavailable when the keys cannot be reached.
func (k *Keys) Seal(ctx context.Context, at Place, plain []byte, under ...Ref) ([]byte, error) {
	if len(plain) > maxField {
		return nil, fault.New(fault.TooLarge, "keys.too_large", "This is larger than the %d MiB that one field may hold.", maxField>>20)
	}
	d, err := k.derive(ctx, nil, under)
	if err != nil {
		return nil, fmt.Errorf("sealing %s.%s: %w", at.Table, at.Column, err)
	}
	n := len(d.header)
	out := make([]byte, n+nonceSize, n+nonceSize+len(plain)+tagSize)
	copy(out, d.header)
	nonce := out[n:]
	rand.Read(nonce) // never fails: crypto/rand stops the program instead
	aad := at.aad(make([]byte, 0, 256), d.header)
	return d.x.seal(out, nonce, plain, aad)
}

// Open decrypts what Seal made for the same place under the same keys.
//
// It is fault.Gone when one of the keys was destroyed, fault.Unavailable when
// they cannot be reached, and [ErrAltered] when the bytes, the place or the
// keys are not those that were sealed.
func (k *Keys) Open(ctx context.Context, at Place, sealed []byte, under ...Ref) ([]byte, error) {
	plain, err := k.open(ctx, at, sealed, under)
	if err != nil {
		return nil, fmt.Errorf("opening %s.%s: %w", at.Table, at.Column, err)
	}
	return plain, nil
}

func (k *Keys) open(ctx context.Context, at Place, sealed []byte, under []Ref) ([]byte, error) {
	n := headerSize + 2*len(under)
	if len(sealed) < n+nonceSize+tagSize || sealed[0] != format1 || sealed[1] != algXAES || int(sealed[2]) != len(under) {
		return nil, ErrAltered
	}
	d, err := k.derive(ctx, sealed[headerSize:n], under)
	if err != nil {
		return nil, err
	}
	aad := at.aad(make([]byte, 0, 256), sealed[:n])
	return d.x.openRandom(nil, sealed[n:], aad)
}

// derive returns the key for refs in the versions of a header, or in their
// newest versions when the header is nil.
func (k *Keys) derive(ctx context.Context, versions []byte, under []Ref) (*derivation, error) {
	if len(under) == 0 || len(under) > maxUnder {
		return nil, fmt.Errorf("a field stands under 1 to %d keys, not %d", maxUnder, len(under))
	}
	var room [256]byte
	name := room[:0]
	for _, ref := range under {
		name = append(append(name, ref...), 0)
	}
	name = append(name, versions...)
	k.mu.RLock()
	d := k.derived[string(name)]
	k.mu.RUnlock()
	if d != nil {
		if age := k.now().Sub(d.at); age >= 0 && age < softAge {
			return d, nil
		}
	}
	return k.deriveAgain(ctx, string(name), versions, under)
}

// deriveAgain derives from the keys themselves, which get keeps no longer than
// they may be.
func (k *Keys) deriveAgain(ctx context.Context, name string, versions []byte, under []Ref) (*derivation, error) {
	drops := k.drops.Load()
	d := &derivation{header: []byte{format1, algXAES, byte(len(under))}, refs: append([]Ref(nil), under...)}
	var ikm []byte
	defer func() { clear(ikm) }()
	info := []byte("troth field v1")
	for i, ref := range under {
		v, at, err := k.pick(ctx, ref, versions, i)
		if err != nil {
			return nil, err
		}
		if d.at.IsZero() || at.Before(d.at) {
			d.at = at
		}
		d.header = binary.BigEndian.AppendUint16(d.header, uint16(v.number))
		ikm = binary.BigEndian.AppendUint32(ikm, uint32(len(v.key)))
		ikm = append(ikm, v.key...)
		info = appendPart(info, string(ref))
		info = binary.BigEndian.AppendUint16(info, uint16(v.number))
	}
	// RFC 5869, 3.1: no salt is needed, the input is uniformly random.
	key, err := hkdf.Key(sha256.New, ikm, nil, string(info), keySize)
	if err != nil {
		return nil, fmt.Errorf("deriving a field key: %w", err)
	}
	defer clear(key)
	if d.x, err = newXAES(key); err != nil {
		return nil, err
	}
	k.mu.Lock()
	if k.drops.Load() == drops {
		makeRoom(k.derived)
		k.derived[name] = d
	}
	k.mu.Unlock()
	return d, nil
}

// pick finds the i-th key of a field: the newest version to seal, the one in
// the header to open.
func (k *Keys) pick(ctx context.Context, ref Ref, versions []byte, i int) (version, time.Time, error) {
	m, err := k.get(ctx, ref)
	if err != nil {
		return version{}, time.Time{}, err
	}
	if versions == nil {
		v, err := m.newest()
		return v, m.at, err
	}
	n := int(binary.BigEndian.Uint16(versions[2*i:]))
	v, known := m.number(n)
	if !known && !m.gone {
		// Another process may have made the version since this one loaded.
		if m, err = k.load(ctx, ref); err != nil {
			return version{}, time.Time{}, err
		}
		v, known = m.number(n)
	}
	switch {
	case m.gone || known && v.key == nil:
		return version{}, time.Time{}, ErrGone
	case !known:
		return version{}, time.Time{}, fmt.Errorf("%w: %s has no version %d", ErrAltered, ref, n)
	}
	return v, m.at, nil
}

// Algorithm names the algorithm in the header of a sealed field, or is empty
// when there is none that is known.
func Algorithm(sealed []byte) string {
	if len(sealed) > headerSize && sealed[0] == format1 && sealed[1] == algXAES {
		return "XAES-256-GCM"
	}
	return ""
}
