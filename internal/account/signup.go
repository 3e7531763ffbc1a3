package account

import (
	"context"
	"fmt"
	"strings"

	"troth/internal/access"
	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/keys"
	"troth/internal/mail"
	"troth/internal/password"
	"troth/internal/secret"
	"troth/internal/store"
)

// Application is what somebody enters to sign up.
type Application struct {
	Email      string
	Name       string
	Password   secret.String
	ReturnTo   string        // a path of this site, to go on with after signing in
	Browser    secret.String // a token that this browser keeps until it confirms; see [Confirmation]
	Invitation secret.String // of an invitation to an organisation, if there is one
	Admission  secret.String // of a link issued on the host, if there is one
}

// entered is an application as its link keeps it until it is confirmed.
type entered struct {
	Email    string `json:"email"`
	Name     string `json:"name"`
	Password string `json:"password"`          // PHC
	Browser  []byte `json:"browser,omitempty"` // SHA-256 of the token of the browser in which it was entered
	ReturnTo string `json:"return_to,omitempty"`
}

// SignUp takes an application. Without an admission it answers nothing but
// "look into your mail", whoever has the address: a new one gets a link that
// makes the account (see [Accounts.Confirm]), the owner of an existing one is
// told. Known and unknown addresses cost one hash and one transaction each.
//
// With an admission the account is made at once, and who signed up is signed
// in: the link came from the operator. Its address still gets a link.
//
// fault.Invalid names the field; fault.Denied says that sign-up is closed;
// fault.Gone that the admission was used up or expired.
func (a *Accounts) SignUp(ctx context.Context, by access.Subject, form Application) (Signed, error) {
	admitted := !form.Admission.IsZero()
	if a.Config.Mode == SignupClosed && !admitted {
		return Signed{}, a.refused(ctx, a.event(evAskedRefused, by, person{}, map[string]string{"reason": "sign-up is closed"}), errClosed)
	}
	email, err := readEmail(form.Email)
	if err != nil {
		return Signed{}, err
	}
	name, err := readName(form.Name)
	if err != nil {
		return Signed{}, err
	}
	chosen, err := a.choose(ctx, form.Password, password.About{Email: email, Name: name})
	if err != nil {
		return Signed{}, err
	}
	if err := a.effort(by); err != nil {
		return Signed{}, err
	}
	phc, err := a.Hashing.Hash(ctx, chosen)
	if err != nil {
		return Signed{}, err
	}
	in := entered{Email: email, Name: name, Password: phc, ReturnTo: form.ReturnTo}
	if admitted {
		return a.admit(ctx, by, form.Admission, in)
	}
	if d, ok := secret.DigestOf(form.Browser.Reveal()); ok {
		in.Browser = d[:]
	}
	return Signed{}, a.apply(ctx, by, in, form.Invitation)
}

// apply records an application and sends one mail, whatever is known about the
// address: the same rows, the same sealing, another text.
func (a *Accounts) apply(ctx context.Context, by access.Subject, in entered, invitation secret.String) error {
	indexes, err := a.indexes(ctx, in.Email)
	if err != nil {
		return err
	}
	token, l, err := a.newLink(ctx, linkConfirm, "", a.Config.ConfirmLife.D(), in)
	if err != nil {
		return err
	}
	l.index = indexes[0]
	network, err := a.network(ctx, by)
	if err != nil {
		return err
	}
	err = a.DB.Write(ctx, func(tx *store.Tx) error {
		l := l
		known, err := byEmail(tx, indexes)
		if err != nil {
			return err
		}
		welcome, err := a.welcome(tx, in.Email, invitation)
		if err != nil {
			return err
		}
		holder, err := a.holder(ctx, known)
		if err != nil {
			return err
		}
		letter, name, about := a.confirmLetter(in, token), evAsked, person{}
		switch {
		case known.account != "":
			l.kind, letter, name, about = linkNone, a.takenLetter(holder, known.person), evAskedTaken, known.person
		case !welcome:
			l.kind, letter, name = linkNone, decoy(letter, in.Email), evAskedRefused
		}
		if err := a.sendSome(tx, forSignUp, network, l, letter); err != nil {
			return err
		}
		e := a.event(name, by, about, nil)
		if name == evAskedRefused {
			e.Metadata = map[string]string{"reason": "the address was not invited"}
		}
		_, err = a.Log.AppendTx(tx, e)
		return err
	})
	if err != nil {
		return fmt.Errorf("recording an application: %w", err)
	}
	return nil
}

