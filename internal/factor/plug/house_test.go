package plug

import (
	"context"
	"html"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"troth/internal/access"
	"troth/internal/audit"
	"troth/internal/factor"
	"troth/internal/id"
	"troth/internal/keys"
	"troth/internal/mail"
	"troth/internal/part"
	"troth/internal/secret"
	"troth/internal/sms"
	"troth/internal/store"
	"troth/internal/store/storetest"
	"troth/internal/text"
	"troth/internal/web"
)

// around is what stands around the factors: one person, whose plan has text
// messages, in a session that is as old as the test makes it.
type around struct {
	rights  *access.Access
	account id.Account
	home    id.Tenant
	now     func() time.Time
	age     time.Duration
	plan    bool
	keys    []Passkey
	texts   []sms.Text
}

func (a *around) RoleTx(*store.Tx, id.Tenant, id.Account) (access.Role, error) {
	return access.RoleNone, nil
}

func (a *around) HolderTx(context.Context, *store.Tx, id.Account) (factor.Holder, error) {
	return factor.Holder{Home: a.home, Email: "ada@example.org"}, nil
}

func (a *around) FactorChangedTx(context.Context, *store.Tx, access.Subject, id.Account, text.Text, bool) error {
	return nil
}

func (a *around) TextsTx(context.Context, *store.Tx, id.Account) (bool, error) { return a.plan, nil }

func (a *around) Allowed(sms.Number) error { return nil }

func (a *around) Ready() bool { return true }

func (a *around) Authenticate(*http.Request) (access.Subject, error) {
	return a.rights.Person(context.Background(), access.SignedIn{
		Account: a.account, Tenant: a.home, Session: id.New[id.Session](a.now()), AuthAt: a.now().Add(-a.age),
	})
}

// carrier takes texts, and post nothing.
type carrier struct{ *around }

func (c carrier) SendTx(tx *store.Tx, t sms.Text) error {
	tx.AfterCommit(func() { c.texts = append(c.texts, t) })
	return nil
}

type post struct{}

func (post) SendTx(*store.Tx, mail.Message) error { return nil }

// house is the pages with everything real below them.
type house struct {
	*around
	t       *testing.T
	clock   atomic.Int64
	factors *factor.Factors
	part    part.Part
	pages   http.Handler
}

func open(t *testing.T) *house {
	t.Helper()
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	h := &house{t: t}
	h.clock.Store(time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC).UnixMicro())
	now := func() time.Time { return time.UnixMicro(h.clock.Add(1)).UTC() }
	h.around = &around{now: now, account: id.New[id.Account](now()), home: id.New[id.Tenant](now()), plan: true}
	dir := t.TempDir()
	root, err := keys.CreateRoot(filepath.Join(dir, "root"))
	must(err)
	ring, err := store.OpenRing(ctx, "sqlite:"+filepath.Join(dir, "keyring.db"), now)
	must(err)
	t.Cleanup(func() { ring.Close() })
	k := keys.New(root, ring, now)
	must(k.Create(ctx, keys.TenantRef(h.home), 32))
	must(k.Create(ctx, keys.SubjectRef(h.account), 32))
	db := storetest.SQLite(t, audit.Migrations, access.Migrations, factor.Migrations)
	log, err := audit.New(db, k, audit.Options{Origin: "log.example", Types: slices.Concat(factor.Events, access.Events), Now: now})
	must(err)
	h.rights, err = access.New(db, []access.Grant{{Permission: permOwn, Doc: "use your account", Self: true}}, h.around, log, now)
	must(err)
	config := factor.Defaults()
	h.factors = factor.New(factor.Options{
		DB: db, Keys: k, Log: log, Post: post{}, Texts: carrier{h.around}, Holders: h.around, Changed: h.around, Plans: h.around,
		Config: config, Service: "Orchard", Host: "orchard.example", Origin: "https://orchard.example", Now: now,
	})
	h.part = New(Deps{Factors: h.factors, Config: &config, Passkeys: func(context.Context, access.Subject) ([]Passkey, bool, error) { return h.keys, true, nil }})
	renderer, err := web.NewRenderer(text.English(), h.part.Pages)
	must(err)
	renderer.Now, renderer.FlashKey = now, secret.OfBytes(make([]byte, 32))
	h.pages, err = web.Mux(h.part.Routes, web.Deps{
		Renderer: renderer, Now: now, Log: slog.New(slog.DiscardHandler), Authenticators: []web.Authenticator{h.around},
	})
	must(err)
	return h
}

func (h *house) add(d time.Duration) { h.clock.Add(d.Microseconds()) }

// page is an answer.
type page struct {
	status int
	to     string // where it leads
	raw    string
	words  string
}

var tags = regexp.MustCompile(`(?s)<[^>]*>`)

func (h *house) do(r *http.Request) page {
	h.t.Helper()
	if r.Header.Get("Accept") == "" {
		r.Header.Set("Accept", "text/html")
	}
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	w := httptest.NewRecorder()
	h.pages.ServeHTTP(w, r)
	body := w.Body.String()
	return page{w.Code, w.Header().Get("Location"), body, strings.Join(strings.Fields(html.UnescapeString(tags.ReplaceAllString(body, " "))), " ")}
}

func (h *house) get(path string) page {
	return h.do(httptest.NewRequest("GET", "https://orchard.example"+path, nil))
}

func (h *house) json(path string) string {
	r := httptest.NewRequest("GET", "https://orchard.example"+path, nil)
	r.Header.Set("Accept", "application/json")
	return h.do(r).raw
}

func (h *house) post(path string, fields ...string) page {
	form := url.Values{}
	for i := 0; i+1 < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	r := httptest.NewRequest("POST", "https://orchard.example"+path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return h.do(r)
}

// want fails unless a page was answered so and says all of it.
func (h *house) want(p page, status int, says ...string) page {
	h.t.Helper()
	if p.status != status {
		h.t.Fatalf("answered %d, want %d: %s", p.status, status, p.words)
	}
	for _, s := range says {
		if !strings.Contains(p.words, s) {
			h.t.Errorf("it does not say %q: %s", s, p.words)
		}
	}
	return p
}

// leads fails unless an answer leads to an address that begins so.
func (h *house) leads(p page, to string) string {
	h.t.Helper()
	if p.status != http.StatusSeeOther || !strings.HasPrefix(p.to, to) {
		h.t.Fatalf("answered %d to %q, want %s: %s", p.status, p.to, to, p.words)
	}
	return p.to
}

func TestPagesAreTranslatable(t *testing.T) {
	templates, err := fs.Sub(pages, "pages")
	if err != nil {
		t.Fatal(err)
	}
	for _, finding := range web.LintTemplates(templates) {
		t.Error(finding)
	}
}

func TestPartIsWhole(t *testing.T) {
	h := open(t)
	config := factor.Defaults()
	permissions := []access.Grant{{Permission: permOwn, Doc: "use your account", Self: true}}
	for name, p := range map[string]part.Part{"served": h.part, "listed": New(Deps{Config: &config})} {
		p.Permissions = permissions
		if err := part.Check([]part.Part{p}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
