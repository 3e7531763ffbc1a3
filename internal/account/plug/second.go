package plug

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"troth/internal/account"
	"troth/internal/fault"
	"troth/internal/secret"
	"troth/internal/text"
	"troth/internal/web"
)

// The pages of a sign-in that goes on after the password was right.
const (
	pathCode     = "/-/signin/code"
	pathSendCode = "/-/signin/code/send"
	pathRenew    = "/-/signin/password"
	pathReturn   = "/-/signin/return"
)

var (
	titleCode  = text.New("One more step")
	titleRenew = text.New("Choose another password")
)

// stepPath is the page of a step.
func stepPath(s account.Step, returnTo string) string {
	path := pathCode
	switch s {
	case account.StepPassword:
		path = pathRenew
	case account.StepReactivate:
		path = pathReturn
	}
	return withReturn(path, returnTo)
}

func withReturn(path, returnTo string, more ...string) string {
	q := url.Values{}
	for i := 0; i+1 < len(more); i += 2 {
		q.Set(more[i], more[i+1])
	}
	if returnTo != "" {
		q.Set("return_to", returnTo)
	}
	if len(q) == 0 {
		return path
	}
	return path + "?" + q.Encode()
}

// proceed answers a step of signing in: with the session, or with the page of
// the next step. Who wants no page is told what is missing.
func proceed(r *web.Request, o account.Outcome, next string) error {
	if !o.Device.IsZero() {
		setCookie(r, deviceCookie, o.Device.Reveal(), account.DeviceLife, http.SameSiteLaxMode)
	}
	if o.Next == account.StepNone {
		setCookie(r, pendingCookie, "", -1, http.SameSiteStrictMode)
		signIn(r, o.Signed)
		return r.See(next)
	}
	setCookie(r, pendingCookie, o.Pending.Reveal(), pendingLife, http.SameSiteStrictMode)
	if r.WantsJSON() {
		return missing(o.Next)
	}
	return r.See(stepPath(o.Next, r.ReturnTo("")))
}

// missing says to a program what a sign-in waits for.
func missing(s account.Step) error {
	if s == account.StepReactivate {
		return fault.New(fault.Unauthenticated, "account.next.reactivate", "The password is right, and the account is deactivated. Send an empty form to %s, with the cookie of this answer, to have it back.", pathReturn)
	}
	if s == account.StepPassword {
		return fault.New(fault.Unauthenticated, "account.next.password", "The password is right, and another one has to be set before you are signed in. Send it as password to %s, with the cookie of this answer.", pathRenew)
	}
	return fault.New(fault.Unauthenticated, "account.next.factor", "The password is right, and a second factor is needed. Send its kind and code to %s, with the cookie of this answer.", pathCode)
}

// over ends a sign-in that cannot go on: the person begins again and is told
// why. Other errors come back as they are.
func over(r *web.Request, err error) error {
	f := fault.As(err)
	if f == nil || f.Kind != fault.Gone {
		return err
	}
	setCookie(r, pendingCookie, "", -1, http.SameSiteStrictMode)
	if r.WantsJSON() {
		return err
	}
	r.Flash(f.Message)
	return r.See(web.SignInPath(r.ReturnTo("")))
}

// choice is a kind of second factor that can be chosen.
type choice struct {
	Kind   string
	Labels []string // of each that there is
	Sends  bool
}

// Name is what its holder calls it.
func (c choice) Name() string { return strings.Join(c.Labels, ", ") }

// Words say what the kind is.
func (c choice) Words() text.Text {
	switch c.Kind {
	case "passkey":
		return text.New("A passkey")
	case "totp":
		return text.New("A code of your authenticator app")
	case "recovery":
		return text.New("A recovery code")
	case "sms":
		return text.New("A code by text message")
	}
	return text.New("A code by mail")
}

// codeData is what the page of a second factor shows.
type codeData struct {
	account.Pending
	ReturnTo string
	Chosen   choice
	Others   []choice
	Sent     bool          // the code was just sent
	For      time.Duration // how long a browser is remembered
}

// Path is the page with another kind chosen.
func (d codeData) Path(kind string) string {
	return withReturn(pathCode, d.ReturnTo, "with", kind)
}

// Send is where the button goes that sends a code.
func (d codeData) Send() string { return pathSendCode }

