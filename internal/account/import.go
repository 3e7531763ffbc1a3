package account

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"troth/internal/access"
	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/keys"
	"troth/internal/password"
	"troth/internal/store"
)

// ErrPresent is the fault of importing an address that has an account.
var ErrPresent = fault.New(fault.Conflict, "account.import_present", "There is an account with this address already; nothing was changed.")

// Import makes one account out of what another system exported, for the
// operator on the host: with its personal tenant and the password hash of there,
// in one transaction. The hash is made again at the present cost when its holder
// first signs in; a password that turns out to be too short to stand alone then
// needs a second factor or is replaced (SP 800-63B-4, 3.1.1.2).
//
// An address that has an account is [ErrPresent], so that an export can be
// imported again. Whatever cannot be imported is fault.Invalid with the reason.
// Dry refuses the same and changes nothing. From names the other system.
func (a *Accounts) Import(ctx context.Context, by access.Subject, from string, e password.Exported, dry bool) (id.Account, error) {
	if err := onHost(by); err != nil {
		return "", err
	}
	in, err := a.readExported(e)
	if err != nil {
		return "", err
	}
	indexes, err := a.indexes(ctx, in.Email)
	if err != nil {
		return "", err
	}
	err = a.DB.Read(ctx, func(tx *store.Tx) error {
		present, err := byEmail(tx, indexes)
		if err == nil && present.account != "" {
			err = ErrPresent
		}
		return err
	})
	if err != nil || dry {
		return "", err
	}
	now := a.now()
	r := row{person: person{account: id.New[id.Account](now)}, state: Active, password: in.Password, createdAt: store.Micros(now), passwordAt: store.Micros(now)}
	if e.Confirmed {
		r.confirmedAt = r.createdAt
	}
	if err := a.Keys.Create(ctx, keys.SubjectRef(r.account), keySize); err != nil {
		return "", fmt.Errorf("making the key of an account: %w", err)
	}
	err = a.DB.Write(ctx, func(tx *store.Tx) error {
		made, err := a.makeTx(ctx, tx, r, in, indexes)
		if errors.Is(err, errTaken) {
			return ErrPresent
		}
		if err != nil {
			return err
		}
		_, err = a.Log.AppendTx(tx, a.event(evImported, by, made.person, map[string]string{"from": from}))
		return err
	})
	if err != nil {
		return "", fmt.Errorf("importing an account: %w", err)
	}
	return r.account, nil
}

// readExported looks at what an export says about one account.
func (a *Accounts) readExported(e password.Exported) (entered, error) {
	if e.Err != nil {
		return entered{}, notImported(e.Err)
	}
	email, err := readEmail(e.Email)
	if err != nil {
		return entered{}, err
	}
	name, err := readName(e.Name)
	if err != nil { // the other system knows none, or one that cannot be shown here
		local, _, _ := strings.Cut(email, "@")
		if name, err = readName(local); err != nil {
			name = "Somebody"
		}
	}
	if err := e.Hash.Affordable(int64(a.Config.PasswordMemory) << 20); err != nil {
		return entered{}, notImported(err)
	}
	return entered{Email: email, Name: name, Password: e.Hash.String()}, nil
}

// notImported is a reason of package password, which repeats no secret.
func notImported(reason error) error {
	return fault.New(fault.Invalid, "account.not_imported", "%s.", sentence(reason.Error()))
}

func sentence(s string) string { return strings.ToUpper(s[:1]) + s[1:] }
