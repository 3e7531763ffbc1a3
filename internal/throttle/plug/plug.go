// Package plug plugs package throttle into Troth: its table, how long its rows
// are kept, and nothing that anybody could see or do. What is limited, and what
// is said to whoever is refused, is for the packages that use limits.
package plug

import (
	"context"
	"time"

	"troth/internal/part"
	"troth/internal/retention"
	"troth/internal/store"
	"troth/internal/throttle"
)

// New returns the part.
func New() part.Part {
	return part.Part{
		Name: "throttle", Migrations: throttle.Migrations, Tables: throttle.Tables,
		Retention: []retention.Rule{{
			Table: "throttle_state", Every: 15 * time.Minute,
			Keep: "Until a spent budget is full again, which takes minutes to a day, and for 30 days that somebody signed in from a network: keyed digests, from which no address can be read.",
			Sweep: func(_ context.Context, tx *store.Tx, now time.Time) (int64, error) {
				return throttle.SweepTx(tx, now)
			},
		}},
	}
}
