package plug

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"troth/internal/audit"
	"troth/internal/cli"
	"troth/internal/id"
	"troth/internal/keys"
	"troth/internal/part"
	"troth/internal/store"
	"troth/internal/store/storetest"
	"troth/internal/trust"
)

// house is an installation: root, keyring, encrypted store, log, and a front
// door that keeps the canary's name.
type house struct {
	data  string
	root  *keys.FileRoot
	ring  *store.Ring
	keys  *keys.Keys
	db    *store.DB
	log   *audit.Log
	inbox inbox

	leak func(name string) error // what a broken installation does with a name
	deaf bool                    // the door does not show the name
}

func (h *house) Keys() *keys.Keys  { return h.keys }
func (h *house) Store() *store.DB  { return h.db }
func (h *house) Audit() *audit.Log { return h.log }

var schema = fstest.MapFS{"202611211199_person.sql": {Data: []byte("-- +goose Up\nCREATE TABLE IF NOT EXISTS person (id TEXT PRIMARY KEY, name BYTEA NOT NULL, plain TEXT NOT NULL);\n")}}

func build(t *testing.T, engine string) *house {
	t.Helper()
	h := &house{data: t.TempDir(), inbox: inbox{arrived: make(chan trust.Mail, 8)}}
	var err error
	if h.root, err = keys.CreateRoot(filepath.Join(h.data, "root")); err != nil {
		t.Fatal(err)
	}
	if h.ring, err = store.OpenRing(t.Context(), "sqlite:"+filepath.Join(h.data, "keyring.db"), time.Now); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.ring.Close() })
	h.keys = keys.New(h.root, h.ring, time.Now)
	if err := h.keys.Create(t.Context(), keys.ServiceRef("database"), 64); err != nil {
		t.Fatal(err)
	}
	key, err := h.keys.Secret(t.Context(), keys.ServiceRef("database"))
	if err != nil {
		t.Fatal(err)
	}
	o := storetest.Options(t, engine)
	o.Key = key
	if engine == store.SQLite {
		o.URL = "sqlite:" + filepath.Join(h.data, "troth.db")
	}
	h.db = storetest.Open(t, o, audit.Migrations, schema)
	h.log, err = audit.New(h.db, h.keys, audit.Options{Origin: "troth.example", Types: Events, Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func (h *house) part() part.Part {
	return New(Deps{Keys: h.keys, DB: h.db, Data: h.data, Skip: []string{filepath.Join(h.data, "root")}})
}

// inbox is the canary's mailbox.
type inbox struct{ arrived chan trust.Mail }

func (i inbox) Wait(ctx context.Context, to string, _ time.Time) (trust.Mail, error) {
	select {
	case m := <-i.arrived:
		return m, nil
	case <-ctx.Done():
		return trust.Mail{}, ctx.Err()
	}
}

// ServeHTTP is as much of a front door as the check walks through. The name is
// kept sealed in a column of the encrypted store.
func (h *house) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	place := keys.Place{Tenant: "ten_canary", Table: "person", Column: "name", Row: "one"}
	ref := keys.Ref("tenant/ten_canary")
	var err error
	switch {
	case r.URL.Path == "/-/signup":
		h.inbox.arrived <- trust.Mail{To: r.FormValue("email"), Body: "https://troth.example/-/confirm/1\n"}
	case r.Method == http.MethodPost && r.URL.Path == "/-/account/":
		err = h.rename(r.Context(), place, ref, r.FormValue("name"))
	case r.URL.Path == "/-/account/":
		var sealed, plain []byte
		err = h.db.Read(r.Context(), func(tx *store.Tx) error {
			return tx.QueryRow("SELECT name FROM person WHERE id = 'one'").Scan(&sealed)
		})
		if err == nil {
			plain, err = h.keys.Open(r.Context(), place, sealed, ref)
		}
		if err == nil {
			if !h.deaf {
				w.Write(plain)
			}
			return
		}
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Location", "/")
	w.WriteHeader(http.StatusSeeOther)
}

func (h *house) rename(ctx context.Context, place keys.Place, ref keys.Ref, name string) error {
	if err := h.keys.Create(ctx, ref, 32); err != nil {
		return err
	}
	sealed, err := h.keys.Seal(ctx, place, []byte(name), ref)
	if err != nil {
		return err
	}
	err = h.db.Write(ctx, func(tx *store.Tx) error {
		tx.Unaudited("test")
		_, err := tx.Exec("INSERT INTO person (id, name, plain) VALUES ('one', $1, '') ON CONFLICT (id) DO UPDATE SET name = excluded.name", sealed)
		return err
	})
	if err == nil && h.leak != nil {
		err = h.leak(name)
	}
	return err
}

// RoundTrip answers without a network.
func (h *house) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	if r.Body == nil {
		r.Body = http.NoBody
	}
	h.ServeHTTP(w, r)
	return w.Result(), nil
}

// check exercises D1 once and returns what it saw.
func (h *house) check(t *testing.T) (trust.Result, error) {
	t.Helper()
	bench := trust.Standalone(trust.Bench{
		Client: func(netip.Addr) *http.Client { return &http.Client{Transport: h} },
		Origin: "https://troth.example", Mailbox: h.inbox, Now: time.Now,
	})
	return h.part().Claims[0].Checks[0].Run(t.Context(), bench)
}

func TestEncryptionAtRestIsProven(t *testing.T) {
	for _, engine := range []string{store.SQLite, store.Postgres} {
		t.Run(engine, func(t *testing.T) {
			h := build(t, engine)
			r, err := h.check(t)
			if err != nil || !r.Passed || len(r.Observed) < 7 {
				t.Fatalf("%+v, %v", r, err)
			}
			if left, _ := filepath.Glob(filepath.Join(h.data, ".check-*")); len(left) > 0 {
				t.Errorf("the check left %v", left)
			}
		})
	}
}

// The check must fail when what it watches is broken.
func TestEncryptionAtRestFailsWhenBroken(t *testing.T) {
	for name, c := range map[string]struct {
		sabotage func(t *testing.T, h *house)
		fails    string // what the observation that fails is about
	}{
		"a column that is not sealed": {func(t *testing.T, h *house) {
			h.leak = func(name string) error {
				return h.db.Write(context.Background(), func(tx *store.Tx) error {
					tx.Unaudited("test")
					_, err := tx.Exec("UPDATE person SET plain = $1", name)
					return err
				})
			}
		}, "the name in the rows"},
		"a column in base 64 only": {func(t *testing.T, h *house) {
			h.leak = func(name string) error {
				return h.db.Write(context.Background(), func(tx *store.Tx) error {
					tx.Unaudited("test")
					_, err := tx.Exec("UPDATE person SET plain = $1", base64.StdEncoding.EncodeToString([]byte("x"+name+"y")))
					return err
				})
			}
		}, "the name in the rows"},
		"a database through the plain VFS": {func(t *testing.T, h *house) {
			h.leak = func(name string) error { // the keyring's file is SQLite in the clear
				return h.ring.Insert(context.Background(), keys.Entry{Ref: "x", Version: 1, Epoch: name, Wrapped: []byte{1}})
			}
		}, "the name in the files"},
		"a log file": {func(t *testing.T, h *house) {
			h.leak = func(name string) error {
				return os.WriteFile(filepath.Join(h.data, "debug.log"), []byte("renamed to "+name), 0o600)
			}
		}, "the name in the files"},
		"the database's key in a file": {func(t *testing.T, h *house) {
			key, err := h.keys.Secret(t.Context(), keys.ServiceRef("database"))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(h.data, "config"), []byte("hexkey="+hex.EncodeToString(key.Reveal())), 0o600); err != nil {
				t.Fatal(err)
			}
		}, "the key of the database"},
		"a door that does not show the name": {func(t *testing.T, h *house) { h.deaf = true }, "the new name"},
	} {
		t.Run(name, func(t *testing.T) {
			h := build(t, store.SQLite)
			c.sabotage(t, h)
			r, err := h.check(t)
			if err != nil || r.Passed {
				t.Fatalf("passed %v, %v: the check did not notice", r.Passed, err)
			}
			noticed := false
			for _, o := range r.Observed {
				noticed = noticed || strings.HasPrefix(o.What, c.fails) && o.Seen != o.Expected
			}
			if !noticed {
				t.Errorf("it failed for another reason: %+v", r.Observed)
			}
		})
	}
}

