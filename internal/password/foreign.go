package password

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// ReadForeign reads a password hash that another system made, in one of the
// common spellings, and makes of it the one that is stored here:
//
//	$2a$10$…, $2b$10$…, $2y$10$…                     bcrypt
//	$argon2id$v=19$m=…,t=…,p=…$salt$tag              Argon2id and Argon2i, version 1.3
//	$scrypt$ln=…,r=…,p=…$salt$tag                    scrypt
//	$pbkdf2-sha256$i=…$salt$tag, $pbkdf2-sha512$…    PBKDF2 as a PHC string
//	$pbkdf2-sha256$29000$salt$tag                    PBKDF2 as passlib writes it
//	pbkdf2_sha256$600000$salt$tag                    PBKDF2 as Django writes it
//
// What costs more to compute than this package accepts is refused, and so is
// what it cannot compute. Its errors never repeat the input.
func ReadForeign(s string) (Hash, error) {
	s = strings.TrimSpace(s)
	switch {
	case len(s) > 2*maxPHC:
		return Hash{}, fmt.Errorf("the password hash has more than %d characters", 2*maxPHC)
	case strings.HasPrefix(s, "$2"):
		return readBcrypt(s)
	case strings.HasPrefix(s, "pbkdf2_"):
		return readDjango(s)
	}
	part := strings.Split(s, "$")
	if len(part) < 5 || part[0] != "" {
		return Hash{}, fmt.Errorf("this is no spelling of a password hash that is read here")
	}
	name := part[1]
	if name == "pbkdf2" {
		name = "pbkdf2-sha1"
	}
	n := slices.IndexFunc(schemes[:], func(s scheme) bool { return s.name == name })
	if n < 0 || Scheme(n) == Bcrypt || Scheme(n) == FirebaseScrypt {
		return Hash{}, fmt.Errorf("password hashes of this scheme are not read")
	}
	h := Hash{Params: Params{Scheme: Scheme(n)}}
	part = part[2:]
	if v := schemes[n].version; v != "" {
		if part[0] != v {
			return Hash{}, fmt.Errorf("of %s only version 1.3 (%s) is read", name, v)
		}
		part = part[1:]
	}
	if len(part) != 3 {
		return Hash{}, fmt.Errorf("the password hash has not its parameters, salt and tag")
	}
	if err := h.readForeignParams(part[0]); err != nil {
		return Hash{}, err
	}
	return h.with(part[1], part[2])
}

// readForeignParams reads parameters in any order. A length of the tag is
// passed over: the tag says it.
func (h *Hash) readForeignParams(s string) error {
	fields := schemes[h.Params.Scheme].fields
	if n, ok := readNumber(s, ""); ok && len(fields) == 1 { // passlib
		*fields[0].at(&h.Params) = n
		return h.Params.valid()
	}
	seen := 0
	for _, part := range strings.Split(s, ",") {
		name, digits, _ := strings.Cut(part, "=")
		i := slices.IndexFunc(fields, func(f field) bool { return f.name == name })
		if i < 0 && (name == "l" || name == "dkLen") {
			continue
		}
		n, ok := readNumber(digits, "")
		if i < 0 || !ok || *fields[i].at(&h.Params) != 0 {
			return fmt.Errorf("the parameters of the password hash are not those of %s", h.Params.Scheme)
		}
		*fields[i].at(&h.Params) = n
		seen++
	}
	if seen != len(fields) {
		return fmt.Errorf("the parameters of the password hash are not those of %s", h.Params.Scheme)
	}
	return h.Params.valid()
}

// with sets salt and tag, in any base 64.
func (h Hash) with(salt, tag string) (Hash, error) {
	s, err := anyBase64(salt)
	if err != nil {
		return Hash{}, fmt.Errorf("the salt is no base 64")
	}
	t, err := anyBase64(tag)
	if err != nil {
		return Hash{}, fmt.Errorf("the tag is no base 64")
	}
	return h.of(s, t)
}

// of sets salt and tag. Of PBKDF2 the first block is kept, which is all that
// anybody has to compute to tell a password: the blocks are independent (RFC
// 8018, 5.2), so a longer tag costs only the one who defends.
func (h Hash) of(salt, tag []byte) (Hash, error) {
	if first, ok := map[Scheme]int{PBKDF2SHA1: 20, PBKDF2SHA256: 32, PBKDF2SHA512: 64}[h.Params.Scheme]; ok {
		tag = tag[:min(len(tag), first)]
	}
	h.Salt, h.Tag = salt, tag
	low := schemes[h.Params.Scheme].minTag
	switch {
	case len(salt) < minSalt || len(salt) > maxSalt:
		return Hash{}, fmt.Errorf("the salt has %d bytes; %d to %d are read", len(salt), minSalt, maxSalt)
	case len(tag) < low || len(tag) > maxTag:
		return Hash{}, fmt.Errorf("the tag has %d bytes; %d to %d are read", len(tag), low, maxTag)
	}
	return h, nil
}

// readDjango reads pbkdf2_sha256$rounds$salt$tag, whose salt is the text itself.
func readDjango(s string) (Hash, error) {
	part := strings.Split(s, "$")
	if len(part) != 4 {
		return Hash{}, fmt.Errorf("this is no password hash of Django")
	}
	which, ok := map[string]Scheme{"pbkdf2_sha256": PBKDF2SHA256, "pbkdf2_sha1": PBKDF2SHA1}[part[0]]
	n, err := strconv.ParseUint(part[1], 10, 32)
	if !ok || err != nil {
		return Hash{}, fmt.Errorf("this is no password hash of Django that is read here")
	}
	h := Hash{Params: Params{Scheme: which, Passes: uint32(n)}}
	if err := h.Params.valid(); err != nil {
		return Hash{}, err
	}
	tag, err := anyBase64(part[3])
	if err != nil {
		return Hash{}, fmt.Errorf("the tag is no base 64")
	}
	return h.of([]byte(part[2]), tag)
}

// anyBase64 reads base 64 of any of the usual alphabets (RFC 4648, 4 and 5;
// passlib writes a dot for a plus), with or without padding.
func anyBase64(s string) ([]byte, error) {
	s = strings.TrimRight(strings.NewReplacer("-", "+", "_", "/", ".", "+").Replace(strings.TrimSpace(s)), "=")
	return base64.RawStdEncoding.DecodeString(s)
}

// Affordable refuses a hash that would take more memory than a hasher has, or
// longer than patience allows: one that was made to stop whoever compares it.
func (h Hash) Affordable(budget int64) error {
	if need := h.Params.kib() << 10; need > budget {
		return fmt.Errorf("computing the hash takes %d MiB, more than account.password_memory allows", need>>20)
	}
	return nil
}
