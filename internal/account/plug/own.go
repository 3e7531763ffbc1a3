package plug

import (
	"troth/internal/account"
	"troth/internal/id"
	"troth/internal/secret"
	"troth/internal/text"
	"troth/internal/web"
)

var (
	titleHome     = text.New("Your account")
	titlePassword = text.New("Change your password")
)

// homeData is what the page of the own account shows.
type homeData struct {
	account.Account
	Sessions int
	Recovery account.Recovery
	Moves    bool // a change of address waits
}

func (p *plug) homeData(r *web.Request) (homeData, error) {
	v, err := p.accounts.Own(r.Context(), r.Subject)
	if err != nil {
		return homeData{}, err
	}
	list, err := p.accounts.Sessions(r.Context(), r.Subject)
	if err != nil {
		return homeData{}, err
	}
	d := homeData{Account: v, Sessions: len(list)}
	if d.Recovery, err = p.accounts.OwnRecovery(r.Context(), r.Subject); err != nil {
		return homeData{}, err
	}
	_, d.Moves, err = p.accounts.OwnAddressChange(r.Context(), r.Subject)
	return d, err
}

func (p *plug) home(r *web.Request) error {
	d, err := p.homeData(r)
	if err != nil {
		return err
	}
	if r.WantsJSON() {
		return r.JSON(d.Account)
	}
	return r.Page("account/home", titleHome, d)
}

func (p *plug) rename(r *web.Request) error {
	if err := p.accounts.Rename(r.Context(), r.Subject, r.Value("name")); err != nil {
		d, readErr := p.homeData(r)
		if readErr != nil {
			return readErr
		}
		return r.FormPage("account/home", titleHome, d, err)
	}
	r.Flash(text.New("Your name is changed."))
	return r.See(pathHome)
}

func (p *plug) passwordData(r *web.Request) (resetData, error) {
	v, err := p.accounts.Own(r.Context(), r.Subject)
	return resetData{v.Email, p.choosing(r, account.Choice{})}, err
}

func (p *plug) showPassword(r *web.Request) error {
	d, err := p.passwordData(r)
	if err != nil {
		return err
	}
	return r.Page("account/password", titlePassword, d)
}

func (p *plug) changePassword(r *web.Request) error {
	d, err := p.passwordData(r)
	if err != nil {
		return err
	}
	signed, err := p.accounts.ChangePassword(r.Context(), r.Subject, secret.Of(r.Value("current")), secret.Of(r.Value("password")))
	d.weigh(p, r, account.Choice{}, err)
	if err != nil {
		return r.FormPage("account/password", titlePassword, d, err)
	}
	signIn(r, signed)
	r.Flash(text.New("Your password is changed. Every other session was ended. %s", d.Meter.Says))
	return r.See(pathHome)
}

func (p *plug) switchTenant(r *web.Request) error {
	to, err := id.Parse[id.Tenant](r.Value("tenant"))
	if err != nil {
		return err
	}
	if err := p.accounts.Switch(r.Context(), r.Subject, to); err != nil {
		return err
	}
	return r.See(r.ReturnTo("/"))
}
