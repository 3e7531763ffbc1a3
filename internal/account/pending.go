package account

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"troth/internal/access"
	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/secret"
	"troth/internal/store"
)

// Step is what a sign-in waits for.
type Step string

// The steps.
const (
	StepNone       Step = ""           // nothing: a session has begun
	StepFactor     Step = "factor"     // a second factor
	StepPassword   Step = "password"   // another password; see Renew
	StepReactivate Step = "reactivate" // that its holder wants the account back
)

// Renew says why a sign-in waits for another password.
type Renew string

// The reasons.
const (
	RenewNot     Renew = ""
	RenewExposed Renew = "exposed" // it is known from a breach
	RenewShort   Renew = "short"   // it is too short for an account without a second factor
)

// pendingLife is how long a sign-in may wait for its next step, and maxWrong
// how many wrong answers end it.
const (
	pendingLife = 10 * time.Minute
	maxWrong    = 10
)

// errStale is the answer to a sign-in that cannot go on.
var errStale = fault.New(fault.Gone, "account.sign_in_gone", "This sign-in took too long, was used already, or something about the account was changed meanwhile. Sign in again.")

// ongoing is a sign-in between its steps, as it is stored. It says what was
// proven, never what is still to be: that is derived each time ([Accounts.needsTx]), so
// that no step can be dropped.
type ongoing struct {
	digest     secret.Digest
	account    id.Account
	passwordAt int64
	amr        string
	renew      Renew
	device     secret.Digest
	wrong      int
	expiresAt  int64
	remembered int64 // until when the browser asks for no second factor; not stored
}

func putPending(tx *store.Tx, o ongoing) error {
	_, err := tx.Exec(`INSERT INTO account_pending (digest, account, password_at, amr, renew, device, wrong, expires_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
		ON CONFLICT (digest) DO UPDATE SET amr = excluded.amr, renew = excluded.renew, wrong = excluded.wrong`,
		o.digest[:], o.account, o.passwordAt, o.amr, o.renew, o.device[:], o.wrong, o.expiresAt)
	return err
}

// pendingTx finds a sign-in that can go on, and its account as it is now. A
// new password has ended it, whoever set that, and so has the end of the account.
func (a *Accounts) pendingTx(tx *store.Tx, digest secret.Digest) (ongoing, row, error) {
	o := ongoing{digest: digest}
	var device []byte
	err := tx.QueryRow(`SELECT account, password_at, amr, renew, device, wrong, expires_at FROM account_pending
		WHERE digest = $1 AND expires_at > $2`, digest[:], store.Micros(a.now())).Scan(
		&o.account, &o.passwordAt, &o.amr, &o.renew, &device, &o.wrong, &o.expiresAt)
	if errors.Is(err, store.ErrNoRows) {
		return ongoing{}, row{}, errStale
	}
	if err != nil {
		return ongoing{}, row{}, err
	}
	copy(o.device[:], device)
	r, err := byID(tx, o.account)
	if err == nil && (!r.state.returns() || r.passwordAt != o.passwordAt) {
		err = errStale
	}
	return o, r, err
}

func dropPending(tx *store.Tx, digest secret.Digest) error {
	_, err := tx.Exec(`DELETE FROM account_pending WHERE digest = $1`, digest[:])
	return err
}

// maxPending bounds the sign-ins of one account that wait at once.
const maxPending = 20

// makePendingRoom ends the oldest sign-ins of an account that has too many, those
// in browsers that are new to it first: whoever has only the password pushes no
// holder out of a browser that is known.
func makePendingRoom(tx *store.Tx, account id.Account) error {
	_, err := tx.Exec(`DELETE FROM account_pending WHERE account = $1 AND digest NOT IN
		(SELECT p.digest FROM account_pending p LEFT JOIN account_device d ON d.account = p.account AND d.digest = p.device
		WHERE p.account = $2 ORDER BY CASE WHEN d.device IS NULL THEN 1 ELSE 0 END, p.expires_at DESC LIMIT $3)`, account, account, maxPending-1)
	return err
}

// needs is what a sign-in still waits for.
type needs struct {
	step   Step
	offers []Offer // what a second factor can be answered with
	renew  Renew
}

// needsTx derives the next step from the account's row, its factors and the
// policies, as they are now.
func (a *Accounts) needsTx(ctx context.Context, tx *store.Tx, r row, o ongoing) (needs, error) {
	offers, counts, err := a.offersTx(ctx, tx, r.account)
	if err != nil {
		return needs{}, err
	}
	n := needs{offers: offers, renew: o.renew}
	if n.renew == RenewNot {
		exposed, err := exposedTx(tx, r)
		if err != nil {
			return needs{}, fmt.Errorf("reading whether a password is exposed: %w", err)
		}
		if exposed {
			n.renew = RenewExposed
		}
	}
	// SP 800-63B-4, 3.1.1.2: a short password is one only together with a factor.
	if n.renew == RenewNot && r.passwordShort && !counts {
		n.renew = RenewShort
	}
	enough, err := a.enough(tx, r, strings.Fields(o.amr), offers, counts)
	if err != nil {
		return needs{}, err
	}
	switch {
	case !enough:
		n.step = StepFactor
	case n.renew != RenewNot:
		n.step = StepPassword
	case r.state == Deactivated:
		n.step = StepReactivate
	}
	return n, nil
}

