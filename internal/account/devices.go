package account

import (
	"context"
	"errors"
	"fmt"
	"time"

	"troth/internal/access"
	"troth/internal/audit"
	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/secret"
	"troth/internal/store"
)

// Device is a browser in which an account has signed in, as its holder sees it.
type Device struct {
	ID         id.Device `json:"id"`
	Current    bool      `json:"current"`
	Device     string    `json:"device"` // "Firefox on Linux"
	Spot                 // at the last sign-in
	FirstAt    time.Time `json:"first_at"`
	SignedIn   time.Time `json:"signed_in_at"`              // last
	Remembered time.Time `json:"remembered_until,omitzero"` // it stands in for a second factor until then
}

// Devices lists the browsers in which the one who asks has signed in, the one
// with the last sign-in first.
func (a *Accounts) Devices(ctx context.Context, by access.Subject) ([]Device, error) {
	if err := own(by); err != nil {
		return nil, err
	}
	var stored []device
	var current id.Device
	err := a.DB.Read(ctx, func(tx *store.Tx) (err error) {
		if current, err = deviceOfTx(tx, by.Session); err != nil {
			return err
		}
		stored, err = devicesTx(tx, by.Account)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listing browsers: %w", err)
	}
	all := make([]Device, len(stored))
	for i, d := range stored {
		from, err := a.openOrigin(ctx, d.at(), d.account, d.place)
		if err != nil {
			return nil, err
		}
		all[i] = Device{
			ID: d.device, Current: d.device == current, Device: audit.Device(from.Agent), Spot: a.spot(from),
			FirstAt: store.FromMicros(d.createdAt), SignedIn: store.FromMicros(d.seenAt),
		}
		if d.remembers(a.now()) {
			all[i].Remembered = store.FromMicros(d.remembered)
		}
	}
	return all, nil
}

// devicesTx lists the browsers that are known.
func devicesTx(tx *store.Tx, account id.Account) ([]device, error) {
	rows, err := tx.Query(`SELECT device, place, created_at, seen_at, remembered_until FROM account_device
		WHERE account = $1 AND place IS NOT NULL ORDER BY seen_at DESC, device DESC`, account)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []device
	for rows.Next() {
		d := device{account: account}
		if err := rows.Scan(&d.device, &d.place, &d.createdAt, &d.seenAt, &d.remembered); err != nil {
			return nil, err
		}
		all = append(all, d)
	}
	return all, rows.Err()
}

// newestDeviceTx is the browser of the last sign-in; none is the zero device.
func newestDeviceTx(tx *store.Tx, account id.Account) (device, error) {
	d := device{account: account}
	err := tx.QueryRow(`SELECT device, place, seen_at FROM account_device
		WHERE account = $1 AND place IS NOT NULL ORDER BY seen_at DESC, device DESC LIMIT 1`, account).Scan(&d.device, &d.place, &d.seenAt)
	if errors.Is(err, store.ErrNoRows) {
		return device{}, nil
	}
	return d, err
}

// deviceOfTx is the browser of a session, "" where that is not known.
func deviceOfTx(tx *store.Tx, session id.Session) (device id.Device, err error) {
	err = tx.QueryRow(`SELECT device FROM session WHERE session = $1`, session).Scan(&device)
	if errors.Is(err, store.ErrNoRows) {
		return "", nil
	}
	return device, err
}

// metTx reports whether an account was ever in use in a browser: in one that is
// known, forgotten ones included, or in a session besides the one of who asks, as
// that in which an account was made by a link of the operator.
func metTx(tx *store.Tx, account id.Account, but id.Session) (bool, error) {
	var n int
	err := tx.QueryRow(`SELECT (SELECT COUNT(*) FROM account_device WHERE account = $1) +
		(SELECT COUNT(*) FROM session WHERE account = $2 AND session <> $3)`, account, account, but).Scan(&n)
	return n > 0, err
}

var errNoDevice = fault.New(fault.NotFound, "account.no_device", "This browser is not one of yours, or it is forgotten already.")

// ForgetDevice makes a browser of the one who asks as unknown as any other: a
// second factor is asked for there again, wrong passwords count there as a
// stranger's do, and its next sign-in is told by mail. Its sessions go on.
func (a *Accounts) ForgetDevice(ctx context.Context, by access.Subject, which id.Device) error {
	if err := own(by); err != nil {
		return err
	}
	err := a.DB.Write(ctx, func(tx *store.Tx) error {
		r, err := byID(tx, by.Account)
		if err != nil {
			return err
		}
		known, err := forgetDeviceTx(tx, by.Account, which)
		if err != nil {
			return err
		}
		if !known {
			return errNoDevice
		}
		_, err = a.Log.AppendTx(tx, a.event(evForgotten, by, r.person, nil))
		return err
	})
	if err != nil {
		return fmt.Errorf("forgetting a browser: %w", err)
	}
	return nil
}

// forgetDeviceTx forgets one browser, and reports whether it was known. The row
// stays without what names it, so that a forgotten browser does not make the next
// one the first.
func forgetDeviceTx(tx *store.Tx, account id.Account, which id.Device) (known bool, err error) {
	var digest []byte
	err = tx.QueryRow(`SELECT digest FROM account_device WHERE account = $1 AND device = $2 AND place IS NOT NULL`, account, which).Scan(&digest)
	if errors.Is(err, store.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	pass := passOf(account, secret.Digest(digest))
	if _, err := tx.Exec(`DELETE FROM account_link WHERE digest = $1`, pass[:]); err != nil {
		return false, err
	}
	_, err = tx.Exec(`UPDATE account_device SET digest = $1, place = NULL, remembered_until = 0 WHERE account = $2 AND device = $3`,
		[]byte(which), account, which) // the digest of no token: it has another length
	return true, err
}
