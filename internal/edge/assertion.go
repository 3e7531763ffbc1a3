package edge

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"troth/internal/access"
	"troth/internal/id"
)

// How long an assertion lives, and how long the same one is used: what the
// application gets lives for half a minute at least.
const (
	assertionLife  = 60 * time.Second
	assertionReuse = 30 * time.Second
)

// maxCached bounds the cache: about 2 KiB each.
const maxCached = 16384

// claims are what an assertion says (RFC 7519, 4; roles, permissions and tid,
// sid are ours; amr and auth_time as in OpenID Connect Core, 2). There is no
// jti: the same assertion comes with every request of half a minute, so it is
// no means against replays.
type claims struct {
	Issuer      string   `json:"iss"`
	Audience    string   `json:"aud"`
	Subject     string   `json:"sub"`
	Tenant      string   `json:"tid,omitempty"`
	Session     string   `json:"sid,omitempty"`
	Roles       []string `json:"roles"`
	Permissions []string `json:"permissions"`
	AMR         []string `json:"amr"`
	AuthTime    int64    `json:"auth_time,omitempty"`
	IssuedAt    int64    `json:"iat"`
	Expiry      int64    `json:"exp"`
	Name        string   `json:"name,omitempty"`
	Email       string   `json:"email,omitempty"`
	TenantName  string   `json:"tenant_name,omitempty"`
}

// Profile is what the application may call a person and their organisation.
type Profile struct {
	Name   string // the person's name
	Email  string // confirmed, or empty
	Tenant string // the organisation's name
}

// Profiles finds the profile of a subject.
type Profiles interface {
	// Profile reads what the application may be told; it is asked once in
	// half a minute for each session.
	Profile(ctx context.Context, by access.Subject) (Profile, error)
}

// cacheKey is what an assertion depends on. A change of role makes another
// version, a switch of tenant another tenant, a second factor another time: the
// next request after it gets another assertion.
type cacheKey struct {
	session id.Session
	account id.Account
	tenant  id.Tenant
	role    access.Role
	version uint64
	authAt  int64
	factors int
}

// cached is a signed assertion, as the value of a header.
type cached struct {
	value []string
	until int64 // nanoseconds since 1970
	kid   string
}

// cache keeps assertions for as long as they are used. It has two generations:
// the older one is dropped as a whole, so nothing is ever searched for.
type cache struct {
	mu         sync.RWMutex
	young, old map[cacheKey]*cached
	turned     int64
}

func (c *cache) get(k cacheKey, now int64, kid string) []string {
	c.mu.RLock()
	hit := c.young[k]
	if hit == nil {
		hit = c.old[k]
	}
	c.mu.RUnlock()
	if hit == nil || now >= hit.until || hit.kid != kid || hit.until-now > int64(assertionReuse) {
		return nil // the last: the clock was set back, and the assertion is from the future
	}
	return hit.value
}

func (c *cache) put(k cacheKey, v *cached, now int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.young == nil || len(c.young) >= maxCached/2 || now-c.turned > int64(assertionReuse) {
		c.old, c.young, c.turned = c.young, map[cacheKey]*cached{}, now
	}
	c.young[k] = v
}

// assertion returns the header's value for a subject: a cached one, or a new
// one. The slice is shared and must not be changed.
func (s *Signer) assertion(ctx context.Context, by access.Subject) ([]string, error) {
	set := s.set.Load()
	if set == nil {
		return nil, errNoKey
	}
	now := s.now()
	key := set.signing(now)
	if key == nil {
		return nil, errNoKey
	}
	k := cacheKey{by.Session, by.Account, by.Tenant, by.Role, by.Version, by.AuthAt.Unix(), len(by.AMR)}
	if hit := s.cache.get(k, now.UnixNano(), key.KID); hit != nil {
		return hit, nil
	}
	token, err := s.sign(ctx, key, by, now)
	if err != nil {
		return nil, fmt.Errorf("signing an assertion: %w", err)
	}
	fresh := &cached{value: []string{token}, until: now.Add(assertionReuse).UnixNano(), kid: key.KID}
	s.cache.put(k, fresh, now.UnixNano())
	return fresh.value, nil
}

func (s *Signer) sign(ctx context.Context, key *signingKey, by access.Subject, now time.Time) (string, error) {
	c := claims{
		Issuer: s.o.Issuer, Audience: s.o.Audience,
		Subject: string(by.Account), Tenant: string(by.Tenant), Session: string(by.Session),
		Roles: []string{}, Permissions: by.Permissions(), AMR: by.AMR,
		IssuedAt: now.Unix(), Expiry: now.Add(assertionLife).Unix(),
	}
	if by.Role != access.RoleNone {
		c.Roles = append(c.Roles, string(by.Role))
	}
	if c.Permissions == nil {
		c.Permissions = []string{}
	}
	if c.AMR == nil {
		c.AMR = []string{}
	}
	if !by.AuthAt.IsZero() {
		c.AuthTime = by.AuthAt.Unix()
	}
	if s.o.Profiles != nil {
		p, err := s.o.Profiles.Profile(ctx, by)
		if err != nil {
			return "", fmt.Errorf("reading the profile: %w", err)
		}
		c.Name, c.Email, c.TenantName = p.Name, p.Email, p.Tenant
	}
	return jwt.Signed(key.signer).Claims(c).Serialize()
}

func newJOSE(key *signingKey) (jose.Signer, error) {
	return jose.NewSigner(
		jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: key.private, KeyID: key.KID}},
		(&jose.SignerOptions{}).WithType("JWT"))
}
