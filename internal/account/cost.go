package account

import (
	"context"
	"errors"
	"fmt"
	"time"

	"troth/internal/access"
	"troth/internal/fault"
	"troth/internal/password"
	"troth/internal/store"
)

// Cost is the outcome of a calibration.
type Cost struct {
	Params       password.Params
	Target, Took time.Duration
	CalibratedAt time.Time
}

// String is the scheme and its parameters.
func (c Cost) String() string { return c.Params.Scheme.String() + " " + c.Params.String() }

// scheme is the one under which new hashes are made.
func (a *Accounts) scheme() password.Scheme {
	s, _ := password.SchemeOf(a.Config.PasswordHash) // Passwords.check refuses another; "" is Argon2id
	return s
}

// cost is the calibrated cost of a password hash: the stored one, or a new one
// where there is none for the configured scheme and target. All nodes use the
// newest.
func (a *Accounts) cost(ctx context.Context) (password.Params, error) {
	c, err := a.Calibrated(ctx)
	if err != nil {
		return password.Params{}, err
	}
	if c.CalibratedAt.IsZero() || c.Target != a.Config.PasswordTarget.D() || c.Params.Scheme != a.scheme() {
		c = a.measure()
		err = a.storeCost(ctx, access.System("calibration"), c)
	}
	return c.Params, err
}

// measure calibrates on this machine, and stores nothing.
func (a *Accounts) measure() Cost {
	target := a.Config.PasswordTarget.D()
	params := password.Calibrate(a.scheme(), target, password.Measure)
	return Cost{Params: params, Target: target, Took: password.Measure(params), CalibratedAt: a.now()}
}

// Calibration is the cost that is in use, and what would be calibrated now.
type Calibration struct {
	Present  Cost
	Takes    time.Duration // by Present.Params, measured now
	Proposed Cost
	Stored   bool // Proposed is in use from the next start of each node
}

var errLower = fault.New(fault.Conflict, "account.lower_cost", "A hash at the proposed cost would be cheaper to guess than one at the present cost, so nothing was changed. Say --lower if this machine is the one that people sign in to, and too slow for them.")

// Calibrate measures this machine anew, for the operator on the host. Without
// store it changes nothing. A cost lower than the present one is stored only
// where lower allows it; otherwise it is fault.Conflict. Nodes take a stored
// cost up when they start; until then they use the one that they have.
func (a *Accounts) Calibrate(ctx context.Context, by access.Subject, store, lower bool) (Calibration, error) {
	if err := onHost(by); err != nil {
		return Calibration{}, err
	}
	present, err := a.Calibrated(ctx)
	if err != nil {
		return Calibration{}, fmt.Errorf("reading the calibration: %w", err)
	}
	c := Calibration{Present: present, Takes: takes(present.Params), Proposed: a.measure()}
	if !store {
		return c, nil
	}
	if c.Proposed.Params.Scheme == present.Params.Scheme && c.Proposed.Params.Below(present.Params) && !lower {
		return c, errLower
	}
	if err := a.storeCost(ctx, by, c.Proposed); err != nil {
		return c, fmt.Errorf("storing a calibration: %w", err)
	}
	c.Stored = true
	return c, nil
}

// takes is how long a hash takes now: the least of three.
func takes(p password.Params) time.Duration {
	return min(password.Measure(p), password.Measure(p), password.Measure(p))
}

// Drift measures how long a hash takes now, and says how that compares with
// what was aimed at when it was calibrated. It changes nothing.
func (a *Accounts) Drift(ctx context.Context) (Cost, time.Duration, password.Drift, error) {
	c, err := a.Calibrated(ctx)
	if err != nil || c.CalibratedAt.IsZero() {
		return c, 0, password.Steady, err
	}
	now := takes(c.Params)
	return c, now, password.Compare(c.Params, c.Target, now), nil
}

// slowInARow is how often in a row a hash has to be found too slow before that
// is put down to the machine.
const slowInARow = 3

