package passkey

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/descope/virtualwebauthn"

	"troth/internal/access"
	"troth/internal/audit"
	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/keys"
	"troth/internal/secret"
	"troth/internal/store"
	"troth/internal/store/storetest"
	"troth/internal/text"
)

var ctx = context.Background()

// clock is a time that tests move.
type clock struct{ at atomic.Int64 }

func (c *clock) now() time.Time      { return time.UnixMicro(c.at.Add(1000)).UTC() }
func (c *clock) add(d time.Duration) { c.at.Add(d.Microseconds()) }

// told is what package account is told of.
type told struct {
	said    []string
	removed int
	fail    error
	keeps   error // the refusal to let a factor go
}

func (c *told) FactorChangedTx(_ context.Context, _ *store.Tx, _ access.Subject, _ id.Account, what text.Text, removed bool) error {
	if removed && c.keeps != nil {
		return c.keeps
	}
	c.said = append(c.said, what.String())
	if removed {
		c.removed++
	}
	return c.fail
}

// staff are the accounts that work for the installation.
type staff []id.Account

func (s *staff) StaffTx(_ *store.Tx, account id.Account) (bool, error) {
	return slices.Contains(*s, account), nil
}

// house is the passkeys with everything that stands below them.
type house struct {
	*Passkeys
	t     testing.TB
	clock *clock
	told  *told
	staff *staff
}

const origin = "https://app.example.org"

func build(t testing.TB, db *store.DB, change ...func(*Options)) *house {
	t.Helper()
	h := &house{t: t, clock: &clock{}, told: &told{}, staff: &staff{}}
	h.clock.at.Store(time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC).UnixMicro())
	dir := t.TempDir()
	root, err := keys.CreateRoot(filepath.Join(dir, "root"))
	if err != nil {
		t.Fatal(err)
	}
	ring, err := store.OpenRing(ctx, "sqlite:"+filepath.Join(dir, "keyring.db"), h.clock.now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ring.Close() })
	k := keys.New(root, ring, h.clock.now)
	log, err := audit.New(db, k, audit.Options{Origin: "log.example", Types: slices.Concat(Events, access.Events), Now: h.clock.now})
	if err != nil {
		t.Fatal(err)
	}
	o := Options{DB: db, Keys: k, Log: log, Changed: h.told, Staff: h.staff, Config: Defaults(), Origin: origin, Service: "Example", Now: h.clock.now}
	for _, c := range change {
		c(&o)
	}
	if h.Passkeys, err = Open(o); err != nil {
		t.Fatal(err)
	}
	return h
}

func schema() []fs.FS { return []fs.FS{audit.Migrations, access.Migrations, Migrations} }

// each runs a test on a house on every engine.
func each(t *testing.T, test func(t *testing.T, h *house)) {
	t.Helper()
	storetest.Each(t, func(t *testing.T, db *store.DB) { test(t, build(t, db)) }, schema()...)
}

// sqlite is a house for tests that are not about SQL.
func sqlite(t testing.TB, change ...func(*Options)) *house {
	t.Helper()
	return build(t, storetest.SQLite(t, schema()...), change...)
}

// person is somebody who is signed in.
type person struct {
	Holder
	by access.Subject
}

func (h *house) person(name string) person {
	h.t.Helper()
	account := id.New[id.Account](h.clock.now())
	p := person{Holder: Holder{Account: account, Home: id.Tenant("ten_" + strings.TrimPrefix(string(account), "acc_")), Email: name + "@example.org", Name: name}}
	for _, ref := range []keys.Ref{keys.TenantRef(p.Home), keys.SubjectRef(account)} {
		if err := h.Keys.Create(ctx, ref, 32); err != nil {
			h.t.Fatal(err)
		}
	}
	p.by = access.Subject{Kind: access.KindPerson, Account: account, Session: id.New[id.Session](h.clock.now())}
	return p
}

// device is an authenticator that holds one passkey.
type device struct {
	authenticator virtualwebauthn.Authenticator
	credential    virtualwebauthn.Credential
	rp            virtualwebauthn.RelyingParty
}

// newDevice makes a device. The library that plays it writes coordinates without
// their leading zeros, which RFC 9053, 7.1.1 forbids and we refuse: one key in
// 128 is made again.
func newDevice() *device {
	d := &device{}
	for whole := 77; len(d.credential.ID) == 0 || len(d.credential.Key.AttestationData()) != whole; {
		d.credential = virtualwebauthn.NewCredential(virtualwebauthn.KeyTypeEC2)
	}
	d.authenticator = virtualwebauthn.NewAuthenticator()
	d.rp = virtualwebauthn.RelyingParty{ID: "app.example.org", Name: "Example", Origin: origin}
	return d
}

// create answers options for a new passkey.
func (d *device) create(t testing.TB, options json.RawMessage) []byte {
	t.Helper()
	o, err := virtualwebauthn.ParseAttestationOptions(string(options))
	if err != nil {
		t.Fatal(err)
	}
	d.authenticator.Options.UserHandle = []byte(o.UserID)
	return []byte(virtualwebauthn.CreateAttestationResponse(d.rp, d.authenticator, d.credential, *o))
}

