package plug

import (
	"troth/internal/access"
	"troth/internal/account"
	"troth/internal/id"
	"troth/internal/text"
	"troth/internal/web"
)

// The pages on which people see where they are signed in, and end what they do
// not know: their own, and the one behind the link of a notice.

var (
	titleSessions = text.New("Where you are signed in")
	titleStop     = text.New("Was this you?")
)

// sessionsData is what the page of sessions shows, and its JSON.
type sessionsData struct {
	Sessions []account.Session `json:"sessions"`
	Browsers []account.Device  `json:"browsers"`
	Others   bool              `json:"-"`
}

// How says in words how a session was signed in.
func (sessionsData) How(s account.Session) text.Text { return account.How(s.Methods) }

func (p *plug) sessions(r *web.Request) error {
	list, err := p.accounts.Sessions(r.Context(), r.Subject)
	if err != nil {
		return err
	}
	browsers, err := p.accounts.Devices(r.Context(), r.Subject)
	if err != nil {
		return err
	}
	d := sessionsData{Sessions: list, Browsers: browsers, Others: len(list) > 1}
	if r.WantsJSON() {
		return r.JSON(d)
	}
	return r.Page("account/sessions", titleSessions, d)
}

func (p *plug) endSession(r *web.Request) error {
	if r.Value("session") == "others" {
		n, err := p.accounts.EndOthers(r.Context(), r.Subject)
		if err != nil {
			return err
		}
		if n == 1 {
			r.Flash(text.New("One other session was ended."))
		} else {
			r.Flash(text.New("%d other sessions were ended.", n))
		}
		return r.See(pathSessions)
	}
	which, err := id.Parse[id.Session](r.Value("session"))
	if err != nil {
		return err
	}
	if err := p.accounts.EndSession(r.Context(), r.Subject, which); err != nil {
		return err
	}
	if which == r.Subject.Session {
		signOut(r)
		return r.See("/-/signin")
	}
	r.Flash(text.New("The session was ended."))
	return r.See(pathSessions)
}

func (p *plug) forgetBrowser(r *web.Request) error {
	which, err := id.Parse[id.Device](r.Value("browser"))
	if err != nil {
		return err
	}
	if err := p.accounts.ForgetDevice(r.Context(), r.Subject, which); err != nil {
		return err
	}
	r.Flash(text.New("The browser is forgotten. You are told when somebody signs in there again."))
	return r.See(pathSessions)
}

func (p *plug) showStop(r *web.Request) error {
	stop, err := p.accounts.PeekStop(r.Context(), token(r))
	if err != nil {
		return err
	}
	return r.Page("account/stop", titleStop, stop)
}

// stop ends the session that a notice told of, and goes on to a new password:
// for whoever is signed in on the page of the own one, for others by a link.
func (p *plug) stop(r *web.Request) error {
	which, err := p.accounts.StopSession(r.Context(), r.Subject, token(r))
	if err != nil {
		return err
	}
	here := which == r.Subject.Session
	if here {
		signOut(r)
	}
	r.Flash(text.New("That session is over. Now set a new password: whoever signed in there knows the present one."))
	if r.Subject.Kind == access.KindPerson && !here {
		return r.See("/-/account/password")
	}
	return r.See("/-/reset")
}
