package account

import (
	"context"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"troth/internal/access"
	"troth/internal/audit"
	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/keys"
	"troth/internal/mail"
	"troth/internal/secret"
	"troth/internal/store"
)

// Application is what somebody enters to sign up.
type Application struct {
	Email      string
	Name       string
	Password   secret.String
	ReturnTo   string        // a path of this site, to go on with after signing in
	Invitation secret.String // of an invitation to an organisation, if there is one
	Admission  secret.String // of a link issued on the host, if there is one
}

// entered is an application as its link keeps it until it is confirmed.
type entered struct {
	Email    string `json:"email"`
	Name     string `json:"name"`
	Password string `json:"password"` // PHC
	ReturnTo string `json:"return_to,omitempty"`
}

// mailsAnHour bounds the mails that strangers can cause to one address.
const mailsAnHour = 5

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
	password, err := CheckPassword(form.Password, keys.Normalise(email))
	if err != nil {
		return Signed{}, err
	}
	phc, err := a.Hashing.Hash(ctx, password)
	if err != nil {
		return Signed{}, err
	}
	in := entered{Email: email, Name: name, Password: phc, ReturnTo: form.ReturnTo}
	if admitted {
		return a.admit(ctx, by, form.Admission, in)
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
	refusal := audit.Event{}
	err = a.DB.Write(ctx, func(tx *store.Tx) error {
		l, refusal := l, &refusal
		*refusal = audit.Event{}
		known, err := byEmail(tx, indexes)
		if err != nil {
			return err
		}
		welcome, err := a.welcome(tx, in.Email, invitation)
		if err != nil {
			return err
		}
		holder, err := a.open(ctx, known.person, "email", known.email)
		if err != nil {
			return err
		}
		letter, name, about := a.confirmLetter(in, token), evAsked, person{}
		switch {
		case known.account != "":
			l.kind, letter, name, about = linkNone, a.takenLetter(holder, known.person), evAskedTaken, known.person
		case !welcome:
			l.kind, letter.To, name = linkNone, "", evAskedRefused
		}
		if err := a.sendOnce(tx, l, letter); err != nil {
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

// Pending is what a confirmation link would do.
type Pending struct {
	Email   string
	Name    string    // "" for an account that exists already
	AskedAt time.Time // when somebody asked for it
	New     bool      // confirming makes an account
}

// PeekConfirm says what a confirmation link would do, and uses nothing up:
// mail scanners open links.
func (a *Accounts) PeekConfirm(ctx context.Context, token secret.String) (Pending, error) {
	l, err := a.peek(ctx, token, linkConfirm, linkAddress)
	if err != nil {
		return Pending{}, err
	}
	p := Pending{AskedAt: store.FromMicros(l.createdAt), New: l.kind == linkConfirm}
	if l.kind == linkAddress {
		v, err := a.Get(ctx, l.account)
		p.Email = v.Email
		return p, err
	}
	var in entered
	err = a.openLink(ctx, l, &in)
	p.Email, p.Name = in.Email, in.Name
	return p, err
}

// Confirm uses a confirmation link up: it makes the account that was applied
// for, with its personal tenant, or confirms the address of one that exists.
// It returns where the person wanted to go. Of several that use one link, one
// succeeds; the others, and whoever comes late, get fault.Gone.
func (a *Accounts) Confirm(ctx context.Context, by access.Subject, token secret.String) (returnTo string, err error) {
	l, err := a.peek(ctx, token, linkConfirm, linkAddress)
	if err != nil {
		return "", a.linkFailed(ctx, by, err)
	}
	if l.kind == linkAddress {
		return "", a.linkFailed(ctx, by, a.confirmAddress(ctx, by, l))
	}
	var in entered
	if err := a.openLink(ctx, l, &in); err != nil {
		return "", err
	}
	r, indexes, err := a.prepare(ctx, in)
	if err != nil {
		return "", err
	}
	r.confirmedAt = r.createdAt
	err = a.DB.Write(ctx, func(tx *store.Tx) error {
		if _, ok, err := takeLink(tx, l.digest, a.now()); err != nil || !ok {
			return orGone(err)
		}
		_, err := a.createTx(ctx, tx, by, r, in, indexes)
		return err
	})
	if err != nil {
		return "", a.linkFailed(ctx, by, fmt.Errorf("making an account: %w", err))
	}
	return in.ReturnTo, nil
}

// prepare makes an account that is not stored yet. Its key is made here, before
// the transaction: one that is never used is harmless.
func (a *Accounts) prepare(ctx context.Context, in entered) (row, [][]byte, error) {
	now := store.Micros(a.now())
	r := row{person: person{account: id.New[id.Account](a.now())}, state: Active, password: in.Password, createdAt: now, passwordAt: now}
	if err := a.Keys.Create(ctx, keys.SubjectRef(r.account), keySize); err != nil {
		return row{}, nil, fmt.Errorf("making the key of an account: %w", err)
	}
	indexes, err := a.indexes(ctx, in.Email)
	return r, indexes, err
}

// createTx stores an account with its personal tenant, says so in the log, and
// returns the row as it was stored.
func (a *Accounts) createTx(ctx context.Context, tx *store.Tx, by access.Subject, r row, in entered, indexes [][]byte) (row, error) {
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
	e := a.event(evSignedUp, by, r.person, nil)
	e.Actor = self(r.account)
	_, err = a.Log.AppendTx(tx, e)
	return r, err
}

// confirmAddress confirms the address of an account that exists already.
func (a *Accounts) confirmAddress(ctx context.Context, by access.Subject, l link) error {
	return a.DB.Write(ctx, func(tx *store.Tx) error {
		if _, ok, err := takeLink(tx, l.digest, a.now()); err != nil || !ok {
			return orGone(err)
		}
		r, err := byID(tx, l.account)
		if err != nil || r.state != Active {
			return orGone(err)
		}
		if _, err := tx.Exec(`UPDATE account SET confirmed_at = $1 WHERE account = $2`, store.Micros(a.now()), r.account); err != nil {
			return err
		}
		e := a.event(evConfirmed, by, r.person, nil)
		e.Actor = self(r.account)
		_, err = a.Log.AppendTx(tx, e)
		return err
	})
}

// maxName is the length of a name in code points.
const maxName = 100

// readEmail reads one bare address.
func readEmail(s string) (string, error) {
	if strings.TrimSpace(s) == "" {
		return "", fault.New(fault.Invalid, "account.no_email", "Enter your e-mail address.").On("email")
	}
	address, err := mail.ParseAddress(s)
	return string(address), err
}

// readName reads what a person wants to be called.
func readName(s string) (string, error) {
	if !utf8.ValidString(s) || strings.ContainsFunc(s, unprintable) {
		return "", fault.New(fault.Invalid, "account.bad_name", "The name contains a character that cannot be shown. Leave it out.").On("name")
	}
	s = norm.NFC.String(strings.TrimSpace(s))
	switch n := utf8.RuneCountInString(s); {
	case n == 0:
		return "", fault.New(fault.Invalid, "account.no_name", "Enter the name that others should see.").On("name")
	case n > maxName:
		return "", fault.New(fault.Invalid, "account.long_name", "The name may have at most %d characters.", maxName).On("name")
	}
	return s, nil
}

// unprintable is what has no business in a line of text: controls, and the
// invisible marks that reorder what others read (Unicode TR 36, 2.5).
func unprintable(r rune) bool {
	return unicode.IsControl(r) || r == utf8.RuneError || r == '\u2028' || r == '\u2029' ||
		r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069'
}

var (
	errClosed = fault.New(fault.Denied, "account.closed", "Sign-up is closed here. Ask whoever runs this service for an account.")
	errTaken  = fault.New(fault.Conflict, "account.taken", "There is an account with this address already. Sign in, or reset its password.").On("email")
)
