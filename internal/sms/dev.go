package sms

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"troth/internal/id"
	"troth/internal/keys"
	"troth/internal/store"
)

// devKeeps is how many texts the development box keeps.
const devKeeps = 100

// DevBox is where texts go in a development installation: a table, sealed like
// everything personal, that a page shows. It keeps the newest 100.
type DevBox struct {
	db   *store.DB
	keys *keys.Keys
	now  func() time.Time
}

// NewDevBox makes the box over its table.
func NewDevBox(db *store.DB, k *keys.Keys, now func() time.Time) *DevBox {
	return &DevBox{db: db, keys: k, now: now}
}

// Received is one text in the box.
type Received struct {
	ID   id.Text
	At   time.Time
	To   Number
	Body string
}

func devPlace(text id.Text) keys.Place {
	return keys.Place{Tenant: id.Platform, Table: "sms_dev", Column: "sealed", Row: string(text)}
}

// Send puts a text into the box; it is durable on return.
func (d *DevBox) Send(ctx context.Context, o Outgoing) error {
	ref := keys.MonthRef("sms", o.At)
	plain, err := json.Marshal(content{o.To, o.Body})
	if err == nil {
		err = d.keys.Create(ctx, ref, 32)
	}
	var sealed []byte
	if err == nil {
		sealed, err = d.keys.Seal(ctx, devPlace(o.ID), plain, ref)
	}
	if err == nil {
		err = d.db.Write(ctx, func(tx *store.Tx) error {
			tx.Unaudited(why)
			if _, err := tx.Exec("INSERT INTO sms_dev (id, at, sealed) VALUES ($1, $2, $3) ON CONFLICT (id) DO NOTHING", string(o.ID), store.Micros(o.At), sealed); err != nil {
				return err
			}
			_, err := tx.Exec("DELETE FROM sms_dev WHERE id NOT IN (SELECT id FROM sms_dev ORDER BY id DESC LIMIT $1)", devKeeps)
			return err
		})
	}
	if err != nil {
		return fmt.Errorf("filling the box of texts: %w", err)
	}
	return nil
}

// Probe is always well.
func (*DevBox) Probe(context.Context) (string, error) { return "the page /-/dev/texts", nil }

// List returns the texts, the newest first.
func (d *DevBox) List(ctx context.Context) ([]Received, error) {
	type sealedRow struct {
		id     id.Text
		at     int64
		sealed []byte
	}
	var found []sealedRow
	err := d.db.Read(ctx, func(tx *store.Tx) error {
		rows, err := tx.Query("SELECT id, at, sealed FROM sms_dev ORDER BY id DESC LIMIT $1", devKeeps)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var r sealedRow
			if err := rows.Scan(&r.id, &r.at, &r.sealed); err != nil {
				return err
			}
			found = append(found, r)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("reading the box of texts: %w", err)
	}
	var all []Received
	for _, r := range found {
		at := store.FromMicros(r.at)
		plain, err := d.keys.Open(ctx, devPlace(r.id), r.sealed, keys.MonthRef("sms", at))
		if errors.Is(err, keys.ErrGone) {
			continue // the month's key was destroyed
		}
		var c content
		if err == nil {
			err = json.Unmarshal(plain, &c)
		}
		if err != nil {
			return nil, fmt.Errorf("reading the box of texts: %w", err)
		}
		all = append(all, Received{r.id, at, c.To, c.Body})
	}
	return all, nil
}

// SweepDevTx removes what is older than 30 days, for the retention rule.
func SweepDevTx(tx *store.Tx, now time.Time) (int64, error) {
	return tx.Exec("DELETE FROM sms_dev WHERE at < $1", store.Micros(now.AddDate(0, 0, -30)))
}
