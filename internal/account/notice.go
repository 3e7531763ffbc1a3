package account

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"troth/internal/access"
	"troth/internal/config"
	"troth/internal/id"
	"troth/internal/mail"
	"troth/internal/place"
	"troth/internal/secret"
	"troth/internal/store"
)

// The holder of an account learns of a sign-in that is unlike those before, in
// the transaction in which it happens: it is told, or the session never began
// (OWASP ASVS 5.0, 6.3.5). Nothing is refused for it. Whoever has the password can
// cause sign-ins in ever new browsers, so at most maxNotices are mailed in an hour; the
// log has them all.
const (
	maxNotices = 5
	stopLife   = 7 * 24 * time.Hour // of the link that ends the session
)

// odd is what is unlike before about a sign-in.
type odd struct {
	newBrowser bool // and not the first one of the account
	trip       *trip
}

// trip is a way that nobody travels in the time.
type trip struct {
	before   use
	distance float64 // km
}

// oddTx compares a sign-in with those before it. It is asked before the browser
// is met.
func (a *Accounts) oddTx(ctx context.Context, tx *store.Tx, by access.Subject, r row, browser secret.Digest) (odd, error) {
	_, known, err := deviceTx(tx, r.account, browser)
	if err != nil {
		return odd{}, err
	}
	met, err := metTx(tx, r.account, by.Session)
	if err != nil {
		return odd{}, err
	}
	t, err := a.tripTx(ctx, tx, by, r)
	return odd{newBrowser: met && !known, trip: t}, err
}

// tripTx is the way from the last use of an account to here, nil if it can be
// travelled, and if nobody knows.
func (a *Accounts) tripTx(ctx context.Context, tx *store.Tx, by access.Subject, r row) (*trip, error) {
	here := a.Atlas.Find(by.Context.IP)
	if !here.Located {
		return nil, nil
	}
	before, err := a.lastUseTx(ctx, tx, r.account)
	if err != nil || before.at.IsZero() {
		return nil, err
	}
	distance, too := place.TooFar(a.Atlas.Find(before.from.IP), here, a.now().Sub(before.at))
	if !too {
		return nil, nil
	}
	return &trip{before, distance}, nil
}

// travelledTx reports whether a browser must not stand in for a second factor at
// this sign-in, because its holder cannot have come here.
func (a *Accounts) travelledTx(ctx context.Context, tx *store.Tx, by access.Subject, r row) (bool, error) {
	if !a.Config.Travel {
		return false, nil
	}
	t, err := a.tripTx(ctx, tx, by, r)
	return t != nil, err
}

// noticed is what a mail tells of a session, and what its link keeps.
type noticed struct {
	Session id.Session `json:"session"`
	Device  id.Device  `json:"device"`
	From    origin     `json:"from"`
	At      time.Time  `json:"at"`
}

// announceTx tells of what is odd about a session that begins: its holder by mail,
// and the log, for impossible travel that of the platform too.
func (a *Accounts) announceTx(ctx context.Context, tx *store.Tx, by access.Subject, r row, s session, o odd) error {
	if !o.newBrowser && o.trip == nil {
		return nil
	}
	sent, err := a.mailOddTx(ctx, tx, by, r, s, o)
	if err != nil {
		return err
	}
	told := map[bool]string{true: "yes", false: "no"}[sent]
	tell := func(name string, about person, metadata map[string]string) error {
		e := a.event(name, by, r.person, metadata)
		e.Tenant, e.Actor, e.Context.Session = about.home, self(r.account), s.session
		_, err := a.Log.AppendTx(tx, e)
		return err
	}
	if o.newBrowser {
		if err := tell(evNewBrowser, r.person, map[string]string{"told": told}); err != nil {
			return err
		}
	}
	if o.trip == nil {
		return nil
	}
	how := map[string]string{"distance": kilometres(o.trip.distance), "time": ago(a.now().Sub(o.trip.before.at)), "told": told}
	if err := tell(evTravel, r.person, how); err != nil {
		return err
	}
	return tell(evAlert, person{}, how)
}

