package backup_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"troth/internal/access"
	"troth/internal/audit"
	"troth/internal/backup"
	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/keys"
	"troth/internal/store"
	"troth/internal/store/storetest"
	"troth/verify"
)

const planted = "PLANTED-canary-in-metadata"

var (
	operator    = access.System("operator on the host")
	databaseRef = keys.ServiceRef("database")
	quiet       = func(string, int, int) {}
)

// place is an installation with a log, on one engine.
type place struct {
	backup.Source
	root string
	url  string
	key  verify.Key
}

func migrations() []fs.FS { return []fs.FS{store.Migrations, audit.Migrations} }

func newPlace(t *testing.T, engine string) *place {
	t.Helper()
	ctx, dir := t.Context(), t.TempDir()
	p := &place{root: filepath.Join(dir, "root")}
	root, err := keys.CreateRoot(p.root)
	check(t, err)
	ring, err := store.OpenRing(ctx, "sqlite:"+filepath.Join(dir, "keyring.db"), time.Now)
	check(t, err)
	t.Cleanup(func() { ring.Close() })
	k := keys.New(root, ring, time.Now)
	check(t, k.Create(ctx, databaseRef, 64))
	o := storetest.Options(t, engine)
	o.Key, err = k.Secret(ctx, databaseRef)
	check(t, err)
	p.url = o.URL
	db := storetest.Open(t, o, migrations()...)
	log, err := audit.New(db, k, audit.Options{Origin: "backup.test", Types: append(backup.Events, audit.Type{Name: "test.done", Sentence: "{actor} did {what}"})})
	check(t, err)
	p.Source = backup.Source{DB: db, Ring: ring, Keys: k, Root: root, Log: log, Build: "test", Now: time.Now, DatabaseKey: databaseRef}
	p.key, err = verify.ParseKey(log.VKey())
	check(t, err)
	p.act(t, 5)
	return p
}

// act writes events and sequences them.
func (p *place) act(t *testing.T, n int) {
	t.Helper()
	for i := range n {
		check(t, p.DB.Write(t.Context(), func(tx *store.Tx) error {
			_, err := p.Log.AppendTx(tx, audit.Event{Type: "test.done", Actor: operator.Actor(), OccurredAt: time.Now(), Metadata: map[string]string{"what": fmt.Sprint(planted, i)}})
			return err
		}))
	}
	_, err := p.Log.Sequence(t.Context())
	check(t, err)
}

func (p *place) take(t *testing.T) backup.Result {
	t.Helper()
	r, err := backup.Take(t.Context(), operator, t.TempDir(), p.Source, quiet)
	check(t, err)
	return r
}

// target is an empty place of an engine, with the root key of p.
func (p *place) target(t *testing.T, engine string) backup.Target {
	t.Helper()
	root, err := keys.OpenRoot(p.root)
	check(t, err)
	dir := t.TempDir()
	o := storetest.Options(t, engine)
	return backup.Target{Root: root, RingURL: "sqlite:" + filepath.Join(dir, "keyring.db"), StoreURL: o.URL, Scratch: dir,
		DatabaseKey: databaseRef, Migrations: migrations(), Key: p.key, Now: time.Now}
}

