package app

import (
	"context"

	"troth/internal/mail"
	"troth/internal/sms"
)

// openMail makes the way out for messages: the canary's stay in this process;
// the others go to the mail server, or, in development without one, to a page.
func (in *Installation) openMail(context.Context) error {
	in.canary = mail.NewCanary(in.now)
	routes := []mail.Route{in.canary.Route()}
	switch {
	case in.set.mail.Configured():
		smtp, err := in.set.mail.SMTP()
		if err != nil {
			return err
		}
		in.smtp = smtp
		routes = append(routes, mail.Route{Transport: smtp})
	case in.set.site.Environment == development:
		in.devMail = mail.NewDevMailbox(in.db, in.keys, in.now)
		routes = append(routes, mail.Route{Transport: in.devMail})
	}
	var err error
	in.mailer, err = mail.New(in.db, in.keys, in.jobs, mail.Options{
		From: in.set.mail.Sender(), Routes: routes, Now: in.now, Log: in.log,
		Failed: func(f mail.Failure) {
			in.log.Error("a message was given up", "mail", f.Mail, "kind", f.Kind, "attempts", f.Attempts, "error", f.Err)
		},
	})
	return err
}

// openTexts makes the way out for text messages: to the service that is
// configured, or, in development without one, to a page.
func (in *Installation) openTexts() error {
	o := sms.Options{Countries: in.set.sms.Countries, PerHour: in.set.sms.PerHour, Now: in.now, Log: in.log}
	var err error
	if o.Sender, err = in.set.sms.Sender(); err != nil {
		return err
	}
	if o.Sender == nil && in.set.site.Environment == development {
		in.devTexts = sms.NewDevBox(in.db, in.keys, in.now)
		o.Sender, o.Countries = in.devTexts, []string{"+"} // they go no further than the page
	}
	in.texts = sms.New(in.db, in.keys, in.jobs, o)
	return nil
}
