package account

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"troth/internal/access"
	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/secret"
	"troth/internal/store"
)

// Passkeys signs people in whose passkey tells who they are. Package passkey
// fills it.
type Passkeys interface {
	// Enabled reports whether there can be passkeys here.
	Enabled() bool
	// RPID is the domain to which they are bound.
	RPID() string
	// BeginSignIn makes a challenge for a browser, which will be recognised by
	// the token, and returns what that browser asks its devices. The challenge
	// can be answered once.
	BeginSignIn(ctx context.Context, browser secret.String) (json.RawMessage, error)
	// SignInTx checks the answer and uses the challenge up, in the transaction
	// in which the sign-in goes on. What is wrong with an answer is in Shown, and
	// what was noted about it is kept; an error is the installation's.
	SignInTx(ctx context.Context, tx *store.Tx, by access.Subject, browser secret.String, answer []byte) (Shown, error)
}

// Shown is what an answer of a passkey shows.
type Shown struct {
	Account id.Account
	AMR     []string     // RFC 8176, with mfa where the device verified the user
	Refused *fault.Error // why it is not accepted; nil if it is
	Reason  string       // the same for the log
}

// PasskeyAttempt is what a browser sends to sign in with a passkey alone.
type PasskeyAttempt struct {
	Browser secret.String // the value of the cookie with which the challenge was given out
	Answer  []byte        // what the device signed, as JSON
	Device  secret.String // as in [Attempt]
}

var errNoPasskeys = fault.New(fault.Unavailable, "account.no_passkeys", "Nobody can sign in with a passkey here. Sign in with your password.")

// How often strangers of a network may ask for a challenge, or answer one.
// Nobody guesses a signature: this bounds what they make us write. Every page
// of sign-in asks for one, and many people can share an address.
const (
	passkeyBurst = 300
	passkeyEvery = time.Second
)

// payForPasskey lets a network pay for a challenge or an answer.
func (a *Accounts) payForPasskey(by access.Subject) error {
	if wait := a.guess.passkeys.Take(a.guess.t.Networks(by.Context.IP).Near, 1); wait > 0 {
		return errEffort.In(patience(wait))
	}
	return nil
}

// HasPasskeys reports whether people can sign in with a passkey.
func (a *Accounts) HasPasskeys() bool { return a.Passkeys != nil && a.Passkeys.Enabled() }

// BeginPasskey returns what a browser asks its devices to sign somebody in.
func (a *Accounts) BeginPasskey(ctx context.Context, by access.Subject, browser secret.String) (json.RawMessage, error) {
	if !a.HasPasskeys() {
		return nil, errNoPasskeys
	}
	if err := a.payForPasskey(by); err != nil {
		return nil, err
	}
	return a.Passkeys.BeginSignIn(ctx, browser)
}

// SignInPasskey signs somebody in whose device verified who it is: that is two
// factors in one (SP 800-63B-4, 3.1.7.1), so neither the password nor another
// factor is asked for. Every other step of signing in is. Refusals are
// fault.Unauthenticated, and in the log.
func (a *Accounts) SignInPasskey(ctx context.Context, by access.Subject, t PasskeyAttempt) (Outcome, error) {
	if !a.HasPasskeys() {
		return Outcome{}, errNoPasskeys
	}
	if err := a.payForPasskey(by); err != nil {
		return Outcome{}, err
	}
	browser, err := a.browser(ctx, t.Device)
	if err != nil {
		return Outcome{}, err
	}
	var out Outcome
	var refusal error
	err = a.DB.Write(ctx, func(tx *store.Tx) (err error) {
		out, refusal, err = a.passkeyTx(ctx, tx, by, browser, t)
		return err
	})
	if err != nil {
		return Outcome{}, fmt.Errorf("signing in with a passkey: %w", err)
	}
	return out, refusal
}

// passkeyTx takes the first step of a sign-in. What is refused comes as a
// refusal, so that the transaction commits.
func (a *Accounts) passkeyTx(ctx context.Context, tx *store.Tx, by access.Subject, b browser, t PasskeyAttempt) (out Outcome, refusal, err error) {
	shown, err := a.Passkeys.SignInTx(ctx, tx, by, t.Browser, t.Answer)
	if err != nil {
		return Outcome{}, nil, err
	}
	var r row
	if shown.Account != "" {
		if r, err = byID(tx, shown.Account); err != nil {
			return Outcome{}, nil, err
		}
	}
	switch {
	case shown.Refused != nil:
		refusal = shown.Refused
	case !r.state.returns() || len(shown.AMR) == 0:
		refusal, shown.Reason = errSignIn, "the account is closed"
	}
	if refusal != nil {
		_, err = a.Log.AppendTx(tx, a.event(evSignInFailed, by, r.person, map[string]string{"reason": "the passkey: " + shown.Reason}))
		return Outcome{}, refusal, err
	}
	out, err = a.firstStepTx(ctx, tx, by, r, b, proof{amr: strings.Join(shown.AMR, " ")})
	return out, nil, err
}

// StaffTx reports whether an account is staff, as fresh as the transaction.
func (a *Accounts) StaffTx(tx *store.Tx, account id.Account) (bool, error) {
	r, err := byID(tx, account)
	return r.staff != StaffNone, err
}
