package account

import (
	"context"
	"fmt"
	"slices"
	"time"

	"troth/internal/access"
	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/secret"
	"troth/internal/store"
)

// # A recovery
//
// A reset by mail sets a password and neither passes nor removes a second
// factor. Who lost every counting one, and the codes for that case, recovers the
// account (SP 800-63B-4, 4.2; OWASP ASVS 5.0, 6.4):
//
//   - A mailed link proves the mailbox: single use, for an hour. It asks for the
//     recovery, which waits: [account] recovery_delay.
//   - Every address of the account is told at once, daily, and at half time, each
//     time with a link that stops it (4.2.3). Signing in with a second factor
//     stops it too: whoever can do that has lost nothing.
//   - When the time has come another link is mailed. With it the holder removes
//     the second factors and sets a new password. Every session ends. For a week,
//     another link can be asked for.
//
// Somebody who only reads the mailbox is therefore seen for days before anything
// happens. It is still one mailbox, twice: no proof at assurance level 2, where
// 4.2.2 wants another way besides. Where that matters, recovery codes and a
// second passkey are the answer, and the guide says so.
//
// Of staff themselves a mailbox is no proof: nobody becomes staff by reading mail.
//
// Staff can help: one opens the recovery with a reason, another one approves it,
// and neither is its subject; then it waits, shorter, and goes on in the same
// way (recover_staff.go).

const (
	regainLife   = 24 * time.Hour     // of a mailed link that finishes a recovery (SP 800-63B-4, 4.2.1.2)
	recoveryOpen = 7 * 24 * time.Hour // how long one can be finished once its time has come
)

// Forgetter is a [Factors] that can be emptied, by a recovery and when an
// account is destroyed.
type Forgetter interface {
	// ForgetTx removes everything that an account has set up, in the transaction.
	ForgetTx(tx *store.Tx, account id.Account) error
}

// AskRecovery sends a link with which a recovery is asked for, or finished when
// its time has come, if the address has an account with a second factor. One
// without gets the link that resets the password, which is all it needs. The
// answer, the work and the number of mails are as for [Accounts.AskReset].
func (a *Accounts) AskRecovery(ctx context.Context, by access.Subject, email string) error {
	email, err := readEmail(email)
	if err != nil {
		return err
	}
	if err := a.effort(by); err != nil {
		return err
	}
	indexes, err := a.indexes(ctx, email)
	if err != nil {
		return err
	}
	if _, err := a.Hashing.Verify(ctx, "", secret.String{}); err != nil {
		return err
	}
	token, l, err := a.newLink(ctx, linkRegain, "", a.Config.ResetLife.D(), nil)
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
		r, err := byEmail(tx, indexes)
		if err != nil {
			return err
		}
		l.account = r.account
		holder, err := a.holder(ctx, r)
		if err != nil {
			return err
		}
		_, counts, err := a.offersTx(ctx, tx, r.account)
		if err != nil {
			return err
		}
		letter, name := a.regainLetter(holder, r.person, token), evRecoveryLink
		helped, err := a.helpedTx(tx, r)
		switch {
		case err != nil:
			return err
		case !counts:
			l.kind, letter = linkReset, a.resetLetter(holder, r.person, token)
		case !helped:
			l.kind, letter = linkNone, a.notAloneLetter(holder, r.person)
		}
		if !r.state.returns() || r.confirmedAt == 0 {
			l.kind, letter, name = linkNone, decoy(letter, email), evRecoveryUnknown
		}
		if err := a.sendSome(tx, forRecovery, network, l, letter); err != nil {
			return err
		}
		_, err = a.Log.AppendTx(tx, a.event(name, by, r.person, nil))
		return err
	})
	if err != nil {
		return fmt.Errorf("recording that a recovery was asked for: %w", err)
	}
	return nil
}

// helpedTx reports whether an account may be recovered by its mailbox: of staff,
// who open more than their own account and therefore always have a factor that
// resists phishing, only when other staff have agreed, or on the host.
func (a *Accounts) helpedTx(tx *store.Tx, r row) (bool, error) {
	if r.staff == StaffNone {
		return true, nil
	}
	open, err := recoveriesTx(tx, r.account, a.now())
	return slices.ContainsFunc(open, func(v recovery) bool { return v.kind == recoverStaff && v.ready(a.now()) }), err
}

