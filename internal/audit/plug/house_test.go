package plug

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"troth/internal/access"
	"troth/internal/audit"
	"troth/internal/id"
	"troth/internal/keys"
	"troth/internal/store"
	"troth/internal/store/storetest"
	"troth/internal/text"
	"troth/internal/web"
)

var testTypes = []audit.Type{
	{Name: signedIn, Sentence: "{actor} signed in from {ip}"},
	{Name: signInFailed, Sentence: "{actor} tried to sign in from {ip}", Outcome: audit.Failure},
	{Name: "tenant.role_changed", Sentence: "{actor} changed the role of {target} to {role}"},
}

// roles are who is what in which tenant.
type roles map[id.Account]access.Role

func (r roles) RoleTx(_ *store.Tx, _ id.Tenant, account id.Account) (access.Role, error) {
	return r[account], nil
}

// house is a log with its pages.
type house struct {
	t      *testing.T
	db     *store.DB
	keys   *keys.Keys
	log    *audit.Log
	access *access.Access
	roles  roles
	plug   *plug
	deps   web.Deps
	tenant id.Tenant
	ada    id.Account // admin
	bob    id.Account // member
	eve    id.Account // of elsewhere
}

func open(t *testing.T) *house {
	t.Helper()
	ctx := context.Background()
	dir := t.TempDir()
	h := &house{t: t, db: storetest.SQLite(t, audit.Migrations, access.Migrations), roles: roles{}}
	ring, err := store.OpenRing(ctx, "sqlite:"+filepath.Join(dir, "keyring.db"), time.Now)
	must(t, err)
	t.Cleanup(func() { ring.Close() })
	root, err := keys.CreateRoot(filepath.Join(dir, "root"))
	must(t, err)
	h.keys = keys.New(root, ring, time.Now)
	_, err = h.keys.Roll(ctx, nil)
	must(t, err)
	h.log, err = audit.New(h.db, h.keys, audit.Options{Origin: "log.example", Types: testTypes})
	must(t, err)
	config := Defaults()
	own := New(h.log, &config, time.Now)
	h.plug = &plug{h.log, &config, time.Now}
	h.access, err = access.New(h.db, own.Permissions, h.roles, h.log, time.Now)
	must(t, err)
	rd, err := web.NewRenderer(text.English(), own.Pages)
	must(t, err)
	rd.Nav = own.Nav
	h.deps = web.Deps{Renderer: rd, Now: time.Now, Log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelError}))}

	h.tenant = id.New[id.Tenant](time.Now())
	must(t, h.keys.Create(ctx, keys.TenantRef(h.tenant), 32))
	for _, a := range []*id.Account{&h.ada, &h.bob, &h.eve} {
		*a = id.New[id.Account](time.Now())
	}
	h.roles[h.ada], h.roles[h.bob] = access.Admin, access.Member
	return h
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (h *house) append(e audit.Event) (event id.Event) {
	h.t.Helper()
	must(h.t, h.db.Write(context.Background(), func(tx *store.Tx) (err error) {
		event, err = h.log.AppendTx(tx, e)
		return err
	}))
	return event
}

func (h *house) sequence() {
	h.t.Helper()
	_, err := h.log.Sequence(context.Background())
	must(h.t, err)
}

// changed is an event in which Ada, from an address, did something to Bob.
func (h *house) changed() audit.Event {
	return audit.Event{Type: "tenant.role_changed", Tenant: h.tenant, Actor: audit.Actor{Kind: audit.KindPerson, Account: h.ada, Name: "Ada"},
		Targets:  []audit.Target{{Kind: "account", ID: string(h.bob), Person: h.bob, Label: "Bob"}},
		Metadata: map[string]string{"role": "admin"},
		Context:  audit.Context{IP: netip.MustParseAddr("203.0.113.9"), Agent: "Firefox <script>"}}
}

type as struct{ subject access.Subject }

func (a as) Authenticate(*http.Request) (access.Subject, error) { return a.subject, nil }

// get asks for a path as an account; "" is a stranger.
func (h *house) get(who id.Account, path, accept string) (*http.Response, string) {
	h.t.Helper()
	deps := h.deps
	if who != "" {
		s, err := h.access.Person(context.Background(), access.SignedIn{Account: who, Tenant: h.tenant})
		must(h.t, err)
		deps.Authenticators = []web.Authenticator{as{s}}
	}
	mux := http.NewServeMux()
	for _, r := range h.plug.routes() {
		mux.Handle(r.Pattern(), web.Handler(r, deps))
	}
	req := httptest.NewRequest(http.MethodGet, path, nil)
	req.Header.Set("Accept", accept)
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, req)
	resp := w.Result()
	b, err := io.ReadAll(resp.Body)
	must(h.t, err)
	return resp, string(b)
}

const (
	html     = "text/html"
	document = "application/json"
)

// page asks for a page and expects a status and texts in it.
func (h *house) page(who id.Account, path string, status int, wants ...string) string {
	h.t.Helper()
	resp, body := h.get(who, path, html)
	_, body, _ = strings.Cut(body, "<main")
	if resp.StatusCode != status {
		h.t.Fatalf("%s answers %d, want %d:\n%s", path, resp.StatusCode, status, body)
	}
	for _, want := range wants {
		if !strings.Contains(body, want) {
			h.t.Errorf("%s does not say %q:\n%s", path, want, body)
		}
	}
	return body
}

// breakIt changes a row behind the log's back.
func breakIt(tx *store.Tx) error {
	tx.Unaudited("a test breaks what must be noticed")
	_, err := tx.Exec(`UPDATE audit_event SET occurred_at = occurred_at + 1`)
	return err
}