func TestBackupInTheClearIsNoticed(t *testing.T) {
	h := build(t, store.SQLite)
	d := Deps{Keys: h.keys, DB: h.db, Data: h.data, Backup: func(ctx context.Context, dir string) error {
		f, err := os.Create(filepath.Join(dir, "dump"))
		if err != nil {
			return err
		}
		var name []byte
		err = h.db.Read(ctx, func(tx *store.Tx) error { return tx.QueryRow("SELECT name FROM person").Scan(&name) })
		if err == nil {
			name, err = h.keys.Open(ctx, keys.Place{Tenant: "ten_canary", Table: "person", Column: "name", Row: "one"}, name, "tenant/ten_canary")
		}
		_, werr := f.Write(name)
		return errors.Join(err, werr, f.Close())
	}}
	bench := trust.Standalone(trust.Bench{
		Client: func(netip.Addr) *http.Client { return &http.Client{Transport: h} },
		Origin: "https://troth.example", Mailbox: h.inbox, Now: time.Now,
	})
	r, err := New(d).Claims[0].Checks[0].Run(t.Context(), bench)
	if err != nil || r.Passed {
		t.Errorf("a backup in the clear passed: %+v, %v", r, err)
	}
}

// What cannot be exercised is an error, never a pass.
func TestEncryptionAtRestWithoutKeysIsAnError(t *testing.T) {
	h := build(t, store.SQLite)
	if err := os.Rename(filepath.Join(h.data, "root"), filepath.Join(h.data, "away")); err != nil {
		t.Fatal(err)
	}
	h.keys.Evict()
	if r, err := h.check(t); err == nil {
		t.Errorf("passed without keys: %+v", r)
	}
}

