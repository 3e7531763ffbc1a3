package plug

import (
	"troth/internal/account"
	"troth/internal/text"
	"troth/internal/web"
)

var (
	titleAddress      = text.New("Change your e-mail address")
	titleAgree        = text.New("Change the e-mail address of an account")
	titleUndo         = text.New("Undo the change of your e-mail address")
	titleDeactivate   = text.New("Deactivate your account")
	titleReactivation = text.New("Your account is deactivated")
)

// addressData is what the page of the own address shows.
type addressData struct {
	Email   string
	Waits   bool
	Change  account.AddressChange
	Wait    text.Text // how long an old mailbox is waited for that is out of reach
	Unknown bool      // the present address was never confirmed
}

func (p *plug) addressData(r *web.Request) (addressData, error) {
	v, err := p.accounts.Own(r.Context(), r.Subject)
	if err != nil {
		return addressData{}, err
	}
	c, waits, err := p.accounts.OwnAddressChange(r.Context(), r.Subject)
	return addressData{Email: v.Email, Waits: waits, Change: c, Wait: p.delay(), Unknown: v.ConfirmedAt.IsZero()}, err
}

func (p *plug) showAddress(r *web.Request) error {
	d, err := p.addressData(r)
	if err != nil {
		return err
	}
	if r.WantsJSON() {
		return r.JSON(struct {
			Email  string                 `json:"email"`
			Change *account.AddressChange `json:"change,omitempty"`
		}{d.Email, d.waiting()})
	}
	return r.Page("account/own_address", titleAddress, d)
}

func (d addressData) waiting() *account.AddressChange {
	if !d.Waits {
		return nil
	}
	return &d.Change
}

func (p *plug) stopAddress(r *web.Request) error {
	if err := p.accounts.StopOwnAddress(r.Context(), r.Subject); err != nil {
		return err
	}
	r.Flash(text.New("The change of address is stopped."))
	return r.See(pathHome)
}

func (p *plug) changeAddress(r *web.Request) error {
	if err := p.accounts.AskAddress(r.Context(), r.Subject, r.Value("email"), r.Value("lost") == "yes"); err != nil {
		d, readErr := p.addressData(r)
		if readErr != nil {
			return readErr
		}
		return r.FormPage("account/own_address", titleAddress, d, err)
	}
	r.Flash(text.New("Two mails are on their way: one to each address."))
	return r.See("/-/account/address")
}

func (p *plug) showAgree(r *web.Request) error {
	q, err := p.accounts.PeekAddress(r.Context(), token(r))
	if err != nil {
		return err
	}
	return r.Page("account/agree_address", titleAgree, q)
}

func (p *plug) agree(r *web.Request) error {
	switch r.Value("do") {
	case "stop":
		if err := p.accounts.StopAddress(r.Context(), r.Subject, token(r)); err != nil {
			return err
		}
		return r.Notice(web.Notice{Title: text.New("The change is stopped"), Icon: "check", Text: []text.Text{
			text.New("The address of the account stays as it was."),
			text.New("If somebody else asked for the change, that person is signed in to your account: reset the password now, which ends every session."),
		}, Action: &web.Action{Path: "/-/reset", Label: text.New("Reset the password")}})
	case "agree":
	default:
		return errDo
	}
	done, err := p.accounts.AgreeAddress(r.Context(), r.Subject, token(r))
	if err != nil {
		return err
	}
	if !done {
		return r.Notice(web.Notice{Title: text.New("One mailbox has agreed"), Icon: "mail", Text: []text.Text{
			text.New("The address changes when the other one has agreed too. Open the link in the mail there."),
		}})
	}
	if signedIn(r) {
		r.Flash(text.New("The address of your account is changed."))
		return r.See(pathHome)
	}
	r.Flash(text.New("The address of the account is changed. Sign in with the new one."))
	return r.See("/-/signin")
}

func (p *plug) showUndo(r *web.Request) error {
	old, err := p.accounts.PeekUndo(r.Context(), token(r))
	if err != nil {
		return err
	}
	return r.Page("account/undo_address", titleUndo, old)
}

func (p *plug) undo(r *web.Request) error {
	reset, err := p.accounts.UndoAddress(r.Context(), r.Subject, token(r))
	if err != nil {
		return err
	}
	signOut(r)
	r.Flash(text.New("Your address is the old one again, and every session was ended. Now set a new password: whoever changed the address may know the old one."))
	return r.See(account.PathReset + reset.Reveal())
}
