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
	"troth/internal/store"
)

// Policy is what an organisation asks of signing in. The zero Policy asks for
// nothing.
type Policy struct {
	Factor  bool      // a second factor that counts (SP 800-63B-4, assurance level 2)
	From    time.Time // from when on, with Factor
	Forgets bool      // one that was used in that browser earlier does not do
	SetAt   time.Time
}

// Choice is what an owner decides about it.
type Choice struct {
	Factor  bool
	Grace   time.Duration // how long people have to set one up
	Forgets bool
}

// MaxGrace is the longest time that people get to set up a second factor.
const MaxGrace = 30 * 24 * time.Hour

var (
	errGrace = fault.New(fault.Invalid, "tenant.grace", "People can have 0 to %d days to set up a second factor.", int(MaxGrace/(24*time.Hour))).On("grace")
	errFirst = fault.New(fault.Conflict, "tenant.factor_first", "You would lock yourself out: in this session you did not use a second factor. Set one up in your account, sign in with it, and come back.")
)

// Policy is what the tenant asks of signing in. Needs tenant.read.
func (t *Tenants) Policy(ctx context.Context, by access.Subject, tenant id.Tenant) (Policy, error) {
	if err := t.allow(ctx, by, tenant, PermRead); err != nil {
		return Policy{}, err
	}
	var p Policy
	err := t.db.Read(ctx, func(tx *store.Tx) (err error) {
		p, err = policyTx(tx, tenant)
		return err
	})
	if err != nil {
		return Policy{}, fmt.Errorf("reading the policy of %s: %w", tenant, err)
	}
	return p, nil
}

// Decide sets what the organisation asks of signing in. From the end of the
// grace time on, who lacks a second factor has no role in it, until they have
// one; that is obeyed by the next request. Needs tenant.policy; a personal
// space is fault.Conflict, and so is turning it on without having used a second
// factor oneself.
func (t *Tenants) Decide(ctx context.Context, by access.Subject, tenant id.Tenant, c Choice) error {
	if c.Grace < 0 || c.Grace > MaxGrace {
		return errGrace
	}
	return t.act(ctx, by, tenant, PermPolicy, func(tx *store.Tx) error {
		if _, err := organisationTx(tx, tenant); err != nil {
			return err
		}
		if c.Factor && !by.Factor && by.Kind == access.KindPerson {
			return errFirst
		}
		before, err := policyTx(tx, tenant)
		if err != nil {
			return err
		}
		p := Policy{Factor: c.Factor, Forgets: c.Factor && c.Forgets, SetAt: t.now()}
		if c.Factor {
			p.From = p.SetAt.Add(c.Grace)
		}
		if err := setPolicyTx(tx, tenant, p); err != nil {
			return err
		}
		t.access.DemandedTx(tx, tenant)
		return t.decidedTx(tx, by, tenant, before, p)
	})
}

// decidedTx says in the log what was decided.
func (t *Tenants) decidedTx(tx *store.Tx, by access.Subject, tenant id.Tenant, before, p Policy) error {
	if !p.Factor {
		if !before.Factor {
			tx.Unaudited("nothing was asked for before either")
			return nil
		}
		return t.writeTx(tx, by, tenant, audit.Event{Type: "tenant.factor_optional"})
	}
	name := "tenant.factor_required"
	if p.Forgets {
		name = "tenant.factor_required_always"
	}
	return t.writeTx(tx, by, tenant, audit.Event{Type: name, Metadata: map[string]string{"from": p.From.UTC().Format("2006-01-02 15:04 UTC")}})
}

// DemandTx is what package access enforces.
func (Roles) DemandTx(tx *store.Tx, tenant id.Tenant) (access.Demand, error) {
	p, err := policyTx(tx, tenant)
	if err != nil || !p.Factor {
		return access.Demand{}, err
	}
	return access.Demand{Factor: p.From, Forgets: p.Forgets}, nil
}

// ForgetsTx reports whether an organisation of the account asks for a second
// factor at each sign-in: for package account. A grace time changes nothing in
// that, since it is about who has none yet.
func (t *Tenants) ForgetsTx(tx *store.Tx, account id.Account) (bool, error) {
	var n int
	err := tx.QueryRow(`SELECT count(*) FROM tenant_person JOIN tenant_policy ON tenant_policy.tenant = tenant_person.tenant
		WHERE tenant_person.account = $1 AND tenant_policy.forgets`, account).Scan(&n)
	return n > 0, err
}

// Notice is what an organisation asks of the one who reads a page.
type Notice struct {
	Tenant Tenant
	From   time.Time
	Now    bool // it does already: the reader is shut out
}

