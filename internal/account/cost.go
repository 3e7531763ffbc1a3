package account

import (
	"context"
	"errors"
	"time"

	"troth/internal/access"
	"troth/internal/password"
	"troth/internal/store"
)

// Cost is the outcome of a calibration.
type Cost struct {
	Params       password.Params
	Target, Took time.Duration
	CalibratedAt time.Time
}

// cost is the calibrated cost of a password hash: the stored one, or a new one
// where there is none for the configured target. All nodes use the newest.
func (a *Accounts) cost(ctx context.Context) (password.Params, error) {
	c, err := a.Calibrated(ctx)
	if err != nil {
		return password.Params{}, err
	}
	if target := a.Config.PasswordTarget.D(); c.CalibratedAt.IsZero() || c.Target != target {
		params := password.Calibrate(target, password.Measure)
		c = Cost{Params: params, Target: target, Took: password.Measure(params), CalibratedAt: a.now()}
		err = a.storeCost(ctx, c)
	}
	return c.Params, err
}

// Calibrated is the newest calibration; the zero Cost if there is none.
func (a *Accounts) Calibrated(ctx context.Context) (Cost, error) {
	var c Cost
	var at, target, took int64
	err := a.DB.Read(ctx, func(tx *store.Tx) error {
		return tx.QueryRow(`SELECT calibrated_at, memory, passes, lanes, target, took FROM account_cost
			ORDER BY calibrated_at DESC LIMIT 1`).Scan(&at, &c.Params.Memory, &c.Params.Passes, &c.Params.Lanes, &target, &took)
	})
	if errors.Is(err, store.ErrNoRows) {
		return Cost{}, nil
	}
	c.CalibratedAt = store.FromMicros(at)
	c.Target, c.Took = time.Duration(target)*time.Microsecond, time.Duration(took)*time.Microsecond
	return c, err
}

func (a *Accounts) storeCost(ctx context.Context, c Cost) error {
	return a.DB.Write(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec(`INSERT INTO account_cost (calibrated_at, memory, passes, lanes, target, took)
			VALUES ($1, $2, $3, $4, $5, $6)
			ON CONFLICT (calibrated_at) DO UPDATE SET memory = excluded.memory, passes = excluded.passes, lanes = excluded.lanes,
				target = excluded.target, took = excluded.took`,
			store.Micros(c.CalibratedAt), c.Params.Memory, c.Params.Passes, c.Params.Lanes, c.Target.Microseconds(), c.Took.Microseconds())
		if err != nil {
			return err
		}
		_, err = a.Log.AppendTx(tx, a.event(evCalibrated, access.System("calibration"), person{}, map[string]string{
			"cost": c.Params.String(), "took": c.Took.Round(time.Millisecond).String(), "aim": c.Target.String(),
		}))
		return err
	})
}
