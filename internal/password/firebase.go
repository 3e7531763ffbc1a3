package password

import (
	"bufio"
	"crypto/subtle"
	"fmt"
	"io"
	"strings"
)

// Firebase is what the console of Firebase shows under "password hash
// parameters": one for all accounts of a project.
//
// Its scheme encrypts the signer key, which is the same for all, with AES-256 in
// counter mode under a key that scrypt makes of the password and of the salt
// followed by the separator; the result is the hash (github.com/firebase/scrypt).
// So the hash is the signer key ⊕ the key stream, and what is stored here is the
// key stream: the signer key is needed to import, and is not kept.
type Firebase struct {
	SignerKey     []byte
	SaltSeparator []byte
	Rounds        uint32 // r of scrypt
	MemCost       uint32 // the logarithm of its N
}

// ReadFirebase reads the parameters as the console shows them: lines of
// "base64_signer_key: …,", in or without braces.
func ReadFirebase(r io.Reader) (Firebase, error) {
	var f Firebase
	found := map[string]bool{}
	lines := bufio.NewScanner(io.LimitReader(r, 64<<10))
	for lines.Scan() {
		name, value, ok := strings.Cut(lines.Text(), ":")
		if !ok {
			continue
		}
		name, value = strings.TrimSpace(name), strings.Trim(value, " \t,\"'")
		var err error
		switch name {
		case "algorithm":
			if value != "SCRYPT" {
				return Firebase{}, fmt.Errorf("the algorithm of the project is %q; SCRYPT is read", value)
			}
		case "base64_signer_key":
			f.SignerKey, err = anyBase64(value)
		case "base64_salt_separator":
			f.SaltSeparator, err = anyBase64(value)
		case "rounds":
			f.Rounds, ok = readNumber(value, "")
		case "mem_cost":
			f.MemCost, ok = readNumber(value, "")
		}
		if err != nil || !ok {
			return Firebase{}, fmt.Errorf("%s is not as the console shows it", name)
		}
		found[name] = true
	}
	for _, name := range []string{"base64_signer_key", "base64_salt_separator", "rounds", "mem_cost"} {
		if !found[name] {
			return Firebase{}, fmt.Errorf("%s is missing: copy the password hash parameters of the console", name)
		}
	}
	return f, lines.Err()
}

// Hash makes a hash of the salt and hash of an exported account.
func (f Firebase) Hash(salt, hash string) (Hash, error) {
	s, err := anyBase64(salt)
	if err != nil {
		return Hash{}, fmt.Errorf("the salt is no base 64")
	}
	tag, err := anyBase64(hash)
	if err != nil {
		return Hash{}, fmt.Errorf("the hash is no base 64")
	}
	if len(f.SignerKey) == 0 || len(tag) != len(f.SignerKey) {
		return Hash{}, fmt.Errorf("the hash has %d bytes and the signer key %d; they have to be the same", len(tag), len(f.SignerKey))
	}
	h := Hash{Params: Params{Scheme: FirebaseScrypt, LogN: f.MemCost, Block: f.Rounds, Lanes: 1}}
	if err := h.Params.valid(); err != nil {
		return Hash{}, err
	}
	stream := make([]byte, len(tag))
	subtle.XORBytes(stream, tag, f.SignerKey)
	return h.of(append(s, f.SaltSeparator...), stream)
}
