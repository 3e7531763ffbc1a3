package account

import (
	"strings"

	"troth/internal/mail"
	"troth/internal/secret"
	"troth/internal/text"
)

// The mails of this package. Each says why it came and what to do if it was
// not asked for. None repeats what a stranger typed: a mail from here never
// carries somebody else's words.

// letter puts a mail together: paragraphs with an empty line between them. A
// link stands alone on its line.
func (a *Accounts) letter(kind, to string, about person, subject text.Text, paragraphs ...text.Text) mail.Message {
	say := a.Printer
	body := make([]string, len(paragraphs))
	for i, p := range paragraphs {
		body[i] = say.Say(p)
	}
	return mail.Message{
		Kind: kind, To: to, Account: about.account, Tenant: about.home,
		Subject: say.Say(subject), Body: strings.Join(body, "\n\n") + "\n",
	}
}

// line is a paragraph that is not translated: a link.
func line(s string) text.Text { return text.New("%s", s) }

var (
	notAsked = text.New("If this was not you, do nothing. Nothing happens without the link.")
	notYou   = text.New("If this was not you, reset the password now, and tell whoever runs this service.")
)

func (a *Accounts) confirmLetter(in entered, token secret.String) mail.Message {
	return a.letter("account.confirm", in.Email, person{},
		text.New("Confirm your e-mail address"),
		text.New("Somebody signed up at %s with this address.", a.Origin),
		text.New("If it was you, open this link and press the button. It can be used once, within %s. In another browser than the one in which you signed up, you choose the password there.", Spell(a.Config.ConfirmLife.D())),
		line(a.URL(PathConfirm, token).Reveal()),
		notAsked,
	)
}

func (a *Accounts) addressLetter(in entered, about person, token secret.String) mail.Message {
	return a.letter("account.address", in.Email, about,
		text.New("Confirm your e-mail address"),
		text.New("Your account at %s was made. Open this link and press the button, so that the address can be used to reset the password. It can be used once, within %s.", a.Origin, Spell(a.Config.ConfirmLife.D())),
		line(a.URL(PathConfirm, token).Reveal()),
		notAsked,
	)
}

func (a *Accounts) takenLetter(to string, about person) mail.Message {
	return a.letter("account.taken", to, about,
		text.New("You have an account already"),
		text.New("Somebody tried to sign up at %s with this address, which has an account already. Nothing was changed.", a.Origin),
		text.New("If it was you: sign in, or reset the password if you have forgotten it."),
		line(a.Origin+"/-/signin"),
		line(a.Origin+"/-/reset"),
		text.New("If it was not you, there is nothing to do."),
	)
}

func (a *Accounts) resetLetter(to string, about person, token secret.String) mail.Message {
	return a.letter("account.reset", to, about,
		text.New("Reset your password"),
		text.New("Somebody asked to reset the password of your account at %s. If it was you, open this link. It can be used once, within %s.", a.Origin, Spell(a.Config.ResetLife.D())),
		line(a.URL(PathReset, token).Reveal()),
		notAsked,
	)
}

func (a *Accounts) changedLetter(to string, about person) mail.Message {
	return a.letter("account.changed", to, about,
		text.New("Your password was changed"),
		text.New("The password of your account at %s was changed, and every other session was ended.", a.Origin),
		notYou,
		line(a.Origin+"/-/reset"),
	)
}

func (a *Accounts) factorLetter(what text.Text) func(to string, about person) mail.Message {
	return func(to string, about person) mail.Message {
		return a.letter("account.factor_changed", to, about,
			text.New("How you sign in was changed"),
			what,
			text.New("It is about your account at %s. Browsers that were remembered ask for a second factor again.", a.Origin),
			notYou,
			line(a.Origin+"/-/reset"),
		)
	}
}

func (a *Accounts) recoveryLetter(to string, about person) mail.Message {
	return a.letter("account.recovery", to, about,
		text.New("A recovery link for your account was issued"),
		text.New("The operator of %s issued a link with which a new password can be set for your account, and ended all of its sessions.", a.Origin),
		text.New("If you did not ask for it, tell whoever runs this service at once."),
	)
}

// unlockLetter tells that strangers have to wait, and the second time that
// waiting does not help them any more.
func (a *Accounts) unlockLetter(to string, about person, g guess, token secret.String) mail.Message {
	so, again := text.New("For a while none is accepted from browsers that are new to your account."), text.New("Otherwise there is nothing to do. If it goes on you get one more mail like this, and then none.")
	if g.policy.shut(g.tally) {
		so, again = text.New("From browsers that are new to your account none is accepted any more until you unlock it."), text.New("Otherwise there is nothing to do. You get no further mail about it.")
	}
	return a.letter("account.unlock", to, about,
		text.New("Somebody is guessing at your account"),
		text.New("Wrong passwords or codes were entered for your account at %s, %d in a row.", a.Origin, g.tally.failures),
		so,
		text.New("Browsers in which you have signed in before go on as always, and nothing was changed."),
		text.New("If you want to sign in in a new browser, open this link in it. It can be used once, within %s.", Spell(unlockLife)),
		line(a.URL(PathUnlock, token).Reveal()),
		again,
	)
}

func (a *Accounts) newBrowserLetter(to string, about person, token secret.String) mail.Message {
	return a.letter("account.new_browser", to, about,
		text.New("Sign in in a new browser"),
		text.New("Somebody asked for a link with which your password is accepted in a new browser at %s, whatever others have tried. If it was you, open this link in that browser. It can be used once, within %s.", a.Origin, Spell(a.Config.ResetLife.D())),
		line(a.URL(PathUnlock, token).Reveal()),
		notAsked,
	)
}

// oddLetter tells of a sign-in that is unlike those before.
func (a *Accounts) oddLetter(to string, about person, told noticed, o odd, how text.Text, token secret.String) mail.Message {
	const moment = "2 January 2006, 15:04 MST"
	subject := text.New("A sign-in in a browser that is new to your account")
	if o.trip != nil {
		subject = text.New("A sign-in from far away")
	}
	paragraphs := []text.Text{
		text.New("Somebody signed in to your account at %s.", a.Origin),
		text.New("Browser: %s\nFrom: %s\nWhen: %s\nHow: %s", told.From.device(), where(a.Atlas.Find(told.From.IP)), told.At.Format(moment), how),
	}
	if o.trip != nil {
		before := o.trip.before
		paragraphs = append(paragraphs, text.New("The account was used last on %s from %s, about %s away. Nobody travels that fast: one of the two was not you, or reached the service through a relay.",
			before.at.UTC().Format(moment), where(a.Atlas.Find(before.from.IP)), kilometres(o.trip.distance)))
	}
	return a.letter("account.notice", to, about, subject, append(paragraphs,
		text.New("If it was you, there is nothing to do."),
		text.New("If it was not you, somebody has your password. Open this link and press the button: it ends that session, and leads you to a new password. It can be used once, within a week."),
		line(a.URL(PathStop, token).Reveal()),
	)...)
}
