package account

import (
	"context"
	"fmt"
	"strings"
	"unicode/utf8"

	"troth/internal/access"
	"troth/internal/audit"
	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/secret"
	"troth/internal/store"
)

// An account rests in one of two ways. Its holder can deactivate it, and comes
// back by signing in. The operator can suspend it, and then only the operator
// brings it back: every way in answers as if there were no such account. Either
// way nothing is lost: memberships, roles and everything that the holder made
// stay where they are, and the sessions end, and with them what the application
// is told.

// CoOwners knows who owns organisations together. Package tenant fills it.
type CoOwners interface {
	// CoOwnersTx lists the other owners of each organisation that an account
	// owns; the personal space is none. The answer is as fresh as the
	// transaction.
	CoOwnersTx(tx *store.Tx, account id.Account) ([][]id.Account, error)
}

// kept reports whether there is somebody behind an account still: a row with
// an address, and the keys with which it is sealed.
func (s State) kept() bool { return s == Active || s == Deactivated || s == Suspended }

// returns reports whether the holder of an account may come back by a mailed
// link and the password.
func (s State) returns() bool { return s == Active || s == Deactivated }

var (
	errSoleOwner = fault.New(fault.Conflict, "account.sole_owner", "You are the last active owner of an organisation. Make somebody else an owner first, or ask whoever runs this service to destroy the organisation.")
	errNotAway   = fault.New(fault.Conflict, "account.not_away", "The account is neither deactivated nor suspended. Nothing was changed.")
	errAway      = fault.New(fault.Conflict, "account.suspended", "The account is suspended already. Nothing was changed.")
	errAsleep    = fault.New(fault.Conflict, "account.asleep", "The account is suspended. Reactivate it first.")
	errReason    = fault.New(fault.Invalid, "account.reason", "Give a reason of 3 to 200 characters on one line: it stands in the log.").On("reason")
)

// Deactivate puts the account of the one who asks to rest. It is fault.Conflict
// for the last active owner of an organisation or of the installation.
func (a *Accounts) Deactivate(ctx context.Context, by access.Subject) error {
	if err := own(by); err != nil {
		return err
	}
	_, v, err := a.find(ctx, by.Account)
	if err != nil {
		return err
	}
	err = a.DB.Write(ctx, func(tx *store.Tx) error {
		r, err := byID(tx, by.Account)
		if err != nil || r.state != Active {
			return orUnknown(err)
		}
		if r.staff == StaffOwner {
			if err := lastActiveOwner(tx, r.account); err != nil {
				return err
			}
		}
		if alone, err := a.soleOwnedTx(tx, r.account); err != nil {
			return err
		} else if alone > 0 {
			return errSoleOwner
		}
		sessions, err := a.restTx(tx, r, Deactivated)
		if err != nil {
			return err
		}
		if err := a.tellTx(ctx, tx, r.person, v.Email, a.deactivatedLetter); err != nil {
			return err
		}
		_, err = a.Log.AppendTx(tx, a.event(evDeactivated, by, r.person, counted(sessions)))
		return err
	})
	if err != nil {
		return fmt.Errorf("deactivating an account: %w", err)
	}
	return nil
}

// Suspension is what suspending an account does, or would do.
type Suspension struct {
	Account  id.Account `json:"account"`
	Sessions int        `json:"sessions"`
	Orphans  int        `json:"organisations_without_owner"` // organisations that have no other active owner
}

// Suspend puts an account to rest for the operator on the host, with a reason
// that stands in the log. Its holder is told, without the reason, and cannot
// undo it. The operator is not held up by an organisation that is left without
// an owner; how many they are is in the answer. A dry run changes nothing.
func (a *Accounts) Suspend(ctx context.Context, by access.Subject, account id.Account, reason string, dry bool) (Suspension, error) {
	if err := onHost(by); err != nil {
		return Suspension{}, err
	}
	reason, err := readReason(reason)
	if err != nil {
		return Suspension{}, err
	}
	v, err := a.Get(ctx, account)
	if err != nil {
		return Suspension{}, err
	}
	s := Suspension{Account: account}
	work := func(tx *store.Tx) error {
		r, err := byID(tx, account)
		switch {
		case err != nil || !r.state.kept():
			return orUnknown(err)
		case r.state == Suspended:
			return errAway
		case r.staff == StaffOwner:
			if err := lastActiveOwner(tx, r.account); err != nil {
				return err
			}
		}
		if s.Orphans, err = a.soleOwnedTx(tx, account); err != nil || dry {
			return err
		}
		n, err := a.restTx(tx, r, Suspended)
		if err != nil {
			return err
		}
		s.Sessions = int(n)
		if err := a.tellTx(ctx, tx, r.person, v.Email, a.suspendedLetter); err != nil {
			return err
		}
		e := a.event(evSuspended, by, r.person, counted(n))
		e.Metadata["reason"] = reason
		_, err = a.Log.AppendTx(tx, e)
		return err
	}
	if dry {
		sessions, err := a.sessionsOf(ctx, account, "")
		s.Sessions = len(sessions)
		if err == nil {
			err = a.DB.Read(ctx, work)
		}
		return s, err
	}
	if err := a.DB.Write(ctx, work); err != nil {
		return Suspension{}, fmt.Errorf("suspending an account: %w", err)
	}
	return s, nil
}