// sign answers options for an existing one.
func (d *device) sign(t testing.TB, options json.RawMessage) []byte {
	t.Helper()
	o, err := virtualwebauthn.ParseAssertionOptions(string(options))
	if err != nil {
		t.Fatal(err)
	}
	return []byte(virtualwebauthn.CreateAssertionResponse(d.rp, d.authenticator, d.credential, *o))
}

// begin asks for a new passkey.
func (h *house) begin(p person) json.RawMessage {
	h.t.Helper()
	options, err := h.BeginRegistration(ctx, p.by, p.Holder)
	if err != nil {
		h.t.Fatalf("asking for a passkey: %v", err)
	}
	return options
}

// register gives somebody a passkey.
func (h *house) register(p person, d *device, name string) id.Passkey {
	h.t.Helper()
	which, err := h.FinishRegistration(ctx, p.by, p.Holder, name, d.create(h.t, h.begin(p)))
	if err != nil {
		h.t.Fatalf("adding a passkey: %v", err)
	}
	return which
}

// asked begins a sign-in in a new browser.
func (h *house) asked() (secret.String, json.RawMessage) {
	h.t.Helper()
	browser := secret.NewToken()
	options, err := h.BeginSignIn(ctx, browser)
	if err != nil {
		h.t.Fatalf("beginning to sign in: %v", err)
	}
	return browser, options
}

// signIn checks an answer as package account does: in a transaction that is
// committed whatever came of it.
func (h *house) signIn(browser secret.String, answer []byte) Result {
	h.t.Helper()
	return h.in(func(tx *store.Tx) (Result, error) { return h.SignInTx(ctx, tx, access.Subject{}, browser, answer) })
}

func (h *house) in(do func(tx *store.Tx) (Result, error)) (r Result) {
	h.t.Helper()
	err := h.DB.Write(ctx, func(tx *store.Tx) (err error) {
		tx.Unaudited("a test")
		r, err = do(tx)
		return err
	})
	if err != nil {
		h.t.Fatalf("checking an answer: %v", err)
	}
	return r
}

// challenge asks an account for a second factor.
func (h *house) challenge(account id.Account, binding string) (options json.RawMessage, err error) {
	h.t.Helper()
	err = h.DB.Write(ctx, func(tx *store.Tx) (err error) {
		tx.Unaudited("a test")
		options, err = h.BeginTx(ctx, tx, account, binding)
		return err
	})
	return options, err
}

func (h *house) answer(p person, binding string, answer []byte) Result {
	h.t.Helper()
	return h.in(func(tx *store.Tx) (Result, error) {
		return h.AnswerTx(ctx, tx, access.Subject{}, p.Holder, binding, answer)
	})
}

// events are the names of a tenant's events, the oldest first.
func (h *house) events(tenant id.Tenant) (names []string) {
	h.t.Helper()
	if err := h.Log.Flush(ctx); err != nil {
		h.t.Fatal(err)
	}
	list, _, err := h.Log.List(ctx, audit.Filter{Tenant: tenant, Limit: 100})
	if err != nil {
		h.t.Fatal(err)
	}
	for _, e := range list {
		if strings.Contains(e.Sentence.String(), "{") {
			h.t.Errorf("a placeholder was not filled: %s", e.Sentence)
		}
		names = append(names, e.Type)
	}
	slices.Reverse(names)
	return names
}

// stored reads a column of all passkeys.
func (h *house) stored(column string) (all []string) {
	h.t.Helper()
	err := h.DB.Read(ctx, func(tx *store.Tx) error {
		rows, err := tx.Query(`SELECT ` + column + ` FROM passkey ORDER BY passkey`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for all = nil; rows.Next(); {
			var v any
			if err := rows.Scan(&v); err != nil {
				return err
			}
			all = append(all, fmt.Sprint(v))
		}
		return rows.Err()
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return all
}

// want fails unless err is a fault with a code.
func want(t testing.TB, err error, kind fault.Kind, code string) {
	t.Helper()
	if f := fault.As(err); f == nil || f.Kind != kind || f.Code != code {
		t.Fatalf("the error is %v, want the %s fault %s", err, kind, code)
	}
}

// refused fails unless an answer was refused with a code and proves nothing.
func refused(t testing.TB, r Result, code string) {
	t.Helper()
	if r.Refused == nil || r.Refused.Code != code || len(r.AMR) > 0 || r.Reason == "" {
		t.Fatalf("the answer came to %v (%v, %q), want %s", r.AMR, r.Refused, r.Reason, code)
	}
}

// accepted fails unless an answer proves what it should.
func accepted(t testing.TB, r Result, p person, amr ...string) {
	t.Helper()
	if r.Refused != nil || r.Account != p.Account || r.Home != p.Home || !slices.Equal(r.AMR, amr) {
		t.Fatalf("the answer came to %v of %s (%v, %q)", r.AMR, r.Account, r.Refused, r.Reason)
	}
}

// altered is a JSON document with one member replaced, given by its path.
func altered(t testing.TB, doc []byte, value any, path ...string) []byte {
	t.Helper()
	var whole map[string]any
	if err := json.Unmarshal(doc, &whole); err != nil {
		t.Fatal(err)
	}
	at := whole
	for _, name := range path[:len(path)-1] {
		at = at[name].(map[string]any)
	}
	at[path[len(path)-1]] = value
	out, err := json.Marshal(whole)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func hash(b []byte) []byte {
	h := sha256.Sum256(b)
	return h[:]
}

func unb64(t testing.TB, s string) []byte {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
