package trust

import (
	"cmp"
	"context"
	"embed"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"sync"
	"time"

	"troth/internal/audit"
	"troth/internal/keys"
	"troth/internal/store"
	"troth/verify"
)

// Migrations make the tables trust_run, trust_check and trust_canary.
//
//go:embed migrations/*.sql
var Migrations embed.FS

// Tables are those that the migrations make.
var Tables = []string{"trust_run", "trust_check", "trust_canary"}

// Options are what Trust needs besides the store, the log and the keys.
type Options struct {
	Origin      string            // of the installation: "https://localhost:8443"
	Build       string            // version of this program
	Environment map[string]string // public facts about where checks run: "environment": "production"
	Now         func() time.Time  // time.Now when nil
	Log         *slog.Logger      // discards when nil
}

// Trust holds the claims of an installation.
type Trust struct {
	db     *store.DB
	log    *audit.Log
	keys   *keys.Keys
	claims []Claim
	o      Options

	exercising chan struct{} // bounds the checks that run at once
	canaries   *cage

	mu     sync.Mutex
	cached *state
}

// New checks the claims and registers their checks, so that it is known since
// when each is waited for. It refuses a claim without a check, an identifier
// that stands twice, and a criterion that is not known.
func New(ctx context.Context, db *store.DB, log *audit.Log, k *keys.Keys, claims []Claim, o Options) (*Trust, error) {
	if err := validate(claims); err != nil {
		return nil, err
	}
	claims = slices.Clone(claims)
	slices.SortFunc(claims, func(a, b Claim) int { // A2 before A10
		return cmp.Or(cmp.Compare(a.ID[:1], b.ID[:1]), cmp.Compare(len(a.ID), len(b.ID)), cmp.Compare(a.ID, b.ID))
	})
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	environment := map[string]string{"go": runtime.Version(), "system": runtime.GOOS + "/" + runtime.GOARCH, "store": db.Engine()}
	for name, value := range o.Environment {
		environment[name] = value
	}
	o.Environment = environment
	t := &Trust{db: db, log: log, keys: k, claims: claims, o: o, exercising: make(chan struct{}, atOnce),
		canaries: &cage{db: db, keys: k, now: o.Now}}
	if _, err := verify.ParseKey(log.VKey()); err != nil {
		return nil, fmt.Errorf("reading the log's public key: %w", err)
	}
	if err := t.register(ctx); err != nil {
		return nil, fmt.Errorf("registering the checks: %w", err)
	}
	// A run whose evidence went into the log just before the program ended counts.
	if _, err := t.settle(ctx); err != nil {
		return nil, err
	}
	return t, nil
}

// Claims are the claims that the program makes, in the order of their ids.
func (t *Trust) Claims() []Claim { return t.claims }

// Origin is the installation's address.
func (t *Trust) Origin() string { return t.o.Origin }

// VKey is the key with which the log and the evidence are verified.
func (t *Trust) VKey() string { return t.log.VKey() }
