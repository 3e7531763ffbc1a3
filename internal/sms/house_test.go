package sms

import (
	"context"
	"log/slog"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/jobs"
	"troth/internal/keys"
	"troth/internal/store"
	"troth/internal/store/storetest"
)

var ctx = context.Background()

const (
	berlin  = Number("+4930901820")
	jamaica = Number("+18765550123")
)

// sender takes texts, or answers with an error.
type sender struct {
	took []Outgoing
	fail error
}

func (s *sender) Send(_ context.Context, o Outgoing) error {
	if s.fail != nil {
		return s.fail
	}
	s.took = append(s.took, o)
	return nil
}

func (*sender) Probe(context.Context) (string, error) { return "a test", nil }

// house is the way out for texts over a database.
type house struct {
	*Texts
	t       *testing.T
	db      *store.DB
	keys    *keys.Keys
	jobs    *jobs.Jobs
	sender  *sender
	clock   atomic.Int64
	account id.Account
	home    id.Tenant
	logged  strings.Builder
}

func (h *house) now() time.Time      { return time.UnixMicro(h.clock.Add(1000)).UTC() }
func (h *house) add(d time.Duration) { h.clock.Add(d.Microseconds()) }

func each(t *testing.T, test func(t *testing.T, h *house)) {
	t.Helper()
	storetest.Each(t, func(t *testing.T, db *store.DB) { test(t, build(t, db)) }, Migrations, jobs.Migrations)
}

func build(t *testing.T, db *store.DB) *house {
	t.Helper()
	dir := t.TempDir()
	root, err := keys.CreateRoot(filepath.Join(dir, "root"))
	if err != nil {
		t.Fatal(err)
	}
	h := &house{t: t, db: db, sender: &sender{}}
	h.clock.Store(time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC).UnixMicro())
	ring, err := store.OpenRing(ctx, "sqlite:"+filepath.Join(dir, "keyring.db"), h.now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ring.Close() })
	h.keys = keys.New(root, ring, h.now)
	h.account, h.home = h.person()
	log := slog.New(slog.NewTextHandler(&h.logged, nil))
	h.jobs = jobs.New(db, h.now, log)
	h.Texts = New(db, h.keys, h.jobs, Options{Sender: h.sender, Countries: []string{"+49", "+1", "!+1876"}, PerHour: 12, Now: h.now, Log: log})
	h.jobs.AddQueue(h.Queue())
	return h
}

// person makes the keys of an account.
func (h *house) person() (id.Account, id.Tenant) {
	h.t.Helper()
	account, home := id.New[id.Account](h.now()), id.New[id.Tenant](h.now())
	for _, ref := range []keys.Ref{keys.TenantRef(home), keys.SubjectRef(account)} {
		if err := h.keys.Create(ctx, ref, 32); err != nil {
			h.t.Fatal(err)
		}
	}
	return account, home
}

func (h *house) send(account id.Account, home id.Tenant, to Number) error {
	return h.db.Write(ctx, func(tx *store.Tx) error {
		tx.Unaudited("test")
		return h.SendTx(tx, Text{Kind: "test.code", To: to, Account: account, Tenant: home, Body: "Your code is 12345678", Until: h.now().Add(10 * time.Minute)})
	})
}

// queued are the texts in the outbox.
func (h *house) queued() (all []row) {
	h.t.Helper()
	err := h.db.Read(ctx, func(tx *store.Tx) error {
		all = nil
		rows, err := tx.Query(`SELECT tenant, id, attempts FROM sms_outbox ORDER BY id`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var r row
			if err := rows.Scan(&r.tenant, &r.id, &r.attempts); err != nil {
				return err
			}
			all = append(all, r)
		}
		return rows.Err()
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return all
}

// run does the work of the queue once for every text that waits.
func (h *house) run() (errs []error) {
	for _, r := range h.queued() {
		errs = append(errs, h.Queue().Run(ctx, payload(r.tenant, r.id)))
	}
	return errs
}

func want(t *testing.T, err error, kind fault.Kind, code string) {
	t.Helper()
	f := fault.As(err)
	if f == nil || f.Kind != kind || f.Code != code {
		t.Fatalf("the error is %v, want the %s fault %s", err, kind, code)
	}
}
