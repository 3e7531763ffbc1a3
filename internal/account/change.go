package account

import (
	"context"
	"fmt"
	"strings"

	"troth/internal/access"
	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/secret"
	"troth/internal/store"
)

var errWrongPresent = fault.New(fault.Invalid, "account.wrong_present", "The present password is wrong. Nothing was changed.").On("current")

// ChangePassword replaces the password of the one who asks, who has to know the
// present one. Every session ends; the one that asked goes on under a new
// token. The holder gets a mail.
func (a *Accounts) ChangePassword(ctx context.Context, by access.Subject, present, chosen secret.String) (Signed, error) {
	if err := own(by); err != nil {
		return Signed{}, err
	}
	r, v, err := a.find(ctx, by.Account)
	if err != nil {
		return Signed{}, err
	}
	next, err := a.chooseFor(ctx, chosen, v)
	if err != nil {
		return Signed{}, err
	}
	if _, err := a.presentPassword(ctx, by, r, present, a.event(evPasswordFail, by, r.person, nil), errWrongPresent); err != nil {
		return Signed{}, err
	}
	phc, err := a.Hashing.Hash(ctx, next)
	if err != nil {
		return Signed{}, err
	}
	return a.replace(ctx, by, r, v, next, phc)
}

// replace stores a new hash where the compared one still stands, ends every
// session and begins another one.
func (a *Accounts) replace(ctx context.Context, by access.Subject, r row, v Account, next secret.String, phc string) (Signed, error) {
	now := a.now()
	s, signed, err := a.newSession(ctx, by, r, strings.Join(by.AMR, " "), now)
	if err != nil {
		return Signed{}, err
	}
	if by.Tenant != "" {
		s.tenant = by.Tenant
	}
	err = a.DB.Write(ctx, func(tx *store.Tx) error {
		if err := a.standsTx(ctx, tx, r.account, next); err != nil {
			return err
		}
		if ok, err := setPassword(tx, r.account, r.password, phc, short(next), now); err != nil {
			return err
		} else if !ok {
			return errWrongPresent // it was changed meanwhile
		}
		if s.device, err = deviceOfTx(tx, by.Session); err != nil {
			return err
		}
		ended, err := a.passwordChangedTx(ctx, tx, v)
		if err != nil {
			return err
		}
		if err := insertSession(tx, s); err != nil {
			return err
		}
		_, err = a.Log.AppendTx(tx, a.event(evPassword, by, r.person, counted(max(0, ended-1))))
		return err
	})
	if err != nil {
		return Signed{}, fmt.Errorf("changing a password: %w", err)
	}
	return signed, nil
}

// AskReset sends a link that sets a new password, if the address has an
// account and was confirmed. The answer is the same otherwise, and so is the
// work: the cost of one hash, which also bounds how often strangers can ask,
// and one transaction of the same rows.
func (a *Accounts) AskReset(ctx context.Context, by access.Subject, email string) error {
	email, err := readEmail(email)
	if err != nil {
		return err
	}
	if err := a.effort(by); err != nil {
		return err
	}
	indexes, err := a.indexes(ctx, email)
	if err != nil {
		return err
	}
	if _, err := a.Hashing.Verify(ctx, "", secret.String{}); err != nil {
		return err
	}
	token, l, err := a.newLink(ctx, linkReset, "", a.Config.ResetLife.D(), nil)
	if err != nil {
		return err
	}
	l.index = indexes[0]
	network, err := a.network(ctx, by)
	if err != nil {
		return err
	}
	err = a.DB.Write(ctx, func(tx *store.Tx) error {
		l := l
		r, err := byEmail(tx, indexes)
		if err != nil {
			return err
		}
		l.account = r.account
		// The link goes to the address of the account, never to the one that was
		// typed: both have the same index, and yet they can be two mailboxes
		// (U+212A and U+0130 fold to k and i; Unicode TR 36, 2.11).
		holder, err := a.holder(ctx, r)
		if err != nil {
			return err
		}
		letter, name := a.resetLetter(holder, r.person, token), evResetAsked
		if !r.state.returns() || r.confirmedAt == 0 {
			l.kind, letter, name = linkNone, decoy(letter, email), evResetUnknown
		}
		if err := a.sendSome(tx, forReset, network, l, letter); err != nil {
			return err
		}
		_, err = a.Log.AppendTx(tx, a.event(name, by, r.person, nil))
		return err
	})
	if err != nil {
		return fmt.Errorf("recording that a reset was asked for: %w", err)
	}
	return nil
}

// PeekReset says whether a reset or recovery link can be used, and uses
// nothing up. It returns the address that the link belongs to.
func (a *Accounts) PeekReset(ctx context.Context, token secret.String) (email string, err error) {
	l, err := a.peek(ctx, token, resetLinks...)
	if err != nil {
		return "", err
	}
	v, err := a.Get(ctx, l.account)
	return v.Email, err
}

