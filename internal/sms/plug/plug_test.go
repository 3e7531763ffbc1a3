package plug

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"troth/internal/cli"
	"troth/internal/fault"
	"troth/internal/jobs"
	"troth/internal/keys"
	"troth/internal/part"
	"troth/internal/sms"
	"troth/internal/store"
	"troth/internal/store/storetest"
	"troth/internal/text"
	"troth/internal/web"
)

func TestPagesAreTranslatable(t *testing.T) {
	templates, err := fs.Sub(pages, "pages")
	if err != nil {
		t.Fatal(err)
	}
	for _, finding := range web.LintTemplates(templates) {
		t.Error(finding)
	}
}

// carrier answers as a test wants it to.
type carrier struct{ fail error }

func (c *carrier) Send(context.Context, sms.Outgoing) error { return c.fail }

func (c *carrier) Probe(context.Context) (string, error) { return "Carrier", c.fail }

// install is the part over a database, with a sender or with the page.
func install(t *testing.T, sender sms.Sender) (Deps, *store.DB) {
	t.Helper()
	dir := t.TempDir()
	root, err := keys.CreateRoot(filepath.Join(dir, "root"))
	if err != nil {
		t.Fatal(err)
	}
	ring, err := store.OpenRing(t.Context(), "sqlite:"+filepath.Join(dir, "keyring.db"), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ring.Close() })
	db := storetest.SQLite(t, sms.Migrations, jobs.Migrations)
	k := keys.New(root, ring, time.Now)
	config := sms.Defaults()
	d := Deps{Config: &config}
	if sender == nil {
		d.Dev = sms.NewDevBox(db, k, time.Now)
		sender = d.Dev
	}
	d.Texts = sms.New(db, k, jobs.New(db, time.Now, slog.New(slog.DiscardHandler)), sms.Options{Sender: sender, Countries: []string{"+49"}, PerHour: 10})
	return d, db
}

// host is an opened installation.
type host struct{ texts *sms.Texts }

func (h host) Texts() *sms.Texts { return h.texts }

func run(t *testing.T, d Deps, app any, number string) (string, error) {
	t.Helper()
	c := New(d).Commands[0].Sub[0]
	var out bytes.Buffer
	err := c.Run(t.Context(), &cli.Env{Stdout: &out, Stderr: &out, App: app}, []string{number})
	return out.String(), err
}

func TestOneTextIsReadOnThePage(t *testing.T) {
	d, _ := install(t, nil)
	p := New(d)
	renderer, err := web.NewRenderer(text.English(), p.Pages)
	if err != nil {
		t.Fatal(err)
	}
	mux, err := web.Mux(p.Routes, web.Deps{Renderer: renderer, Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	page := func() string {
		r := httptest.NewRequest("GET", "https://localhost:8443/-/dev/texts", nil)
		r.Header.Set("Accept", "text/html")
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		return w.Body.String()
	}
	if body := page(); !strings.Contains(body, "No texts yet") {
		t.Errorf("an empty box: %s", body)
	}
	if said, err := run(t, d, host{d.Texts}, "+49 30 901820"); err != nil || said != "The text message was taken.\n" {
		t.Fatalf("%q, %v", said, err)
	}
	if body := page(); !strings.Contains(body, "4930901820") || !strings.Contains(body, "to see whether text messages work") {
		t.Errorf("the box: %s", body)
	}
}

func TestCommand(t *testing.T) {
	c := &carrier{}
	d, _ := install(t, c)
	for number, code := range map[string]string{"nobody": "sms.number", "+12025550123": "sms.country"} {
		if _, err := run(t, d, host{d.Texts}, number); fault.As(err) == nil || fault.As(err).Code != code {
			t.Errorf("%s: %v", number, err)
		}
	}
	c.fail = errors.New("Carrier answered 401")
	if _, err := run(t, d, host{d.Texts}, "+4930901820"); fault.KindOf(err) != fault.Unavailable || !strings.Contains(err.Error(), "Carrier answered 401") {
		t.Errorf("a service that refuses: %v", err)
	}
	if _, err := run(t, d, nil, "+4930901820"); err == nil {
		t.Error("without an installation it says nothing")
	}
}

func TestPartIsWhole(t *testing.T) {
	d, db := install(t, nil)
	config := sms.Defaults()
	for name, p := range map[string]part.Part{"served": New(d), "listed": New(Deps{Config: &config})} {
		if err := part.Check([]part.Part{p}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := len(New(Deps{Texts: d.Texts, Config: &config}).Routes); n != 0 {
		t.Errorf("without a box there are %d pages", n)
	}
	for _, r := range New(d).Retention {
		err := db.Write(t.Context(), func(tx *store.Tx) error {
			tx.Unaudited("test")
			n, err := r.Sweep(t.Context(), tx, time.Now())
			if n != 0 {
				t.Errorf("%s: %d rows were removed from an empty table", r.Table, n)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
}

func TestDoctor(t *testing.T) {
	look := func(d Deps) part.Finding {
		t.Helper()
		found := New(d).Doctor[0].Run(t.Context())
		if len(found) != 1 {
			t.Fatalf("findings: %v", found)
		}
		return found[0]
	}
	page, _ := install(t, nil)
	c := &carrier{}
	served, _ := install(t, c)
	for name, d := range map[string]Deps{"a page": page, "a service": served, "nothing": {Config: served.Config}} {
		if f := look(d); f.Grade != part.Good {
			t.Errorf("%s: %+v", name, f)
		}
	}
	c.fail = errors.New("connection refused")
	if f := look(served); f.Grade != part.Problem || !strings.Contains(f.Says.String(), "connection refused") {
		t.Errorf("a service that is down: %+v", f)
	}
}
