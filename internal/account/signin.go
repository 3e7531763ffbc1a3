package account

import (
	"context"
	"fmt"
	"strings"
	"time"

	"troth/internal/access"
	"troth/internal/audit"
	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/password"
	"troth/internal/secret"
	"troth/internal/store"
	"troth/internal/text"
)

// Signed is a session that begins: the token goes into the cookie and is
// nowhere else.
type Signed struct {
	Account   id.Account
	Session   id.Session
	Token     secret.String
	ExpiresAt time.Time  // the cookie may live so long; the session may end earlier
	Told      *text.Text // what its holder has to be told first; nil is nothing
}

// errSignIn is the one answer to every sign-in that does not succeed: an
// unknown address, a wrong password and an account that is gone are the same.
var errSignIn = fault.New(fault.Unauthenticated, "account.wrong", "The e-mail address or the password is wrong. If you have just signed up, open the link in the mail first.")

// Attempt is what a browser sends to sign in.
type Attempt struct {
	Email    string
	Password secret.String
	Device   secret.String // the value of its device cookie, or nothing
}

// Outcome is what a step of signing in led to.
type Outcome struct {
	Signed  Signed        // the session, if one has begun
	Pending secret.String // the token of a sign-in that goes on; for a cookie of this browser
	Next    Step          // what it waits for
	Device  secret.String // the value for the device cookie; nothing leaves it as it is
}

// SignIn compares a password. What else has to be proven is in the outcome; if
// nothing has, a session begins. A session of the same browser (by.Session)
// ends then: the token is another one before and after (OWASP ASVS 5.0, 7.2.4).
// Refusals are fault.Unauthenticated with one sentence, after the work of one
// hash, whether the address is known or not. A network that has guessed wrong too
// often gets fault.TooMany, before any work.
func (a *Accounts) SignIn(ctx context.Context, by access.Subject, t Attempt) (Outcome, error) {
	browser, err := a.browser(ctx, t.Device)
	if err != nil {
		return Outcome{}, err
	}
	if _, ok := password.Normalise(t.Password); !ok || t.Password.IsZero() {
		return Outcome{}, a.noPassword(ctx, by)
	}
	r, g, err := a.beginSignIn(ctx, by, t.Email, browser)
	if err != nil {
		return Outcome{}, err
	}
	defer g.done()
	compared := r
	if !g.open {
		compared = row{} // the same work, and the same answer, whatever the password is
	}
	verdict, p, err := a.compare(ctx, compared, t.Password)
	if err != nil {
		a.back(ctx, g)
		return Outcome{}, err
	}
	if !verdict.Match {
		return Outcome{}, a.wrong(ctx, by, r, g, a.signInFailed(by, g), errSignIn)
	}
	if err := a.askExposed(ctx, by, r, p); err != nil {
		return Outcome{}, err
	}
	upgraded := ""
	if verdict.Stale {
		if upgraded, err = a.Hashing.Hash(ctx, p); err != nil {
			return Outcome{}, err
		}
	}
	return a.begin(ctx, by, r, browser, proof{
		amr: amrPassword, upgraded: upgraded, short: verdict.Stale && short(p), pass: g.from.pass, useTx: func(tx *store.Tx) error { return a.rightTx(tx, by, g) },
	})
}

// noPassword refuses what no password can be: the network pays for it as for any
// other guess, and no hash is computed, whatever the address is.
func (a *Accounts) noPassword(ctx context.Context, by access.Subject) error {
	if _, err := a.pay(by); err != nil {
		return err
	}
	return a.refused(ctx, a.event(evSignInFailed, by, person{}, map[string]string{"reason": "what was entered can be no password"}), errSignIn)
}

// proof is what the first step of a sign-in has proven.
type proof struct {
	amr      string
	renew    Renew
	upgraded string                   // a hash of the same password at the present cost
	pass     bool                     // the browser has no cookie of the account yet, and counts by itself all the same
	short    bool                     // of upgraded: the password came from another system and is too short to stand alone
	useTx    func(tx *store.Tx) error // uses the proof up, in the transaction of the step
}

// compare does the work of one hash, whatever it gets.
func (a *Accounts) compare(ctx context.Context, r row, typed secret.String) (password.Verdict, secret.String, error) {
	p, ok := password.Normalise(typed)
	stored := r.password
	if !ok || !r.state.returns() {
		stored = "" // no password that was ever set looks so
	}
	verdict, err := a.Hashing.Verify(ctx, stored, p)
	return verdict, p, err
}

// signInFailed is the event of a failed sign-in: in the activity of the
// account that was tried, or in the platform's when there is none.
func (a *Accounts) signInFailed(by access.Subject, g guess) audit.Event {
	reason := "the password was wrong"
	switch {
	case g.who.account == "":
		reason = "the address is not known"
	case !g.open:
		reason = "after too many wrong ones in a row, no password was taken there"
	}
	return a.event(evSignInFailed, by, g.who, map[string]string{"reason": reason})
}

