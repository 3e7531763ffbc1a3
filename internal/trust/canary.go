package trust

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/keys"
	"troth/internal/secret"
	"troth/internal/store"
)

// CanaryDomain is where the synthetic customer's mail goes. It does not exist
// (RFC 2606, 2), so that no letter can leave the house.
const CanaryDomain = "canary.invalid"

// Canary is one person of the synthetic customer that the installation serves
// through its own front door. There are as many as checks have names for; they
// are signed up once and used again, so that they do not add up.
type Canary struct {
	Name     string // which one: "owner"
	Address  string
	Password secret.String
	bench    Bench
}

// credentials are what is kept of a canary, sealed.
type credentials struct {
	Address  string `json:"address"`
	Password string `json:"password"`
}

// keeper keeps the canaries' credentials.
type keeper interface {
	lock(name string) (unlock func())
	load(ctx context.Context, name string) (credentials, bool, error)
	save(ctx context.Context, name string, c credentials) error
}

// Standalone is a bench for checks that run outside of [Trust.Exercise], as in
// tests: its canaries are kept in memory.
func Standalone(b Bench) Bench {
	b.keep = &memory{kept: map[string]credentials{}}
	return b
}

// Canary is the synthetic person of that name. The first time it is signed up
// through the front door, as a stranger would, and confirms its address; where
// strangers may not sign up, with a link that the operator issues.
func (b Bench) Canary(ctx context.Context, name string) (*Canary, error) {
	if b.keep == nil {
		return nil, errors.New("the bench keeps no canaries: use Exercise or Standalone")
	}
	defer b.keep.lock(name)()
	c, ok, err := b.keep.load(ctx, name)
	if err != nil {
		return nil, err
	}
	if ok {
		known := &Canary{name, c.Address, secret.Of(c.Password), b}
		switch _, err := known.SignIn(ctx, netip.Addr{}); {
		case err == nil:
			return known, nil
		case fault.KindOf(err) != fault.Unauthenticated:
			return nil, err
		}
		// It was removed: the installation was restored, or somebody cleaned up.
	}
	fresh, err := b.signUp(ctx, name)
	if err != nil {
		return nil, err
	}
	return fresh, b.keep.save(ctx, name, credentials{fresh.Address, fresh.Password.Reveal()})
}

// SignIn is the canary in a browser, signed in. fault.Unauthenticated says
// that its password is no longer good.
func (c *Canary) SignIn(ctx context.Context, from netip.Addr) (*Visitor, error) {
	v, err := c.bench.Visitor(from)
	if err != nil {
		return nil, err
	}
	p, err := v.SignIn(ctx, c.Address, c.Password)
	if err != nil {
		return nil, err
	}
	switch p.Status {
	case http.StatusSeeOther:
		return v, nil
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusUnprocessableEntity:
		return nil, fault.New(fault.Unauthenticated, "trust.canary_refused", "The canary could not sign in: the front door answered %d.", p.Status)
	}
	return nil, fault.New(fault.Unavailable, "trust.canary_sign_in", "The canary could not sign in: the front door answered %d.", p.Status)
}

// signUp makes a new canary through the front door.
func (b Bench) signUp(ctx context.Context, name string) (*Canary, error) {
	c := &Canary{Name: name, Address: name + "-" + letters(10) + "@" + CanaryDomain, Password: secret.NewToken(), bench: b}
	v, err := b.Visitor(netip.Addr{})
	if err != nil {
		return nil, err
	}
	if b.Admit != nil {
		link, err := b.Admit(ctx)
		if err != nil {
			return nil, fmt.Errorf("asking for a link to sign up with: %w", err)
		}
		if _, err := v.Post(ctx, link); err != nil {
			return nil, err
		}
	}
	asked := b.Now()
	p, err := v.Post(ctx, "/-/signup", "email", c.Address, "password", c.Password.Reveal(), "name", "Canary "+name)
	if err != nil {
		return nil, err
	}
	if p.Status != http.StatusSeeOther {
		return nil, fault.New(fault.Unavailable, "trust.canary_sign_up", "The canary could not sign up: the front door answered %d.", p.Status)
	}
	if b.Mailbox == nil {
		return nil, errors.New("the bench has no mailbox")
	}
	m, err := b.Mailbox.Wait(ctx, c.Address, asked)
	if err != nil {
		return nil, fault.Wrap(err, fault.Unavailable, "trust.no_mail", "The letter that confirms an address did not arrive.")
	}
	link := m.Link(b.Origin + "/")
	if link == "" {
		return nil, fault.New(fault.Unavailable, "trust.no_link", "The letter that confirms an address holds no link.")
	}
	if p, err = v.Post(ctx, link); err != nil {
		return nil, err
	}
	if p.Status != http.StatusSeeOther {
		return nil, fault.New(fault.Unavailable, "trust.canary_confirm", "The canary could not confirm its address: the front door answered %d.", p.Status)
	}
	return c, nil
}

