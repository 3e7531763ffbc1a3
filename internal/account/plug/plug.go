// Package plug plugs package account into Troth: the pages on which people sign
// up, sign in and manage their account, the session cookie, the commands with
// which the operator helps them, and the claims A1 to A5 and A7 with the checks that
// exercise them.
//
// It holds no rules: a handler reads a form, calls one method of package
// account, and answers. Every page works without JavaScript. Opening a page
// changes nothing: what a mailed link does, a button does. The paths of links
// hold tokens, so they are shown to no log and no other site (web.Route.Redact).
package plug

import (
	"context"
	"embed"
	"net/http"
	"slices"
	"sync"
	"time"

	"troth/internal/account"
	"troth/internal/jobs"
	"troth/internal/part"
	"troth/internal/web"
)

//go:embed pages
var pages embed.FS

// permOwn is what every signed-in person may do with the own account.
const permOwn = "account.own"

// permRecover is what staff may do for people who are locked out.
const permRecover = "account.recover"

// permUnlock is what staff may do for people whom strangers keep out.
const permUnlock = "account.unlock"

// plug is package account as pages.
type plug struct {
	accounts *account.Accounts
	config   *account.Config
	browsers sync.Map                                         // in which synthetic people signed in: the tokens of their device cookies
	wait     func(ctx context.Context, d time.Duration) error // lets time pass; tests move a clock instead
}

// wait lets time pass.
func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// New describes package account to the rest of the house. The accounts may be
// nil where nothing is served, as for the list of commands.
func New(accounts *account.Accounts, config *account.Config) part.Part {
	p := &plug{accounts: accounts, config: config, wait: wait}
	return part.Part{
		Name: "account", Config: config.Sections(), Migrations: account.Migrations, Tables: account.Tables,
		Permissions: account.Permissions, Events: account.Events, Routes: p.routes(), Nav: nav, Pages: part.Pages(pages),
		Authenticators: []web.Authenticator{cookies{accounts}},
		Jobs:           p.jobs(), Retention: account.Retention, Commands: append(p.commands(), pairsCommand()), Claims: p.claims(),
		Doctor: []part.Examination{{Name: "cost of passwords", Run: p.examineCost}},
	}
}

var nav = []web.NavItem{
	{Section: "You", Label: "Account", Path: "/-/account/", Icon: "person", Needs: permOwn, Order: 10},
	{Section: "You", Label: "Sessions", Path: pathSessions, Icon: "session", Needs: permOwn, Order: 11},
	{Section: "Staff", Label: "Recoveries", Path: pathStaffRecovery, Icon: "person", Needs: permRecover, Order: 300},
}

func (p *plug) jobs() []jobs.Periodic {
	if p.accounts == nil {
		return nil
	}
	return []jobs.Periodic{
		{Name: "account.finish_destroying", Every: time.Hour, Run: p.accounts.FinishDestroying},
		{Name: "account.watch_cost", Every: 4 * time.Hour, Run: p.accounts.WatchCost},
		{Name: "account.advance", Every: 10 * time.Minute, Run: p.accounts.Advance},
		{Name: "account.compare_pairs", Every: time.Minute, Alarm: time.Hour, Run: p.accounts.ComparePairs},
		{Name: "account.alert_exposed", Every: time.Minute, Alarm: time.Hour, Run: p.accounts.AlertExposed},
	}
}

// hashing is the class of effort of everything that hashes a password.
const hashing = "password"

// passkeys is the class of effort of what strangers can make the database keep,
// or make us check a signature of.
const passkeys = "passkey"

const pathSessions = "/-/account/sessions"

