package backup

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"troth/internal/fault"
	"troth/internal/keys"
	"troth/internal/secret"
	"troth/internal/store"
	"troth/verify"
)

// Target is where a backup is restored to.
type Target struct {
	Root        keys.Root // opens the keyring; the root key is in no backup
	RingURL     string    // an empty keyring
	StoreURL    string    // an empty database
	Scratch     string    // a directory with room for the database, when that is not a file
	DatabaseKey keys.Ref
	Migrations  []fs.FS    // for an empty Postgres database
	Key         verify.Key // the log's key, pinned: what is in the backup is not believed about itself
	Now         func() time.Time
}

// Find returns the newest backup under dir, or dir itself if it is one.
// fault.NotFound when there is none.
func Find(dir string) (string, error) {
	if _, err := os.Stat(filepath.Join(dir, dataHalf, verify.ManifestFile)); err == nil {
		return dir, nil
	}
	found, err := filepath.Glob(filepath.Join(dir, "troth-*Z", dataHalf, verify.ManifestFile))
	if err != nil || len(found) == 0 {
		return "", fault.New(fault.NotFound, "backup.none", "There is no backup in %s. Name a directory that “troth backup” wrote.", dir)
	}
	return filepath.Dir(filepath.Dir(found[len(found)-1])), nil // names sort by time
}

// Examine checks both halves against their manifests and each other. It needs
// no key but the log's public one. ringDir is "" when the halves are together.
func Examine(dir, ringDir string, key verify.Key) (Result, error) {
	if ringDir == "" {
		ringDir = filepath.Join(dir, ringHalf)
	}
	m, findings, err := verify.Backup(filepath.Join(dir, dataHalf), dataHalf, key)
	if err != nil {
		return Result{}, wrong("unreadable", "The backup %s cannot be read: %v.", dir, err)
	}
	other, more, err := verify.Backup(ringDir, ringHalf, key)
	if err != nil {
		return Result{}, wrong("unreadable", "The keyring half %s cannot be read: %v.", ringDir, err)
	}
	if err := damaged(append(findings, more...)); err != nil {
		return Result{}, err
	}
	if !m.TakenAt.Equal(other.TakenAt) || m.Origin != other.Origin || m.Checkpoint != other.Checkpoint {
		return Result{}, wrong("halves", "The two halves are of different backups: data of %s, keyring of %s.", m.TakenAt.Format(time.RFC3339), other.TakenAt.Format(time.RFC3339))
	}
	return Result{Dir: dir, Manifest: m}, nil
}

// check opens what was written: the database with the keyring beside it.
func (s Source) check(ctx context.Context, dir string, m verify.Manifest, progress Progress) error {
	key, err := verify.ParseKey(s.Log.VKey())
	if err != nil {
		return err
	}
	if _, err := Examine(dir, "", key); err != nil {
		return err
	}
	scratch, err := os.MkdirTemp(dir, "check")
	if err != nil {
		return fmt.Errorf("making room to check the backup: %w", err)
	}
	defer os.RemoveAll(scratch)
	t := Target{
		Root: s.Root, RingURL: "sqlite:" + filepath.Join(scratch, "keyring.db"), StoreURL: "sqlite:" + filepath.Join(scratch, databaseFile),
		DatabaseKey: s.DatabaseKey, Key: key, Now: s.Now,
	}
	return step("checking what was written", t.fill(ctx, Result{Dir: dir, Manifest: m}, "", progress))
}

// Restore checks a backup and fills the target with it. The target must be
// empty: fault.Conflict otherwise, and nothing is touched. A restore that fails
// in the middle says so; what it wrote is not an installation yet, and is
// removed by the caller.
func Restore(ctx context.Context, dir, ringDir string, t Target, progress Progress) (Result, error) {
	r, err := Examine(dir, ringDir, t.Key)
	if err != nil {
		return r, err
	}
	return r, t.fill(ctx, r, ringDir, progress)
}