// Recovery is a recovery as its holder sees it.
type Recovery struct {
	Email   string        `json:"email"`
	Staff   bool          `json:"staff"` // staff asked for it
	AskedAt time.Time     `json:"asked_at,omitzero"`
	DueAt   time.Time     `json:"due_at,omitzero"`
	Ready   bool          `json:"ready"` // its time has come
	Delay   time.Duration `json:"-"`     // how long one waits that is asked for now
}

// Waits reports whether one was asked for.
func (v Recovery) Waits() bool { return !v.AskedAt.IsZero() }

// PeekRecovery says what a mailed link of a recovery would do, and uses nothing
// up.
func (a *Accounts) PeekRecovery(ctx context.Context, token secret.String) (Recovery, error) {
	l, err := a.peek(ctx, token, linkRegain, linkKeep)
	if err != nil {
		return Recovery{}, err
	}
	v, err := a.Get(ctx, l.account)
	if err != nil {
		return Recovery{}, orGone(err)
	}
	return a.waitingRecovery(ctx, v)
}

// OwnRecovery is the recovery that waits for the account of the one who asks.
func (a *Accounts) OwnRecovery(ctx context.Context, by access.Subject) (Recovery, error) {
	if err := own(by); err != nil {
		return Recovery{}, err
	}
	v, err := a.Get(ctx, by.Account)
	if err != nil {
		return Recovery{}, err
	}
	return a.waitingRecovery(ctx, v)
}

func (a *Accounts) waitingRecovery(ctx context.Context, v Account) (Recovery, error) {
	now := a.now()
	var open []recovery
	err := a.DB.Read(ctx, func(tx *store.Tx) (err error) {
		open, err = recoveriesTx(tx, v.ID, now)
		return err
	})
	if err != nil {
		return Recovery{}, fmt.Errorf("reading a recovery: %w", err)
	}
	view := Recovery{Email: v.Email, Delay: a.Config.RecoveryDelay.D()}
	first, ok := soonest(open)
	if !ok {
		return view, nil
	}
	view.Staff, view.AskedAt, view.DueAt = first.kind == recoverStaff, store.FromMicros(first.askedAt), store.FromMicros(first.dueAt)
	view.Ready = first.ready(now)
	return view, nil
}

func (v recovery) ready(now time.Time) bool { return v.dueAt != 0 && v.dueAt <= store.Micros(now) }

// soonest is the recovery whose time comes first, of those that were approved.
func soonest(open []recovery) (recovery, bool) {
	open = slices.DeleteFunc(slices.Clone(open), func(v recovery) bool { return v.dueAt == 0 })
	if len(open) == 0 {
		return recovery{}, false
	}
	return slices.MinFunc(open, func(x, y recovery) int { return int(x.dueAt/1e6 - y.dueAt/1e6) }), true
}

var errWaits = fault.New(fault.Conflict, "account.recovery_waits", "A recovery of this account was asked for already, and waits.")

// BeginRecovery uses a mailed link up and asks for the recovery of the account:
// from now on it waits. It returns when it can be finished.
func (a *Accounts) BeginRecovery(ctx context.Context, by access.Subject, token secret.String) (due time.Time, err error) {
	l, err := a.peek(ctx, token, linkRegain)
	if err != nil {
		return time.Time{}, a.linkFailed(ctx, by, err)
	}
	err = a.DB.Write(ctx, func(tx *store.Tx) error {
		if _, ok, err := takeLink(tx, l.digest, a.now()); err != nil || !ok {
			return orGone(err)
		}
		r, err := byID(tx, l.account)
		if err != nil || !r.state.returns() || r.staff != StaffNone {
			return orGone(err)
		}
		open, err := recoveriesTx(tx, r.account, a.now())
		if err != nil {
			return err
		}
		if _, waits := soonest(open); waits {
			return errWaits
		}
		now := a.now()
		due = now.Add(a.Config.RecoveryDelay.D())
		v := recovery{
			recovery: id.New[id.Recovery](now), account: r.account, kind: recoverOwn, opened: r.account,
			askedAt: store.Micros(now), dueAt: store.Micros(due), noticed: store.Micros(now), expires: store.Micros(due.Add(recoveryOpen)),
		}
		if err := replaceRecovery(tx, v); err != nil {
			return err
		}
		e := a.event(evRecoveryAsked, by, r.person, map[string]string{"until": due.UTC().Format(time.RFC3339)})
		e.Actor = self(r.account)
		if _, err := a.Log.AppendTx(tx, e); err != nil {
			return err
		}
		return a.noticeTx(ctx, tx, r, v)
	})
	if err != nil {
		return time.Time{}, a.linkFailed(ctx, by, fmt.Errorf("asking for a recovery: %w", err))
	}
	return due, nil
}

