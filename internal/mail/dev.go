package mail

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/keys"
	"troth/internal/store"
)

// devKeeps is how many messages the development mailbox keeps.
const devKeeps = 200

// DevMailbox is where mail goes in a development installation without a mail
// server: a table, sealed like everything personal, that a page shows. It keeps
// the newest 200 messages.
type DevMailbox struct {
	db   *store.DB
	keys *keys.Keys
	now  func() time.Time
}

// NewDevMailbox makes the mailbox over its table.
func NewDevMailbox(db *store.DB, k *keys.Keys, now func() time.Time) *DevMailbox {
	return &DevMailbox{db: db, keys: k, now: now}
}

func devPlace(mail id.Mail) keys.Place {
	return keys.Place{Tenant: id.Platform, Table: "mail_dev", Column: "sealed", Row: string(mail)}
}

// kept is what is sealed of a message in the mailbox.
type kept struct {
	To  string `json:"to"`
	Raw []byte `json:"raw"`
}

// Deliver puts a message into the mailbox; it is durable on return.
func (d *DevMailbox) Deliver(ctx context.Context, _, to string, raw []byte) error {
	at := d.now().UTC()
	mail := id.New[id.Mail](at)
	ref := keys.MonthRef(monthClass, at)
	plain, err := json.Marshal(kept{to, raw})
	if err == nil {
		err = d.keys.Create(ctx, ref, 32)
	}
	if err != nil {
		return fmt.Errorf("filling the development mailbox: %w", err)
	}
	sealed, err := d.keys.Seal(ctx, devPlace(mail), plain, ref)
	if err != nil {
		return fmt.Errorf("filling the development mailbox: %w", err)
	}
	err = d.db.Write(ctx, func(tx *store.Tx) error {
		tx.Unaudited(why)
		if _, err := tx.Exec("INSERT INTO mail_dev (id, at, sealed) VALUES ($1, $2, $3)", string(mail), store.Micros(at), sealed); err != nil {
			return err
		}
		_, err := tx.Exec("DELETE FROM mail_dev WHERE id NOT IN (SELECT id FROM mail_dev ORDER BY id DESC LIMIT $1)", devKeeps)
		return err
	})
	if err != nil {
		return fmt.Errorf("filling the development mailbox: %w", err)
	}
	return nil
}

// List returns the messages, the newest first.
func (d *DevMailbox) List(ctx context.Context) ([]Received, error) {
	return d.list(ctx, "SELECT id, at, sealed FROM mail_dev ORDER BY id DESC LIMIT $1", devKeeps)
}

// Get returns one message; fault.NotFound when it is not there any more.
func (d *DevMailbox) Get(ctx context.Context, mail id.Mail) (Received, error) {
	found, err := d.list(ctx, "SELECT id, at, sealed FROM mail_dev WHERE id = $1", string(mail))
	if err != nil {
		return Received{}, err
	}
	if len(found) == 0 {
		return Received{}, fault.New(fault.NotFound, "mail.no_message", "This message is not in the mailbox any more.")
	}
	return found[0], nil
}

func (d *DevMailbox) list(ctx context.Context, query string, arg any) ([]Received, error) {
	type sealedRow struct {
		id     id.Mail
		at     time.Time
		sealed []byte
	}
	var found []sealedRow
	err := d.db.Read(ctx, func(tx *store.Tx) error {
		rows, err := tx.Query(query, arg)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var r sealedRow
			var at int64
			if err := rows.Scan(&r.id, &at, &r.sealed); err != nil {
				return err
			}
			r.at = store.FromMicros(at)
			found = append(found, r)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("reading the development mailbox: %w", err)
	}
	var all []Received
	for _, r := range found {
		got, err := d.open(ctx, r.id, r.at, r.sealed)
		if errors.Is(err, keys.ErrGone) {
			continue // the month's key was destroyed
		}
		if err != nil {
			return nil, fmt.Errorf("reading the development mailbox: %w", err)
		}
		all = append(all, got)
	}
	return all, nil
}

func (d *DevMailbox) open(ctx context.Context, mail id.Mail, at time.Time, sealed []byte) (Received, error) {
	plain, err := d.keys.Open(ctx, devPlace(mail), sealed, keys.MonthRef(monthClass, at))
	if err != nil {
		return Received{}, err
	}
	var k kept
	if err := json.Unmarshal(plain, &k); err != nil {
		return Received{}, fmt.Errorf("reading a message: %w", err)
	}
	got, err := read(k.Raw)
	got.ID, got.At, got.To = mail, at, k.To
	return got, err
}

// SweepDevTx removes what is older than 30 days, for the retention rule.
func SweepDevTx(tx *store.Tx, now time.Time) (int64, error) {
	return tx.Exec("DELETE FROM mail_dev WHERE at < $1", store.Micros(now.AddDate(0, 0, -30)))
}
