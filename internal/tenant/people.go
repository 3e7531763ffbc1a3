package tenant

import (
	"context"
	"errors"
	"fmt"

	"troth/internal/access"
	"troth/internal/audit"
	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/store"
)

// ListPeople is one page of at most 100 people, by identifier, after the given
// one; next is "" on the last page. Needs tenant.people.
func (t *Tenants) ListPeople(ctx context.Context, by access.Subject, tenant id.Tenant, after id.Account) (list []Person, next id.Account, err error) {
	if err := t.allow(ctx, by, tenant, PermPeople); err != nil {
		return nil, "", err
	}
	var rows []personRow
	err = t.db.Read(ctx, func(tx *store.Tx) (err error) {
		rows, err = peopleTx(tx, tenant, after, pageLimit+1)
		return err
	})
	if err != nil {
		return nil, "", fmt.Errorf("listing the people of %s: %w", tenant, err)
	}
	if len(rows) > pageLimit {
		rows = rows[:pageLimit]
		next = rows[pageLimit-1].Account
	}
	list, err = t.called(ctx, rows)
	return list, next, err
}

// GetPerson is one person of the tenant. Needs tenant.people; who is not in
// the tenant is fault.NotFound, whether the account exists or not.
func (t *Tenants) GetPerson(ctx context.Context, by access.Subject, tenant id.Tenant, account id.Account) (Person, error) {
	if err := t.allow(ctx, by, tenant, PermPeople); err != nil {
		return Person{}, err
	}
	var row personRow
	err := t.db.Read(ctx, func(tx *store.Tx) (err error) {
		row, err = presentTx(tx, tenant, account)
		return err
	})
	if err != nil {
		return Person{}, t.refused(ctx, by, PermPeople, err)
	}
	list, err := t.called(ctx, []personRow{row})
	if err != nil {
		return Person{}, err
	}
	return list[0], nil
}

// called adds what the accounts say about themselves.
func (t *Tenants) called(ctx context.Context, rows []personRow) ([]Person, error) {
	accounts := make([]id.Account, len(rows))
	for i, r := range rows {
		accounts[i] = r.Account
	}
	profiles, err := t.people.ProfilesOf(ctx, accounts)
	if err != nil {
		return nil, fmt.Errorf("reading the names of people: %w", err)
	}
	list := make([]Person, len(rows))
	for i, r := range rows {
		list[i] = Person{r.Account, r.Role, r.Since, profiles[r.Account]}
	}
	return list, nil
}

// profile is what one account says about itself.
func (t *Tenants) profile(ctx context.Context, account id.Account) (Profile, error) {
	profiles, err := t.people.ProfilesOf(ctx, []id.Account{account})
	if err != nil {
		return Profile{}, fmt.Errorf("reading the name of a person: %w", err)
	}
	return profiles[account], nil
}

// presentTx reads a person of the tenant, or access.ErrForeign.
func presentTx(tx *store.Tx, tenant id.Tenant, account id.Account) (personRow, error) {
	p, err := personTx(tx, tenant, account)
	if errors.Is(err, store.ErrNoRows) {
		return p, access.ErrForeign
	}
	return p, err
}