// events lists what the restored log says.
func events(t *testing.T, b backup.Target) []string {
	t.Helper()
	ctx := t.Context()
	ring, err := store.OpenRing(ctx, b.RingURL, time.Now)
	check(t, err)
	defer ring.Close()
	k := keys.New(b.Root, ring, time.Now)
	key, err := k.Secret(ctx, b.DatabaseKey)
	check(t, err)
	db, err := store.Open(ctx, store.Options{URL: b.StoreURL, Key: key})
	check(t, err)
	defer db.Close()
	check(t, db.Migrate(ctx, migrations()...))
	log, err := audit.New(db, k, audit.Options{Origin: "backup.test", Types: append(backup.Events, audit.Type{Name: "test.done", Sentence: "{actor} did {what}"})})
	check(t, err)
	entries, _, err := log.List(ctx, audit.Filter{Tenant: id.Platform, Limit: 100})
	check(t, err)
	var all []string
	for _, e := range entries {
		all = append(all, e.Type+" "+e.Metadata["what"])
	}
	return all
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestEitherEngineIsRestoredFromEither(t *testing.T) {
	for _, from := range []string{store.SQLite, store.Postgres} {
		p := newPlace(t, from)
		r := p.take(t)
		p.act(t, 3) // after the backup: must not be in it
		for _, to := range []string{store.SQLite, store.Postgres} {
			t.Run(from+" to "+to, func(t *testing.T) {
				target := p.target(t, to)
				if _, err := backup.Restore(t.Context(), r.Dir, "", target, quiet); err != nil {
					t.Fatal(err)
				}
				got := events(t, target)
				slices.Sort(got) // within a millisecond, events have no order
				if len(got) != 5 || got[0] != "test.done "+planted+"0" || got[4] != "test.done "+planted+"4" {
					t.Errorf("restored %q", got)
				}
			})
		}
	}
}

func TestNothingInABackupIsReadable(t *testing.T) {
	p := newPlace(t, store.Postgres) // whose rows are not encrypted by the engine
	check(t, p.DB.Write(t.Context(), func(tx *store.Tx) error {
		tx.Unaudited("plants a value that only the encryption of the file hides")
		tx.Changed("test", planted)
		return nil
	}))
	r := p.take(t)
	key, err := p.Keys.Secret(t.Context(), databaseRef)
	check(t, err)
	check(t, filepath.WalkDir(r.Dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if info, err := d.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		b, err := os.ReadFile(path)
		for _, secret := range [][]byte{[]byte(planted), key.Reveal()[:16], []byte("SQLite format 3")} {
			if bytes.Contains(b, secret) {
				t.Errorf("%s holds %q", path, secret)
			}
		}
		return err
	}))
}

func TestDamageIsNamedAndNothingIsRestored(t *testing.T) {
	p := newPlace(t, store.SQLite)
	for name, c := range map[string]struct {
		spoil func(dir string) error
		want  string
	}{
		"a flipped bit":       {func(d string) error { return flip(filepath.Join(d, "data", "troth.db")) }, "troth.db"},
		"a short keyring":     {func(d string) error { return os.Truncate(filepath.Join(d, "keyring", "keyring.jsonl"), 10) }, "keyring.jsonl"},
		"a missing file":      {func(d string) error { return os.Remove(filepath.Join(d, "data", "troth.db")) }, "troth.db"},
		"an altered manifest": {func(d string) error { return flip(filepath.Join(d, "data", "MANIFEST.json")) }, "MANIFEST.json"},
		"no manifest":         {func(d string) error { return os.Remove(filepath.Join(d, "keyring", "MANIFEST.json")) }, "keyring"},
	} {
		t.Run(name, func(t *testing.T) {
			r := p.take(t)
			check(t, c.spoil(r.Dir))
			target := p.target(t, store.SQLite)
			_, err := backup.Restore(t.Context(), r.Dir, "", target, quiet)
			if fault.As(err) == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v", err)
			}
			if _, err := os.Stat(strings.TrimPrefix(target.StoreURL, "sqlite:")); !errors.Is(err, os.ErrNotExist) {
				t.Error("a database was made")
			}
		})
	}
}

func flip(path string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	b[len(b)/2] ^= 1
	return os.WriteFile(path, b, 0o600)
}

func TestHalvesOfTwoBackupsDoNotFit(t *testing.T) {
	p := newPlace(t, store.SQLite)
	now := time.Now()
	p.Now = func() time.Time { now = now.Add(time.Minute); return now }
	a, b := p.take(t), p.take(t)
	_, err := backup.Restore(t.Context(), a.Dir, filepath.Join(b.Dir, "keyring"), p.target(t, store.SQLite), quiet)
	if fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), "different backups") {
		t.Errorf("got %v", err)
	}
}

func TestAnotherLogsBackupIsRefused(t *testing.T) {
	p, other := newPlace(t, store.SQLite), newPlace(t, store.SQLite)
	target := p.target(t, store.SQLite)
	target.Key = other.key
	if _, err := backup.Restore(t.Context(), p.take(t).Dir, "", target, quiet); fault.As(err) == nil {
		t.Errorf("got %v", err)
	}
}

