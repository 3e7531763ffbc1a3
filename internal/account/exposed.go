package account

import (
	"context"
	"errors"
	"fmt"

	"troth/internal/access"
	"troth/internal/password"
	"troth/internal/secret"
	"troth/internal/store"
)

// A password that others know is exposed: it was found in a list of breached
// passwords when its holder typed it ([Accounts.askExposed]), or beside the
// holder's address in data that was stolen elsewhere (exposed_pairs.go). The
// account is marked with the time at which that password was set, so that the
// mark is void as soon as there is another one, whoever sets it. As long as it
// holds, each sign-in asks for another password after its second factor
// (SP 800-63B-4, 3.1.1.2: verifiers force a change where there is evidence of
// compromise). The holder is told by mail at once, and those who watch over the
// installation within minutes (exposed_alert.go).

// exposure says how a password was found.
type exposure string

const (
	inList exposure = "list"
	inPair exposure = "pair"
)

// words say it in the log.
func (e exposure) words() string {
	if e == inPair {
		return "beside the address, in data that was stolen elsewhere"
	}
	return "in lists of breached passwords"
}

// finder is who finds them.
func finder() access.Subject { return access.System("the search for breached passwords") }

// exposedTx reports whether the present password of an account is known to be
// exposed.
func exposedTx(tx *store.Tx, r row) (bool, error) {
	var n int
	err := tx.QueryRow(`SELECT COUNT(*) FROM account_exposed WHERE account = $1 AND password_at = $2`, r.account, r.passwordAt).Scan(&n)
	return n > 0, err
}

// askExposed asks whether a password that was just compared, and was right, is
// known to others, and marks its account if it is. Nobody is kept from signing
// in because that cannot be told: it is logged, and asked again next time.
func (a *Accounts) askExposed(ctx context.Context, by access.Subject, r row, p secret.String) error {
	known := false
	err := a.DB.Read(ctx, func(tx *store.Tx) (err error) {
		known, err = exposedTx(tx, r)
		return err
	})
	if err != nil {
		return fmt.Errorf("reading whether a password is exposed: %w", err)
	}
	how, waiting, err := a.typed(ctx, r, p)
	if err != nil {
		return err
	}
	if how == "" && !known && a.Rules.Known != nil {
		finding, err := a.Rules.Known.Known(ctx, p)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			a.log.Error("a password that was typed could not be compared with the lists of breached ones", "error", err)
		case finding != password.Unheard:
			how = inList
		}
	}
	if known {
		how = ""
	}
	if how == "" && !waiting {
		return nil
	}
	return a.settleExposed(ctx, r, how)
}

// settleExposed marks an account whose password was found, if it was, and drops
// the hashes that what was typed was compared with.
func (a *Accounts) settleExposed(ctx context.Context, r row, how exposure) error {
	v, err := a.view(ctx, r)
	if err != nil {
		return err
	}
	err = a.DB.Write(ctx, func(tx *store.Tx) error {
		if _, err := tx.Exec(`DELETE FROM account_pair WHERE account = $1 AND kind <> $2`, r.account, pairText); err != nil {
			return err
		}
		if how == "" {
			tx.Unaudited("hashes that were found beside an address are not those of its account's password")
			return nil
		}
		return a.exposeTx(ctx, tx, r, v, how)
	})
	if errors.Is(err, errChangedMeanwhile) {
		return nil // the new password is asked when it is typed
	}
	if err != nil {
		return fmt.Errorf("marking an exposed password: %w", err)
	}
	return nil
}

var errChangedMeanwhile = errors.New("the password was changed meanwhile")

// exposeTx marks an account and tells its holder. What was found beside the
// address ends every session: others could have signed in with it.
func (a *Accounts) exposeTx(ctx context.Context, tx *store.Tx, r row, v Account, how exposure) error {
	present, err := byID(tx, r.account)
	if err != nil {
		return err
	}
	if !present.state.kept() || present.passwordAt != r.passwordAt {
		return errChangedMeanwhile
	}
	_, err = tx.Exec(`INSERT INTO account_exposed (account, password_at, how, found_at, told_at) VALUES ($1, $2, $3, $4, 0)
		ON CONFLICT (account) DO UPDATE SET password_at = excluded.password_at, how = excluded.how, found_at = excluded.found_at, told_at = 0`,
		r.account, r.passwordAt, string(how), store.Micros(a.now()))
	if err != nil {
		return err
	}
	ended := int64(0)
	if how == inPair {
		if ended, err = a.changedTx(ctx, tx, v, change{letter: a.pairLetter, ends: true}); err != nil {
			return err
		}
	} else if err := a.Post.SendTx(tx, a.listLetter(v.Email, r.person)); err != nil {
		return err
	}
	e := a.event(evExposed, finder(), r.person, counted(ended))
	e.Metadata["where"] = how.words()
	_, err = a.Log.AppendTx(tx, e)
	return err
}
