package plug

import (
	"net/http"

	"troth/internal/account"
	"troth/internal/text"
	"troth/internal/web"
)

const pathUnlockSent = "/-/unlock/sent"

var (
	titleAskUnlock = text.New("Sign in in a new browser")
	titleUnlock    = text.New("Accept my password in this browser")
)

// unlockRoutes are for people whom strangers keep waiting by guessing at their
// account.
func (p *plug) unlockRoutes() []web.Route {
	const (
		get, post = http.MethodGet, http.MethodPost
		stranger  = "who is kept waiting is not known yet"
		byLink    = "whoever holds the link may use it: it was mailed"
	)
	token := map[string]string{"token": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}
	return []web.Route{
		{Method: get, Path: "/-/unlock", Public: stranger, Doc: "The form to ask for a link with which a new browser need not wait for what others have tried.", Handle: p.showAskUnlock},
		{Method: post, Path: "/-/unlock", Public: stranger, Doc: "Ask for a link with which a new browser need not wait (email).", Cost: hashing, Handle: p.askUnlock},
		{Method: get, Path: pathUnlockSent, Public: stranger, Doc: "Says that a mail is on its way.", Handle: p.sentUnlock},
		{Method: get, Path: account.PathUnlock + "{token}", Public: byLink, Doc: "Shows what the link does.", Redact: true, Example: token, Handle: p.showUnlock},
		{Method: post, Path: account.PathUnlock + "{token}", Public: byLink, Doc: "Forget the wrong guesses at an account, and let this browser count by itself.", Redact: true, Example: token, Handle: p.unlock},
	}
}

func (p *plug) showAskUnlock(r *web.Request) error {
	return r.Page("account/ask_unlock", titleAskUnlock, nil)
}

func (p *plug) askUnlock(r *web.Request) error {
	if err := p.accounts.AskUnlock(r.Context(), r.Subject, r.Value("email")); err != nil {
		return r.FormPage("account/ask_unlock", titleAskUnlock, nil, err)
	}
	return r.See(pathUnlockSent)
}

func (p *plug) sentUnlock(r *web.Request) error {
	return r.Notice(web.Notice{Title: text.New("Look into your mailbox"), Icon: "mail", Text: []text.Text{
		text.New("If there is an account with this address, a mail with a link is on its way. Open it in the browser in which you want to sign in. The link lives for %s.", account.Spell(p.config.ResetLife.D())),
		text.New("Nothing has come after some minutes? Look into the folder for spam, or ask again."),
	}})
}

// unlockData is what the page of a link that unlocks shows.
type unlockData struct{ Email string }

func (p *plug) showUnlock(r *web.Request) error {
	email, err := p.accounts.PeekUnlock(r.Context(), token(r))
	if err != nil {
		return err
	}
	return r.Page("account/unlock", titleUnlock, unlockData{email})
}

func (p *plug) unlock(r *web.Request) error {
	given, err := p.accounts.UnlockByLink(r.Context(), r.Subject, token(r), device(r))
	if err != nil {
		return err
	}
	if !given.IsZero() {
		setCookie(r, deviceCookie, given.Reveal(), account.DeviceLife, http.SameSiteLaxMode)
	}
	r.Flash(text.New("Your password is accepted in this browser now. Sign in with it within a day."))
	return r.See("/-/signin")
}
