package audit

import (
	"context"
	"errors"
	"fmt"
	"time"

	"troth/internal/id"
	"troth/internal/store"
)

// Status is how far the log is.
type Status struct {
	Epoch         int64     `json:"epoch"`                   // 1, and one more for each time that an older database was found
	SignedAt      time.Time `json:"signed_at"`               // when the newest checkpoint was made
	OldestPending time.Time `json:"oldest_pending,omitzero"` // zero when nothing waits for the sequencer
	Months        []string  `json:"months"`                  // that can be read: "audit 202611"
}

// Status reads how far the log is.
func (l *Log) Status(ctx context.Context) (s Status, err error) {
	err = l.db.Read(ctx, func(tx *store.Tx) error {
		p, err := readPlatform(tx)
		if err != nil {
			return err
		}
		s.Epoch = p.epoch
		var at int64
		if err := tx.QueryRow(`SELECT created_at FROM log_checkpoint WHERE tree = $1 ORDER BY size DESC LIMIT 1`, platformTree).Scan(&at); err != nil {
			return err
		}
		s.SignedAt = store.FromMicros(at)
		var oldest string
		err = tx.QueryRow(`SELECT name FROM audit_pending WHERE tree <> $1 ORDER BY name LIMIT 1`, platformTree).Scan(&oldest)
		if err != nil && !errors.Is(err, store.ErrNoRows) {
			return err
		}
		s.OldestPending = id.Time(id.Event(oldest))
		s.Months, err = column[string](tx.Query(`SELECT class || ' ' || month FROM audit_month ORDER BY class, month`))
		return err
	})
	if err != nil {
		return s, fmt.Errorf("reading the state of the log: %w", err)
	}
	return s, nil
}
