package account

import (
	"context"

	"troth/internal/id"
	"troth/internal/store"
)

// HolderTx is an active account as a transaction finds it, for packages below
// that keep factors of it; fault.NotFound for any other.
func (a *Accounts) HolderTx(ctx context.Context, tx *store.Tx, account id.Account) (Account, error) {
	r, err := byID(tx, account)
	if err != nil || r.state != Active {
		return Account{}, orUnknown(err)
	}
	return a.view(ctx, r)
}