// Reactivate wakes an account that rests, for the operator on the host. Its
// holder is told.
func (a *Accounts) Reactivate(ctx context.Context, by access.Subject, account id.Account, reason string) error {
	if err := onHost(by); err != nil {
		return err
	}
	reason, err := readReason(reason)
	if err != nil {
		return err
	}
	v, err := a.Get(ctx, account)
	if err != nil {
		return err
	}
	err = a.DB.Write(ctx, func(tx *store.Tx) error {
		r, err := byID(tx, account)
		if err != nil || !r.state.kept() {
			return orUnknown(err)
		}
		if r.state == Active {
			return errNotAway
		}
		e := a.event(evUnsuspended, by, r.person, map[string]string{"reason": reason})
		return a.wakeTx(ctx, tx, r, v.Email, e)
	})
	if err != nil {
		return fmt.Errorf("reactivating an account: %w", err)
	}
	return nil
}

// Return takes the step [StepReactivate] of a pending sign-in: its holder wants
// the account back.
func (a *Accounts) Return(ctx context.Context, by access.Subject, token secret.String) (Outcome, error) {
	digest, ok := secret.DigestOf(token.Reveal())
	if !ok {
		return Outcome{}, errStale
	}
	var out Outcome
	err := a.DB.Write(ctx, func(tx *store.Tx) error {
		o, r, err := a.pendingTx(tx, digest)
		if err != nil {
			return err
		}
		n, err := a.needsTx(ctx, tx, r, o)
		if err != nil {
			return err
		}
		if n.step != StepReactivate {
			return errNotNow
		}
		email, err := a.open(ctx, r.person, "email", r.email)
		if err != nil {
			return err
		}
		e := a.event(evReactivated, by, r.person, nil)
		e.Actor = self(r.account)
		if err := a.wakeTx(ctx, tx, r, email, e); err != nil {
			return err
		}
		r.state = Active
		out, err = a.advanceTx(ctx, tx, by, r, o, token)
		return err
	})
	if err != nil {
		return Outcome{}, fmt.Errorf("reactivating an account: %w", err)
	}
	return out, nil
}

// restTx puts an account to rest: its sessions end, and so does what waits for
// somebody to go on with it.
func (a *Accounts) restTx(tx *store.Tx, r row, as State) (sessions int64, err error) {
	n, err := tx.Exec(`UPDATE account SET state = $1 WHERE account = $2 AND state = $3`, as, r.account, r.state)
	if err != nil || n == 0 {
		return 0, orUnknown(err)
	}
	if err := dropLinks(tx, r.account, append(resetLinks, linkAddress)...); err != nil {
		return 0, err
	}
	end := endAddressTx // a recovery goes on: its holder may be another than who deactivates
	if as == Suspended {
		end = endWaitingTx
	}
	if err := end(tx, r.account); err != nil {
		return 0, err
	}
	if err := startAnewTx(tx, r.account); err != nil {
		return 0, err
	}
	return endSessions(tx, `account = $1`, r.account)
}

// wakeTx makes an account that rests an active one, and tells its holder.
func (a *Accounts) wakeTx(ctx context.Context, tx *store.Tx, r row, email string, e audit.Event) error {
	n, err := tx.Exec(`UPDATE account SET state = $1 WHERE account = $2 AND state = $3`, Active, r.account, r.state)
	if err != nil || n == 0 {
		return orUnknown(err)
	}
	if err := a.tellTx(ctx, tx, r.person, email, a.reactivatedLetter); err != nil {
		return err
	}
	_, err = a.Log.AppendTx(tx, e)
	return err
}

// lastActiveOwner refuses to let the last platform owner go who could still
// sign in.
func lastActiveOwner(tx *store.Tx, account id.Account) error {
	var n int
	err := tx.QueryRow(`SELECT COUNT(*) FROM account WHERE staff = $1 AND state = $2 AND account <> $3`, StaffOwner, Active, account).Scan(&n)
	if err == nil && n == 0 {
		err = errLastOwner
	}
	return err
}

// soleOwnedTx counts the organisations that no other active account owns.
func (a *Accounts) soleOwnedTx(tx *store.Tx, account id.Account) (n int, err error) {
	if a.CoOwners == nil {
		return 0, nil
	}
	all, err := a.CoOwners.CoOwnersTx(tx, account)
	if err != nil {
		return 0, err
	}
	for _, others := range all {
		another := false
		for _, other := range others {
			r, err := byID(tx, other)
			if err != nil {
				return 0, err
			}
			if another = r.state == Active; another {
				break
			}
		}
		if !another {
			n++
		}
	}
	return n, nil
}

// readReason reads why somebody does something to another's account.
func readReason(s string) (string, error) {
	s = strings.TrimSpace(s)
	if n := utf8.RuneCountInString(s); n < 3 || n > 200 || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == utf8.RuneError }) {
		return "", errReason
	}
	return s, nil
}
