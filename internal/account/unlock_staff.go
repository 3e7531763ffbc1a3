package account

import (
	"context"
	"fmt"

	"troth/internal/access"
	"troth/internal/fault"
	"troth/internal/mail"
	"troth/internal/store"
	"troth/internal/text"
)

// The permission to unlock accounts, which staff have.
const permUnlock access.Permission = "account.unlock"

var errOwnUnlock = fault.New(fault.Denied, "account.own_unlock", "Nobody unlocks the own account. Ask another member of staff.")

// UnlockFor forgets all wrong guesses at an account that is found by its address,
// for staff who may (account.unlock), and tells its holder. It reports whether
// there were any. It takes one of the staff, where a recovery takes two: all that
// it gives is further guesses. The reason stands in the log of the account.
func (a *Accounts) UnlockFor(ctx context.Context, by access.Subject, email, reason string) (locked bool, err error) {
	if err := helper(by, permUnlock); err != nil {
		return false, err
	}
	email, err = readEmail(email)
	if err != nil {
		return false, err
	}
	if reason, err = readReason(reason); err != nil {
		return false, err
	}
	indexes, err := a.indexes(ctx, email)
	if err != nil {
		return false, err
	}
	err = a.DB.Write(ctx, func(tx *store.Tx) error {
		r, err := byEmail(tx, indexes)
		switch {
		case err != nil:
			return err
		case !r.state.returns():
			return errNobodyHas
		case r.account == by.Account:
			return errOwnUnlock
		}
		if locked, err = a.unlockTx(tx, r.account); err != nil {
			return err
		}
		present, err := a.open(ctx, r.person, "email", r.email) // never what was typed
		if err != nil {
			return err
		}
		if err := a.tellTx(ctx, tx, r.person, present, a.unlockedLetter); err != nil {
			return err
		}
		_, err = a.Log.AppendTx(tx, a.event(evUnlockedFor, by, r.person, map[string]string{"reason": reason}))
		return err
	})
	if err != nil {
		return false, fmt.Errorf("unlocking an account: %w", err)
	}
	return locked, nil
}

func (a *Accounts) unlockedLetter(to string, about person) mail.Message {
	return a.letter("account.unlocked", to, about,
		text.New("Your account was unlocked"),
		text.New("Staff of %s forgot the wrong passwords and codes that were entered for your account: your password is taken in new browsers again. Nothing else was changed.", a.Origin),
		text.New("If you did not ask them for it, ask them why they did it."),
	)
}