func TestSearchAcrossPieces(t *testing.T) {
	const name = "abcdefghijklmnopqrst"
	for _, form := range spellings([]byte(name)) {
		for cut := range len(form) {
			s := newSearch(spellings([]byte(name)), spellings([]byte("zzzzzzzzzzzzzzzzzzzz")))
			for _, piece := range [][]byte{bytes.Repeat([]byte("-"), 1000), form[:cut], form[cut:], []byte("-")} {
				if _, err := s.Write(piece); err != nil {
					t.Fatal(err)
				}
			}
			if !s.found[0] || s.found[1] {
				t.Fatalf("%q cut at %d: %v", form, cut, s.found)
			}
		}
	}
	for pad := range 6 { // base 64 of something longer, at every alignment
		text := strings.Repeat("p", pad) + name + "suffix"
		s := newSearch(spellings([]byte(name)))
		s.Write([]byte(base64.StdEncoding.EncodeToString([]byte(text))))
		if !s.found[0] {
			t.Errorf("not found in base 64 after %d letters", pad)
		}
	}
}

// run is the command line on the house.
func (h *house) run(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, errs strings.Builder
	p := cli.Program{
		Name: "troth", Short: "test", Commands: h.part().Commands, DataDir: h.data, Now: time.Now,
		Open: func(context.Context, *cli.Env) (any, func() error, error) { return h, func() error { return nil }, nil },
	}
	status = p.Run(t.Context(), args, strings.NewReader(""), &out, &errs)
	return status, out.String(), errs.String()
}

func (h *house) list(t *testing.T) listJSON {
	t.Helper()
	status, out, errs := h.run(t, "key", "list", "--json")
	var l listJSON
	if err := json.Unmarshal([]byte(out), &l); err != nil || status != 0 {
		t.Fatalf("listing: %d, %v, %s%s", status, err, out, errs)
	}
	return l
}

