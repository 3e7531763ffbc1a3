package audit

import (
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/store"
)

// The SQL of events. That of the trees is in treestore.go.

const expireStep = 2000 // rows deleted in one transaction

// createMonth makes the month's payload table.
func createMonth(tx *store.Tx, class string, at, now time.Time) error {
	_, err := tx.Exec(`CREATE TABLE IF NOT EXISTS ` + tableOf(class, at) + ` (
		tenant TEXT NOT NULL, event TEXT NOT NULL, body BYTEA NOT NULL, PRIMARY KEY (tenant, event))`)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`INSERT INTO audit_month (class, month, created_at) VALUES ($1, $2, $3) ON CONFLICT (class, month) DO NOTHING`,
		class, at.UTC().Format(monthFormat), store.Micros(now))
	return err
}

func dropMonth(tx *store.Tx, class string, at time.Time) error {
	if _, err := tx.Exec(`DROP TABLE IF EXISTS ` + tableOf(class, at)); err != nil {
		return err
	}
	_, err := tx.Exec(`DELETE FROM audit_month WHERE class = $1 AND month = $2`, class, at.UTC().Format(monthFormat))
	return err
}

func monthsBefore(tx *store.Tx, class, before string) ([]string, error) {
	return column[string](tx.Query(`SELECT month FROM audit_month WHERE class = $1 AND month < $2 ORDER BY month`, class, before))
}

// deleteEventsOf removes up to limit rows that list events of the month, and
// returns how many there were. The payload table says which they are.
func deleteEventsOf(tx *store.Tx, class string, at time.Time, limit int) (int, error) {
	table := tableOf(class, at)
	rows, err := tx.Query(`SELECT tenant, event FROM `+table+` ORDER BY tenant, event LIMIT $1`, limit)
	if err != nil {
		return 0, err
	}
	type key struct{ tenant, event string }
	keys, err := collect(rows, func(k *key) []any { return []any{&k.tenant, &k.event} })
	if err != nil {
		return 0, err
	}
	for _, k := range keys {
		if _, err := tx.Exec(`DELETE FROM audit_event WHERE tenant = $1 AND event = $2`, k.tenant, k.event); err != nil {
			return 0, err
		}
		if _, err := tx.Exec(`DELETE FROM `+table+` WHERE tenant = $1 AND event = $2`, k.tenant, k.event); err != nil {
			return 0, err
		}
	}
	return len(keys), nil
}

// personKey is a row of audit_person.
type personKey struct{ account, event string }

// deletePersonsOf looks at up to limit rows after the given one and removes
// those whose event was made in [from, until). It returns the last row it
// looked at, and false when there are no more.
func deletePersonsOf(tx *store.Tx, after personKey, from, until id.Event, limit int) (personKey, bool, error) {
	rows, err := tx.Query(`SELECT account, event FROM audit_person WHERE (account, event) > ($1, $2) ORDER BY account, event LIMIT $3`,
		after.account, after.event, limit)
	if err != nil {
		return after, false, err
	}
	page, err := collect(rows, func(k *personKey) []any { return []any{&k.account, &k.event} })
	if err != nil {
		return after, false, err
	}
	for _, k := range page {
		after = k
		if k.event < string(from) || k.event >= string(until) {
			continue
		}
		if _, err := tx.Exec(`DELETE FROM audit_person WHERE account = $1 AND event = $2`, k.account, k.event); err != nil {
			return after, false, err
		}
	}
	return after, len(page) == limit, nil
}

func insertEvent(tx *store.Tx, e *Event, class string, body, leaf []byte) error {
	_, err := tx.Exec(`INSERT INTO audit_event (tenant, event, type, class, occurred_at, actor) VALUES ($1, $2, $3, $4, $5, $6)`,
		string(e.Tenant), string(e.ID), e.Type, class, store.Micros(e.OccurredAt), string(e.Actor.Account))
	if err != nil {
		return err
	}
	_, err = tx.Exec(`INSERT INTO `+tableOf(class, monthOf(e.ID))+` (tenant, event, body) VALUES ($1, $2, $3)`, string(e.Tenant), string(e.ID), body)
	if err != nil {
		return err
	}
	if people := e.persons(); len(people) > 0 {
		args := make([]any, 0, 3*len(people))
		for _, a := range people {
			args = append(args, string(a), string(e.ID), string(e.Tenant))
		}
		if _, err := tx.Exec(`INSERT INTO audit_person (account, event, tenant) VALUES `+tuples(len(people), 3), args...); err != nil {
			return err
		}
	}
	_, err = tx.Exec(`INSERT INTO audit_pending (name, tree, entry) VALUES ($1, $2, $3)`, string(e.ID), string(e.Tenant), leaf)
	return err
}

// row is a row of audit_event.
type row struct {
	tenant, event, kind, class, actor string
	at                                int64
	body                              []byte // of the payload, nil when its table was dropped
}

