package account

import (
	"time"

	"troth/internal/mail"
	"troth/internal/secret"
	"troth/internal/store"
	"troth/internal/text"
)

// The mails of recoveries, of changes of address and of accounts that rest.
// Each change of a credential is told to every address that the account has, or
// had until lately (OWASP ASVS 5.0, 6.3.7; SP 800-63B-4, 4.2.3).

var notYours = text.New("If this was not you, somebody else gets into your account or your mailbox: reset the password now, and tell whoever runs this service.")

// on writes a time as people who read mail in any zone can take it.
func on(at time.Time) text.Text { return text.New("%s", at.UTC().Format("2 January 2006, 15:04 UTC")) }

func (a *Accounts) regainLetter(to string, about person, token secret.String) mail.Message {
	return a.letter("account.regain", to, about,
		text.New("Recover your account"),
		text.New("Somebody asked to recover your account at %s, because the password alone does not open it and its second factor is lost. If it was you, open this link. It can be used once, within %s.", a.Origin, Spell(a.Config.ResetLife.D())),
		line(a.URL(PathRecover, token).Reveal()),
		text.New("Do you have a recovery code or another device that is signed in? That is faster: sign in with the code, or change the second factor there."),
		notAsked,
	)
}

// notAloneLetter goes to staff instead of a link.
func (a *Accounts) notAloneLetter(to string, about person) mail.Message {
	return a.letter("account.not_alone", to, about,
		text.New("Your account is not recovered by mail"),
		text.New("Somebody asked to recover your account at %s. You are staff there, so a mail is not enough: ask two other members of staff, or the operator on the host.", a.Origin),
		text.New("If this was not you, there is nothing to do."),
	)
}

func (a *Accounts) recoveryWaitsLetter(to string, about person, v recovery, token secret.String) mail.Message {
	who := text.New("Somebody who can read your mail asked to remove the second factor of your account at %s and to set a new password.", a.Origin)
	if v.kind == recoverStaff {
		who = text.New("The staff of %s were asked to help to recover your account: its second factor would be removed and a new password set. Two of them agreed.", a.Origin)
	}
	return a.letter("account.recovery_waits", to, about,
		text.New("Your account is about to be recovered"),
		who,
		text.New("This can be done from %s on, and not before. Until then nothing changes.", on(store.FromMicros(v.dueAt))),
		text.New("If it was not you, stop it: open this link and press the button. Signing in with your second factor stops it too."),
		line(a.URL(PathKeep, token).Reveal()),
	)
}

func (a *Accounts) recoveryReadyLetter(to string, about person, token secret.String) mail.Message {
	return a.letter("account.recovery_ready", to, about,
		text.New("You can recover your account now"),
		text.New("The waiting time of the recovery of your account at %s is over. With this link you set a new password, and the second factor is removed. It can be used once, within %s; for a week you can ask for another one.", a.Origin, Spell(regainLife)),
		line(a.URL(PathRecover, token).Reveal()),
		text.New("If you have changed your mind, do nothing: sign in as usual, and it is called off."),
	)
}

func (a *Accounts) recoveryStoppedLetter(to string, about person) mail.Message {
	return a.letter("account.recovery_stopped", to, about,
		text.New("The recovery of your account was stopped"),
		text.New("Nothing was changed in your account at %s. If you are still locked out, ask for the recovery again.", a.Origin),
		text.New("If you never asked for it, somebody else reads your mail: change the password of your mailbox."),
	)
}

func (a *Accounts) recoveredLetter(to string, about person) mail.Message {
	return a.letter("account.recovered", to, about,
		text.New("Your account was recovered"),
		text.New("The second factor of your account at %s was removed, a new password was set, and every session was ended.", a.Origin),
		text.New("Sign in with the new password, set up a second factor again, and keep the recovery codes."),
		notYours,
		line(a.Origin+"/-/reset"),
	)
}

func (a *Accounts) addressNewLetter(to string, about person, token secret.String) mail.Message {
	return a.letter("account.address_new", to, about,
		text.New("Is this the new address of your account?"),
		text.New("Somebody asked to make this the address of an account at %s. If it was you, open this link and press the button. It can be used once, within %s.", a.Origin, Spell(addressLife)),
		line(a.URL(PathAddress, token).Reveal()),
		text.New("The address changes when the present one has agreed as well."),
		notAsked,
	)
}

