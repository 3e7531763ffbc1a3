package plug

import (
	"encoding/json"
	"net/http"
	"time"

	"troth/internal/account"
	"troth/internal/fault"
	"troth/internal/secret"
	"troth/internal/web"
)

// The addresses of signing in with a passkey alone, and with one after the
// password.
const (
	pathPasskey        = "/-/signin/passkey"
	pathPasskeyOptions = "/-/signin/passkey/options"
	pathCodePasskey    = "/-/signin/code/passkey"
	pathAgainPasskey   = "/-/again/passkey"
)

// passkeyCookie binds a challenge to the browser that it was given to. Only
// pages from here send it.
const passkeyCookie = "__Host-troth-passkey"

const passkeyLife = 10 * time.Minute

func passkeyBrowser(r *web.Request) secret.String {
	return secret.Of(cookieValue(r.Header["Cookie"], passkeyCookie))
}

// passkeyOptions says what the browser asks its devices. All tabs of a browser
// have one cookie, and each its own challenge.
func (p *plug) passkeyOptions(r *web.Request) error {
	browser := passkeyBrowser(r)
	if _, ok := secret.DigestOf(browser.Reveal()); !ok {
		browser = secret.NewToken()
	}
	options, err := p.accounts.BeginPasskey(r.Context(), r.Subject, browser)
	if err != nil {
		return err
	}
	setCookie(r, passkeyCookie, browser.Reveal(), passkeyLife, http.SameSiteStrictMode)
	return r.JSON(options)
}

// signInPasskey takes what a device signed.
func (p *plug) signInPasskey(r *web.Request) error {
	d := p.signInData(r)
	answer := r.Value("passkey")
	o, err := p.accounts.SignInPasskey(r.Context(), r.Subject, account.PasskeyAttempt{
		Browser: passkeyBrowser(r), Answer: []byte(answer), Device: device(r),
	})
	if f := fault.As(err); f != nil && f.Code == "passkey.unknown" {
		d.Unknown, d.RPID = unknown(answer), p.accounts.Passkeys.RPID()
	}
	if err != nil {
		return r.FormPage("account/signin", titleSignIn, d, err)
	}
	setCookie(r, passkeyCookie, "", -1, http.SameSiteStrictMode)
	return proceed(r, o, d.next())
}

// unknown is the identifier of a passkey that belongs to nobody, so that the
// browser can tell the device (WebAuthn Level 3, 5.1.10.1).
func unknown(answer string) string {
	var a struct {
		ID string `json:"id"`
	}
	if json.Unmarshal([]byte(answer), &a) != nil {
		return ""
	}
	return a.ID
}

// codePasskey says what the browser asks the devices of somebody whose password
// was right.
func (p *plug) codePasskey(r *web.Request) error {
	options, err := p.accounts.Challenge(r.Context(), r.Subject, pendingSignIn(r), "passkey")
	if err != nil {
		return err
	}
	return r.JSON(json.RawMessage(options))
}

// againPasskey says what the browser asks the devices of somebody who is asked
// again.
func (p *plug) againPasskey(r *web.Request) error {
	options, err := p.accounts.AgainChallenge(r.Context(), r.Subject, "passkey")
	if err != nil {
		return err
	}
	return r.JSON(json.RawMessage(options))
}
