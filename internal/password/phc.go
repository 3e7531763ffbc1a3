package password

import (
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
)

// Params is the cost of one password hash: Argon2id, version 0x13 (RFC 9106).
type Params struct {
	Memory uint32 // KiB
	Passes uint32
	Lanes  uint8
}

// Floor is the least cost that a hasher takes: 19 MiB, two passes, one lane
// (OWASP Password Storage Cheat Sheet; SP 800-63B-4, 3.1.1.2 asks for a
// suitable scheme with a cost as high as is practical).
var Floor = Params{Memory: 19 * 1024, Passes: 2, Lanes: 1}

// The sizes that this package makes (RFC 9106, 3.1) and the sizes and costs
// that it reads. A stored hash beyond them was not made by an honest program,
// and computing it could take the machine.
const (
	SaltSize = 16
	TagSize  = 32

	minSalt, maxSalt = 8, 64
	minTag, maxTag   = 16, 64
	maxMemory        = 4 << 20 // KiB: 4 GiB
	maxPasses        = 1 << 16
	maxLanes         = 64
	maxWork          = 64 << 20 // memory × passes, in KiB: about a minute of one core
	maxPHC           = 256      // characters of a whole string
)

// work is what the time of a hash grows with: KiB written.
func (p Params) work() uint64 { return uint64(p.Memory) * uint64(p.Passes) }

// Below reports whether p costs less than other, in time or in memory.
func (p Params) Below(other Params) bool {
	return p.work() < other.work() || p.Memory < other.Memory && p.Memory < Floor.Memory
}

// String is the parameter part of a PHC string.
func (p Params) String() string {
	return fmt.Sprintf("m=%d,t=%d,p=%d", p.Memory, p.Passes, p.Lanes)
}

func (p Params) valid() error {
	switch {
	case p.Lanes < 1 || p.Lanes > maxLanes:
		return fmt.Errorf("p=%d lanes; 1 to %d are read", p.Lanes, maxLanes)
	case p.Passes < 1 || p.Passes > maxPasses:
		return fmt.Errorf("t=%d passes; 1 to %d are read", p.Passes, maxPasses)
	case p.Memory < 8*uint32(p.Lanes) || p.Memory > maxMemory: // RFC 9106, 3.1: m ≥ 8p
		return fmt.Errorf("m=%d KiB; 8 a lane to %d are read", p.Memory, maxMemory)
	case p.work() > maxWork:
		return fmt.Errorf("%s is more work than is accepted", p)
	}
	return nil
}

// Hash is a password hash taken apart: the PHC string format
// (github.com/P-H-C/phc-string-format), the form in which it is stored.
type Hash struct {
	Params Params
	Salt   []byte
	Tag    []byte
}

var base64Strict = base64.RawStdEncoding.Strict()

// String is the PHC string.
func (h Hash) String() string {
	return fmt.Sprintf("$argon2id$v=%d$%s$%s$%s", argon2.Version, h.Params,
		base64Strict.EncodeToString(h.Salt), base64Strict.EncodeToString(h.Tag))
}

// ParseHash reads a PHC string of Argon2id. It accepts exactly what
// [Hash.String] writes: one spelling a hash, within bounds. Its errors never
// repeat the input.
func ParseHash(s string) (Hash, error) {
	if len(s) > maxPHC {
		return Hash{}, fmt.Errorf("the password hash has %d characters, more than %d", len(s), maxPHC)
	}
	part := strings.Split(s, "$")
	if len(part) != 6 || part[0] != "" || part[1] != "argon2id" {
		return Hash{}, fmt.Errorf("the password hash is no PHC string of argon2id")
	}
	if part[2] != "v="+strconv.Itoa(argon2.Version) {
		return Hash{}, fmt.Errorf("the password hash is of another version than %d", argon2.Version)
	}
	params, err := parseParams(part[3])
	if err != nil {
		return Hash{}, err
	}
	salt, err := base64Strict.DecodeString(part[4])
	if err != nil || len(salt) < minSalt || len(salt) > maxSalt || strings.ContainsAny(part[4], "\r\n") {
		return Hash{}, fmt.Errorf("the salt is not %d to %d bytes of base 64", minSalt, maxSalt)
	}
	tag, err := base64Strict.DecodeString(part[5])
	if err != nil || len(tag) < minTag || len(tag) > maxTag || strings.ContainsAny(part[5], "\r\n") {
		return Hash{}, fmt.Errorf("the tag is not %d to %d bytes of base 64", minTag, maxTag)
	}
	return Hash{Params: params, Salt: salt, Tag: tag}, nil
}

func parseParams(s string) (Params, error) {
	field := strings.Split(s, ",")
	if len(field) != 3 {
		return Params{}, fmt.Errorf("the parameters are not m, t and p")
	}
	var n [3]uint64
	for i, name := range [...]string{"m=", "t=", "p="} {
		digits, ok := strings.CutPrefix(field[i], name)
		v, err := strconv.ParseUint(digits, 10, 32)
		if !ok || err != nil || strconv.FormatUint(v, 10) != digits {
			return Params{}, fmt.Errorf("parameter %d is not %s and a plain decimal number", i+1, name)
		}
		n[i] = v
	}
	if n[2] > maxLanes {
		return Params{}, fmt.Errorf("p=%d lanes; 1 to %d are read", n[2], maxLanes)
	}
	p := Params{Memory: uint32(n[0]), Passes: uint32(n[1]), Lanes: uint8(n[2])}
	return p, p.valid()
}

// derive computes the tag of a password under the hash's salt and cost.
func (h Hash) derive(password string) []byte {
	return argon2.IDKey([]byte(password), h.Salt, h.Params.Passes, h.Params.Memory, h.Params.Lanes, uint32(len(h.Tag)))
}

// Is reports whether the hash is that of a password, and computes it to tell.
func (h Hash) Is(password string) bool {
	return subtle.ConstantTimeCompare(h.derive(password), h.Tag) == 1
}
