package verify

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// Key is the log's public key. It checks checkpoints (C2SP signed-note) and
// evidence (DSSE). The two cannot be taken for each other: the text of a
// checkpoint begins with an origin, which has no space, and what DSSE signs
// begins with "DSSEv1 ".
type Key struct {
	Name   string // the log's origin
	VKey   string // NAME+HASH+BASE64, without the line's end
	note   note.Verifier
	public ed25519.PublicKey
}

// ParseKey reads a key in the form of C2SP signed-note, "NAME+HASH+BASE64".
// Only Ed25519 is accepted.
func ParseKey(vkey string) (Key, error) {
	k := Key{VKey: strings.TrimSpace(vkey)}
	v, err := note.NewVerifier(k.VKey)
	if err != nil {
		return Key{}, fmt.Errorf("reading the key %q: %w", clip(k.VKey), err)
	}
	_, rest, _ := strings.Cut(k.VKey, "+") // NewVerifier has seen both plus signs
	_, encoded, _ := strings.Cut(rest, "+")
	raw, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || len(raw) != 1+ed25519.PublicKeySize {
		return Key{}, fmt.Errorf("the key %q is no Ed25519 key", clip(k.VKey))
	}
	k.Name, k.note, k.public = v.Name(), v, ed25519.PublicKey(raw[1:])
	return k, nil
}

// Verify checks an Ed25519 signature; it makes Key a dsse.Verifier.
func (k Key) Verify(_ context.Context, data, sig []byte) error {
	if len(k.public) != ed25519.PublicKeySize || !ed25519.Verify(k.public, data, sig) {
		return errors.New("the signature is not by this key")
	}
	return nil
}

// KeyID is the log's origin; it makes Key a dsse.Verifier.
func (k Key) KeyID() (string, error) { return k.Name, nil }

// Public is the key itself; it makes Key a dsse.Verifier.
func (k Key) Public() crypto.PublicKey { return k.public }
