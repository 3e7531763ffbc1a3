package edge

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"errors"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"troth/internal/access"
	"troth/internal/audit"
	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/keys"
	"troth/internal/secret"
	"troth/internal/store"
	"troth/internal/store/storetest"
)

var inHeader = regexp.MustCompile(`(?m)^Troth-Assertion: (\S+)`)

// assertionIn finds the assertion in what echo answered.
func assertionIn(text string) string {
	if m := inHeader.FindStringSubmatch(text); m != nil {
		return m[1]
	}
	return ""
}

// open checks an assertion against the published keys, as an application does.
func (h *house) open(token string) claims {
	h.t.Helper()
	set, _ := h.signer.JWKS()
	c, _, err := openWith(token, set)
	h.must(err)
	return c
}

func openWith(token string, jwks []byte) (claims, string, error) {
	var set jose.JSONWebKeySet
	var c claims
	if err := json.Unmarshal(jwks, &set); err != nil {
		return c, "", err
	}
	parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		return c, "", err
	}
	return c, parsed.Headers[0].KeyID, parsed.Claims(set, &c)
}

// changed says that a person's role changed.
func (h *house) changed(who access.SignedIn) error {
	return h.db.Write(context.Background(), func(tx *store.Tx) error {
		tx.Unaudited("a test")
		return h.access.ChangedTx(tx, who.Tenant, who.Account)
	})
}

// bookOf is a book of keys in memory.
type bookOf struct {
	mu   sync.Mutex
	list []KeyRecord
	fail error
}

func (b *bookOf) Records(context.Context) ([]KeyRecord, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.list), b.fail
}

func (b *bookOf) Add(_ context.Context, r KeyRecord, unlessAfter time.Time) (bool, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.list) > 0 && b.list[0].CreatedAt.After(unlessAfter) {
		return false, b.fail
	}
	for i := range b.list {
		if b.list[i].EndAt.IsZero() {
			b.list[i].EndAt = r.UseAt.Add(publishTail)
		}
	}
	b.list = slices.Insert(b.list, 0, r)
	return true, b.fail
}

func (b *bookOf) Remove(_ context.Context, kid string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.list = slices.DeleteFunc(b.list, func(r KeyRecord) bool { return r.KID == kid })
	return b.fail
}

type profiles struct{ err error }

func (p profiles) Profile(context.Context, access.Subject) (Profile, error) {
	return Profile{Name: "Ann", Email: "ann@example.org", Tenant: "Acme"}, p.err
}

func testSigner(t testing.TB) (*Signer, *clock, ringOf, *bookOf) {
	ring, c, book := ringOf{}, newClock(), &bookOf{}
	s, err := OpenSigner(context.Background(), SignerOptions{Issuer: "https://troth.test", Audience: "notes", Keys: ring, Book: book, Now: c.now})
	if err != nil {
		t.Fatal(err)
	}
	return s, c, ring, book
}

func testSubject() access.Subject {
	now := time.Now()
	return access.Subject{Kind: access.KindPerson, Account: id.New[id.Account](now), Tenant: id.New[id.Tenant](now), Session: id.New[id.Session](now),
		Role: access.Member, AMR: []string{"pwd", "otp"}, AuthAt: now, Version: 7}
}

func (s *Signer) must(t testing.TB, by access.Subject) string {
	t.Helper()
	v, err := s.assertion(t.Context(), by)
	if err != nil {
		t.Fatal(err)
	}
	return v[0]
}

func TestAnAssertionSaysWhoItIsForOneMinute(t *testing.T) {
	s, c, _, _ := testSigner(t)
	by := testSubject()
	set, age := s.JWKS()
	got, kid, err := openWith(s.must(t, by), set)
	if err != nil {
		t.Fatal(err)
	}
	if got.Issuer != "https://troth.test" || got.Audience != "notes" || got.Subject != string(by.Account) || got.Tenant != string(by.Tenant) ||
		got.Session != string(by.Session) || !slices.Equal(got.Roles, []string{"member"}) || !slices.Equal(got.AMR, by.AMR) ||
		got.AuthTime != by.AuthAt.Unix() || got.IssuedAt != c.at.Unix() || got.Expiry-got.IssuedAt != 60 || got.Name != "" {
		t.Errorf("it says %+v", got)
	}
	if age != jwksMaxAge || !strings.Contains(string(set), kid) || strings.Contains(string(set), `"d"`) {
		t.Errorf("the key set is %s for %v", set, age)
	}
	var header struct{ Alg, Typ, Kid string }
	raw, err := jwt.ParseSigned(s.must(t, by), []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		t.Fatal(err)
	}
	header.Alg, header.Kid = raw.Headers[0].Algorithm, raw.Headers[0].KeyID
	if typ := raw.Headers[0].ExtraHeaders["typ"]; header.Alg != "ES256" || header.Kid == "" || typ != "JWT" {
		t.Errorf("the header is %+v, %v", header, typ)
	}
	nobody := by
	nobody.Tenant, nobody.Role = "", access.RoleNone
	if got, _, err := openWith(s.must(t, nobody), set); err != nil || got.Tenant != "" || len(got.Roles) != 0 {
		t.Errorf("without a role it says %+v, %v", got, err)
	}
}

