package account

import (
	"context"
	"errors"
	"fmt"
	"time"

	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/password"
	"troth/internal/secret"
	"troth/internal/store"
)

// The bounds of one run of [Accounts.ComparePairs]: people who sign in
// meanwhile wait for one hash at most.
const (
	compareRun  = 30 * time.Second
	compareMost = 500
)

// waitingPair is a password that was found beside the address of an account.
type waitingPair struct {
	digest, sealed []byte
	row
}

// errLater says that people sign in, who go first.
var errLater = errors.New("there is no room to compare a credential pair")

// ComparePairs compares passwords that were found beside addresses with the
// stored hashes of their accounts, the oldest first, one at a time, and drops
// each. A match ends every session of the account, which has to set another
// password; its holder is told, and those who watch are. It is run periodically
// and bears being run again.
func (a *Accounts) ComparePairs(ctx context.Context) error { return a.comparePairs(ctx, "") }

// comparePairs compares those of one account, or of all.
func (a *Accounts) comparePairs(ctx context.Context, of id.Account) error {
	began := a.now()
	for range compareMost {
		w, ok, err := a.nextWaiting(ctx, of)
		if err != nil {
			return fmt.Errorf("looking for a credential pair to compare: %w", err)
		}
		if !ok || a.now().Sub(began) > compareRun {
			return nil
		}
		err = a.comparePair(ctx, w)
		if errors.Is(err, errLater) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (a *Accounts) nextWaiting(ctx context.Context, account id.Account) (w waitingPair, ok bool, err error) {
	err = a.DB.Read(ctx, func(tx *store.Tx) error {
		w, ok = waitingPair{}, false
		var of waitingPair
		query, args := `SELECT digest, sealed, account FROM account_pair WHERE kind = $1 ORDER BY added_at, digest LIMIT 1`, []any{pairText}
		if account != "" {
			query, args = `SELECT digest, sealed, account FROM account_pair WHERE kind = $1 AND account = $2 ORDER BY added_at, digest LIMIT 1`, append(args, account)
		}
		err := tx.QueryRow(query, args...).Scan(&of.digest, &of.sealed, &of.account)
		if errors.Is(err, store.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		r, err := byID(tx, of.account)
		if err != nil {
			return err
		}
		of.row = r
		w, ok = of, true
		return nil
	})
	return w, ok, err
}

// comparePair compares one and drops it.
func (a *Accounts) comparePair(ctx context.Context, w waitingPair) error {
	match, err := a.pairMatches(ctx, w)
	if err != nil {
		return err
	}
	var v Account
	if match {
		if v, err = a.view(ctx, w.row); err != nil {
			return err
		}
	}
	err = a.DB.Write(ctx, func(tx *store.Tx) error {
		if _, err := tx.Exec(`DELETE FROM account_pair WHERE digest = $1`, w.digest); err != nil {
			return err
		}
		known, err := exposedTx(tx, w.row)
		if err != nil {
			return err
		}
		if !match || known {
			tx.Unaudited("what was found beside an address is not the password of its account, or that is known already")
			return nil
		}
		return a.exposeTx(ctx, tx, w.row, v, inPair)
	})
	if errors.Is(err, errChangedMeanwhile) {
		return nil // it is compared with the new one in the next round
	}
	if err != nil {
		return fmt.Errorf("noting what comparing a credential pair found: %w", err)
	}
	return nil
}

func (a *Accounts) pairMatches(ctx context.Context, w waitingPair) (bool, error) {
	if !w.state.kept() || w.password == "" {
		return false, nil
	}
	plain, err := a.Keys.Open(ctx, w.pairPlace(w.digest), w.sealed, w.refs()...)
	if err != nil {
		return false, fmt.Errorf("opening a credential pair: %w", err)
	}
	p, ok := password.Normalise(secret.Of(string(plain)))
	if !ok {
		return false, nil
	}
	verdict, err := a.Hashing.Verify(ctx, w.password, p)
	if fault.KindOf(err) == fault.Unavailable && ctx.Err() == nil {
		return false, errLater
	}
	if err != nil {
		return false, fmt.Errorf("comparing a credential pair: %w", err)
	}
	return verdict.Match, nil
}
