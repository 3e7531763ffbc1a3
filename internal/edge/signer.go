package edge

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"

	"troth/internal/fault"
	"troth/internal/keys"
	"troth/internal/secret"
)

// The life of a signing key: made, published for as long as anybody may still
// use an older copy of the key set, used, replaced, published until the last
// assertion signed with it has long expired, destroyed.
const (
	rotateEvery = 30 * 24 * time.Hour
	jwksMaxAge  = 5 * time.Minute  // how long a copy of the key set may be used
	publishLead = 15 * time.Minute // from publication to use: three times as long
	publishTail = time.Hour        // from the last use to destruction
)

var errNoKey = fault.New(fault.Unavailable, "edge.no_signing_key", "There is no key with which to sign who you are. Try again soon.")

// SignerOptions are what a signer is made of.
type SignerOptions struct {
	Issuer   string   // the origin
	Audience string   // what the application expects as "aud"; the issuer if empty
	Profiles Profiles // nil: assertions hold identifiers only
	Keys     SigningKeys
	Book     KeyBook
	Now      func() time.Time
}

// SigningKeys is what the signer needs of package keys.
type SigningKeys interface {
	Keyring
	// Shred destroys keys and returns after that is durable.
	Shred(ctx context.Context, refs ...keys.Ref) error
}

// KeyBook remembers which signing keys there are. The keys themselves are in the
// keyring; what the book says about them is no secret.
type KeyBook interface {
	// Records returns all records, the newest first.
	Records(ctx context.Context) ([]KeyRecord, error)
	// Add writes a record unless there is one made after the given time, and
	// reports whether it did; the one that it replaces is made to end. It
	// returns after that is durable.
	Add(ctx context.Context, r KeyRecord, unlessAfter time.Time) (bool, error)
	// Remove forgets a key.
	Remove(ctx context.Context, kid string) error
}

// KeyRecord is what is written about one signing key.
type KeyRecord struct {
	KID       string // its thumbprint (RFC 7638)
	CreatedAt time.Time
	UseAt     time.Time // from then on it signs
	EndAt     time.Time // then it is destroyed; zero while it has no successor
}

// Signer signs assertions and publishes the keys to check them with.
type Signer struct {
	o     SignerOptions
	now   func() time.Time
	set   atomic.Pointer[keySet]
	cache cache
	mu    sync.Mutex // one Refresh or Rotate at a time
}

// signingKey is a key in use or about to be.
type signingKey struct {
	KeyRecord
	private *ecdsa.PrivateKey
	signer  jose.Signer
}

// keySet is all of them, the newest first, and their public halves as they are
// published.
type keySet struct {
	keys []*signingKey
	jwks []byte
}

// signing returns the newest key that may be used already. When the clock was
// set back to before the first of them, it is the first: it is published.
func (s *keySet) signing(now time.Time) *signingKey {
	for _, k := range s.keys {
		if !now.Before(k.UseAt) {
			return k
		}
	}
	if n := len(s.keys); n > 0 {
		return s.keys[n-1]
	}
	return nil
}

