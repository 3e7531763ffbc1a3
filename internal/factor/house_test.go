package factor

import (
	"context"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"troth/internal/access"
	"troth/internal/audit"
	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/keys"
	"troth/internal/mail"
	"troth/internal/secret"
	"troth/internal/sms"
	"troth/internal/store"
	"troth/internal/store/storetest"
	"troth/internal/text"
)

var ctx = context.Background()

const phone = "+49 30 901820"

// nobody has a role anywhere.
type nobody struct{}

func (nobody) RoleTx(*store.Tx, id.Tenant, id.Account) (access.Role, error) {
	return access.RoleNone, nil
}

// house is the second factors with what stands around them.
type house struct {
	*Factors
	t       *testing.T
	clock   atomic.Int64
	rights  *access.Access
	homes   map[id.Account]id.Tenant
	mails   []mail.Message
	texts   []sms.Text
	full    error // what the texts answer
	plan    bool
	other   bool // a passkey
	told    []string
	removed int
	refuse  error // what the account answers to a change
}

func (h *house) now() time.Time      { return time.UnixMicro(h.clock.Add(1)).UTC() } // so that what comes later sorts later
func (h *house) add(d time.Duration) { h.clock.Add(d.Microseconds()) }

func (h *house) HolderTx(_ context.Context, _ *store.Tx, account id.Account) (Holder, error) {
	home, ok := h.homes[account]
	if !ok {
		return Holder{}, fault.New(fault.NotFound, "test.nobody", "There is nobody.")
	}
	return Holder{Home: home, Email: "ada@example.org"}, nil
}

func (h *house) FactorChangedTx(_ context.Context, tx *store.Tx, _ access.Subject, _ id.Account, what text.Text, removed bool) error {
	if h.refuse != nil {
		return h.refuse
	}
	tx.AfterCommit(func() {
		h.told = append(h.told, what.String())
		if removed {
			h.removed++
		}
	})
	return nil
}

func (h *house) TextsTx(context.Context, *store.Tx, id.Account) (bool, error)  { return h.plan, nil }
func (h *house) CountsTx(context.Context, *store.Tx, id.Account) (bool, error) { return h.other, nil }

// carrier takes texts once they are committed.
type carrier struct{ h *house }

func (c carrier) SendTx(tx *store.Tx, t sms.Text) error {
	if c.h.full != nil {
		return c.h.full
	}
	tx.AfterCommit(func() { c.h.texts = append(c.h.texts, t) })
	return nil
}

func (carrier) Ready() bool { return true }

func (carrier) Allowed(to sms.Number) error {
	if strings.HasPrefix(string(to), "+49") {
		return nil
	}
	return fault.New(fault.Invalid, "sms.country", "Not there.").On("number")
}

// post takes mails once they are committed.
type post struct{ h *house }

func (p post) SendTx(tx *store.Tx, m mail.Message) error {
	tx.AfterCommit(func() { p.h.mails = append(p.h.mails, m) })
	return nil
}

func each(t *testing.T, test func(t *testing.T, h *house)) {
	t.Helper()
	storetest.Each(t, func(t *testing.T, db *store.DB) { test(t, build(t, db)) }, audit.Migrations, access.Migrations, Migrations)
}

func build(t *testing.T, db *store.DB) *house {
	t.Helper()
	dir := t.TempDir()
	root, err := keys.CreateRoot(filepath.Join(dir, "root"))
	if err != nil {
		t.Fatal(err)
	}
	h := &house{t: t, homes: map[id.Account]id.Tenant{}, plan: true}
	h.clock.Store(time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC).UnixMicro())
	ring, err := store.OpenRing(ctx, "sqlite:"+filepath.Join(dir, "keyring.db"), h.now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ring.Close() })
	k := keys.New(root, ring, h.now)
	log, err := audit.New(db, k, audit.Options{Origin: "log.example", Types: slices.Concat(Events, access.Events), Now: h.now})
	if err != nil {
		t.Fatal(err)
	}
	h.rights, err = access.New(db, []access.Grant{{Permission: permOwn, Doc: "use your account", Self: true}}, nobody{}, log, h.now)
	if err != nil {
		t.Fatal(err)
	}
	h.Factors = New(Options{
		DB: db, Keys: k, Log: log, Post: post{h}, Texts: carrier{h}, Holders: h, Changed: h, Plans: h, Others: h,
		Config: Defaults(), Service: "Orchard: fruit", Host: "orchard.example", Origin: "https://orchard.example", Now: h.now,
	})
	return h
}

