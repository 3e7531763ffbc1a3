package plug

import (
	"troth/internal/factor"
	"troth/internal/text"
	"troth/internal/web"
)

// mailQuestion stands before mailed codes are switched on.
var mailQuestion = web.Confirmation{
	Title: titleMail,
	Consequences: []text.Text{
		text.New("At every sign-in a code is mailed to your address, and has to be entered."),
		text.New("This is the weakest method there is, and does not count as a second factor: whoever reads your mail can reset your password too."),
		text.New("As soon as a passkey or an authenticator app is set up, that is asked for instead."),
	},
	Button: text.New("Have codes mailed"), Back: pathList,
}

func (p *plug) showMail(r *web.Request) error { return r.Confirm(mailQuestion, nil) }

func (p *plug) switchMail(r *web.Request) error {
	if err := p.Factors.SwitchMailOn(r.Context(), r.Subject); err != nil {
		return r.Confirm(mailQuestion, err)
	}
	r.Flash(text.New("From now on, a code is mailed at sign-in."))
	return r.See(pathList)
}

// question stands before a factor is removed.
func (p *plug) question(r *web.Request) (web.Confirmation, factor.Entry, error) {
	one, err := which(r)
	if err != nil {
		return web.Confirmation{}, factor.Entry{}, err
	}
	e, err := p.Factors.Get(r.Context(), r.Subject, one)
	if err != nil {
		return web.Confirmation{}, factor.Entry{}, err
	}
	o, err := p.Factors.Overview(r.Context(), r.Subject)
	if err != nil {
		return web.Confirmation{}, factor.Entry{}, err
	}
	c := web.Confirmation{Button: text.New("Remove it"), Back: pathList}
	switch e.Kind {
	case factor.KindApp:
		c.Title = text.New("Remove the app “%s”?", e.Name)
		c.Consequences = append(c.Consequences, text.New("Codes from this app are not accepted any more. Remove its entry on the device too."))
	case factor.KindText:
		c.Title = text.New("Remove the number %s?", e.Name)
		c.Consequences = append(c.Consequences, text.New("No codes are sent to this number any more."))
	default:
		c.Title, c.Button = text.New("Stop mailing codes?"), text.New("Stop mailing codes")
		c.Consequences = append(c.Consequences, text.New("Signing in asks for no mailed code any more."))
	}
	if e.Counts && counting(o) == 1 {
		c.Consequences = append(c.Consequences, text.New("If you have no passkey either, your password alone opens your account, and your recovery codes are void."))
	}
	c.Consequences = append(c.Consequences,
		text.New("You are signed out everywhere else, and browsers that need no code any more need one again."),
		text.New("A mail tells you that it happened."))
	return c, e, nil
}

func counting(o factor.Overview) (n int) {
	for _, e := range o.Factors {
		if e.Counts {
			n++
		}
	}
	return n
}

func (p *plug) showRemove(r *web.Request) error {
	c, _, err := p.question(r)
	if err != nil {
		return err
	}
	return r.Confirm(c, nil)
}

func (p *plug) remove(r *web.Request) error {
	c, e, err := p.question(r)
	if err != nil {
		return err
	}
	if err := p.Factors.Remove(r.Context(), r.Subject, e.ID); err != nil {
		return r.Confirm(c, err)
	}
	r.Flash(text.New("It was removed. Every other session was ended."))
	return r.See(pathList)
}
