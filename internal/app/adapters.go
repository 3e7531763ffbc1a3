package app

import (
	"context"

	"troth/internal/access"
	"troth/internal/account"
	"troth/internal/edge"
	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/secret"
	"troth/internal/store"
	"troth/internal/tenant"
	"troth/internal/text"
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

// FactorsOf tells the tenants who has a second factor.
func (p people) FactorsOf(ctx context.Context, accounts []id.Account) (map[id.Account]bool, error) {
	return p.in.accounts.FactorsOf(ctx, accounts)
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

// standing tells the accounts that somebody was given a higher role.
type standing struct{ in *Installation }

// RaisedTx ends the sessions of whoever is raised.
func (s standing) RaisedTx(tx *store.Tx, by access.Subject, account id.Account) error {
	return s.in.accounts.RaisedTx(tx, by, account)
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
	menu.Notices, err = m.notices(ctx, by)
	return menu, err
}

// notices tell a person which organisations soon let in only who used a second
// factor, and which do already.
func (m menus) notices(ctx context.Context, by access.Subject) ([]web.Announcement, error) {
	demands, err := m.in.tenants.Demands(ctx, by)
	if err != nil || len(demands) == 0 {
		return nil, err
	}
	have, err := m.in.accounts.FactorsOf(ctx, []id.Account{by.Account})
	if err != nil {
		return nil, err
	}
	var list []web.Announcement
	for _, d := range demands {
		a := web.Announcement{Path: "/-/account/factors", Label: "Set up a second factor"}
		if have[by.Account] {
			a.Path, a.Label = web.AgainPath("/-/switch", false), "Prove yourself with your second factor"
		}
		a.Text = text.New("From %s on, %s lets in only who used a second factor.", d.From, d.Tenant.Name)
		if d.Now {
			a.Text = text.New("%s lets in only who used a second factor, so you cannot work there at the moment.", d.Tenant.Name)
		}
		list = append(list, a)
	}
	return list, nil
}

// pairs gives credentials that the check of claim A6 made up to the sweep.
type pairs struct{ in *Installation }

// Sweep sweeps one pair.
func (p pairs) Sweep(ctx context.Context, address string, found secret.String) error {
	return p.in.accounts.SweepPair(ctx, address, found)
}

// Watch is who is told.
func (p pairs) Watch() string { return account.Watch }

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
