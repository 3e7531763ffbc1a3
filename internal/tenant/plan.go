package tenant

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"troth/internal/access"
	"troth/internal/audit"
	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/store"
)

// Plan is what the operator agreed on with a customer, as far as it makes a
// difference here. Plans stand in the configuration; a tenant has the name of
// one, or none. A name that is not configured any more allows nothing.
type Plan struct {
	Name         string
	TextMessages bool // its people may have codes sent by text message
}

// NoPlan is what takes a plan away.
const NoPlan = "none"

// SetPlan puts a tenant on a plan; [NoPlan] takes it off. Needs
// platform.tenants. A plan that is not configured is fault.Invalid.
func (t *Tenants) SetPlan(ctx context.Context, by access.Subject, tenant id.Tenant, name string) error {
	if err := t.refused(ctx, by, PermPlatform, by.Require(PermPlatform)); err != nil {
		return err
	}
	shown := name
	if name == NoPlan {
		name = ""
	} else if err := t.configured(name); err != nil {
		return err
	}
	err := t.db.Write(ctx, func(tx *store.Tx) error {
		if _, err := tenantTx(tx, tenant); err != nil {
			return err
		}
		if err := setPlanTx(tx, tenant, name); err != nil {
			return err
		}
		return t.writeTx(tx, by, tenant, audit.Event{Type: "tenant.plan_set", Metadata: map[string]string{"plan": shown}})
	})
	if err != nil {
		return fmt.Errorf("setting a plan: %w", err)
	}
	return nil
}

// configured is nil for the name of a plan.
func (t *Tenants) configured(name string) error {
	var names []string
	for _, p := range t.plans {
		if p.Name == name {
			return nil
		}
		names = append(names, p.Name)
	}
	if len(names) == 0 {
		return fault.New(fault.Invalid, "tenant.no_plans", "There are no plans. Write a [[plan]] into troth.toml first.")
	}
	return fault.New(fault.Invalid, "tenant.unknown_plan", "There is no plan %q. There are: %s, and %s.", name, strings.Join(names, ", "), NoPlan)
}

// TextsTx reports whether the plan of a tenant in which an account has a role
// has text messages. It is as fresh as the transaction.
func (t *Tenants) TextsTx(_ context.Context, tx *store.Tx, account id.Account) (bool, error) {
	plans, err := plansTx(tx, account)
	if err != nil {
		return false, fmt.Errorf("reading the plans of an account: %w", err)
	}
	return slices.ContainsFunc(t.plans, func(p Plan) bool { return p.TextMessages && slices.Contains(plans, p.Name) }), nil
}

func setPlanTx(tx *store.Tx, tenant id.Tenant, plan string) error {
	_, err := tx.Exec(`UPDATE tenant SET plan = $1 WHERE tenant = $2 AND destroyed_at = 0`, plan, tenant)
	return err
}

func planTx(tx *store.Tx, tenant id.Tenant) (plan string, err error) {
	err = tx.QueryRow(`SELECT plan FROM tenant WHERE tenant = $1`, tenant).Scan(&plan)
	return plan, err
}

// plansTx lists the plans of the tenants of a person.
func plansTx(tx *store.Tx, account id.Account) ([]string, error) {
	rows, err := tx.Query(`SELECT DISTINCT tenant.plan FROM tenant_person JOIN tenant ON tenant.tenant = tenant_person.tenant
		WHERE tenant_person.account = $1 AND tenant.destroyed_at = 0 AND tenant.plan <> ''`, account)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var plans []string
	for rows.Next() {
		var p string
		if err := rows.Scan(&p); err != nil {
			return nil, err
		}
		plans = append(plans, p)
	}
	return plans, rows.Err()
}
