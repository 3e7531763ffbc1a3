package edge

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"
	"time"

	"troth/internal/access"
	"troth/internal/audit"
	"troth/internal/store"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrations is the schema of this package.
var Migrations fs.FS = migrations

// Tables are the tables of this package.
var Tables = []string{"edge_assertion_key"}

// The events of this package.
const (
	eventKeyMade    = "edge.assertion_key_made"
	eventKeyRemoved = "edge.assertion_key_destroyed"
)

// Events are the types of events that this package writes.
var Events = []audit.Type{
	{Name: eventKeyMade, Sentence: "{actor} made the key {key}, with which assertions for the application will be signed"},
	{Name: eventKeyRemoved, Sentence: "{actor} destroyed the key {key}, which signed assertions for the application"},
}

// InStore is the book of signing keys in the database.
func InStore(db *store.DB, log *audit.Log) KeyBook { return &keyBook{db, log} }

type keyBook struct {
	db  *store.DB
	log *audit.Log
}

// Records reads a snapshot.
func (b *keyBook) Records(ctx context.Context) ([]KeyRecord, error) {
	var records []KeyRecord
	err := b.db.Read(ctx, func(tx *store.Tx) (err error) {
		records, err = recordsTx(tx)
		return err
	})
	return records, err
}

func recordsTx(tx *store.Tx) ([]KeyRecord, error) {
	rows, err := tx.Query(`SELECT kid, created_at, use_at, end_at FROM edge_assertion_key ORDER BY created_at DESC, kid`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var records []KeyRecord
	for rows.Next() {
		var r KeyRecord
		var created, use int64
		var end sql.NullInt64
		if err := rows.Scan(&r.KID, &created, &use, &end); err != nil {
			return nil, fmt.Errorf("reading a signing key: %w", err)
		}
		r.CreatedAt, r.UseAt = store.FromMicros(created), store.FromMicros(use)
		if end.Valid {
			r.EndAt = store.FromMicros(end.Int64)
		}
		records = append(records, r)
	}
	return records, rows.Err()
}

// Add runs in one transaction, so that of two nodes one adds.
func (b *keyBook) Add(ctx context.Context, r KeyRecord, unlessAfter time.Time) (added bool, err error) {
	err = b.db.Write(ctx, func(tx *store.Tx) error {
		added = false
		records, err := recordsTx(tx)
		if err != nil {
			return err
		}
		if len(records) > 0 && records[0].CreatedAt.After(unlessAfter) {
			tx.Unaudited("nothing was changed: another node made the key")
			return nil
		}
		if _, err := tx.Exec(`UPDATE edge_assertion_key SET end_at = $1 WHERE end_at IS NULL`,
			store.Micros(r.UseAt.Add(publishTail))); err != nil {
			return err
		}
		if _, err := tx.Exec(`INSERT INTO edge_assertion_key (kid, created_at, use_at) VALUES ($1, $2, $3)`,
			r.KID, store.Micros(r.CreatedAt), store.Micros(r.UseAt)); err != nil {
			return err
		}
		added = true
		return b.note(tx, eventKeyMade, r.KID)
	})
	return added, err
}

// Remove deletes the record of a key that was destroyed.
func (b *keyBook) Remove(ctx context.Context, kid string) error {
	return b.db.Write(ctx, func(tx *store.Tx) error {
		n, err := tx.Exec(`DELETE FROM edge_assertion_key WHERE kid = $1`, kid)
		if err != nil {
			return err
		}
		if n == 0 {
			tx.Unaudited("nothing was changed: another node removed the record")
			return nil
		}
		return b.note(tx, eventKeyRemoved, kid)
	})
}

func (b *keyBook) note(tx *store.Tx, event, kid string) error {
	_, err := b.log.AppendTx(tx, audit.Event{
		Type: event, Actor: access.System("key rotation").Actor(),
		Targets:  []audit.Target{{Kind: "signing key", ID: kid}},
		Metadata: map[string]string{"key": kid},
	})
	return err
}
