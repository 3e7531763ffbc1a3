package store

import (
	"context"
	"io"
)

// BackupTo is being written.
func (db *DB) BackupTo(ctx context.Context, path string, progress func(done, total int)) error {
	return errInjected
}

// Dump is being written.
func (db *DB) Dump(ctx context.Context, w io.Writer) error { return errInjected }

// Load is being written.
func (db *DB) Load(ctx context.Context, r io.Reader) error { return errInjected }

// Check is being written.
func (db *DB) Check(ctx context.Context) error { return errInjected }
