package account

import (
	"context"
	"fmt"

	"troth/internal/access"
	"troth/internal/id"
	"troth/internal/secret"
	"troth/internal/store"
)

// What the operator does on the host is done by one person: whoever has the
// host has the keys, and two hands could be feigned. It is in the log, and the
// holder is told; the way by two members of staff is recover_staff.go.

// Recover issues a link with which the holder of an account sets a new
// password, and ends every session: for somebody who lost password and
// mailbox, by the operator on the host. Every address of the account is told.
// The second factor stays, and is asked for at the next sign-in.
func (a *Accounts) Recover(ctx context.Context, by access.Subject, account id.Account) (secret.String, error) {
	return a.issueRecovery(ctx, by, account, linkRecover)
}

// Rescue is Recover for somebody who lost the second factor too: using the link
// removes it. It is the only way back for the last member of staff.
func (a *Accounts) Rescue(ctx context.Context, by access.Subject, account id.Account) (secret.String, error) {
	return a.issueRecovery(ctx, by, account, linkRescue)
}

func (a *Accounts) issueRecovery(ctx context.Context, by access.Subject, account id.Account, kind string) (secret.String, error) {
	if err := onHost(by); err != nil {
		return secret.String{}, err
	}
	r, v, err := a.findKept(ctx, account)
	if err == nil && r.state == Suspended {
		err = errAsleep
	}
	if err != nil {
		return secret.String{}, err
	}
	token, l, err := a.newLink(ctx, kind, r.account, recoveryLife, nil)
	if err != nil {
		return secret.String{}, err
	}
	name := evRecovery
	if kind == linkRescue {
		name = evRescue
	}
	err = a.DB.Write(ctx, func(tx *store.Tx) error {
		if err := dropLinks(tx, r.account, resetLinks...); err != nil {
			return err
		}
		if err := insertLink(tx, l); err != nil {
			return err
		}
		n, err := endSessions(tx, `account = $1`, r.account)
		if err != nil {
			return err
		}
		if err := a.tellTx(ctx, tx, r.person, v.Email, a.recoveryLetter); err != nil {
			return err
		}
		_, err = a.Log.AppendTx(tx, a.event(name, by, r.person, counted(n)))
		return err
	})
	if err != nil {
		return secret.String{}, fmt.Errorf("issuing a recovery link: %w", err)
	}
	return a.URL(PathReset, token), nil
}

// rescuedTx removes the second factors of an account whose password was just
// set by a link of the operator.
func (a *Accounts) rescuedTx(ctx context.Context, tx *store.Tx, by access.Subject, r row, v Account) error {
	if err := a.forgetFactorsTx(tx, r.account); err != nil {
		return err
	}
	if err := endWaitingTx(tx, r.account); err != nil {
		return err
	}
	ended, err := a.newPasswordTx(ctx, tx, v, a.recoveredLetter)
	if err != nil {
		return err
	}
	e := a.event(evRecovered, by, r.person, counted(ended))
	e.Actor = self(r.account)
	_, err = a.Log.AppendTx(tx, e)
	return err
}
