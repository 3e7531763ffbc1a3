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

// Hasher is the [Hashing] of the installation: one scheme at one cost.
//
// It computes a bounded number of hashes at once. A hash takes tens of MiB, so
// without a bound a flood of sign-ins takes the memory (CWE-400). Whoever has
// to wait longer than the hasher's patience, or finds the queue full, gets
// fault.Unavailable with a time to come back.
type Hasher struct {
	Pepper Pepper // set before the first use

	params   Params
	capacity int64 // KiB that all running hashes may take together
	share    int64 // of it that each takes at least
	patience time.Duration
	room     *semaphore.Weighted
	queue    int64
	waiting  atomic.Int64
	nobody   Hash // of a random password that was thrown away
	pace     pace
}

// queueFactor bounds those who wait, in multiples of those who are served. The
// time they wait is bounded too; this bounds the goroutines and sockets.
const queueFactor = 64

// NewHasher makes a hasher of the given cost. Budget is the memory, in bytes,
// that hashes may take together; it must hold one. Never more hashes run than
// there are processors: more would only make each one slower. A cost under the
// floor is refused, and so is a scheme under which hashes are only read.
func NewHasher(params Params, budget int64, patience time.Duration) (*Hasher, error) {
	if err := params.valid(); err != nil {
		return nil, fmt.Errorf("reading the cost of a password hash: %w", err)
	}
	if params.Weak() {
		return nil, fault.New(fault.Invalid, "password.weak_cost", "A password hash must cost at least 19 MiB and two passes of Argon2id, or 600,000 rounds of PBKDF2; %s of %s is less.", params.String(), params.Scheme.String())
	}
	n := min(int64(runtime.GOMAXPROCS(0)), budget/1024/params.kib())
	if n < 1 {
		return nil, fault.New(fault.Invalid, "password.small_budget", "The memory for password hashes, %d MiB, does not hold one hash of %d MiB. Raise account.password_memory.", budget>>20, params.Memory>>10).On("account.password_memory")
	}
	h := &Hasher{
		params: params, capacity: budget / 1024, share: budget / 1024 / n, patience: patience,
		room: semaphore.NewWeighted(budget / 1024), queue: n * queueFactor,
	}
	h.nobody = Hash{Params: params, Salt: random(SaltSize), Tag: random(tagSize)}
	return h, nil
}

// Params is the cost at which the hasher hashes.
func (h *Hasher) Params() Params { return h.params }

// Hash hashes a password under a fresh random salt, and the newest pepper if
// there is one.
func (h *Hasher) Hash(ctx context.Context, password secret.String) (string, error) {
	version, pepper, err := h.Pepper.newest(ctx)
	if err != nil {
		return "", err
	}
	made := Hash{Params: h.params, Key: version, Salt: random(SaltSize), Tag: make([]byte, tagSize)}
	if err := h.within(ctx, h.params, func() { made.Tag = made.derive(password.Reveal()) }); err != nil {
		return "", err
	}
	if made.Tag == nil {
		return "", fmt.Errorf("hashing a password with %s: this program computes only approved algorithms (FIPS 140-3): set account.password_hash to pbkdf2-sha256", h.params.Scheme)
	}
	if version != 0 {
		made.Tag = peppered(pepper, made.Tag)
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
	pepper, err := h.Pepper.Of(ctx, known)
	if err != nil {
		return Verdict{}, err
	}
	version, _, err := h.Pepper.newest(ctx)
	if err != nil {
		return Verdict{}, err
	}
	var v Verdict
	err = h.within(ctx, known.Params, func() {
		start := time.Now()
		v.Match = known.IsUnder(pepper, password.Reveal()) && stored != ""
		h.pace.took(known.Params, time.Since(start))
		if !v.Match {
			h.fill(known.Params)
		}
	})
	v.Stale = v.Match && (known.Params.Below(h.params) || known.Key != version)
	return v, err
}

// missing is how many passes of p's kind make up for what p costs less than the
// present cost, of the same scheme.
func (h *Hasher) missing(p Params) uint32 {
	each := p.work() / uint64(p.Passes)
	return uint32((h.params.work() - min(p.work(), h.params.work())) / each)
}

// fill does that work. What a hash of another scheme costs less is known by the
// clock only.
func (h *Hasher) fill(p Params) {
	if p.Scheme == h.params.Scheme {
		if p.Passes = h.missing(p); p.Passes > 0 {
			h.idle(p)
		}
		return
	}
	share := h.pace.lacks(p, h.params)
	filler, ok := h.params.part(share)
	if !ok {
		return
	}
	start := time.Now()
	h.idle(filler)
	if share == 1 {
		h.pace.took(h.params, time.Since(start))
	}
}

// idle computes a hash for nothing.
func (h *Hasher) idle(p Params) { Hash{Params: p, Salt: h.nobody.Salt, Tag: h.nobody.Tag}.derive("") }

// within runs one hash when there is room for it.
func (h *Hasher) within(ctx context.Context, p Params, run func()) error {
	if h.waiting.Add(1) > h.queue {
		h.waiting.Add(-1)
		return errBusy.In(h.patience)
	}
	defer h.waiting.Add(-1)
	weight := min(max(p.kib(), h.share), h.capacity)
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
