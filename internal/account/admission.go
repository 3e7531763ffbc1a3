package account

import (
	"context"
	"fmt"
	"time"

	"troth/internal/access"
	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/secret"
	"troth/internal/store"
)

// Lives of links that are issued on the host.
const (
	admissionLife = 24 * time.Hour
	recoveryLife  = time.Hour
)

// Paths of the pages that links lead to; the plug serves them.
const (
	PathConfirm   = "/-/confirm/"
	PathReset     = "/-/reset/"
	PathStop      = "/-/stop/"
	PathAdmission = "/-/admission/"

	PathRecover = "/-/recover/" // asks for a recovery, or finishes it
	PathKeep    = "/-/keep/"    // stops a recovery
	PathAddress = "/-/address/" // agrees to a change of address, or stops it
	PathUndo    = "/-/undo/"    // takes a change of address back
)

// URL is the address of a link: the path and the token after the origin.
func (a *Accounts) URL(path string, token secret.String) secret.String {
	return secret.Of(a.Origin + path + token.Reveal())
}

// FirstOwnerLink issues the link with which the platform owner signs up, while
// there is none: needed is false afterwards. Each call issues another link,
// good for one use and 24 hours; the ones before stay good until then, since
// several nodes may have printed theirs.
func (a *Accounts) FirstOwnerLink(ctx context.Context) (link secret.String, needed bool, err error) {
	err = a.DB.Read(ctx, func(tx *store.Tx) error {
		has, err := owned(tx)
		needed = !has
		return err
	})
	if err != nil {
		return secret.String{}, false, fmt.Errorf("looking for the platform owner: %w", err)
	}
	if !needed {
		return secret.String{}, false, nil
	}
	token, err := a.issue(ctx, access.System("operator on the host"), linkOwner, "the platform owner")
	return a.URL(PathAdmission, token), true, err
}

// Admit issues a link with which one person signs up whatever the mode of
// sign-up is; for the operator on the host. Nobody becomes staff by it.
func (a *Accounts) Admit(ctx context.Context, by access.Subject) (secret.String, error) {
	if err := onHost(by); err != nil {
		return secret.String{}, err
	}
	token, err := a.issue(ctx, by, linkAdmit, "an ordinary person")
	return a.URL(PathAdmission, token), err
}

func (a *Accounts) issue(ctx context.Context, by access.Subject, kind, as string) (secret.String, error) {
	token, l, err := a.newLink(ctx, kind, "", admissionLife, nil)
	if err != nil {
		return secret.String{}, err
	}
	err = a.DB.Write(ctx, func(tx *store.Tx) error {
		if err := insertLink(tx, l); err != nil {
			return err
		}
		_, err := a.Log.AppendTx(tx, a.event(evAdmission, by, person{}, map[string]string{"as": as}))
		return err
	})
	if err != nil {
		return secret.String{}, fmt.Errorf("issuing a link to sign up: %w", err)
	}
	return token, nil
}

// PeekAdmission says whether an admission can be used, and whether it makes
// the platform owner. It uses nothing up.
func (a *Accounts) PeekAdmission(ctx context.Context, token secret.String) (owner bool, err error) {
	l, err := a.peek(ctx, token, linkOwner, linkAdmit)
	if err != nil {
		return false, err
	}
	if l.kind == linkOwner {
		err = a.DB.Read(ctx, func(tx *store.Tx) error {
			if has, err := owned(tx); err != nil || has {
				return orGone(err)
			}
			return nil
		})
	}
	return l.kind == linkOwner, err
}

