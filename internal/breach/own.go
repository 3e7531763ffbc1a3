package breach

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"troth/internal/access"
	"troth/internal/fault"
	"troth/internal/password"
	"troth/internal/retention"
	"troth/internal/secret"
	"troth/internal/store"
)

// maxOwn is how many passwords are added or removed at once.
const maxOwn = 10_000

// ownColumn names the blind index under which added passwords are kept.
const ownColumn = "breach_own.digest"

// Retention says how long the rows of this package are kept.
var Retention = []retention.Rule{{
	Table: "breach_own", Every: time.Hour,
	Keep: "Until the operator takes the password from the list, or until the time that was said when it was added: a keyed digest of each password, and no person.",
	Sweep: func(_ context.Context, tx *store.Tx, now time.Time) (int64, error) {
		return tx.Exec(`DELETE FROM breach_own WHERE digest IN
			(SELECT digest FROM breach_own WHERE expires_at > 0 AND expires_at <= $1 LIMIT 1000)`, store.Micros(now))
	},
}}

// Add puts passwords on the installation's own list, for life, or for good if
// that is 0. Kept of each is a keyed digest (package keys, blind index). It
// returns how many were new. One that cannot be typed is fault.Invalid.
func (l *Lists) Add(ctx context.Context, by access.Subject, life time.Duration, passwords ...secret.String) (added int64, err error) {
	return l.change(ctx, by, evAdded, passwords, func(tx *store.Tx, digests [][]byte) (int64, error) {
		until := int64(0)
		if life > 0 {
			until = store.Micros(l.now().Add(life))
		}
		if _, err := tx.Exec(`DELETE FROM breach_own WHERE digest = $1 AND expires_at > 0`, digests[0]); err != nil {
			return 0, err
		}
		return tx.Exec(`INSERT INTO breach_own (digest, added_at, expires_at) VALUES ($1, $2, $3) ON CONFLICT (digest) DO NOTHING`,
			digests[0], store.Micros(l.now()), until)
	})
}

// Remove takes passwords from the installation's own list, and returns how many
// were on it.
func (l *Lists) Remove(ctx context.Context, by access.Subject, passwords ...secret.String) (removed int64, err error) {
	return l.change(ctx, by, evRemoved, passwords, func(tx *store.Tx, digests [][]byte) (n int64, err error) {
		for _, d := range digests {
			gone, err := tx.Exec(`DELETE FROM breach_own WHERE digest = $1`, d)
			if err != nil {
				return 0, err
			}
			n += gone
		}
		return n, nil
	})
}

// change does one thing to each of the passwords, in one transaction.
func (l *Lists) change(ctx context.Context, by access.Subject, name string, passwords []secret.String, each func(*store.Tx, [][]byte) (int64, error)) (n int64, err error) {
	if err := onHost(by); err != nil {
		return 0, err
	}
	if len(passwords) > maxOwn {
		return 0, fault.New(fault.TooLarge, "breach.too_many", "These are %d passwords; at most %d are taken at once. A longer list is imported (troth breach import).", len(passwords), maxOwn)
	}
	all := make([][][]byte, len(passwords))
	for i, p := range passwords {
		normal, ok := password.Normalise(p)
		if !ok || normal.IsZero() {
			return 0, fault.New(fault.Invalid, "breach.unreadable", "Password %d of those given is empty, too long or holds a character that no keyboard types.", i+1)
		}
		if all[i], err = l.Keys.Indexes(ctx, "", ownColumn, normal.Reveal()); err != nil {
			return 0, fmt.Errorf("computing the digest of a password: %w", err)
		}
	}
	err = l.DB.Write(ctx, func(tx *store.Tx) error {
		n = 0
		for _, digests := range all {
			did, err := each(tx, digests)
			if err != nil {
				return err
			}
			n += did
		}
		_, err := l.Log.AppendTx(tx, l.event(name, by, map[string]string{"count": strconv.FormatInt(n, 10)}))
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("changing the own list of breached passwords: %w", err)
	}
	return n, nil
}

// own reports whether a password is on the installation's own list.
func (l *Lists) own(ctx context.Context, text string) (found bool, err error) {
	digests, err := l.Keys.Indexes(ctx, "", ownColumn, text)
	if err != nil {
		return false, fmt.Errorf("computing the digest of a password: %w", err)
	}
	now := store.Micros(l.now())
	err = l.DB.Read(ctx, func(tx *store.Tx) error {
		for _, d := range digests {
			var until int64
			err := tx.QueryRow(`SELECT expires_at FROM breach_own WHERE digest = $1`, d).Scan(&until)
			if err != nil && !errors.Is(err, store.ErrNoRows) {
				return err
			}
			if found = err == nil && (until == 0 || until > now); found {
				return nil
			}
		}
		return nil
	})
	if err != nil {
		return false, fmt.Errorf("asking the own list of breached passwords: %w", err)
	}
	return found, nil
}
