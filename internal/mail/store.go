package mail

import (
	"context"
	"errors"
	"fmt"
	"time"

	"troth/internal/id"
	"troth/internal/keys"
	"troth/internal/store"
)

// monthClass is the class of the month keys for mail that belongs to nobody.
const monthClass = "mail"

// row is one message in the outbox.
type row struct {
	id       id.Mail
	tenant   id.Tenant // id.Platform for none
	account  id.Account
	kind     string
	sealed   []byte
	attempts int
	queuedAt time.Time
}

func (r row) place() keys.Place {
	return keys.Place{Tenant: r.tenant, Table: "mail_outbox", Column: "sealed", Row: string(r.id)}
}

// refs are the keys that the message stands under: of its tenant, of its
// person; of the month when it has neither.
func (r row) refs() []keys.Ref {
	var refs []keys.Ref
	if r.tenant != id.Platform {
		refs = append(refs, keys.TenantRef(r.tenant))
	}
	if r.account != "" {
		refs = append(refs, keys.SubjectRef(r.account))
	}
	if len(refs) == 0 {
		refs = append(refs, keys.MonthRef(monthClass, r.queuedAt))
	}
	return refs
}

// seal fills the row's sealed content; it makes the month's key when needed.
func (m *Mailer) seal(ctx context.Context, r *row, plain []byte) error {
	refs := r.refs()
	if r.tenant == id.Platform && r.account == "" {
		if err := m.keys.Create(ctx, refs[0], 32); err != nil {
			return err
		}
	}
	sealed, err := m.keys.Seal(ctx, r.place(), plain, refs...)
	r.sealed = sealed
	return err
}

func insert(tx *store.Tx, r row) error {
	_, err := tx.Exec(`INSERT INTO mail_outbox (tenant, id, account, kind, sealed, attempts, queued_at)
		VALUES ($1, $2, $3, $4, $5, 0, $6)`, string(r.tenant), string(r.id), string(r.account), r.kind, r.sealed, store.Micros(r.queuedAt))
	return err
}

// find reads a row; found is false when it was delivered or given up already.
func (m *Mailer) find(ctx context.Context, tenant id.Tenant, mail id.Mail) (r row, found bool, err error) {
	r = row{tenant: tenant, id: mail}
	err = m.db.Read(ctx, func(tx *store.Tx) error {
		var at int64
		err := tx.QueryRow(`SELECT account, kind, sealed, attempts, queued_at FROM mail_outbox WHERE tenant = $1 AND id = $2`,
			string(tenant), string(mail)).Scan(&r.account, &r.kind, &r.sealed, &r.attempts, &at)
		r.queuedAt = store.FromMicros(at)
		return err
	})
	if errors.Is(err, store.ErrNoRows) {
		return row{}, false, nil
	}
	if err != nil {
		return row{}, false, fmt.Errorf("reading the outbox: %w", err)
	}
	return r, true, nil
}

const why = "a mail on its way; the action that caused it is audited"

// wipe removes a row. first is false when somebody else removed it before.
func (m *Mailer) wipe(ctx context.Context, r row) (first bool, err error) {
	err = m.db.Write(ctx, func(tx *store.Tx) error {
		tx.Unaudited(why)
		n, err := tx.Exec("DELETE FROM mail_outbox WHERE tenant = $1 AND id = $2", string(r.tenant), string(r.id))
		first = n > 0
		return err
	})
	if err != nil {
		return false, fmt.Errorf("removing a mail from the outbox: %w", err)
	}
	return first, nil
}

func (m *Mailer) count(ctx context.Context, r row) error {
	err := m.db.Write(ctx, func(tx *store.Tx) error {
		tx.Unaudited(why)
		_, err := tx.Exec("UPDATE mail_outbox SET attempts = attempts + 1 WHERE tenant = $1 AND id = $2", string(r.tenant), string(r.id))
		return err
	})
	if err != nil {
		return fmt.Errorf("counting an attempt: %w", err)
	}
	return nil
}
