package tenant

import (
	"context"
	"fmt"
	"time"

	"troth/internal/access"
	"troth/internal/audit"
	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/keys"
	"troth/internal/mail"
	"troth/internal/secret"
	"troth/internal/store"
	"troth/internal/text"
)

// Invitation is one that waits for an answer, as the tenant sees it.
type Invitation struct {
	ID        id.Invitation
	Address   string
	Role      access.Role
	Inviter   id.Account
	SentAt    time.Time
	Sent      int // how many mails
	ExpiresAt time.Time
}

// addressColumn names the blind index of addresses. Each tenant has its own:
// the same address invited by two cannot be recognised.
const addressColumn = "tenant_invitation.address"

// InvitationPath is the page of an invitation, without its token.
const InvitationPath = "/-/invitations/"

// Invite sends an invitation to an address: a link in a mail, single use, seven
// days. Needs tenant.invite and a role that covers the one offered.
// fault.Invalid on "email" for what is no address; fault.Conflict if the
// address has an invitation that waits or belongs to somebody here;
// fault.TooMany after 200 mails in a day or with 100 that wait.
func (t *Tenants) Invite(ctx context.Context, by access.Subject, tenant id.Tenant, address string, role access.Role) (id.Invitation, error) {
	if err := t.allow(ctx, by, tenant, PermInvite); err != nil {
		return "", err
	}
	parsed, err := mail.ParseAddress(address)
	if err != nil {
		return "", err
	}
	address = string(parsed)
	if _, err := access.ParseRole(string(role)); err != nil {
		return "", err
	}
	row, err := t.newInvitation(ctx, by, tenant, address, role)
	if err != nil {
		return "", err
	}
	letter, err := t.letter(ctx, by, tenant, role)
	if err != nil {
		return "", err
	}
	token := row.renew(t.now())
	err = t.act(ctx, by, tenant, PermInvite, func(tx *store.Tx) error {
		if err := covers(by, role); err != nil {
			return err
		}
		if err := t.roomTx(tx, tenant, row); err != nil {
			return err
		}
		if err := insertInvitationTx(tx, row); err != nil {
			return err
		}
		if err := t.postTx(tx, letter, row, address, token); err != nil {
			return err
		}
		return t.writeTx(tx, by, tenant, invitationEvent("tenant.invited", row, address))
	})
	return row.invitation, err
}

// newInvitation seals and indexes the address.
func (t *Tenants) newInvitation(ctx context.Context, by access.Subject, tenant id.Tenant, address string, role access.Role) (invitationRow, error) {
	row := invitationRow{
		tenant: tenant, invitation: id.New[id.Invitation](t.now()), role: role, inviter: by.Account, createdAt: t.now(),
	}
	var err error
	if row.index, err = t.keys.Index(ctx, tenant, addressColumn, keys.Normalise(address)); err != nil {
		return row, fmt.Errorf("indexing an address: %w", err)
	}
	if row.address, err = t.keys.Seal(ctx, row.place(), []byte(address), keys.TenantRef(tenant)); err != nil {
		return row, fmt.Errorf("sealing an address: %w", err)
	}
	return row, nil
}

func (r *invitationRow) place() keys.Place {
	return keys.Place{Tenant: r.tenant, Table: "tenant_invitation", Column: "address", Row: string(r.invitation)}
}

// renew gives the invitation a link of its own and its full time.
func (r *invitationRow) renew(now time.Time) secret.String {
	token := secret.NewToken()
	d, _ := secret.DigestOf(token.Reveal())
	r.token, r.sentAt, r.expiresAt, r.sent = d[:], now, now.Add(InvitationLives), r.sent+1
	return token
}

// roomTx refuses what would be too many, or the second of the same.
func (t *Tenants) roomTx(tx *store.Tx, tenant id.Tenant, row invitationRow) error {
	if _, err := organisationTx(tx, tenant); err != nil {
		return err
	}
	if _, err := expireTx(tx, tenant, t.now()); err != nil {
		return err
	}
	if twice, err := pendingForTx(tx, tenant, row.index); err != nil {
		return err
	} else if twice {
		return fault.New(fault.Conflict, "tenant.invited_already", "This address has an invitation already that waits for an answer. Send that one again, or revoke it first.").On("email")
	}
	if _, pending, err := countsTx(tx, tenant); err != nil {
		return err
	} else if pending >= maxPending {
		return fault.New(fault.TooMany, "tenant.pending", "%d invitations wait for an answer, which is the limit. Revoke some that are not needed any more.", pending)
	}
	return t.quotaTx(tx, tenant, row.inviter)
}

