package audit

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/keys"
	"troth/verify"
)

const (
	keySize        = 32 // of month and subject keys, in bytes
	payloadVersion = 1
	payloadTable   = "audit_payload" // in the associated data of what is sealed
)

// The names of sections. A section about a person bears the account's
// identifier; one of an access segment, the tenant's.
const (
	coreSection     = "core"
	strangerSection = "stranger"
)

// section is one part of a payload. Sealed is empty when the person's key was
// gone when the event was written: the digest is then random.
type section struct {
	name   string
	digest verify.Digest
	sealed []byte
}

// payload is where sections are sealed and opened.
type payload struct {
	tenant id.Tenant
	event  id.Event
	month  keys.Ref
}

func (p payload) place(name string) keys.Place {
	return keys.Place{Tenant: p.tenant, Table: payloadTable, Column: name, Row: string(p.event)}
}

// refs are the keys that a section is sealed under.
func (p payload) refs(name string) []keys.Ref {
	switch {
	case name == coreSection:
		return []keys.Ref{keys.TenantRef(p.tenant), p.month}
	case name == strangerSection:
		return []keys.Ref{p.month}
	case strings.HasPrefix(name, "ten_"):
		return []keys.Ref{keys.TenantRef(id.Tenant(name)), p.month}
	}
	return []keys.Ref{keys.SubjectRef(id.Account(name)), p.month}
}

// seal salts and seals a section. The section of a person whose key was
// destroyed is sealed by nobody: what would be in it may no longer be kept,
// and the event itself must be.
func (l *Log) seal(ctx context.Context, p payload, name string, exact []byte) (section, error) {
	if len(exact) > verify.MaxSection {
		return section{}, fmt.Errorf("sealing the section %s: it has %d bytes, more than %d", name, len(exact), verify.MaxSection)
	}
	var salt [verify.SaltSize]byte
	rand.Read(salt[:]) // never fails: crypto/rand stops the program instead
	s := section{name: name, digest: verify.DigestSection(salt, exact)}
	salted := make([]byte, 0, len(salt)+len(exact))
	salted = append(append(salted, salt[:]...), exact...)
	refs := p.refs(name)
	var err error
	if s.sealed, err = l.keys.Seal(ctx, p.place(name), salted, refs...); err == nil {
		return s, nil
	}
	personal := strings.HasPrefix(name, "acc_")
	if personal && fault.KindOf(err) == fault.NotFound { // the account is made in this very transaction
		if err = l.createKey(ctx, refs[0], keySize); err == nil {
			s.sealed, err = l.keys.Seal(ctx, p.place(name), salted, refs...)
		}
	}
	if personal && fault.KindOf(err) == fault.Gone {
		rand.Read(s.digest[:])
		s.sealed, err = nil, nil
	}
	if err != nil {
		return section{}, fmt.Errorf("sealing the section %s of event %s: %w", name, p.event, err)
	}
	return s, nil
}

// createKey makes a key unless it exists. Who makes it at the same moment as
// somebody else may be told that it exists, and find it only when the other's
// making is durable: then again, a moment later.
func (l *Log) createKey(ctx context.Context, ref keys.Ref, size int) error {
	for wait := 2 * time.Millisecond; ; wait *= 2 {
		err := l.keys.Create(ctx, ref, size)
		if fault.KindOf(err) != fault.NotFound || wait > 200*time.Millisecond {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
	}
}

// errShredded says that a section can never be opened again.
var errShredded = errors.New("a key of this section was destroyed")

// open returns the salt and the exact bytes of a section, or errShredded. What
// does not fit its digest is an error: somebody changed the row.
func (l *Log) openSection(ctx context.Context, p payload, s section) (salt [verify.SaltSize]byte, exact []byte, err error) {
	if len(s.sealed) == 0 {
		return salt, nil, errShredded
	}
	salted, err := l.keys.Open(ctx, p.place(s.name), s.sealed, p.refs(s.name)...)
	if fault.KindOf(err) == fault.Gone {
		return salt, nil, errShredded
	}
	if err != nil {
		return salt, nil, fmt.Errorf("opening the section %s of event %s: %w", s.name, p.event, err)
	}
	if len(salted) < len(salt) {
		return salt, nil, fmt.Errorf("the section %s of event %s is shorter than its salt", s.name, p.event)
	}
	copy(salt[:], salted)
	exact = salted[len(salt):]
	if verify.DigestSection(salt, exact) != s.digest {
		return salt, nil, fmt.Errorf("the section %s of event %s does not fit its digest", s.name, p.event)
	}
	return salt, exact, nil
}

// commitment is what the leaf holds of the sections.
func commitment(sections []section) [sha256.Size]byte {
	digests := make([]verify.Digest, len(sections))
	for i, s := range sections {
		digests[i] = s.digest
	}
	return verify.Commit(digests...)
}

// encodeSections writes the row's bytes: a version, then for each section its
// name with a byte of length, its digest, and what is sealed with four bytes
// of length.
func encodeSections(sections []section) []byte {
	size := 1
	for _, s := range sections {
		size += 1 + len(s.name) + sha256.Size + 4 + len(s.sealed)
	}
	b := make([]byte, 0, size)
	b = append(b, payloadVersion)
	for _, s := range sections {
		b = append(b, byte(len(s.name)))
		b = append(b, s.name...)
		b = append(b, s.digest[:]...)
		b = binary.BigEndian.AppendUint32(b, uint32(len(s.sealed)))
		b = append(b, s.sealed...)
	}
	return b
}

var errSections = errors.New("the stored payload is malformed")

// decodeSections reads what encodeSections writes. The sections share memory
// with b.
func decodeSections(b []byte) ([]section, error) {
	if len(b) == 0 || b[0] != payloadVersion {
		return nil, errSections
	}
	var sections []section
	for b = b[1:]; len(b) > 0; {
		n := int(b[0])
		if n == 0 || len(b) < 1+n+sha256.Size+4 || len(sections) == verify.MaxSections {
			return nil, errSections
		}
		s := section{name: string(b[1 : 1+n])}
		b = b[1+n:]
		copy(s.digest[:], b)
		size := int64(binary.BigEndian.Uint32(b[sha256.Size:]))
		b = b[sha256.Size+4:]
		if size > int64(len(b)) {
			return nil, errSections
		}
		s.sealed, b = b[:size:size], b[size:]
		sections = append(sections, s)
	}
	if len(sections) == 0 {
		return nil, errSections
	}
	return sections, nil
}