// Begin is where the sign-in begins anew.
func (d codeData) Begin() string { return web.SignInPath(d.ReturnTo) }

// choices groups what is offered by kind, in order, and takes out the one that
// is wanted, or the first.
func choices(offers []account.Offer, want string) (chosen choice, others []choice) {
	var all []choice
	for _, o := range offers {
		if n := len(all); n == 0 || all[n-1].Kind != o.Kind {
			all = append(all, choice{Kind: o.Kind, Sends: o.Sends})
		}
		all[len(all)-1].Labels = append(all[len(all)-1].Labels, o.Label)
	}
	at := 0
	for i, c := range all {
		if c.Kind == want {
			at = i
		}
	}
	for i, c := range all {
		if i == at {
			chosen = c
		} else {
			others = append(others, c)
		}
	}
	return chosen, others
}

// showStep is the page of a step. A sign-in that waits for another step leads
// to its page.
func (p *plug) showStep(r *web.Request) error {
	return p.stepPage(r, account.StepFactor, r.Value("with"), nil)
}

func (p *plug) stepPage(r *web.Request, step account.Step, kind string, refusal error) error {
	pending, err := p.accounts.Pending(r.Context(), pendingSignIn(r))
	if err != nil {
		return over(r, err)
	}
	if pending.Next != step && pending.Next != account.StepNone {
		return r.See(stepPath(pending.Next, r.ReturnTo("")))
	}
	switch step {
	case account.StepReactivate:
		return r.FormPage("account/return", titleReactivation, pending, refusal)
	case account.StepPassword:
		q := account.Choice{Pending: pendingSignIn(r)}
		d := renewData{pending, r.ReturnTo(""), p.choosing(r, q)}
		if refusal != nil {
			d.weigh(p, r, q, refusal)
		}
		return r.FormPage("account/renew", titleRenew, d, refusal)
	}
	d := codeData{Pending: pending, ReturnTo: r.ReturnTo(""), Sent: r.URL.Query().Get("sent") != "", For: p.config.Remember.D()}
	d.Chosen, d.Others = choices(pending.Factors, kind)
	return r.FormPage("account/code", titleCode, d, refusal)
}

// notTaken answers what did not take a step: a sign-in that is over leads back to
// its beginning, a program gets the error, and a person the page once more.
func (p *plug) notTaken(r *web.Request, step account.Step, kind string, err error) error {
	switch {
	case fault.KindOf(err) == fault.Gone:
		return over(r, err)
	case r.WantsJSON():
		return err
	}
	return p.stepPage(r, step, kind, err)
}

// answer takes the answer of a second factor.
func (p *plug) answer(r *web.Request) error {
	kind := r.Value("kind")
	if kind == "" { // a program need not say it where there is one
		if pending, err := p.accounts.Pending(r.Context(), pendingSignIn(r)); err == nil && len(pending.Factors) > 0 {
			kind = pending.Factors[0].Kind
		}
	}
	o, err := p.accounts.Answer(r.Context(), r.Subject, pendingSignIn(r), account.Answer{
		Kind: kind, Code: secret.Of(r.Value("code")), Passkey: []byte(r.Value("passkey")), Remember: r.Value("remember") != "",
	})
	if err != nil {
		return p.notTaken(r, account.StepFactor, kind, err)
	}
	return proceed(r, o, p.signInData(r).next())
}

// sendCode sends the code of a factor that has to be sent.
func (p *plug) sendCode(r *web.Request) error {
	kind := r.Value("kind")
	err := p.accounts.SendCode(r.Context(), r.Subject, pendingSignIn(r), kind)
	if err != nil {
		return p.notTaken(r, account.StepFactor, kind, err)
	}
	return r.See(withReturn(pathCode, r.ReturnTo(""), "with", kind, "sent", "1"))
}

// renewData is what the page of another password shows.
type renewData struct {
	account.Pending
	ReturnTo string
	choosing
}

func (p *plug) showRenew(r *web.Request) error {
	return p.stepPage(r, account.StepPassword, "", nil)
}

func (p *plug) renew(r *web.Request) error {
	o, err := p.accounts.Renew(r.Context(), r.Subject, pendingSignIn(r), secret.Of(r.Value("password")))
	if err != nil {
		return p.notTaken(r, account.StepPassword, "", err)
	}
	return proceed(r, o, p.signInData(r).next())
}
