package account

import (
	"context"
	"fmt"
	"time"

	"troth/internal/access"
	"troth/internal/audit"
	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/password"
	"troth/internal/secret"
	"troth/internal/store"
)

// Signed is a session that begins: the token goes into the cookie and is
// nowhere else.
type Signed struct {
	Account   id.Account
	Session   id.Session
	Token     secret.String
	ExpiresAt time.Time // the cookie may live so long; the session may end earlier
}

// errSignIn is the one answer to every sign-in that does not succeed: an
// unknown address, a wrong password and an account that is gone are the same.
var errSignIn = fault.New(fault.Unauthenticated, "account.wrong", "The e-mail address or the password is wrong. If you have just signed up, open the link in the mail first.")

// SignIn compares a password and begins a session. A session of the same
// browser (by.Session) ends: the token is another one before and after
// (OWASP ASVS 5.0, 7.2.4). Refusals are fault.Unauthenticated with one
// sentence, after the work of one hash, whether the address is known or not.
func (a *Accounts) SignIn(ctx context.Context, by access.Subject, email string, password secret.String) (Signed, error) {
	indexes, err := a.indexes(ctx, email)
	if err != nil {
		return Signed{}, err
	}
	var r row
	err = a.DB.Read(ctx, func(tx *store.Tx) (err error) {
		r, err = byEmail(tx, indexes)
		return err
	})
	if err != nil {
		return Signed{}, fmt.Errorf("looking for an account: %w", err)
	}
	verdict, p, err := a.compare(ctx, r, password)
	if err != nil {
		return Signed{}, err
	}
	if !verdict.Match {
		return Signed{}, a.refused(ctx, a.signInFailed(by, r.person), errSignIn)
	}
	upgraded := ""
	if verdict.Stale {
		if upgraded, err = a.Hashing.Hash(ctx, p); err != nil {
			return Signed{}, err
		}
	}
	return a.begin(ctx, by, r, upgraded)
}

// compare does the work of one hash, whatever it gets.
func (a *Accounts) compare(ctx context.Context, r row, typed secret.String) (password.Verdict, secret.String, error) {
	p, ok := password.Normalise(typed)
	stored := r.password
	if !ok || r.state != Active {
		stored = "" // no password that was ever set looks so
	}
	verdict, err := a.Hashing.Verify(ctx, stored, p)
	return verdict, p, err
}

// signInFailed is the event of a failed sign-in: in the activity of the
// account that was tried, or in the platform's when there is none.
func (a *Accounts) signInFailed(by access.Subject, about person) audit.Event {
	reason := "the password was wrong"
	if about.account == "" {
		reason = "the address is not known"
	}
	return a.event(evSignInFailed, by, about, map[string]string{"reason": reason})
}

// begin begins a session for an account whose password was compared, in the
// transaction that makes sure that it is still that password. With upgraded it
// replaces the hash by one at the present cost.
func (a *Accounts) begin(ctx context.Context, by access.Subject, r row, upgraded string) (Signed, error) {
	now := a.now()
	s, signed, err := a.newSession(ctx, by, r, now)
	if err != nil {
		return Signed{}, err
	}
	err = a.DB.Write(ctx, func(tx *store.Tx) error {
		present, err := byID(tx, r.account)
		if err != nil {
			return err
		}
		if present.state != Active || present.password != r.password {
			return errSignIn // it was changed meanwhile
		}
		if upgraded != "" {
			if _, err := setPassword(tx, r.account, r.password, upgraded, store.FromMicros(r.passwordAt)); err != nil {
				return err
			}
		}
		return a.beginTx(tx, by, r.person, s)
	})
	if err != nil {
		return Signed{}, fmt.Errorf("beginning a session: %w", err)
	}
	return signed, nil
}

// beginTx stores a session, ends the one of the same browser, and says so in
// the log.
func (a *Accounts) beginTx(tx *store.Tx, by access.Subject, who person, s session) error {
	if by.Session != "" {
		if _, err := endSessions(tx, `session = $1`, by.Session); err != nil {
			return err
		}
	}
	if err := makeRoom(tx, who.account); err != nil {
		return err
	}
	if err := insertSession(tx, s); err != nil {
		return err
	}
	e := a.event(evSignedIn, by, who, nil)
	e.Actor, e.Context.Session = self(who.account), s.session
	_, err := a.Log.AppendTx(tx, e)
	return err
}

// SignOut ends the session of the one who asks. A stranger is signed out
// already.
func (a *Accounts) SignOut(ctx context.Context, by access.Subject) error {
	if by.Kind != access.KindPerson || by.Session == "" {
		return nil
	}
	err := a.DB.Write(ctx, func(tx *store.Tx) error {
		r, err := byID(tx, by.Account)
		if err != nil {
			return err
		}
		n, err := endSessions(tx, `session = $1 AND account = $2`, by.Session, by.Account)
		if err != nil {
			return err
		}
		if n == 0 {
			tx.Unaudited("the session had ended already")
			return nil
		}
		_, err = a.Log.AppendTx(tx, a.event(evSignedOut, by, r.person, nil))
		return err
	})
	if err != nil {
		return fmt.Errorf("signing out: %w", err)
	}
	return nil
}
