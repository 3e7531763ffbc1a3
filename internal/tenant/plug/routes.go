package plug

import (
	"net/http"

	"troth/internal/tenant"
	"troth/internal/web"
)

const (
	get  = http.MethodGet
	post = http.MethodPost

	byLink = "the link in the mail is the permission; it shows the invitation and changes nothing"
)

// example values for the authorization matrix: identifiers of nothing.
var (
	nobody  = map[string]string{"account": "acc_00000000000000000000000000"}
	nothing = map[string]string{"invitation": "inv_00000000000000000000000000"}
	noToken = map[string]string{"token": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}
)

func (p plug) routes() []web.Route {
	return []web.Route{
		{Method: get, Path: "/-/org/{$}", Needs: tenant.PermOwn, Handle: p.overview, Doc: "The organisation in which you work, or the offer to create one."},
		{Method: get, Path: "/-/org/new", Needs: tenant.PermCreate, Handle: p.newPage, Doc: "The form for a new organisation."},
		{Method: post, Path: "/-/org/new", Needs: tenant.PermCreate, Handle: p.create, Doc: "Create an organisation; whoever creates it is its owner."},
		{Method: get, Path: "/-/org/name", Needs: tenant.PermRename, Handle: p.namePage, Doc: "The form for another name."},
		{Method: post, Path: "/-/org/name", Needs: tenant.PermRename, Handle: p.rename, Doc: "Rename the organisation."},
		{Method: get, Path: "/-/org/roles", Needs: tenant.PermRead, Handle: p.roles, Doc: "What each role may do, and why you may what you may."},
		{Method: get, Path: "/-/org/security", Recent: true, Needs: tenant.PermPolicy, Handle: p.security, Doc: "What the organisation asks of signing in, and who lacks a second factor."},
		{Method: post, Path: "/-/org/security", Recent: true, Needs: tenant.PermPolicy, Handle: p.decide, Doc: "Ask for a second factor (factor, grace in days, forgets), or not any more."},
		{Method: get, Path: "/-/org/leave", Recent: true, Needs: tenant.PermLeave, Handle: p.leavePage, Doc: "What it means to leave."},
		{Method: post, Path: "/-/org/leave", Recent: true, Needs: tenant.PermLeave, Handle: p.leave, Doc: "Give up your role in the organisation."},

		{Method: get, Path: "/-/org/people", Needs: tenant.PermPeople, Handle: p.people, Doc: "Who is in the organisation, and who is invited."},
		{Method: get, Path: "/-/org/people/{account}", Needs: tenant.PermPeople, Handle: p.person, Doc: "One person of the organisation.", Example: nobody},
		{Method: post, Path: "/-/org/people/{account}", Recent: true, Needs: tenant.PermRole, Handle: p.changeRole, Doc: "Give a person another role, at most your own.", Example: nobody},
		{Method: get, Path: "/-/org/people/{account}/remove", Recent: true, Needs: tenant.PermRemove, Handle: p.removePage, Doc: "What it means to remove a person.", Example: nobody},
		{Method: post, Path: "/-/org/people/{account}/remove", Recent: true, Needs: tenant.PermRemove, Handle: p.remove, Doc: "Remove a person from the organisation.", Example: nobody},

		{Method: get, Path: "/-/org/invite", Recent: true, Needs: tenant.PermInvite, Handle: p.invitePage, Doc: "The form for an invitation."},
		{Method: post, Path: "/-/org/invite", Recent: true, Needs: tenant.PermInvite, Handle: p.invite, Doc: "Invite somebody by e-mail with a role, at most your own.", Cost: "mail"},
		{Method: post, Path: "/-/org/invitations/{invitation}/resend", Needs: tenant.PermInvite, Handle: p.resend, Doc: "Mail an invitation again with a new link.", Cost: "mail", Example: nothing},
		{Method: post, Path: "/-/org/invitations/{invitation}/revoke", Needs: tenant.PermInvite, Handle: p.revoke, Doc: "End an invitation.", Example: nothing},

		{Method: get, Path: "/-/invitations/{token}", Public: byLink, Redact: true, Handle: p.invitation, Doc: "An invitation, as whoever was sent it sees it.", Example: noToken},
		{Method: post, Path: "/-/invitations/{token}", Needs: tenant.PermJoin, Redact: true, Handle: p.accept, Doc: "Accept an invitation.", Example: noToken},

		// Choosing one is POST /-/switch of package account, because the choice is the session's.
		{Method: get, Path: "/-/switch", Needs: tenant.PermOwn, Handle: p.choose, Doc: "The organisations between which you can switch."},
	}
}
