package audit

import (
	"context"
	"errors"
	"fmt"

	"troth/internal/fault"
	"troth/internal/store"
	"troth/verify"
)

// Checkpoint is the newest signed checkpoint of the platform log. It is kept
// in the file of published checkpoints before it is returned.
func (l *Log) Checkpoint(ctx context.Context) ([]byte, error) {
	var c checkpointRow
	err := l.db.Read(ctx, func(tx *store.Tx) (err error) {
		c, err = l.checkpoint(tx)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading the checkpoint: %w", err)
	}
	return c.note, l.file.keep(c.note)
}

func (l *Log) checkpoint(tx *store.Tx) (checkpointRow, error) {
	c, ok, err := lastCheckpoint(tx, platformTree)
	if err == nil && !ok {
		err = errors.New("the log has no checkpoint")
	}
	return c, err
}

var errNoTile = fault.New(fault.NotFound, "audit.no_tile", "The log has no such tile.")

// Tile is a tile of the platform log or a bundle of its entries, by the path
// that C2SP tlog-tiles gives it: "tile/0/x001/067", "tile/entries/000.p/7".
// What does not exist in the published log is fault.NotFound.
func (l *Log) Tile(ctx context.Context, path string) ([]byte, error) {
	at, err := verify.ParseTilePath(path)
	if err != nil {
		return nil, errNoTile
	}
	var data []byte
	err = l.db.Read(ctx, func(tx *store.Tx) error {
		c, err := l.checkpoint(tx)
		if err != nil {
			return err
		}
		data, err = l.tile(tx, at, c.size)
		return err
	})
	return data, err
}

func (l *Log) tile(tx *store.Tx, at verify.TileCoordinates, size int64) ([]byte, error) {
	r := &tileReader{tx: tx, name: platformTree, size: size}
	if at.Width < 1 || at.Width > r.width(max(at.Level, 0), at.N) {
		return nil, errNoTile
	}
	if at.Level >= 0 {
		data, err := readTile(tx, platformTree, at.Level, at.N, at.Width)
		return data, err
	}
	from := at.N * verify.TileWidth
	entries, err := readLeaves(tx, platformTree, from, from+int64(at.Width))
	if err != nil {
		return nil, err
	}
	if len(entries) != at.Width {
		return nil, fmt.Errorf("the platform log lacks entries from %d on", from)
	}
	return verify.Bundle(entries)
}
