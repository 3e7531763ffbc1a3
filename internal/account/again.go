package account

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"troth/internal/access"
	"troth/internal/fault"
	"troth/internal/secret"
	"troth/internal/store"
)

var (
	errWrongAgain = fault.New(fault.Unauthenticated, "account.wrong_password", "The password is wrong.").On("password")
	errWantsCode  = fault.New(fault.Invalid, "account.code_missing", "Your account has a second factor: enter its code too.").On("code")
)

// Proving is what somebody who is signed in can prove again who that is with.
type Proving struct {
	Email   string  // of the account, for password managers
	Factors []Offer // one of them is needed besides the password; none: the password is enough
}

// Proving says what [Accounts.Again] takes from the one who asks.
func (a *Accounts) Proving(ctx context.Context, by access.Subject) (Proving, error) {
	if err := own(by); err != nil {
		return Proving{}, err
	}
	r, v, err := a.find(ctx, by.Account)
	if err != nil {
		return Proving{}, err
	}
	p := Proving{Email: v.Email}
	err = a.DB.Read(ctx, func(tx *store.Tx) (err error) {
		p.Factors, err = a.provingTx(ctx, tx, r)
		return err
	})
	if err != nil {
		return Proving{}, fmt.Errorf("reading what somebody can prove again: %w", err)
	}
	return p, nil
}

// provingTx is what counts besides a password: of staff that have a passkey, a
// passkey.
func (a *Accounts) provingTx(ctx context.Context, tx *store.Tx, r row) ([]Offer, error) {
	offers, counts, err := a.offersTx(ctx, tx, r.account)
	if err != nil || !counts {
		return nil, err
	}
	resistant := func(o Offer) bool { return o.Resistant }
	if r.staff != StaffNone && slices.ContainsFunc(offers, resistant) {
		offers = slices.DeleteFunc(offers, func(o Offer) bool { return !o.Resistant })
	}
	return offers, nil
}

// askedAgain is the question to the holder of a session.
func askedAgain(by access.Subject, r row, kind string) Question {
	return Question{Account: r.account, Home: r.home, Kind: kind, For: "again " + string(by.Session), By: by}
}

