package plug

import (
	"net/http"

	"troth/internal/account"
	"troth/internal/web"
)

// recoverRoutes are those of recoveries, of changes of address, and of accounts
// that rest. To stop something nobody is asked again who they are.
func (p *plug) recoverRoutes() []web.Route {
	const (
		get, post = http.MethodGet, http.MethodPost
		stranger  = "who is locked out is not known yet"
		between   = "whoever began to sign in goes on here: the browser holds the token of it"
		byLink    = "whoever holds the link may use it: it was mailed"
	)
	token := map[string]string{"token": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}
	return []web.Route{
		{Method: get, Path: pathReturn, Public: between, Doc: "Asks whether to reactivate the account, where it was deactivated.", Handle: p.showReturn},
		{Method: post, Path: pathReturn, Public: between, Doc: "Reactivate the account, after everything else was right.", Handle: p.comeBack},
		{Method: get, Path: "/-/recover", Public: stranger, Doc: "The form to ask for the recovery of an account that lost its second factor.", Handle: p.showAskRecover},
		{Method: post, Path: "/-/recover", Public: stranger, Doc: "Ask for a link that begins or finishes a recovery.", Cost: hashing, Handle: p.askRecover},
		{Method: get, Path: "/-/recover/sent", Public: stranger, Doc: "Says that a mail is on its way.", Handle: p.sentRecover},
		{Method: get, Path: account.PathRecover + "{token}", Public: byLink, Doc: "Shows what a recovery would do, or the form that finishes it.", Redact: true, Example: token, Handle: p.showRecover},
		{Method: post, Path: account.PathRecover + "{token}", Public: byLink, Doc: "Ask for a recovery, or finish one with a new password (password).", Cost: hashing, Redact: true, Example: token, Handle: p.recover},
		{Method: get, Path: account.PathKeep + "{token}", Public: byLink, Doc: "Shows the recovery that a link stops.", Redact: true, Example: token, Handle: p.showKeep},
		{Method: post, Path: account.PathKeep + "{token}", Public: byLink, Doc: "Stop a recovery.", Redact: true, Example: token, Handle: p.keep},
		{Method: get, Path: account.PathAddress + "{token}", Public: byLink, Doc: "Shows the change of address that a link is about.", Redact: true, Example: token, Handle: p.showAgree},
		{Method: post, Path: account.PathAddress + "{token}", Public: byLink, Doc: "Agree to a change of address, or stop it (do=agree or do=stop).", Redact: true, Example: token, Handle: p.agree},
		{Method: get, Path: account.PathUndo + "{token}", Public: byLink, Doc: "Shows what undoing a change of address does.", Redact: true, Example: token, Handle: p.showUndo},
		{Method: post, Path: account.PathUndo + "{token}", Public: byLink, Doc: "Undo a change of address.", Redact: true, Example: token, Handle: p.undo},

		{Method: get, Path: "/-/account/address", Needs: permOwn, Recent: true, Doc: "The form to change the own address, and the change that waits, also as JSON.", Handle: p.showAddress},
		{Method: post, Path: "/-/account/address", Needs: permOwn, Recent: true, Doc: "Ask for another address (email, lost=yes without the old mailbox).", Handle: p.changeAddress},
		{Method: post, Path: "/-/account/address/stop", Needs: permOwn, Doc: "Stop the change of the own address.", Handle: p.stopAddress},
		{Method: post, Path: "/-/account/recovery", Needs: permOwn, Doc: "Stop the recovery of the own account.", Handle: p.stopOwn},
		{Method: get, Path: "/-/account/deactivate", Needs: permOwn, Recent: true, Doc: "Asks whether to deactivate the own account.", Handle: p.showDeactivate},
		{Method: post, Path: "/-/account/deactivate", Needs: permOwn, Recent: true, Doc: "Deactivate the own account.", Handle: p.deactivate},
		{Method: get, Path: pathStaffRecovery, Needs: permRecover, Recent: true, Doc: "The recoveries that staff have opened, also as JSON.", Handle: p.showStaffRecovery},
		{Method: post, Path: pathStaffRecovery, Needs: permRecover, Recent: true, Doc: "Open a recovery (email, reason), or approve or refuse one (recovery, do=approve or do=refuse).", Handle: p.staffRecovery},
		{Method: post, Path: pathStaffUnlock, Needs: permUnlock, Recent: true, Doc: "Forget the wrong guesses at an account, so that new browsers need not wait (email, reason).", Handle: p.staffUnlock},
	}
}
