package backup

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"troth/internal/access"
	"troth/internal/keys"
	"troth/verify"
)

// Take writes a backup under dir, checks it, and records it in the log. The
// directory is made if need be. fault.Invalid is a directory that cannot be
// written; whatever goes wrong, no directory is left that looks like a backup.
func Take(ctx context.Context, by access.Subject, dir string, s Source, progress Progress) (Result, error) {
	r, err := Rehearse(ctx, by, dir, s, progress)
	if err != nil {
		return r, err
	}
	return r, record(ctx, s.DB, s.Log, by, s.Now(), "backup.taken", map[string]string{"bytes": fmt.Sprint(r.Bytes())})
}

// Rehearse is Take without the record: for a check that throws the backup away,
// which must not pass for one that exists.
func Rehearse(ctx context.Context, by access.Subject, dir string, s Source, progress Progress) (Result, error) {
	if err := onHost(by); err != nil {
		return Result{}, err
	}
	at := s.Now().UTC().Truncate(time.Second)
	final := filepath.Join(dir, "troth-"+at.Format("20060102T150405Z"))
	partial := final + ".partial"
	if _, err := os.Stat(final); err == nil {
		return Result{}, wrong("exists", "There is a backup %s already. Wait a second and try again.", final)
	}
	for _, half := range []string{dataHalf, ringHalf} {
		if err := os.MkdirAll(filepath.Join(partial, half), 0o700); err != nil {
			return Result{}, wrong("dir", "The directory %s cannot be written: %v.", dir, err)
		}
	}
	m, err := s.write(ctx, partial, at, progress)
	if err == nil {
		err = s.check(ctx, partial, m, progress)
	}
	if err == nil {
		err = step("naming the backup", os.Rename(partial, final))
	}
	if err != nil {
		return Result{}, errors.Join(err, os.RemoveAll(partial))
	}
	if err := syncDir(dir); err != nil {
		return Result{}, err
	}
	return Result{Dir: final, Manifest: m}, nil
}

func (s Source) write(ctx context.Context, dir string, at time.Time, progress Progress) (verify.Manifest, error) {
	m := verify.Manifest{Format: 1, Origin: s.Log.Origin(), TakenAt: at, Engine: s.DB.Engine(), Build: s.Build}
	checkpoint, err := s.Log.Checkpoint(ctx) // before the data: the log in it is this one or later
	if err != nil {
		return m, fmt.Errorf("reading the log's checkpoint: %w", err)
	}
	m.Checkpoint = string(checkpoint)
	// On Postgres too the copy is an encrypted SQLite file: there is one form of
	// backup, and either engine can be restored from it.
	err = s.DB.BackupTo(ctx, filepath.Join(dir, dataHalf, databaseFile), func(done, total int) { progress("copying the database", done, total) })
	if err != nil {
		return m, fmt.Errorf("copying the database: %w", err)
	}
	if err := s.copyRing(ctx, filepath.Join(dir, ringHalf, ringFile), progress); err != nil {
		return m, fmt.Errorf("copying the keyring: %w", err)
	}
	files := []verify.BackupFile{{Half: dataHalf, Name: databaseFile}, {Half: ringHalf, Name: ringFile}}
	if copied, err := copyConfig(s.Config, filepath.Join(dir, dataHalf, configFile)); err != nil {
		return m, fmt.Errorf("copying the configuration: %w", err)
	} else if copied {
		files = append(files, verify.BackupFile{Half: dataHalf, Name: configFile})
	}
	for _, f := range files {
		if f.Size, f.SHA256, err = digest(filepath.Join(dir, f.Half, f.Name)); err != nil {
			return m, err
		}
		m.Files = append(m.Files, f)
	}
	return m, s.sign(ctx, dir, m)
}

// sign writes the manifest into both halves.
func (s Source) sign(ctx context.Context, dir string, m verify.Manifest) error {
	body, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("writing the manifest: %w", err)
	}
	text, err := s.Log.Envelope(ctx, verify.ManifestPayload, body)
	if err != nil {
		return fmt.Errorf("signing the manifest: %w", err)
	}
	for _, half := range []string{dataHalf, ringHalf} {
		err := writeFile(filepath.Join(dir, half, verify.ManifestFile), func(w io.Writer) error {
			_, err := w.Write(text)
			return err
		})
		if err != nil {
			return err
		}
		if err := syncDir(filepath.Join(dir, half)); err != nil {
			return err
		}
	}
	return nil
}

// copyRing writes every entry of the keyring as a line of JSON.
func (s Source) copyRing(ctx context.Context, path string, progress Progress) error {
	total, err := s.Ring.Count(ctx)
	if err != nil {
		return err
	}
	return writeFile(path, func(w io.Writer) error {
		enc := json.NewEncoder(w)
		done := 0
		for after := keys.Ref(""); ; {
			page, err := s.Ring.Walk(ctx, after, 1000)
			if err != nil || len(page) == 0 {
				return err
			}
			for _, e := range page {
				if err := enc.Encode(e); err != nil {
					return err
				}
			}
			after = page[len(page)-1].Ref
			done += len(page)
			progress("copying the keyring", done, max(done, total))
		}
	})
}

// copyConfig copies the configuration if there is a file of it.
func copyConfig(from, to string) (copied bool, err error) {
	b, err := os.ReadFile(from)
	if from == "" || errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, writeFile(to, func(w io.Writer) error {
		_, err := w.Write(b)
		return err
	})
}

// RestoreConfig puts the configuration of a backup into a data directory that
// has none, and reports whether it did. The backup was examined before.
func RestoreConfig(r Result, data string) (bool, error) {
	to := filepath.Join(data, configFile)
	if _, err := os.Lstat(to); err == nil {
		return false, nil
	}
	return copyConfig(filepath.Join(r.Dir, dataHalf, configFile), to)
}

// writeFile writes a new file, durably, for its owner only.
func writeFile(path string, fill func(io.Writer) error) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("making a file of the backup: %w", err)
	}
	w := bufio.NewWriterSize(f, 1<<20)
	err = fill(w)
	if err == nil {
		err = w.Flush()
	}
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

func digest(path string) (int64, verify.Digest, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, verify.Digest{}, fmt.Errorf("reading a file of the backup: %w", err)
	}
	defer f.Close()
	size, sum, err := verify.DigestReader(f)
	return size, sum, step("reading a file of the backup", err)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("flushing the directory of the backup: %w", err)
	}
	return step("flushing the directory of the backup", errors.Join(d.Sync(), d.Close()))
}