// AgainChallenge prepares the second factor of [Accounts.Again]: it sends a
// code, or returns what a passkey has to sign.
func (a *Accounts) AgainChallenge(ctx context.Context, by access.Subject, kind string) (challenge []byte, err error) {
	if err := own(by); err != nil {
		return nil, err
	}
	err = a.DB.Write(ctx, func(tx *store.Tx) error {
		r, err := byID(tx, by.Account)
		if err != nil || r.state != Active {
			return orUnknown(err)
		}
		if challenge, err = a.beginAnswerTx(ctx, tx, askedAgain(by, r, kind)); err != nil {
			return err
		}
		_, err = a.Log.AppendTx(tx, a.event(evChallenged, by, r.person, map[string]string{"kind": kind}))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("preparing a second factor: %w", err)
	}
	return challenge, nil
}

// Again proves again who holds a session: with the password and, where the
// account has a second factor that counts, with that; or with a passkey that
// verified its user alone. The session goes on under another token, and what is
// sensitive asks no more for a while (OWASP ASVS 5.0, 7.5.1 and 7.2.4). A wrong
// password is fault.Unauthenticated on the field "password", a wrong code on
// "code"; the password is compared first, and a code that is not reached is not
// used up.
func (a *Accounts) Again(ctx context.Context, by access.Subject, typed secret.String, with Answer) (Signed, error) {
	if err := own(by); err != nil {
		return Signed{}, err
	}
	r, _, err := a.find(ctx, by.Account)
	if err != nil {
		return Signed{}, err
	}
	amr := ""
	var g guess
	// Only a passkey needs no password, as it cannot be guessed: any other answer
	// is counted with the password, whatever stands beside it.
	if !typed.IsZero() || with.Kind != kindPasskey || len(with.Passkey) == 0 {
		if g, err = a.presentPassword(ctx, by, r, typed, a.event(evAgainFailed, by, r.person, map[string]string{"kind": "password"}), errWrongAgain); err != nil {
			return Signed{}, err
		}
		amr = amrPassword
	}
	var signed Signed
	var refusal error
	err = a.DB.Write(ctx, func(tx *store.Tx) (err error) {
		signed, refusal, err = a.againTx(ctx, tx, by, r, amr, with, g)
		return err
	})
	if err != nil {
		a.back(ctx, g)
		return Signed{}, fmt.Errorf("proving again who somebody is: %w", err)
	}
	return signed, refusal
}

func (a *Accounts) againTx(ctx context.Context, tx *store.Tx, by access.Subject, compared row, amr string, with Answer, g guess) (signed Signed, refusal, err error) {
	r, err := byID(tx, by.Account)
	if err != nil || r.state != Active {
		return Signed{}, nil, orUnknown(err)
	}
	if r.password != compared.password {
		return Signed{}, nil, errWrongAgain // it was changed meanwhile
	}
	proven, refusal, err := a.factorAgainTx(ctx, tx, by, r, with, g)
	if err != nil || refusal != nil {
		return Signed{}, refusal, err
	}
	amr = plus(amr, proven...)
	// Without the password, the authenticator has verified its user.
	if all := strings.Fields(amr); !has(all, amrPassword) && !has(all, amrUser) {
		return Signed{}, nil, errWrongAgain
	}
	if err := a.rightTx(tx, by, g); err != nil {
		return Signed{}, nil, err
	}
	signed, err = a.renewSessionTx(tx, by, amr)
	if err != nil {
		return Signed{}, nil, err
	}
	_, err = a.Log.AppendTx(tx, a.event(evAgain, by, r.person, nil))
	return signed, nil, err
}

// factorAgainTx checks the second factor of a proof, where one is needed. A wrong
// one is a refusal that was counted.
func (a *Accounts) factorAgainTx(ctx context.Context, tx *store.Tx, by access.Subject, r row, with Answer, g guess) (amr []string, refusal, err error) {
	offers, err := a.provingTx(ctx, tx, r)
	switch {
	case err != nil || len(offers) == 0:
		return nil, nil, err
	case with.Code.IsZero() && len(with.Passkey) == 0:
		return nil, nil, errWantsCode
	case !slices.ContainsFunc(offers, func(o Offer) bool { return o.Kind == with.Kind }):
		return nil, nil, errNoOffer
	}
	if amr, err = a.answerTx(ctx, tx, askedAgain(by, r, with.Kind), with); err != nil || len(amr) > 0 {
		return amr, nil, err
	}
	if g.pauses() {
		if err := a.afterPauseTx(ctx, tx, by, r, g); err != nil {
			return nil, nil, err
		}
	}
	_, err = a.Log.AppendTx(tx, a.event(evAgainFailed, by, r.person, map[string]string{"kind": with.Kind}))
	return nil, wrongAnswer(with.Kind), err
}

// renewSessionTx gives a session another token and the present as the time at
// which its holder was known. What was proven before still was; that a browser
// stood in for something was no proof, and is over.
func (a *Accounts) renewSessionTx(tx *store.Tx, by access.Subject, amr string) (Signed, error) {
	var s session
	err := s.scan(tx.QueryRow(`SELECT `+sessionColumns+` FROM session WHERE session = $1 AND account = $2`, by.Session, by.Account))
	if errors.Is(err, store.ErrNoRows) {
		return Signed{}, errNobody
	}
	if err != nil {
		return Signed{}, err
	}
	before := slices.DeleteFunc(strings.Fields(s.amr), func(v string) bool { return v == amrRemembered })
	token := secret.NewToken()
	digest, _ := secret.DigestOf(token.Reveal())
	if _, err := tx.Exec(`UPDATE session SET digest = $1, auth_at = $2, seen_at = $3, amr = $4 WHERE session = $5`,
		digest[:], store.Micros(a.now()), store.Micros(a.now()), plus(strings.Join(before, " "), strings.Fields(amr)...), s.session); err != nil {
		return Signed{}, err
	}
	tx.Changed(topic, hex.EncodeToString(s.digest[:]))
	return Signed{Account: s.account, Session: s.session, Token: token, ExpiresAt: store.FromMicros(s.expiresAt)}, nil
}
