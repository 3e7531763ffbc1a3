package tenant

import (
	"context"
	"errors"
	"fmt"
	"time"

	"troth/internal/access"
	"troth/internal/audit"
	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/keys"
	"troth/internal/secret"
	"troth/internal/store"
)

// Summary is what the link of an invitation shows to whoever holds it, before
// anything is answered.
type Summary struct {
	Tenant    string // its name
	Role      access.Role
	Inviter   string // the name, without the address
	Address   string // to whom it was sent
	ExpiresAt time.Time
	Mine      bool // the person who asks has this address, confirmed
}

var (
	errUsed = fault.New(fault.Gone, "tenant.invitation_used", "This invitation has been used, revoked or replaced by a newer one. Ask whoever invited you for a new one.")
	errLate = fault.New(fault.Gone, "tenant.invitation_expired", "This invitation has expired. Ask whoever invited you for a new one.")
)

// Look shows an invitation by the token of its link, and changes nothing. The
// token is the permission; by may be a stranger. One that was never made is
// fault.NotFound, one that ended fault.Gone.
func (t *Tenants) Look(ctx context.Context, by access.Subject, token string) (Summary, error) {
	row, address, err := t.byToken(ctx, token)
	if err != nil {
		return Summary{}, err
	}
	l, err := t.letter(ctx, access.Subject{}, row.tenant, row.role)
	if err != nil {
		return Summary{}, err
	}
	s := Summary{Tenant: l.tenant, Role: row.role, Address: address, ExpiresAt: row.expiresAt}
	people, err := t.people.ProfilesOf(ctx, []id.Account{row.inviter})
	if err != nil {
		return Summary{}, fmt.Errorf("reading the name of who invites: %w", err)
	}
	s.Inviter = people[row.inviter].Name
	if by.Account != "" {
		s.Mine, err = t.owns(ctx, by.Account, address)
	}
	return s, err
}

// Accept takes the person who asks into the tenant of the invitation, with the
// role that was offered. Needs tenant.join and the confirmed address to which
// the invitation was sent (fault.Denied). Who is in the tenant already keeps
// the role, and the invitation waits on (fault.Conflict).
func (t *Tenants) Accept(ctx context.Context, by access.Subject, token string) (id.Tenant, error) {
	if err := by.Require(PermJoin); err != nil {
		return "", t.refused(ctx, by, PermJoin, err)
	}
	row, address, err := t.byToken(ctx, token)
	if err != nil {
		return "", err
	}
	mine, err := t.owns(ctx, by.Account, address)
	if err != nil {
		return "", err
	}
	if !mine {
		return "", t.refused(ctx, by, PermJoin, fault.New(fault.Denied, "tenant.not_yours",
			"This invitation was sent to another address than the confirmed one of your account. Sign in with the account that has that address, or ask for an invitation to yours."))
	}
	err = t.db.Write(ctx, func(tx *store.Tx) error { return t.acceptTx(tx, by, row) })
	return row.tenant, err
}

func (t *Tenants) acceptTx(tx *store.Tx, by access.Subject, seen invitationRow) error {
	d := secret.Digest(seen.token)
	row, err := byTokenTx(tx, d)
	if err != nil {
		return err
	}
	now := t.now()
	if err := row.usable(now); err != nil {
		return err
	}
	if p, err := personTx(tx, row.tenant, by.Account); err == nil {
		return fault.New(fault.Conflict, "tenant.in_already", "You are here already, as %s. Nothing was changed.", p.Role.Text())
	} else if !errors.Is(err, store.ErrNoRows) {
		return err
	}
	if ended, err := endTx(tx, row, accepted, now); err != nil {
		return err
	} else if !ended {
		return errUsed // somebody was faster
	}
	if err := insertPersonTx(tx, row.tenant, personRow{by.Account, row.role, now}); err != nil {
		return err
	}
	if err := t.access.ChangedTx(tx, row.tenant, by.Account); err != nil {
		return err
	}
	return t.writeTx(tx, by, row.tenant, audit.Event{
		Type: "tenant.joined", Targets: []audit.Target{host(row.inviter), {Kind: "invitation", ID: string(row.invitation)}},
		Metadata: map[string]string{"role": string(row.role)},
	})
}

func (r *invitationRow) usable(now time.Time) error {
	switch {
	case r.outcome != "":
		return errUsed
	case !now.Before(r.expiresAt):
		return errLate
	}
	return nil
}

// byToken finds a usable invitation and its address.
func (t *Tenants) byToken(ctx context.Context, token string) (invitationRow, string, error) {
	d, ok := secret.DigestOf(token)
	if !ok {
		return invitationRow{}, "", access.ErrForeign
	}
	var row invitationRow
	err := t.db.Read(ctx, func(tx *store.Tx) (err error) {
		row, err = byTokenTx(tx, d)
		return err
	})
	if err != nil {
		return row, "", err
	}
	if err := row.usable(t.now()); err != nil {
		return row, "", err
	}
	address, err := t.addressOf(ctx, row)
	return row, address, err
}

// owns reports whether the confirmed address of an account is the given one.
func (t *Tenants) owns(ctx context.Context, account id.Account, address string) (bool, error) {
	p, err := t.profile(ctx, account)
	return err == nil && p.Confirmed && keys.Normalise(p.Address) == keys.Normalise(address), err
}

// host is who invited: a person, or the operator of the installation.
func host(inviter id.Account) audit.Target {
	if inviter == "" {
		return audit.Target{Kind: "operator", Label: "the operator"}
	}
	return whom(inviter)
}
