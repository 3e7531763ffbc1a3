package account

import (
	"context"
	"fmt"

	"troth/internal/access"
	"troth/internal/id"
	"troth/internal/secret"
	"troth/internal/store"
)

// Proof is a first step of signing in that needs no password: a passkey that
// verified its user.
type Proof struct {
	Account id.Account
	AMR     []string                                      // RFC 8176: "hwk" or "swk", and "user"
	Device  secret.String                                 // the value of the device cookie, or nothing
	UseTx   func(ctx context.Context, tx *store.Tx) error // uses the proof up, in the transaction of the step
}

// SignInProven begins a session, or a sign-in that goes on, for who has proven
// to hold an authenticator that verified its user, which is two factors in one
// (SP 800-63B-4, 3.1.7.1). An account that cannot sign in is errSignIn's
// fault.Unauthenticated.
func (a *Accounts) SignInProven(ctx context.Context, by access.Subject, p Proof) (Outcome, error) {
	b, err := a.browser(ctx, p.Device)
	if err != nil {
		return Outcome{}, err
	}
	var r row
	err = a.DB.Read(ctx, func(tx *store.Tx) (err error) {
		r, err = byID(tx, p.Account)
		return err
	})
	if err != nil {
		return Outcome{}, fmt.Errorf("reading an account: %w", err)
	}
	if !r.state.returns() {
		return Outcome{}, a.refused(ctx, a.signInFailed(by, guess{who: r.person, open: true}), errSignIn)
	}
	first := proof{amr: plus("", append(p.AMR, amrMulti)...)}
	if p.UseTx != nil {
		first.useTx = func(tx *store.Tx) error { return p.UseTx(ctx, tx) }
	}
	return a.begin(ctx, by, r, b, first)
}
