package plug

import (
	"troth/internal/fault"
	"troth/internal/secret"
	"troth/internal/text"
	"troth/internal/web"
)

func (p *plug) showPhone(r *web.Request) error { return p.phonePage(r, nil) }

func (p *plug) phonePage(r *web.Request, refusal error) error {
	o, err := p.Factors.Overview(r.Context(), r.Subject)
	if err != nil {
		return err
	}
	return r.FormPage("factor/phone", titlePhone, listData{Overview: o}, refusal)
}

func (p *plug) beginPhone(r *web.Request) error {
	one, err := p.Factors.BeginPhone(r.Context(), r.Subject, r.Value("number"))
	if err != nil {
		return p.phonePage(r, err)
	}
	return r.See(pathPhone + "/" + string(one))
}

// phoneData is what the page of a number that is being set up shows.
type phoneData struct {
	Masked string
	Send   string // where the button goes that sends another code
}

func (p *plug) showPhoneCode(r *web.Request) error { return p.phoneCodePage(r, nil) }

func (p *plug) phoneCodePage(r *web.Request, refusal error) error {
	one, err := which(r)
	if err != nil {
		return err
	}
	masked, err := p.Factors.Phone(r.Context(), r.Subject, one)
	if err != nil {
		return err
	}
	return r.FormPage("factor/phone_code", titlePhone, phoneData{masked, pathPhone + "/" + string(one) + "/send"}, refusal)
}

func (p *plug) confirmPhone(r *web.Request) error {
	one, err := which(r)
	if err != nil {
		return err
	}
	noRecovery, err := p.Factors.ConfirmPhone(r.Context(), r.Subject, one, secret.Of(r.Value("code")))
	if err != nil {
		return p.phoneCodePage(r, err)
	}
	return done(r, text.New("The number is set up. From now on, signing in asks for a code that is sent to it."), noRecovery)
}

func (p *plug) resendPhone(r *web.Request) error {
	one, err := which(r)
	if err != nil {
		return err
	}
	err = p.Factors.ResendPhone(r.Context(), r.Subject, one)
	if fault.KindOf(err) == fault.TooMany {
		return p.phoneCodePage(r, err)
	}
	if err != nil {
		return err
	}
	r.Flash(text.New("Another code is on its way. Only the newest one is good."))
	return r.See(pathPhone + "/" + string(one))
}
