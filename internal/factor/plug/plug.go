// Package plug is package factor as pages: what somebody has set up for signing
// in, and the ways to set up an authenticator app, recovery codes, a telephone
// number and mailed codes, and to remove them. Passkeys have pages of their own,
// which the list leads to.
//
// Every page works without JavaScript. Whatever shows or changes a factor asks
// again who it is when that was proven a while ago (web.Route.Recent). How codes
// are asked for at sign-in is on the pages of package account.
package plug

import (
	"context"
	"embed"
	"net/http"
	"time"

	"troth/internal/access"
	"troth/internal/factor"
	"troth/internal/part"
	"troth/internal/text"
	"troth/internal/web"
)

//go:embed pages
var pages embed.FS

// permOwn is what every signed-in person may do with the own account.
const permOwn = "account.own"

// The addresses.
const (
	pathList     = "/-/account/factors"
	pathApp      = pathList + "/app"
	pathRecovery = pathList + "/recovery"
	pathPhone    = pathList + "/phone"
	pathMail     = pathList + "/mail"
	pathRemove   = pathList + "/remove/"
)

// Passkey is a passkey as the list shows it.
type Passkey struct {
	Label   text.Text
	AddedAt time.Time
	UsedAt  time.Time // zero: never
}

// Deps are what the pages work with. Factors may be nil where nothing is served.
type Deps struct {
	Factors *factor.Factors
	Config  *factor.Config
	// Passkeys lists the passkeys of the one who asks, and says whether there
	// can be any. Nil: there cannot.
	Passkeys func(ctx context.Context, by access.Subject) (all []Passkey, enabled bool, err error)
}

type plug struct{ Deps }

// New describes package factor to the rest of the house.
func New(d Deps) part.Part {
	p := &plug{d}
	return part.Part{
		Name: "factor", Config: d.Config.Sections(), Migrations: factor.Migrations, Tables: factor.Tables, Events: factor.Events,
		Routes: p.routes(), Pages: part.Pages(pages), Retention: factor.Retention,
		Nav: []web.NavItem{{Section: "You", Label: "Sign-in methods", Path: pathList, Covers: []string{"/-/account/passkeys"}, Icon: "lock", Needs: permOwn, Order: 11}},
	}
}

func (p *plug) routes() []web.Route {
	const get, post = http.MethodGet, http.MethodPost
	one := map[string]string{"factor": "fct_00000000000000000000000000"}
	sensitive := func(method, path, doc string, handle func(*web.Request) error) web.Route {
		return web.Route{Method: method, Path: path, Needs: permOwn, Recent: true, Doc: doc, Example: one, Handle: handle}
	}
	return []web.Route{
		{Method: get, Path: pathList, Needs: permOwn, Doc: "What the own account has set up for signing in, also as JSON.", Handle: p.list},
		sensitive(get, pathApp, "The form to set up an authenticator app.", p.showApp),
		sensitive(post, pathApp, "Begin to set up an authenticator app (name).", p.beginApp),
		sensitive(get, pathApp+"/{factor}", "The secret of an app that is being set up, also as JSON.", p.showKey),
		sensitive(post, pathApp+"/{factor}", "Let an app count, with its first code (code).", p.confirmApp),
		sensitive(get, pathRecovery, "The page of recovery codes.", p.showRecovery),
		sensitive(post, pathRecovery, "Make new recovery codes, which are shown once.", p.makeRecovery),
		sensitive(get, pathPhone, "The form to set up a telephone number.", p.showPhone),
		sensitive(post, pathPhone, "Send a code to a telephone number (number).", p.beginPhone),
		sensitive(get, pathPhone+"/{factor}", "The form for the code that was sent.", p.showPhoneCode),
		sensitive(post, pathPhone+"/{factor}", "Let a number count, with the code that was sent (code).", p.confirmPhone),
		sensitive(post, pathPhone+"/{factor}/send", "Send another code to the number.", p.resendPhone),
		sensitive(get, pathMail, "Asks whether codes shall be mailed.", p.showMail),
		sensitive(post, pathMail, "Have a code mailed at every sign-in.", p.switchMail),
		sensitive(get, pathRemove+"{factor}", "Asks whether a sign-in method shall be removed.", p.showRemove),
		sensitive(post, pathRemove+"{factor}", "Remove a sign-in method.", p.remove),
	}
}

var (
	titleList     = text.New("Sign-in methods")
	titleApp      = text.New("Set up an authenticator app")
	titleRecovery = text.New("Recovery codes")
	titlePhone    = text.New("Codes by text message")
	titleMail     = text.New("Have a code mailed at sign-in?")
)

// listData is what the list shows, and its JSON.
type listData struct {
	factor.Overview
	Passkeys        []Passkey `json:"-"`
	PasskeysEnabled bool      `json:"-"`
}

// Few reports whether the recovery codes run out.
func (d listData) Few() bool { return d.Counts && d.Recovery.Left <= factor.FewLeft }

// Apps, Phones and Mails are the factors of each kind.
func (d listData) Apps() []factor.Entry { return d.Of(factor.KindApp) }

// Phones is the number, if there is one.
func (d listData) Phones() []factor.Entry { return d.Of(factor.KindText) }

// Mails is whether codes are mailed.
func (d listData) Mails() []factor.Entry { return d.Of(factor.KindMail) }

func (p *plug) list(r *web.Request) error {
	o, err := p.Factors.Overview(r.Context(), r.Subject)
	if err != nil {
		return err
	}
	d := listData{Overview: o}
	if r.WantsJSON() {
		return r.JSON(d.Overview)
	}
	if p.Passkeys != nil {
		if d.Passkeys, d.PasskeysEnabled, err = p.Passkeys(r.Context(), r.Subject); err != nil {
			return err
		}
	}
	return r.Page("factor/list", titleList, d)
}