// noticeTx tells every address of an account that a recovery waits, each with a
// link that stops it.
func (a *Accounts) noticeTx(ctx context.Context, tx *store.Tx, r row, v recovery) error {
	email, err := a.open(ctx, r.person, "email", r.email)
	if err != nil {
		return err
	}
	all, err := a.addressesTx(ctx, tx, r.person, email)
	if err != nil {
		return err
	}
	for _, to := range all {
		token, l, err := a.newLink(ctx, linkKeep, r.account, store.FromMicros(v.expires).Sub(a.now()), nil)
		if err != nil {
			return err
		}
		if err := insertLink(tx, l); err != nil {
			return err
		}
		if err := a.Post.SendTx(tx, a.recoveryWaitsLetter(to, r.person, v, token)); err != nil {
			return err
		}
	}
	return nil
}

// StopRecovery uses a link up that came with a notice, and stops what waits for
// the account.
func (a *Accounts) StopRecovery(ctx context.Context, by access.Subject, token secret.String) error {
	l, err := a.peek(ctx, token, linkKeep)
	if err != nil {
		return a.linkFailed(ctx, by, err)
	}
	err = a.DB.Write(ctx, func(tx *store.Tx) error {
		if _, ok, err := takeLink(tx, l.digest, a.now()); err != nil || !ok {
			return orGone(err)
		}
		r, err := byID(tx, l.account)
		if err != nil || !r.state.kept() {
			return orGone(err)
		}
		stopped, err := a.stopRecoveryTx(ctx, tx, by, r, "a link in a notice")
		if err == nil && !stopped {
			err = errGone
		}
		return err
	})
	if err != nil {
		return a.linkFailed(ctx, by, fmt.Errorf("stopping a recovery: %w", err))
	}
	return nil
}

