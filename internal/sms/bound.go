package sms

import (
	"context"
	"errors"
	"fmt"
	"time"

	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/store"
)

// Who causes texts does not pay for them. So no account causes more than a
// person needs who mistypes and waits, no number gets more than one person
// bears, and the installation as a whole sends no more in an hour than its
// operator expects ([Config].PerHour): that one is what bounds the bill when
// somebody has many accounts and many numbers.
const (
	perAccount    = 5  // in an hour, to whatever numbers
	perAccountDay = 15 // in a day
	perNumber     = 5  // in an hour, from whatever accounts
	perNumberDay  = 10
)

// counts are the texts that were sent of late.
type counts struct {
	account, accountDay, number, numberDay, all int
}

// countTx counts a text, unless a bound is reached.
func (t *Texts) countTx(tx *store.Tx, msg Text, now time.Time) error {
	indexes, err := t.keys.Indexes(tx.Context(), "", "sms_sent.number", string(msg.To))
	if err != nil {
		return fmt.Errorf("computing the blind index of a number: %w", err)
	}
	c, err := countsTx(tx, msg.Account, indexes, now)
	if err != nil {
		return fmt.Errorf("counting texts: %w", err)
	}
	switch {
	case c.account >= perAccount || c.number >= perNumber:
		return fault.New(fault.TooMany, "sms.too_many", "Too many text messages were sent to this number or for this account. Use another way, or try again in an hour.").In(time.Hour)
	case c.accountDay >= perAccountDay || c.numberDay >= perNumberDay:
		return fault.New(fault.TooMany, "sms.too_many", "Too many text messages were sent to this number or for this account. Use another way, or try again tomorrow.").In(24 * time.Hour)
	case c.all >= t.o.PerHour:
		t.o.Log.ErrorContext(tx.Context(), "the installation reached its bound on text messages (sms.per_hour), so none are sent", "bound", t.o.PerHour)
		return fault.New(fault.Unavailable, "sms.all_spent", "This service has sent all the text messages that it may send in an hour. Use another way, or try again in an hour.").In(time.Hour)
	}
	_, err = tx.Exec(`INSERT INTO sms_sent (id, account, number, sent_at) VALUES ($1, $2, $3, $4)`,
		string(id.New[id.Text](now)), string(msg.Account), indexes[0], store.Micros(now))
	if err != nil {
		return fmt.Errorf("counting a text: %w", err)
	}
	return nil
}

// countsTx counts by account, by number under every version of its index, and
// in all.
func countsTx(tx *store.Tx, account id.Account, indexes [][]byte, now time.Time) (c counts, err error) {
	hour, day := store.Micros(now.Add(-time.Hour)), store.Micros(now.Add(-24*time.Hour))
	err = tx.QueryRow(`SELECT COUNT(*), COALESCE(SUM(CASE WHEN sent_at > $1 THEN 1 ELSE 0 END), 0)
		FROM sms_sent WHERE account = $2 AND sent_at > $3`, hour, string(account), day).Scan(&c.accountDay, &c.account)
	for _, index := range indexes {
		var inDay, inHour int
		err = errors.Join(err, tx.QueryRow(`SELECT COUNT(*), COALESCE(SUM(CASE WHEN sent_at > $1 THEN 1 ELSE 0 END), 0)
			FROM sms_sent WHERE number = $2 AND sent_at > $3`, hour, index, day).Scan(&inDay, &inHour))
		c.numberDay, c.number = c.numberDay+inDay, c.number+inHour
	}
	return c, errors.Join(err, tx.QueryRow(`SELECT COUNT(*) FROM sms_sent WHERE sent_at > $1`, hour).Scan(&c.all))
}

// Sent counts the texts of the last hour, and says how many may be sent in one.
func (t *Texts) Sent(ctx context.Context) (sent, bound int, err error) {
	err = t.db.Read(ctx, func(tx *store.Tx) error {
		return tx.QueryRow(`SELECT COUNT(*) FROM sms_sent WHERE sent_at > $1`, store.Micros(t.o.Now().Add(-time.Hour))).Scan(&sent)
	})
	if err != nil {
		return 0, 0, fmt.Errorf("counting texts: %w", err)
	}
	return sent, t.o.PerHour, nil
}

// SweepSentTx removes what does not count any more, for the retention rule.
func SweepSentTx(tx *store.Tx, now time.Time) (int64, error) {
	return tx.Exec(`DELETE FROM sms_sent WHERE id IN
		(SELECT id FROM sms_sent WHERE sent_at < $1 LIMIT 1000)`, store.Micros(now.Add(-24*time.Hour)))
}