func (t Target) fill(ctx context.Context, r Result, ringDir string, progress Progress) (err error) {
	if ringDir == "" {
		ringDir = filepath.Join(r.Dir, ringHalf)
	}
	ring, err := store.OpenRing(ctx, t.RingURL, t.Now)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ring.Close()) }()
	if n, err := ring.Count(ctx); err != nil || n > 0 {
		return errors.Join(err, fault.New(fault.Conflict, "backup.not_empty", "The keyring to restore to has %d keys already. Restore to an empty place.", n))
	}
	if err := fillRing(ctx, filepath.Join(ringDir, ringFile), ring, progress); err != nil {
		return fmt.Errorf("restoring the keyring: %w", err)
	}
	k := keys.New(t.Root, ring, t.Now)
	if err := k.Health(ctx); errors.Is(err, keys.ErrNoEpoch) || errors.Is(err, keys.ErrAltered) {
		return fault.Wrap(err, fault.Invalid, "backup.root", "The root key here does not open the keyring of this backup. Put the files of the root key there that the installation had when the backup was taken.")
	} else if err != nil {
		return fmt.Errorf("opening the restored keyring with the root key: %w", err)
	}
	key, err := k.Secret(ctx, t.DatabaseKey)
	if err != nil {
		return fmt.Errorf("opening the restored database key: %w", err)
	}
	path, embedded := strings.CutPrefix(t.StoreURL, "sqlite:")
	if !embedded {
		path = filepath.Join(t.Scratch, databaseFile)
		defer os.Remove(path)
	}
	if err := copyFile(filepath.Join(r.Dir, dataHalf, databaseFile), path, progress); err != nil {
		return err
	}
	db, err := store.Open(ctx, store.Options{URL: "sqlite:" + path, Key: key, Now: t.Now})
	if err != nil {
		return fmt.Errorf("opening the restored database: %w", err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	progress("checking the database", 0, 0)
	if err := db.Check(ctx); err != nil {
		return fmt.Errorf("checking the restored database: %w", err)
	}
	if embedded {
		return nil
	}
	progress("filling the database", 0, 0)
	return step("filling the database", t.load(ctx, db, key))
}

// load copies all rows from a restored file to another engine.
func (t Target) load(ctx context.Context, from *store.DB, key secret.Bytes) (err error) {
	db, err := store.Open(ctx, store.Options{URL: t.StoreURL, Key: key, Now: t.Now})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := db.Migrate(ctx, t.Migrations...); err != nil {
		return err
	}
	r, w := io.Pipe()
	go func() { w.CloseWithError(from.Dump(ctx, w)) }()
	defer r.Close()
	return db.Load(ctx, r)
}

// atOnce is how many entries are inserted at a time: the store commits what
// waits together.
const atOnce = 64

// fillRing inserts every line of a copied keyring.
func fillRing(ctx context.Context, path string, ring keys.Ring, progress Progress) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	slots := make(chan struct{}, atOnce)
	var work sync.WaitGroup
	dec := json.NewDecoder(bufio.NewReaderSize(f, 1<<20))
	for n := 1; ctx.Err() == nil; n++ {
		var e keys.Entry
		if err := dec.Decode(&e); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			cancel(fmt.Errorf("reading line %d: %w", n, err))
			break
		}
		slots <- struct{}{}
		work.Go(func() {
			defer func() { <-slots }()
			if err := ring.Insert(ctx, e); err != nil {
				cancel(err)
			}
		})
		if n%1000 == 0 {
			progress("restoring the keyring", n, 0)
		}
	}
	work.Wait()
	return context.Cause(ctx)
}

func copyFile(from, to string, progress Progress) error {
	f, err := os.Open(from)
	if err != nil {
		return fmt.Errorf("reading the backup: %w", err)
	}
	defer f.Close()
	progress("copying the database", 0, 0)
	return writeFile(to, func(w io.Writer) error {
		_, err := io.Copy(w, f)
		return err
	})
}
