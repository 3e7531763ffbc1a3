package plug

import (
	"net/url"
	"slices"

	"troth/internal/access"
	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/tenant"
	"troth/internal/text"
	"troth/internal/web"
)

// overview is the organisation in which the reader works, or, in a personal
// space, the offer to create one.
func (p plug) overview(r *web.Request) error {
	own, err := p.Tenants.Own(r.Context(), r.Subject)
	if err != nil {
		return err
	}
	var data struct {
		Current tenant.Membership // zero in no tenant
		Others  []tenant.Membership
		Role    text.Text
		Demands map[id.Tenant]tenant.Notice // what the others ask
	}
	for _, m := range own {
		if m.ID == r.Subject.Tenant {
			data.Current = m
			data.Role = m.Role.Text()
		} else if m.Kind == tenant.Organisation {
			data.Others = append(data.Others, m)
		}
	}
	if data.Current.Kind == tenant.Organisation {
		return r.Page("tenant/overview", text.New("%s", data.Current.Name), data)
	}
	if data.Demands, err = p.Tenants.Demands(r.Context(), r.Subject); err != nil {
		return err
	}
	return r.Page("tenant/personal", text.New("Organisations"), data)
}

func (p plug) newPage(r *web.Request) error { return r.Page("tenant/new", titleNew, nil) }

var (
	titleNew    = text.New("New organisation")
	titleName   = text.New("Rename the organisation")
	titleInvite = text.New("Invite somebody")
)

// create makes an organisation and goes there.
func (p plug) create(r *web.Request) error {
	made, err := p.Tenants.Create(r.Context(), r.Subject, r.Value("name"))
	if err != nil {
		return r.FormPage("tenant/new", titleNew, nil, err)
	}
	if err := p.Switcher.Switch(r.Context(), r.Subject, made); err != nil {
		return err
	}
	r.Flash(text.New("The organisation is there, and you are its owner."))
	return r.See("/-/org/")
}

func (p plug) namePage(r *web.Request) error {
	t, err := p.Tenants.Get(r.Context(), r.Subject, r.Subject.Tenant)
	if err != nil {
		return err
	}
	return r.Page("tenant/name", titleName, t)
}

func (p plug) rename(r *web.Request) error {
	err := p.Tenants.Rename(r.Context(), r.Subject, r.Subject.Tenant, r.Value("name"))
	if err != nil {
		return r.FormPage("tenant/name", titleName, tenant.Tenant{Name: r.Value("name")}, err)
	}
	r.Flash(text.New("The organisation has its new name."))
	return r.See("/-/org/")
}

// row is one permission of the table of roles.
type row struct {
	Permission access.Permission
	Doc        string
	Has        []bool // by the roles, highest first
	You        bool
	Why        text.Text
}

// roles shows what each role may do, from the same register that decides.
func (p plug) roles(r *web.Request) error {
	data := struct {
		Roles []access.Role
		Role  text.Text
		Rows  []row
	}{Roles: access.Roles(), Role: r.Subject.Role.Text()}
	for _, g := range p.Access.Grants() {
		if len(g.Roles) == 0 {
			continue // comes with being signed in, or with being staff
		}
		each := row{Permission: g.Permission, Doc: g.Doc, You: r.Subject.May(g.Permission), Why: p.Access.Explain(r.Subject, g.Permission)}
		for _, role := range data.Roles {
			each.Has = append(each.Has, holds(g, role))
		}
		data.Rows = append(data.Rows, each)
	}
	// What more roles have comes first: one reads down to the own limit.
	slices.SortStableFunc(data.Rows, func(a, b row) int { return count(b.Has) - count(a.Has) })
	return r.Page("tenant/roles", text.New("Roles"), data)
}

func count(has []bool) (n int) {
	for _, each := range has {
		if each {
			n++
		}
	}
	return n
}

func holds(g access.Grant, role access.Role) bool {
	return slices.Contains(g.Roles, role)
}

func (p plug) leaving(r *web.Request) (web.Confirmation, error) {
	t, err := p.Tenants.Get(r.Context(), r.Subject, r.Subject.Tenant)
	return web.Confirmation{
		Title: text.New("Leave %s", t.Name),
		Consequences: []text.Text{
			text.New("You can no longer see or change anything in it, from the next click on."),
			text.New("What you have made there stays with the organisation."),
			text.New("Invitations that you sent and that nobody has answered end."),
		},
		Final:  text.New("You can come back only if somebody invites you."),
		Button: text.New("Leave"), Back: "/-/org/",
	}, err
}

func (p plug) leavePage(r *web.Request) error {
	c, err := p.leaving(r)
	if err != nil {
		return err
	}
	return r.Confirm(c, nil)
}

func (p plug) leave(r *web.Request) error {
	c, err := p.leaving(r)
	if err != nil {
		return err
	}
	if err := p.Tenants.Leave(r.Context(), r.Subject, r.Subject.Tenant); err != nil {
		return r.Confirm(c, err)
	}
	// What was still open in this browser has been left knowingly.
	if err := p.Switcher.Switch(r.Context(), r.Subject, tenant.HomeOf(r.Subject.Account)); err != nil {
		return err
	}
	r.Flash(text.New("You have left."))
	return r.See("/-/org/")
}

// choose lists the tenants of the reader.
func (p plug) choose(r *web.Request) error {
	own, err := p.Tenants.Own(r.Context(), r.Subject)
	if err != nil {
		return err
	}
	demands, err := p.Tenants.Demands(r.Context(), r.Subject)
	if err != nil {
		return err
	}
	return r.Page("tenant/switch", text.New("Where do you want to work?"), struct {
		Own      []tenant.Membership
		Demands  map[id.Tenant]tenant.Notice
		Current  id.Tenant
		ReturnTo string
	}{own, demands, r.Subject.Tenant, r.ReturnTo("/")})
}

// signUpPath leads to signing up and back to the invitation, which package
// account takes for the permission to sign up where one is needed.
func signUpPath(token string) string {
	return "/-/signup?" + url.Values{"return_to": {tenant.InvitationPath + token}}.Encode()
}

// expected reports whether a page can say the error in its own words.
func expected(err error, kinds ...fault.Kind) *fault.Error {
	f := fault.As(err)
	if f == nil {
		return nil
	}
	for _, k := range kinds {
		if f.Kind == k {
			return f
		}
	}
	return nil
}