func (p *plug) routes() []web.Route {
	const (
		get, post = http.MethodGet, http.MethodPost
		stranger  = "people sign up and sign in here: nobody is known yet"
		between   = "whoever began to sign in goes on here: the browser holds the token of it"
		byLink    = "whoever holds the link may use it: it was mailed, or issued on the host"
	)
	token := map[string]string{"token": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}
	return slices.Concat(p.recoverRoutes(), p.unlockRoutes(), p.strengthRoutes(), []web.Route{
		{Method: get, Path: "/-/signup", Public: stranger, Doc: "The form to sign up.", Handle: p.showSignUp},
		{Method: post, Path: "/-/signup", Public: stranger, Doc: "Sign up.", Cost: hashing, Handle: p.signUp},
		{Method: get, Path: "/-/signup/sent", Public: stranger, Doc: "Says that a mail is on its way.", Handle: p.sentSignUp},
		{Method: get, Path: "/-/confirm/{token}", Public: byLink, Doc: "Shows what a confirmation would do.", Redact: true, Example: token, Handle: p.showConfirm},
		{Method: post, Path: "/-/confirm/{token}", Public: byLink, Doc: "Confirm an address.", Cost: hashing, Redact: true, Example: token, Handle: p.confirm},
		{Method: get, Path: account.PathAdmission + "{token}", Public: byLink, Doc: "Shows what a link of the operator would do.", Redact: true, Example: token, Handle: p.showAdmission},
		{Method: post, Path: account.PathAdmission + "{token}", Public: byLink, Doc: "Go on to sign up by a link of the operator, or sign up by it with the fields of the form.", Cost: hashing, Redact: true, Example: token, Handle: p.admission},

		{Method: get, Path: "/-/signin", Public: stranger, Doc: "The form to sign in.", Handle: p.showSignIn},
		{Method: post, Path: "/-/signin", Public: stranger, Doc: "Sign in.", Cost: hashing, Handle: p.signIn},
		{Method: post, Path: pathPasskeyOptions, Public: stranger, Doc: "What a browser asks its devices to sign somebody in with a passkey.", Cost: passkeys, Handle: p.passkeyOptions},
		{Method: get, Path: pathPasskey, Public: "a redirect that says nothing", Doc: "Leads to the form to sign in.", Handle: func(r *web.Request) error { return r.See("/-/signin") }},
		{Method: post, Path: pathPasskey, Public: stranger, Doc: "Sign in with a passkey alone (passkey: what the device signed).", Cost: passkeys, Handle: p.signInPasskey},
		{Method: get, Path: pathCode, Public: between, Doc: "The form for a second factor.", Handle: p.showStep},
		{Method: post, Path: pathCode, Public: between, Doc: "Answer with a second factor (kind, code), after the password was right.", Cost: hashing, Handle: p.answer},
		{Method: post, Path: pathCodePasskey, Public: between, Doc: "What a browser asks the devices of somebody whose password was right.", Cost: passkeys, Handle: p.codePasskey},
		{Method: post, Path: pathSendCode, Public: between, Doc: "Send the code of a second factor that is sent (kind).", Handle: p.sendCode},
		{Method: get, Path: pathRenew, Public: between, Doc: "The form for another password, where signing in needs one.", Handle: p.showRenew},
		{Method: post, Path: pathRenew, Public: between, Doc: "Set another password to sign in.", Cost: hashing, Handle: p.renew},
		{Method: get, Path: pathAgain, Needs: permOwn, Doc: "The form to prove again who one is, before something sensitive.", Handle: p.showAgain},
		{Method: post, Path: pathAgain, Needs: permOwn, Doc: "Prove again who one is: password, and kind and code of a second factor.", Cost: hashing, Handle: p.again},
		{Method: post, Path: pathAgainPasskey, Needs: permOwn, Doc: "What a browser asks the devices of somebody who proves again who that is.", Cost: passkeys, Handle: p.againPasskey},
		{Method: post, Path: pathSendAgain, Needs: permOwn, Doc: "Send the code of a second factor that is sent (kind), to prove again who one is.", Handle: p.sendAgain},
		{Method: get, Path: "/-/signout", Public: "signing out needs no permission", Doc: "A button to sign out, for links of the application.", Handle: p.showSignOut},
		{Method: post, Path: "/-/signout", Public: "signing out needs no permission", Doc: "Sign out.", Handle: p.signOut},

		{Method: get, Path: "/-/reset", Public: stranger, Doc: "The form to ask for a reset link.", Handle: p.showAskReset},
		{Method: post, Path: "/-/reset", Public: stranger, Doc: "Ask for a link that resets the password.", Cost: hashing, Handle: p.askReset},
		{Method: get, Path: "/-/reset/sent", Public: stranger, Doc: "Says that a mail is on its way.", Handle: p.sentReset},
		{Method: get, Path: "/-/reset/{token}", Public: byLink, Doc: "The form for a new password.", Redact: true, Example: token, Handle: p.showReset},
		{Method: post, Path: "/-/reset/{token}", Public: byLink, Doc: "Set a new password.", Cost: hashing, Redact: true, Example: token, Handle: p.reset},

		{Method: get, Path: "/-/account/{$}", Needs: permOwn, Doc: "The own account.", Handle: p.home},
		{Method: post, Path: "/-/account/{$}", Needs: permOwn, Doc: "Change the own name.", Handle: p.rename},
		{Method: get, Path: "/-/account/password", Needs: permOwn, Recent: true, Doc: "The form to change the password.", Handle: p.showPassword},
		{Method: post, Path: "/-/account/password", Needs: permOwn, Recent: true, Doc: "Change the password.", Cost: hashing, Handle: p.changePassword},
		{Method: get, Path: account.PathStop + "{token}", Public: byLink, Doc: "Shows which session the link of a notice would end.", Redact: true, Example: token, Handle: p.showStop},
		{Method: post, Path: account.PathStop + "{token}", Public: byLink, Doc: "End the session that a notice told of, and go on to a new password.", Redact: true, Example: token, Handle: p.stop},
		{Method: get, Path: pathSessions, Needs: permOwn, Doc: "The own sessions and the browsers that are known, also as JSON.", Handle: p.sessions},
		{Method: post, Path: pathSessions, Needs: permOwn, Doc: "End one session (session=ID) or all others (session=others).", Handle: p.endSession},
		{Method: post, Path: "/-/account/browsers", Needs: permOwn, Doc: "Forget a browser (browser=ID): it stands in for nothing any more.", Handle: p.forgetBrowser},
		{Method: post, Path: "/-/switch", Needs: permOwn, Doc: "Make another tenant the session's current one (tenant=ID).", Handle: p.switchTenant},
		// https://w3c.github.io/webappsec-change-password-url/: password managers ask here.
		{Method: get, Path: "/.well-known/change-password", Public: "a redirect that says nothing", Doc: "Leads to the form to change the password.", Anonymous: true,
			Handle: func(r *web.Request) error { return r.See("/-/account/password") }},
	})
}
