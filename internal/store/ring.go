package store

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"time"

	"troth/internal/fault"
	"troth/internal/keys"
	"troth/internal/secret"
)

// ringMigrations are the tables of the keyring, which is a database of its own.
//
//go:embed ring/*.sql
var ringMigrations embed.FS

// Ring is the keyring: a small database of wrapped keys, apart from the data
// so that a backup of the one is worthless without the other. It implements
// [keys.Ring]. Its SQLite file is not encrypted: it holds no key in the clear.
type Ring struct{ db *DB }

var _ keys.Ring = (*Ring)(nil)

// OpenRing opens the keyring and creates what is missing.
func OpenRing(ctx context.Context, url string, now func() time.Time) (*Ring, error) {
	return OpenRingWith(ctx, Options{URL: url, Now: now})
}

// OpenRingWith is OpenRing with a log or with faults. The options' key is not used.
func OpenRingWith(ctx context.Context, o Options) (*Ring, error) {
	o.Key, o.Readers = secret.Bytes{}, 2
	db, err := open(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("opening the keyring: %w", err)
	}
	files, err := collect([]fs.FS{ringMigrations})
	if err == nil {
		err = db.migrate(ctx, files, "keyring_migration")
	}
	if err != nil {
		db.Close()
		return nil, fmt.Errorf("opening the keyring: %w", err)
	}
	return &Ring{db}, nil
}

const ringWhy = "the keyring holds keys; what is done with them is audited where it is decided"

// Close closes the keyring.
func (r *Ring) Close() error { return r.db.Close() }

// Ping reports whether the keyring answers now.
func (r *Ring) Ping(ctx context.Context) error { return r.db.Ping(ctx) }

// Entries returns all versions of a ref, the newest first.
func (r *Ring) Entries(ctx context.Context, ref keys.Ref) ([]keys.Entry, error) {
	return r.list(ctx, "SELECT ref, version, epoch, wrapped, created_at FROM keyring_entry WHERE ref = $1 ORDER BY version DESC", string(ref))
}

// Walk returns all versions of the limit refs that follow after, in order.
func (r *Ring) Walk(ctx context.Context, after keys.Ref, limit int) ([]keys.Entry, error) {
	return r.list(ctx, `SELECT ref, version, epoch, wrapped, created_at FROM keyring_entry
		WHERE ref IN (SELECT ref FROM keyring_entry WHERE ref > $1 GROUP BY ref ORDER BY ref LIMIT $2)
		ORDER BY ref, version`, string(after), limit)
}

func (r *Ring) list(ctx context.Context, query string, args ...any) ([]keys.Entry, error) {
	var all []keys.Entry
	err := r.db.Read(ctx, func(tx *Tx) error {
		rows, err := tx.Query(query, args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var e keys.Entry
			var at int64
			if err := rows.Scan(&e.Ref, &e.Version, &e.Epoch, &e.Wrapped, &at); err != nil {
				return err
			}
			e.CreatedAt = FromMicros(at)
			all = append(all, e)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("reading the keyring: %w", err)
	}
	return all, nil
}

// Insert adds an entry; it is durable on return. An entry that exists is
// fault.Conflict.
func (r *Ring) Insert(ctx context.Context, e keys.Entry) error {
	err := r.db.Write(ctx, func(tx *Tx) error {
		tx.Unaudited(ringWhy)
		n, err := tx.Exec(`INSERT INTO keyring_entry (ref, version, epoch, wrapped, created_at) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (ref, version) DO NOTHING`, string(e.Ref), e.Version, e.Epoch, filled(e.Wrapped), Micros(e.CreatedAt))
		if err == nil && n == 0 {
			return fault.New(fault.Conflict, "store.key_exists", "The keyring holds this version of the key already.")
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("adding to the keyring: %w", err)
	}
	return nil
}

// Rewrap replaces the wrapped values of entries in one transaction. Tombstones
// and entries that do not exist stay as they are.
func (r *Ring) Rewrap(ctx context.Context, entries []keys.Entry) error {
	err := r.db.Write(ctx, func(tx *Tx) error {
		tx.Unaudited(ringWhy)
		for _, e := range entries {
			if _, err := tx.Exec("UPDATE keyring_entry SET wrapped = $1, epoch = $2 WHERE ref = $3 AND version = $4 AND length(wrapped) > 0",
				filled(e.Wrapped), e.Epoch, string(e.Ref), e.Version); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("rewrapping the keyring: %w", err)
	}
	return r.db.engine.settle(ctx)
}

// Count returns the number of entries.
func (r *Ring) Count(ctx context.Context) (int, error) {
	var n int
	err := r.db.Read(ctx, func(tx *Tx) error { return tx.QueryRow("SELECT count(*) FROM keyring_entry").Scan(&n) })
	if err != nil {
		return 0, fmt.Errorf("counting the keyring: %w", err)
	}
	return n, nil
}

// BackupTo writes a consistent copy of the keyring to a new file: see [DB.BackupTo].
func (r *Ring) BackupTo(ctx context.Context, path string, progress func(done, total int)) error {
	return r.db.BackupTo(ctx, path, progress)
}

// filled makes the empty value of a tombstone an empty blob, not NULL.
func filled(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}
