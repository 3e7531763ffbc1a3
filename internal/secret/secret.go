// Package secret holds values that must never be printed.
//
// A [String] or [Bytes] that reaches a log, an error, a JSON document or a
// debugger's %#v shows "[secret]". Whoever needs the value says [String.Reveal],
// which can be searched for. The package also makes the random tokens that
// stand in cookies and links, and the digests under which they are stored: a
// database of digests opens nothing.
package secret

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"log/slog"
)

const hidden = "[secret]"

// String is a text that never prints. The text stands behind a pointer because
// package fmt calls no methods on unexported fields: a struct that holds a
// String shows an address there.
type String struct{ v *string }

// Of wraps a text.
func Of(v string) String { return String{&v} }

// Reveal returns the text.
func (s String) Reveal() string {
	if s.v == nil {
		return ""
	}
	return *s.v
}

// IsZero reports whether there is no text.
func (s String) IsZero() bool { return s.Reveal() == "" }

// Equal compares in time that depends only on the lengths.
func (s String) Equal(other String) bool {
	return subtle.ConstantTimeCompare([]byte(s.Reveal()), []byte(other.Reveal())) == 1
}

// Format hides the value from every verb of package fmt.
func (s String) Format(f fmt.State, _ rune) { fmt.Fprint(f, hidden) }

// LogValue hides the value from log/slog.
func (s String) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalText hides the value from encoding/json, TOML and XML.
func (s String) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// Bytes is key material that never prints. It stands behind a function, since
// fmt follows a pointer to a slice.
type Bytes struct{ v func() []byte }

// OfBytes wraps key material without copying it.
func OfBytes(v []byte) Bytes { return Bytes{func() []byte { return v }} }

// Reveal returns the key material, not a copy.
func (b Bytes) Reveal() []byte {
	if b.v == nil {
		return nil
	}
	return b.v()
}

// IsZero reports whether there is no key material.
func (b Bytes) IsZero() bool { return len(b.Reveal()) == 0 }

// Format hides the value from every verb of package fmt.
func (b Bytes) Format(f fmt.State, _ rune) { fmt.Fprint(f, hidden) }

// LogValue hides the value from log/slog.
func (b Bytes) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalText hides the value from encoding/json, TOML and XML.
func (b Bytes) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// TokenSize is the number of random bytes in a token: 256 bits, four times
// what SP 800-63B-4, 5.1 asks of a session secret.
const TokenSize = 32

// tokenLen is the length of a token's text: base64url without padding.
const tokenLen = 43

// NewToken makes a random token of 43 URL-safe characters.
func NewToken() String {
	var b [TokenSize]byte
	rand.Read(b[:]) // never fails: crypto/rand stops the program instead
	return Of(base64.RawURLEncoding.EncodeToString(b[:]))
}

// Digest is what is stored of a token: SHA-256 of its text. A token has 256
// bits of entropy, so a fast hash without salt is enough (OWASP ASVS 5.0, 11.4).
type Digest [sha256.Size]byte

// DigestOf returns the digest of a token's text, and false if the text cannot
// be a token. It allocates nothing.
func DigestOf(token string) (Digest, bool) {
	if len(token) != tokenLen {
		return Digest{}, false
	}
	var b [tokenLen]byte
	copy(b[:], token)
	return sha256.Sum256(b[:]), true
}
