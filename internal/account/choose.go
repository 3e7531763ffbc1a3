package account

import (
	"context"

	"troth/internal/password"
	"troth/internal/secret"
)

// choose is the one way by which a new password comes in: it is normalised, and
// refused with fault.Invalid on the field "password" when it breaks a rule (see
// [password.Rules]).
func (a *Accounts) choose(ctx context.Context, chosen secret.String, about password.About) (secret.String, error) {
	return a.Rules.Check(ctx, chosen, about)
}
