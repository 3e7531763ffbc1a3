package keys_test

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"troth/internal/fault"
	"troth/internal/keys"
	"troth/internal/store"
	"troth/internal/store/storetest"
)

// openRing opens the real keyring, as another process would.
func openRing(t testing.TB, path string) *store.Ring {
	t.Helper()
	ring, err := store.OpenRing(context.Background(), "sqlite:"+path, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ring.Close() })
	return ring
}

var place = keys.Place{Tenant: "ten_1", Table: "account", Column: "email", Row: "acc_1"}

// The whole life of keys over the keyring that runs: sealed under one process,
// rolled by a second one, destroyed, opened by a third.
func TestLifeOverTheRealKeyring(t *testing.T) {
	ctx := t.Context()
	dir := t.TempDir()
	root, err := keys.CreateRoot(filepath.Join(dir, "root"))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "keyring.db")
	serve := keys.New(root, openRing(t, path), time.Now)
	sealed := map[keys.Ref][]byte{}
	for i := range 1200 {
		ref := keys.Ref(fmt.Sprintf("subject/acc_%04d", i))
		if i < 3 || i > 1197 {
			if err := serve.Create(ctx, ref, 32); err != nil {
				t.Fatal(err)
			}
			if sealed[ref], err = serve.Seal(ctx, place, []byte(ref), ref); err != nil {
				t.Fatal(err)
			}
		}
	}
	gone := keys.Ref("subject/acc_0001")
	if _, err := serve.NewVersion(ctx, "subject/acc_0002"); err != nil {
		t.Fatal(err)
	}
	if err := serve.Shred(ctx, gone); err != nil {
		t.Fatal(err)
	}

	again, err := keys.OpenRoot(filepath.Join(dir, "root"))
	if err != nil {
		t.Fatal(err)
	}
	cli := keys.New(again, openRing(t, path), time.Now)
	old, _ := root.Current(ctx)
	if _, err := cli.Roll(ctx, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := cli.Retire(ctx, old); err != nil {
		t.Fatal(err)
	}
	if owed, err := cli.Owed(ctx); owed != 0 || err != nil {
		t.Errorf("owed: %d, %v", owed, err)
	}
	for _, k := range []*keys.Keys{serve, cli, keys.New(root, openRing(t, path), time.Now)} {
		for ref, s := range sealed {
			plain, err := k.Open(ctx, place, s, ref)
			if ref == gone {
				if fault.KindOf(err) != fault.Gone {
					t.Errorf("the destroyed %s: %v", ref, err)
				}
			} else if err != nil || string(plain) != string(ref) {
				t.Errorf("%s: %q, %v", ref, plain, err)
			}
		}
		if err := k.Create(ctx, gone, 32); fault.KindOf(err) != fault.Gone {
			t.Errorf("making a destroyed key again: %v", err)
		}
		if err := k.Health(ctx); err != nil {
			t.Error(err)
		}
	}
}

// The first key of a month is made inside of a transaction over the data.
func TestCreateInsideOfATransaction(t *testing.T) {
	dir := t.TempDir()
	root, err := keys.CreateRoot(filepath.Join(dir, "root"))
	if err != nil {
		t.Fatal(err)
	}
	k := keys.New(root, openRing(t, filepath.Join(dir, "keyring.db")), time.Now)
	db := storetest.SQLite(t)
	err = db.Write(t.Context(), func(tx *store.Tx) error {
		tx.Unaudited("test")
		return k.Create(tx.Context(), keys.MonthRef("audit", time.Now()), 32)
	})
	if err != nil {
		t.Error(err)
	}
}

// A roll of 100,000 entries over the keyring on disk.
func BenchmarkRollOnDisk(b *testing.B) {
	ctx := b.Context()
	root, err := keys.CreateRoot(filepath.Join(b.TempDir(), "root"))
	if err != nil {
		b.Fatal(err)
	}
	ring := openRing(b, filepath.Join(b.TempDir(), "keyring.db"))
	k := keys.New(root, ring, time.Now)
	done := make(chan error, 64)
	work := make(chan int)
	for range cap(done) {
		go func() {
			for i := range work {
				if err := k.Create(ctx, keys.Ref(fmt.Sprintf("subject/acc_%08d", i)), 32); err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	for i := range 100_000 {
		work <- i
	}
	close(work)
	for range cap(done) {
		if err := <-done; err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		if _, err := k.Roll(ctx, nil); err != nil {
			b.Fatal(err)
		}
	}
}
