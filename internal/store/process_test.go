package store_test

import (
	"bufio"
	"context"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"troth/internal/secret"
	"troth/internal/store"
	"troth/internal/store/storetest"
)

// TestMain lets the test program stand in for other processes that use the
// same database file.
func TestMain(m *testing.M) {
	switch os.Getenv("STORE_TEST_CHILD") {
	case "":
		os.Exit(m.Run())
	case "writer":
		childWriter()
	case "command":
		childCommand()
	case "full":
		childFull()
	case "migrate":
		childOpen().Close()
	}
}

func child(t *testing.T, role string, o store.Options, args ...string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	must(t, err)
	c := exec.CommandContext(t.Context(), exe, args...)
	c.Env = append(os.Environ(), "STORE_TEST_CHILD="+role, "STORE_TEST_URL="+o.URL, "STORE_TEST_KEY="+hex.EncodeToString(o.Key.Reveal()))
	c.Stderr = os.Stderr
	return c
}

func childOpen() *store.DB {
	key, err := hex.DecodeString(os.Getenv("STORE_TEST_KEY"))
	if err == nil {
		var db *store.DB
		if db, err = store.Open(context.Background(), store.Options{URL: os.Getenv("STORE_TEST_URL"), Key: secret.OfBytes(key)}); err == nil {
			err = db.Migrate(context.Background(), kv)
			if err == nil {
				return db
			}
		}
	}
	fmt.Fprintln(os.Stderr, "child:", err)
	os.Exit(1)
	return nil
}

// childWriter writes as fast as it can and says what was acknowledged, until
// it is killed.
func childWriter() {
	db := childOpen()
	var mu sync.Mutex
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for n := 0; ; n++ {
				k := fmt.Sprintf("%s-%d-%d", os.Args[1], w, n)
				if err := put(context.Background(), db, k, strings.Repeat(k, 20)); err != nil {
					fmt.Fprintln(os.Stderr, "child:", err)
					os.Exit(1)
				}
				mu.Lock()
				fmt.Println(k)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
}

// childCommand does what a command does while the server runs: a few writes,
// each visible at once.
func childCommand() {
	db := childOpen()
	defer db.Close()
	var slowest time.Duration
	for n := range 20 {
		began := time.Now()
		k := fmt.Sprintf("command-%d", n)
		err := put(context.Background(), db, k, "x")
		if err == nil {
			err = db.Read(context.Background(), func(tx *store.Tx) error {
				return tx.QueryRow("SELECT v FROM kv WHERE k = $1", k).Scan(new(string))
			})
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "child:", err)
			os.Exit(1)
		}
		slowest = max(slowest, time.Since(began))
	}
	fmt.Println(slowest)
}

func TestKillLosesNothingThatWasAcknowledged(t *testing.T) {
	o := storetest.SQLiteOptions(t)
	storetest.Open(t, o, kv).Close()
	var acknowledged []string
	for round := range 15 {
		c := child(t, "writer", o, fmt.Sprint(round))
		out, err := c.StdoutPipe()
		must(t, err)
		must(t, c.Start())
		lines := bufio.NewScanner(out)
		var once sync.Once
		for lines.Scan() {
			acknowledged = append(acknowledged, lines.Text())
			once.Do(func() { time.AfterFunc(time.Duration(rand.IntN(60))*time.Millisecond, func() { c.Process.Kill() }) })
		}
		c.Wait()
		if round%5 != 4 {
			continue // the next process recovers what this one left behind
		}
		db, err := store.Open(t.Context(), o)
		must(t, err)
		must(t, db.Check(t.Context()))
		have := map[string]bool{}
		for _, k := range all(t, db) {
			have[k] = true
		}
		for _, k := range acknowledged {
			if !have[k] {
				t.Fatalf("round %d: %s was acknowledged and is lost", round, k)
			}
		}
		must(t, db.Close())
	}
	if len(acknowledged) < 100 {
		t.Fatalf("only %d writes were acknowledged: the test tested nothing", len(acknowledged))
	}
}

func TestAnotherProcessWritesWhileThisOneIsBusy(t *testing.T) {
	o := storetest.SQLiteOptions(t)
	db := storetest.Open(t, o, kv)
	var stop atomic.Bool
	var mine atomic.Int64
	var wg sync.WaitGroup
	for w := range 16 {
		wg.Go(func() {
			for n := 0; !stop.Load(); n++ {
				if err := put(t.Context(), db, fmt.Sprintf("server-%d-%d", w, n), "x"); err != nil {
					t.Error(err)
					return
				}
				mine.Add(1)
			}
		})
	}
	out, err := child(t, "command", o).Output()
	stop.Store(true)
	wg.Wait()
	must(t, err)
	slowest, err := time.ParseDuration(strings.TrimSpace(string(out)))
	must(t, err)
	t.Logf("the other process's slowest write took %v while this one made %d", slowest, mine.Load())
	if slowest > 5*time.Second {
		t.Errorf("the other process had to wait for %v", slowest)
	}
	if got := int64(len(all(t, db))); got != mine.Load()+20 {
		t.Errorf("%d rows, want %d", got, mine.Load()+20)
	}
}

func TestNodesMigrateAtOnce(t *testing.T) {
	for _, engine := range storetest.Engines {
		t.Run(engine, func(t *testing.T) {
			o := storetest.Options(t, engine)
			var wg sync.WaitGroup
			for range 4 {
				wg.Go(func() {
					if err := child(t, "migrate", o).Run(); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			db := storetest.Open(t, o, kv)
			must(t, put(t.Context(), db, "a", "b"))
		})
	}
}

func TestFilesAreCiphertextAndPrivate(t *testing.T) {
	o := storetest.SQLiteOptions(t)
	db := storetest.Open(t, o, kv)
	path := strings.TrimPrefix(o.URL, "sqlite:")
	canary := "canary-3f1b-plaintext-that-must-not-be-found"
	temp := t.TempDir()
	t.Setenv("SQLITE_TMPDIR", temp)
	must(t, db.Write(t.Context(), func(tx *store.Tx) error {
		tx.Unaudited("test")
		for i := range 3000 {
			if _, err := tx.Exec("INSERT INTO kv (k, v, b) VALUES ($1, $2, $3)", fmt.Sprint(i), canary, []byte(canary)); err != nil {
				return err
			}
		}
		scan(t, filepath.Dir(path), canary)
		return nil
	}))
	scan(t, filepath.Dir(path), canary)
	must(t, db.BackupTo(t.Context(), path+".backup", nil))
	scan(t, filepath.Dir(path), canary)
	key := o.Key.Reveal()
	scan(t, filepath.Dir(path), string(key), string(key[:32]), string(key[32:]), hex.EncodeToString(key[:8]))
	must(t, db.Close())
	n := scan(t, filepath.Dir(path), canary)
	if n < 2 {
		t.Fatalf("scanned %d files: the test tested nothing", n)
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	must(t, err)
	for _, e := range entries {
		fi, err := e.Info()
		must(t, err)
		if fi.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has the mode %v", e.Name(), fi.Mode())
		}
	}
}

// scan looks for texts in all files of a folder and returns how many there are.
func scan(t *testing.T, dir string, texts ...string) int {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			continue // gone meanwhile
		}
		for _, text := range texts {
			if strings.Contains(string(b), text) {
				t.Errorf("%s holds plaintext", e.Name())
			}
		}
		if e.Name() == "test.db-shm" {
			if fi, err := e.Info(); err == nil && fi.Mode().Perm()&0o077 != 0 {
				t.Errorf("%s has the mode %v", e.Name(), fi.Mode())
			}
		}
	}
	return len(entries)
}
