package account

import (
	"context"
	"fmt"

	"troth/internal/access"
	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/store"
)

var (
	errOwnsAll     = fault.New(fault.Conflict, "account.owner_is_staff", "This is a platform owner, who is staff already and stays it.")
	errUnproven    = fault.New(fault.Conflict, "account.unproven", "The address of this account was never confirmed. Its holder has to open the link in the mail first.")
	errStaffAsIs   = fault.New(fault.Conflict, "account.staff_as_is", "The account is that already. Nothing was changed.")
	errSpecialKind = fault.New(fault.Invalid, "account.staff_kind", "Somebody can be made staff for support, or none of the staff.")
)

// SetStaff makes the holder of an account staff for support, or no staff any
// more, for the operator on the host: nobody becomes staff by a page. Every
// session of the account ends, so that none goes on with other rights than it
// began with, and its holder is told. Platform owners are made and end
// otherwise.
func (a *Accounts) SetStaff(ctx context.Context, by access.Subject, account id.Account, staff Staff) (sessions int64, err error) {
	if err := onHost(by); err != nil {
		return 0, err
	}
	if staff != StaffSupport && staff != StaffNone {
		return 0, errSpecialKind
	}
	_, v, err := a.find(ctx, account)
	if err != nil {
		return 0, err
	}
	err = a.DB.Write(ctx, func(tx *store.Tx) error {
		r, err := byID(tx, account)
		switch {
		case err != nil || r.state != Active:
			return orUnknown(err)
		case r.staff == StaffOwner:
			return errOwnsAll
		case r.staff == staff:
			return errStaffAsIs
		case r.confirmedAt == 0:
			return errUnproven
		}
		if _, err := tx.Exec(`UPDATE account SET staff = $1 WHERE account = $2`, staff, account); err != nil {
			return err
		}
		if sessions, err = endSessions(tx, `account = $1`, account); err != nil {
			return err
		}
		name := evStaffAdded
		if staff == StaffNone {
			name = evStaffRemoved
		}
		if err := startAnewTx(tx, account); err != nil {
			return err
		}
		if err := a.tellTx(ctx, tx, r.person, v.Email, a.staffLetter(staff)); err != nil {
			return err
		}
		_, err = a.Log.AppendTx(tx, a.event(name, by, r.person, counted(sessions)))
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("changing who is staff: %w", err)
	}
	return sessions, nil
}
