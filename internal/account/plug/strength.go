package plug

import (
	"net/http"

	"troth/internal/account"
	"troth/internal/fault"
	"troth/internal/password"
	"troth/internal/secret"
	"troth/internal/text"
	"troth/internal/web"
)

// pathStrength is where a page asks how strong a password is.
const pathStrength = "/-/password/strength"

// weighing is the class of effort of the meter.
const weighing = "meter"

// strengthRoutes are the routes of the meter.
func (p *plug) strengthRoutes() []web.Route {
	return []web.Route{{
		Method: http.MethodPost, Path: pathStrength, Public: "people choose a password before anybody knows them",
		Doc:  "How strong a password is (password=…, and email, name or link of the form), and whether it would be taken. Nothing is kept.",
		Cost: weighing, Redact: true, MaxBody: 32 << 10, Handle: p.strength,
	}}
}

// strengthAnswer is the answer of the meter.
type strengthAnswer struct {
	Score    int    `json:"score"` // 0 to 4
	Says     string `json:"says"`
	Accepted bool   `json:"accepted"`
	Code     string `json:"code,omitempty"` // why not
}

func (p *plug) strength(r *web.Request) error {
	q := account.Choice{Password: secret.Of(r.Value("password")), Email: r.Value("email"), Name: r.Value("name"), Link: secret.Of(r.Value("link"))}
	if r.Value("renews") != "" {
		q.Pending = pendingSignIn(r)
	}
	s, err := p.accounts.Weigh(r.Context(), r.Subject, q)
	if err != nil {
		return err
	}
	a := strengthAnswer{Score: s.Score, Says: r.Text.Say(spoken(s)), Accepted: s.Refused == nil}
	if s.Refused != nil {
		a.Code = s.Refused.Code
	}
	return r.JSON(a)
}

// spoken is the one sentence about a password: why it would be refused, unless
// that is only because there is more to come.
func spoken(s password.Strength) text.Text {
	if s.Refused != nil && s.Refused.Code != password.Short {
		return s.Refused.Message
	}
	return s.Says
}

// choosing is what a page knows on which a password is chosen.
type choosing struct {
	Min   int // characters
	Meter web.Meter
}

func (p *plug) choosing(r *web.Request, q account.Choice) choosing {
	return choosing{
		Min:   p.accounts.Least(r.Context(), r.Subject, q),
		Meter: web.Meter{Path: pathStrength, Of: "f-password", Link: q.Link.Reveal(), Renews: !q.Pending.IsZero()},
	}
}

// weigh puts into the page how strong the password is that was sent: for whoever
// has no scripts. Refusal is what the form is answered with, if it is refused:
// it may be by somebody who is not asked about each letter. Where it cannot be
// told, the page says nothing of it.
func (c *choosing) weigh(p *plug, r *web.Request, q account.Choice, refusal error) {
	if q.Password = secret.Of(r.Value("password")); q.Password.IsZero() {
		return
	}
	s, err := p.accounts.Weigh(r.Context(), r.Subject, q)
	if err != nil {
		return
	}
	if f := fault.As(refusal); f != nil && f.Field == "password" && f.Code != password.Short {
		s = password.Weakest
	}
	c.Meter.Score, c.Meter.Says = s.Score, s.Says
}

// The hints say how long a password has to be.
var (
	hint      = text.New("At least 15 characters, whatever they are: four or five words with spaces between them are good. You will not be asked to change it on a schedule.")
	hintShort = text.New("At least 8 characters, whatever they are, because a second factor is asked for as well. Four or five words with spaces between them are better.")
)

// Hint is the hint of the field.
func (c choosing) Hint() string {
	if c.Min < password.MinLength {
		return hintShort.Format
	}
	return hint.Format
}
