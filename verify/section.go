package verify

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
)

// Digest is a SHA-256 digest. Its text, in JSON too, is 64 hexadecimal
// digits in lower case.
type Digest [sha256.Size]byte

// DigestOf is SHA-256 of the bytes.
func DigestOf(b []byte) Digest { return sha256.Sum256(b) }

// ParseDigest reads the text of a digest.
func ParseDigest(s string) (Digest, error) {
	var d Digest
	if len(s) != 2*len(d) {
		return Digest{}, fmt.Errorf("the digest %q has not 64 digits", clip(s))
	}
	if _, err := hex.Decode(d[:], []byte(s)); err != nil || d.String() != s {
		return Digest{}, fmt.Errorf("the digest %q is not hexadecimal in lower case", s)
	}
	return d, nil
}

// String is the digest in hexadecimal.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// MarshalText is the digest in hexadecimal.
func (d Digest) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (d *Digest) UnmarshalText(b []byte) (err error) {
	*d, err = ParseDigest(string(b))
	return err
}

// Section is one part of an event's payload. Each has a salt of its own, so
// that destroying one person's key makes that person's section unguessable and
// leaves the others provable.
//
// A section is either open, with salt and bytes, or withheld, with its digest
// alone. Its name tells the reader which it is and is not committed to.
type Section struct {
	Name   string  `json:"name"`             // "core", or the account that it is about
	Salt   []byte  `json:"salt,omitempty"`   // 32 bytes
	Bytes  []byte  `json:"bytes,omitempty"`  // exact
	Digest *Digest `json:"digest,omitempty"` // of a withheld section
}

// Open reports whether the section shows its bytes.
func (s Section) Open() bool { return s.Digest == nil }

// digest is the section's part of the commitment.
func (s Section) digest() (Digest, error) {
	if !s.Open() {
		if len(s.Salt) > 0 || len(s.Bytes) > 0 {
			return Digest{}, fmt.Errorf("the section %q is both open and withheld", clip(s.Name))
		}
		return *s.Digest, nil
	}
	if len(s.Salt) != SaltSize {
		return Digest{}, fmt.Errorf("the salt of the section %q has %d bytes instead of %d", clip(s.Name), len(s.Salt), SaltSize)
	}
	if len(s.Bytes) > MaxSection {
		return Digest{}, fmt.Errorf("the section %q has %d bytes, more than %d", clip(s.Name), len(s.Bytes), MaxSection)
	}
	return DigestSection([SaltSize]byte(s.Salt), s.Bytes), nil
}

// DigestSection is SHA-256(salt ‖ exact bytes). The salt has a fixed length,
// so no other pair has the same input.
func DigestSection(salt [SaltSize]byte, exact []byte) Digest {
	h := sha256.New()
	h.Write(salt[:])
	h.Write(exact)
	return Digest(h.Sum(nil))
}

// Commit is the commitment of a leaf to the sections of its payload, in their
// order: SHA-256(digest 1 ‖ digest 2 ‖ …). A payload has 1 to [MaxSections]
// sections.
func Commit(sections ...Digest) Digest {
	h := sha256.New()
	for _, d := range sections {
		h.Write(d[:])
	}
	return Digest(h.Sum(nil))
}

// commitTo is the commitment to sections of which some may be withheld.
func commitTo(sections []Section) (Digest, error) {
	if len(sections) == 0 || len(sections) > MaxSections {
		return Digest{}, errors.New("a payload has 1 to 1024 sections")
	}
	digests := make([]Digest, len(sections))
	for i, s := range sections {
		d, err := s.digest()
		if err != nil {
			return Digest{}, err
		}
		digests[i] = d
	}
	return Commit(digests...), nil
}
