package plug

import (
	"net/http"
	"net/url"
	"strings"

	"troth/internal/access"
	"troth/internal/account"
	"troth/internal/fault"
	"troth/internal/secret"
	"troth/internal/text"
	"troth/internal/web"
)

// pathHome is the page of the own account.
const pathHome = "/-/account/"

var (
	titleSignUp   = text.New("Sign up")
	titleSignIn   = text.New("Sign in")
	titleSignOut  = text.New("Sign out")
	titleConfirm  = text.New("Confirm your e-mail address")
	titleAskReset = text.New("Reset your password")
	titleReset    = text.New("Set a new password")
	titleOwner    = text.New("Become the owner of this installation")
	titleAdmit    = text.New("You are invited to sign up")
)

// signUpData is what the page of sign-up shows.
type signUpData struct {
	ReturnTo string
	Closed   bool // nobody may sign up, and there is no admission
	ByInvite bool
	Admitted bool
	Owner    bool // the admission makes the platform owner
	choosing
}

func (p *plug) signUpData(r *web.Request) signUpData {
	d := signUpData{ReturnTo: r.ReturnTo(""), ByInvite: p.config.Mode != account.SignupOpen, choosing: p.choosing(r, account.Choice{})}
	if token := admission(r); !token.IsZero() {
		owner, err := p.accounts.PeekAdmission(r.Context(), token)
		d.Admitted, d.Owner = err == nil, err == nil && owner
	}
	d.Closed = p.config.Mode == account.SignupClosed && !d.Admitted
	return d
}

func (p *plug) showSignUp(r *web.Request) error {
	return r.Page("account/signup", titleSignUp, p.signUpData(r))
}

func (p *plug) signUp(r *web.Request) error {
	d := p.signUpData(r)
	admitted := secret.String{}
	if d.Admitted {
		admitted = admission(r)
	}
	return p.signUpWith(r, d, admitted)
}

// signUpWith signs up by the form, and by an admission if there is one.
func (p *plug) signUpWith(r *web.Request, d signUpData, admitted secret.String) error {
	browser := secret.NewToken()
	signed, err := p.accounts.SignUp(r.Context(), r.Subject, account.Application{
		Email: r.Value("email"), Name: r.Value("name"), Password: secret.Of(r.Value("password")),
		ReturnTo: d.ReturnTo, Browser: browser, Invitation: invitation(d.ReturnTo), Admission: admitted,
	})
	if err != nil {
		d.weigh(p, r, account.Choice{Email: r.Value("email"), Name: r.Value("name")}, err)
		return r.FormPage("account/signup", titleSignUp, d, err)
	}
	if signed.Session == "" {
		// Whoever has the address: the answer tells nothing. Lax, since the link
		// is opened from a mail.
		setCookie(r, signUpCookie, browser.Reveal(), p.config.ConfirmLife.D(), http.SameSiteLaxMode)
		return r.See("/-/signup/sent")
	}
	setCookie(r, admissionCookie, "", -1, http.SameSiteStrictMode)
	signIn(r, signed)
	r.Flash(text.New("Welcome. A mail with a link to confirm your address is on its way."))
	return r.See(orHome(d.ReturnTo))
}

// invitation is the token of the invitation that led somebody here, if the
// path to go back to holds one: the last part of it.
func invitation(returnTo string) secret.String {
	path, _, _ := strings.Cut(returnTo, "?")
	last := path[strings.LastIndexByte(path, '/')+1:]
	if _, ok := secret.DigestOf(last); !ok {
		return secret.String{}
	}
	return secret.Of(last)
}

func (p *plug) sentSignUp(r *web.Request) error {
	return r.Notice(web.Notice{Title: text.New("Look into your mailbox"), Icon: "mail", Text: []text.Text{
		text.New("If you may sign up with this address, a mail with a link is on its way. Open the link and press the button, and your account is made."),
		text.New("If there is an account with this address already, the mail says so."),
		text.New("Nothing has come after some minutes? Look into the folder for spam, or sign up again."),
	}})
}

// confirmData is what the page of a confirmation link shows.
type confirmData struct {
	account.Proposal
	choosing
}

func (p *plug) showConfirm(r *web.Request) error { return p.confirmPage(r, nil) }

func (p *plug) confirmPage(r *web.Request, refusal error) error {
	pending, err := p.accounts.PeekConfirm(r.Context(), token(r), signUpBrowser(r))
	if err != nil {
		return err
	}
	d := confirmData{pending, p.choosing(r, account.Choice{Link: token(r)})}
	if refusal != nil {
		d.weigh(p, r, account.Choice{Link: token(r), Name: r.Value("name")}, refusal)
	}
	return r.FormPage("account/confirm", titleConfirm, d, refusal)
}

func (p *plug) confirm(r *web.Request) error {
	returnTo, err := p.accounts.Confirm(r.Context(), r.Subject, token(r), account.Confirmation{
		Browser: signUpBrowser(r), Name: r.Value("name"), Password: secret.Of(r.Value("password")),
	})
	if fault.KindOf(err) == fault.Invalid {
		return p.confirmPage(r, err)
	}
	if err != nil {
		return err
	}
	setCookie(r, signUpCookie, "", -1, http.SameSiteLaxMode)
	if r.Subject.Kind == access.KindPerson {
		r.Flash(text.New("Your address is confirmed."))
		return r.See(orHome(returnTo))
	}
	r.Flash(text.New("Your address is confirmed. Sign in with it now."))
	return r.See(web.SignInPath(returnTo))
}

