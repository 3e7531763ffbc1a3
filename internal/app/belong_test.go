package app

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"troth/internal/fault"
	"troth/internal/store/pgtest"
)

// away moves files out of a directory and returns how to put them back.
func away(t *testing.T, pattern string) (back func()) {
	t.Helper()
	found, err := filepath.Glob(pattern)
	if err != nil || len(found) == 0 {
		t.Fatalf("%s names nothing: %v", pattern, err)
	}
	aside := t.TempDir()
	for _, path := range found {
		if err := os.Rename(path, filepath.Join(aside, filepath.Base(path))); err != nil {
			t.Fatal(err)
		}
	}
	return func() {
		t.Helper()
		for _, path := range found {
			if err := os.Rename(filepath.Join(aside, filepath.Base(path)), path); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestWhatIsTakenAwayShutsTheDoor: under a server that runs, files go away.
func TestWhatIsTakenAwayShutsTheDoor(t *testing.T) {
	h := raise(t)
	for what, pattern := range map[string]string{
		"store": "troth.db", "keys": "keyring.db", "the store's log": "troth.db-wal", "the keyring's log": "keyring.db-wal", "the root key": "root/*.key", "the root keys": "root",
	} {
		back := away(t, filepath.Join(h.set.Data, pattern))
		await(t, "the door shuts without "+what, 3*time.Second, func() bool {
			ok, _ := h.in.edge.Ready()
			return !ok
		})
		b := h.bench()
		resp, err := b.Client(netip.Addr{}).Get(h.in.edge.Origin() + "/-/sign-in")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != 503 {
			t.Errorf("without %s a request is answered with %d", what, resp.StatusCode)
		}
		back()
		h.steady()
	}
}

// TestALostPartIsNotANewInstallation: what is missing at the start is named,
// and nothing is made in its place.
func TestALostPartIsNotANewInstallation(t *testing.T) {
	h := raise(t)
	h.person("ada")
	if err := h.halt(); err != nil {
		t.Fatal(err)
	}
	other := raise(t)
	if err := other.halt(); err != nil {
		t.Fatal(err)
	}
	at := func(name string) string { return filepath.Join(h.set.Data, name) }
	for name, c := range map[string]struct {
		gone  []string
		bring string // from the other installation
		code  string
		says  string
	}{
		"the database":                 {gone: []string{"troth.db"}, code: "app.no_database", says: "troth restore"},
		"the database and checkpoint":  {gone: []string{"troth.db", "checkpoint"}, code: "app.no_database", says: "troth restore"},
		"the keyring":                  {gone: []string{"keyring.db"}, code: "app.no_keyring", says: "troth.db"},
		"the keyring and the database": {gone: []string{"keyring.db", "troth.db"}, code: "app.no_keyring", says: "checkpoint"},
		"the root key":                 {gone: []string{"root"}, code: "keys.no_root", says: "root"},
		"all keys":                     {gone: []string{"root", "keyring.db"}, code: "keys.no_root", says: "root"},
		"the right root key":           {gone: []string{"root"}, bring: "root", code: "app.other_root", says: "root key"},
		"the right database":           {gone: []string{"troth.db"}, bring: "troth.db", code: "store.key_mismatch", says: "keyring"},
	} {
		t.Run(name, func(t *testing.T) {
			var back []func()
			for _, g := range c.gone {
				back = append(back, away(t, at(g)))
			}
			if c.bring != "" {
				if err := os.Rename(filepath.Join(other.set.Data, c.bring), at(c.bring)); err != nil {
					t.Fatal(err)
				}
			}
			_, err := makeData(h.set)
			if err == nil {
				_, err = open(t.Context(), h.set, h.o)
			}
			if f := fault.As(err); f == nil || f.Code != c.code || !strings.Contains(f.Error(), c.says) {
				t.Errorf("the start says %v, want %s", err, c.code)
			}
			if c.bring != "" {
				if err := os.Rename(at(c.bring), filepath.Join(other.set.Data, c.bring)); err != nil {
					t.Fatal(err)
				}
			}
			for _, g := range c.gone {
				if _, err := os.Stat(at(g)); err == nil {
					t.Errorf("%s was made anew", g)
				}
			}
			for _, b := range back {
				b()
			}
		})
	}
	over(t, h.set, h.clock).serve() // nothing was harmed
}

// TestAStartThatWasEndedEarlyIsDoneAgain: a keyring with a database key and
// nothing else is what the first moment leaves.
func TestAStartThatWasEndedEarlyIsDoneAgain(t *testing.T) {
	h := plan(t)
	at, err := h.set.places()
	if err != nil {
		t.Fatal(err)
	}
	d, err := openData(t.Context(), h.set, h.o)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(at.database, 0); err != nil {
		t.Fatal(err)
	}
	h.serve()
}

func TestAnEmptyServerIsNotANewInstallation(t *testing.T) {
	h := raise(t, func(s *Settings) { s.store.URL = pgtest.URL(t) })
	if err := h.halt(); err != nil {
		t.Fatal(err)
	}
	h.set.store.URL = pgtest.URL(t)
	_, err := open(t.Context(), h.set, h.o)
	if f := fault.As(err); f == nil || f.Code != "app.no_database" {
		t.Errorf("the start says %v", err)
	}
}
