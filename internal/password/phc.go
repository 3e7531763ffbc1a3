package password

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"troth/internal/secret"
)

// Params is the cost of one password hash. Which of the numbers count depends
// on the scheme; the others are nought.
type Params struct {
	Scheme Scheme
	Memory uint32 // KiB, of Argon2
	Passes uint32 // of Argon2 over its memory; rounds of PBKDF2
	Lanes  uint32 // of Argon2 and scrypt
	LogN   uint32 // the logarithm of scrypt's N and of bcrypt's rounds
	Block  uint32 // of scrypt
}

// The least costs that a hasher takes: 19 MiB, two passes, one lane (OWASP
// Password Storage Cheat Sheet), or 600,000 rounds of HMAC-SHA-256 (the same
// sheet, for FIPS 140). SP 800-63B-4, 3.1.1.2 asks for a suitable scheme with a
// cost as high as is practical.
var (
	Floor       = Params{Memory: 19 * 1024, Passes: 2, Lanes: 1}
	FloorPBKDF2 = Params{Scheme: PBKDF2SHA256, Passes: 600_000}
)

// The sizes that this package makes (RFC 9106, 3.1; SP 800-132, 5.1), and those
// that it reads.
const (
	SaltSize = 16
	tagSize  = 32

	minSalt, maxSalt = 8, 64
	maxTag           = 64
	maxPHC           = 256 // characters of a whole string
)

func (p Params) work() uint64 { return schemes[p.Scheme].work(p) }

// Below reports whether p costs less than other, in time or in memory. A hash
// of another scheme is always below.
func (p Params) Below(other Params) bool {
	return p.Scheme != other.Scheme || p.work() < other.work() || p.Memory < other.Memory && p.Memory < Floor.Memory
}

// Weak reports whether p is under the floor of its scheme, as everything is
// under which hashes are only read.
func (p Params) Weak() bool {
	switch p.Scheme {
	case Argon2id: // what fewer passes lack, more memory makes up for
		return p.Memory < Floor.Memory || p.Passes < Floor.Passes && p.work() < 2*Floor.work()
	case PBKDF2SHA256:
		return p.Passes < FloorPBKDF2.Passes
	}
	return true
}

// String is the parameter part of a PHC string.
func (p Params) String() string {
	var part []string
	for _, f := range schemes[p.Scheme].fields {
		part = append(part, fmt.Sprintf("%s=%d", f.name, *f.at(&p)))
	}
	return strings.Join(part, ",")
}

func (p Params) valid() error {
	s := schemes[p.Scheme]
	for _, f := range s.fields {
		if v := *f.at(&p); v < f.min || v > f.max {
			return fmt.Errorf("%s=%d; %d to %d are read", f.name, v, f.min, f.max)
		}
	}
	if p.Memory > 0 && p.Memory < 8*p.Lanes { // RFC 9106, 3.1: m ≥ 8p
		return fmt.Errorf("m=%d KiB; at least 8 a lane are read", p.Memory)
	}
	if p.work() > s.maxWork {
		return fmt.Errorf("%s is more work than is accepted", p)
	}
	return nil
}

// Hash is a password hash taken apart: the PHC string format
// (github.com/P-H-C/phc-string-format), the form in which it is stored.
type Hash struct {
	Params Params
	Key    int // the version of the pepper under which the tag was made; 0 is none
	Salt   []byte
	Tag    []byte
}

var base64Strict = base64.RawStdEncoding.Strict()

// String is the PHC string.
func (h Hash) String() string {
	s := schemes[h.Params.Scheme]
	part := []string{"", s.name}
	if s.version != "" {
		part = append(part, s.version)
	}
	params := h.Params.String()
	if h.Key != 0 {
		params += ",keyid=" + strconv.Itoa(h.Key)
	}
	return strings.Join(append(part, params, base64Strict.EncodeToString(h.Salt), base64Strict.EncodeToString(h.Tag)), "$")
}

