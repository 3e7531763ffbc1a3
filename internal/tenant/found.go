package tenant

import (
	"context"
	"fmt"
	"strings"

	"troth/internal/access"
	"troth/internal/audit"
	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/keys"
	"troth/internal/store"
)

// keySize is the length of a tenant's key: AES-256.
const keySize = 32

// HomeOf is the personal space of an account: the same 26 characters under
// another prefix. So a transaction that is replayed founds the same space
// again and leaves no key behind that belongs to nothing.
func HomeOf(account id.Account) id.Tenant {
	_, body, _ := strings.Cut(string(account), "_")
	return id.Tenant("ten_" + body)
}

// FoundTx makes the personal space of a new account, with the account as its
// owner and a key of its own, in the transaction that makes the account.
// The key is durable when FoundTx returns; if the transaction then fails, the
// next attempt for the same account finds it.
func (t *Tenants) FoundTx(ctx context.Context, tx *store.Tx, account id.Account, name string) (id.Tenant, error) {
	tenant := HomeOf(account)
	if _, err := id.Parse[id.Tenant](string(tenant)); err != nil {
		return "", fmt.Errorf("founding the space of %q, which is no account", account)
	}
	sealed, err := t.prepare(ctx, tenant, name)
	if err != nil {
		return "", err
	}
	row := tenantRow{tenant, Personal, sealed, account, t.now()}
	if err := t.insertTx(tx, row); err != nil {
		return "", err
	}
	_, err = t.log.AppendTx(tx, audit.Event{
		Type: "tenant.founded", Tenant: tenant, OccurredAt: row.createdAt,
		Actor:   audit.Actor{Kind: audit.KindPerson, Account: account},
		Targets: []audit.Target{{Kind: "tenant", ID: string(tenant)}},
	})
	return tenant, err
}

// Create makes an organisation; who creates it is its owner.
// Needs tenant.create. The name is fault.Invalid on "name" if it is unusable;
// fault.Conflict after 20 organisations.
func (t *Tenants) Create(ctx context.Context, by access.Subject, name string) (id.Tenant, error) {
	if err := t.refused(ctx, by, PermCreate, by.Require(PermCreate)); err != nil {
		return "", err
	}
	if by.Account == "" {
		return "", fault.New(fault.Denied, "tenant.no_person", "An organisation needs a person as its owner: create it as the person who will answer for it.")
	}
	name, err := readName(name)
	if err != nil {
		return "", err
	}
	// Asked before the key is made, so that nobody makes keys in numbers: a key
	// is no part of the transaction, and what is left of a destroyed one stays.
	if err := t.db.Read(ctx, func(tx *store.Tx) error { return oneMoreTx(tx, by.Account) }); err != nil {
		return "", err
	}
	tenant := id.New[id.Tenant](t.now())
	sealed, err := t.prepare(ctx, tenant, name)
	if err != nil {
		return "", err
	}
	return tenant, t.db.Write(ctx, func(tx *store.Tx) error {
		if err := oneMoreTx(tx, by.Account); err != nil {
			return err
		}
		if err := t.insertTx(tx, tenantRow{tenant, Organisation, sealed, by.Account, t.now()}); err != nil {
			return err
		}
		return t.writeTx(tx, by, tenant, audit.Event{Type: "tenant.created", Targets: []audit.Target{{Kind: "tenant", ID: string(tenant)}}})
	})
}

// oneMoreTx refuses whoever has created as many organisations as one may.
func oneMoreTx(tx *store.Tx, founder id.Account) error {
	n, err := foundedTx(tx, founder)
	if err == nil && n >= maxOrganisations {
		err = fault.New(fault.Conflict, "tenant.too_many", "You have created %d organisations, which is the limit. Delete one that is not needed any more.", n)
	}
	return err
}

// prepare makes the tenant's key, durably, and seals the name under it.
func (t *Tenants) prepare(ctx context.Context, tenant id.Tenant, name string) ([]byte, error) {
	if err := t.keys.Create(ctx, keys.TenantRef(tenant), keySize); err != nil {
		return nil, fmt.Errorf("making the key of a tenant: %w", err)
	}
	return t.sealName(ctx, tenant, name)
}

func (t *Tenants) insertTx(tx *store.Tx, row tenantRow) error {
	if err := insertTenantTx(tx, row); err != nil {
		return fmt.Errorf("storing a tenant: %w", err)
	}
	if err := insertPersonTx(tx, row.tenant, personRow{row.founder, access.Owner, row.createdAt}); err != nil {
		return fmt.Errorf("storing the owner of a tenant: %w", err)
	}
	return t.access.ChangedTx(tx, row.tenant, row.founder)
}

// Rename gives an organisation another name. Needs tenant.rename.
func (t *Tenants) Rename(ctx context.Context, by access.Subject, tenant id.Tenant, name string) error {
	if err := t.allow(ctx, by, tenant, PermRename); err != nil {
		return err
	}
	name, err := readName(name)
	if err != nil {
		return err
	}
	sealed, err := t.sealName(ctx, tenant, name)
	if err != nil {
		return err
	}
	return t.act(ctx, by, tenant, PermRename, func(tx *store.Tx) error {
		if _, err := organisationTx(tx, tenant); err != nil {
			return err
		}
		if err := renameTx(tx, tenant, sealed); err != nil {
			return err
		}
		return t.writeTx(tx, by, tenant, audit.Event{Type: "tenant.renamed", Targets: []audit.Target{{Kind: "tenant", ID: string(tenant)}}})
	})
}

// Own lists the tenants of the person who asks, oldest membership first, at
// most 200. Needs tenant.own.
func (t *Tenants) Own(ctx context.Context, by access.Subject) ([]Membership, error) {
	if err := by.Require(PermOwn); err != nil {
		return nil, err
	}
	var rows []tenantRow
	var list []Membership
	err := t.db.Read(ctx, func(tx *store.Tx) (err error) {
		rows, list, err = ownTx(tx, by.Account, maxOwn)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listing the tenants of a person: %w", err)
	}
	for i := range list {
		if list[i].Tenant, err = t.opened(ctx, rows[i]); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// organisationTx reads a tenant that can have people other than its founder.
func organisationTx(tx *store.Tx, tenant id.Tenant) (tenantRow, error) {
	row, err := tenantTx(tx, tenant)
	if err == nil && row.kind != Organisation {
		err = fault.New(fault.Conflict, "tenant.personal", "This is a personal space, which has one person. Create an organisation to work with others.")
	}
	return row, err
}

func (t *Tenants) place(tenant id.Tenant) keys.Place {
	return keys.Place{Tenant: tenant, Table: "tenant", Column: "name", Row: string(tenant)}
}

func (t *Tenants) sealName(ctx context.Context, tenant id.Tenant, name string) ([]byte, error) {
	sealed, err := t.keys.Seal(ctx, t.place(tenant), []byte(name), keys.TenantRef(tenant))
	if err != nil {
		return nil, fmt.Errorf("sealing the name of a tenant: %w", err)
	}
	return sealed, nil
}

func (t *Tenants) opened(ctx context.Context, row tenantRow) (Tenant, error) {
	name, err := t.keys.Open(ctx, t.place(row.tenant), row.name, keys.TenantRef(row.tenant))
	if err != nil {
		return Tenant{}, fmt.Errorf("opening the name of %s: %w", row.tenant, err)
	}
	return Tenant{ID: row.tenant, Kind: row.kind, Name: string(name), CreatedAt: row.createdAt}, nil
}
