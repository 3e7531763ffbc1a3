package breach

import (
	"crypto/sha1"
	"encoding/binary"

	"troth/internal/password"
	"troth/internal/secret"
)

// Kind is the hash of which a list consists.
type Kind string

// The kinds.
const (
	SHA1 Kind = "sha1" // of the UTF-8 text
	NTLM Kind = "ntlm" // MD4 of the UTF-16LE text (MS-NLMP, 3.3.1: NTOWFv1)
)

// kinds are all of them, in the order in which they are asked.
var kinds = []Kind{SHA1, NTLM}

// digits is how many hexadecimal digits a hash has.
func (k Kind) digits() int {
	if k == NTLM {
		return 32
	}
	return 40
}

// key is what is used of a hash: its first 128 bits. The first half finds the
// shard, the second is the key of the filter in it.
type key struct{ hi, lo uint64 }

// compare orders as the hashes are ordered.
func (k key) compare(other key) int {
	switch {
	case k.hi != other.hi:
		return order(k.hi, other.hi)
	case k.lo != other.lo:
		return order(k.lo, other.lo)
	}
	return 0
}

func order(a, b uint64) int {
	if a < b {
		return -1
	}
	return 1
}

// of is the key of a password.
func (k Kind) of(text string) key {
	var sum [sha1.Size]byte
	if k == NTLM {
		copy(sum[:], password.NTLM(secret.Of(text)))
	} else {
		sum = sha1.Sum([]byte(text))
	}
	return key{binary.BigEndian.Uint64(sum[:8]), binary.BigEndian.Uint64(sum[8:16])}
}
