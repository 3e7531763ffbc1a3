package account

import (
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"troth/internal/access"
	"troth/internal/fault"
	"troth/internal/secret"
	"troth/internal/store"
	"troth/internal/throttle"
)

var (
	errNoOffer   = fault.New(fault.Invalid, "account.no_factor", "This account has no second factor of that kind. Choose one of those that it has.").On("kind")
	errWrongCode = fault.New(fault.Unauthenticated, "account.wrong_code", "The code is wrong, was used already, or is no longer good. Enter the newest one.").On("code")
	errWrongKey  = fault.New(fault.Unauthenticated, "account.wrong_passkey", "The passkey was not accepted. Try again with one that belongs to this account, or use another way.").On("passkey")
	errTooWrong  = fault.New(fault.Gone, "account.too_many_wrong", "There were too many wrong codes, so this sign-in has ended. Sign in again.")
)

// question is what is asked of the holder of a pending sign-in.
func question(by access.Subject, r row, digest secret.Digest, kind string) Question {
	return Question{Account: r.account, Home: r.home, Kind: kind, For: "sign-in " + hex.EncodeToString(digest[:]), By: by}
}

// beginAnswerTx prepares the answer to a question.
func (a *Accounts) beginAnswerTx(ctx context.Context, tx *store.Tx, q Question) ([]byte, error) {
	_, f, err := a.offering(ctx, tx, q.Account, q.Kind)
	if err != nil {
		return nil, err
	}
	challenge, err := f.BeginTx(ctx, tx, q)
	if err != nil {
		return nil, fmt.Errorf("preparing the factor %s: %w", q.Kind, err)
	}
	return challenge, nil
}

// Answer answers a pending sign-in with a second factor, and takes the next
// step. A wrong answer is fault.Unauthenticated on the field "code"; after ten
// of them, and whenever the sign-in cannot go on, it is fault.Gone and there is
// nothing left of it. Guesses are limited as those at passwords are: during a
// pause it is fault.TooMany, whatever the answer. An answer is used up in the
// same transaction.
func (a *Accounts) Answer(ctx context.Context, by access.Subject, token secret.String, with Answer) (Outcome, error) {
	digest, ok := secret.DigestOf(token.Reveal())
	if !ok {
		return Outcome{}, errStale
	}
	paid, err := a.payForCode(ctx, by, digest)
	if err != nil {
		return Outcome{}, fmt.Errorf("answering with a second factor: %w", err)
	}
	var out Outcome
	var refusal error
	err = a.DB.Write(ctx, func(tx *store.Tx) (err error) {
		out, refusal, err = a.answerStepTx(ctx, tx, by, digest, token, with, paid)
		return err
	})
	if err != nil {
		paid.Back()
		return Outcome{}, fmt.Errorf("answering with a second factor: %w", err)
	}
	return out, refusal
}

// answerStepTx takes the step of an answer. What is refused after it was counted
// comes as a refusal, so that the transaction commits.
func (a *Accounts) answerStepTx(ctx context.Context, tx *store.Tx, by access.Subject, digest secret.Digest, token secret.String, with Answer, paid throttle.Guess) (out Outcome, refusal, err error) {
	o, r, err := a.pendingTx(tx, digest)
	if err != nil {
		return Outcome{}, nil, err
	}
	n, err := a.needsTx(ctx, tx, r, o)
	if err != nil {
		return Outcome{}, nil, err
	}
	if n.step != StepFactor { // answered in another tab
		tx.AfterCommit(paid.Back)
		if out, err = a.advanceTx(ctx, tx, by, r, o, token); err == nil && out.Next != StepNone {
			tx.Unaudited("nothing was asked, so nothing was answered")
		}
		return out, nil, err
	}
	if !slices.ContainsFunc(n.offers, func(o Offer) bool { return o.Kind == with.Kind }) {
		return Outcome{}, nil, errNoOffer // during a pause too: the log names no kind that there is not
	}
	g, err := a.beginCodeTx(tx, r, o, with.Kind, paid)
	if err != nil {
		return Outcome{}, nil, err
	}
	var amr []string
	if g.open {
		if amr, err = a.answerTx(ctx, tx, question(by, r, digest, with.Kind), with); err != nil {
			return Outcome{}, nil, err
		}
	}
	if len(amr) == 0 {
		refusal, err = a.wrongTx(ctx, tx, by, r, o, with.Kind, g)
		return Outcome{}, refusal, err
	}
	if err := a.rightTx(tx, by, g); err != nil {
		return Outcome{}, nil, err
	}
	if has(amr, amrMulti) {
		if err := a.forgetCodesTx(tx, r.account); err != nil {
			return Outcome{}, nil, err
		}
	}
	o.amr = plus(o.amr, amr...)
	e := a.event(evFactorUsed, by, r.person, map[string]string{"kind": with.Kind})
	e.Actor = self(r.account)
	if _, err := a.Log.AppendTx(tx, e); err != nil {
		return Outcome{}, nil, err
	}
	if with.Remember {
		if o.remembered, err = a.rememberTx(tx, r, o); err != nil {
			return Outcome{}, nil, err
		}
	}
	out, err = a.advanceTx(ctx, tx, by, r, o, token)
	return out, nil, err
}

// wrongAnswer is the refusal of a wrong answer.
func wrongAnswer(kind string) error {
	if kind == kindPasskey {
		return errWrongKey
	}
	return errWrongCode
}

// wrongTx counts a wrong answer and says so in the log: it commits, and the
// refusal is given afterwards.
func (a *Accounts) wrongTx(ctx context.Context, tx *store.Tx, by access.Subject, r row, o ongoing, kind string, g guess) (refusal, err error) {
	refusal = wrongAnswer(kind)
	if !g.open {
		refusal = a.paused(g)
	}
	if g.pauses() {
		if err := a.afterPauseTx(ctx, tx, by, r, g); err != nil {
			return nil, err
		}
	}
	if o.wrong++; o.wrong >= maxWrong {
		refusal, err = errTooWrong, dropPending(tx, o.digest)
	} else {
		err = putPending(tx, o)
	}
	if err != nil {
		return nil, err
	}
	_, err = a.Log.AppendTx(tx, a.event(evFactorFailed, by, r.person, map[string]string{"kind": kind}))
	return refusal, err
}

// rememberTx is until when the browser of a sign-in stands in for the second
// factor that was just used: 0 unless that counts and may be.
func (a *Accounts) rememberTx(tx *store.Tx, r row, o ongoing) (until int64, err error) {
	may, err := a.mayRemember(tx, r)
	if err != nil || !may || !has(strings.Fields(o.amr), amrMulti) {
		return 0, err
	}
	return store.Micros(a.now().Add(a.Config.Remember.D())), nil
}