func (p *plug) showAdmission(r *web.Request) error {
	owner, err := p.accounts.PeekAdmission(r.Context(), token(r))
	if err != nil {
		return err
	}
	title := titleAdmit
	if owner {
		title = titleOwner
	}
	return r.Page("account/admission", title, owner)
}

// admission moves the token from the address, which browsers remember, into a
// cookie that lives until the form is sent. It uses nothing up. Whoever sends
// the form of sign-up with it signs up at once.
func (p *plug) admission(r *web.Request) error {
	owner, err := p.accounts.PeekAdmission(r.Context(), token(r))
	if err != nil {
		return err
	}
	if r.Form.Has("email") {
		d := signUpData{ReturnTo: r.ReturnTo(""), Admitted: true, Owner: owner, choosing: p.choosing(r, account.Choice{})}
		return p.signUpWith(r, d, token(r))
	}
	setCookie(r, admissionCookie, token(r).Reveal(), admissionLife, http.SameSiteStrictMode)
	return r.See("/-/signup")
}

// signInData is what the page of sign-in shows.
type signInData struct {
	ReturnTo   string
	SignUpPath string // "" when nobody can sign up
	Passkeys   bool   // one can sign in with a passkey
	RPID       string // with Unknown
	Failed     bool
	Unknown    string // the identifier of a passkey that belongs to nobody, which the device may forget
}

// next is where signing in leads: back, or to what people came for, the
// application. Where there is none, / leads to the own account.
func (d signInData) next() string {
	if d.ReturnTo == "" {
		return "/"
	}
	return d.ReturnTo
}

func (p *plug) signInData(r *web.Request) signInData {
	d := signInData{ReturnTo: r.ReturnTo(""), Passkeys: p.accounts.HasPasskeys()}
	if p.config.Mode != account.SignupClosed {
		d.SignUpPath = "/-/signup"
		if d.ReturnTo != "" {
			d.SignUpPath += "?return_to=" + url.QueryEscape(d.ReturnTo)
		}
	}
	return d
}

func (p *plug) showSignIn(r *web.Request) error {
	d := p.signInData(r)
	if r.Subject.Kind == access.KindPerson {
		return r.See(d.next())
	}
	return r.Page("account/signin", titleSignIn, d)
}

func (p *plug) signIn(r *web.Request) error {
	d := p.signInData(r)
	o, err := p.accounts.SignIn(r.Context(), r.Subject, account.Attempt{
		Email: r.Value("email"), Password: secret.Of(r.Value("password")), Device: device(r),
	})
	if err != nil {
		d.Failed = true
		return r.FormPage("account/signin", titleSignIn, d, err)
	}
	return proceed(r, o, d.next())
}

func (p *plug) showSignOut(r *web.Request) error {
	return r.Page("account/signout", titleSignOut, nil)
}

func (p *plug) signOut(r *web.Request) error {
	if err := p.accounts.SignOut(r.Context(), r.Subject); err != nil {
		return err
	}
	signOut(r)
	r.Flash(text.New("You are signed out."))
	return r.See(r.ReturnTo("/-/signin"))
}

func (p *plug) showAskReset(r *web.Request) error {
	return r.Page("account/ask_reset", titleAskReset, nil)
}

func (p *plug) askReset(r *web.Request) error {
	if err := p.accounts.AskReset(r.Context(), r.Subject, r.Value("email")); err != nil {
		return r.FormPage("account/ask_reset", titleAskReset, nil, err)
	}
	return r.See("/-/reset/sent")
}

func (p *plug) sentReset(r *web.Request) error {
	return r.Notice(web.Notice{Title: text.New("Look into your mailbox"), Icon: "mail", Text: []text.Text{
		text.New("If there is an account with this address, a mail with a link is on its way. The link lives for %s.", account.Spell(p.config.ResetLife.D())),
		text.New("Nothing has come after some minutes? Look into the folder for spam, or ask again."),
	}})
}

// resetData is what the page of a reset link shows.
type resetData struct {
	Email string // for password managers
	choosing
}

func (p *plug) showReset(r *web.Request) error {
	email, err := p.accounts.PeekReset(r.Context(), token(r))
	if err != nil {
		return err
	}
	return r.Page("account/reset", titleReset, resetData{email, p.choosing(r, account.Choice{Link: token(r)})})
}

func (p *plug) reset(r *web.Request) error {
	err := p.accounts.Reset(r.Context(), r.Subject, token(r), secret.Of(r.Value("password")))
	if fault.KindOf(err) == fault.Invalid {
		email, peekErr := p.accounts.PeekReset(r.Context(), token(r))
		if peekErr != nil {
			return peekErr
		}
		d := resetData{email, p.choosing(r, account.Choice{Link: token(r)})}
		d.weigh(p, r, account.Choice{Link: token(r)}, err)
		return r.FormPage("account/reset", titleReset, d, err)
	}
	if err != nil {
		return err
	}
	signOut(r)
	r.Flash(text.New("Your new password is set, and every session was ended. Sign in with it now."))
	return r.See("/-/signin")
}

// token is the token in the path.
func token(r *web.Request) secret.String { return secret.Of(r.PathValue("token")) }

func orHome(path string) string {
	if path == "" {
		return pathHome
	}
	return path
}
