package plug

import (
	"strconv"
	"time"

	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/tenant"
	"troth/internal/text"
	"troth/internal/web"
)

var titleSecurity = text.New("Signing in")

const day = 24 * time.Hour

// securityData is what the page of the policy shows.
type securityData struct {
	tenant.Policy
	Force   bool // it holds already
	Grace   int  // days that are left, or what is usual
	Most    int  // days
	Lacking []tenant.Person
	Pager   web.Pager
	You     id.Account
}

// usual is the grace time that the form offers.
const usual = 14 * day

func (p plug) security(r *web.Request) error { return p.securityPage(r, nil) }

func (p plug) securityPage(r *web.Request, refusal error) error {
	var after id.Account
	if v := r.URL.Query().Get("after"); v != "" {
		var err error
		if after, err = id.Parse[id.Account](v); err != nil {
			return err
		}
	}
	policy, err := p.Tenants.Policy(r.Context(), r.Subject, r.Subject.Tenant)
	if err != nil {
		return err
	}
	lacking, next, err := p.Tenants.Lacking(r.Context(), r.Subject, r.Subject.Tenant, after)
	if err != nil {
		return err
	}
	d := securityData{Policy: policy, Grace: int(usual / day), Most: int(tenant.MaxGrace / day), Lacking: lacking, You: r.Subject.Account}
	if left := policy.From.Sub(r.Now); policy.Factor {
		d.Force, d.Grace = left <= 0, int((max(0, left)+day-1)/day)
	}
	if next != "" {
		d.Pager.Older = "/-/org/security?after=" + string(next)
	}
	if after != "" {
		d.Pager.Newer = "/-/org/security"
	}
	return r.FormPage("tenant/security", titleSecurity, d, refusal)
}

// decide obeys the form: a grace time counts from now.
func (p plug) decide(r *web.Request) error {
	c := tenant.Choice{Factor: r.Value("factor") != "", Forgets: r.Value("forgets") != ""}
	if c.Factor {
		days, err := strconv.Atoi(r.Value("grace"))
		if err != nil || days < 0 || days > int(tenant.MaxGrace/day) {
			days = -1 // refused below, in one place
		}
		c.Grace = time.Duration(days) * day
	}
	err := p.Tenants.Decide(r.Context(), r.Subject, r.Subject.Tenant, c)
	if expected(err, fault.Invalid, fault.Conflict) != nil {
		return p.securityPage(r, err)
	}
	if err != nil {
		return err
	}
	if c.Factor {
		r.Flash(text.New("It is decided. Everybody here who lacks a second factor is told so on every page."))
	} else {
		r.Flash(text.New("No second factor is asked for any more."))
	}
	return r.See("/-/org/security")
}
