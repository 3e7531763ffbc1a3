package password

import (
	"encoding/base64"
	"fmt"

	"golang.org/x/crypto/bcrypt"
)

// The sizes of bcrypt: 128 bits of salt, and three words of eight bytes but one.
const (
	bcryptSalt = 16
	bcryptTag  = 23
)

// bcryptAlphabet is the base 64 of bcrypt, which is that of nobody else.
var bcryptAlphabet = base64.NewEncoding("./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789").WithPadding(base64.NoPadding)

// crypt is the hash in the modular crypt format. The letters a, b and y after
// the 2 mark the same function: they tell apart programs that had defects.
func (h Hash) crypt() string {
	return fmt.Sprintf("$2b$%02d$%s%s", h.Params.LogN, bcryptAlphabet.EncodeToString(h.Salt), bcryptAlphabet.EncodeToString(h.Tag))
}

// isBcrypt compares as bcrypt does: 72 bytes of the password count.
func (h Hash) isBcrypt(password string) bool {
	return bcrypt.CompareHashAndPassword([]byte(h.crypt()), []byte(password)) == nil
}

// readBcrypt reads the modular crypt format: $2b$10$ and 53 characters.
func readBcrypt(s string) (Hash, error) {
	const head, salt = len("$2b$10$"), 22
	if len(s) != 60 || s[0] != '$' || s[1] != '2' || s[3] != '$' || s[6] != '$' {
		return Hash{}, fmt.Errorf("this is no bcrypt hash of 60 characters")
	}
	switch s[2] {
	case 'a', 'b', 'y':
	default:
		return Hash{}, fmt.Errorf("bcrypt of the version 2%c is not read: only 2a, 2b and 2y", s[2])
	}
	cost, ok := readNumber(trimZero(s[4:6]), "")
	if !ok {
		return Hash{}, fmt.Errorf("the cost of bcrypt is no number")
	}
	h := Hash{Params: Params{Scheme: Bcrypt, LogN: cost}}
	var err error
	if h.Salt, err = bcryptAlphabet.DecodeString(s[head : head+salt]); err != nil {
		return Hash{}, fmt.Errorf("the salt of bcrypt is not its base 64")
	}
	if h.Tag, err = bcryptAlphabet.DecodeString(s[head+salt:]); err != nil {
		return Hash{}, fmt.Errorf("the tag of bcrypt is not its base 64")
	}
	return h, h.Params.valid()
}

func trimZero(s string) string {
	if s[0] == '0' {
		return s[1:]
	}
	return s
}
