package sms

import (
	"context"
	"errors"
	"fmt"
	"time"

	"troth/internal/id"
	"troth/internal/keys"
	"troth/internal/store"
)

// row is one text in the outbox.
type row struct {
	id       id.Text
	tenant   id.Tenant
	account  id.Account
	kind     string
	sealed   []byte
	attempts int
	queuedAt time.Time
	until    time.Time
}

func (r row) place() keys.Place {
	return keys.Place{Tenant: r.tenant, Table: "sms_outbox", Column: "sealed", Row: string(r.id)}
}

// refs are the keys that the text stands under: of its tenant and its person.
func (r row) refs() []keys.Ref {
	return []keys.Ref{keys.TenantRef(r.tenant), keys.SubjectRef(r.account)}
}

func insert(tx *store.Tx, r row) error {
	_, err := tx.Exec(`INSERT INTO sms_outbox (tenant, id, account, kind, sealed, attempts, queued_at, until)
		VALUES ($1, $2, $3, $4, $5, 0, $6, $7)`,
		string(r.tenant), string(r.id), string(r.account), r.kind, r.sealed, store.Micros(r.queuedAt), store.Micros(r.until))
	return err
}

// find reads a row; found is false when it was sent or given up already.
func (t *Texts) find(ctx context.Context, tenant id.Tenant, text id.Text) (r row, found bool, err error) {
	r = row{tenant: tenant, id: text}
	var queued, until int64
	err = t.db.Read(ctx, func(tx *store.Tx) error {
		return tx.QueryRow(`SELECT account, kind, sealed, attempts, queued_at, until FROM sms_outbox WHERE tenant = $1 AND id = $2`,
			string(tenant), string(text)).Scan(&r.account, &r.kind, &r.sealed, &r.attempts, &queued, &until)
	})
	if errors.Is(err, store.ErrNoRows) {
		return row{}, false, nil
	}
	if err != nil {
		return row{}, false, fmt.Errorf("reading the outbox of texts: %w", err)
	}
	r.queuedAt = store.FromMicros(queued)
	if until != 0 {
		r.until = store.FromMicros(until)
	}
	return r, true, nil
}

const why = "a text on its way; the action that caused it is audited"

// wipe removes a row. first is false when somebody else removed it before.
func (t *Texts) wipe(ctx context.Context, r row) (first bool, err error) {
	err = t.db.Write(ctx, func(tx *store.Tx) error {
		tx.Unaudited(why)
		n, err := tx.Exec("DELETE FROM sms_outbox WHERE tenant = $1 AND id = $2", string(r.tenant), string(r.id))
		first = n > 0
		return err
	})
	if err != nil {
		return false, fmt.Errorf("removing a text from the outbox: %w", err)
	}
	return first, nil
}

func (t *Texts) count(ctx context.Context, r row) error {
	err := t.db.Write(ctx, func(tx *store.Tx) error {
		tx.Unaudited(why)
		_, err := tx.Exec("UPDATE sms_outbox SET attempts = attempts + 1 WHERE tenant = $1 AND id = $2", string(r.tenant), string(r.id))
		return err
	})
	if err != nil {
		return fmt.Errorf("counting an attempt: %w", err)
	}
	return nil
}

// SweepTx removes what was not sent within an hour: an installation was
// restored, or the queue gave up without telling. For the retention rule.
func SweepTx(tx *store.Tx, now time.Time) (int64, error) {
	return tx.Exec(`DELETE FROM sms_outbox WHERE (tenant, id) IN
		(SELECT tenant, id FROM sms_outbox WHERE queued_at < $1 ORDER BY queued_at LIMIT 1000)`, store.Micros(now.Add(-keepFor)))
}
