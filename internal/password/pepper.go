package password

import (
	"context"
	"fmt"

	"troth/internal/keys"
	"troth/internal/secret"
)

// pepperRef is the key of the pepper: one of the service, in the key hierarchy,
// so that it is in none of the database and its backups.
var pepperRef = keys.ServiceRef("password-pepper")

const (
	pepperSize = 32
	maxKey     = 1<<16 - 1 // of versions of a key
)

// Pepper is a secret that goes into every hash: whoever has only the database
// cannot even begin to guess (SP 800-63B-4, 3.1.1.2). It is applied to the tag,
// as HMAC-SHA-256, and its version stands in the hash as the parameter keyid of
// the PHC string format. A hash under an older version, or under none, is stale:
// it is made again at the next sign-in.
//
// What was hashed under a version can be compared as long as that version is
// there. Without it every password is wrong for ever, and people get back in by
// a reset link; but who loses the key hierarchy has lost the addresses as well.
type Pepper struct {
	Keys *keys.Keys
	On   bool // new hashes get one; those that have one are read in any case
}

// Open makes the key, if new hashes get a pepper and there is none yet.
func (p Pepper) Open(ctx context.Context) error {
	if !p.On {
		return nil
	}
	if err := p.Keys.Create(ctx, pepperRef, pepperSize); err != nil {
		return fmt.Errorf("making the pepper of passwords: %w", err)
	}
	return nil
}

// Rotate makes a new version, under which hashes are made from now on: on other
// nodes within five minutes.
func (p Pepper) Rotate(ctx context.Context) (version int, err error) {
	if version, err = p.Keys.NewVersion(ctx, pepperRef); err != nil {
		return 0, fmt.Errorf("making a new pepper: %w", err)
	}
	return version, nil
}

// newest is the version under which hashes are made; 0 is none.
func (p Pepper) newest(ctx context.Context) (int, secret.Bytes, error) {
	if !p.On {
		return 0, secret.Bytes{}, nil
	}
	n, key, err := p.Keys.SecretVersion(ctx, pepperRef, 0)
	if err != nil {
		return 0, secret.Bytes{}, fmt.Errorf("reading the pepper of passwords: %w", err)
	}
	return n, key, nil
}

// Of is the pepper of a hash; none for one that was made without.
func (p Pepper) Of(ctx context.Context, h Hash) (secret.Bytes, error) {
	if h.Key == 0 {
		return secret.Bytes{}, nil
	}
	if p.Keys == nil {
		return secret.Bytes{}, fmt.Errorf("there is no pepper to compare a password hash with")
	}
	_, key, err := p.Keys.SecretVersion(ctx, pepperRef, h.Key)
	if err != nil {
		return secret.Bytes{}, fmt.Errorf("reading version %d of the pepper of passwords: %w", h.Key, err)
	}
	return key, nil
}