func (a *Accounts) addressOldLetter(to string, p pendingAddress, token secret.String) mail.Message {
	asks := text.New("The address changes when both this mailbox and the new one have agreed, within %s: open this link, and agree or stop it.", Spell(addressLife))
	if p.dueAt != 0 {
		asks = text.New("Whoever asked says that this mailbox is out of reach. So the address changes on %s, unless you stop it: open this link, and agree or stop it.", on(store.FromMicros(p.dueAt)))
	}
	return a.letter("account.address_old", to, p.person,
		text.New("The address of your account is about to change"),
		text.New("Somebody who is signed in to your account at %s asked to change its address from this one to another.", a.Origin),
		asks,
		line(a.URL(PathAddress, token).Reveal()),
		text.New("If it was not you, somebody else is signed in to your account: stop it with the link, then reset the password."),
	)
}

func (a *Accounts) addressTakenLetter(to string, about person) mail.Message {
	return a.letter("account.address_taken", to, about,
		text.New("Your address was given for another account"),
		text.New("Somebody asked to make this the address of another account at %s. It is the address of yours, so nothing was changed.", a.Origin),
		text.New("If it was you: one address belongs to one account. Change the address of this account first, or destroy it."),
		text.New("If it was not you, there is nothing to do."),
	)
}

func (a *Accounts) addressStoppedLetter(to string, about person) mail.Message {
	return a.letter("account.address_stopped", to, about,
		text.New("The address of your account stays"),
		text.New("A change of the address of your account at %s was stopped. Nothing was changed.", a.Origin),
		notYours,
		line(a.Origin+"/-/reset"),
	)
}

func (a *Accounts) addressChangedLetter(to string, about person) mail.Message {
	return a.letter("account.address_changed", to, about,
		text.New("This is the address of your account now"),
		text.New("The address of your account at %s was changed to this one. Sign in with it from now on. Other sessions were ended.", a.Origin),
		text.New("For a week the former address is told what happens to the account, and can undo the change."),
	)
}

// addressOldGoneLetter goes to the address that was replaced; with a token it
// can undo that.
func (a *Accounts) addressOldGoneLetter(to string, about person, token secret.String) mail.Message {
	paragraphs := []text.Text{text.New("The address of your account at %s was changed from this one to another. Other sessions were ended.", a.Origin)}
	if !token.IsZero() {
		paragraphs = append(paragraphs,
			text.New("If it was not you, undo it: open this link and press the button. It can be used once, within %d days. The account has this address again, every session ends, and you set a new password.", int(pastLife/(24*time.Hour))),
			line(a.URL(PathUndo, token).Reveal()))
	}
	return a.letter("account.address_replaced", to, about, text.New("The address of your account was changed"), paragraphs...)
}

// addressAgainLetter goes to addresses that were replaced before.
func (a *Accounts) addressAgainLetter(to string, about person) mail.Message {
	return a.letter("account.address_again", to, about,
		text.New("The address of your account was changed again"),
		text.New("Your account at %s, which had this address until lately, was moved to another one again. Other sessions were ended.", a.Origin),
		text.New("If it was not you, undo it with the link in the mail that told you of the first change: it takes back what came after it, too."),
	)
}

func (a *Accounts) addressUndoneLetter(to string, about person) mail.Message {
	return a.letter("account.address_undone", to, about,
		text.New("A change of the address of your account was undone"),
		text.New("Your account at %s has the address again that it had before. Every session was ended.", a.Origin),
		text.New("If it was not you, tell whoever runs this service at once. A second factor, if you have one, is still asked for."),
	)
}

func (a *Accounts) deactivatedLetter(to string, about person) mail.Message {
	return a.letter("account.deactivated", to, about,
		text.New("Your account was deactivated"),
		text.New("Your account at %s rests from now on, and every session was ended. Nothing was deleted. To come back, sign in as usual.", a.Origin),
		notYours,
		line(a.Origin+"/-/reset"),
	)
}

func (a *Accounts) suspendedLetter(to string, about person) mail.Message {
	return a.letter("account.suspended", to, about,
		text.New("Your account was suspended"),
		text.New("The operator of %s suspended your account, and every session was ended. Nothing was deleted. You cannot sign in until the operator brings it back.", a.Origin),
		text.New("To learn why, ask whoever runs this service."),
	)
}

func (a *Accounts) reactivatedLetter(to string, about person) mail.Message {
	return a.letter("account.reactivated", to, about,
		text.New("Your account is active again"),
		text.New("Your account at %s can be used as before.", a.Origin),
		notYours,
		line(a.Origin+"/-/reset"),
	)
}

func (a *Accounts) staffLetter(staff Staff) func(to string, about person) mail.Message {
	is := text.New("The operator of %s made you staff for support. Staff sign in with a passkey. Every session was ended.", a.Origin)
	if staff == StaffNone {
		is = text.New("The operator of %s ended your work as staff. Your account stays, and every session was ended.", a.Origin)
	}
	return func(to string, about person) mail.Message {
		return a.letter("account.staff", to, about,
			text.New("What you may do has changed"),
			is,
			text.New("If this comes as a surprise, tell whoever runs this service."),
		)
	}
}
