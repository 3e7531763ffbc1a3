package plug

import (
	"troth/internal/account"
	"troth/internal/fault"
	"troth/internal/text"
	"troth/internal/web"
)

func deactivation() web.Confirmation {
	return web.Confirmation{
		Title: titleDeactivate,
		Consequences: []text.Text{
			text.New("Every session ends, and the application is no longer told who you are."),
			text.New("Nothing is deleted: what you made stays, and so do your places in organisations, where others still see your name."),
			text.New("To come back, sign in with your address and password, and with your second factor if you have one."),
		},
		Button: text.New("Deactivate the account"), Back: pathHome,
	}
}

func (p *plug) showDeactivate(r *web.Request) error { return r.Confirm(deactivation(), nil) }

func (p *plug) deactivate(r *web.Request) error {
	if err := p.accounts.Deactivate(r.Context(), r.Subject); err != nil {
		return r.Confirm(deactivation(), err)
	}
	signOut(r)
	r.Flash(text.New("Your account is deactivated, and you are signed out everywhere. Nothing was deleted: to come back, sign in as usual."))
	return r.See("/-/signin")
}

func (p *plug) showReturn(r *web.Request) error {
	return p.stepPage(r, account.StepReactivate, "", nil)
}

// comeBack takes the step that wakes a deactivated account at sign-in.
func (p *plug) comeBack(r *web.Request) error {
	o, err := p.accounts.Return(r.Context(), r.Subject, pendingSignIn(r))
	switch {
	case fault.KindOf(err) == fault.Gone:
		return over(r, err)
	case fault.KindOf(err) == fault.Conflict && !r.WantsJSON():
		return p.stepPage(r, account.StepReactivate, "", err) // leads to the step that is to be taken
	case err != nil:
		return err
	}
	r.Subject.Session = o.Signed.Session // which reads what is said
	r.Flash(text.New("Welcome back. Your account is active again."))
	return proceed(r, o, p.signInData(r).next())
}
