package tenant

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"troth/internal/access"
	"troth/internal/audit"
	"troth/internal/id"
	"troth/internal/keys"
	"troth/internal/store"
)

// Size is what an operator sees of a tenant: no name, no person, no content.
type Size struct {
	ID        id.Tenant
	Kind      Kind
	CreatedAt time.Time
	Plan      string // of one tenant alone: a list leaves it out
	People    int
	Pending   int // invitations
}

// Sizes is one page of at most 100 tenants, by identifier. Needs
// platform.tenants.
func (t *Tenants) Sizes(ctx context.Context, by access.Subject, after id.Tenant) (list []Size, next id.Tenant, err error) {
	if err := t.refused(ctx, by, PermPlatform, by.Require(PermPlatform)); err != nil {
		return nil, "", err
	}
	err = t.db.Read(ctx, func(tx *store.Tx) (err error) {
		list, err = sizesTx(tx, after, pageLimit+1)
		return err
	})
	if err != nil {
		return nil, "", fmt.Errorf("listing the tenants: %w", err)
	}
	if len(list) > pageLimit {
		list = list[:pageLimit]
		next = list[pageLimit-1].ID
	}
	return list, next, nil
}

// Measure is the size of one tenant: what its destruction would end. Needs
// tenant.delete in it.
func (t *Tenants) Measure(ctx context.Context, by access.Subject, tenant id.Tenant) (Size, error) {
	if err := t.allow(ctx, by, tenant, PermDelete); err != nil {
		return Size{}, err
	}
	var s Size
	err := t.db.Read(ctx, func(tx *store.Tx) error {
		row, err := tenantTx(tx, tenant)
		if err != nil {
			return err
		}
		s = Size{ID: row.tenant, Kind: row.kind, CreatedAt: row.createdAt}
		if s.Plan, err = planTx(tx, tenant); err != nil {
			return err
		}
		s.People, s.Pending, err = countsTx(tx, tenant)
		return err
	})
	return s, t.refused(ctx, by, PermDelete, err)
}

// Destroy ends an organisation: first every role and invitation in one
// transaction, so that no request works in it any more; then its key, and with
// it everything that was sealed under it. It cannot be undone. Needs
// tenant.delete; a personal space is fault.Conflict, because it ends with its
// account.
// When Destroy fails after the transaction, [Tenants.Shred] finishes it.
func (t *Tenants) Destroy(ctx context.Context, by access.Subject, tenant id.Tenant) error {
	err := t.act(ctx, by, tenant, PermDelete, func(tx *store.Tx) error {
		if _, err := organisationTx(tx, tenant); err != nil {
			return err
		}
		people, _, err := countsTx(tx, tenant)
		if err != nil {
			return err
		}
		// In its own log for its people, as long as that can be read; and in
		// the platform's, which lasts.
		if err := t.writeTx(tx, by, tenant, audit.Event{Type: "tenant.destroyed"}); err != nil {
			return err
		}
		if err := t.writeTx(tx, by, id.Platform, audit.Event{
			Type: "tenant.ended", Targets: []audit.Target{{Kind: "tenant", ID: string(tenant)}},
			Metadata: map[string]string{"tenant": string(tenant), "people": strconv.Itoa(people)},
		}); err != nil {
			return err
		}
		if _, err := destroyTx(tx, tenant, t.now()); err != nil {
			return err
		}
		return t.access.DestroyedTx(tx, tenant)
	})
	if err != nil {
		return err
	}
	return t.shred(ctx, tenant)
}

// Shred destroys the keys of tenants that were destroyed without that having
// been finished. It is a job; it may run anywhere and at any time.
func (t *Tenants) Shred(ctx context.Context) error {
	var list []id.Tenant
	err := t.db.Read(ctx, func(tx *store.Tx) (err error) {
		list, err = unshreddedTx(tx, pageLimit)
		return err
	})
	if err != nil {
		return fmt.Errorf("looking for destroyed tenants: %w", err)
	}
	for _, tenant := range list {
		if err := t.shred(ctx, tenant); err != nil {
			return err
		}
	}
	return nil
}

func (t *Tenants) shred(ctx context.Context, tenant id.Tenant) error {
	if err := t.keys.Shred(ctx, keys.TenantRef(tenant)); err != nil {
		return fmt.Errorf("destroying the key of %s: %w", tenant, err)
	}
	return t.db.Write(ctx, func(tx *store.Tx) error {
		first, err := shreddedTx(tx, tenant, t.now())
		if err != nil {
			return err
		}
		if !first {
			tx.Unaudited("another node finished this")
			return nil
		}
		return t.writeTx(tx, access.System("tenants"), id.Platform, audit.Event{
			Type: "tenant.key_destroyed", Targets: []audit.Target{{Kind: "tenant", ID: string(tenant)}},
			Metadata: map[string]string{"tenant": string(tenant)},
		})
	})
}

// ExpireTx ends the invitations that waited for too long and deletes those
// that ended a month ago. It is the retention rule of tenant_invitation.
func ExpireTx(tx *store.Tx, now time.Time) (int64, error) {
	ended, err := expireTx(tx, "", now)
	if err != nil {
		return 0, err
	}
	deleted, err := sweepTx(tx, now.Add(-keepEnded))
	return ended + deleted, err
}
