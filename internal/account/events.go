package account

import (
	"troth/internal/access"
	"troth/internal/audit"
	"troth/internal/id"
)

// The names of the events.
const (
	evAsked        = "account.sign_up_asked"
	evAskedTaken   = "account.sign_up_taken"
	evAskedRefused = "account.sign_up_refused"
	evSignedUp     = "account.signed_up"
	evConfirmed    = "account.address_confirmed"
	evLinkFailed   = "account.link_failed"
	evSignedIn     = "account.signed_in"
	evSignInFailed = "account.sign_in_failed"
	evSignInGoes   = "account.sign_in_continues"
	evChallenged   = "account.factor_asked"
	evFactorUsed   = "account.factor_used"
	evFactorFailed = "account.factor_failed"
	evAgain        = "account.proven_again"
	evAgainFailed  = "account.proving_failed"
	evSignedOut    = "account.signed_out"
	evPassword     = "account.password_changed"
	evPasswordFail = "account.password_change_failed"
	evResetAsked   = "account.reset_asked"
	evResetUnknown = "account.reset_unknown"
	evReset        = "account.password_reset"
	evRenewed      = "account.password_renewed"
	evRenamed      = "account.renamed"
	evEnded        = "account.session_ended"
	evEndedAll     = "account.sessions_ended"
	evRaised       = "account.sessions_ended_raised"
	evForgotten    = "account.browser_made_forgotten"
	evNewBrowser   = "account.new_browser"
	evTravel       = "account.impossible_travel"
	evAlert        = "account.impossible_travel_alert"
	evStopped      = "account.session_stopped"
	evSwitched     = "account.tenant_switched"
	evLost         = "account.tenant_lost"
	evBarred       = "account.tenant_barred"
	evLifetime     = "account.session_lifetime_set"
	evAdmission    = "account.admission_issued"
	evRecovery     = "account.recovery_issued"
	evDestroyed    = "account.destroyed"
	evCalibrated   = "account.cost_calibrated"
	evPeppered     = "account.pepper_rotated"
	evImported     = "account.imported"

	evAddressAsked     = "account.address_asked"
	evAddressAgreed    = "account.address_agreed"
	evAddressStopped   = "account.address_stopped"
	evAddressChanged   = "account.address_changed"
	evAddressUndone    = "account.address_undone"
	evRecoveryLink     = "account.recovery_link_asked"
	evRecoveryUnknown  = "account.recovery_unknown"
	evRecoveryAsked    = "account.recovery_asked"
	evRecoveryStopped  = "account.recovery_stopped"
	evRecoveryReady    = "account.recovery_ready"
	evRecovered        = "account.recovered"
	evRescue           = "account.rescue_issued"
	evRecoveryOpened   = "account.recovery_opened"
	evRecoveryApproved = "account.recovery_approved"
	evRecoveryRefused  = "account.recovery_refused"
	evDeactivated      = "account.deactivated"
	evReactivated      = "account.reactivated"
	evSuspended        = "account.suspended"
	evUnsuspended      = "account.unsuspended"
	evStaffAdded       = "account.staff_added"
	evStaffRemoved     = "account.staff_removed"
	evExposed          = "account.password_exposed"
	evAlerted          = "account.exposed_told"
	evSwept            = "account.pairs_swept"
)