// admit makes an account by an admission, sends the link that confirms its
// address, and begins a session: one transaction.
func (a *Accounts) admit(ctx context.Context, by access.Subject, token secret.String, in entered) (Signed, error) {
	l, err := a.peek(ctx, token, linkOwner, linkAdmit)
	if err != nil {
		return Signed{}, a.linkFailed(ctx, by, err)
	}
	r, indexes, err := a.prepare(ctx, l, in)
	if err != nil {
		return Signed{}, a.linkFailed(ctx, by, err)
	}
	if l.kind == linkOwner {
		r.staff = StaffOwner
	}
	confirm, cl, err := a.newLink(ctx, linkAddress, r.account, a.Config.ConfirmLife.D(), nil)
	if err != nil {
		return Signed{}, err
	}
	var signed Signed
	err = a.DB.Write(ctx, func(tx *store.Tx) error {
		if err := a.takeAdmission(tx, l); err != nil {
			return err
		}
		made, err := a.createTx(ctx, tx, by, r, in, indexes)
		if err != nil {
			return err
		}
		if err := insertLink(tx, cl); err != nil {
			return err
		}
		if err := a.Post.SendTx(tx, a.addressLetter(in, made.person, confirm)); err != nil {
			return err
		}
		var s session
		if s, signed, err = a.newSession(ctx, by, made, amrPassword, a.now()); err != nil {
			return err
		}
		return a.beginTx(tx, by, made.person, s)
	})
	if err != nil {
		return Signed{}, a.linkFailed(ctx, by, fmt.Errorf("signing up by an admission: %w", err))
	}
	return signed, nil
}

// takeAdmission uses an admission up. There is one platform owner at first,
// however many links were printed.
func (a *Accounts) takeAdmission(tx *store.Tx, l link) error {
	if _, ok, err := takeLink(tx, l.digest, a.now()); err != nil || !ok {
		return orGone(err)
	}
	if l.kind != linkOwner {
		return nil
	}
	if has, err := owned(tx); err != nil || has {
		return orGone(err)
	}
	_, err := tx.Exec(`DELETE FROM account_link WHERE kind = $1`, linkOwner)
	return err
}

// Find is the account that an argument of the operator names: an identifier
// or an address.
func (a *Accounts) Find(ctx context.Context, by access.Subject, name string) (Account, error) {
	if err := onHost(by); err != nil {
		return Account{}, err
	}
	var r row
	account, err := id.Parse[id.Account](name)
	if err != nil {
		account = ""
	}
	indexes, err := a.indexes(ctx, name)
	if err != nil {
		return Account{}, err
	}
	err = a.DB.Read(ctx, func(tx *store.Tx) (err error) {
		if account != "" {
			r, err = byID(tx, account)
			return err
		}
		r, err = byEmail(tx, indexes)
		return err
	})
	if err != nil {
		return Account{}, fmt.Errorf("looking for an account: %w", err)
	}
	if r.account == "" {
		return Account{}, fault.New(fault.NotFound, "account.unknown", "There is no account %q. Name it by its address or by its identifier, which begins with acc_.", name)
	}
	return a.view(ctx, r)
}

// List is one page of accounts by identifier, which is by age, for the
// operator on the host; next is "" on the last one.
func (a *Accounts) List(ctx context.Context, by access.Subject, after id.Account, limit int) (list []Account, next id.Account, err error) {
	if err := onHost(by); err != nil {
		return nil, "", err
	}
	limit = min(max(limit, 1), maxList)
	var found []row
	err = a.DB.Read(ctx, func(tx *store.Tx) error {
		found = found[:0]
		rows, err := tx.Query(`SELECT `+columns+` FROM account WHERE account > $1 ORDER BY account LIMIT $2`, after, limit+1)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var r row
			if err := r.scan(rows); err != nil {
				return err
			}
			found = append(found, r)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, "", fmt.Errorf("listing accounts: %w", err)
	}
	if len(found) > limit {
		found = found[:limit]
		next = found[limit-1].account
	}
	for _, r := range found {
		v, err := a.view(ctx, r)
		if err != nil {
			return nil, "", err
		}
		list = append(list, v)
	}
	return list, next, nil
}

const maxList = 1000

// SessionsOf lists the sessions of an account, for the operator on the host.
func (a *Accounts) SessionsOf(ctx context.Context, by access.Subject, account id.Account) ([]Session, error) {
	if err := onHost(by); err != nil {
		return nil, err
	}
	return a.sessionsOf(ctx, account, "")
}
