package factor

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"troth/internal/access"
	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/secret"
	"troth/internal/store"
	"troth/internal/text"
)

const (
	maxApps = 10 // of one account
	maxName = 50 // code points
)

// Enrolment is an authenticator app that is being set up.
type Enrolment struct {
	ID      id.Factor
	Name    string
	Account string        // the address, as the app shows it
	Key     secret.String // in groups of four, for typing
	Link    secret.String // for an app on the same device
	Picture Picture       // of the link, for an app on another one
}

// readName reads what a person calls a factor; nothing is the given name.
func readName(s, otherwise string) (string, error) {
	s = norm.NFC.String(strings.Join(strings.Fields(s), " "))
	switch {
	case s == "":
		return otherwise, nil
	case !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }):
		return "", fault.New(fault.Invalid, "factor.name", "Use only visible characters in the name.").On("name")
	case utf8.RuneCountInString(s) > maxName:
		return "", fault.New(fault.Invalid, "factor.name", "Use at most %d characters for the name.", maxName).On("name")
	}
	return s, nil
}

// BeginApp makes the secret of an authenticator app, which counts for nothing
// until [Factors.ConfirmApp]. One that was begun before and not confirmed is
// forgotten.
func (f *Factors) BeginApp(ctx context.Context, by access.Subject, name string) (id.Factor, error) {
	if err := own(by); err != nil {
		return "", err
	}
	name, err := readName(name, f.Printer.Say(text.New("Authenticator app")))
	if err != nil {
		return "", err
	}
	key := make([]byte, keySize)
	rand.Read(key) // never fails: crypto/rand stops the program instead
	now := f.Now()
	which := id.New[id.Factor](now)
	err = f.DB.Write(ctx, func(tx *store.Tx) error {
		tx.Unaudited("an app that is being set up counts for nothing until a code from it is entered, which is audited")
		all, err := factorsTx(tx, by.Account)
		if err != nil {
			return err
		}
		if count(all, KindApp) >= maxApps {
			return fault.New(fault.Conflict, "factor.too_many_apps", "You have %d authenticator apps. Remove one that you do not use any more first.", maxApps)
		}
		if _, err := dropTx(tx, by.Account, KindApp, true, ""); err != nil {
			return err
		}
		h, err := f.Holders.HolderTx(ctx, tx, by.Account)
		if err != nil {
			return err
		}
		r := row{id: which, account: by.Account, home: h.Home, kind: KindApp, createdAt: store.Micros(now)}
		return f.storeTx(ctx, tx, r, name, key)
	})
	if err != nil {
		return "", fmt.Errorf("beginning to set an app up: %w", err)
	}
	return which, nil
}

// storeTx seals and stores a factor.
func (f *Factors) storeTx(ctx context.Context, tx *store.Tx, r row, name string, value []byte) (err error) {
	if r.name, err = f.seal(ctx, r, "name", []byte(name)); err != nil {
		return err
	}
	if r.secret, err = f.seal(ctx, r, "secret", value); err != nil {
		return err
	}
	return insertTx(tx, r)
}

func count(all []row, kind string) (n int) {
	for _, r := range all {
		if r.kind == kind {
			n++
		}
	}
	return n
}

// pendingTx is a factor that waits for its first code; errNone for any other.
func (f *Factors) pendingTx(tx *store.Tx, by access.Subject, which id.Factor, kind string) (row, error) {
	r, err := factorTx(tx, by.Account, which)
	if err != nil {
		return row{}, err
	}
	if r.kind != kind || r.confirmedAt != 0 || !f.Now().Before(store.FromMicros(r.createdAt).Add(pendingLife)) {
		return row{}, errNone
	}
	return r, nil
}

// App shows an app that is being set up, secret included; fault.NotFound once
// it counts: nobody sees the secret again.
func (f *Factors) App(ctx context.Context, by access.Subject, which id.Factor) (Enrolment, error) {
	if err := own(by); err != nil {
		return Enrolment{}, err
	}
	var r row
	var h Holder
	err := f.DB.Read(ctx, func(tx *store.Tx) (err error) {
		if r, err = f.pendingTx(tx, by, which, KindApp); err != nil {
			return err
		}
		h, err = f.Holders.HolderTx(ctx, tx, by.Account)
		return err
	})
	if err != nil {
		return Enrolment{}, err
	}
	key, err := f.open(ctx, r, "secret", r.secret)
	if err != nil {
		return Enrolment{}, err
	}
	e := Enrolment{ID: r.id, Account: h.Email}
	if e.Name, err = f.name(ctx, r); err != nil {
		return Enrolment{}, err
	}
	plain := base.EncodeToString(key.Reveal())
	address := link(f.Service, h.Email, plain)
	e.Key, e.Link = secret.Of(grouped(plain, " ")), secret.Of(address)
	e.Picture, err = picture(address)
	return e, err
}

var errCode = fault.New(fault.Invalid, "factor.wrong_code", "This code is not right. Enter the six digits that the app shows now, before they change.").On("code")

// ConfirmApp lets an app count, once a code from it is entered. A code that
// would be right on a clock that is minutes off is refused, and the fault says
// by how much. It reports whether recovery codes are missing now.
func (f *Factors) ConfirmApp(ctx context.Context, by access.Subject, which id.Factor, code secret.String) (noRecovery bool, err error) {
	if err := own(by); err != nil {
		return false, err
	}
	err = f.DB.Write(ctx, func(tx *store.Tx) error {
		r, err := f.pendingTx(tx, by, which, KindApp)
		if err != nil {
			return err
		}
		key, err := f.open(ctx, r, "secret", r.secret)
		if err != nil {
			return err
		}
		now := f.Now()
		step, ok, err := match(key, typed(code), stepAt(now), reach)
		if err != nil {
			return err
		}
		if off := step - stepAt(now); !ok {
			return errCode
		} else if abs(off) > window {
			return clockFault(off)
		}
		if ok, err := confirmTx(tx, r, step, now); err != nil || !ok {
			return orNone(err)
		}
		left, _, err := codesLeftTx(tx, by.Account)
		if err != nil {
			return err
		}
		noRecovery = left == 0
		return f.changed(ctx, tx, by, r.home, by.Account, evAdded, KindApp, text.New("An authenticator app was set up for signing in."), false)
	})
	if err != nil {
		return false, fmt.Errorf("setting an app up: %w", err)
	}
	return noRecovery, nil
}

// clockFault says by how much the clock of a device is off.
func clockFault(off int64) error {
	by := time.Duration(abs(off)) * period * time.Second
	minutes, seconds := int(by/time.Minute), int(by%time.Minute/time.Second)
	if off > 0 {
		return fault.New(fault.Invalid, "factor.clock", "The code belongs to this app, but the clock of the device is about %d minutes and %d seconds fast. Let the device set its clock by the network, then enter the next code.", minutes, seconds).On("code")
	}
	return fault.New(fault.Invalid, "factor.clock", "The code belongs to this app, but it is about %d minutes and %d seconds old: the clock of the device is slow by that. Let the device set its clock by the network, then enter the next code.", minutes, seconds).On("code")
}

func orNone(err error) error {
	if err != nil {
		return err
	}
	return errNone
}
