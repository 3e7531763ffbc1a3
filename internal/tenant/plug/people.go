package plug

import (
	"troth/internal/access"
	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/tenant"
	"troth/internal/text"
	"troth/internal/web"
)

// people is the table of people, and of the invitations that wait.
func (p plug) people(r *web.Request) error {
	var after id.Account
	if v := r.Value("after"); v != "" {
		var err error
		if after, err = id.Parse[id.Account](v); err != nil {
			return err
		}
	}
	list, next, err := p.Tenants.ListPeople(r.Context(), r.Subject, r.Subject.Tenant, after)
	if err != nil {
		return err
	}
	data := struct {
		People  []personRow
		Pending []tenant.Invitation
		Pager   web.Pager
		Alone   bool
	}{}
	for _, each := range list {
		data.People = append(data.People, p.row(r, each))
	}
	if next != "" {
		data.Pager.Older = "/-/org/people?after=" + string(next)
	}
	if after != "" {
		data.Pager.Newer = "/-/org/people"
	}
	if r.Subject.May(tenant.PermInvite) {
		if data.Pending, err = p.Tenants.Pending(r.Context(), r.Subject, r.Subject.Tenant); err != nil {
			return err
		}
	}
	data.Alone = len(list) == 1 && after == "" && len(data.Pending) == 0
	return r.Page("tenant/people", text.New("People"), data)
}

// personRow is one person as the reader may treat them.
type personRow struct {
	tenant.Person
	You     bool
	Roles   []web.Option // to choose from; empty if the reader may not change the role
	Removal bool
}

func (p plug) row(r *web.Request, each tenant.Person) personRow {
	row := personRow{Person: each, You: each.Account == r.Subject.Account}
	above := !r.Subject.Role.Covers(each.Role)
	if r.Subject.May(tenant.PermRole) && !above {
		row.Roles = options(r.Subject.Role)
	}
	row.Removal = r.Subject.May(tenant.PermRemove) && !above && !row.You
	return row
}

// options are the roles that somebody with the given one can give.
func options(up access.Role) []web.Option {
	hints := map[access.Role]text.Text{
		access.Owner:  text.New("Answers for the organisation: may also delete it and make owners."),
		access.Admin:  text.New("Runs it: people, invitations, settings."),
		access.Member: text.New("Works in it and sees who else is here."),
		access.Viewer: text.New("Sees what the application shows to viewers, and nobody else's name here."),
	}
	labels := map[access.Role]text.Text{
		access.Owner: text.New("Owner"), access.Admin: text.New("Admin"), access.Member: text.New("Member"), access.Viewer: text.New("Viewer"),
	}
	var list []web.Option
	for _, role := range access.Roles() {
		if up.Covers(role) {
			list = append(list, web.Option{Value: string(role), Label: labels[role], Hint: hints[role]})
		}
	}
	return list
}

// found is the person whom the path names.
func (p plug) found(r *web.Request) (tenant.Person, error) {
	account, err := id.Parse[id.Account](r.PathValue("account"))
	if err != nil {
		return tenant.Person{}, err
	}
	return p.Tenants.GetPerson(r.Context(), r.Subject, r.Subject.Tenant, account)
}

func called(each tenant.Person) string {
	if each.Name != "" {
		return each.Name
	}
	return each.Address
}

func (p plug) person(r *web.Request) error { return p.showPerson(r, nil) }

func (p plug) showPerson(r *web.Request, refusal error) error {
	each, err := p.found(r)
	if err != nil {
		return err
	}
	return r.FormPage("tenant/person", text.New("%s", called(each)), p.row(r, each), refusal)
}

// changeRole obeys a choice of the page of a person or of the table.
func (p plug) changeRole(r *web.Request) error {
	each, err := p.found(r)
	if err != nil {
		return err
	}
	err = p.Tenants.ChangeRole(r.Context(), r.Subject, r.Subject.Tenant, each.Account, access.Role(r.Value("role")))
	if expected(err, fault.Invalid, fault.Conflict) != nil {
		return p.showPerson(r, err)
	}
	if err != nil {
		return err
	}
	r.Flash(text.New("The role was changed. It holds from the next click on."))
	return r.See("/-/org/people")
}

func (p plug) removal(each tenant.Person) web.Confirmation {
	return web.Confirmation{
		Title: text.New("Remove %s", called(each)),
		Consequences: []text.Text{
			text.New("They can no longer see or change anything in the organisation, from their next click on."),
			text.New("Invitations that they sent and that nobody has answered end."),
			text.New("What they have made stays with the organisation; nothing is deleted."),
			text.New("Their account and their other organisations are not touched."),
		},
		Final:  text.New("They can come back only if somebody invites them."),
		Button: text.New("Remove"), Back: "/-/org/people",
	}
}

func (p plug) removePage(r *web.Request) error {
	each, err := p.found(r)
	if err != nil {
		return err
	}
	return r.Confirm(p.removal(each), nil)
}

func (p plug) remove(r *web.Request) error {
	each, err := p.found(r)
	if err != nil {
		return err
	}
	err = p.Tenants.Remove(r.Context(), r.Subject, r.Subject.Tenant, each.Account)
	if expected(err, fault.Conflict) != nil {
		return r.Confirm(p.removal(each), err)
	}
	if err != nil {
		return err
	}
	r.Flash(text.New("%s was removed.", called(each)))
	if each.Account == r.Subject.Account {
		if err := p.Switcher.Switch(r.Context(), r.Subject, tenant.HomeOf(each.Account)); err != nil {
			return err
		}
		return r.See("/-/org/")
	}
	return r.See("/-/org/people")
}