// Reset uses a reset or recovery link up: it sets the new password and ends
// every session. Second factors stay as they are, but for a link with which the
// operator removes them. A password that is refused leaves the link usable. Nobody is
// signed in by it. The holder gets a mail.
func (a *Accounts) Reset(ctx context.Context, by access.Subject, token, chosen secret.String) error {
	l, err := a.peek(ctx, token, resetLinks...)
	if err != nil {
		return a.linkFailed(ctx, by, err)
	}
	r, v, err := a.findKept(ctx, l.account)
	if err == nil && !r.state.returns() {
		err = errGone
	}
	if err != nil {
		return err
	}
	choose := a.chooseFor
	if l.kind == linkRescue {
		choose = a.chooseAlone
	}
	next, err := choose(ctx, chosen, v)
	if err != nil {
		return err
	}
	phc, err := a.Hashing.Hash(ctx, next)
	if err != nil {
		return err
	}
	now := a.now()
	err = a.DB.Write(ctx, func(tx *store.Tx) error {
		if _, ok, err := takeLink(tx, l.digest, now); err != nil || !ok {
			return orGone(err)
		}
		if err := a.standsTx(ctx, tx, r.account, next); err != nil {
			return err
		}
		n, err := tx.Exec(`UPDATE account SET password = $1, password_short = $2, password_at = $3 WHERE account = $4 AND state = $5`,
			phc, short(next), store.Micros(now), r.account, r.state)
		if err != nil || n == 0 {
			return orGone(err)
		}
		if l.kind == linkRescue {
			return a.rescuedTx(ctx, tx, by, r, v)
		}
		ended, err := a.passwordChangedTx(ctx, tx, v)
		if err != nil {
			return err
		}
		e := a.event(evReset, by, r.person, counted(ended))
		e.Actor = self(r.account)
		_, err = a.Log.AppendTx(tx, e)
		return err
	})
	if err != nil {
		return a.linkFailed(ctx, by, fmt.Errorf("resetting a password: %w", err))
	}
	return nil
}

// Rename changes what the one who asks is called.
func (a *Accounts) Rename(ctx context.Context, by access.Subject, name string) error {
	if err := own(by); err != nil {
		return err
	}
	name, err := readName(name)
	if err != nil {
		return err
	}
	r, _, err := a.find(ctx, by.Account)
	if err != nil {
		return err
	}
	sealed, err := a.seal(ctx, r.person, "name", name)
	if err != nil {
		return err
	}
	err = a.DB.Write(ctx, func(tx *store.Tx) error {
		n, err := tx.Exec(`UPDATE account SET name = $1 WHERE account = $2 AND state = $3`, sealed, r.account, Active)
		if err != nil || n == 0 {
			return orUnknown(err)
		}
		_, err = a.Log.AppendTx(tx, a.event(evRenamed, by, r.person, nil))
		return err
	})
	if err != nil {
		return fmt.Errorf("changing a name: %w", err)
	}
	return nil
}

// Own is the account of the one who asks.
func (a *Accounts) Own(ctx context.Context, by access.Subject) (Account, error) {
	if err := own(by); err != nil {
		return Account{}, err
	}
	_, v, err := a.find(ctx, by.Account)
	return v, err
}

// Get is an account, for packages that show who somebody is; they have decided
// whether that may be known. No account, and a destroyed one, is
// fault.NotFound.
func (a *Accounts) Get(ctx context.Context, account id.Account) (Account, error) {
	_, v, err := a.findKept(ctx, account)
	return v, err
}

// Profiles are those of the accounts that exist and are not destroyed, those that rest too, for
// lists of people: at most [maxProfiles] at once, read in one transaction.
func (a *Accounts) Profiles(ctx context.Context, accounts []id.Account) (map[id.Account]Account, error) {
	if len(accounts) > maxProfiles {
		return nil, fmt.Errorf("reading %d profiles at once; %d is the limit", len(accounts), maxProfiles)
	}
	rows := make([]row, 0, len(accounts))
	err := a.DB.Read(ctx, func(tx *store.Tx) error {
		rows = rows[:0]
		for _, account := range accounts {
			r, err := byID(tx, account)
			if err != nil {
				return err
			}
			if r.state.kept() {
				rows = append(rows, r)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading profiles: %w", err)
	}
	all := make(map[id.Account]Account, len(rows))
	for _, r := range rows {
		if all[r.account], err = a.view(ctx, r); err != nil {
			return nil, err
		}
	}
	return all, nil
}

const maxProfiles = 200

// find reads an account that is active, and opens it.
func (a *Accounts) find(ctx context.Context, account id.Account) (row, Account, error) {
	r, v, err := a.findKept(ctx, account)
	if err == nil && r.state != Active {
		return row{}, Account{}, errUnknown
	}
	return r, v, err
}

// findKept reads an account that is active or rests, and opens it.
func (a *Accounts) findKept(ctx context.Context, account id.Account) (row, Account, error) {
	var r row
	err := a.DB.Read(ctx, func(tx *store.Tx) (err error) {
		r, err = byID(tx, account)
		return err
	})
	if err != nil {
		return row{}, Account{}, fmt.Errorf("reading an account: %w", err)
	}
	if !r.state.kept() {
		return row{}, Account{}, errUnknown
	}
	v, err := a.view(ctx, r)
	return r, v, err
}

var errUnknown = fault.New(fault.NotFound, "account.unknown", "There is no such account.")

func orUnknown(err error) error {
	if err != nil {
		return err
	}
	return errUnknown
}