// welcome reports whether the mode lets the address in.
func (a *Accounts) welcome(tx *store.Tx, email string, invitation secret.String) (bool, error) {
	switch a.Config.Mode {
	case SignupOpen:
		return true, nil
	case SignupClosed:
		return false, nil
	}
	if a.Inviter == nil {
		return false, nil
	}
	return a.Inviter.InvitedTx(tx, invitation, keys.Normalise(email))
}

// prepare makes an account that is not stored yet. Its key is made here, before
// the transaction: one that is never used is harmless. So that nobody makes
// them in numbers, a used link and a taken address are refused first; the
// transaction looks again.
func (a *Accounts) prepare(ctx context.Context, l link, in entered) (row, [][]byte, error) {
	indexes, err := a.indexes(ctx, in.Email)
	if err != nil {
		return row{}, nil, err
	}
	err = a.DB.Read(ctx, func(tx *store.Tx) error {
		if _, ok, err := peekLink(tx, l.digest, a.now()); err != nil || !ok {
			return orGone(err)
		}
		present, err := byEmail(tx, indexes)
		if err == nil && present.account != "" {
			err = errTaken
		}
		return err
	})
	if err != nil {
		return row{}, nil, err
	}
	now := store.Micros(a.now())
	r := row{person: person{account: id.New[id.Account](a.now())}, state: Active, password: in.Password, createdAt: now, passwordAt: now}
	if err := a.Keys.Create(ctx, keys.SubjectRef(r.account), keySize); err != nil {
		return row{}, nil, fmt.Errorf("making the key of an account: %w", err)
	}
	return r, indexes, nil
}

// createTx stores an account that somebody signed up for, says so in the log,
// and returns the row as it was stored.
func (a *Accounts) createTx(ctx context.Context, tx *store.Tx, by access.Subject, r row, in entered, indexes [][]byte) (row, error) {
	r, err := a.makeTx(ctx, tx, r, in, indexes)
	if err != nil {
		return row{}, err
	}
	e := a.event(evSignedUp, by, r.person, nil)
	e.Actor = self(r.account)
	_, err = a.Log.AppendTx(tx, e)
	return r, err
}

// makeTx stores an account with its personal tenant.
func (a *Accounts) makeTx(ctx context.Context, tx *store.Tx, r row, in entered, indexes [][]byte) (row, error) {
	present, err := byEmail(tx, indexes)
	if err != nil {
		return row{}, err
	}
	if present.account != "" {
		return row{}, errTaken
	}
	if r.home, err = a.Founder.FoundTx(ctx, tx, r.account, in.Name); err != nil {
		return row{}, fmt.Errorf("founding a personal tenant: %w", err)
	}
	if r.email, err = a.seal(ctx, r.person, "email", in.Email); err != nil {
		return row{}, err
	}
	if r.name, err = a.seal(ctx, r.person, "name", in.Name); err != nil {
		return row{}, err
	}
	if err := insert(tx, r, indexes[0]); err != nil {
		return row{}, err
	}
	if _, err := tx.Exec(`DELETE FROM account_link WHERE email_index = $1 AND kind = $2`, indexes[0], linkConfirm); err != nil {
		return row{}, err
	}
	return r, a.forgetGuessesAtTx(tx, in.Email)
}

// readEmail reads one bare address.
func readEmail(s string) (string, error) {
	if strings.TrimSpace(s) == "" {
		return "", fault.New(fault.Invalid, "account.no_email", "Enter your e-mail address.").On("email")
	}
	address, err := mail.ParseAddress(s)
	return string(address), err
}

var (
	errClosed = fault.New(fault.Denied, "account.closed", "Sign-up is closed here. Ask whoever runs this service for an account.")
	errTaken  = fault.New(fault.Conflict, "account.taken", "There is an account with this address already. Sign in, or reset its password.").On("email")
)