// Demands lists the organisations of the one who asks that ask for more than
// the session shows, now or soon. Needs tenant.own.
func (t *Tenants) Demands(ctx context.Context, by access.Subject) (map[id.Tenant]Notice, error) {
	if by.Factor {
		return nil, nil
	}
	if err := t.refused(ctx, by, PermOwn, by.Require(PermOwn)); err != nil {
		return nil, err
	}
	var rows []tenantRow
	var policies []Policy
	err := t.db.Read(ctx, func(tx *store.Tx) (err error) {
		rows, policies, err = demandsTx(tx, by.Account)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading what organisations ask of signing in: %w", err)
	}
	notices := map[id.Tenant]Notice{}
	for i, r := range rows {
		p := policies[i]
		if by.Browser && !p.Forgets {
			continue
		}
		opened, err := t.opened(ctx, r)
		if err != nil {
			return nil, err
		}
		notices[r.tenant] = Notice{Tenant: opened, From: p.From, Now: !t.now().Before(p.From)}
	}
	return notices, nil
}

// Factored knows who has set up a second factor. Package account fills it.
type Factored interface {
	// FactorsOf tells which of at most 200 accounts have a second factor that
	// counts. What it returns was durable when read.
	FactorsOf(ctx context.Context, accounts []id.Account) (map[id.Account]bool, error)
}

// Lacking is one page of the people of the tenant who have not set up a second
// factor that counts: of at most 100 people, by identifier, after the given one.
// Needs tenant.policy.
func (t *Tenants) Lacking(ctx context.Context, by access.Subject, tenant id.Tenant, after id.Account) (list []Person, next id.Account, err error) {
	if err := t.allow(ctx, by, tenant, PermPolicy); err != nil {
		return nil, "", err
	}
	people, next, err := t.ListPeople(ctx, by, tenant, after)
	if err != nil || t.factored == nil {
		return people, next, err
	}
	accounts := make([]id.Account, len(people))
	for i, p := range people {
		accounts[i] = p.Account
	}
	have, err := t.factored.FactorsOf(ctx, accounts)
	if err != nil {
		return nil, "", fmt.Errorf("reading who has a second factor: %w", err)
	}
	for _, p := range people {
		if !have[p.Account] {
			list = append(list, p)
		}
	}
	return list, next, nil
}

// policyTx reads the policy of a tenant; none is the zero Policy.
func policyTx(tx *store.Tx, tenant id.Tenant) (Policy, error) {
	var from, set int64
	p := Policy{Factor: true}
	err := tx.QueryRow(`SELECT factor_from, forgets, set_at FROM tenant_policy WHERE tenant = $1`, tenant).Scan(&from, &p.Forgets, &set)
	if errors.Is(err, store.ErrNoRows) {
		return Policy{}, nil
	}
	p.From, p.SetAt = store.FromMicros(from), store.FromMicros(set)
	return p, err
}

// demandsTx lists the organisations of a person that ask for a second factor.
func demandsTx(tx *store.Tx, account id.Account) (list []tenantRow, policies []Policy, err error) {
	rows, err := tx.Query(`SELECT `+tenantColumns+`, tenant_policy.factor_from, tenant_policy.forgets
		FROM tenant_person JOIN tenant_policy ON tenant_policy.tenant = tenant_person.tenant
		JOIN tenant ON tenant.tenant = tenant_person.tenant
		WHERE tenant_person.account = $1 AND tenant.destroyed_at = 0
		ORDER BY tenant_policy.factor_from, tenant.tenant LIMIT $2`, account, maxOwn)
	if err != nil {
		return nil, nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var r tenantRow
		var from int64
		p := Policy{Factor: true}
		if err := r.scan(rows, &from, &p.Forgets); err != nil {
			return nil, nil, err
		}
		p.From = store.FromMicros(from)
		list, policies = append(list, r), append(policies, p)
	}
	return list, policies, rows.Err()
}

// setPolicyTx stores what is asked for; asking for nothing is no row.
func setPolicyTx(tx *store.Tx, tenant id.Tenant, p Policy) error {
	if !p.Factor {
		_, err := tx.Exec(`DELETE FROM tenant_policy WHERE tenant = $1`, tenant)
		return err
	}
	_, err := tx.Exec(`INSERT INTO tenant_policy (tenant, factor_from, forgets, set_at) VALUES ($1, $2, $3, $4)
		ON CONFLICT (tenant) DO UPDATE SET factor_from = excluded.factor_from, forgets = excluded.forgets, set_at = excluded.set_at`,
		tenant, store.Micros(p.From), p.Forgets, store.Micros(p.SetAt))
	return err
}
