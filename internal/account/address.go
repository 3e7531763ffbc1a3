package account

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"troth/internal/access"
	"troth/internal/fault"
	"troth/internal/keys"
	"troth/internal/secret"
	"troth/internal/store"
)

// # A change of address
//
// The address is where a lost password is reset, so whoever changes it can take
// the account. It changes only when both mailboxes have agreed, each by a link
// of its own, in any order, within a day; each of the two can stop it instead.
// Somebody who lost the old mailbox says so when asking: then the silence of the
// old mailbox is enough, after the delay of a recovery, during which it is told
// every day how to stop the change. An address that was never confirmed is
// nobody's, and is not asked.
//
// Afterwards the old mailbox can undo the change for a week, in one step: the
// address is the old one again, every session ends, and a new password can be
// set. So the older address wins. That was weighed: a thief who has the session
// and could press a button in the old mailbox once (an unlocked screen) is
// turned out by the holder; a thief who keeps reading the mailbox that the
// holder is leaving gets a week in which to come back. The first happens far
// more often, and against the second there is the second factor: neither a reset
// nor an undo passes or removes one, so that thief gets the address and not the
// account, the new mailbox is told at once, and the recovery that would remove
// the factor takes days and can be stopped. The guide says so to whoever leaves
// a mailbox that somebody else reads.
//
// Nothing tells the one who asks whether the new address has an account: the
// answers and the mails to the old mailbox are the same, and the owner of the
// other account is told instead.

const addressLife = 24 * time.Hour

// AddressChange is a change of address that waits.
type AddressChange struct {
	Email     string    `json:"email"` // the new address
	AskedAt   time.Time `json:"asked_at"`
	NewAt     time.Time `json:"new_agreed_at,omitzero"` // when the new mailbox agreed
	OldAt     time.Time `json:"old_agreed_at,omitzero"`
	DueAt     time.Time `json:"due_at,omitzero"` // when it happens without the old mailbox
	ExpiresAt time.Time `json:"expires_at"`
}

// Old reports whether the old mailbox has to agree, as is usual.
func (c AddressChange) Old() bool { return c.DueAt.IsZero() }

var errMeanwhile = fault.New(fault.Conflict, "account.address_meanwhile", "The address of your account was changed or confirmed a moment ago. Look at your account, and ask again.")

func orMeanwhile(err error) error {
	if err != nil {
		return err
	}
	return errMeanwhile
}

var errSameAddress = fault.New(fault.Invalid, "account.same_address", "This is your address already.").On("email")

// AskAddress begins to change the address of the one who asks, and replaces a
// change that waited. With lost, the old mailbox is out of reach; see above.
// The caller has made sure that the session is fresh (web.Route.Recent).
// Too many within an hour are fault.TooMany.
func (a *Accounts) AskAddress(ctx context.Context, by access.Subject, email string, lost bool) error {
	if err := own(by); err != nil {
		return err
	}
	email, err := readEmail(email)
	if err != nil {
		return err
	}
	r, v, err := a.find(ctx, by.Account)
	if err != nil {
		return err
	}
	if keys.Normalise(email) == keys.Normalise(v.Email) {
		return errSameAddress
	}
	ask, err := a.newAddressAsk(ctx, by, r, v, email, lost)
	if err != nil {
		return err
	}
	err = a.DB.Write(ctx, func(tx *store.Tx) error {
		return a.askAddressTx(ctx, tx, by, r, v, ask)
	})
	if err != nil {
		return fmt.Errorf("asking for a change of address: %w", err)
	}
	return nil
}

// addressAsk is everything that a question to two mailboxes needs, made before
// the transaction.
type addressAsk struct {
	pending          pendingAddress
	email            string   // the new one
	indexes          [][]byte // of the new one
	network          []byte
	newToken         secret.String
	oldToken         secret.String
	newLink, oldLink link
	mailOld          bool // the old address is somebody's
}

func (a *Accounts) newAddressAsk(ctx context.Context, by access.Subject, r row, v Account, email string, lost bool) (addressAsk, error) {
	now := a.now()
	p := pendingAddress{person: r.person, askedAt: store.Micros(now), noticedAt: store.Micros(now), expiresAt: store.Micros(now.Add(addressLife))}
	oldLife := addressLife
	if lost && r.confirmedAt != 0 {
		due := now.Add(a.Config.RecoveryDelay.D())
		p.dueAt, p.expiresAt = store.Micros(due), store.Micros(due.Add(addressLife))
		oldLife = a.Config.RecoveryDelay.D()
	}
	ask := addressAsk{email: email, mailOld: r.confirmedAt != 0}
	var err error
	if ask.indexes, err = a.indexes(ctx, email); err != nil {
		return addressAsk{}, err
	}
	p.index = ask.indexes[0]
	if p.email, err = a.Keys.Seal(ctx, p.addressPlace(), []byte(email), p.refs()...); err != nil {
		return addressAsk{}, fmt.Errorf("sealing a new address: %w", err)
	}
	if ask.network, err = a.network(ctx, by); err != nil {
		return addressAsk{}, err
	}
	if ask.newToken, ask.newLink, err = a.newLink(ctx, linkAddressNew, r.account, addressLife, nil); err != nil {
		return addressAsk{}, err
	}
	ask.newLink.index = p.index
	if ask.oldToken, ask.oldLink, err = a.newLink(ctx, linkAddressOld, r.account, oldLife, nil); err != nil {
		return addressAsk{}, err
	}
	old, err := a.indexes(ctx, v.Email)
	if err != nil {
		return addressAsk{}, err
	}
	ask.oldLink.index, ask.pending = old[0], p
	return ask, nil
}

