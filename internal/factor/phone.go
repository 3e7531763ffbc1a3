package factor

import (
	"context"
	"fmt"

	"troth/internal/access"
	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/secret"
	"troth/internal/sms"
	"troth/internal/store"
	"troth/internal/text"
)

var (
	errNoPlan   = fault.New(fault.Conflict, "factor.no_plan", "Codes by text message are not part of the plan of any organisation that you are in. Use a passkey or an authenticator app: both are safer.")
	errSentCode = fault.New(fault.Invalid, "factor.wrong_code", "This code is not right, or it has expired. Enter the newest one that was sent to you, or ask for another.").On("code")
)

// toTelephone names the purpose of the code that confirms a number.
func toTelephone(which id.Factor) string { return "telephone/" + string(which) }

// BeginPhone sends a code to a number, which counts for nothing until
// [Factors.ConfirmPhone]. It is fault.Conflict where no plan has text messages.
func (f *Factors) BeginPhone(ctx context.Context, by access.Subject, number string) (id.Factor, error) {
	if err := own(by); err != nil {
		return "", err
	}
	to, err := sms.ParseNumber(number)
	if err != nil {
		return "", err
	}
	now := f.Now()
	which := id.New[id.Factor](now)
	err = f.DB.Write(ctx, func(tx *store.Tx) error {
		if err := f.mayTextTx(ctx, tx, by.Account); err != nil {
			return err
		}
		if err := f.Texts.Allowed(to); err != nil {
			return err
		}
		h, err := f.Holders.HolderTx(ctx, tx, by.Account)
		if err != nil {
			return err
		}
		if _, err := dropTx(tx, by.Account, KindText, true, ""); err != nil {
			return err
		}
		r := row{id: which, account: by.Account, home: h.Home, kind: KindText, createdAt: store.Micros(now)}
		if err := f.storeTx(ctx, tx, r, "", []byte(to)); err != nil {
			return err
		}
		return f.sendToPhoneTx(ctx, tx, by, r, to)
	})
	if err != nil {
		return "", fmt.Errorf("beginning to set a telephone up: %w", err)
	}
	return which, nil
}

// mayTextTx is nil where a telephone may be set up.
func (f *Factors) mayTextTx(ctx context.Context, tx *store.Tx, account id.Account) error {
	ok, err := f.Plans.TextsTx(ctx, tx, account)
	if err != nil {
		return err
	}
	if !ok || !f.Texts.Ready() {
		return errNoPlan
	}
	return nil
}

// sendToPhoneTx sends the code that confirms a number. Whoever enters one number
// after the other is stopped by the bounds of package sms.
func (f *Factors) sendToPhoneTx(ctx context.Context, tx *store.Tx, by access.Subject, r row, to sms.Number) error {
	if _, err := f.Log.AppendTx(tx, f.event(evSent, by, r.home, r.account, KindText)); err != nil {
		return err
	}
	return f.textTx(ctx, tx, r, to, toTelephone(r.id))
}

// Phone is a number that is being set up, masked; fault.NotFound once it counts.
func (f *Factors) Phone(ctx context.Context, by access.Subject, which id.Factor) (masked string, err error) {
	if err := own(by); err != nil {
		return "", err
	}
	var r row
	err = f.DB.Read(ctx, func(tx *store.Tx) (err error) {
		r, err = f.pendingTx(tx, by, which, KindText)
		return err
	})
	if err != nil {
		return "", err
	}
	to, err := f.number(ctx, r)
	return to.Masked(), err
}

func (f *Factors) number(ctx context.Context, r row) (sms.Number, error) {
	b, err := f.open(ctx, r, "secret", r.secret)
	return sms.Number(b.Reveal()), err
}

// ResendPhone sends another code to a number that is being set up.
func (f *Factors) ResendPhone(ctx context.Context, by access.Subject, which id.Factor) error {
	if err := own(by); err != nil {
		return err
	}
	err := f.DB.Write(ctx, func(tx *store.Tx) error {
		if err := f.mayTextTx(ctx, tx, by.Account); err != nil {
			return err
		}
		r, err := f.pendingTx(tx, by, which, KindText)
		if err != nil {
			return err
		}
		to, err := f.number(ctx, r)
		if err != nil {
			return err
		}
		return f.sendToPhoneTx(ctx, tx, by, r, to)
	})
	if err != nil {
		return fmt.Errorf("sending a code again: %w", err)
	}
	return nil
}

// ConfirmPhone lets a number count, once the code that was sent to it is
// entered. A number that counted before does so no longer. It reports whether
// recovery codes are missing now.
func (f *Factors) ConfirmPhone(ctx context.Context, by access.Subject, which id.Factor, code secret.String) (noRecovery bool, err error) {
	if err := own(by); err != nil {
		return false, err
	}
	wrong := false
	err = f.DB.Write(ctx, func(tx *store.Tx) error {
		r, err := f.pendingTx(tx, by, which, KindText)
		if err != nil {
			return err
		}
		ok, err := f.checkTx(ctx, tx, by.Account, KindText, toTelephone(r.id), code)
		if err != nil {
			return err
		}
		if wrong = !ok; wrong {
			tx.Unaudited("counts a wrong answer to a code that confirms a number")
			return nil
		}
		if ok, err := confirmTx(tx, r, 0, f.Now()); err != nil || !ok {
			return orNone(err)
		}
		left, _, err := codesLeftTx(tx, by.Account)
		if err != nil {
			return err
		}
		noRecovery = left == 0
		replaced, err := dropTx(tx, by.Account, KindText, false, r.id)
		if err != nil {
			return err
		}
		name, what := evAdded, text.New("A telephone number was set up to get codes for signing in.")
		if replaced > 0 {
			name, what = evReplaced, text.New("The telephone number that gets codes for signing in was changed to another one.")
		}
		return f.changed(ctx, tx, by, r.home, by.Account, name, KindText, what, replaced > 0)
	})
	if err == nil && wrong {
		err = errSentCode
	}
	if err != nil {
		return false, fmt.Errorf("setting a telephone up: %w", err)
	}
	return noRecovery, nil
}
