package plug

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"troth/internal/id"
	"troth/internal/jobs"
	"troth/internal/keys"
	"troth/internal/mail"
	"troth/internal/part"
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

// installation is a store with keys, jobs and a mailer over the plug.
type installation struct {
	db     *store.DB
	keys   *keys.Keys
	jobs   *jobs.Jobs
	mailer *mail.Mailer
	dev    *mail.DevMailbox
	canary *mail.Canary
	part   part.Part
}

func install(t *testing.T) *installation {
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
	in := &installation{db: storetest.SQLite(t, mail.Migrations, jobs.Migrations), keys: keys.New(root, ring, time.Now), canary: mail.NewCanary(time.Now)}
	in.jobs = jobs.New(in.db, time.Now, slog.New(slog.DiscardHandler))
	in.dev = mail.NewDevMailbox(in.db, in.keys, time.Now)
	in.mailer, err = mail.New(in.db, in.keys, in.jobs, mail.Options{
		From: "Troth <no-reply@example.org>", Routes: []mail.Route{{Transport: in.dev}, in.canary.Route()}, Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	in.part = New(Deps{Mailer: in.mailer, Dev: in.dev})
	in.jobs.AddQueue(in.part.Queues...)
	return in
}

func (in *installation) send(t *testing.T, m mail.Message) {
	t.Helper()
	err := in.db.Write(t.Context(), func(tx *store.Tx) error {
		tx.Unaudited("test")
		return in.mailer.SendTx(tx, m)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// browser serves the part's pages as the front door would.
func (in *installation) browser(t *testing.T) http.Handler {
	t.Helper()
	renderer, err := web.NewRenderer(text.English(), in.part.Pages)
	if err != nil {
		t.Fatal(err)
	}
	mux, err := web.Mux(in.part.Routes, web.Deps{Renderer: renderer, Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return mux
}

func get(h http.Handler, path string) (int, string) {
	r := httptest.NewRequest("GET", "https://localhost:8443"+path, nil)
	r.Header.Set("Accept", "text/html")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

// The whole way in a development installation: sent in a transaction, delivered
// by the jobs, read on the page.
func TestDevelopmentMailIsReadOnAPage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := install(t)
		s := in.browser(t)
		if code, page := get(s, "/-/dev/mail"); code != 200 || !strings.Contains(page, "No mail yet") {
			t.Errorf("an empty mailbox: %d %s", code, page)
		}
		const link = "https://localhost:8443/-/confirm/abc"
		in.send(t, mail.Message{Kind: "account.confirm", To: "anna@example.org", Subject: "Confirm <it>", Body: "Hello,\n\n" + link + "\n\nhttps://evil.example/\n"})
		ctx, stop := context.WithTimeout(t.Context(), time.Minute)
		defer stop()
		if err := in.jobs.Run(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		found, err := in.dev.List(t.Context())
		if err != nil || len(found) != 1 {
			t.Fatalf("the mailbox has %v, %v", found, err)
		}
		code, page := get(s, "/-/dev/mail")
		path := "/-/dev/mail/" + string(found[0].ID)
		if code != 200 || !strings.Contains(page, `href="`+path+`"`) || !strings.Contains(page, "Confirm &lt;it&gt;") || !strings.Contains(page, "anna@example.org") {
			t.Errorf("the list: %d %s", code, page)
		}
		code, page = get(s, path)
		if code != 200 || !strings.Contains(page, `<a href="`+link+`">`) || strings.Contains(page, `href="https://evil`) || !strings.Contains(page, "Hello,") {
			t.Errorf("the message: %d %s", code, page)
		}
		for _, none := range []string{"/-/dev/mail/" + string(id.New[id.Mail](time.Now())), "/-/dev/mail/x"} {
			if code, _ := get(s, none); code != 404 {
				t.Errorf("%s: %d", none, code)
			}
		}
	})
}

func TestPartIsWhole(t *testing.T) {
	in := install(t)
	for name, p := range map[string]part.Part{"served": in.part, "listed": New(Deps{})} {
		if err := part.Check([]part.Part{p}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := len(New(Deps{Mailer: in.mailer}).Routes); n != 0 {
		t.Errorf("without a development mailbox there are %d pages", n)
	}
	for _, r := range in.part.Retention {
		err := in.db.Write(t.Context(), func(tx *store.Tx) error {
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
		found := New(d).Doctor[0].Run(t.Context())
		if len(found) != 1 {
			t.Fatalf("findings: %v", found)
		}
		return found[0]
	}
	if f := look(Deps{}); f.Grade != part.Advice {
		t.Errorf("without a server: %+v", f)
	}
	if f := look(Deps{SMTP: &mail.SMTP{Host: "127.0.0.1", Port: 1}}); f.Grade != part.Problem || !strings.Contains(f.Says.String(), "127.0.0.1:1") {
		t.Errorf("with a server that is down: %+v", f)
	}
}

func TestCanaryMailbox(t *testing.T) {
	in := install(t)
	began := time.Now()
	in.send(t, mail.Message{To: "one@canary.invalid", Subject: "For one", Body: "https://localhost/x\n"})
	got, err := Mailbox(in.canary).Wait(t.Context(), "one@canary.invalid", began)
	if err != nil || got.Subject != "For one" || got.To != "one@canary.invalid" || got.At.Before(began.Truncate(time.Millisecond)) {
		t.Errorf("got %+v, %v", got, err)
	}
	in.mailer.Wait()
}

func TestTestMessage(t *testing.T) {
	in := install(t)
	if err := in.mailer.Test(t.Context(), "operator@example.org"); err != nil {
		t.Fatal(err)
	}
	all, err := in.dev.List(t.Context())
	if err != nil || len(all) != 1 || all[0].To != "operator@example.org" {
		t.Errorf("the mailbox has %+v, %v", all, err)
	}
	if in.mailer.Test(t.Context(), "nobody") == nil {
		t.Error("a test message was sent to no address")
	}
}
