package account

import (
	"context"
	"fmt"
	"time"

	"troth/internal/access"
	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/store"
)

// The permission to help people back into their accounts, which staff have.
const permRecover access.Permission = "account.recover"

// StaffRecovery is a recovery as staff see it.
type StaffRecovery struct {
	ID       id.Recovery `json:"id"`
	Account  id.Account  `json:"account"`
	Email    string      `json:"email"`
	Reason   string      `json:"reason"`
	Opened   string      `json:"opened_by"` // the name of who opened it
	Approved string      `json:"approved_by,omitempty"`
	AskedAt  time.Time   `json:"asked_at"`
	DueAt    time.Time   `json:"due_at,omitzero"` // zero until somebody approved
	Ready    bool        `json:"ready"`
	Mine     bool        `json:"mine"` // the one who asks opened it, or is its subject, and so cannot approve it
}

var (
	errSameHands = fault.New(fault.Denied, "account.same_hands", "It takes two: whoever opened a recovery does not approve it. Ask another member of staff.")
	errOwnRescue = fault.New(fault.Denied, "account.own_rescue", "Nobody helps to recover the own account. Ask another member of staff.")
	errStaffOpen = fault.New(fault.Conflict, "account.recovery_open", "Staff have opened a recovery of this account already: look at the list.").On("email")
	errNobodyHas = fault.New(fault.NotFound, "account.unknown", "There is no account with this address.").On("email")
	errLeft      = fault.New(fault.Conflict, "account.opener_left", "Whoever opened this recovery is no longer staff, so there is one hand only. Refuse it, and open another one.")
	errNoRequest = fault.New(fault.NotFound, "account.no_recovery", "This recovery was finished, refused or stopped, or has expired.")
)

// staffOpen is how long a recovery waits for the second member of staff.
const staffOpen = 3 * 24 * time.Hour

// OpenRecovery opens a recovery of an account that is found by its address, for
// staff who may (account.recover). It does nothing until another member of
// staff approves it. The reason is sealed under the keys of the account.
func (a *Accounts) OpenRecovery(ctx context.Context, by access.Subject, email, reason string) (id.Recovery, error) {
	if err := helper(by, permRecover); err != nil {
		return "", err
	}
	email, err := readEmail(email)
	if err != nil {
		return "", err
	}
	if reason, err = readReason(reason); err != nil {
		return "", err
	}
	indexes, err := a.indexes(ctx, email)
	if err != nil {
		return "", err
	}
	which := id.New[id.Recovery](a.now())
	err = a.DB.Write(ctx, func(tx *store.Tx) error {
		r, err := byEmail(tx, indexes)
		switch {
		case err != nil:
			return err
		case !r.state.returns():
			return errNobodyHas
		case r.account == by.Account:
			return errOwnRescue
		}
		now := a.now()
		open, err := recoveriesTx(tx, r.account, now)
		if err != nil {
			return err
		}
		for _, v := range open {
			if v.kind == recoverStaff {
				return errStaffOpen
			}
		}
		v := recovery{
			recovery: which, account: r.account, kind: recoverStaff, opened: by.Account,
			askedAt: store.Micros(now), expires: store.Micros(now.Add(staffOpen)),
		}
		if v.reason, err = a.Keys.Seal(ctx, r.reasonPlace(which), []byte(reason), r.refs()...); err != nil {
			return fmt.Errorf("sealing the reason of a recovery: %w", err)
		}
		if err := replaceRecovery(tx, v); err != nil {
			return err
		}
		_, err = a.Log.AppendTx(tx, a.event(evRecoveryOpened, by, r.person, map[string]string{"reason": reason}))
		return err
	})
	if err != nil {
		return "", fmt.Errorf("opening a recovery: %w", err)
	}
	return which, nil
}

// ApproveRecovery lets a recovery that another member of staff opened begin to
// wait, and tells every address of the account.
func (a *Accounts) ApproveRecovery(ctx context.Context, by access.Subject, which id.Recovery) (due time.Time, err error) {
	if err := helper(by, permRecover); err != nil {
		return time.Time{}, err
	}
	err = a.DB.Write(ctx, func(tx *store.Tx) error {
		v, r, err := a.requestTx(tx, which)
		switch {
		case err != nil:
			return err
		case v.dueAt != 0:
			return errNoRequest
		case v.opened == by.Account:
			return errSameHands
		case v.account == by.Account:
			return errOwnRescue
		}
		if opener, err := byID(tx, v.opened); err != nil || opener.staff == StaffNone || opener.state != Active {
			return orLeft(err) // of the two who agree, each still has to be one
		}
		now := a.now()
		due = now.Add(a.Config.StaffRecoveryWait.D())
		v.approved, v.dueAt, v.noticed, v.expires = by.Account, store.Micros(due), store.Micros(now), store.Micros(due.Add(recoveryOpen))
		n, err := tx.Exec(`UPDATE account_recovery SET approved_by = $1, due_at = $2, noticed_at = $3, expires_at = $4 WHERE recovery = $5 AND due_at = 0`,
			v.approved, v.dueAt, v.noticed, v.expires, which)
		if err != nil || n == 0 {
			return orRequest(err)
		}
		if _, err := a.Log.AppendTx(tx, a.event(evRecoveryApproved, by, r.person, map[string]string{"until": due.UTC().Format(time.RFC3339)})); err != nil {
			return err
		}
		return a.noticeTx(ctx, tx, r, v)
	})
	if err != nil {
		return time.Time{}, fmt.Errorf("approving a recovery: %w", err)
	}
	return due, nil
}