func TestAnAssertionIsUsedAgainForHalfAMinuteUnlessSomethingChanged(t *testing.T) {
	s, c, _, _ := testSigner(t)
	by := testSubject()
	first := s.must(t, by)
	c.at = c.at.Add(assertionReuse - time.Second)
	if s.must(t, by) != first {
		t.Error("a fresh one was made too early")
	}
	for what, change := range map[string]func(*access.Subject){
		"version": func(b *access.Subject) { b.Version++ },
		"tenant":  func(b *access.Subject) { b.Tenant = id.New[id.Tenant](c.at) },
		"session": func(b *access.Subject) { b.Session = id.New[id.Session](c.at) },
		"account": func(b *access.Subject) { b.Account = id.New[id.Account](c.at) },
		"role":    func(b *access.Subject) { b.Role = access.Viewer },
		"factors": func(b *access.Subject) { b.AMR = append(slices.Clone(b.AMR), "hwk") },
		"time":    func(b *access.Subject) { b.AuthAt = b.AuthAt.Add(time.Minute) },
	} {
		other := by
		if change(&other); s.must(t, other) == first {
			t.Errorf("another %s gets the same assertion", what)
		}
	}
	c.at = c.at.Add(time.Second)
	second := s.must(t, by)
	if second == first {
		t.Error("an old one is still used")
	}
	c.at = c.at.Add(-time.Hour)
	if s.must(t, by) == second {
		t.Error("one from the future is used after the clock was set back")
	}
	if n := testing.AllocsPerRun(100, func() { s.must(t, by) }); n != 0 {
		t.Errorf("the cached path allocates %v times", n)
	}
}

func TestTheCacheIsBounded(t *testing.T) {
	s, c, _, _ := testSigner(t)
	for i := range 3 * maxCached {
		s.cache.put(cacheKey{version: uint64(i)}, &cached{until: c.at.Add(time.Minute).UnixNano()}, c.at.UnixNano())
	}
	if n := len(s.cache.young) + len(s.cache.old); n > maxCached {
		t.Errorf("%d are kept", n)
	}
}

// TestEveryApplicationCanFollowARotation plays four months, minute by minute
// around each change, with an application that holds a copy of the key set for
// as long as it may.
func TestEveryApplicationCanFollowARotation(t *testing.T) {
	s, c, ring, book := testSigner(t)
	by := testSubject()
	copyOf, _ := s.JWKS()
	copied := c.at
	kids := map[string]bool{}
	for end := c.at.Add(120 * 24 * time.Hour); c.at.Before(end); {
		if err := s.Rotate(t.Context()); err != nil {
			t.Fatal(err)
		}
		if c.at.Sub(copied) >= jwksMaxAge {
			copyOf, _ = s.JWKS()
			copied = c.at
		}
		_, kid, err := openWith(s.must(t, by), copyOf)
		if err != nil {
			t.Fatalf("at %v: %v", c.at, err)
		}
		kids[kid] = true
		if len(book.list) > 1 {
			c.at = c.at.Add(30 * time.Second)
		} else {
			c.at = c.at.Add(time.Hour)
		}
	}
	if len(kids) < 4 {
		t.Errorf("only %d keys were used", len(kids))
	}
	if len(book.list) != 1 || len(ring) != 1 {
		t.Errorf("%d records and %d keys are left", len(book.list), len(ring))
	}
}

func TestAKeyIsPublishedBeforeItIsUsedAndAfter(t *testing.T) {
	s, c, _, book := testSigner(t)
	by := testSubject()
	old := s.must(t, by)
	_, oldKID, err := openWith(old, s.set.Load().jwks)
	if err != nil {
		t.Fatal(err)
	}
	c.at = c.at.Add(rotateEvery)
	if err := s.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	kidNow := func() string {
		_, kid, err := openWith(s.must(t, by), s.set.Load().jwks)
		if err != nil {
			t.Fatal(err)
		}
		return kid
	}
	if len(book.list) != 2 || strings.Count(string(s.set.Load().jwks), `"kid"`) != 2 || kidNow() != oldKID {
		t.Errorf("right after the rotation: %v", book.list)
	}
	c.at = c.at.Add(publishLead)
	if kidNow() == oldKID {
		t.Error("the new key is not used although everybody has it")
	}
	if !strings.Contains(string(s.set.Load().jwks), oldKID) {
		t.Error("the old key is not published although assertions are out")
	}
	c.at = c.at.Add(publishTail + time.Second)
	if err := s.Rotate(t.Context()); err != nil || strings.Contains(string(s.set.Load().jwks), oldKID) {
		t.Errorf("the old key is still published: %v", err)
	}
}