// ParseHash reads a PHC string. It accepts exactly what [Hash.String] writes:
// one spelling a hash, within bounds. Its errors never repeat the input.
func ParseHash(s string) (Hash, error) {
	if len(s) > maxPHC {
		return Hash{}, fmt.Errorf("the password hash has %d characters, more than %d", len(s), maxPHC)
	}
	part := strings.Split(s, "$")
	if len(part) < 2 || part[0] != "" {
		return Hash{}, fmt.Errorf("the password hash is no PHC string")
	}
	n := slices.IndexFunc(schemes[:], func(s scheme) bool { return s.name == part[1] })
	if n < 0 {
		return Hash{}, fmt.Errorf("the password hash is of a scheme that is not read")
	}
	part = part[2:]
	if v := schemes[n].version; v != "" {
		if len(part) == 0 || part[0] != v {
			return Hash{}, fmt.Errorf("the password hash is of another version than %s", v)
		}
		part = part[1:]
	}
	if len(part) != 3 {
		return Hash{}, fmt.Errorf("the password hash has not its parameters, salt and tag")
	}
	h := Hash{Params: Params{Scheme: Scheme(n)}}
	if err := h.readParams(part[0]); err != nil {
		return Hash{}, err
	}
	var ok bool
	if h.Salt, ok = readBase64(part[1], minSalt, maxSalt); !ok {
		return Hash{}, fmt.Errorf("the salt is not %d to %d bytes of base 64", minSalt, maxSalt)
	}
	if h.Tag, ok = readBase64(part[2], schemes[n].minTag, maxTag); !ok {
		return Hash{}, fmt.Errorf("the tag is not %d to %d bytes of base 64", schemes[n].minTag, maxTag)
	}
	return h, h.fits()
}

// fits asks for what only bcrypt has: sizes that cannot be others.
func (h Hash) fits() error {
	if h.Params.Scheme == Bcrypt && (len(h.Salt) != bcryptSalt || len(h.Tag) != bcryptTag) {
		return fmt.Errorf("salt and tag of bcrypt have %d and %d bytes", bcryptSalt, bcryptTag)
	}
	return nil
}

func readBase64(s string, low, high int) ([]byte, bool) {
	b, err := base64Strict.DecodeString(s)
	return b, err == nil && len(b) >= low && len(b) <= high && !strings.ContainsAny(s, "\r\n")
}

func (h *Hash) readParams(s string) error {
	fields := schemes[h.Params.Scheme].fields
	part := strings.Split(s, ",")
	if len(part) == len(fields)+1 {
		n, ok := readNumber(part[len(fields)], "keyid=")
		if !ok || n == 0 || n > maxKey {
			return fmt.Errorf("the last parameter is no version of the pepper")
		}
		h.Key, part = int(n), part[:len(fields)]
	}
	if len(part) != len(fields) {
		return fmt.Errorf("the password hash has %d parameters, not %d", len(part), len(fields))
	}
	for i, f := range fields {
		n, ok := readNumber(part[i], f.name+"=")
		if !ok {
			return fmt.Errorf("parameter %d is not %s and a plain decimal number", i+1, f.name)
		}
		*f.at(&h.Params) = n
	}
	return h.Params.valid()
}

func readNumber(s, prefix string) (uint32, bool) {
	digits, ok := strings.CutPrefix(s, prefix)
	v, err := strconv.ParseUint(digits, 10, 32)
	return uint32(v), ok && err == nil && strconv.FormatUint(v, 10) == digits
}

// derive computes the tag of a password under the hash's salt and cost, without
// the pepper.
func (h Hash) derive(password string) []byte {
	tag, err := schemes[h.Params.Scheme].derive(h.Params, []byte(password), h.Salt, len(h.Tag))
	if err != nil {
		return nil // the bounds leave nothing that fails but FIPS 140 mode, in which only PBKDF2 is computed
	}
	return tag
}

// Is reports whether the hash, made without a pepper, is that of a password,
// and computes it to tell.
func (h Hash) Is(password string) bool { return h.Key == 0 && h.IsUnder(secret.Bytes{}, password) }

// IsUnder is [Hash.Is] for a hash that was made under a pepper: the key of the
// version that the hash names.
func (h Hash) IsUnder(pepper secret.Bytes, password string) bool {
	if h.Params.Scheme == Bcrypt {
		return h.Key == 0 && h.isBcrypt(password)
	}
	tag := h.derive(password)
	if tag == nil {
		return false
	}
	if h.Key != 0 {
		tag = peppered(pepper, tag)
	}
	return subtle.ConstantTimeCompare(tag, h.Tag) == 1
}

// peppered is HMAC-SHA-256 of a tag: "an additional iteration of a keyed
// hashing … operation using a secret key known only to the verifier" (SP
// 800-63B-4, 3.1.1.2).
func peppered(pepper secret.Bytes, tag []byte) []byte {
	mac := hmac.New(sha256.New, pepper.Reveal())
	mac.Write(tag)
	return mac.Sum(nil)
}
