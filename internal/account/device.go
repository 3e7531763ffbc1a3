package account

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"troth/internal/access"
	"troth/internal/id"
	"troth/internal/keys"
	"troth/internal/secret"
	"troth/internal/store"
)

// DeviceLife is how long a browser keeps its device cookie after the last
// sign-in, and how long it is known here.
const DeviceLife = 400 * 24 * time.Hour // the longest that browsers keep one (RFC 6265bis, 5.5)

// maxDevices bounds the known browsers of one account; the oldest go first.
const maxDevices = 50

// device is a browser in which an account has signed in. Whoever holds its
// token has proven nothing by it: it opens a budget of guesses that strangers
// cannot use up (OWASP, "Slow Down Online Guessing Attacks with Device
// Cookies"), and stands in for a second factor where its holder asked for that.
type device struct {
	device     id.Device
	account    id.Account
	digest     secret.Digest
	place      []byte // sealed
	createdAt  int64
	seenAt     int64
	remembered int64 // until when; 0 is not
}

// remembers reports whether the browser stands in for a second factor.
func (d device) remembers(now time.Time) bool { return store.Micros(now) < d.remembered }

func (d device) at() keys.Place {
	return keys.Place{Tenant: id.Platform, Table: "account_device", Column: "place", Row: string(d.device)}
}

// deviceRandom is how many of a token's bytes are random; the others are a MAC
// over them, so that made-up tokens cost no query.
const deviceRandom = 32

// newDevice makes the token of a browser that has none.
func (a *Accounts) newDevice(ctx context.Context) (secret.String, error) {
	b := make([]byte, deviceRandom, 2*deviceRandom+1)
	rand.Read(b) // never fails: crypto/rand stops the program instead
	mac, err := a.Keys.Index(ctx, "", "account_device.token", string(b))
	if err != nil {
		return secret.String{}, fmt.Errorf("signing the token of a device: %w", err)
	}
	return secret.Of(base64.RawURLEncoding.EncodeToString(append(b, mac...))), nil
}

// deviceOf is the digest of a device token that was made here; false for
// anything else.
func (a *Accounts) deviceOf(ctx context.Context, token secret.String) (secret.Digest, bool, error) {
	if len(token.Reveal()) != base64.RawURLEncoding.EncodedLen(2*deviceRandom+1) {
		return secret.Digest{}, false, nil
	}
	b, err := base64.RawURLEncoding.DecodeString(token.Reveal())
	if err != nil || base64.RawURLEncoding.EncodeToString(b) != token.Reveal() {
		return secret.Digest{}, false, nil
	}
	macs, err := a.Keys.Indexes(ctx, "", "account_device.token", string(b[:deviceRandom]))
	if err != nil {
		return secret.Digest{}, false, fmt.Errorf("checking the token of a device: %w", err)
	}
	for _, mac := range macs {
		if subtle.ConstantTimeCompare(mac, b[deviceRandom:]) == 1 {
			return sha256.Sum256([]byte(token.Reveal())), true, nil
		}
	}
	return secret.Digest{}, false, nil
}

// browser is the browser of an attempt: the token that it holds or gets.
type browser struct {
	token  secret.String
	digest secret.Digest
	held   bool          // it held the token already
	fresh  secret.String // the token that it gets if the account is new to it
}

// browser reads the device cookie of an attempt, and makes a token in case that
// the browser needs one.
func (a *Accounts) browser(ctx context.Context, token secret.String) (browser, error) {
	digest, held, err := a.deviceOf(ctx, token)
	if err != nil {
		return browser{}, err
	}
	fresh, err := a.newDevice(ctx)
	return browser{token: token, digest: digest, held: held, fresh: fresh}, err
}

// settleTx decides which token the browser of a sign-in has from now on. One in
// which the account never signed in gets another token, for every account that
// has signed in there: a token that somebody planted is worth nothing to them
// once the account has begun to use it.
func (a *Accounts) settleTx(tx *store.Tx, r row, b *browser) (device, error) {
	if b.held {
		d, known, err := deviceTx(tx, r.account, b.digest)
		if err != nil || known {
			return d, err
		}
	}
	old := b.digest
	b.token, b.digest = b.fresh, sha256.Sum256([]byte(b.fresh.Reveal()))
	if !b.held {
		return device{}, nil
	}
	_, err := tx.Exec(`UPDATE account_device SET digest = $1 WHERE digest = $2`, b.digest[:], old[:])
	return device{}, err
}

// deviceTx finds the browser that holds a token, if the account has signed in
// there. The token was checked by [Accounts.deviceOf].
func deviceTx(tx *store.Tx, account id.Account, digest secret.Digest) (device, bool, error) {
	d := device{account: account, digest: digest}
	err := tx.QueryRow(`SELECT device, place, created_at, seen_at, remembered_until FROM account_device WHERE account = $1 AND digest = $2`,
		account, digest[:]).Scan(&d.device, &d.place, &d.createdAt, &d.seenAt, &d.remembered)
	if errors.Is(err, store.ErrNoRows) {
		return device{}, false, nil
	}
	return d, err == nil, err
}

// meetTx notes that an account signed in in a browser, and until when it asks
// for no second factor there; 0 leaves that as it was. It reports whether the
// browser is new to the account.
func (a *Accounts) meetTx(ctx context.Context, tx *store.Tx, by access.Subject, r row, digest secret.Digest, remembered int64) (id.Device, bool, error) {
	now := a.now()
	d, known, err := deviceTx(tx, r.account, digest)
	if err != nil {
		return "", false, err
	}
	if !known {
		d = device{device: id.New[id.Device](now), account: r.account, digest: digest, createdAt: store.Micros(now)}
	}
	if d.place, err = a.sealOrigin(ctx, d.at(), r.account, originOf(by)); err != nil {
		return "", false, err
	}
	if remembered != 0 {
		d.remembered = remembered
	}
	_, err = tx.Exec(`INSERT INTO account_device (device, account, digest, place, created_at, seen_at, remembered_until)
		VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (device) DO UPDATE SET place = excluded.place, seen_at = excluded.seen_at, remembered_until = excluded.remembered_until`,
		d.device, d.account, d.digest[:], d.place, d.createdAt, store.Micros(now), d.remembered)
	if err != nil {
		return "", false, err
	}
	_, err = tx.Exec(`DELETE FROM account_device WHERE account = $1 AND device NOT IN
		(SELECT device FROM account_device WHERE account = $2 ORDER BY seen_at DESC, device DESC LIMIT $3)`, r.account, r.account, maxDevices)
	return d.device, !known, err
}

// forgetDevicesTx makes every browser ask for a second factor again.
func forgetDevicesTx(tx *store.Tx, account id.Account) error {
	_, err := tx.Exec(`UPDATE account_device SET remembered_until = 0 WHERE account = $1`, account)
	return err
}
