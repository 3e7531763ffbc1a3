package plug

import (
	"time"

	"troth/internal/access"
	"troth/internal/account"
	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/secret"
	"troth/internal/text"
	"troth/internal/web"
)

var (
	titleAskRecover = text.New("Recover your account")
	titleRecover    = text.New("Recover your account")
	titleKeep       = text.New("Stop the recovery of your account")
	titleStaff      = text.New("Recoveries")
)

const (
	pathStaffRecovery = "/-/staff/recovery"
	pathStaffUnlock   = "/-/staff/unlock" // a button of that page
)

func (p *plug) showAskRecover(r *web.Request) error {
	return r.Page("account/ask_recover", titleAskRecover, p.delay())
}

// delay is how long a recovery waits, in words.
func (p *plug) delay() text.Text { return account.Spell(p.config.RecoveryDelay.D()) }

func (p *plug) askRecover(r *web.Request) error {
	if err := p.accounts.AskRecovery(r.Context(), r.Subject, r.Value("email")); err != nil {
		return r.FormPage("account/ask_recover", titleAskRecover, p.delay(), err)
	}
	return r.See("/-/recover/sent")
}

func (p *plug) sentRecover(r *web.Request) error {
	return r.Notice(web.Notice{Title: text.New("Look into your mailbox"), Icon: "mail", Text: []text.Text{
		text.New("If there is an account with this address, a mail with a link is on its way. The link lives for %s.", account.Spell(p.config.ResetLife.D())),
		text.New("Nothing has come after some minutes? Look into the folder for spam, or ask again."),
	}})
}

// recoverData is what the page of a mailed link of a recovery shows.
type recoverData struct {
	account.Recovery
	Wait text.Text // how long it waits
	choosing
}

func (p *plug) showRecover(r *web.Request) error { return p.recoverPage(r, nil) }

func (p *plug) recoverPage(r *web.Request, refusal error) error {
	v, err := p.accounts.PeekRecovery(r.Context(), token(r))
	if err != nil {
		return err
	}
	d := recoverData{v, p.delay(), p.choosing(r, account.Choice{Link: token(r)})}
	if refusal != nil {
		d.weigh(p, r, account.Choice{Link: token(r)}, refusal)
	}
	return r.FormPage("account/recover", titleRecover, d, refusal)
}

// recover asks for the recovery, or finishes one whose time has come: the form
// says which by its field for a password.
func (p *plug) recover(r *web.Request) error {
	if !r.Form.Has("password") {
		due, err := p.accounts.BeginRecovery(r.Context(), r.Subject, token(r))
		if err != nil {
			return err
		}
		return r.Notice(web.Notice{Title: text.New("The recovery waits"), Icon: "session", Text: []text.Text{
			text.New("From %s on you can set a new password, without the second factor. A mail with a link comes then.", onDay(due)),
			text.New("Until then nothing changes. We write to you today and every day, so that nobody can do this without your knowing; each mail has a link that stops it."),
			text.New("If you find a recovery code or the lost device, sign in: that stops the recovery."),
		}})
	}
	err := p.accounts.FinishRecovery(r.Context(), r.Subject, token(r), secret.Of(r.Value("password")))
	if fault.KindOf(err) == fault.Invalid {
		return p.recoverPage(r, err)
	}
	if err != nil {
		return err
	}
	signOut(r)
	r.Flash(text.New("Your new password is set and the second factor is removed. Sign in, and set up another one."))
	return r.See("/-/signin")
}

// onDay is a time in words that do not depend on where somebody is.
func onDay(at time.Time) text.Text {
	return text.New("%s", at.UTC().Format("2 January 2006, 15:04 UTC"))
}

func (p *plug) showKeep(r *web.Request) error {
	v, err := p.accounts.PeekRecovery(r.Context(), token(r))
	if err != nil {
		return err
	}
	return r.Page("account/keep", titleKeep, v)
}

func (p *plug) keep(r *web.Request) error {
	if err := p.accounts.StopRecovery(r.Context(), r.Subject, token(r)); err != nil {
		return err
	}
	return r.Notice(web.Notice{Title: text.New("The recovery is stopped"), Icon: "check", Text: []text.Text{
		text.New("Nothing was changed in your account."),
		text.New("If you never asked for it, somebody else can read your mail: change the password of your mailbox now, and then the password here."),
	}, Action: &web.Action{Path: "/-/reset", Label: text.New("Reset the password")}})
}

// stopOwn stops what waits for the own account.
func (p *plug) stopOwn(r *web.Request) error {
	if err := p.accounts.StopOwnRecovery(r.Context(), r.Subject); err != nil {
		return err
	}
	r.Flash(text.New("The recovery is stopped. If you never asked for it, change the passwords of your mailbox and here."))
	return r.See(pathHome)
}

// staffData is what the page of recoveries shows, and its JSON.
type staffData struct {
	Recoveries []account.StaffRecovery `json:"recoveries"`
	Wait       text.Text               `json:"-"`
}

func (p *plug) showStaffRecovery(r *web.Request) error { return p.staffPage(r, nil) }

func (p *plug) staffPage(r *web.Request, refusal error) error {
	list, err := p.accounts.StaffRecoveries(r.Context(), r.Subject)
	if err != nil {
		return err
	}
	d := staffData{list, account.Spell(p.config.StaffRecoveryWait.D())}
	if r.WantsJSON() && refusal == nil {
		return r.JSON(d)
	}
	return r.FormPage("account/staff_recovery", titleStaff, d, refusal)
}

// staffRecovery opens a recovery (email, reason), or approves or refuses one
// (recovery, do).
func (p *plug) staffRecovery(r *web.Request) error {
	if r.Value("recovery") == "" {
		if _, err := p.accounts.OpenRecovery(r.Context(), r.Subject, r.Value("email"), r.Value("reason")); err != nil {
			return p.staffPage(r, err)
		}
		r.Flash(text.New("The recovery is open. It begins to wait when another member of staff approves it."))
		return r.See(pathStaffRecovery)
	}
	which, err := id.Parse[id.Recovery](r.Value("recovery"))
	if err != nil {
		return err
	}
	switch r.Value("do") {
	case "approve":
		due, err := p.accounts.ApproveRecovery(r.Context(), r.Subject, which)
		if err != nil {
			return err
		}
		r.Flash(text.New("Approved. The holder was told, and gets a link on %s unless the recovery is stopped.", onDay(due)))
	case "refuse":
		if err := p.accounts.RefuseRecovery(r.Context(), r.Subject, which); err != nil {
			return err
		}
		r.Flash(text.New("The recovery is refused."))
	default:
		return errDo
	}
	return r.See(pathStaffRecovery)
}

// staffUnlock unlocks an account (email, reason).
func (p *plug) staffUnlock(r *web.Request) error {
	locked, err := p.accounts.UnlockFor(r.Context(), r.Subject, r.Value("email"), r.Value("reason"))
	if err != nil {
		return p.staffPage(r, err)
	}
	if locked {
		r.Flash(text.New("The account is unlocked: its holder can sign in in a new browser. They were told."))
	} else {
		r.Flash(text.New("Nothing was counted at this account, so that nobody was kept out of it. Its holder was told that you unlocked it."))
	}
	return r.See(pathStaffRecovery)
}

var errDo = fault.New(fault.Invalid, "account.do", "Choose what to do: press one of the buttons of the page.").On("do")

// signedIn reports whether somebody is signed in.
func signedIn(r *web.Request) bool { return r.Subject.Kind == access.KindPerson }