// person is somebody who is signed in.
func (h *house) person() access.Subject {
	h.t.Helper()
	account, home := id.New[id.Account](h.now()), id.New[id.Tenant](h.now())
	h.homes[account] = home
	for _, ref := range []keys.Ref{keys.TenantRef(home), keys.SubjectRef(account)} {
		if err := h.Keys.Create(ctx, ref, 32); err != nil {
			h.t.Fatal(err)
		}
	}
	by, err := h.rights.Person(ctx, access.SignedIn{
		Account: account, Tenant: home, Session: id.New[id.Session](h.now()), Context: audit.Context{IP: netip.MustParseAddr("192.0.2.7")},
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return by
}

// app sets an app up and returns its key.
func (h *house) app(by access.Subject, name string) secret.String {
	h.t.Helper()
	which, err := h.BeginApp(ctx, by, name)
	if err != nil {
		h.t.Fatal(err)
	}
	e, err := h.App(ctx, by, which)
	if err != nil {
		h.t.Fatal(err)
	}
	if _, err := h.ConfirmApp(ctx, by, which, h.code(e.Key, 0)); err != nil {
		h.t.Fatal(err)
	}
	h.add(period * time.Second)
	return e.Key
}

// code is what an app shows after a while.
func (h *house) code(key secret.String, later time.Duration) secret.String {
	h.t.Helper()
	code, err := CodeAt(key, h.now().Add(later))
	if err != nil {
		h.t.Fatal(err)
	}
	return secret.Of(code)
}

// question is what a stranger with the password is asked.
func (h *house) question(by access.Subject, kind string) Question {
	return Question{
		Account: by.Account, Home: h.homes[by.Account], Kind: kind, For: "sign-in one",
		By: access.Nobody(audit.Context{IP: netip.MustParseAddr("192.0.2.9")}),
	}
}

// answers reports whether an answer is right.
func (h *house) answers(q Question, code secret.String) bool {
	h.t.Helper()
	var amr []string
	err := h.DB.Write(ctx, func(tx *store.Tx) (err error) {
		tx.Unaudited("test")
		amr, err = h.AnswerTx(ctx, tx, q, code)
		return err
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return len(amr) > 0
}

func (h *house) sends(q Question) error {
	return h.DB.Write(ctx, func(tx *store.Tx) error {
		tx.Unaudited("test")
		return h.SendTx(ctx, tx, q)
	})
}

func (h *house) offers(by access.Subject) (kinds []string) {
	h.t.Helper()
	err := h.DB.Read(ctx, func(tx *store.Tx) error {
		all, err := h.OffersTx(ctx, tx, by.Account)
		kinds = nil
		for _, o := range all {
			kinds = append(kinds, o.Kind)
		}
		return err
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return kinds
}

// events are the names of an account's events, the oldest first.
func (h *house) events(by access.Subject) (names []string) {
	h.t.Helper()
	if err := h.Log.Flush(ctx); err != nil {
		h.t.Fatal(err)
	}
	all, _, err := h.Log.List(ctx, audit.Filter{Tenant: h.homes[by.Account], Limit: 100})
	if err != nil {
		h.t.Fatal(err)
	}
	for _, e := range slices.Backward(all) {
		names = append(names, e.Type)
	}
	return names
}

func want(t *testing.T, err error, kind fault.Kind, code string) {
	t.Helper()
	f := fault.As(err)
	if f == nil || f.Kind != kind || f.Code != code {
		t.Fatalf("the error is %v, want the %s fault %s", err, kind, code)
	}
}
