package keys

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"

	"troth/internal/fault"
	"troth/internal/secret"
)

// Create makes a random key of size bytes under a ref, unless there is one. It
// is idempotent, and durable on return. A ref that was destroyed is fault.Gone:
// it is never made again. A key that field sealing uses has 32 bytes.
func (k *Keys) Create(ctx context.Context, ref Ref, size int) error {
	if err := ref.check(); err != nil {
		return err
	}
	if size < minKeyBytes || size > maxKeyBytes {
		return fmt.Errorf("creating %s: a key has %d to %d bytes, not %d", ref, minKeyBytes, maxKeyBytes, size)
	}
	m, err := k.get(ctx, ref)
	if errors.Is(err, ErrUnknown) {
		key := make([]byte, size)
		defer clear(key)
		rand.Read(key) // never fails: crypto/rand stops the program instead
		err = k.insert(ctx, ref, 1, key)
		// Nobody joins a load any more that began before the key was there, and
		// that will say so.
		k.drops.Add(1)
		if err == nil {
			return nil
		}
		if fault.KindOf(err) != fault.Conflict {
			return fmt.Errorf("creating %s: %w", ref, err)
		}
		m, err = k.load(ctx, ref) // somebody else made or destroyed it first
	}
	if err == nil {
		_, err = m.newest()
	}
	if err != nil {
		return fmt.Errorf("creating %s: %w", ref, err)
	}
	return nil
}

// Import puts a key that was made elsewhere under a ref: a private key of a
// certificate authority, a signing key. It is durable on return; fault.Conflict
// when the ref exists, fault.Gone when it was destroyed.
func (k *Keys) Import(ctx context.Context, ref Ref, value secret.Bytes) error {
	if err := ref.check(); err != nil {
		return err
	}
	key := value.Reveal()
	if len(key) < minKeyBytes || len(key) > maxKeyBytes {
		return fmt.Errorf("importing %s: a key has %d to %d bytes, not %d", ref, minKeyBytes, maxKeyBytes, len(key))
	}
	err := k.insert(ctx, ref, 1, key)
	if fault.KindOf(err) == fault.Conflict {
		if m, lerr := k.load(ctx, ref); lerr == nil && m.gone {
			err = ErrGone
		}
	}
	if err != nil {
		return fmt.Errorf("importing %s: %w", ref, err)
	}
	return nil
}

// apart is the caller's context without what callers put into it. Package store
// refuses a Write inside of a Write by such a mark; the keyring is a database of
// its own, and making a key is idempotent, so a month's first key may be made
// inside of a transaction over the data.
type apart struct{ context.Context }

func (apart) Value(any) any { return nil }

// insert wraps a new entry under the current epoch. If another process rolled
// the epoch meanwhile, the entry is wrapped again before anyone is told that it
// exists: the older epoch may be retired at once.
func (k *Keys) insert(ctx context.Context, ref Ref, number int, key []byte) error {
	ctx = apart{ctx}
	epoch, err := k.root.Current(ctx)
	if err != nil {
		return k.unreachable(err)
	}
	e, err := k.wrap(ctx, ref, number, key, epoch)
	if err != nil {
		return k.unreachable(err)
	}
	if err := k.ring.Insert(ctx, e); err != nil {
		if fault.KindOf(err) == fault.Conflict {
			return err
		}
		return k.unreachable(err)
	}
	for {
		now, err := k.root.Current(ctx)
		if err != nil {
			return k.unreachable(err)
		}
		if now == e.Epoch {
			return nil
		}
		if e, err = k.wrap(ctx, ref, number, key, now); err != nil {
			return k.unreachable(err)
		}
		if err := k.ring.Rewrap(ctx, []Entry{e}); err != nil {
			return k.unreachable(err)
		}
	}
}

// Secret returns the newest version of a key, as a copy. It is fault.Gone when
// it was destroyed, fault.NotFound when it was never made, fault.Unavailable
// when root or ring cannot be reached.
func (k *Keys) Secret(ctx context.Context, ref Ref) (secret.Bytes, error) {
	m, err := k.get(ctx, ref)
	if err != nil {
		return secret.Bytes{}, fmt.Errorf("reading %s: %w", ref, err)
	}
	v, err := m.newest()
	if err != nil {
		return secret.Bytes{}, fmt.Errorf("reading %s: %w", ref, err)
	}
	return secret.OfBytes(bytes.Clone(v.key)), nil
}

// SecretVersion returns one version of a key and its number, as a copy; 0 asks
// for the newest. It fails as [Keys.Secret] does, and with [ErrAltered] on a
// version that was never made.
func (k *Keys) SecretVersion(ctx context.Context, ref Ref, number int) (int, secret.Bytes, error) {
	var versions []byte
	if number < 0 || number > maxVersion {
		return 0, secret.Bytes{}, fmt.Errorf("reading %s: it can have no version %d", ref, number)
	}
	if number > 0 {
		versions = binary.BigEndian.AppendUint16(nil, uint16(number))
	}
	v, _, err := k.pick(ctx, ref, versions, 0)
	if err != nil {
		return 0, secret.Bytes{}, fmt.Errorf("reading version %d of %s: %w", number, ref, err)
	}
	return v.number, secret.OfBytes(bytes.Clone(v.key)), nil
}

// Versions lists the versions of a key, newest first.
func (k *Keys) Versions(ctx context.Context, ref Ref) ([]int, error) {
	m, err := k.load(ctx, ref)
	if err != nil {
		return nil, fmt.Errorf("listing the versions of %s: %w", ref, err)
	}
	if m.gone {
		return nil, fmt.Errorf("listing the versions of %s: %w", ref, ErrGone)
	}
	numbers := make([]int, len(m.versions))
	for i, v := range m.versions {
		numbers[i] = v.number
	}
	return numbers, nil
}

// NewVersion adds a random version to an existing key, of the same size. What
// was sealed under older ones still opens; what is sealed from now on uses the
// new one. Other processes seal under the older one for up to five minutes.
// It is durable on return.
func (k *Keys) NewVersion(ctx context.Context, ref Ref) (int, error) {
	m, err := k.load(ctx, ref)
	if err != nil {
		return 0, fmt.Errorf("adding a version to %s: %w", ref, err)
	}
	v, err := m.newest()
	if err != nil {
		return 0, fmt.Errorf("adding a version to %s: %w", ref, err)
	}
	if v.number >= maxVersion {
		return 0, fault.New(fault.Conflict, "keys.versions", "This key has had all the %d versions that it can have.", maxVersion)
	}
	key := make([]byte, len(v.key))
	defer clear(key)
	rand.Read(key) // never fails: crypto/rand stops the program instead
	if err := k.insert(ctx, ref, v.number+1, key); err != nil {
		return 0, fmt.Errorf("adding a version to %s: %w", ref, err)
	}
	k.Evict(ref)
	// If the key was destroyed meanwhile, so is its new version.
	if m, err = k.load(ctx, ref); err == nil && m.gone {
		if err := k.Shred(ctx, ref); err != nil {
			return 0, err
		}
		return 0, fmt.Errorf("adding a version to %s: %w", ref, ErrGone)
	}
	return v.number + 1, nil
}