// eventRow reads one event.
func eventRow(tx *store.Tx, tenant id.Tenant, event id.Event) (row, error) {
	var r row
	err := tx.QueryRow(`SELECT tenant, event, type, class, occurred_at, actor FROM audit_event WHERE tenant = $1 AND event = $2`,
		string(tenant), string(event)).Scan(&r.tenant, &r.event, &r.kind, &r.class, &r.at, &r.actor)
	if errors.Is(err, store.ErrNoRows) {
		return r, errNoEvent
	}
	return r, err
}

var errNoEvent = fault.New(fault.NotFound, "audit.no_event", "There is no such event, or it has expired.")

// ownTenant is the tenant in which an event about the account was recorded.
func ownTenant(tx *store.Tx, account id.Account, event id.Event) (id.Tenant, error) {
	var tenant string
	err := tx.QueryRow(`SELECT tenant FROM audit_person WHERE account = $1 AND event = $2`, string(account), string(event)).Scan(&tenant)
	if errors.Is(err, store.ErrNoRows) {
		return "", errNoEvent
	}
	return id.Tenant(tenant), err
}

// listRows reads a page of events, newest first.
func listRows(tx *store.Tx, f Filter) ([]row, error) {
	var q strings.Builder
	var args []any
	arg := func(v any) string {
		args = append(args, v)
		return fmt.Sprintf("$%d", len(args))
	}
	q.WriteString(`SELECT e.tenant, e.event, e.type, e.class, e.occurred_at, e.actor FROM `)
	if f.Account != "" {
		q.WriteString(`audit_person p JOIN audit_event e ON e.tenant = p.tenant AND e.event = p.event WHERE p.account = ` + arg(string(f.Account)))
		if f.Tenant != "" {
			q.WriteString(` AND p.tenant = ` + arg(string(f.Tenant)))
		}
		if f.Before != "" {
			q.WriteString(` AND p.event < ` + arg(string(f.Before)))
		}
	} else {
		q.WriteString(`audit_event e WHERE e.tenant = ` + arg(string(f.Tenant)))
		if f.Before != "" {
			q.WriteString(` AND e.event < ` + arg(string(f.Before)))
		}
	}
	if len(f.Types) > 0 {
		q.WriteString(` AND e.type IN (`)
		for i, t := range f.Types {
			if i > 0 {
				q.WriteString(`, `)
			}
			q.WriteString(arg(t))
		}
		q.WriteString(`)`)
	} else {
		q.WriteString(` AND e.class = ` + arg(ClassAudit))
	}
	if f.Account != "" {
		q.WriteString(` ORDER BY p.event DESC`)
	} else {
		q.WriteString(` ORDER BY e.event DESC`)
	}
	q.WriteString(` LIMIT ` + arg(f.Limit))
	rows, err := tx.Query(q.String(), args...)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(r *row) []any { return []any{&r.tenant, &r.event, &r.kind, &r.class, &r.at, &r.actor} })
}

// readBody reads the payload of an event. It is nil when the row is missing.
func readBody(tx *store.Tx, class, tenant, event string) ([]byte, error) {
	at := monthOf(id.Event(event))
	var month string
	err := tx.QueryRow(`SELECT month FROM audit_month WHERE class = $1 AND month = $2`, class, at.Format(monthFormat)).Scan(&month)
	if errors.Is(err, store.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var body []byte
	err = tx.QueryRow(`SELECT body FROM `+tableOf(class, at)+` WHERE tenant = $1 AND event = $2`, tenant, event).Scan(&body)
	if errors.Is(err, store.ErrNoRows) {
		return nil, nil
	}
	return body, err
}

// tuples is the VALUES part of an insert: ($1, $2), ($3, $4) …
func tuples(rows, columns int) string {
	var b strings.Builder
	for r := range rows {
		if r > 0 {
			b.WriteByte(',')
		}
		b.WriteByte('(')
		for c := range columns {
			if c > 0 {
				b.WriteByte(',')
			}
			fmt.Fprintf(&b, "$%d", r*columns+c+1)
		}
		b.WriteByte(')')
	}
	return b.String()
}

// collect reads all rows.
func collect[T any](rows *sql.Rows, into func(*T) []any) ([]T, error) {
	defer rows.Close()
	var all []T
	for rows.Next() {
		var v T
		if err := rows.Scan(into(&v)...); err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, rows.Err()
}

// column reads all rows of one column.
func column[T any](rows *sql.Rows, err error) ([]T, error) {
	if err != nil {
		return nil, err
	}
	return collect(rows, func(v *T) []any { return []any{v} })
}

// segmentRows reads segments made in [after, until), oldest first.
func segmentRows(tx *store.Tx, after, until id.Event, limit int) ([]row, error) {
	rows, err := tx.Query(`SELECT tenant, event, type, class, occurred_at, actor FROM audit_event
		WHERE tenant = $1 AND event > $2 AND event < $3 AND type = $4 ORDER BY event LIMIT $5`,
		string(id.Platform), string(after), string(until), typeSegment, limit)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(r *row) []any { return []any{&r.tenant, &r.event, &r.kind, &r.class, &r.at, &r.actor} })
}
