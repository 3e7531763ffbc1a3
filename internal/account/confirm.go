package account

import (
	"context"
	"crypto/subtle"
	"fmt"
	"time"

	"troth/internal/access"
	"troth/internal/password"
	"troth/internal/secret"
	"troth/internal/store"
)

// Proposal is what a confirmation link would do.
type Proposal struct {
	Email   string
	Name    string    // as it was entered in this browser; "" otherwise
	AskedAt time.Time // when somebody asked for it
	New     bool      // confirming makes an account
	Own     bool      // the application was sent from this browser, and its password holds
}

// PeekConfirm says what a confirmation link would do in a browser, and uses
// nothing up: mail scanners open links. What a stranger entered is not told.
func (a *Accounts) PeekConfirm(ctx context.Context, token, browser secret.String) (Proposal, error) {
	l, err := a.peek(ctx, token, linkConfirm, linkAddress)
	if err != nil {
		return Proposal{}, err
	}
	p := Proposal{AskedAt: store.FromMicros(l.createdAt), New: l.kind == linkConfirm}
	if l.kind == linkAddress {
		v, err := a.Get(ctx, l.account)
		p.Email = v.Email
		return p, err
	}
	var in entered
	if err := a.openLink(ctx, l, &in); err != nil {
		return Proposal{}, err
	}
	p.Email, p.Own = in.Email, in.from(browser)
	if p.Own {
		p.Name = in.Name
	}
	return p, nil
}

// from reports whether an application was entered in the browser that holds a
// token. One that was entered in no browser was not.
func (in entered) from(browser secret.String) bool {
	d, ok := secret.DigestOf(browser.Reveal())
	return ok && subtle.ConstantTimeCompare(d[:], in.Browser) == 1
}

// Confirmation is who presses the button behind a confirmation link. Anybody
// can sign up with anybody's address; only its holder gets the link. So what
// was entered holds only for the browser in which it was entered: in any other,
// whoever holds the link chooses the name and the password, and what a stranger
// entered before is forgotten (A. Sudhodanan and A. Paverd, "Pre-hijacked
// accounts", USENIX Security 2022).
type Confirmation struct {
	Browser  secret.String // the token that the application was sent with, if the browser has it
	Name     string        // both needed in another browser
	Password secret.String
}

// Confirm uses a confirmation link up: it makes the account that was applied
// for, with its personal tenant, or confirms the address of one that exists.
// It returns where the person wanted to go. Of several that use one link, one
// succeeds; the others, and whoever comes late, get fault.Gone. fault.Invalid
// names a field of the confirmation, and leaves the link usable.
func (a *Accounts) Confirm(ctx context.Context, by access.Subject, token secret.String, c Confirmation) (returnTo string, err error) {
	l, err := a.peek(ctx, token, linkConfirm, linkAddress)
	if err != nil {
		return "", a.linkFailed(ctx, by, err)
	}
	if l.kind == linkAddress {
		return "", a.linkFailed(ctx, by, a.confirmAddress(ctx, by, l))
	}
	var in entered
	if err := a.openLink(ctx, l, &in); err != nil {
		return "", err
	}
	if !in.from(c.Browser) {
		if err := a.enterAgain(ctx, &in, c); err != nil {
			return "", err
		}
	}
	r, indexes, err := a.prepare(ctx, l, in)
	if err != nil {
		return "", a.linkFailed(ctx, by, err)
	}
	r.confirmedAt = r.createdAt
	err = a.DB.Write(ctx, func(tx *store.Tx) error {
		if _, ok, err := takeLink(tx, l.digest, a.now()); err != nil || !ok {
			return orGone(err)
		}
		_, err := a.createTx(ctx, tx, by, r, in, indexes)
		return err
	})
	if err != nil {
		return "", a.linkFailed(ctx, by, fmt.Errorf("making an account: %w", err))
	}
	return in.ReturnTo, nil
}

// enterAgain replaces what was entered by what the holder of the link enters.
func (a *Accounts) enterAgain(ctx context.Context, in *entered, c Confirmation) error {
	name, err := readName(c.Name)
	if err != nil {
		return err
	}
	chosen, err := a.choose(ctx, c.Password, password.About{Email: in.Email, Name: name})
	if err != nil {
		return err
	}
	phc, err := a.Hashing.Hash(ctx, chosen)
	if err != nil {
		return err
	}
	in.Name, in.Password = name, phc
	return nil
}

// confirmAddress confirms the address of an account that exists already.
func (a *Accounts) confirmAddress(ctx context.Context, by access.Subject, l link) error {
	return a.DB.Write(ctx, func(tx *store.Tx) error {
		if _, ok, err := takeLink(tx, l.digest, a.now()); err != nil || !ok {
			return orGone(err)
		}
		r, err := byID(tx, l.account)
		if err != nil || r.state != Active {
			return orGone(err)
		}
		if _, err := tx.Exec(`UPDATE account SET confirmed_at = $1 WHERE account = $2`, store.Micros(a.now()), r.account); err != nil {
			return err
		}
		e := a.event(evConfirmed, by, r.person, nil)
		e.Actor = self(r.account)
		_, err = a.Log.AppendTx(tx, e)
		return err
	})
}
