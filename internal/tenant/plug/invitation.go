package plug

import (
	"context"

	"troth/internal/access"
	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/tenant"
	"troth/internal/text"
	"troth/internal/web"
)

// form is the data of the invitation form.
type form struct{ Roles []web.Option }

func (p plug) invitePage(r *web.Request) error {
	return r.Page("tenant/invite", titleInvite, form{options(r.Subject.Role)})
}

func (p plug) invite(r *web.Request) error {
	_, err := p.Tenants.Invite(r.Context(), r.Subject, r.Subject.Tenant, r.Value("email"), access.Role(r.Value("role")))
	if err != nil {
		return r.FormPage("tenant/invite", titleInvite, form{options(r.Subject.Role)}, err)
	}
	r.Flash(text.New("The invitation is on its way. The link in it works for seven days."))
	return r.See("/-/org/people")
}

func (p plug) resend(r *web.Request) error {
	return p.onInvitation(r, p.Tenants.Resend, "The invitation was mailed again. The link in the earlier mail no longer works.")
}

func (p plug) revoke(r *web.Request) error {
	return p.onInvitation(r, p.Tenants.Revoke, "The invitation was revoked. Its link no longer works.")
}

// doing is what can be done to an invitation that waits.
type doing func(ctx context.Context, by access.Subject, in id.Tenant, invitation id.Invitation) error

// onInvitation does something to the invitation that the path names.
func (p plug) onInvitation(r *web.Request, do doing, done string) error {
	invitation, err := id.Parse[id.Invitation](r.PathValue("invitation"))
	if err != nil {
		return err
	}
	if err := do(r.Context(), r.Subject, r.Subject.Tenant, invitation); err != nil {
		return err
	}
	r.Flash(text.New(done))
	return r.See("/-/org/people")
}

// invitation is what the link in the mail shows: the GET of a mail scanner
// changes nothing.
func (p plug) invitation(r *web.Request) error { return p.showInvitation(r, nil) }

func (p plug) showInvitation(r *web.Request, refusal error) error {
	token := r.PathValue("token")
	s, err := p.Tenants.Look(r.Context(), r.Subject, token)
	if err != nil {
		return err
	}
	return r.FormPage("tenant/invitation", text.New("Invitation to %s", s.Tenant), struct {
		tenant.Summary
		As             text.Text
		SignIn, SignUp string
	}{s, s.Role.Text(), web.SignInPath(tenant.InvitationPath + token), signUpPath(token)}, refusal)
}

// accept joins, and goes there.
func (p plug) accept(r *web.Request) error {
	joined, err := p.Tenants.Accept(r.Context(), r.Subject, r.PathValue("token"))
	if err != nil {
		if expected(err, fault.Conflict) != nil {
			return p.showInvitation(r, err)
		}
		return err
	}
	if err := p.Switcher.Switch(r.Context(), r.Subject, joined); err != nil {
		// The person has joined, and is told so: only going there did not work.
		r.Flash(text.New("You have joined. Choose the organisation in the menu at the top to work in it."))
		return r.See("/-/switch")
	}
	r.Flash(text.New("Welcome. You work in this organisation now; the menu at the top leads back to your other ones."))
	return r.See("/-/org/")
}