// RefuseRecovery ends a recovery that staff opened; any member of staff can.
func (a *Accounts) RefuseRecovery(ctx context.Context, by access.Subject, which id.Recovery) error {
	if err := helper(by, permRecover); err != nil {
		return err
	}
	err := a.DB.Write(ctx, func(tx *store.Tx) error {
		v, r, err := a.requestTx(tx, which)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(`DELETE FROM account_recovery WHERE recovery = $1`, which); err != nil {
			return err
		}
		if v.dueAt != 0 { // its holder was told that it waits
			email, err := a.open(ctx, r.person, "email", r.email)
			if err != nil {
				return err
			}
			if err := a.tellTx(ctx, tx, r.person, email, a.recoveryStoppedLetter); err != nil {
				return err
			}
		}
		_, err = a.Log.AppendTx(tx, a.event(evRecoveryRefused, by, r.person, nil))
		return err
	})
	if err != nil {
		return fmt.Errorf("refusing a recovery: %w", err)
	}
	return nil
}

// requestTx finds a recovery that staff opened, and its account.
func (a *Accounts) requestTx(tx *store.Tx, which id.Recovery) (recovery, row, error) {
	v, ok, err := recoveryTx(tx, which, a.now())
	if err != nil || !ok || v.kind != recoverStaff {
		return recovery{}, row{}, orRequest(err)
	}
	r, err := byID(tx, v.account)
	if err != nil || !r.state.returns() {
		return recovery{}, row{}, orRequest(err)
	}
	return v, r, nil
}

func orLeft(err error) error {
	if err != nil {
		return err
	}
	return errLeft
}

func orRequest(err error) error {
	if err != nil {
		return err
	}
	return errNoRequest
}

// helper is nil for a signed-in member of staff who may help in this way.
func helper(by access.Subject, may access.Permission) error {
	if by.Kind != access.KindPerson {
		return errNobody
	}
	return by.Require(may)
}

// StaffRecoveries lists what staff have opened, the newest first.
func (a *Accounts) StaffRecoveries(ctx context.Context, by access.Subject) ([]StaffRecovery, error) {
	if err := helper(by, permRecover); err != nil {
		return nil, err
	}
	now := a.now()
	var open []recovery
	err := a.DB.Read(ctx, func(tx *store.Tx) (err error) {
		open, err = listRecoveries(tx, `kind = $1 AND expires_at > $2 ORDER BY recovery DESC LIMIT 100`, recoverStaff, store.Micros(now))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listing recoveries: %w", err)
	}
	list := make([]StaffRecovery, 0, len(open))
	for _, v := range open {
		subject, err := a.Get(ctx, v.account)
		if fault.KindOf(err) == fault.NotFound {
			continue // it was destroyed a moment ago
		}
		if err != nil {
			return nil, err
		}
		reason, err := a.Keys.Open(ctx, person{subject.ID, subject.Home}.reasonPlace(v.recovery), v.reason, person{subject.ID, subject.Home}.refs()...)
		if err != nil {
			return nil, fmt.Errorf("opening the reason of a recovery: %w", err)
		}
		list = append(list, StaffRecovery{
			ID: v.recovery, Account: v.account, Email: subject.Email, Reason: string(reason),
			Opened: a.called(ctx, v.opened), Approved: a.called(ctx, v.approved),
			AskedAt: store.FromMicros(v.askedAt), DueAt: store.FromMicros(v.dueAt), Ready: v.ready(now),
			Mine: v.opened == by.Account || v.account == by.Account,
		})
	}
	return list, nil
}

// called is the name of a member of staff, or nothing.
func (a *Accounts) called(ctx context.Context, who id.Account) string {
	if who == "" {
		return ""
	}
	v, err := a.Get(ctx, who)
	if err != nil { // who left since is known by the identifier
		return string(who)
	}
	return v.Name
}
