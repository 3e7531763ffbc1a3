package audit

import (
	"context"
	"fmt"
	"sync"
	"time"

	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/keys"
	"troth/internal/store"
)

// monthFormat is the month of an event as it stands in names: 202611, UTC. An
// event belongs to the month in which its identifier was made.
const monthFormat = "200601"

func monthOf(event id.Event) time.Time { return id.Time(event).UTC() }

func tableOf(class string, at time.Time) string {
	return MonthTables + class + "_" + at.UTC().Format(monthFormat)
}

// months remembers which month tables and keys exist.
type months struct {
	mu    sync.Mutex
	ready map[string]bool // by table
}

func (m *months) has(table string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.ready[table]
}

func (m *months) add(table string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ready == nil {
		m.ready = map[string]bool{}
	}
	m.ready[table] = true
}

func (m *months) remove(table string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.ready, table)
}

// PrepareMonths makes the keys and tables of this month and the next, so that
// no action has to: a table made within a serializable transaction makes others
// fail on Postgres. [New] does it, [Log.Run] does it every hour.
func (l *Log) PrepareMonths(ctx context.Context) error {
	now := l.now().UTC()
	first := time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, time.UTC)
	for _, at := range []time.Time{first, first.AddDate(0, 1, 0)} {
		for _, class := range []string{ClassAudit, ClassAccess} {
			if l.months.has(tableOf(class, at)) {
				continue
			}
			if err := l.prepareMonth(ctx, class, at); err != nil {
				return fmt.Errorf("preparing the month %s of class %s: %w", at.Format(monthFormat), class, err)
			}
		}
	}
	return nil
}

// prepareMonth tries again, because another process may make the same table at
// the same time: on Postgres, IF NOT EXISTS then fails in the catalogue.
func (l *Log) prepareMonth(ctx context.Context, class string, at time.Time) (err error) {
	for range 3 {
		err = l.db.Write(ctx, func(tx *store.Tx) error {
			tx.Unaudited("makes the table of a month")
			return l.prepareMonthTx(tx, class, at)
		})
		if err == nil || ctx.Err() != nil || fault.As(err) != nil {
			break
		}
	}
	return err
}

// prepareMonthTx makes the key and the table of a month if they are missing.
func (l *Log) prepareMonthTx(tx *store.Tx, class string, at time.Time) error {
	table := tableOf(class, at)
	if l.months.has(table) {
		return nil
	}
	if err := l.createKey(tx.Context(), keys.MonthRef(class, at), keySize); err != nil {
		return fmt.Errorf("making the key of the month: %w", err)
	}
	if err := createMonth(tx, class, at, l.now()); err != nil {
		return err
	}
	tx.AfterCommit(func() { l.months.add(table) })
	return nil
}

// Expire destroys what is older than keep: the keys of the months of the class
// that ended before then, their tables, and the rows that list their events.
// Leaves and tiles stay. It returns how many months expired.
func (l *Log) Expire(ctx context.Context, class string, keep time.Duration) (int, error) {
	before := l.now().Add(-keep).UTC().Format(monthFormat)
	var expired []string
	err := l.db.Read(ctx, func(tx *store.Tx) (err error) {
		expired, err = monthsBefore(tx, class, before)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("listing the expired months: %w", err)
	}
	for i, month := range expired {
		if err := l.expireMonth(ctx, class, month); err != nil {
			return i, fmt.Errorf("expiring the %s events of %s: %w", class, month, err)
		}
	}
	return len(expired), nil
}

// expireMonth destroys the key first: if the rest fails, the next run does it.
func (l *Log) expireMonth(ctx context.Context, class, month string) error {
	at, err := time.Parse(monthFormat, month)
	if err != nil {
		return err
	}
	if err := l.keys.Shred(ctx, keys.MonthRef(class, at)); err != nil {
		return err
	}
	l.months.remove(tableOf(class, at))
	if class == ClassAudit {
		if err := l.forgetPersons(ctx, at); err != nil {
			return err
		}
	}
	for done := false; !done && err == nil; {
		err = l.db.Write(ctx, func(tx *store.Tx) error {
			n, err := deleteEventsOf(tx, class, at, expireStep)
			if err != nil || n == expireStep {
				tx.Unaudited("removes a part of the rows of an expired month; the last part is recorded")
				return err
			}
			if err := dropMonth(tx, class, at); err != nil {
				return err
			}
			tx.AfterCommit(func() { done = true })
			_, err = l.AppendTx(tx, Event{Type: typeExpired, Actor: Actor{Kind: KindSystem, Name: "retention"},
				Metadata: map[string]string{"class": class, "month": at.Format("2006-01")}})
			return err
		})
	}
	return err
}

// forgetPersons removes the rows that tell whom the month's events were about.
// Only events of the class audit have such rows.
func (l *Log) forgetPersons(ctx context.Context, month time.Time) error {
	from, until := firstOf(month), firstOf(month.AddDate(0, 1, 0))
	var after personKey
	for more := true; more; {
		var next personKey
		err := l.db.Write(ctx, func(tx *store.Tx) (err error) {
			tx.Unaudited("removes a part of the rows of an expired month; the last part is recorded")
			next, more, err = deletePersonsOf(tx, after, from, until, expireStep)
			return err
		})
		if err != nil {
			return err
		}
		after = next
	}
	return nil
}

// Until is what to pass as [Filter].Before for events that were recorded
// before a time.
func Until(at time.Time) id.Event { return firstOf(at) }

// firstOf is the smallest identifier that an event made at or after the time
// can have.
func firstOf(at time.Time) id.Event {
	e := id.New[id.Event](at)
	return e[:14] // "evt_" and the 50 bits that hold the 48 of the time
}