// quotaTx bounds the mails of a day: of one organisation, and of one person,
// who could have many organisations.
func (t *Tenants) quotaTx(tx *store.Tx, tenant id.Tenant, inviter id.Account) error {
	since := t.now().Add(-24 * time.Hour)
	n, err := sentSinceTx(tx, tenant, since)
	if err == nil && n >= maxSentPerDay {
		return fault.New(fault.TooMany, "tenant.mails", "%d invitations were mailed within a day, which is the limit. Go on tomorrow.", n).In(24 * time.Hour)
	}
	if err != nil || inviter == "" {
		return err
	}
	n, err = sentByTx(tx, inviter, since)
	if err == nil && n >= maxSentPerDay {
		return fault.New(fault.TooMany, "tenant.mails", "%d of your invitations were mailed within a day, from all of your organisations together, which is the limit. Go on tomorrow.", n).In(24 * time.Hour)
	}
	return err
}

// Pending lists the invitations that wait for an answer. Needs tenant.invite.
func (t *Tenants) Pending(ctx context.Context, by access.Subject, tenant id.Tenant) ([]Invitation, error) {
	if err := t.allow(ctx, by, tenant, PermInvite); err != nil {
		return nil, err
	}
	var rows []invitationRow
	err := t.db.Read(ctx, func(tx *store.Tx) (err error) {
		rows, err = pendingTx(tx, tenant, t.now())
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listing the invitations of %s: %w", tenant, err)
	}
	list := make([]Invitation, len(rows))
	for i, r := range rows {
		address, err := t.addressOf(ctx, r)
		if err != nil {
			return nil, err
		}
		list[i] = Invitation{r.invitation, address, r.role, r.inviter, r.sentAt, r.sent, r.expiresAt}
	}
	return list, nil
}

func (t *Tenants) addressOf(ctx context.Context, r invitationRow) (string, error) {
	address, err := t.keys.Open(ctx, r.place(), r.address, keys.TenantRef(r.tenant))
	if err != nil {
		return "", fmt.Errorf("opening the address of %s: %w", r.invitation, err)
	}
	return string(address), nil
}

// Resend mails an invitation again with a new link, which lives seven days; the
// old link ends. Needs tenant.invite. fault.TooMany within a minute of the last
// mail or after five.
func (t *Tenants) Resend(ctx context.Context, by access.Subject, tenant id.Tenant, invitation id.Invitation) error {
	row, address, err := t.waiting(ctx, by, tenant, invitation)
	if err != nil {
		return err
	}
	letter, err := t.letter(ctx, by, tenant, row.role)
	if err != nil {
		return err
	}
	return t.act(ctx, by, tenant, PermInvite, func(tx *store.Tx) error {
		row, err := waitingTx(tx, tenant, invitation, t.now())
		if err != nil {
			return err
		}
		if err := covers(by, row.role); err != nil {
			return err
		}
		if row.sent >= maxSent {
			return fault.New(fault.TooMany, "tenant.resent", "This invitation was mailed %d times, which is the limit. Ask the person whether the address is right.", row.sent)
		}
		if wait := row.sentAt.Add(resendAfter).Sub(t.now()); wait > 0 {
			return fault.New(fault.TooMany, "tenant.resent_just_now", "This invitation was mailed a moment ago. Wait a minute.").In(wait)
		}
		if err := t.quotaTx(tx, tenant, row.inviter); err != nil {
			return err
		}
		token := row.renew(t.now())
		if err := resendTx(tx, row); err != nil {
			return err
		}
		if err := t.postTx(tx, letter, row, address, token); err != nil {
			return err
		}
		return t.writeTx(tx, by, tenant, invitationEvent("tenant.invitation_resent", row, address))
	})
}

// Revoke ends an invitation. Needs tenant.invite; one that waits no more is
// fault.NotFound.
func (t *Tenants) Revoke(ctx context.Context, by access.Subject, tenant id.Tenant, invitation id.Invitation) error {
	_, address, err := t.waiting(ctx, by, tenant, invitation)
	if err != nil {
		return err
	}
	return t.act(ctx, by, tenant, PermInvite, func(tx *store.Tx) error {
		row, err := waitingTx(tx, tenant, invitation, t.now())
		if err != nil {
			return err
		}
		if _, err := endTx(tx, row, revoked, t.now()); err != nil {
			return err
		}
		return t.writeTx(tx, by, tenant, invitationEvent("tenant.invitation_revoked", row, address))
	})
}

// waiting reads an invitation before the transaction that acts on it, because
// opening the address may ask the keyring.
func (t *Tenants) waiting(ctx context.Context, by access.Subject, tenant id.Tenant, invitation id.Invitation) (invitationRow, string, error) {
	if err := t.allow(ctx, by, tenant, PermInvite); err != nil {
		return invitationRow{}, "", err
	}
	var row invitationRow
	err := t.db.Read(ctx, func(tx *store.Tx) (err error) {
		row, err = waitingTx(tx, tenant, invitation, t.now())
		return err
	})
	if err != nil {
		return row, "", t.refused(ctx, by, PermInvite, err)
	}
	address, err := t.addressOf(ctx, row)
	return row, address, err
}

func waitingTx(tx *store.Tx, tenant id.Tenant, invitation id.Invitation, now time.Time) (invitationRow, error) {
	row, err := invitationTx(tx, tenant, invitation)
	if err == nil && (row.outcome != "" || !now.Before(row.expiresAt)) {
		err = access.ErrForeign
	}
	return row, err
}

// withdrawTx ends the invitations of a person that the person could not make
// with the new role.
func (t *Tenants) withdrawTx(tx *store.Tx, tenant id.Tenant, inviter id.Account, role access.Role) error {
	rows, err := pendingByTx(tx, tenant, inviter)
	if err != nil {
		return err
	}
	for _, r := range rows {
		if role.Covers(mayInvite) && role.Covers(r.role) {
			continue
		}
		if _, err := endTx(tx, r, revoked, t.now()); err != nil {
			return err
		}
		_, err := t.log.AppendTx(tx, audit.Event{
			Type: "tenant.invitation_withdrawn", Tenant: tenant, OccurredAt: t.now(),
			Actor:   audit.Actor{Kind: audit.KindSystem, Name: "roles"},
			Targets: []audit.Target{{Kind: "invitation", ID: string(r.invitation)}, whom(inviter)},
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func invitationEvent(kind string, r invitationRow, address string) audit.Event {
	return audit.Event{
		Type: kind, Targets: []audit.Target{{Kind: "invitation", ID: string(r.invitation)}},
		Metadata: map[string]string{"role": string(r.role)},
		Personal: map[id.Account]map[string]string{"": {"address": address}}, // a stranger, so far
	}
}

// letter is what an invitation says, but for the link.
type letter struct{ inviter, tenant, role string }

func (t *Tenants) letter(ctx context.Context, by access.Subject, tenant id.Tenant, role access.Role) (letter, error) {
	var row tenantRow
	err := t.db.Read(ctx, func(tx *store.Tx) (err error) {
		row, err = tenantTx(tx, tenant)
		return err
	})
	if err != nil {
		return letter{}, err
	}
	named, err := t.opened(ctx, row)
	if err != nil {
		return letter{}, err
	}
	l := letter{inviter: "The operator", tenant: named.Name, role: role.Text().String()}
	if by.Account != "" {
		p, err := t.profile(ctx, by.Account)
		if err != nil {
			return letter{}, err
		}
		l.inviter = quoted(p.Name, "Somebody")
		if p.Address != "" {
			l.inviter = fmt.Sprintf("%s (%s)", l.inviter, text.Address(p.Address))
		}
	}
	return l, nil
}

// subject names the organisation, if its name cannot mislead.
func subject(name string) string {
	if quoted(name, "") == "" {
		return "Invitation to an organisation"
	}
	return "Invitation to " + name
}

func (t *Tenants) postTx(tx *store.Tx, l letter, r invitationRow, address string, token secret.String) error {
	return t.mail.SendTx(tx, mail.Message{
		To: address, Tenant: r.tenant, Kind: "tenant.invitation",
		Subject: subject(l.tenant),
		Body: fmt.Sprintf("%s invites you to work in %s as %s.\n\n"+
			"Open this link to see the invitation and to accept it:\n\n%s%s%s\n\n"+
			"The link works once and until %s. If you did not expect this, you need not do anything: nothing happens unless you accept.\n",
			l.inviter, quoted(l.tenant, "an organisation"), l.role, t.origin, InvitationPath, token.Reveal(), r.expiresAt.UTC().Format("2 January 2006 at 15:04 UTC")),
	})
}