// begin takes the first step of a sign-in, in the transaction that makes sure
// that what was compared still holds.
func (a *Accounts) begin(ctx context.Context, by access.Subject, r row, b browser, p proof) (Outcome, error) {
	var out Outcome
	err := a.DB.Write(ctx, func(tx *store.Tx) error {
		present, err := byID(tx, r.account)
		if err != nil {
			return err
		}
		if !present.state.returns() || present.password != r.password {
			return errSignIn // it was changed meanwhile
		}
		if p.upgraded != "" {
			present.passwordShort = p.short
			if _, err := setPassword(tx, r.account, r.password, p.upgraded, p.short, store.FromMicros(r.passwordAt)); err != nil {
				return err
			}
		}
		if p.useTx != nil {
			if err := p.useTx(tx); err != nil {
				return err
			}
		}
		out, err = a.firstStepTx(ctx, tx, by, present, b, p)
		return err
	})
	if err != nil {
		return Outcome{}, fmt.Errorf("signing in: %w", err)
	}
	return out, nil
}

// firstStepTx makes the sign-in that the first proof begins, and takes it as
// far as it goes.
func (a *Accounts) firstStepTx(ctx context.Context, tx *store.Tx, by access.Subject, r row, b browser, p proof) (Outcome, error) {
	known, err := a.settleTx(tx, r, &b)
	if err != nil {
		return Outcome{}, err
	}
	if p.pass {
		if err := a.passTx(tx, r.account, b.digest); err != nil {
			return Outcome{}, err
		}
	}
	token := secret.NewToken()
	digest, _ := secret.DigestOf(token.Reveal())
	o := ongoing{
		digest: digest, account: r.account, passwordAt: r.passwordAt, amr: p.amr, renew: p.renew, device: b.digest,
		expiresAt: store.Micros(a.now().Add(pendingLife)),
	}
	if known.remembers(a.now()) {
		may, err := a.mayRemember(tx, r)
		if err != nil {
			return Outcome{}, err
		}
		far, err := a.travelledTx(ctx, tx, by, r)
		if err != nil {
			return Outcome{}, err
		}
		if may && !far {
			o.amr = plus(o.amr, amrRemembered)
		}
	}
	if err := makePendingRoom(tx, r.account); err != nil {
		return Outcome{}, err
	}
	out, err := a.advanceTx(ctx, tx, by, r, o, token)
	if err == nil && out.Next != StepNone {
		e := a.event(evSignInGoes, by, r.person, map[string]string{"step": string(out.Next)})
		e.Actor = self(r.account)
		_, err = a.Log.AppendTx(tx, e)
	}
	out.Device = b.token
	return out, err
}

// advanceTx keeps a sign-in that waits for something, and begins the session
// of one that does not.
func (a *Accounts) advanceTx(ctx context.Context, tx *store.Tx, by access.Subject, r row, o ongoing, token secret.String) (Outcome, error) {
	n, err := a.needsTx(ctx, tx, r, o)
	if err != nil {
		return Outcome{}, err
	}
	if n.step != StepNone {
		return Outcome{Pending: token, Next: n.step}, putPending(tx, o)
	}
	if err := dropPending(tx, o.digest); err != nil {
		return Outcome{}, err
	}
	return a.enterTx(ctx, tx, by, r, o)
}

// enterTx begins the session of a sign-in that has proven everything, and tells
// its holder if that is unlike those before.
func (a *Accounts) enterTx(ctx context.Context, tx *store.Tx, by access.Subject, r row, o ongoing) (Outcome, error) {
	s, signed, err := a.newSession(ctx, by, r, o.amr, a.now())
	if err != nil {
		return Outcome{}, err
	}
	odd, err := a.oddTx(ctx, tx, by, r, o.device)
	if err != nil {
		return Outcome{}, err
	}
	if s.device, _, err = a.meetTx(ctx, tx, by, r, o.device, o.remembered); err != nil {
		return Outcome{}, err
	}
	if err := a.lostNothingTx(ctx, tx, by, r, strings.Fields(o.amr)); err != nil {
		return Outcome{}, err
	}
	if signed.Told, err = takeToldTx(tx, r.account); err != nil {
		return Outcome{}, err
	}
	if err := a.beginTx(tx, by, r.person, s); err != nil {
		return Outcome{}, err
	}
	return Outcome{Signed: signed}, a.announceTx(ctx, tx, by, r, s, odd)
}

// lostNothingTx stops what waits for an account whose holder has a second factor.
func (a *Accounts) lostNothingTx(ctx context.Context, tx *store.Tx, by access.Subject, r row, amr []string) error {
	if !has(amr, amrMulti) {
		return nil
	}
	owns, err := a.ownsTx(ctx, tx, r, amr)
	if err == nil && owns {
		_, err = a.stopRecoveryTx(ctx, tx, by, r, "signing in with a second factor")
	}
	return err
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