// letters are n random lower-case characters.
func letters(n int) string {
	var b strings.Builder
	for b.Len() < n {
		for _, c := range strings.ToLower(secret.NewToken().Reveal()) {
			if c >= 'a' && c <= 'z' && b.Len() < n {
				b.WriteRune(c)
			}
		}
	}
	return b.String()
}

// locks are one lock a name.
type locks struct {
	mu   sync.Mutex
	each map[string]*sync.Mutex
}

func (l *locks) lock(name string) func() {
	l.mu.Lock()
	if l.each == nil {
		l.each = map[string]*sync.Mutex{}
	}
	m := l.each[name]
	if m == nil {
		m = &sync.Mutex{}
		l.each[name] = m
	}
	l.mu.Unlock()
	m.Lock()
	return m.Unlock
}

// memory keeps canaries in the process.
type memory struct {
	locks
	inner sync.Mutex
	kept  map[string]credentials
}

func (m *memory) load(_ context.Context, name string) (credentials, bool, error) {
	m.inner.Lock()
	defer m.inner.Unlock()
	c, ok := m.kept[name]
	return c, ok, nil
}

func (m *memory) save(_ context.Context, name string, c credentials) error {
	m.inner.Lock()
	defer m.inner.Unlock()
	m.kept[name] = c
	return nil
}

// cage keeps canaries in the database, sealed under the platform's key.
type cage struct {
	locks
	db   *store.DB
	keys *keys.Keys
	now  func() time.Time
}

func (c *cage) place(name string) keys.Place {
	return keys.Place{Tenant: id.Platform, Table: "trust_canary", Column: "sealed", Row: name}
}

func (c *cage) load(ctx context.Context, name string) (credentials, bool, error) {
	var sealed []byte
	err := c.db.Read(ctx, func(tx *store.Tx) error {
		return tx.QueryRow("SELECT sealed FROM trust_canary WHERE name = $1", name).Scan(&sealed)
	})
	if errors.Is(err, store.ErrNoRows) {
		return credentials{}, false, nil
	}
	if err != nil {
		return credentials{}, false, fmt.Errorf("reading the canary %s: %w", name, err)
	}
	plain, err := c.keys.Open(ctx, c.place(name), sealed, keys.TenantRef(id.Platform))
	if err != nil {
		return credentials{}, false, fmt.Errorf("opening the canary %s: %w", name, err)
	}
	var kept credentials
	err = json.Unmarshal(plain, &kept)
	return kept, err == nil, err
}

func (c *cage) save(ctx context.Context, name string, kept credentials) error {
	plain, err := json.Marshal(kept)
	if err != nil {
		return err
	}
	sealed, err := c.keys.Seal(ctx, c.place(name), plain, keys.TenantRef(id.Platform))
	if err != nil {
		return fmt.Errorf("sealing the canary %s: %w", name, err)
	}
	return c.db.Write(ctx, func(tx *store.Tx) error {
		tx.Unaudited("the canary's sign-up is in the log; this is what the program must remember of it")
		_, err := tx.Exec("INSERT INTO trust_canary (name, sealed, created_at) VALUES ($1, $2, $3) ON CONFLICT (name) DO UPDATE SET sealed = excluded.sealed",
			name, sealed, store.Micros(c.now()))
		return err
	})
}
