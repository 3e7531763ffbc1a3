package plug

import (
	"html/template"

	"troth/internal/factor"
	"troth/internal/id"
	"troth/internal/secret"
	"troth/internal/text"
	"troth/internal/web"
)

func (p *plug) showApp(r *web.Request) error { return r.Page("factor/app", titleApp, nil) }

func (p *plug) beginApp(r *web.Request) error {
	which, err := p.Factors.BeginApp(r.Context(), r.Subject, r.Value("name"))
	if err != nil {
		return r.FormPage("factor/app", titleApp, nil, err)
	}
	return r.See(pathApp + "/" + string(which))
}

// which is the factor that the address names.
func which(r *web.Request) (id.Factor, error) { return id.Parse[id.Factor](r.PathValue("factor")) }

// keyData is what the page of a secret shows.
type keyData struct {
	factor.Enrolment
}

// Address is the link as a template may write it: it is made by package
// factor of escaped parts, and begins with otpauth.
func (d keyData) Address() template.URL { return template.URL(d.Link.Reveal()) } //nolint:gosec // see above

// Typed is the key for whoever types it.
func (d keyData) Typed() string { return d.Key.Reveal() }

func (p *plug) showKey(r *web.Request) error { return p.keyPage(r, nil) }

func (p *plug) keyPage(r *web.Request, refusal error) error {
	one, err := which(r)
	if err != nil {
		return err
	}
	e, err := p.Factors.App(r.Context(), r.Subject, one)
	if err != nil {
		return err
	}
	if r.WantsJSON() && refusal == nil {
		return r.JSON(struct {
			ID   id.Factor `json:"id"`
			Key  string    `json:"key"`
			Link string    `json:"link"`
		}{e.ID, e.Key.Reveal(), e.Link.Reveal()})
	}
	return r.FormPage("factor/key", titleApp, keyData{e}, refusal)
}

func (p *plug) confirmApp(r *web.Request) error {
	one, err := which(r)
	if err != nil {
		return err
	}
	noRecovery, err := p.Factors.ConfirmApp(r.Context(), r.Subject, one, secret.Of(r.Value("code")))
	if err != nil {
		return p.keyPage(r, err)
	}
	return done(r, text.New("The app is set up. From now on, signing in asks for a code from it."), noRecovery)
}

// done ends the setting up of a factor. Where there are no recovery codes yet,
// they come next.
func done(r *web.Request, says text.Text, noRecovery bool) error {
	r.Flash(says)
	if noRecovery {
		return r.See(pathRecovery)
	}
	return r.See(pathList)
}
