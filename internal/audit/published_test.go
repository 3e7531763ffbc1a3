package audit

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"troth/internal/id"
	"troth/internal/store"
	"troth/internal/store/storetest"
	"troth/verify"
)

// TestARestoredDatabaseOpensANewEpochInTheOpen takes a copy of the database,
// lets the log grow and be published, and starts again on the copy.
func TestARestoredDatabaseOpensANewEpochInTheOpen(t *testing.T) {
	ctx := context.Background()
	o := storetest.SQLiteOptions(t)
	h := open(t, storetest.Open(t, o, Migrations))
	e := Event{Type: "account.signed_in", Tenant: h.tenant(), Actor: Actor{Kind: KindSystem, Name: "test"}}
	h.append(e)
	h.sequence()
	backup := filepath.Join(t.TempDir(), "backup.db")
	if err := h.db.BackupTo(ctx, backup, nil); err != nil {
		t.Fatal(err)
	}
	before := checkExport(t, h)
	for range 3 {
		h.append(e)
		h.sequence()
	}
	seen, err := h.log.Checkpoint(ctx)
	if err != nil {
		t.Fatal(err)
	}

	o.URL = "sqlite:" + backup
	h.db = storetest.Open(t, o, Migrations)
	h.start()
	h.sequence()
	dir := checkExport(t, h)
	r := examine(t, h, dir)
	if len(r.Epochs) != 1 || r.Epochs[0].Number != 2 || r.Epochs[0].Size != 4 {
		t.Fatalf("the epochs are %+v, want the second, stating the 4 entries that were published", r.Epochs)
	}
	checkDir(t, h, dir, read(t, before, "checkpoint")) // what the backup held is continued
	if r := examine(t, h, dir, seen); len(r.Epochs) == 0 {
		t.Errorf("who saw the lost entries is told %+v", r)
	}
	entries, _, err := h.log.List(ctx, Filter{Tenant: "ten_00000000000000000000000000"})
	if err != nil || len(entries) != 1 || !strings.Contains(entries[0].Sentence.String(), "opened epoch 2: 4 entries had been published, 1 were found") {
		t.Errorf("the platform's activity says %v, %v", entries, err)
	}

	h.start() // once is enough
	if got := examine(t, h, checkExport(t, h)); len(got.Epochs) != 1 {
		t.Errorf("a second start opened another epoch: %+v", got.Epochs)
	}
	// As if the start had ended between the commit and the file.
	if err := os.WriteFile(h.file, seen, 0o600); err != nil {
		t.Fatal(err)
	}
	h.start()
	if got := examine(t, h, checkExport(t, h)); len(got.Epochs) != 1 {
		t.Errorf("the same loss opened another epoch: %+v", got.Epochs)
	}
}