// mailOddTx mails a notice with a link that ends the session, and reports
// whether it did: not to an address that nobody confirmed, and not without end.
func (a *Accounts) mailOddTx(ctx context.Context, tx *store.Tx, by access.Subject, r row, s session, o odd) (bool, error) {
	if r.confirmedAt == 0 {
		return false, nil
	}
	var n int
	err := tx.QueryRow(`SELECT COUNT(*) FROM account_link WHERE account = $1 AND kind = $2 AND created_at > $3`,
		r.account, linkStop, store.Micros(a.now().Add(-time.Hour))).Scan(&n)
	if err != nil || n >= maxNotices {
		return false, err
	}
	to, err := a.open(ctx, r.person, "email", r.email)
	if err != nil {
		return false, err
	}
	told := noticed{Session: s.session, Device: s.device, From: originOf(by), At: a.now().UTC()}
	token, l, err := a.newLink(ctx, linkStop, r.account, stopLife, told)
	if err != nil {
		return false, err
	}
	if err := insertLink(tx, l); err != nil {
		return false, err
	}
	return true, a.tellTx(ctx, tx, r.person, to, func(to string, about person) mail.Message {
		return a.oddLetter(to, about, told, o, How(methodsOf(s)), token)
	})
}

func kilometres(distance float64) string { return strconv.Itoa(int(distance)) + " km" }

// ago is a time between two uses, to the minute.
func ago(d time.Duration) string {
	return config.Duration(max(d, 0).Round(time.Minute)).String()
}

// Stop is what the link of a notice would do.
type Stop struct {
	Device string
	Spot
	At   time.Time // when the session began
	Over bool      // the session has ended already
}

// PeekStop says what the link of a notice would do, and uses nothing up.
func (a *Accounts) PeekStop(ctx context.Context, token secret.String) (Stop, error) {
	l, err := a.peek(ctx, token, linkStop)
	if err != nil {
		return Stop{}, err
	}
	var told noticed
	if err := a.openLink(ctx, l, &told); err != nil {
		return Stop{}, err
	}
	v := Stop{Device: a.Printer.Say(told.From.device()), Spot: a.spot(told.From), At: told.At}
	err = a.DB.Read(ctx, func(tx *store.Tx) error {
		var n int
		err := tx.QueryRow(`SELECT COUNT(*) FROM session WHERE session = $1`, told.Session).Scan(&n)
		v.Over = n == 0
		return err
	})
	if err != nil {
		return Stop{}, fmt.Errorf("looking for the session of a notice: %w", err)
	}
	return v, nil
}

// StopSession uses the link of a notice up: it ends the session that the notice
// told of, and its browser is forgotten. It returns the session. Of several that
// use one link, one succeeds; the others get fault.Gone.
func (a *Accounts) StopSession(ctx context.Context, by access.Subject, token secret.String) (id.Session, error) {
	l, err := a.peek(ctx, token, linkStop)
	if err != nil {
		return "", a.linkFailed(ctx, by, err)
	}
	var told noticed
	if err := a.openLink(ctx, l, &told); err != nil {
		return "", err
	}
	err = a.DB.Write(ctx, func(tx *store.Tx) error {
		if _, ok, err := takeLink(tx, l.digest, a.now()); err != nil || !ok {
			return orGone(err)
		}
		r, err := byID(tx, l.account)
		if err != nil || r.account == "" {
			return orGone(err)
		}
		// The session may have gone on under another token, after its password was
		// given again: then that one has the same browser.
		if _, err := endSessions(tx, `account = $1 AND (session = $2 OR device = $3 AND device <> '')`, l.account, told.Session, told.Device); err != nil {
			return err
		}
		if _, err := forgetDeviceTx(tx, l.account, told.Device); err != nil {
			return err
		}
		e := a.event(evStopped, by, r.person, map[string]string{"session": string(told.Session)})
		e.Actor = self(r.account)
		_, err = a.Log.AppendTx(tx, e)
		return err
	})
	if err != nil {
		return "", a.linkFailed(ctx, by, fmt.Errorf("ending the session of a notice: %w", err))
	}
	return told.Session, nil
}
