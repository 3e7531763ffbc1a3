package tenant

import "troth/internal/access"

// The permissions of this package. What each role needs for its work and no
// more (NIST SP 800-53r5 AC-6):
//
//	                     owner  admin  member  viewer
//	tenant.read            ×      ×      ×       ×     the name, the own role, the table of roles
//	tenant.leave           ×      ×      ×       ×     give up the own role
//	tenant.people          ×      ×      ×             who is here, with which role
//	tenant.invite          ×      ×                    invite, see, resend, revoke; up to the own role
//	tenant.role            ×      ×                    change the role of people not above the own one
//	tenant.remove          ×      ×                    remove people not above the own role
//	tenant.rename          ×      ×
//	tenant.policy          ×                           ask for a second factor, see who lacks one
//	tenant.delete          ×                           destroy the organisation and its key
//
// Every signed-in person may create an organisation (tenant.create), see the
// own ones and switch between them (tenant.own), and answer an invitation
// (tenant.join). Staff may count tenants (platform.tenants), which shows no
// name, no person and no content.
const (
	PermRead   access.Permission = "tenant.read"
	PermLeave  access.Permission = "tenant.leave"
	PermPeople access.Permission = "tenant.people"
	PermInvite access.Permission = "tenant.invite"
	PermRole   access.Permission = "tenant.role"
	PermRemove access.Permission = "tenant.remove"
	PermRename access.Permission = "tenant.rename"
	PermPolicy access.Permission = "tenant.policy"
	PermDelete access.Permission = "tenant.delete"

	PermCreate access.Permission = "tenant.create"
	PermOwn    access.Permission = "tenant.own"
	PermJoin   access.Permission = "tenant.join"

	PermPlatform access.Permission = "platform.tenants"
)

// Grants registers the permissions.
func Grants() []access.Grant {
	return []access.Grant{
		{Permission: PermRead, Doc: "see the organisation and what its roles mean", Roles: access.AtLeast(access.Viewer)},
		{Permission: PermLeave, Doc: "leave the organisation", Roles: access.AtLeast(access.Viewer)},
		{Permission: PermPeople, Doc: "see who is in the organisation", Roles: access.AtLeast(access.Member)},
		{Permission: PermInvite, Doc: "invite people", Roles: access.AtLeast(access.Admin)},
		{Permission: PermRole, Doc: "change the roles of people", Roles: access.AtLeast(access.Admin)},
		{Permission: PermRemove, Doc: "remove people", Roles: access.AtLeast(access.Admin)},
		{Permission: PermRename, Doc: "rename the organisation", Roles: access.AtLeast(access.Admin)},
		{Permission: PermPolicy, Doc: "decide what signing in has to prove", Roles: access.AtLeast(access.Owner)},
		{Permission: PermDelete, Doc: "delete the organisation", Roles: access.AtLeast(access.Owner)},
		{Permission: PermCreate, Doc: "create an organisation", Self: true},
		{Permission: PermOwn, Doc: "see and switch between your organisations", Self: true},
		{Permission: PermJoin, Doc: "answer an invitation that was sent to you", Self: true},
		{Permission: PermPlatform, Doc: "see how many organisations there are", Staff: true},
	}
}

// mayInvite is the lowest role with which an invitation can be made. An
// invitation does not outlive this standing of whoever made it.
const mayInvite = access.Admin
