package password

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"troth/internal/fault"
	"troth/internal/secret"
)

// Verdict is what comparing a password with a stored hash found.
type Verdict struct {
	Match bool
	Stale bool // the hash is cheaper than the present cost: hash again
}

// Hashing turns passwords into what is stored and compares them. Passwords
// reach it normalised (see [Check]). Neither method keeps anything.
type Hashing interface {
	// Hash returns the text to store: a PHC string with a salt of its own.
	Hash(ctx context.Context, password secret.String) (string, error)
	// Verify compares a password with a stored text. With an empty text it
	// does the same work on a hash that no password matches.
	Verify(ctx context.Context, stored string, password secret.String) (Verdict, error)
}

// Hasher is the [Hashing] of the installation: Argon2id at one cost.
//
// It computes a bounded number of hashes at once. A hash takes tens of MiB, so
// without a bound a flood of sign-ins takes the memory (CWE-400). Whoever has
// to wait longer than the hasher's patience, or finds the queue full, gets
// fault.Unavailable with a time to come back.
type Hasher struct {
	params   Params
	capacity int64 // KiB that all running hashes may take together
	patience time.Duration
	room     *semaphore.Weighted
	queue    int64
	waiting  atomic.Int64
	nobody   Hash // of a random password that was thrown away
}

// queueFactor bounds those who wait, in multiples of those who are served. The
// time they wait is bounded too; this bounds the goroutines and sockets.
const queueFactor = 64

// NewHasher makes a hasher of the given cost. Budget is the memory, in bytes,
// that hashes may take together; it must hold one. Never more hashes run than
// there are processors: more would only make each one slower. A cost under
// [Floor] is refused.
func NewHasher(params Params, budget int64, patience time.Duration) (*Hasher, error) {
	if err := params.valid(); err != nil {
		return nil, fmt.Errorf("reading the cost of a password hash: %w", err)
	}
	if params.Memory < Floor.Memory || params.Passes < Floor.Passes && params.work() < 2*Floor.work() {
		return nil, fault.New(fault.Invalid, "password.weak_cost", "A password hash must cost at least 19 MiB and two passes; %s is less.", params.String())
	}
	n := min(int64(runtime.GOMAXPROCS(0)), budget/1024/int64(params.Memory))
	if n < 1 {
		return nil, fault.New(fault.Invalid, "password.small_budget", "The memory for password hashes, %d MiB, does not hold one hash of %d MiB. Raise account.password_memory.", budget>>20, params.Memory>>10).On("account.password_memory")
	}
	h := &Hasher{
		params: params, capacity: n * int64(params.Memory), patience: patience,
		room: semaphore.NewWeighted(n * int64(params.Memory)), queue: n * queueFactor,
	}
	h.nobody = Hash{Params: params, Salt: random(SaltSize), Tag: random(TagSize)}
	return h, nil
}

// Params is the cost at which the hasher hashes.
func (h *Hasher) Params() Params { return h.params }

// Hash hashes a password under a fresh random salt.
func (h *Hasher) Hash(ctx context.Context, password secret.String) (string, error) {
	made := Hash{Params: h.params, Salt: random(SaltSize), Tag: make([]byte, TagSize)}
	err := h.within(ctx, h.params, func() { made.Tag = made.derive(password.Reveal()) })
	if err != nil {
		return "", err
	}
	return made.String(), nil
}

// Verify compares in constant time. A password that does not match a hash
// cheaper than the present cost is made to take as long as any other, so that
// the time does not tell a known address from an unknown one.
func (h *Hasher) Verify(ctx context.Context, stored string, password secret.String) (Verdict, error) {
	known := h.nobody
	if stored != "" {
		var err error
		if known, err = ParseHash(stored); err != nil {
			return Verdict{}, fmt.Errorf("reading a stored password hash: %w", err)
		}
	}
	var v Verdict
	err := h.within(ctx, known.Params, func() {
		v.Match = known.Is(password.Reveal()) && stored != ""
		if !v.Match {
			h.fill(known.Params)
		}
	})
	v.Stale = v.Match && known.Params.Below(h.params)
	return v, err
}

// missing is how many passes over the memory of p make up for what p costs
// less than the present cost.
func (h *Hasher) missing(p Params) uint32 {
	return uint32((h.params.work() - min(p.work(), h.params.work())) / uint64(p.Memory))
}

// fill does that work.
func (h *Hasher) fill(p Params) {
	if p.Passes = h.missing(p); p.Passes > 0 {
		Hash{Params: p, Salt: h.nobody.Salt, Tag: h.nobody.Tag}.derive("")
	}
}

// within runs one hash when there is room for it.
func (h *Hasher) within(ctx context.Context, p Params, run func()) error {
	if h.waiting.Add(1) > h.queue {
		h.waiting.Add(-1)
		return errBusy.In(h.patience)
	}
	defer h.waiting.Add(-1)
	weight := min(int64(p.Memory), h.capacity)
	patient, stop := context.WithTimeout(ctx, h.patience)
	defer stop()
	if err := h.room.Acquire(patient, weight); err != nil {
		if ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
			return errBusy.In(h.patience)
		}
		return fmt.Errorf("waiting to hash a password: %w", err)
	}
	defer h.room.Release(weight)
	run()
	return nil
}

var errBusy = fault.New(fault.Unavailable, "password.busy", "Too many people are signing in at this moment. Try again in a few seconds.")

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b) // never fails: crypto/rand stops the program instead
	return b
}