// ChangeRole gives a person of the tenant another role. Needs tenant.role, and
// a role that covers both the person's and the new one: an admin neither makes
// nor touches an owner. The last owner stays one (fault.Conflict). Whoever is
// raised has to sign in again, so that no session that somebody else may hold
// grows with its owner (NIST SP 800-53r5 AC-12; OWASP ASVS 5.0, 7.2.4).
func (t *Tenants) ChangeRole(ctx context.Context, by access.Subject, tenant id.Tenant, account id.Account, role access.Role) error {
	if _, err := access.ParseRole(string(role)); err != nil {
		return err
	}
	return t.act(ctx, by, tenant, PermRole, func(tx *store.Tx) error {
		p, err := presentTx(tx, tenant, account)
		if err != nil {
			return err
		}
		if err := covers(by, role); err != nil {
			return err
		}
		if err := covers(by, p.Role); err != nil {
			return err
		}
		if p.Role == role {
			tx.Unaudited("the person has the role already")
			return nil
		}
		if err := t.lowerTx(tx, tenant, p, role); err != nil {
			return err
		}
		if err := setRoleTx(tx, tenant, account, role); err != nil {
			return err
		}
		if !p.Role.Covers(role) && t.sessions != nil {
			if err := t.sessions.RaisedTx(tx, by, account); err != nil {
				return fmt.Errorf("ending the sessions of whoever is raised: %w", err)
			}
		}
		return t.writeTx(tx, by, tenant, audit.Event{
			Type: "tenant.role_changed", Targets: []audit.Target{whom(account)},
			Metadata: map[string]string{"before": string(p.Role), "role": string(role)},
		})
	})
}

// Remove takes a person out of the tenant. Needs tenant.remove and a role that
// covers the person's. What the person made stays the tenant's. Who removes
// oneself leaves.
func (t *Tenants) Remove(ctx context.Context, by access.Subject, tenant id.Tenant, account id.Account) error {
	if by.Account != "" && by.Account == account {
		return t.Leave(ctx, by, tenant)
	}
	return t.act(ctx, by, tenant, PermRemove, func(tx *store.Tx) error {
		p, err := presentTx(tx, tenant, account)
		if err != nil {
			return err
		}
		if err := covers(by, p.Role); err != nil {
			return err
		}
		return t.outTx(tx, by, tenant, p, audit.Event{Type: "tenant.removed", Targets: []audit.Target{whom(account)}})
	})
}

// Leave gives up the own role in the tenant. Needs tenant.leave; the last
// owner cannot (fault.Conflict).
func (t *Tenants) Leave(ctx context.Context, by access.Subject, tenant id.Tenant) error {
	return t.act(ctx, by, tenant, PermLeave, func(tx *store.Tx) error {
		p, err := presentTx(tx, tenant, by.Account)
		if err != nil {
			return err
		}
		return t.outTx(tx, by, tenant, p, audit.Event{Type: "tenant.left"})
	})
}

// outTx removes a person whom the caller may remove.
func (t *Tenants) outTx(tx *store.Tx, by access.Subject, tenant id.Tenant, p personRow, e audit.Event) error {
	if _, err := organisationTx(tx, tenant); err != nil {
		return err
	}
	if err := t.lowerTx(tx, tenant, p, access.RoleNone); err != nil {
		return err
	}
	if err := deletePersonTx(tx, tenant, p.Account); err != nil {
		return err
	}
	e.Metadata = map[string]string{"before": string(p.Role)}
	return t.writeTx(tx, by, tenant, e)
}

// lowerTx does what every change of a role needs: the tenant keeps an owner,
// invitations that the person could not make any more end, and every node
// forgets the decision.
func (t *Tenants) lowerTx(tx *store.Tx, tenant id.Tenant, p personRow, role access.Role) error {
	if p.Role == access.Owner && role != access.Owner {
		another, err := otherOwnerTx(tx, tenant, p.Account)
		if err != nil {
			return err
		}
		if !another {
			return fault.New(fault.Conflict, "tenant.last_owner", "This is the last owner. Make somebody else an owner first, or ask whoever runs this service to destroy the organisation.")
		}
	}
	if err := t.withdrawTx(tx, tenant, p.Account, role); err != nil {
		return err
	}
	return t.access.ChangedTx(tx, tenant, p.Account)
}

// covers refuses to touch or give more than the subject has.
func covers(by access.Subject, role access.Role) error {
	if by.Kind == access.KindSystem || by.Role.Covers(role) {
		return nil
	}
	return fault.New(fault.Denied, "tenant.above", "As %s you can neither give nor take the role of %s. Ask somebody who has it.", by.Role.Text(), role.Text()).On("role")
}

func whom(account id.Account) audit.Target {
	return audit.Target{Kind: "account", ID: string(account), Person: account}
}