// askAddressTx writes the change down and asks both mailboxes. The purposes of
// the two mails are bounded apart: what is asked about the new address, which
// is anybody's, and what this account asks.
func (a *Accounts) askAddressTx(ctx context.Context, tx *store.Tx, by access.Subject, r row, v Account, ask addressAsk) error {
	here, all, err := asked(tx, ask.oldLink.index, forOwnAddress, ask.network, store.FromMicros(ask.pending.askedAt).Add(-time.Hour))
	if err != nil {
		return err
	}
	if here >= fromOneNetwork || all >= fromAll {
		return fault.New(fault.TooMany, "account.address_often", "You have asked for this often within the last hour. Look into both mailboxes, or try again in an hour.").In(time.Hour)
	}
	// Whom to ask was read before: another change may have been done meanwhile,
	// and its former mailbox agrees to nothing any more.
	if now, err := byID(tx, r.account); err != nil || now.state != Active || !bytes.Equal(now.email, r.email) || now.confirmedAt != r.confirmedAt {
		return orMeanwhile(err)
	}
	if err := dropLinks(tx, r.account, linkAddressNew, linkAddressOld); err != nil {
		return err
	}
	if err := replaceAddressTx(tx, ask.pending); err != nil {
		return err
	}
	taken, err := byEmail(tx, ask.indexes)
	if err != nil {
		return err
	}
	letter := a.addressNewLetter(ask.email, r.person, ask.newToken)
	if taken.account != "" {
		holder, err := a.open(ctx, taken.person, "email", taken.email)
		if err != nil {
			return err
		}
		ask.newLink.kind, letter = linkNone, a.addressTakenLetter(holder, taken.person)
	}
	if err := a.sendSome(tx, forAddress, ask.network, ask.newLink, letter); err != nil {
		return err
	}
	if err := insertAsked(tx, ask.oldLink, forOwnAddress, ask.network); err != nil {
		return err
	}
	if ask.mailOld {
		if err := insertLink(tx, ask.oldLink); err != nil {
			return err
		}
		if err := a.Post.SendTx(tx, a.addressOldLetter(v.Email, ask.pending, ask.oldToken)); err != nil {
			return err
		}
	}
	_, err = a.Log.AppendTx(tx, a.event(evAddressAsked, by, r.person, nil))
	return err
}

// AddressQuestion is what a link of a change of address asks.
type AddressQuestion struct {
	Change  AddressChange
	Present string // the address that the account has
	New     bool   // the link was sent to the new address
}

// PeekAddress says what a link of a change of address would do, and uses
// nothing up.
func (a *Accounts) PeekAddress(ctx context.Context, token secret.String) (AddressQuestion, error) {
	l, err := a.peek(ctx, token, linkAddressNew, linkAddressOld)
	if err != nil {
		return AddressQuestion{}, err
	}
	v, err := a.Get(ctx, l.account)
	if err != nil {
		return AddressQuestion{}, err
	}
	c, ok, err := a.waitingAddress(ctx, person{v.ID, v.Home})
	if err != nil || !ok {
		return AddressQuestion{}, orGone(err)
	}
	return AddressQuestion{Change: c, Present: v.Email, New: l.kind == linkAddressNew}, nil
}

// OwnAddressChange is the change of address that waits for the one who asks.
func (a *Accounts) OwnAddressChange(ctx context.Context, by access.Subject) (c AddressChange, ok bool, err error) {
	if err := own(by); err != nil {
		return AddressChange{}, false, err
	}
	v, err := a.Get(ctx, by.Account)
	if err != nil {
		return AddressChange{}, false, err
	}
	return a.waitingAddress(ctx, person{v.ID, v.Home})
}

// waitingAddress reads a change of address that is still open.
func (a *Accounts) waitingAddress(ctx context.Context, of person) (AddressChange, bool, error) {
	var p pendingAddress
	var ok bool
	err := a.DB.Read(ctx, func(tx *store.Tx) (err error) {
		p, ok, err = addressTx(tx, of, a.now())
		return err
	})
	if err != nil {
		return AddressChange{}, false, fmt.Errorf("reading a change of address: %w", err)
	}
	if !ok {
		return AddressChange{}, false, nil
	}
	email, err := a.newAddress(ctx, p)
	if err != nil {
		return AddressChange{}, false, err
	}
	return AddressChange{
		Email: email, AskedAt: store.FromMicros(p.askedAt), NewAt: store.FromMicros(p.newAt), OldAt: store.FromMicros(p.oldAt),
		DueAt: store.FromMicros(p.dueAt), ExpiresAt: store.FromMicros(p.expiresAt),
	}, true, nil
}

