package audit

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	"golang.org/x/mod/sumdb/note"

	"troth/internal/keys"
)

// signerRef names the entry of the keyring that signs the log: an Ed25519 seed
// (RFC 8032, 5.1.5).
var signerRef = keys.ServiceRef("log-signer")

// signer signs checkpoints. It implements note.Signer.
type signer struct {
	name string
	hash uint32
	vkey string
	key  ed25519.PrivateKey
}

// algEd25519 is the signature type of C2SP signed-note.
const algEd25519 = 1

func newSigner(name string, seed []byte) (*signer, error) {
	if len(seed) != ed25519.SeedSize {
		return nil, fmt.Errorf("the log's key has %d bytes instead of %d", len(seed), ed25519.SeedSize)
	}
	s := &signer{name: name, key: ed25519.NewKeyFromSeed(seed)}
	public := s.key.Public().(ed25519.PublicKey)
	var err error
	if s.vkey, err = note.NewEd25519VerifierKey(name, public); err != nil {
		return nil, err
	}
	// C2SP signed-note: the key's identifier is the start of SHA-256 over its
	// name, a newline, the type and the public key.
	sum := sha256.Sum256(append([]byte(name+"\n"), append([]byte{algEd25519}, public...)...))
	s.hash = binary.BigEndian.Uint32(sum[:])
	if _, err := note.NewVerifier(s.vkey); err != nil {
		return nil, fmt.Errorf("the origin %q cannot be the name of a key: %w", name, err)
	}
	return s, nil
}

func (s *signer) Name() string                    { return s.name }
func (s *signer) KeyHash() uint32                 { return s.hash }
func (s *signer) Sign(msg []byte) ([]byte, error) { return ed25519.Sign(s.key, msg), nil }

func (l *Log) openSigner(ctx context.Context) error {
	if err := l.createKey(ctx, signerRef, ed25519.SeedSize); err != nil {
		return fmt.Errorf("making the log's signing key: %w", err)
	}
	seed, err := l.keys.Secret(ctx, signerRef)
	if err != nil {
		return fmt.Errorf("reading the log's signing key: %w", err)
	}
	l.signer, err = newSigner(l.origin, seed.Reveal())
	return err
}

// VKey is the key that verifies the log, as C2SP signed-note writes it:
// name+hash+key. Whoever pins it can check everything that the log publishes.
func (l *Log) VKey() string { return l.signer.vkey }

// PublicKey is the log's Ed25519 key.
func (l *Log) PublicKey() ed25519.PublicKey { return l.signer.key.Public().(ed25519.PublicKey) }

// Envelope signs a document with the log's key, as a DSSE envelope. It cannot be
// taken for a checkpoint: what DSSE signs begins with "DSSEv1 ", and a
// checkpoint with an origin, which has no space.
func (l *Log) Envelope(ctx context.Context, payloadType string, body []byte) ([]byte, error) {
	s, err := dsse.NewEnvelopeSigner(enveloper{l.signer})
	if err != nil {
		return nil, fmt.Errorf("preparing to sign: %w", err)
	}
	e, err := s.SignPayload(ctx, payloadType, body)
	if err != nil {
		return nil, fmt.Errorf("signing: %w", err)
	}
	return json.Marshal(e)
}

// enveloper makes the log's key a dsse.Signer.
type enveloper struct{ *signer }

// Sign signs the pre-authentication encoding of DSSE.
func (e enveloper) Sign(_ context.Context, data []byte) ([]byte, error) { return e.signer.Sign(data) }

// KeyID is the log's origin.
func (e enveloper) KeyID() (string, error) { return e.name, nil }
