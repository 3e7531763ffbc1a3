package account

import (
	"errors"
	"fmt"

	"troth/internal/access"
	"troth/internal/id"
	"troth/internal/store"
	"troth/internal/text"
)

// toldRaised is told to whoever was signed out for having got more power.
const toldRaised = "raised"

// told are the sentences that wait for the next sign-in.
var told = map[string]text.Text{
	toldRaised: text.New("You were given more power in an organisation. That ended every session of yours, so that nobody else gained by it, and is why you had to sign in again."),
}

// RaisedTx ends every session of an account whose role was raised, in the
// transaction that raises it: a session that somebody else may hold never grows
// with its owner (OWASP ASVS 5.0, 7.2.4). The holder is told at the next sign-in.
func (a *Accounts) RaisedTx(tx *store.Tx, by access.Subject, account id.Account) error {
	r, err := byID(tx, account)
	if err != nil || r.state != Active {
		return err // nobody is signed in
	}
	n, err := endSessions(tx, `account = $1`, account)
	if err != nil {
		return fmt.Errorf("ending the sessions of whoever is raised: %w", err)
	}
	if n > 0 {
		_, err = tx.Exec(`INSERT INTO account_told (account, what, told_at) VALUES ($1, $2, $3)
			ON CONFLICT (account) DO UPDATE SET what = excluded.what, told_at = excluded.told_at`, account, toldRaised, store.Micros(a.now()))
		if err != nil {
			return err
		}
	}
	_, err = a.Log.AppendTx(tx, a.event(evRaised, by, r.person, counted(n)))
	return err
}

// takeToldTx is what the holder is told at this sign-in, once.
func takeToldTx(tx *store.Tx, account id.Account) (*text.Text, error) {
	var what string
	err := tx.QueryRow(`DELETE FROM account_told WHERE account = $1 RETURNING what`, account).Scan(&what)
	if errors.Is(err, store.ErrNoRows) {
		return nil, nil
	}
	if t, ok := told[what]; ok && err == nil {
		return &t, nil
	}
	return nil, err
}
