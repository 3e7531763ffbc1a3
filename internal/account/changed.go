package account

import (
	"context"
	"fmt"

	"troth/internal/access"
	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/mail"
	"troth/internal/password"
	"troth/internal/store"
	"troth/internal/text"
)

// change is a change of what an account proves itself with.
type change struct {
	letter func(to string, about person) mail.Message // what the holder is told
	ends   bool                                       // sessions end
	keep   id.Session                                 // but this one
}

// changedTx is what every change of credentials brings, in its transaction:
// links that set a password and sign-ins that wait are void, browsers stand in
// for no second factor any more, sessions end where that is asked (OWASP ASVS
// 5.0, 7.4.3), and the holder is told at every address of the account (6.3.7).
func (a *Accounts) changedTx(ctx context.Context, tx *store.Tx, v Account, c change) (sessions int64, err error) {
	if err := dropLinks(tx, v.ID, resetLinks...); err != nil {
		return 0, err
	}
	if err := startAnewTx(tx, v.ID); err != nil {
		return 0, err
	}
	if c.ends {
		if sessions, err = endSessions(tx, `account = $1 AND session <> $2`, v.ID, c.keep); err != nil {
			return 0, err
		}
	}
	return sessions, a.tellTx(ctx, tx, person{v.ID, v.Home}, v.Email, c.letter)
}

// startAnewTx voids what was proven about an account: sign-ins that wait, and
// browsers that stand in for a second factor.
func startAnewTx(tx *store.Tx, account id.Account) error {
	if _, err := tx.Exec(`DELETE FROM account_pending WHERE account = $1`, account); err != nil {
		return err
	}
	return forgetDevicesTx(tx, account)
}

// passwordChangedTx is what every new password brings: all sessions end, wrong
// guesses at the one before are forgotten, and so is a change of address that
// waits: whoever began it may be the reason for the new password.
func (a *Accounts) passwordChangedTx(ctx context.Context, tx *store.Tx, v Account) (sessions int64, err error) {
	return a.newPasswordTx(ctx, tx, v, a.changedLetter)
}

// newPasswordTx is passwordChangedTx with another letter.
func (a *Accounts) newPasswordTx(ctx context.Context, tx *store.Tx, v Account, letter func(to string, about person) mail.Message) (sessions int64, err error) {
	if _, err := a.forgetGuessesTx(tx, v.ID); err != nil {
		return 0, err
	}
	if err := endAddressTx(tx, v.ID); err != nil {
		return 0, err
	}
	return a.changedTx(ctx, tx, v, change{letter: letter, ends: true})
}

var errShortNeedsFactor = fault.New(fault.Conflict, "account.short_needs_factor",
	"Your password is shorter than %d characters, which is enough only together with a second factor. Set a longer one first; then you can remove the last factor.", password.MinLength)

// FactorChangedTx is what a changed second factor brings, in the transaction
// in which it is set up or removed. What says it in a sentence for the holder's
// mail. Where one was removed, every other session ends, and a password that is
// too short to stand alone keeps the last counting one (SP 800-63B-4, 3.1.1.2):
// fault.Conflict.
func (a *Accounts) FactorChangedTx(ctx context.Context, tx *store.Tx, by access.Subject, account id.Account, what text.Text, removed bool) error {
	r, err := byID(tx, account)
	if err != nil || r.state != Active {
		return orUnknown(err)
	}
	v, err := a.view(ctx, r)
	if err != nil {
		return err
	}
	if removed && r.passwordShort {
		_, counts, err := a.offersTx(ctx, tx, account)
		if err != nil {
			return err
		}
		if !counts {
			return errShortNeedsFactor
		}
	}
	if err := a.forgetCodesTx(tx, account); err != nil {
		return err
	}
	c := change{letter: a.factorLetter(what), ends: removed}
	if by.Account == account {
		c.keep = by.Session
	}
	if _, err := a.changedTx(ctx, tx, v, c); err != nil {
		return fmt.Errorf("noting that a second factor changed: %w", err)
	}
	return nil
}