func (a *Accounts) newAddress(ctx context.Context, p pendingAddress) (string, error) {
	b, err := a.Keys.Open(ctx, p.addressPlace(), p.email, p.refs()...)
	if err != nil {
		return "", fmt.Errorf("opening a new address: %w", err)
	}
	return string(b), nil
}

// AgreeAddress uses a link of a change of address up, and agrees for the
// mailbox to which it was sent. When nothing more is waited for, the address
// changes: done.
func (a *Accounts) AgreeAddress(ctx context.Context, by access.Subject, token secret.String) (done bool, err error) {
	l, err := a.peek(ctx, token, linkAddressNew, linkAddressOld)
	if err != nil {
		return false, a.linkFailed(ctx, by, err)
	}
	err = a.DB.Write(ctx, func(tx *store.Tx) error {
		r, p, err := a.takeAddressTx(tx, l)
		if err != nil {
			return err
		}
		e := a.event(evAddressAgreed, by, r.person, map[string]string{"mailbox": "old"})
		e.Actor = self(r.account)
		column := &p.oldAt
		if l.kind == linkAddressNew {
			column, e.Metadata["mailbox"] = &p.newAt, "new"
		}
		*column = store.Micros(a.now())
		if _, err := a.Log.AppendTx(tx, e); err != nil {
			return err
		}
		if done = p.complete(r, a.now()); done {
			return a.applyAddressTx(ctx, tx, by, r, p)
		}
		_, err = tx.Exec(`UPDATE account_address SET new_at = $1, old_at = $2 WHERE account = $3`, p.newAt, p.oldAt, r.account)
		return err
	})
	if err != nil {
		return false, a.linkFailed(ctx, by, taken(fmt.Errorf("agreeing to a change of address: %w", err)))
	}
	return done, nil
}

// StopAddress uses a link of a change of address up and stops the change.
func (a *Accounts) StopAddress(ctx context.Context, by access.Subject, token secret.String) error {
	l, err := a.peek(ctx, token, linkAddressNew, linkAddressOld)
	if err != nil {
		return a.linkFailed(ctx, by, err)
	}
	err = a.DB.Write(ctx, func(tx *store.Tx) error {
		r, p, err := a.takeAddressTx(tx, l)
		if err != nil {
			return err
		}
		mailbox := "old"
		if l.kind == linkAddressNew {
			mailbox = "new"
		}
		return a.stopAddressTx(ctx, tx, by, r, p, mailbox)
	})
	if err != nil {
		return a.linkFailed(ctx, by, fmt.Errorf("stopping a change of address: %w", err))
	}
	return nil
}

// StopOwnAddress stops the change of address of the one who asks.
func (a *Accounts) StopOwnAddress(ctx context.Context, by access.Subject) error {
	if err := own(by); err != nil {
		return err
	}
	err := a.DB.Write(ctx, func(tx *store.Tx) error {
		r, err := byID(tx, by.Account)
		if err != nil || r.state != Active {
			return orUnknown(err)
		}
		p, ok, err := addressTx(tx, r.person, a.now())
		if err != nil || !ok {
			return orGone(err)
		}
		return a.stopAddressTx(ctx, tx, by, r, p, "account")
	})
	if err != nil {
		return fmt.Errorf("stopping a change of address: %w", err)
	}
	return nil
}

// takeAddressTx uses a link up and finds the change that it belongs to.
func (a *Accounts) takeAddressTx(tx *store.Tx, l link) (row, pendingAddress, error) {
	if _, ok, err := takeLink(tx, l.digest, a.now()); err != nil || !ok {
		return row{}, pendingAddress{}, orGone(err)
	}
	r, err := byID(tx, l.account)
	if err != nil || r.state != Active {
		return row{}, pendingAddress{}, orGone(err)
	}
	p, ok, err := addressTx(tx, r.person, a.now())
	if err != nil || !ok || l.kind == linkAddressNew && !bytes.Equal(p.index, l.index) {
		return row{}, pendingAddress{}, orGone(err)
	}
	return r, p, nil
}

func (a *Accounts) stopAddressTx(ctx context.Context, tx *store.Tx, by access.Subject, r row, p pendingAddress, from string) error {
	if err := endAddressTx(tx, r.account); err != nil {
		return err
	}
	email, err := a.open(ctx, r.person, "email", r.email)
	if err != nil {
		return err
	}
	if err := a.Post.SendTx(tx, a.addressStoppedLetter(email, r.person)); err != nil {
		return err
	}
	e := a.event(evAddressStopped, by, r.person, map[string]string{"mailbox": from})
	if from != "account" {
		e.Actor = self(r.account)
	}
	_, err = a.Log.AppendTx(tx, e)
	return err
}

// taken turns the refusal of the unique index into a sentence: somebody signed
// up with the address meanwhile.
func taken(err error) error {
	if store.IsUnique(err) {
		return errTaken
	}
	return err
}