// enough reports whether what was proven will do as a second factor.
func (a *Accounts) enough(tx *store.Tx, r row, proven []string, offers []Offer, counts bool) (bool, error) {
	switch {
	case len(offers) == 0, has(proven, amrMulti), !counts && has(proven, amrEmail):
		return true, nil
	case has(proven, amrRemembered):
		return a.mayRemember(tx, r)
	}
	return false, nil
}

func has(list []string, v string) bool {
	for _, each := range list {
		if each == v {
			return true
		}
	}
	return false
}

// mayRemember reports whether a browser may stand in for the second factor of
// an account: never with a password that is too short to stand alone (SP
// 800-63B-4, 3.1.1.2), never for staff, and not where an organisation forbids it.
func (a *Accounts) mayRemember(tx *store.Tx, r row) (bool, error) {
	if r.passwordShort || r.staff != StaffNone || a.Config.Remember == 0 {
		return false, nil
	}
	if a.Policies == nil {
		return true, nil
	}
	forbidden, err := a.Policies.ForgetsTx(tx, r.account)
	if err != nil {
		return false, fmt.Errorf("asking whether browsers may be remembered: %w", err)
	}
	return !forbidden, nil
}

// Policies is what the organisations of a person ask of signing in. Package
// tenant fills it.
type Policies interface {
	// ForgetsTx reports whether an organisation of the account forbids that a
	// browser stands in for a second factor. It is as fresh as the transaction.
	ForgetsTx(tx *store.Tx, account id.Account) (bool, error)
}

// Pending is a sign-in that waits, as its holder sees it. That the password was
// right is known by then, so it tells which factors there are.
type Pending struct {
	Account  id.Account
	Email    string // the address of the account, for password managers
	Next     Step
	Factors  []Offer // what can be answered with, the strongest first
	Renew    Renew   // with StepPassword
	Remember bool    // this browser may stand in for a second factor, if its holder wants
}

// Pending says what a sign-in waits for, and uses nothing up. One that cannot
// go on is fault.Gone.
func (a *Accounts) Pending(ctx context.Context, token secret.String) (Pending, error) {
	digest, ok := secret.DigestOf(token.Reveal())
	if !ok {
		return Pending{}, errStale
	}
	var p Pending
	var r row
	err := a.DB.Read(ctx, func(tx *store.Tx) error {
		var o ongoing
		var err error
		if o, r, err = a.pendingTx(tx, digest); err != nil {
			return err
		}
		n, err := a.needsTx(ctx, tx, r, o)
		if err != nil {
			return err
		}
		p = Pending{Account: r.account, Next: n.step, Renew: n.renew}
		if n.step == StepFactor {
			p.Factors = n.offers
			p.Remember, err = a.mayRemember(tx, r)
			p.Remember = p.Remember && n.offers[0].Counts
		}
		return err
	})
	if err != nil {
		return Pending{}, fmt.Errorf("reading a sign-in: %w", err)
	}
	p.Email, err = a.open(ctx, r.person, "email", r.email)
	return p, err
}

// SendCode sends the code of a factor that has to be sent, to the holder of a
// pending sign-in.
func (a *Accounts) SendCode(ctx context.Context, by access.Subject, token secret.String, kind string) error {
	_, err := a.Challenge(ctx, by, token, kind)
	return err
}

// Challenge prepares the answer to a pending sign-in: it sends the code of a
// factor that sends, and returns what a passkey has to sign.
func (a *Accounts) Challenge(ctx context.Context, by access.Subject, token secret.String, kind string) (challenge []byte, err error) {
	digest, ok := secret.DigestOf(token.Reveal())
	if !ok {
		return nil, errStale
	}
	err = a.DB.Write(ctx, func(tx *store.Tx) error {
		o, r, err := a.pendingTx(tx, digest)
		if err != nil {
			return err
		}
		if challenge, err = a.beginAnswerTx(ctx, tx, question(by, r, digest, kind)); err != nil {
			return err
		}
		e := a.event(evChallenged, by, r.person, map[string]string{"kind": kind})
		e.Actor = self(o.account)
		_, err = a.Log.AppendTx(tx, e)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("preparing a second factor: %w", err)
	}
	return challenge, nil
}
