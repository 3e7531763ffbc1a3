package store_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"troth/internal/fault"
	"troth/internal/keys"
	"troth/internal/store"
	"troth/internal/store/storetest"
)

// takenAway are the ways in which a file that is open stops being the file at
// its path.
var takenAway = map[string]func(path string) error{
	"removed": os.Remove,
	"moved":   func(path string) error { return os.Rename(path, path+".away") },
	"replaced": func(path string) error {
		b, err := os.ReadFile(path)
		if err == nil {
			err = os.WriteFile(path+".new", b, 0o600)
		}
		if err == nil {
			err = os.Rename(path+".new", path)
		}
		return err
	},
}

func TestAFileTakenAwayIsNoticed(t *testing.T) {
	for how, take := range takenAway {
		for _, suffix := range []string{"", "-wal", "-shm"} {
			t.Run(how+" "+suffix, func(t *testing.T) {
				var journal bytes.Buffer
				o := storetest.SQLiteOptions(t)
				o.Log = slog.New(slog.NewTextHandler(&journal, nil))
				db := storetest.Open(t, o, kv)
				must(t, put(t.Context(), db, "before", ""))
				must(t, db.Ping(t.Context()))
				must(t, take(strings.TrimPrefix(o.URL, "sqlite:")+suffix))
				wantKind(t, db.Ping(t.Context()), fault.Unavailable, "store.file_gone")
				wantKind(t, put(t.Context(), db, "after", ""), fault.Unavailable, "store.file_gone")
				if got := all(t, db); len(got) != 1 {
					t.Errorf("a refused write is in the database: %q", got)
				}
				must(t, db.Close())
				if !strings.Contains(journal.String(), "test.db"+suffix) {
					t.Errorf("the operator's log does not name the file: %s", journal.String())
				}
			})
		}
	}
}

func TestAFileMovedBackIsUsedAgain(t *testing.T) {
	o := storetest.SQLiteOptions(t)
	db := storetest.Open(t, o, kv)
	path := strings.TrimPrefix(o.URL, "sqlite:")
	dir := filepath.Dir(path)
	must(t, os.Rename(dir, dir+".away"))
	wantKind(t, db.Ping(t.Context()), fault.Unavailable, "store.file_gone")
	must(t, os.Rename(dir+".away", dir))
	must(t, db.Ping(t.Context()))
	must(t, put(t.Context(), db, "a", ""))
}

func TestAKeyringTakenAwayIsNoticed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keyring.db")
	ring, err := store.OpenRing(t.Context(), "sqlite:"+path, time.Now)
	must(t, err)
	defer ring.Close()
	must(t, ring.Ping(t.Context()))
	must(t, os.Remove(path))
	wantKind(t, ring.Ping(t.Context()), fault.Unavailable, "store.file_gone")
	err = ring.Insert(t.Context(), keys.Entry{Ref: keys.ServiceRef("x"), Version: 1, Epoch: "e", Wrapped: []byte{1}})
	wantKind(t, err, fault.Unavailable, "store.file_gone")
}

// TestAFullDiskAcknowledgesNothing fills a disk: files of the child process may
// not grow beyond a size, until they may again.
func TestAFullDiskAcknowledgesNothing(t *testing.T) {
	o := storetest.SQLiteOptions(t)
	storetest.Open(t, o, kv).Close()
	out, err := child(t, "full", o).Output()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if !strings.HasPrefix(string(out), "refused after ") {
		t.Fatalf("the child says %q", out)
	}
}

// childFull writes until the disk is full, makes room, and goes on.
func childFull() {
	db := childOpen()
	if err := fillUp(db); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	if err := db.Close(); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

func fillUp(db *store.DB) error {
	ctx := context.Background()
	signal.Ignore(syscall.SIGXFSZ)
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		return err
	}
	tight := old
	tight.Cur = 512 << 10
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &tight); err != nil {
		return err
	}
	n, err := 0, error(nil)
	for ; n < 1000 && err == nil; n++ {
		err = put(ctx, db, fmt.Sprint(n), strings.Repeat("x", 8000))
	}
	acknowledged := n - 1
	if fault.KindOf(err) != fault.Unavailable {
		return fmt.Errorf("the write that did not fit was answered with %v", err)
	}
	if err := db.Ping(ctx); fault.KindOf(err) != fault.Unavailable {
		return fmt.Errorf("nothing can be stored, and Ping says %v", err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		return err
	}
	if err := db.Ping(ctx); err != nil {
		return fmt.Errorf("there is room again, and Ping says %w", err)
	}
	if err := put(ctx, db, "again", ""); err != nil {
		return err
	}
	if err := db.Check(ctx); err != nil {
		return err
	}
	var have int
	err = db.Read(ctx, func(tx *store.Tx) error { return tx.QueryRow("SELECT count(*) FROM kv").Scan(&have) })
	if err == nil && have != acknowledged+1 {
		err = fmt.Errorf("%d rows are stored, %d were acknowledged", have, acknowledged+1)
	}
	fmt.Printf("refused after %d\n", acknowledged)
	return err
}