func TestKeyCommands(t *testing.T) {
	h := build(t, store.SQLite)
	ref := keys.SubjectRef(id.New[id.Account](time.Now()))
	if err := errors.Join(h.keys.Create(t.Context(), ref, 32), h.keys.Shred(t.Context(), ref)); err != nil {
		t.Fatal(err)
	}
	before := h.list(t)
	if len(before.Epochs) != 1 || !before.Epochs[0].Current || before.Epochs[0].Keys == 0 || before.Owed != 1 {
		t.Fatalf("before: %+v", before)
	}
	old := before.Epochs[0].Epoch
	for _, args := range [][]string{{"key", "roll", "--dry-run", "--retire"}, {"key", "retire", "--dry-run", old}} {
		status, out, errs := h.run(t, args...)
		if status != 0 || !strings.Contains(out, "Nothing was done.") {
			t.Errorf("%v: %d %s%s", args, status, out, errs)
		}
	}
	if status, _, errs := h.run(t, "key", "retire", old); status != 1 || !strings.Contains(errs, "current one") {
		t.Errorf("retiring the current epoch: %d %s", status, errs)
	}
	if status, _, _ := h.run(t, "key", "retire"); status != 2 {
		t.Errorf("retiring nothing: %d", status)
	}
	if status, _, errs := h.run(t, "key", "retire", "--dry-run", "000099-aaaaaaaa"); status != 1 || !strings.Contains(errs, "troth key list") {
		t.Errorf("retiring an unknown epoch: %d %s", status, errs)
	}
	if fmt.Sprint(h.list(t)) != fmt.Sprint(before) {
		t.Error("something was done")
	}
	status, out, errs := h.run(t, "key", "roll")
	if status != 0 || !strings.Contains(out, "All keys stand under the epoch 000002-") || !strings.Contains(errs, "100 %") {
		t.Errorf("rolling: %d %s%s", status, out, errs)
	}
	status, out, errs = h.run(t, "key", "retire", old)
	if status != 0 || !strings.Contains(out, "destroyed") {
		t.Errorf("retiring: %d %s%s", status, out, errs)
	}
	status, out, errs = h.run(t, "key", "roll", "--retire", "--json")
	var r rollJSON
	if err := json.Unmarshal([]byte(out), &r); err != nil || status != 0 || len(r.Retired) != 1 || r.Keys == 0 || !strings.HasPrefix(r.Epoch, "000003-") {
		t.Errorf("rolling with --retire: %d %v %s%s", status, err, out, errs)
	}
	if after := h.list(t); len(after.Epochs) != 1 || after.Owed != 0 || after.Epochs[0].Epoch != r.Epoch {
		t.Errorf("after: %+v", after)
	}
	h.wantEvents(t, "keys.roll_begun", "keys.rolled", "keys.retired", "keys.roll_begun", "keys.rolled", "keys.retired")
}

// wantEvents compares what the log of the platform has, the oldest first.
func (h *house) wantEvents(t *testing.T, want ...string) {
	t.Helper()
	entries, _, err := h.log.List(t.Context(), audit.Filter{Tenant: id.Platform, Limit: 50})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for i := len(entries) - 1; i >= 0; i-- {
		if strings.HasPrefix(entries[i].Event.Type, "keys.") {
			got = append(got, entries[i].Event.Type)
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("the log has %v, want %v", got, want)
	}
}

func TestDoctor(t *testing.T) {
	h := build(t, store.SQLite)
	look := func() part.Finding { return h.part().Doctor[0].Run(t.Context())[0] }
	if f := look(); f.Grade != part.Good {
		t.Errorf("healthy: %+v", f)
	}
	if _, err := h.keys.Roll(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if f := look(); f.Grade != part.Advice || !strings.Contains(f.Says.String(), "2 epochs") {
		t.Errorf("two epochs: %+v", f)
	}
	if err := h.keys.Shred(t.Context(), "subject/x"); err != nil {
		t.Fatal(err)
	}
	if f := look(); f.Grade != part.Advice || !strings.Contains(f.Remedy.String(), "roll --retire") {
		t.Errorf("a destroyed key: %+v", f)
	}
	if err := os.RemoveAll(filepath.Join(h.data, "root")); err != nil {
		t.Fatal(err)
	}
	if f := look(); f.Grade != part.Problem {
		t.Errorf("without a root: %+v", f)
	}
}

func TestPartIsWhole(t *testing.T) {
	for _, d := range []Deps{{}, {Data: "x"}} {
		if err := part.Check([]part.Part{New(d)}); err != nil {
			t.Error(err)
		}
	}
}
