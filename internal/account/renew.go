package account

import (
	"context"
	"fmt"

	"troth/internal/access"
	"troth/internal/fault"
	"troth/internal/secret"
	"troth/internal/store"
)

var errNotNow = fault.New(fault.Conflict, "account.not_now", "This sign-in waits for something else. Go back to it, or sign in again.")

// Renew takes the step [StepPassword] of a pending sign-in: it sets another
// password, which ends every session and every other sign-in, and goes on.
// fault.Invalid on the field "password" says what is wrong with it, and leaves
// the sign-in as it is. The holder gets a mail.
func (a *Accounts) Renew(ctx context.Context, by access.Subject, token, chosen secret.String) (Outcome, error) {
	p, err := a.Pending(ctx, token)
	if err != nil {
		return Outcome{}, err
	}
	if p.Next != StepPassword {
		return Outcome{}, errNotNow
	}
	v, err := a.Get(ctx, p.Account)
	if err != nil {
		return Outcome{}, err
	}
	next, err := a.chooseFor(ctx, chosen, v)
	if err != nil {
		return Outcome{}, err
	}
	if err := a.another(ctx, p, next); err != nil {
		return Outcome{}, err
	}
	phc, err := a.Hashing.Hash(ctx, next)
	if err != nil {
		return Outcome{}, err
	}
	digest, _ := secret.DigestOf(token.Reveal())
	var out Outcome
	err = a.DB.Write(ctx, func(tx *store.Tx) (err error) {
		out, err = a.renewTx(ctx, tx, by, token, digest, next, phc)
		return err
	})
	if err != nil {
		return Outcome{}, fmt.Errorf("setting another password at sign-in: %w", err)
	}
	return out, nil
}

var errSamePassword = fault.New(fault.Invalid, "account.same_password", "This is the password that others may have. Choose another one.").On("password")

// another refuses the present password where that was exposed: it may stand in
// no list, and have been found beside the address.
func (a *Accounts) another(ctx context.Context, p Pending, next secret.String) error {
	if p.Renew != RenewExposed {
		return nil
	}
	r, _, err := a.findKept(ctx, p.Account)
	if err != nil {
		return err
	}
	same, err := a.Hashing.Verify(ctx, r.password, next)
	if err != nil {
		return err
	}
	if same.Match {
		return errSamePassword
	}
	return nil
}

// renewTx sets the password of a sign-in that waits for one, and goes on with
// it under the new one.
func (a *Accounts) renewTx(ctx context.Context, tx *store.Tx, by access.Subject, token secret.String, digest secret.Digest, next secret.String, phc string) (Outcome, error) {
	o, r, err := a.pendingTx(tx, digest)
	if err != nil {
		return Outcome{}, err
	}
	n, err := a.needsTx(ctx, tx, r, o)
	if err != nil {
		return Outcome{}, err
	}
	if n.step != StepPassword {
		return Outcome{}, errNotNow
	}
	if err := a.standsTx(ctx, tx, r.account, next); err != nil {
		return Outcome{}, err
	}
	if ok, err := setPassword(tx, r.account, r.password, phc, short(next), a.now()); err != nil || !ok {
		return Outcome{}, orStale(err)
	}
	v, err := a.view(ctx, r)
	if err != nil {
		return Outcome{}, err
	}
	ended, err := a.passwordChangedTx(ctx, tx, v)
	if err != nil {
		return Outcome{}, err
	}
	e := a.event(evRenewed, by, r.person, counted(ended))
	e.Actor = self(r.account)
	if _, err := a.Log.AppendTx(tx, e); err != nil {
		return Outcome{}, err
	}
	if r, err = byID(tx, r.account); err != nil {
		return Outcome{}, err
	}
	o.passwordAt, o.renew = r.passwordAt, RenewNot
	return a.advanceTx(ctx, tx, by, r, o, token)
}

func orStale(err error) error {
	if err != nil {
		return err
	}
	return errStale
}
