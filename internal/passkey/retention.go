package passkey

import (
	"context"
	"time"

	"troth/internal/retention"
	"troth/internal/store"
)

// sweepLimit is how many rows one transaction removes.
const sweepLimit = 1000

// Retention says how long the rows of this package are kept.
var Retention = []retention.Rule{
	{Table: "passkey", Keep: "Until its holder removes it, or the account is destroyed."},
	{Table: "passkey_handle", Keep: "As long as the account: devices know it by this number, and would not recognise it under another one."},
	{
		Table: "passkey_challenge", Every: 5 * time.Minute,
		Keep: "For five minutes, or until it is answered: a random number, and which browser it was given to.",
		Sweep: func(_ context.Context, tx *store.Tx, now time.Time) (int64, error) {
			return sweep(tx, now, sweepLimit)
		},
	},
}