// OpenSigner reads the signing keys, and makes the first one.
func OpenSigner(ctx context.Context, o SignerOptions) (*Signer, error) {
	if o.Audience == "" {
		o.Audience = o.Issuer
	}
	if o.Issuer == "" || o.Keys == nil || o.Book == nil || o.Now == nil {
		return nil, errors.New("a signer needs an issuer, keys, a book of keys and a clock")
	}
	s := &Signer{o: o, now: o.Now}
	if err := s.Rotate(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// Rotate makes a new signing key when the newest one is a month old, and
// destroys those whose time is over. It is a job; it may run on every node at
// once, and as often as one likes.
func (s *Signer) Rotate(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	records, err := s.o.Book.Records(ctx)
	if err != nil {
		return fmt.Errorf("reading the book of signing keys: %w", err)
	}
	now := s.now()
	if len(records) == 0 || now.Sub(records[0].CreatedAt) >= rotateEvery {
		if err := s.make(ctx, len(records) == 0); err != nil {
			return err
		}
	}
	for _, r := range records {
		if !r.EndAt.IsZero() && now.After(r.EndAt) {
			// First the key, then the record: a crash between leaves a record to try again with.
			if err := s.o.Keys.Shred(ctx, refOf(r.KID)); err != nil {
				return fmt.Errorf("destroying a signing key: %w", err)
			}
			if err := s.o.Book.Remove(ctx, r.KID); err != nil {
				return fmt.Errorf("forgetting a signing key: %w", err)
			}
		}
	}
	return s.load(ctx)
}

func refOf(kid string) keys.Ref { return keys.ServiceRef("assertion/" + kid) }

// make makes a key. The first of all is used at once: nobody has a key set yet.
func (s *Signer) make(ctx context.Context, first bool) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("making a signing key: %w", err)
	}
	kid, err := thumbprint(key)
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("encoding a signing key: %w", err)
	}
	if err := s.o.Keys.Import(ctx, refOf(kid), secret.OfBytes(der)); err != nil {
		return fmt.Errorf("keeping a signing key: %w", err)
	}
	now := s.now()
	r := KeyRecord{KID: kid, CreatedAt: now, UseAt: now.Add(publishLead)}
	if first {
		r.UseAt = now
	}
	added, err := s.o.Book.Add(ctx, r, now.Add(-rotateEvery))
	if err != nil {
		return fmt.Errorf("writing a signing key into the book: %w", err)
	}
	if !added { // another node was faster
		return s.o.Keys.Shred(ctx, refOf(kid))
	}
	return nil
}

func thumbprint(key *ecdsa.PrivateKey) (string, error) {
	sum, err := (&jose.JSONWebKey{Key: &key.PublicKey}).Thumbprint(crypto.SHA256)
	if err != nil {
		return "", fmt.Errorf("taking the thumbprint of a key: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(sum), nil
}

// Refresh reads the book and the keys again: another node may have rotated
// them. After an error the former ones stay in use.
func (s *Signer) Refresh(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.load(ctx)
}

func (s *Signer) load(ctx context.Context) error {
	records, err := s.o.Book.Records(ctx)
	if err != nil {
		return fmt.Errorf("reading the book of signing keys: %w", err)
	}
	set := &keySet{}
	public := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}}
	for _, r := range records {
		if !r.EndAt.IsZero() && s.now().After(r.EndAt) {
			continue
		}
		k, err := s.open(ctx, r)
		if fault.KindOf(err) == fault.Gone {
			continue // destroyed: it signs nothing from now on
		}
		if err != nil {
			return err
		}
		set.keys = append(set.keys, k)
		public.Keys = append(public.Keys, jose.JSONWebKey{Key: &k.private.PublicKey, KeyID: k.KID, Algorithm: "ES256", Use: "sig"})
	}
	slices.SortStableFunc(set.keys, func(a, b *signingKey) int { return b.UseAt.Compare(a.UseAt) })
	if set.jwks, err = json.Marshal(public); err != nil {
		return fmt.Errorf("encoding the key set: %w", err)
	}
	s.set.Store(set)
	return nil
}

// open reads one key. What is published is made from the key itself: whoever
// can write into the book cannot make the application believe in another key.
func (s *Signer) open(ctx context.Context, r KeyRecord) (*signingKey, error) {
	der, err := s.o.Keys.Secret(ctx, refOf(r.KID))
	if err != nil {
		return nil, fmt.Errorf("reading the signing key %s: %w", r.KID, err)
	}
	k := &signingKey{KeyRecord: r}
	if k.private, err = parseKey(der); err != nil {
		return nil, fmt.Errorf("reading the signing key %s: %w", r.KID, err)
	}
	if is, err := thumbprint(k.private); err != nil || is != r.KID {
		return nil, fmt.Errorf("the signing key %s has the thumbprint %q: the keyring or the book was changed: %w", r.KID, is, err)
	}
	if k.signer, err = newJOSE(k); err != nil {
		return nil, fmt.Errorf("using the signing key %s: %w", r.KID, err)
	}
	return k, nil
}

// JWKS is the key set (RFC 7517, 5) and how long a copy of it may be used.
func (s *Signer) JWKS() ([]byte, time.Duration) {
	if set := s.set.Load(); set != nil {
		return set.jwks, jwksMaxAge
	}
	return []byte(`{"keys":[]}`), 0
}
