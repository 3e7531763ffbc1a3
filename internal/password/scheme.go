package password

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/pbkdf2"
	"crypto/sha1" //nolint:gosec // hashes that other systems made are read, none is made
	"crypto/sha256"
	"crypto/sha512"
	"fmt"
	"hash"
	"math"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/scrypt"
)

// Scheme is a way of hashing passwords. Hashes are made under the first two;
// the others are read, because other systems made them, until their holder has
// signed in once.
type Scheme uint8

// The schemes.
const (
	Argon2id       Scheme = iota // RFC 9106
	PBKDF2SHA256                 // RFC 8018 with HMAC-SHA-256 (SP 800-132): for who needs FIPS 140-3
	PBKDF2SHA512                 // Keycloak
	PBKDF2SHA1                   // Keycloak, older
	Argon2i                      // RFC 9106
	Scrypt                       // RFC 7914
	FirebaseScrypt               // scrypt whose output is a key of AES; see firebase.go
	Bcrypt                       // $2a$, $2b$ and $2y$
)

// scheme is what is known about one: how it stands in a PHC string, the bounds
// of what is read, and how it is computed. A stored hash beyond the bounds was
// not made by an honest program, and computing it could take the machine.
type scheme struct {
	name, version string
	fields        []field
	minTag        int
	work          func(p Params) uint64 // about what the time grows with
	maxWork       uint64                // about a minute of one core; for those that are only read, some seconds
	derive        func(p Params, password, salt []byte, size int) ([]byte, error)
}

// field is one parameter of a PHC string.
type field struct {
	name     string
	at       func(p *Params) *uint32
	min, max uint32
}

func memory(p *Params) *uint32 { return &p.Memory }
func passes(p *Params) *uint32 { return &p.Passes }
func lanes(p *Params) *uint32  { return &p.Lanes }
func logN(p *Params) *uint32   { return &p.LogN }
func block(p *Params) *uint32  { return &p.Block }

const (
	maxMemory = 4 << 20 // KiB: 4 GiB
	maxLanes  = 64
	maxRounds = 1 << 27 // of PBKDF2
)

var (
	argon2Fields = []field{{"m", memory, 8, maxMemory}, {"t", passes, 1, 1 << 16}, {"p", lanes, 1, maxLanes}}
	pbkdf2Fields = []field{{"i", passes, 1, maxRounds}}
	scryptFields = []field{{"ln", logN, 1, 22}, {"r", block, 1, 64}, {"p", lanes, 1, 16}}
)

var schemes = [...]scheme{
	Argon2id: {
		name: "argon2id", version: "v=19", fields: argon2Fields, minTag: 16, work: written, maxWork: 64 << 20,
		derive: func(p Params, password, salt []byte, size int) ([]byte, error) {
			return argon2.IDKey(password, salt, p.Passes, p.Memory, uint8(p.Lanes), uint32(size)), nil
		},
	},
	Argon2i: {
		name: "argon2i", version: "v=19", fields: argon2Fields, minTag: 16, work: written, maxWork: 16 << 20,
		derive: func(p Params, password, salt []byte, size int) ([]byte, error) {
			return argon2.Key(password, salt, p.Passes, p.Memory, uint8(p.Lanes), uint32(size)), nil
		},
	},
	PBKDF2SHA256: {name: "pbkdf2-sha256", fields: pbkdf2Fields, minTag: 16, work: rounds, maxWork: maxRounds, derive: stretched(sha256.New)},
	PBKDF2SHA512: {name: "pbkdf2-sha512", fields: pbkdf2Fields, minTag: 16, work: rounds, maxWork: 20e6, derive: stretched(sha512.New)},
	PBKDF2SHA1:   {name: "pbkdf2-sha1", fields: pbkdf2Fields, minTag: 16, work: rounds, maxWork: 20e6, derive: stretched(sha1.New)},
	Scrypt:       {name: "scrypt", fields: scryptFields, minTag: 16, work: mixed, maxWork: 16 << 20, derive: scryptKey},
	FirebaseScrypt: {
		name: "firebase-scrypt", fields: scryptFields, minTag: 32, work: mixed, maxWork: 16 << 20,
		derive: func(p Params, password, salt []byte, size int) ([]byte, error) {
			key, err := scryptKey(p, password, salt, 32)
			if err != nil {
				return nil, err
			}
			return keyStream(key, size)
		},
	},
	Bcrypt: {
		name: "bcrypt", fields: []field{{"r", logN, 4, 16}}, minTag: bcryptTag, maxWork: 1 << 16,
		work: func(p Params) uint64 { return 1 << p.LogN },
		derive: func(p Params, password, salt []byte, _ int) ([]byte, error) { // for its time only: bcrypt is compared as a whole
			Hash{Params: p, Salt: salt, Tag: make([]byte, bcryptTag)}.isBcrypt(string(password))
			return nil, nil
		},
	},
}

// String is the name of a scheme in PHC strings.
func (s Scheme) String() string {
	if int(s) >= len(schemes) {
		return fmt.Sprintf("scheme %d", uint8(s))
	}
	return schemes[s].name
}

// Made reports whether hashes are made under a scheme, not only read.
func (s Scheme) Made() bool { return s == Argon2id || s == PBKDF2SHA256 }

// SchemeOf is the scheme of a name, among those under which hashes are made.
func SchemeOf(name string) (Scheme, bool) {
	for s := range schemes {
		if Scheme(s).Made() && schemes[s].name == name {
			return Scheme(s), true
		}
	}
	return 0, false
}

// written is the KiB that Argon2 writes.
func written(p Params) uint64 { return uint64(p.Memory) * uint64(p.Passes) }

func rounds(p Params) uint64 { return uint64(p.Passes) }

// mixed is the KiB that scrypt writes and reads.
func mixed(p Params) uint64 {
	return (1 << p.LogN) * uint64(p.Block) * uint64(p.Lanes) / 8
}

func stretched(h func() hash.Hash) func(Params, []byte, []byte, int) ([]byte, error) {
	return func(p Params, password, salt []byte, size int) ([]byte, error) {
		return pbkdf2.Key(h, string(password), salt, int(p.Passes), size)
	}
}

func scryptKey(p Params, password, salt []byte, size int) ([]byte, error) {
	return scrypt.Key(password, salt, 1<<p.LogN, int(p.Block), int(p.Lanes), size)
}

// keyStream is AES in counter mode over nothing, from an initial counter of
// nought (SP 800-38A, 6.5).
func keyStream(key []byte, size int) ([]byte, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	out := make([]byte, size)
	cipher.NewCTR(block, make([]byte, aes.BlockSize)).XORKeyStream(out, out)
	return out, nil
}

// kib is the memory of one hash, in KiB.
func (p Params) kib() int64 {
	switch p.Scheme {
	case Scrypt, FirebaseScrypt:
		return int64(min((1<<p.LogN)*uint64(p.Block)/8, math.MaxInt32)) + 1
	}
	return int64(max(p.Memory, 1))
}