func read(t *testing.T, dir, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestAnExportIsRepeated into one directory, as the log grows and after the
// database went back: then full tiles that lie there are of another log.
func TestAnExportIsRepeated(t *testing.T) {
	ctx := t.Context()
	o := storetest.SQLiteOptions(t)
	h := open(t, storetest.Open(t, o, Migrations))
	tenants := make([]id.Tenant, 300)
	for i := range tenants {
		tenants[i] = id.New[id.Tenant](h.clock.now())
	}
	pend(t, h, tenants, 200)
	h.sequence()
	backup := filepath.Join(t.TempDir(), "backup.db")
	if err := h.db.BackupTo(ctx, backup, nil); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for range 2 {
		if err := h.log.Export(ctx, dir, nil); err != nil {
			t.Fatal(err)
		}
		checkDir(t, h, dir)
		pend(t, h, tenants, 300)
		h.sequence()
	}
	o.URL = "sqlite:" + backup
	h.db = storetest.Open(t, o, Migrations)
	h.start()
	pend(t, h, tenants, 300)
	h.sequence()
	if err := h.log.Export(ctx, dir, nil); err != nil {
		t.Fatal(err)
	}
	checkDir(t, h, dir)
}

// TestWhatIsServedIsKept holds that a checkpoint is in the file before anybody
// sees it, even when the sequencer did not write it there.
func TestWhatIsServedIsKept(t *testing.T) {
	h := sqlite(t)
	for range 5 {
		h.append(Event{Type: "account.signed_in", Actor: Actor{Kind: KindSystem}})
		h.sequence()
		served, err := h.log.Checkpoint(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		kept, err := os.ReadFile(h.file)
		if err != nil || string(kept) != string(served) {
			t.Fatalf("served\n%s\nkept\n%s%v", served, kept, err)
		}
	}
	// A file that cannot be written stops the publishing.
	if err := os.RemoveAll(filepath.Dir(h.file)); err != nil {
		t.Fatal(err)
	}
	h.append(Event{Type: "account.signed_in", Actor: Actor{Kind: KindSystem}})
	h.sequence()
	if b, err := h.log.Checkpoint(context.Background()); err == nil {
		t.Errorf("published %s though it could not be kept", b)
	}
}

// TestTheKeptCheckpointOnlyGrows, whatever other processes write.
func TestTheKeptCheckpointOnlyGrows(t *testing.T) {
	h := sqlite(t)
	first := h.log
	old, err := first.Checkpoint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	h.start() // a command beside the program that serves
	h.append(Event{Type: "account.signed_in", Actor: Actor{Kind: KindSystem}})
	h.sequence()
	served, err := h.log.Checkpoint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	first.file.keptAt = time.Time{}
	if err := first.file.keep(old); err != nil {
		t.Fatal(err)
	}
	if kept, err := os.ReadFile(h.file); err != nil || string(kept) != string(served) {
		t.Errorf("kept %q, %v", kept, err)
	}
}

func TestADatabaseThatGoesBackWhileRunningStopsTheSequencer(t *testing.T) {
	h := sqlite(t)
	for range 2 {
		h.append(Event{Type: "account.signed_in", Actor: Actor{Kind: KindSystem}})
		h.sequence()
		if _, err := h.log.Checkpoint(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	h.change(`UPDATE log_head SET (size, root, edge) = (SELECT size, root, root FROM log_checkpoint WHERE tree = 'log' AND size = 1) WHERE tree = 'log'`)
	h.append(Event{Type: "account.signed_in", Actor: Actor{Kind: KindSystem}})
	if n, err := h.log.Sequence(context.Background()); err == nil || !strings.Contains(err.Error(), "went back") {
		t.Errorf("sequenced %d, %v", n, err)
	}
}

func TestAPublishedCheckpointOfAnotherKeyStopsTheStart(t *testing.T) {
	h := sqlite(t)
	other, err := newSigner("log.example", make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	l := &Log{origin: "log.example", signer: other}
	signed, err := l.signCheckpoint(checkpointRow{size: 1})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(h.file, signed, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = New(h.db, h.keys, Options{Origin: "log.example", Published: h.file, Now: h.clock.now})
	if err == nil || !strings.Contains(err.Error(), "Restore the keyring") {
		t.Errorf("started with %v", err)
	}
}

func TestTheFirstStartFixesTheOrigin(t *testing.T) {
	h := sqlite(t)
	l, err := New(h.db, h.keys, Options{Origin: "another.example", Published: h.file, Now: h.clock.now})
	if err != nil {
		t.Fatal(err)
	}
	if l.Origin() != "log.example" || l.VKey() != h.log.VKey() {
		t.Errorf("the origin became %s", l.Origin())
	}
	if _, err := New(h.db, h.keys, Options{Origin: "two words", Now: h.clock.now}); err == nil {
		t.Error("an origin with a space was taken")
	}
}

func TestAnEmptyLogHasASignedCheckpoint(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := open(t, db)
		signed, err := h.log.Checkpoint(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		key, err := verify.ParseKey(h.log.VKey())
		if err != nil {
			t.Fatal(err)
		}
		if c, err := verify.OpenCheckpoint(signed, key); err != nil || c.Size != 0 {
			t.Errorf("the first checkpoint is %+v, %v", c, err)
		}
		checkExport(t, h)
	}, Migrations)
}