func TestTwoNodesMakeOneKey(t *testing.T) {
	s, c, ring, book := testSigner(t)
	other, err := OpenSigner(t.Context(), s.o)
	if err != nil {
		t.Fatal(err)
	}
	c.at = c.at.Add(rotateEvery)
	for _, node := range []*Signer{s, other, s} {
		if err := node.make(t.Context(), false); err != nil { // as if neither had seen the other's
			t.Fatal(err)
		}
	}
	if len(book.list) != 2 || len(ring) != 2 {
		t.Errorf("%d records, %d keys", len(book.list), len(ring))
	}
	if err := s.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := other.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	a, _ := s.JWKS()
	if b, _ := other.JWKS(); string(a) != string(b) {
		t.Errorf("the nodes publish %s and %s", a, b)
	}
}

func TestKeysThatWereTamperedWithAreNotUsed(t *testing.T) {
	s, _, ring, book := testSigner(t)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	kid := book.list[0].KID
	good := ring[refOf(kid)]
	ring[refOf(kid)] = secret.OfBytes(der)
	if err := s.Refresh(t.Context()); err == nil {
		t.Error("another key under the same name was taken")
	}
	ring[refOf(kid)] = good
	book.list = append(book.list, KeyRecord{KID: "unknown"})
	if err := s.Refresh(t.Context()); err == nil {
		t.Error("a record without a key was taken")
	}
	book.list = book.list[:1]
	book.fail = errors.New("the database is away")
	if err := s.Refresh(t.Context()); err == nil {
		t.Error("an unreadable book was taken for an empty one")
	}
	if _, err := OpenSigner(t.Context(), s.o); err == nil {
		t.Error("a signer without a book")
	}
	if _, err := OpenSigner(t.Context(), SignerOptions{}); err == nil {
		t.Error("a signer without anything")
	}
}

func TestADestroyedKeySignsNothing(t *testing.T) {
	h := build(t, nil)
	set := h.signer.set.Load()
	h.must(h.keys.Shred(t.Context(), refOf(set.keys[0].KID)))
	h.must(h.signer.Refresh(t.Context()))
	if _, err := h.signer.assertion(t.Context(), testSubject()); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("it signs: %v", err)
	}
}

func TestTheProfileIsPartOfTheAssertion(t *testing.T) {
	s, _, _, _ := testSigner(t)
	s.o.Profiles = profiles{}
	got, _, err := openWith(s.must(t, testSubject()), s.set.Load().jwks)
	if err != nil || got.Name != "Ann" || got.Email != "ann@example.org" || got.TenantName != "Acme" {
		t.Errorf("it says %+v, %v", got, err)
	}
	s.o.Profiles = profiles{errors.New("away")}
	if _, err := s.assertion(t.Context(), testSubject()); err == nil {
		t.Error("a profile that cannot be read was left out")
	}
}

// TestTheBookInTheDatabase is the contract of a KeyBook on both engines.
func TestTheBookInTheDatabase(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ring := keys.New(newRoot(t), newRing(t), time.Now)
		log, err := audit.New(db, ring, audit.Options{Origin: "edge.test", Types: Events})
		if err != nil {
			t.Fatal(err)
		}
		book, ctx, now := InStore(db, log), t.Context(), time.Now().Truncate(time.Microsecond)
		add := func(kid string, at time.Time, want bool) {
			t.Helper()
			added, err := book.Add(ctx, KeyRecord{KID: kid, CreatedAt: at, UseAt: at.Add(publishLead)}, at.Add(-rotateEvery))
			if err != nil || added != want {
				t.Errorf("adding %s: %v, %v", kid, added, err)
			}
		}
		add("one", now, true)
		add("rival", now.Add(time.Minute), false)
		later := now.Add(rotateEvery)
		add("two", later, true)
		list, err := book.Records(ctx)
		if err != nil || len(list) != 2 || list[0].KID != "two" || list[1].KID != "one" {
			t.Fatalf("%+v, %v", list, err)
		}
		if !list[0].EndAt.IsZero() || !list[1].EndAt.Equal(later.Add(publishLead+publishTail)) || !list[1].CreatedAt.Equal(now) || !list[0].UseAt.Equal(later.Add(publishLead)) {
			t.Errorf("%+v", list)
		}
		for range 2 { // twice: another node may be faster
			if err := book.Remove(ctx, "one"); err != nil {
				t.Error(err)
			}
		}
		if list, err := book.Records(ctx); err != nil || len(list) != 1 {
			t.Errorf("%+v, %v", list, err)
		}
	}, audit.Migrations, Migrations)
}

func newRoot(t *testing.T) keys.Root {
	root, err := keys.CreateRoot(t.TempDir() + "/root")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := root.Create(t.Context()); err != nil {
		t.Fatal(err)
	}
	return root
}

func newRing(t *testing.T) keys.Ring {
	ring, err := store.OpenRing(t.Context(), "sqlite:"+t.TempDir()+"/keyring.db", time.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ring.Close() })
	return ring
}
