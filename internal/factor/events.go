package factor

import (
	"context"
	"time"

	"troth/internal/access"
	"troth/internal/audit"
	"troth/internal/id"
	"troth/internal/retention"
	"troth/internal/store"
)

// The names of the events.
const (
	evAdded    = "factor.added"
	evReplaced = "factor.replaced"
	evRemoved  = "factor.removed"
	evRecovery = "factor.recovery_made"
	evSent     = "factor.code_sent"
	evSpent    = "factor.recovery_used"
)

// Events are the types of events that this package writes.
var Events = []audit.Type{
	{Name: evAdded, Sentence: "{actor} set up a sign-in method: {method}"},
	{Name: evReplaced, Sentence: "{actor} replaced a sign-in method: {method}"},
	{Name: evRemoved, Sentence: "{actor} removed a sign-in method: {method}"},
	{Name: evRecovery, Sentence: "{actor} made new recovery codes; older ones are void"},
	{Name: evSent, Sentence: "{actor} asked for a code: {method}"},
	{Name: evSpent, Sentence: "{actor} used a recovery code"},
}

// methods are the kinds as the log calls them.
var methods = map[string]string{
	KindApp: "an authenticator app", KindText: "codes by text message", KindMail: "codes by mail", KindRecovery: "recovery codes",
}

// event is an event about an account, in the activity of its home. Before
// anybody is signed in, the actor is the holder, who has shown a password.
func (f *Factors) event(name string, by access.Subject, home id.Tenant, account id.Account, kind string) audit.Event {
	e := audit.Event{
		Type: name, Tenant: home, Actor: by.Actor(), Context: by.Context, OccurredAt: f.Now(),
		Targets:  []audit.Target{{Kind: "account", ID: string(account), Person: account}},
		Metadata: map[string]string{"method": methods[kind]},
	}
	if by.Kind == access.KindNobody {
		e.Actor = audit.Actor{Kind: audit.KindPerson, Account: account}
	}
	return e
}

// sweepLimit is how many rows one transaction removes.
const sweepLimit = 1000

// pendingLife is how long a factor may wait for its first code.
const pendingLife = time.Hour

// Retention says how long the rows of this package are kept.
var Retention = []retention.Rule{
	{
		Table: "factor", Every: 15 * time.Minute,
		Keep: "As long as the account has the factor; one that was never confirmed, for an hour.",
		Sweep: func(_ context.Context, tx *store.Tx, now time.Time) (int64, error) {
			return tx.Exec(`DELETE FROM factor WHERE factor IN
				(SELECT factor FROM factor WHERE confirmed_at = 0 AND created_at <= $1 LIMIT $2)`, store.Micros(now.Add(-pendingLife)), sweepLimit)
		},
	},
	{Table: "factor_recovery", Keep: "As long as the account, until new codes are made: keyed digests, and when each was used."},
	{
		Table: "factor_code", Every: time.Hour,
		Keep: "For a day: that a code was sent and a keyed digest of it, good for ten minutes, to bound how many there are.",
		Sweep: func(_ context.Context, tx *store.Tx, now time.Time) (int64, error) {
			return tx.Exec(`DELETE FROM factor_code WHERE (account, kind, purpose, sent_at) IN
				(SELECT account, kind, purpose, sent_at FROM factor_code WHERE sent_at <= $1 LIMIT $2)`, store.Micros(now.Add(-24*time.Hour)), sweepLimit)
		},
	},
}

// ForgetTx removes everything that this package keeps about an account: it is
// being destroyed.
func (f *Factors) ForgetTx(tx *store.Tx, account id.Account) error {
	for _, statement := range []string{
		`DELETE FROM factor WHERE account = $1`, `DELETE FROM factor_recovery WHERE account = $1`, `DELETE FROM factor_code WHERE account = $1`,
	} {
		if _, err := tx.Exec(statement, account); err != nil {
			return err
		}
	}
	return nil
}
