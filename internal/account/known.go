package account

import (
	"context"
	"encoding/hex"
	"fmt"
	"time"

	"troth/internal/id"
	"troth/internal/keys"
	"troth/internal/mail"
	"troth/internal/store"
)

// pastLife is how long an address that was replaced is still told what happens
// to the account, and how long it can undo the change.
const pastLife = 7 * 24 * time.Hour

// tellTx sends a letter to every address of an account: the present one, given
// as it was opened, and those that were replaced within [pastLife]. Whoever
// took an account over and moved it to another mailbox does not silence its
// holder by that (SP 800-63B-4, 4.6: notices of events go to more than one address where there is one).
func (a *Accounts) tellTx(ctx context.Context, tx *store.Tx, p person, email string, letter func(to string, about person) mail.Message) error {
	all, err := a.addressesTx(ctx, tx, p, email)
	if err != nil {
		return err
	}
	for _, to := range all {
		if err := a.Post.SendTx(tx, letter(to, p)); err != nil {
			return err
		}
	}
	return nil
}

// addressesTx lists the addresses of an account, the present one first.
func (a *Accounts) addressesTx(ctx context.Context, tx *store.Tx, p person, email string) ([]string, error) {
	all := []string{email}
	rows, err := tx.Query(`SELECT email_index, email FROM account_past WHERE account = $1 AND expires_at > $2 ORDER BY expires_at DESC LIMIT $3`,
		p.account, store.Micros(a.now()), maxPast)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var index, sealed []byte
		if err := rows.Scan(&index, &sealed); err != nil {
			return nil, err
		}
		b, err := a.Keys.Open(ctx, p.pastPlace(index), sealed, p.refs()...)
		if err != nil {
			return nil, fmt.Errorf("opening an address that an account had: %w", err)
		}
		if keys.Normalise(string(b)) != keys.Normalise(email) { // it may be the present one again
			all = append(all, string(b))
		}
	}
	return all, rows.Err()
}

// maxPast bounds the addresses of one account that are told.
const maxPast = 5

func (p person) pastPlace(index []byte) keys.Place {
	return keys.Place{Tenant: p.home, Table: "account_past", Column: "email", Row: string(p.account) + hex.EncodeToString(index)}
}

// keepPastTx remembers an address that was replaced.
func (a *Accounts) keepPastTx(ctx context.Context, tx *store.Tx, p person, email string, index []byte) error {
	sealed, err := a.Keys.Seal(ctx, p.pastPlace(index), []byte(email), p.refs()...)
	if err != nil {
		return fmt.Errorf("sealing an address that an account had: %w", err)
	}
	_, err = tx.Exec(`INSERT INTO account_past (account, email_index, email, expires_at) VALUES ($1, $2, $3, $4)
		ON CONFLICT (account, email_index) DO UPDATE SET email = excluded.email, expires_at = excluded.expires_at`,
		p.account, index, sealed, store.Micros(a.now().Add(pastLife)))
	return err
}

// endWaitingTx ends everything about an account that waits for a mailbox or for
// a day: a change of address and recoveries, with their links.
func endWaitingTx(tx *store.Tx, account id.Account) error {
	if _, err := tx.Exec(`DELETE FROM account_recovery WHERE account = $1`, account); err != nil {
		return err
	}
	if _, err := tx.Exec(`DELETE FROM account_address WHERE account = $1`, account); err != nil {
		return err
	}
	return dropLinks(tx, account, linkAddressNew, linkAddressOld, linkRegain, linkKeep)
}

// forgetPastTx forgets what an account had: it is being destroyed.
func forgetPastTx(tx *store.Tx, account id.Account) error {
	_, err := tx.Exec(`DELETE FROM account_past WHERE account = $1`, account)
	return err
}
