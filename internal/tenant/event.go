package tenant

import "troth/internal/audit"

// Events are the types of events that this package writes.
var Events = []audit.Type{
	{Name: "tenant.founded", Sentence: "{actor} got a personal space"},
	{Name: "tenant.created", Sentence: "{actor} created the organisation"},
	{Name: "tenant.renamed", Sentence: "{actor} renamed the organisation"},
	{Name: "tenant.invited", Sentence: "{actor} invited {address} as {role}"},
	{Name: "tenant.invitation_resent", Sentence: "{actor} sent the invitation for {address} again"},
	{Name: "tenant.invitation_revoked", Sentence: "{actor} revoked the invitation for {address}"},
	{Name: "tenant.invitation_withdrawn", Sentence: "An invitation ended, because whoever made it could not make it any more"},
	{Name: "tenant.joined", Sentence: "{actor} joined as {role}, invited by {target}"},
	{Name: "tenant.role_changed", Sentence: "{actor} changed the role of {target} from {before} to {role}"},
	{Name: "tenant.removed", Sentence: "{actor} removed {target}; the role was {before}"},
	{Name: "tenant.left", Sentence: "{actor} left; the role was {before}"},
	{Name: "tenant.factor_required", Sentence: "{actor} decided that the organisation lets in only who used a second factor, from {from} on"},
	{Name: "tenant.factor_required_always", Sentence: "{actor} decided that the organisation lets in only who used a second factor at that sign-in, from {from} on"},
	{Name: "tenant.factor_optional", Sentence: "{actor} decided that the organisation asks for no second factor any more"},
	{Name: "tenant.plan_set", Sentence: "{actor} put this on the plan {plan}"},
	{Name: "tenant.destroyed", Sentence: "{actor} deleted the organisation"},
	{Name: "tenant.ended", Sentence: "{actor} deleted the organisation {tenant}, with {people} people in it"},
	{Name: "tenant.key_destroyed", Sentence: "The key of the deleted organisation {tenant} was destroyed"},
	{Name: "tenant.closed", Sentence: "The personal space of {actor} ended with the account"},
	{Name: "tenant.refused", Outcome: audit.Denied, Sentence: "{actor} tried what needs {permission} and got a refusal ({reason})"},
}