// Events are the types of events that this package writes.
var Events = append(guessEvents, []audit.Type{
	{Name: evAsked, Sentence: "{actor} asked to sign up"},
	{Name: evAskedTaken, Sentence: "{actor} asked to sign up with the address of this account; its owner was told by mail", Outcome: audit.Denied},
	{Name: evAskedRefused, Sentence: "{actor} asked to sign up; it was refused: {reason}", Outcome: audit.Denied},
	{Name: evSignedUp, Sentence: "{actor} signed up"},
	{Name: evConfirmed, Sentence: "{actor} confirmed the e-mail address"},
	{Name: evLinkFailed, Sentence: "{actor} opened a link that is used up, expired or was never made", Outcome: audit.Failure},
	{Name: evSignedIn, Sentence: "{actor} signed in from {ip}"},
	{Name: evSignInFailed, Sentence: "{actor} tried to sign in from {ip}; it was refused: {reason}", Outcome: audit.Failure},
	{Name: evSignInGoes, Sentence: "{actor} gave the right password from {ip}; the sign-in waits for the step {step}"},
	{Name: evChallenged, Sentence: "{actor} asked for a second factor of the kind {kind}"},
	{Name: evFactorUsed, Sentence: "{actor} gave a second factor of the kind {kind}"},
	{Name: evFactorFailed, Sentence: "{actor} tried to sign in from {ip} with the right password and a wrong second factor of the kind {kind}", Outcome: audit.Failure},
	{Name: evAgain, Sentence: "{actor} gave the password or a second factor again, before something sensitive"},
	{Name: evAgainFailed, Sentence: "{actor} gave something wrong when asked again before something sensitive: {kind}", Outcome: audit.Failure},
	{Name: evSignedOut, Sentence: "{actor} signed out"},
	{Name: evPassword, Sentence: "{actor} changed the password; other sessions ended: {sessions}"},
	{Name: evPasswordFail, Sentence: "{actor} tried to change the password and gave a wrong present one", Outcome: audit.Failure},
	{Name: evResetAsked, Sentence: "{actor} asked for a link to reset the password"},
	{Name: evResetUnknown, Sentence: "{actor} asked to reset the password of an address without an account", Outcome: audit.Failure},
	{Name: evReset, Sentence: "{actor} set a new password by a link; sessions ended: {sessions}"},
	{Name: evRenewed, Sentence: "{actor} had to set another password to sign in; sessions ended: {sessions}"},
	{Name: evRenamed, Sentence: "{actor} changed the name"},
	{Name: evEnded, Sentence: "{actor} ended a session"},
	{Name: evEndedAll, Sentence: "{actor} ended sessions: {sessions}"},
	{Name: evRaised, Sentence: "{actor} gave this account more power in an organisation, so that it has to sign in again; sessions ended: {sessions}"},
	{Name: evForgotten, Sentence: "{actor} made a browser forgotten that had signed in before"},
	{Name: evNewBrowser, Sentence: "{actor} signed in from {ip} in a browser that was not known; told by mail: {told}"},
	{Name: evTravel, Sentence: "{actor} signed in from {ip}, further from the last use than anybody travels meanwhile ({distance} in {time}); told by mail: {told}"},
	{Name: evAlert, Sentence: "{actor} signed in from {ip} although the account was used {time} before at a place {distance} away: somebody else may have the password"},
	{Name: evStopped, Sentence: "{actor} ended a session by the link of a mail that told of it"},
	{Name: evSwitched, Sentence: "{actor} went on in another organisation"},
	{Name: evLost, Sentence: "{actor} sent a form of an organisation after the role there had ended, so nothing was done", Outcome: audit.Denied},
	{Name: evBarred, Sentence: "{actor} sent a form of an organisation that lets in only who used a second factor, so nothing was done", Outcome: audit.Denied},
	{Name: evLifetime, Sentence: "{actor} set how long sessions of the account live: {idle} without use, {absolute} at most"},
	{Name: evAdmission, Sentence: "{actor} issued a link with which one person signs up as {as}"},
	{Name: evRecovery, Sentence: "{actor} issued a recovery link; sessions ended: {sessions}"},
	{Name: evDestroyed, Sentence: "{actor} destroyed the account; sessions ended: {sessions}"},
	{Name: evAddressAsked, Sentence: "{actor} asked to change the e-mail address"},
	{Name: evAddressAgreed, Sentence: "{actor} agreed to the change of the e-mail address, from the {mailbox} mailbox"},
	{Name: evAddressStopped, Sentence: "{actor} stopped the change of the e-mail address, from the {mailbox}"},
	{Name: evAddressChanged, Sentence: "{actor} changed the e-mail address ({how}); sessions ended: {sessions}"},
	{Name: evAddressUndone, Sentence: "{actor} undid the change of the e-mail address from the old mailbox; sessions ended: {sessions}"},
	{Name: evRecoveryLink, Sentence: "{actor} asked for a link to recover the account"},
	{Name: evRecoveryUnknown, Sentence: "{actor} asked for a link to recover an account that does not exist", Outcome: audit.Failure},
	{Name: evRecoveryAsked, Sentence: "{actor} asked to recover the account without its second factor; it waits until {until}"},
	{Name: evRecoveryStopped, Sentence: "{actor} stopped the recovery of the account, by {how}"},
	{Name: evRecoveryReady, Sentence: "{actor} mailed the link that finishes the recovery, after the waiting time"},
	{Name: evRecovered, Sentence: "{actor} recovered the account: second factors removed, a new password set; sessions ended: {sessions}"},
	{Name: evRescue, Sentence: "{actor} issued a recovery link that removes the second factors; sessions ended: {sessions}"},
	{Name: evRecoveryOpened, Sentence: "{actor} opened a recovery of the account: {reason}"},
	{Name: evRecoveryApproved, Sentence: "{actor} approved the recovery of the account; it waits until {until}"},
	{Name: evRecoveryRefused, Sentence: "{actor} refused the recovery of the account"},
	{Name: evDeactivated, Sentence: "{actor} deactivated the account; sessions ended: {sessions}"},
	{Name: evReactivated, Sentence: "{actor} reactivated the account by signing in"},
	{Name: evSuspended, Sentence: "{actor} suspended the account: {reason}; sessions ended: {sessions}"},
	{Name: evUnsuspended, Sentence: "{actor} made the account active again: {reason}"},
	{Name: evStaffAdded, Sentence: "{actor} made this account staff for support; sessions ended: {sessions}"},
	{Name: evStaffRemoved, Sentence: "{actor} ended the work of this account as staff; sessions ended: {sessions}"},
	{Name: evExposed, Sentence: "{actor} found the password of the account {where}; another one has to be set at the next sign-in, and its holder was told; sessions ended: {sessions}", Outcome: audit.Failure},
	{Name: evAlerted, Sentence: "{actor} told those who watch ({people} addresses) of accounts whose passwords were found in a breach: {accounts}", Outcome: audit.Failure},
	{Name: evSwept, Sentence: "{actor} compared stolen credentials with the accounts: {pairs} pairs, of which {accounts} are of addresses that have one"},
	{Name: evCalibrated, Sentence: "{actor} calibrated the cost of password hashes: {cost} takes {took}, aimed at {aim}"},
	{Name: evPeppered, Sentence: "{actor} made version {version} of the pepper of passwords"},
	{Name: evImported, Sentence: "{actor} imported the account with its password from {from}"},
}...)

// event is an event about an account, in the activity of its home.
func (a *Accounts) event(name string, by access.Subject, about person, metadata map[string]string) audit.Event {
	e := audit.Event{
		Type: name, Tenant: about.home, Actor: by.Actor(), Context: by.Context,
		Metadata: metadata, OccurredAt: a.now(),
	}
	if about.account != "" {
		e.Targets = []audit.Target{{Kind: "account", ID: string(about.account), Person: about.account}}
	}
	return e
}

// self is the actor of what the holder of an account did before anybody was
// signed in: with a password or a link that only the holder has.
func self(a id.Account) audit.Actor {
	return audit.Actor{Kind: audit.KindPerson, Account: a}
}