func TestRestoringNeedsAnEmptyPlaceAndTheRoot(t *testing.T) {
	p := newPlace(t, store.SQLite)
	r := p.take(t)
	target := p.target(t, store.SQLite)
	if _, err := backup.Restore(t.Context(), r.Dir, "", target, quiet); err != nil {
		t.Fatal(err)
	}
	if _, err := backup.Restore(t.Context(), r.Dir, "", target, quiet); fault.KindOf(err) != fault.Conflict {
		t.Errorf("over an installation: %v", err)
	}
	stranger := p.target(t, store.SQLite)
	var err error
	stranger.Root, err = keys.CreateRoot(filepath.Join(t.TempDir(), "root"))
	check(t, err)
	if _, err := backup.Restore(t.Context(), r.Dir, "", stranger, quiet); fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), "root key") {
		t.Errorf("restored with another root key: %v", err)
	}
}

func TestTheConfigurationComesAlong(t *testing.T) {
	p := newPlace(t, store.SQLite)
	p.Config = filepath.Join(t.TempDir(), "troth.toml")
	if _, err := backup.RestoreConfig(p.take(t), t.TempDir()); err != nil {
		t.Errorf("without a configuration: %v", err)
	}
	check(t, os.WriteFile(p.Config, []byte("service = 'Kept'\n"), 0o600))
	r, data := p.take(t), t.TempDir()
	if did, err := backup.RestoreConfig(r, data); err != nil || !did {
		t.Fatal(did, err)
	}
	check(t, os.WriteFile(filepath.Join(data, "troth.toml"), []byte("service = 'Mine'\n"), 0o600))
	if did, err := backup.RestoreConfig(r, data); err != nil || did {
		t.Error("a configuration that was there was replaced", err)
	}
}

func TestAFailedBackupLeavesNothing(t *testing.T) {
	p := newPlace(t, store.SQLite)
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	_, err := backup.Take(ctx, operator, dir, p.Source, func(step string, _, _ int) {
		if step == "copying the keyring" {
			cancel()
		}
	})
	if err == nil {
		t.Fatal("a cancelled backup was taken")
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left %v (%v)", left, err)
	}
	if at, err := backup.LastTaken(t.Context(), p.Log); err != nil || !at.IsZero() {
		t.Errorf("the log has a backup of %v (%v)", at, err)
	}
}

func TestOnlyWhatIsKeptIsRecorded(t *testing.T) {
	p := newPlace(t, store.SQLite)
	if _, err := backup.Rehearse(t.Context(), operator, t.TempDir(), p.Source, quiet); err != nil {
		t.Fatal(err)
	}
	if at, err := backup.LastTaken(t.Context(), p.Log); err != nil || !at.IsZero() {
		t.Errorf("a rehearsal counts as a backup: %v (%v)", at, err)
	}
	p.take(t)
	if at, err := backup.LastTaken(t.Context(), p.Log); err != nil || at.IsZero() {
		t.Errorf("a backup does not count: %v", err)
	}
}

func TestOnlyTheOperatorTakesBackups(t *testing.T) {
	p := newPlace(t, store.SQLite)
	if _, err := backup.Take(t.Context(), access.Subject{}, t.TempDir(), p.Source, quiet); fault.KindOf(err) != fault.Denied {
		t.Errorf("got %v", err)
	}
}

func TestFindTakesTheNewest(t *testing.T) {
	p := newPlace(t, store.SQLite)
	dir, now := t.TempDir(), time.Now()
	p.Now = func() time.Time { now = now.Add(time.Minute); return now }
	var last backup.Result
	for range 2 {
		var err error
		last, err = backup.Take(t.Context(), operator, dir, p.Source, quiet)
		check(t, err)
	}
	check(t, os.MkdirAll(filepath.Join(dir, "troth-99991231T000000Z.partial", "data"), 0o700))
	if got, err := backup.Find(dir); err != nil || got != last.Dir {
		t.Errorf("found %s (%v)", got, err)
	}
	if got, err := backup.Find(last.Dir); err != nil || got != last.Dir {
		t.Errorf("found %s (%v)", got, err)
	}
	if _, err := backup.Find(t.TempDir()); fault.KindOf(err) != fault.NotFound {
		t.Errorf("got %v", err)
	}
}
