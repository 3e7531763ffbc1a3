package audit

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"troth/internal/store"
	"troth/verify"
)

// Export writes the public log into a directory that any tlog-tiles tool can
// read: checkpoint, tile/…, tile/entries/…, and beside them vkey and
// evidence/DIGEST. Files that are complete there already are left; so an export
// can be repeated, and takes as long as the log has grown. The checkpoint is
// written last.
func (l *Log) Export(ctx context.Context, dir string, progress func(done, total int)) error {
	if progress == nil {
		progress = func(int, int) {}
	}
	signed, err := l.Checkpoint(ctx)
	if err != nil {
		return err
	}
	size, err := sizeOf(signed)
	if err != nil {
		return err
	}
	files := tilesOf(size)
	for i, at := range files {
		if err := l.exportTile(ctx, dir, at, size); err != nil {
			return fmt.Errorf("exporting the log: %w", err)
		}
		progress(i+1, len(files))
	}
	if err := l.exportEvidence(ctx, dir, size); err != nil {
		return fmt.Errorf("exporting evidence: %w", err)
	}
	if err := writeFile(dir, "vkey", []byte(l.VKey()+"\n")); err != nil {
		return err
	}
	return writeFile(dir, "checkpoint", signed)
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

func (l *Log) exportTile(ctx context.Context, dir string, at verify.TileCoordinates, size int64) error {
	path := pathOf(at)
	if at.Width == verify.TileWidth {
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

// exportEvidence writes the evidence whose digest is in the log below size.
func (l *Log) exportEvidence(ctx context.Context, dir string, size int64) error {
	after := ""
	for {
		var page []string
		err := l.db.Read(ctx, func(tx *store.Tx) (err error) {
			page, err = evidenceAfter(tx, after, size)
			return err
		})
		if err != nil || len(page) == 0 {
			return err
		}
		for _, digest := range page {
			b, err := l.EvidenceBytes(ctx, digest)
			if err != nil {
				return fmt.Errorf("reading evidence %s: %w", digest, err)
			}
			if err := writeFile(dir, "evidence/"+digest, b); err != nil {
				return err
			}
			after = digest
		}
	}
}

// writeFile writes so that an interrupted export leaves no half file.
func writeFile(dir, path string, b []byte) error {
	full := filepath.Join(dir, filepath.FromSlash(path))
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		return err
	}
	tmp := full + ".part"
	if err := os.WriteFile(tmp, b, 0o644); err != nil {
		return err
	}
	return os.Rename(tmp, full)
}
