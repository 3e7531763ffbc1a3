// Package keys is the key hierarchy of Troth, and the only place that seals
// and opens fields.
//
// # The hierarchy
//
// An epoch key lives in the [Root]: a file with mode 0600 ([FileRoot]) or a
// key at a KMS. It does one thing: it wraps the entries of the keyring. The
// keyring ([Ring], kept by package store in a database of its own) holds the
// database key, a key-encryption key for each tenant (with versions), a
// subject key for each account, a key for each month of a class of records and
// the keys of the installation, all wrapped, each bound by the wrapping's
// additional data to its name, version and epoch. From the entries HKDF-SHA-256
// (RFC 5869) derives the keys that touch data.
//
// Rotation is a new epoch that rewraps every entry ([Keys.Roll]); data are
// never encrypted again for it. To destroy a key ([Keys.Shred]) makes its entry
// a tombstone; older backups of the keyring still hold the wrapped value until
// the epochs that wrapped it are destroyed too: Roll, then [Keys.Retire]. That
// is cryptographic erasure (SP 800-88r2, 3.1.3), and no more than that.
//
// # Sealed fields
//
// [Keys.Seal] encrypts with XAES-256-GCM (https://c2sp.org/XAES-256-GCM) under
// a key derived from all the named keys together, so that destroying any of
// them destroys the field. The result is
//
//	format (1 byte) | algorithm (1) | number of keys (1) | version of each (2)
//	| nonce (24) | ciphertext | tag (16)
//
// The header and the [Place] are authenticated: a field cannot be moved to
// another row, column, table, region or tenant. XAES-256-GCM does not commit to
// its key; therefore the header says which keys, and [Keys.Open] never tries one
// after the other.
//
// # Caches
//
// Keys in the clear are held in memory for at most 15 minutes counted from
// their loading, however much they are used, in a bounded number. From five
// minutes on, the next use asks root and ring again in the background: if they
// cannot be reached, the key serves until the hard stop, and then everything
// under it is fault.Unavailable; if the root says that it refuses
// ([ErrDenied]), everything is dropped at once. Memory is not locked: the
// operator encrypts swap or has none.
//
// # What it never does
//
// It never writes a key in the clear, never prints one, never decrypts by trial,
// never makes a destroyed key again. It imports no store. It does not decide who
// may read what: that is package access.
package keys

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"

	"troth/internal/fault"
)

// Root is a driver for epoch keys: the key file is one, a KMS another. It
// returns an error that wraps [ErrDenied] when it is there and refuses,
// [ErrNoEpoch] when it knows that it does not have that epoch; any other error
// means that it could not be asked.
type Root interface {
	// Epochs lists the epochs whose keys still exist, the oldest first. Their
	// names sort in the order in which they were made.
	Epochs(ctx context.Context) ([]string, error)
	// Current is the newest epoch, read from the source each time: another
	// process may have made it.
	Current(ctx context.Context) (string, error)
	// Create makes a new epoch, which is then the current one. It is durable
	// on return.
	Create(ctx context.Context) (epoch string, err error)
	// Wrap encrypts a key under an epoch and authenticates aad with it.
	Wrap(ctx context.Context, epoch string, plain, aad []byte) ([]byte, error)
	// Unwrap is the reverse of Wrap; [ErrAltered] when the value or aad differ.
	Unwrap(ctx context.Context, epoch string, wrapped, aad []byte) ([]byte, error)
	// Destroy destroys an epoch key. The time says when it is really gone: a
	// KMS schedules it for days ahead; the zero time is "now, and durably".
	Destroy(ctx context.Context, epoch string) (done time.Time, err error)
}

var (
	// ErrDenied says that the root is there and refuses.
	ErrDenied = errors.New("the root key refuses to be used")
	// ErrNoEpoch says that the root does not have the key of an epoch.
	ErrNoEpoch = errors.New("the root has no key of that epoch")
	// ErrAltered says that a sealed value was changed, was moved from the
	// place it was sealed for, or was sealed under other keys.
	ErrAltered = errors.New("the sealed value was altered or moved")
)

// The faults of this package.
var (
	// ErrGone: the key was destroyed, and everything sealed under it with it.
	ErrGone = fault.New(fault.Gone, "keys.destroyed", "The key of this was destroyed, so nobody can read it any more.")
	// ErrUnknown: there never was such a key.
	ErrUnknown     = fault.New(fault.NotFound, "keys.unknown", "There is no key of that name.")
	errUnavailable = fault.New(fault.Unavailable, "keys.unavailable", "The keys cannot be reached, so nothing that is encrypted can be read or written. Try again shortly.")
)

// The limits of the caches.
const (
	softAge     = 5 * time.Minute  // from here on, the next use asks again
	hardAge     = 15 * time.Minute // from here on, the key is not used
	retryAfter  = 10 * time.Second // between two tries to ask again
	loadTime    = 10 * time.Second // the longest that root and ring may take for one key
	maxCached   = 1 << 14          // keys, and as many derived ones: about 15 MB when full
	maxRefresh  = 4                // refreshes under way at once
	maxKeyBytes = 1 << 14          // the largest imported value
	minKeyBytes = 16               // the smallest
)

// Keys is the key hierarchy. It is safe for concurrent use, by several
// processes over the same root and ring too.
type Keys struct {
	root Root
	ring Ring
	now  func() time.Time

	announce func(ctx context.Context, destroyed []Ref) error // nil tells nobody

	loads     singleflight.Group
	refreshes chan struct{}
	drops     atomic.Uint64 // counts evictions: a load that began before one is not cached

	mu      sync.RWMutex
	loaded  map[Ref]*material
	derived map[string]*derivation
}

// New makes the key hierarchy over a root and a ring. It reads nothing yet.
func New(root Root, ring Ring, now func() time.Time) *Keys {
	return &Keys{
		root: root, ring: ring, now: now,
		refreshes: make(chan struct{}, maxRefresh),
		loaded:    map[Ref]*material{},
		derived:   map[string]*derivation{},
	}
}

// Health reports whether root and ring can be used now: it reads the ring, and
// wraps and unwraps under the current epoch. It is fault.Unavailable otherwise.
func (k *Keys) Health(ctx context.Context) error {
	entries, err := k.ring.Walk(ctx, "", 1)
	if err != nil {
		return k.unreachable(err)
	}
	for _, e := range entries {
		if !e.Destroyed() {
			if _, err := k.unwrap(ctx, e); err != nil {
				return k.unreachable(err)
			}
		}
	}
	epoch, err := k.root.Current(ctx)
	if err != nil {
		return k.unreachable(err)
	}
	wrapped, err := k.root.Wrap(ctx, epoch, []byte("health"), nil)
	if err == nil {
		_, err = k.root.Unwrap(ctx, epoch, wrapped, nil)
	}
	if err != nil {
		return k.unreachable(err)
	}
	return nil
}

// unreachable turns an error of root or ring into the fault that callers see.
// A refusal of the root empties the caches at once.
func (k *Keys) unreachable(err error) error {
	if errors.Is(err, ErrDenied) {
		k.Evict()
	}
	if errors.Is(err, context.Canceled) {
		return err // the caller went away; that says nothing about the keys
	}
	return fault.Wrap(err, fault.Unavailable, errUnavailable.Code, errUnavailable.Message.Format)
}

// Format keeps the cached keys out of every verb of package fmt.
func (k *Keys) Format(f fmt.State, _ rune) { fmt.Fprint(f, "key hierarchy") }
