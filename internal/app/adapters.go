package app

import (
	"context"

	"troth/internal/access"
	"troth/internal/edge"
	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/tenant"
	"troth/internal/web"
)

// What one capability needs of another is an interface of its own; here they
// are filled. Each adapter holds the installation, because the two sides are
// made one after the other.

// people tells the tenants what accounts say about themselves.
type people struct{ in *Installation }

// ProfilesOf reads at most 200 profiles.
func (p people) ProfilesOf(ctx context.Context, accounts []id.Account) (map[id.Account]tenant.Profile, error) {
	found, err := p.in.accounts.Profiles(ctx, accounts)
	if err != nil {
		return nil, err
	}
	all := make(map[id.Account]tenant.Profile, len(found))
	for which, a := range found {
		all[which] = tenant.Profile{Name: a.Name, Address: a.Email, Confirmed: !a.ConfirmedAt.IsZero()}
	}
	return all, nil
}

// nameOf tells the log what a person is called now.
func (in *Installation) nameOf(ctx context.Context, account id.Account) (string, error) {
	if in.accounts == nil { // they are opened after the log
		return "", nil
	}
	a, err := in.accounts.Get(ctx, account)
	if fault.KindOf(err) == fault.NotFound {
		return "", nil
	}
	return a.Name, err
}

// menus tells the pages who reads them, and where that person may switch to.
type menus struct{ in *Installation }

// Menu reads the person's name and tenants.
func (m menus) Menu(ctx context.Context, by access.Subject) (web.Menu, error) {
	a, err := m.in.accounts.Own(ctx, by)
	if err != nil {
		return web.Menu{}, err
	}
	own, err := m.in.tenants.Own(ctx, by)
	if err != nil {
		return web.Menu{}, err
	}
	menu := web.Menu{Name: a.Name, Address: a.Email}
	for _, t := range own {
		menu.Tenants = append(menu.Tenants, web.Choice{ID: t.ID, Name: t.Name, Personal: t.Kind == tenant.Personal})
	}
	return menu, nil
}

// profiles tells the application whom an assertion is about.
type profiles struct{ in *Installation }

// Profile reads what the application may be told.
func (p profiles) Profile(ctx context.Context, by access.Subject) (edge.Profile, error) {
	a, err := p.in.accounts.Get(ctx, by.Account)
	if err != nil {
		return edge.Profile{}, err
	}
	t, err := p.in.tenants.Get(ctx, by, by.Tenant)
	if err != nil {
		return edge.Profile{}, err
	}
	profile := edge.Profile{Name: a.Name, Tenant: t.Name}
	if !a.ConfirmedAt.IsZero() {
		profile.Email = a.Email
	}
	return profile, nil
}
