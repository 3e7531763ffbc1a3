package plug

import (
	"troth/internal/account"
	"troth/internal/secret"
	"troth/internal/text"
	"troth/internal/web"
)

// The page that asks again who somebody is (web.Route.Recent).
const (
	pathAgain     = "/-/again"
	pathSendAgain = "/-/again/send"
)

var titleAgain = text.New("Is it still you?")

// againData is what the page shows.
type againData struct {
	account.Proving
	ReturnTo string
	Undone   bool // a form was not obeyed
	Chosen   choice
	Others   []choice
	Sent     bool
}

// Path is the page with another kind chosen.
func (d againData) Path(kind string) string { return d.with("with", kind) }

// Send is where the button goes that sends a code.
func (d againData) Send() string { return pathSendAgain }

func (d againData) with(more ...string) string {
	if d.Undone {
		more = append(more, "undone", "1")
	}
	return withReturn(pathAgain, d.ReturnTo, more...)
}

func (p *plug) againData(r *web.Request, kind string) (againData, error) {
	proving, err := p.accounts.Proving(r.Context(), r.Subject)
	d := againData{
		Proving: proving, ReturnTo: r.ReturnTo(pathHome), Undone: r.Value("undone") != "", Sent: r.URL.Query().Get("sent") != "",
	}
	d.Chosen, d.Others = choices(proving.Factors, kind)
	return d, err
}

func (p *plug) showAgain(r *web.Request) error {
	d, err := p.againData(r, r.Value("with"))
	if err != nil {
		return err
	}
	return r.Page("account/again", titleAgain, d)
}

// again takes the proof, and leads back to what asked for it. What was sent
// there before was not obeyed, and is not sent again by itself.
func (p *plug) again(r *web.Request) error {
	d, err := p.againData(r, r.Value("kind"))
	if err != nil {
		return err
	}
	signed, err := p.accounts.Again(r.Context(), r.Subject, secret.Of(r.Value("password")), account.Answer{
		Kind: d.Chosen.Kind, Code: secret.Of(r.Value("code")), Passkey: []byte(r.Value("passkey")),
	})
	if err != nil {
		return r.FormPage("account/again", titleAgain, d, err)
	}
	signIn(r, signed)
	if d.Undone {
		r.Flash(text.New("It is you. What you sent before was not done: send it again now."))
	}
	return r.See(d.ReturnTo)
}

func (p *plug) sendAgain(r *web.Request) error {
	d, err := p.againData(r, r.Value("kind"))
	if err != nil {
		return err
	}
	if _, err := p.accounts.AgainChallenge(r.Context(), r.Subject, d.Chosen.Kind); err != nil {
		return r.FormPage("account/again", titleAgain, d, err)
	}
	return r.See(d.with("with", d.Chosen.Kind, "sent", "1"))
}
