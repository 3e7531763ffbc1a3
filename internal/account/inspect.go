package account

import (
	"context"
	"fmt"

	"troth/internal/access"
	"troth/internal/id"
	"troth/internal/password"
	"troth/internal/store"
)

// Rows is what the database holds of an account, as somebody would see it who
// has the database: for the checks that show what is not in it.
type Rows struct {
	Password string   // the stored hash
	Columns  [][]byte // every column of the account's row and of its sessions' rows
}

// Inspect reads the rows of an account, for the system.
func (a *Accounts) Inspect(ctx context.Context, by access.Subject, account id.Account) (Rows, error) {
	if err := onHost(by); err != nil {
		return Rows{}, err
	}
	var found Rows
	err := a.DB.Read(ctx, func(tx *store.Tx) error {
		found = Rows{}
		if err := tx.QueryRow(`SELECT COALESCE(password, '') FROM account WHERE account = $1`, account).Scan(&found.Password); err != nil {
			return err
		}
		for _, query := range []string{`SELECT * FROM account WHERE account = $1`, `SELECT * FROM session WHERE account = $1`, `SELECT * FROM account_link WHERE account = $1`,
			`SELECT * FROM account_pending WHERE account = $1`, `SELECT * FROM account_device WHERE account = $1`} {
			if err := found.read(tx, query, account); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return Rows{}, fmt.Errorf("inspecting the rows of an account: %w", err)
	}
	return found, nil
}

func (r *Rows) read(tx *store.Tx, query string, account id.Account) error {
	rows, err := tx.Query(query, account)
	if err != nil {
		return err
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		return err
	}
	for rows.Next() {
		values, into := make([]any, len(names)), make([]any, len(names))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			return err
		}
		for _, v := range values {
			switch v := v.(type) {
			case []byte:
				r.Columns = append(r.Columns, append([]byte(nil), v...))
			default:
				r.Columns = append(r.Columns, fmt.Append(nil, v))
			}
		}
	}
	return rows.Err()
}

// Hashes is what the stored hashes of some accounts are.
type Hashes struct {
	Looked     int
	Weak       int // cheaper than the floor of their scheme, or no hash at all
	Imported   int // made by another system, to be made again at the next sign-in
	Unpeppered int // without a pepper although there shall be one, likewise
}

// CountHashes looks at the stored hashes of at most limit active accounts, the
// newest first.
func (a *Accounts) CountHashes(ctx context.Context, by access.Subject, limit int) (Hashes, error) {
	if err := onHost(by); err != nil {
		return Hashes{}, err
	}
	var n Hashes
	err := a.DB.Read(ctx, func(tx *store.Tx) error {
		n = Hashes{}
		rows, err := tx.Query(`SELECT COALESCE(password, '') FROM account WHERE state = $1 ORDER BY account DESC LIMIT $2`, Active, limit)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var phc string
			if err := rows.Scan(&phc); err != nil {
				return err
			}
			n.add(phc, a.Config.PasswordPepper)
		}
		return rows.Err()
	})
	if err != nil {
		return Hashes{}, fmt.Errorf("looking at the stored hashes: %w", err)
	}
	return n, nil
}

func (n *Hashes) add(phc string, pepper bool) {
	n.Looked++
	h, err := password.ParseHash(phc)
	switch {
	case err != nil:
		n.Weak++
		return
	case !h.Params.Scheme.Made():
		n.Imported++
	case h.Params.Weak() || len(h.Salt) < password.SaltSize:
		n.Weak++
	}
	if pepper && h.Key == 0 {
		n.Unpeppered++
	}
}
