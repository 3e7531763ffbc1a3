package audit

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"troth/internal/fault"
	"troth/internal/store"
	"troth/verify"
)

// Export writes the public log into a directory that any tlog-tiles tool can
// read: checkpoint, tile/…, tile/entries/…, and beside them vkey and
// evidence/DIGEST. When an earlier export lies there that this log continues,
// what is complete is left, so an export can be repeated and takes as long as
// the log has grown. The checkpoint is written last. A directory with other
// things in it, an installation's data or the export of a log with another key
// is fault.Conflict: a data directory has a file "checkpoint" too.
func (l *Log) Export(ctx context.Context, dir string, progress func(done, total int)) error {
	if progress == nil {
		progress = func(int, int) {}
	}
	if err := l.exportable(dir); err != nil {
		return err
	}
	signed, err := l.Checkpoint(ctx)
	if err != nil {
		return err
	}
	size, err := sizeOf(signed)
	if err != nil {
		return err
	}
	continued, err := l.continues(ctx, dir)
	if err != nil {
		return fmt.Errorf("looking at the earlier export: %w", err)
	}
	// The key first: by it, an export that was interrupted is known again.
	if err := writeFile(dir, "vkey", []byte(l.VKey()+"\n")); err != nil {
		return err
	}
	files := tilesOf(size)
	for i, at := range files {
		if err := l.exportTile(ctx, dir, at, size, continued); err != nil {
			return fmt.Errorf("exporting the log: %w", err)
		}
		progress(i+1, len(files))
	}
	if err := l.exportEvidence(ctx, dir, size); err != nil {
		return fmt.Errorf("exporting evidence: %w", err)
	}
	return writeFile(dir, "checkpoint", signed)
}

// exportable refuses a directory that has something in it and is no export of
// this log.
func (l *Log) exportable(dir string) error {
	files, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var vkey []byte
	if err == nil {
		vkey, err = load(filepath.Join(dir, "vkey"))
	}
	if err != nil {
		return fault.Wrap(err, fault.Invalid, "audit.export_dir", "The log cannot be exported to %s: it is not a directory that can be read.", dir)
	}
	other := ""
	for _, f := range files {
		switch f.Name() {
		case "troth.toml", "troth.db", "keyring.db":
			return fault.New(fault.Conflict, "audit.export_dir", "%s holds the data of an installation (%s). Name an empty directory, or one with an earlier export.", dir, f.Name())
		}
		if !strings.HasPrefix(f.Name(), ".vkey-") { // what an interrupted first export leaves
			other = f.Name()
		}
	}
	switch {
	case string(vkey) == l.VKey()+"\n":
		return nil
	case vkey != nil:
		return fault.New(fault.Conflict, "audit.export_dir", "%s holds the export of a log with another key. Name an empty directory, or one with an earlier export of this log.", dir)
	case other != "":
		return fault.New(fault.Conflict, "audit.export_dir", "%s has other things in it, such as %s. Name an empty directory, or one with an earlier export.", dir, other)
	}
	return nil
}

// tilesOf lists the tiles and entry bundles of a tree, bundles first.
func tilesOf(size int64) []verify.TileCoordinates {
	var all []verify.TileCoordinates
	add := func(level int, count int64) {
		for n := int64(0); n*verify.TileWidth < count; n++ {
			all = append(all, verify.TileCoordinates{Level: level, N: n, Width: int(min(verify.TileWidth, count-n*verify.TileWidth))})
		}
	}
	add(-1, size)
	for level, count := 0, size; count > 0; level, count = level+1, count/verify.TileWidth {
		add(level, count)
	}
	return all
}

func pathOf(at verify.TileCoordinates) string {
	if at.Level < 0 {
		return verify.EntriesPath(at.N, at.Width)
	}
	return verify.TilePath(at.Level, at.N, at.Width)
}

// continues reports whether an export lies in the directory whose checkpoint is
// of this log. After a restored backup its later tiles may be others.
func (l *Log) continues(ctx context.Context, dir string) (held bool, err error) {
	signed, err := load(filepath.Join(dir, "checkpoint"))
	if err != nil || signed == nil {
		return false, err
	}
	key, err := verify.ParseKey(l.VKey())
	if err != nil {
		return false, err
	}
	c, err := verify.OpenCheckpoint(signed, key)
	if err != nil || c.Size == 0 {
		return false, nil // not ours: everything is written anew
	}
	err = l.db.Read(ctx, func(tx *store.Tx) error {
		p, err := readPlatform(tx)
		if err != nil {
			return err
		}
		held, err = holds(tx, p, c)
		return err
	})
	return held, err
}

func (l *Log) exportTile(ctx context.Context, dir string, at verify.TileCoordinates, size int64, continued bool) error {
	path := pathOf(at)
	if continued && at.Width == verify.TileWidth {
		if _, err := os.Stat(filepath.Join(dir, filepath.FromSlash(path))); err == nil {
			return nil
		}
	}
	var data []byte
	err := l.db.Read(ctx, func(tx *store.Tx) (err error) {
		data, err = l.tile(tx, at, size)
		return err
	})
	if err != nil {
		return fmt.Errorf("reading %s: %w", path, err)
	}
	return writeFile(dir, path, data)
}

// exportStep is how many entries of the log are looked through at once.
const exportStep = 2048

// exportEvidence writes the evidence whose digest is in the log below size. A
// file that is there already is left: its name says what is in it.
func (l *Log) exportEvidence(ctx context.Context, dir string, size int64) error {
	for from := int64(0); from < size; from += exportStep {
		var page []evidenceRow
		err := l.db.Read(ctx, func(tx *store.Tx) error {
			digests, err := evidenceBetween(tx, from, min(from+exportStep, size))
			if err != nil {
				return err
			}
			page = page[:0]
			for _, d := range digests {
				if _, err := os.Stat(filepath.Join(dir, "evidence", d)); err == nil {
					continue
				}
				b, err := readEvidence(tx, d)
				if err != nil {
					return fmt.Errorf("reading evidence %s: %w", d, err)
				}
				page = append(page, evidenceRow{d, b})
			}
			return nil
		})
		if err != nil {
			return err
		}
		for _, e := range page {
			if err := writeFile(dir, "evidence/"+e.digest, e.envelope); err != nil {
				return err
			}
		}
	}
	return nil
}

type evidenceRow struct {
	digest   string
	envelope []byte
}

// writeFile writes so that an interrupted export leaves no half file.
func writeFile(dir, path string, b []byte) error {
	full := filepath.Join(dir, filepath.FromSlash(path))
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		return err
	}
	return replaceFile(full, 0o644, b)
}