// StopOwnRecovery stops what waits for the account of the one who asks.
func (a *Accounts) StopOwnRecovery(ctx context.Context, by access.Subject) error {
	if err := own(by); err != nil {
		return err
	}
	err := a.DB.Write(ctx, func(tx *store.Tx) error {
		r, err := byID(tx, by.Account)
		if err != nil || r.state != Active {
			return orUnknown(err)
		}
		if owns, err := a.ownsTx(ctx, tx, r, by.AMR); err != nil {
			return err
		} else if !owns {
			return errYoungKey
		}
		stopped, err := a.stopRecoveryTx(ctx, tx, by, r, "the page of the account")
		if err == nil && !stopped {
			err = errGone
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("stopping a recovery: %w", err)
	}
	return nil
}

var errYoungKey = fault.New(fault.Conflict, "account.young_passkey", "Your passkey was added within the week before the recovery was asked for, so it does not stop it alone. Use the link in the mail, or prove yourself again with your password.")

// ownsTx reports whether what was proven is enough to stop what waits for an
// account. Of a mailbox and a passkey that is younger than a week the mailbox is
// the older claim, as it is of two addresses (see address.go); the password
// besides, which whoever holds the mailbox can set anew, makes up for it.
func (a *Accounts) ownsTx(ctx context.Context, tx *store.Tx, r row, amr []string) (bool, error) {
	if has(amr, amrPassword) {
		return true, nil
	}
	open, err := recoveriesTx(tx, r.account, a.now())
	if err != nil || len(open) == 0 {
		return err == nil, err
	}
	offers, _, err := a.offersTx(ctx, tx, r.account)
	if err != nil {
		return false, err
	}
	asked := store.FromMicros(open[0].askedAt)
	return !slices.ContainsFunc(offers, func(o Offer) bool { return o.Kind == kindPasskey && o.Since.After(asked.Add(-pastLife)) }), nil
}

// stopRecoveryTx stops every recovery of an account, and says so to all its
// addresses. It reports whether there was one.
func (a *Accounts) stopRecoveryTx(ctx context.Context, tx *store.Tx, by access.Subject, r row, how string) (bool, error) {
	open, err := recoveriesTx(tx, r.account, a.now())
	if err != nil {
		return false, err
	}
	if _, waits := soonest(open); !waits {
		return false, nil
	}
	if err := endRecoveriesTx(tx, r.account); err != nil {
		return false, err
	}
	email, err := a.open(ctx, r.person, "email", r.email)
	if err != nil {
		return false, err
	}
	if err := a.tellTx(ctx, tx, r.person, email, a.recoveryStoppedLetter); err != nil {
		return false, err
	}
	e := a.event(evRecoveryStopped, by, r.person, map[string]string{"how": how})
	e.Actor = self(r.account)
	_, err = a.Log.AppendTx(tx, e)
	return true, err
}

// FinishRecovery uses a mailed link up, once the time of a recovery has come: it
// removes the second factors of the account, sets a new password and ends every
// session. A password that is refused leaves the link usable. Nobody is signed
// in by it. All addresses are told.
func (a *Accounts) FinishRecovery(ctx context.Context, by access.Subject, token, chosen secret.String) error {
	l, err := a.peek(ctx, token, linkRegain)
	if err != nil {
		return a.linkFailed(ctx, by, err)
	}
	v, err := a.Get(ctx, l.account)
	if err != nil {
		return a.linkFailed(ctx, by, orGone(err))
	}
	next, err := a.chooseAlone(ctx, chosen, v)
	if err != nil {
		return err
	}
	phc, err := a.Hashing.Hash(ctx, next)
	if err != nil {
		return err
	}
	err = a.DB.Write(ctx, func(tx *store.Tx) error {
		if _, ok, err := takeLink(tx, l.digest, a.now()); err != nil || !ok {
			return orGone(err)
		}
		r, err := byID(tx, l.account)
		if err != nil || !r.state.returns() {
			return orGone(err)
		}
		open, err := recoveriesTx(tx, r.account, a.now())
		if err != nil {
			return err
		}
		if first, ok := soonest(open); !ok || !first.ready(a.now()) {
			return errGone
		}
		if helped, err := a.helpedTx(tx, r); err != nil || !helped {
			return orGone(err)
		}
		return a.finishTx(ctx, tx, by, r, v.Email, phc)
	})
	if err != nil {
		return a.linkFailed(ctx, by, fmt.Errorf("finishing a recovery: %w", err))
	}
	return nil
}

func (a *Accounts) finishTx(ctx context.Context, tx *store.Tx, by access.Subject, r row, email, phc string) error {
	if err := a.forgetFactorsTx(tx, r.account); err != nil {
		return err
	}
	n, err := tx.Exec(`UPDATE account SET password = $1, password_short = FALSE, password_at = $2 WHERE account = $3 AND state = $4`, phc, store.Micros(a.now()), r.account, r.state)
	if err != nil || n == 0 {
		return orGone(err)
	}
	if err := endRecoveriesTx(tx, r.account); err != nil {
		return err
	}
	v := Account{ID: r.account, Home: r.home, Email: email}
	ended, err := a.newPasswordTx(ctx, tx, v, a.recoveredLetter)
	if err != nil {
		return err
	}
	e := a.event(evRecovered, by, r.person, counted(ended))
	e.Actor = self(r.account)
	_, err = a.Log.AppendTx(tx, e)
	return err
}

// forgetFactorsTx removes everything that an account can prove a second factor
// with.
func (a *Accounts) forgetFactorsTx(tx *store.Tx, account id.Account) error {
	for _, f := range a.Factors {
		forgetter, ok := f.(Forgetter)
		if !ok {
			return fmt.Errorf("the second factors %T cannot be removed", f)
		}
		if err := forgetter.ForgetTx(tx, account); err != nil {
			return fmt.Errorf("removing the second factors of an account: %w", err)
		}
	}
	return a.forgetCodesTx(tx, account)
}
