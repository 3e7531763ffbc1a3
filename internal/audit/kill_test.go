package audit

import (
	"bufio"
	"context"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"troth/internal/id"
	"troth/internal/keys"
	"troth/internal/secret"
	"troth/internal/store"
	"troth/internal/store/storetest"
)

// The environment of the process that is killed: the directory of its data,
// the key of its database, and the tenant that it writes for.
const (
	childDir    = "AUDIT_TEST_DIR"
	childKey    = "AUDIT_TEST_KEY"
	childTenant = "AUDIT_TEST_TENANT"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		if err := writeUntilKilled(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// writeUntilKilled appends events and prints each once it is acknowledged,
// while the log runs.
func writeUntilKilled(dir string) error {
	ctx := context.Background()
	key, err := hex.DecodeString(os.Getenv(childKey))
	if err != nil {
		return err
	}
	db, err := store.Open(ctx, store.Options{URL: "sqlite:" + filepath.Join(dir, "test.db"), Key: secret.OfBytes(key)})
	if err != nil {
		return err
	}
	ring, err := store.OpenRing(ctx, "sqlite:"+filepath.Join(dir, "keyring.db"), time.Now)
	if err != nil {
		return err
	}
	root, err := keys.OpenRoot(filepath.Join(dir, "root"))
	if err != nil {
		return err
	}
	l, err := New(db, keys.New(root, ring, time.Now), Options{Origin: "log.example", Types: testTypes, Published: filepath.Join(dir, "checkpoint")})
	if err != nil {
		return err
	}
	go func() {
		for {
			if _, err := l.Sequence(ctx); err != nil {
				fmt.Fprintln(os.Stderr, err)
			}
		}
	}()
	var mu sync.Mutex
	var writers sync.WaitGroup
	tenant := id.Tenant(os.Getenv(childTenant))
	for range 4 {
		writers.Go(func() {
			for {
				var event id.Event
				err := db.Write(ctx, func(tx *store.Tx) (err error) {
					event, err = l.AppendTx(tx, Event{Type: "account.signed_in", Tenant: tenant, Actor: Actor{Kind: KindSystem}})
					return err
				})
				if err != nil {
					fmt.Fprintln(os.Stderr, err)
					return
				}
				mu.Lock()
				fmt.Println(event)
				mu.Unlock()
			}
		})
	}
	writers.Wait()
	return nil
}

// TestKillNine kills a writing process at arbitrary moments. No acknowledged
// event may be lost, no leaf be without its event, and the log must continue
// what was published.
func TestKillNine(t *testing.T) {
	dir := t.TempDir()
	o := storetest.SQLiteOptions(t)
	o.URL = "sqlite:" + filepath.Join(dir, "test.db")
	h := &house{t: t, clock: &clock{t: time.Now()}, file: filepath.Join(dir, "checkpoint")}
	root, err := keys.CreateRoot(filepath.Join(dir, "root"))
	if err != nil {
		t.Fatal(err)
	}
	ack := &acknowledged{events: map[id.Event]id.Tenant{}}
	var tenant id.Tenant
	inside := func(round int) {
		db, err := store.Open(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		ring, err := store.OpenRing(t.Context(), "sqlite:"+filepath.Join(dir, "keyring.db"), time.Now)
		if err != nil {
			t.Fatal(err)
		}
		defer ring.Close()
		h.db, h.keys = db, keys.New(root, ring, time.Now)
		if round == 0 {
			if err := db.Migrate(t.Context(), Migrations); err != nil {
				t.Fatal(err)
			}
			if _, err := h.keys.Roll(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
			tenant = h.tenant()
		}
		if err := h.mustHold(ack); err != nil {
			t.Fatalf("after round %d: %v", round, err)
		}
		signed, err := h.log.Checkpoint(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		ack.seen = append(ack.seen, signed)
	}
	inside(0)
	for round := 1; round <= 4; round++ {
		for _, event := range killAfter(t, time.Duration(60+70*round)*time.Millisecond, childDir+"="+dir,
			childKey+"="+hex.EncodeToString(o.Key.Reveal()), childTenant+"="+string(tenant)) {
			ack.events[event] = tenant
		}
		inside(round)
	}
	if len(ack.events) < 50 {
		t.Errorf("only %d events were acknowledged; the test shows little", len(ack.events))
	}
	t.Logf("%d events were acknowledged before four kills", len(ack.events))
}

// killAfter runs the writing process, kills it some time after its first
// acknowledgement, and returns what it acknowledged.
func killAfter(t *testing.T, d time.Duration, env ...string) []id.Event {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), env...)
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var events []id.Event
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		event, err := id.Parse[id.Event](lines.Text())
		if err != nil {
			break // the line was cut by the kill
		}
		if len(events) == 0 {
			time.AfterFunc(d, func() { cmd.Process.Kill() })
		}
		events = append(events, event)
	}
	if err := cmd.Wait(); err == nil || len(events) == 0 {
		t.Fatalf("the process ended by itself: %v\n%s", err, said.String())
	}
	return events
}
