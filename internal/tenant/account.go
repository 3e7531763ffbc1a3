package tenant

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"

	"troth/internal/access"
	"troth/internal/audit"
	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/keys"
	"troth/internal/secret"
	"troth/internal/store"
)

// What follows is what package account asks of the tenants, inside its own
// transactions.

// InvitedTx reports whether the token is that of an invitation that still
// waits and was sent to the address, normalised: where signing up needs an
// invitation. It uses nothing up.
func (t *Tenants) InvitedTx(tx *store.Tx, token secret.String, email string) (bool, error) {
	d, ok := secret.DigestOf(token.Reveal())
	if !ok {
		return false, nil
	}
	row, err := byTokenTx(tx, d)
	if errors.Is(err, access.ErrForeign) {
		return false, nil
	}
	if err != nil || row.usable(t.now()) != nil {
		return false, err
	}
	indexes, err := t.keys.Indexes(tx.Context(), row.tenant, addressColumn, keys.Normalise(email))
	if err != nil {
		return false, fmt.Errorf("indexing an address: %w", err)
	}
	for _, x := range indexes {
		if subtle.ConstantTimeCompare(x, row.index) == 1 {
			return true, nil
		}
	}
	return false, nil
}

// LeaveTx ends every membership of an account that is being destroyed, and its
// home. The home's key is destroyed by [Tenants.Shred] afterwards, if nobody
// does it sooner. It is fault.Conflict, and nothing is done, while the account
// is the last owner of an organisation.
func (t *Tenants) LeaveTx(_ context.Context, tx *store.Tx, leaver id.Account, home id.Tenant) error {
	by := audit.Actor{Kind: audit.KindPerson, Account: leaver}
	switch row, err := tenantTx(tx, home); {
	case err == nil && (row.kind != Personal || row.founder != leaver):
		return fault.New(fault.Conflict, "tenant.no_home", "This is not the personal space of the account, so nothing was done.")
	case err != nil && !errors.Is(err, access.ErrForeign): // it may be destroyed already
		return fmt.Errorf("reading the home of an account: %w", err)
	}
	for {
		rows, members, err := ownTx(tx, leaver, maxOwn)
		if err != nil {
			return fmt.Errorf("listing what an account leaves: %w", err)
		}
		left := 0
		for i, row := range rows {
			if row.tenant == home {
				continue
			}
			p := personRow{leaver, members[i].Role, members[i].Since}
			if err := t.lowerTx(tx, row.tenant, p, access.RoleNone); err != nil {
				return err
			}
			if err := deletePersonTx(tx, row.tenant, leaver); err != nil {
				return err
			}
			if _, err := t.log.AppendTx(tx, audit.Event{
				Type: "tenant.left", Tenant: row.tenant, Actor: by, OccurredAt: t.now(),
				Metadata: map[string]string{"before": string(p.Role)},
			}); err != nil {
				return err
			}
			left++
		}
		if left == 0 {
			break
		}
	}
	return t.closeHomeTx(tx, by, home)
}

// CoOwnersTx lists the other owners of each organisation that an account owns,
// for deciding whether its owner can rest. The personal space is none of them.
func (t *Tenants) CoOwnersTx(tx *store.Tx, account id.Account) ([][]id.Account, error) {
	var all [][]id.Account
	rows, err := tx.Query(`SELECT own.tenant, COALESCE(other.account, '') FROM tenant_person AS own
		JOIN tenant ON tenant.tenant = own.tenant
		LEFT JOIN tenant_person AS other ON other.tenant = own.tenant AND other.role = 'owner' AND other.account <> own.account
		WHERE own.account = $1 AND own.role = 'owner' AND tenant.kind <> $2 AND tenant.destroyed_at = 0
		ORDER BY own.tenant, other.account`, account, Personal)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	last := id.Tenant("")
	for rows.Next() {
		var in id.Tenant
		var other id.Account
		if err := rows.Scan(&in, &other); err != nil {
			return nil, err
		}
		if in != last {
			all, last = append(all, nil), in
		}
		if other != "" {
			all[len(all)-1] = append(all[len(all)-1], other)
		}
	}
	return all, rows.Err()
}

func (t *Tenants) closeHomeTx(tx *store.Tx, by audit.Actor, home id.Tenant) error {
	if _, err := tenantTx(tx, home); errors.Is(err, access.ErrForeign) {
		return nil
	} else if err != nil {
		return err
	}
	if _, err := t.log.AppendTx(tx, audit.Event{Type: "tenant.closed", Tenant: home, Actor: by, OccurredAt: t.now()}); err != nil {
		return err
	}
	if _, err := destroyTx(tx, home, t.now()); err != nil {
		return err
	}
	return t.access.DestroyedTx(tx, home)
}

// OrganisationsOf are the names of the organisations that an account belongs
// to, at most 20: words that its password may not be made of.
func (t *Tenants) OrganisationsOf(ctx context.Context, account id.Account) ([]string, error) {
	var rows []tenantRow
	err := t.db.Read(ctx, func(tx *store.Tx) (err error) {
		rows, _, err = ownTx(tx, account, maxNamed)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading the organisations of an account: %w", err)
	}
	var names []string
	for _, row := range rows {
		if row.kind != Organisation {
			continue
		}
		v, err := t.opened(ctx, row)
		if err != nil {
			return nil, err
		}
		names = append(names, v.Name)
	}
	return names, nil
}

const maxNamed = 20