// WatchCost proposes in the operator's log to calibrate again, when the machine
// has become another. It never changes the cost: lower would be weaker, and
// higher would keep people waiting, so somebody decides.
func (a *Accounts) WatchCost(ctx context.Context) error {
	c, now, drift, err := a.Drift(ctx)
	if err != nil {
		return fmt.Errorf("looking at the cost of a password hash: %w", err)
	}
	// What else runs makes a hash slower, never faster.
	if drift == password.Slower {
		drift = password.Steady
		if a.slow.Add(1) == slowInARow {
			drift = password.Slower
		}
	} else {
		a.slow.Store(0)
	}
	if drift != password.Steady {
		a.log.Warn("the cost of a password hash no longer fits this machine; to calibrate it again: troth password calibrate",
			"cost", c.String(), "takes", now.Round(time.Millisecond), "aim", c.Target)
	}
	return nil
}

// Calibrated is the newest calibration; the zero Cost if there is none.
func (a *Accounts) Calibrated(ctx context.Context) (Cost, error) {
	var c Cost
	var at, target, took int64
	var scheme string
	err := a.DB.Read(ctx, func(tx *store.Tx) error {
		return tx.QueryRow(`SELECT calibrated_at, scheme, memory, passes, lanes, target, took FROM account_cost
			ORDER BY calibrated_at DESC LIMIT 1`).Scan(&at, &scheme, &c.Params.Memory, &c.Params.Passes, &c.Params.Lanes, &target, &took)
	})
	if errors.Is(err, store.ErrNoRows) {
		return Cost{}, nil
	}
	var ok bool
	if c.Params.Scheme, ok = password.SchemeOf(scheme); !ok && err == nil {
		return Cost{}, fmt.Errorf("the newest calibration is of the unknown scheme %q", scheme)
	}
	c.CalibratedAt = store.FromMicros(at)
	c.Target, c.Took = time.Duration(target)*time.Microsecond, time.Duration(took)*time.Microsecond
	return c, err
}

func (a *Accounts) storeCost(ctx context.Context, by access.Subject, c Cost) error {
	return a.DB.Write(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec(`INSERT INTO account_cost (calibrated_at, scheme, memory, passes, lanes, target, took)
			VALUES ($1, $2, $3, $4, $5, $6, $7)
			ON CONFLICT (calibrated_at) DO UPDATE SET scheme = excluded.scheme, memory = excluded.memory, passes = excluded.passes,
				lanes = excluded.lanes, target = excluded.target, took = excluded.took`,
			store.Micros(c.CalibratedAt), c.Params.Scheme.String(), c.Params.Memory, c.Params.Passes, c.Params.Lanes, c.Target.Microseconds(), c.Took.Microseconds())
		if err != nil {
			return err
		}
		_, err = a.Log.AppendTx(tx, a.event(evCalibrated, by, person{}, map[string]string{
			"cost": c.String(), "took": c.Took.Round(time.Millisecond).String(), "aim": c.Target.String(),
		}))
		return err
	})
}

// Pepper is the pepper of the installation, as it is configured.
func (a *Accounts) Pepper() password.Pepper {
	return password.Pepper{Keys: a.Keys, On: a.Config.PasswordPepper}
}

var errNoPepper = fault.New(fault.Conflict, "account.no_pepper", "Password hashes have no pepper here. Set account.password_pepper = true and start the nodes again; hashes get it as people sign in.")

// RotatePepper makes a new version of the pepper, for the operator on the host.
// Hashes get it as people sign in; the older version stays for those that do
// not. It returns the version.
func (a *Accounts) RotatePepper(ctx context.Context, by access.Subject) (version int, err error) {
	if err := onHost(by); err != nil {
		return 0, err
	}
	if !a.Config.PasswordPepper {
		return 0, errNoPepper
	}
	// The key is made first: one that nobody says was made is used all the same,
	// and harms nobody.
	if version, err = a.Pepper().Rotate(ctx); err != nil {
		return 0, err
	}
	err = a.DB.Write(ctx, func(tx *store.Tx) error {
		_, err := a.Log.AppendTx(tx, a.event(evPeppered, by, person{}, map[string]string{"version": fmt.Sprint(version)}))
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("recording a new pepper: %w", err)
	}
	return version, nil
}
