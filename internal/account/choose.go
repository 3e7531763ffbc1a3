package account

import (
	"context"
	"fmt"

	"troth/internal/id"
	"troth/internal/password"
	"troth/internal/secret"
	"troth/internal/store"
)

// Organisations knows what the organisations of a person are called. Package
// tenant fills it.
type Organisations interface {
	// OrganisationsOf are the names of the organisations that an account belongs
	// to, some of them where there are very many.
	OrganisationsOf(ctx context.Context, account id.Account) ([]string, error)
}

// choose is the one way by which a new password comes in: it is normalised, and
// refused with fault.Invalid on the field "password" when it breaks a rule (see
// [password.Rules]).
func (a *Accounts) choose(ctx context.Context, chosen secret.String, about password.About) (secret.String, error) {
	return a.Rules.Check(ctx, chosen, about)
}

// about is what a password of an account is chosen for: its holder's words, and
// whether every sign-in with it needs a counting second factor as well, so that
// it may be short. What it says of that is asked again by [Accounts.standsTx].
func (a *Accounts) about(ctx context.Context, v Account) (password.About, error) {
	about := password.About{Email: v.Email, Name: v.Name}
	err := a.DB.Read(ctx, func(tx *store.Tx) (err error) {
		_, about.Short, err = a.offersTx(ctx, tx, v.ID)
		return err
	})
	if err == nil && a.Organisations != nil {
		about.Words, err = a.Organisations.OrganisationsOf(ctx, v.ID)
	}
	if err != nil {
		return password.About{}, fmt.Errorf("reading what a password is chosen for: %w", err)
	}
	return about, nil
}

// chooseFor is choose for the holder of an account.
func (a *Accounts) chooseFor(ctx context.Context, chosen secret.String, v Account) (secret.String, error) {
	about, err := a.about(ctx, v)
	if err != nil {
		return secret.String{}, err
	}
	return a.choose(ctx, chosen, about)
}

// chooseAlone is chooseFor where the second factors are about to go.
func (a *Accounts) chooseAlone(ctx context.Context, chosen secret.String, v Account) (secret.String, error) {
	about, err := a.about(ctx, v)
	if err != nil {
		return secret.String{}, err
	}
	about.Short = false
	return a.choose(ctx, chosen, about)
}

// short reports whether a password is too short to be the only factor.
func short(p secret.String) bool { return password.Length(p) < password.MinLength }

// standsTx refuses a short password where there is no counting second factor
// any more, in the transaction that stores it.
func (a *Accounts) standsTx(ctx context.Context, tx *store.Tx, account id.Account, chosen secret.String) error {
	if !short(chosen) {
		return nil
	}
	_, counts, err := a.offersTx(ctx, tx, account)
	if err == nil && !counts {
		_, err = password.Rules{}.Check(ctx, chosen, password.About{})
	}
	return err
}
