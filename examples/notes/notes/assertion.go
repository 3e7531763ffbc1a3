package notes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// Person is who sends a request, as Troth says in the header Troth-Assertion.
type Person struct {
	Account     string   `json:"sub"`
	Tenant      string   `json:"tid"`
	Session     string   `json:"sid"`
	Roles       []string `json:"roles"`
	Permissions []string `json:"permissions"`
	Name        string   `json:"name,omitempty"`
	Email       string   `json:"email,omitempty"`
	TenantName  string   `json:"tenant_name,omitempty"`
}

// KeySet fetches the public keys of Troth as a JSON Web Key Set.
type KeySet func(ctx context.Context) ([]byte, error)

// FetchKeys fetches the keys from an address, /-/jwks.json of Troth.
func FetchKeys(client *http.Client, address string) KeySet {
	return func(ctx context.Context) ([]byte, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
		if err != nil {
			return nil, err
		}
		res, err := client.Do(req)
		if err != nil {
			return nil, fmt.Errorf("fetching the keys: %w", err)
		}
		defer res.Body.Close()
		if res.StatusCode != http.StatusOK {
			return nil, fmt.Errorf("fetching the keys from %s: %s", address, res.Status)
		}
		return io.ReadAll(io.LimitReader(res.Body, 1<<20))
	}
}

// How long fetched keys are used, and how soon they may be fetched again when
// an assertion names a key that is not among them.
const (
	keysFor   = 5 * time.Minute
	keysPause = 5 * time.Second
	fetchTime = 10 * time.Second
)

// leeway is what two clocks may differ.
const leeway = 5 * time.Second

// verifier checks assertions.
type verifier struct {
	issuer, audience string
	fetch            KeySet
	now              func() time.Time

	mu    sync.Mutex
	keys  jose.JSONWebKeySet
	until time.Time
	tried time.Time
}

var errNobody = errors.New("the request carries no assertion")

// verify reads who it is out of a request. Every error but errNobody means that
// the assertion proves nothing.
func (v *verifier) verify(r *http.Request) (Person, error) {
	values := r.Header.Values("Troth-Assertion")
	if len(values) == 0 {
		return Person{}, errNobody
	}
	if len(values) > 1 {
		return Person{}, errors.New("the request carries more than one assertion")
	}
	// Only ES256 is taken: a token does not choose how it is checked (RFC 8725, 3.1).
	token, err := jwt.ParseSigned(values[0], []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		return Person{}, fmt.Errorf("reading the assertion: %w", err)
	}
	key, err := v.key(r.Context(), token.Headers[0].KeyID)
	if err != nil {
		return Person{}, err
	}
	var standard jwt.Claims
	var who Person
	if err := token.Claims(key.Key, &standard, &who); err != nil {
		return Person{}, fmt.Errorf("checking the signature of the assertion: %w", err)
	}
	if standard.Expiry == nil || standard.Subject == "" {
		return Person{}, errors.New("the assertion names no person or has no end")
	}
	expected := jwt.Expected{Issuer: v.issuer, AnyAudience: jwt.Audience{v.audience}, Time: v.now()}
	if err := standard.ValidateWithLeeway(expected, leeway); err != nil {
		return Person{}, fmt.Errorf("checking the assertion: %w", err)
	}
	return who, nil
}

// key finds a key by its name, and fetches the set when that is due.
func (v *verifier) key(ctx context.Context, kid string) (jose.JSONWebKey, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	now := v.now()
	found := v.keys.Key(kid)
	due := now.After(v.until) || len(found) == 0
	if due && now.Sub(v.tried) >= keysPause {
		v.tried = now
		if err := v.load(ctx, now); err != nil && (len(found) == 0 || now.After(v.until.Add(keysFor))) {
			return jose.JSONWebKey{}, err
		}
		found = v.keys.Key(kid)
	}
	if kid == "" || len(found) != 1 {
		return jose.JSONWebKey{}, fmt.Errorf("the assertion is signed with the key %.64q, which is not Troth's", kid)
	}
	return found[0], nil
}

func (v *verifier) load(ctx context.Context, now time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, fetchTime)
	defer cancel()
	b, err := v.fetch(ctx)
	if err != nil {
		return err
	}
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(b, &set); err != nil {
		return fmt.Errorf("reading the keys: %w", err)
	}
	set.Keys = slices.DeleteFunc(set.Keys, func(k jose.JSONWebKey) bool { return !k.IsPublic() || !k.Valid() })
	if len(set.Keys) == 0 {
		return errors.New("there are no keys at the address of Troth's keys")
	}
	v.keys, v.until = set, now.Add(keysFor)
	return nil
}

// The roles of Troth, each with what the ones before it may do.
var ranks = map[string]int{"viewer": 1, "member": 2, "admin": 3, "owner": 4}

// Role is the person's role in the tenant, or "".
func (p Person) Role() string {
	best := ""
	for _, r := range p.Roles {
		if ranks[r] > ranks[best] {
			best = r
		}
	}
	return best
}

func (p Person) rank() int { return ranks[p.Role()] }

// MayRead reports whether the person may see the notes of the tenant.
func (p Person) MayRead() bool { return tenantID.MatchString(p.Tenant) && p.rank() >= ranks["viewer"] }

// MayWrite reports whether the person may write notes.
func (p Person) MayWrite() bool { return p.MayRead() && p.rank() >= ranks["member"] }

// MayChange reports whether the person may change or delete a note: their own,
// or, as an administrator, any.
func (p Person) MayChange(n Note) bool {
	return p.MayWrite() && (n.Author == p.Account || p.rank() >= ranks["admin"])
}

// Label is what to call the person.
func (p Person) Label() string {
	switch {
	case p.Name != "":
		return p.Name
	case p.Email != "":
		return p.Email
	}
	return short(p.Account)
}

// Organisation is what to call the tenant.
func (p Person) Organisation() string {
	if p.TenantName != "" {
		return p.TenantName
	}
	return short(p.Tenant)
}

// short is the end of an identifier: its beginning is a time, and looks alike.
func short(id string) string {
	if len(id) <= 10 {
		return id
	}
	return id[:4] + "…" + id[len(id)-6:]
}
