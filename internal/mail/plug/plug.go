// Package plug is what package mail plugs into Troth: its tables and their
// retention, the delivery queue, what the doctor says about the mail server,
// and, in a development installation without one, the page that shows the mail.
//
// That page is public: whoever signs up must read the confirmation before they
// can sign in. It exists only where [Deps].Dev is set, which a production
// installation never does.
package plug

import (
	"context"
	"embed"
	"strings"
	"time"

	"troth/internal/id"
	"troth/internal/jobs"
	"troth/internal/mail"
	"troth/internal/part"
	"troth/internal/retention"
	"troth/internal/store"
	"troth/internal/text"
	"troth/internal/trust"
	"troth/internal/web"
)

//go:embed pages
var pages embed.FS

// Deps are what the plug needs. They may be zero where nothing is served.
type Deps struct {
	Mailer *mail.Mailer
	SMTP   *mail.SMTP       // the mail server, if there is one
	Dev    *mail.DevMailbox // the mailbox of a development installation, if it has one
}

type plug struct{ Deps }

// New returns the part.
func New(d Deps) part.Part {
	p := plug{d}
	return part.Part{
		Name: "mail", Migrations: mail.Migrations, Tables: []string{"mail_outbox", "mail_dev"},
		Routes: p.routes(), Pages: part.Pages(pages),
		Queues:    []jobs.Queue{d.Mailer.Queue()},
		Retention: rules(),
		Doctor:    []part.Examination{{Name: "mail", Run: p.examine}},
	}
}

func rules() []retention.Rule {
	return []retention.Rule{
		{
			Table: "mail_outbox", Every: time.Hour,
			Keep: "sealed, until the message was delivered or given up, which takes hours; three days at most",
			Sweep: func(_ context.Context, tx *store.Tx, now time.Time) (int64, error) {
				return mail.SweepTx(tx, now)
			},
		},
		{
			Table: "mail_dev", Every: 24 * time.Hour,
			Keep: "sealed, in a development installation only: the newest 200 messages, for 30 days at most",
			Sweep: func(_ context.Context, tx *store.Tx, now time.Time) (int64, error) {
				return mail.SweepDevTx(tx, now)
			},
		},
	}
}

func (p plug) routes() []web.Route {
	if p.Dev == nil {
		return nil
	}
	const why = "whoever signs up in a development installation reads the confirmation here before they can sign in"
	return []web.Route{
		{Method: "GET", Path: "/-/dev/mail", Public: why, Doc: "The mail that a development installation would have sent.", Handle: p.list},
		{Method: "GET", Path: "/-/dev/mail/{mail}", Public: why, Doc: "One message of the development mailbox.", Handle: p.show},
	}
}

var (
	titleBox  = text.New("Mail of this development installation")
	titleMail = text.New("Message")
)

func (p plug) list(r *web.Request) error {
	all, err := p.Dev.List(r.Context())
	if err != nil {
		return err
	}
	return r.Page("mail/box", titleBox, all)
}

// shown is a message as its page shows it.
type shown struct {
	mail.Received
	Lines []textLine
}

// textLine is one line of the text. A line that is nothing but an address of
// this installation becomes a link.
type textLine struct {
	Text string
	Link bool
}

func (p plug) show(r *web.Request) error {
	which, err := id.Parse[id.Mail](r.PathValue("mail"))
	if err != nil {
		return err
	}
	got, err := p.Dev.Get(r.Context(), which)
	if err != nil {
		return err
	}
	return r.Page("mail/message", titleMail, shown{got, lines(got.Body, "https://"+r.Host+"/")})
}

func lines(body, origin string) []textLine {
	var all []textLine
	for line := range strings.SplitSeq(strings.TrimRight(body, "\n"), "\n") {
		all = append(all, textLine{Text: line, Link: strings.HasPrefix(line, origin) && !strings.ContainsAny(line, " \t<>\"")})
	}
	return all
}

// examine asks the mail server, as a delivery would, and sends nothing.
func (p plug) examine(ctx context.Context) []part.Finding {
	if p.SMTP == nil {
		return []part.Finding{{
			Grade: part.Advice, Says: text.New("No mail server is configured: mail is shown on the page /-/dev/mail and reaches nobody."),
			Remedy: text.New("Set mail.host and mail.from in troth.toml before real people use it."),
		}}
	}
	found, err := p.SMTP.Probe(ctx)
	if err != nil {
		return []part.Finding{{
			Grade: part.Problem, Says: text.New("The mail server cannot be used: %s.", err.Error()),
			Remedy: text.New("Check host, port, encryption and user in the section [mail] of troth.toml. Messages wait for about four hours before they are given up."),
		}}
	}
	if !found.Encrypted {
		return []part.Finding{part.Fine("The mail server %s answers, on this machine and without encryption.", found.Server)}
	}
	return []part.Finding{part.Fine("The mail server %s answers, over %s.", found.Server, found.TLS)}
}

// Mailbox is the canary's mailbox as the checks of the trust page see it.
func Mailbox(c *mail.Canary) trust.Mailbox { return mailbox{c} }

type mailbox struct{ c *mail.Canary }

// Wait returns the newest message to an address that arrived at or after a
// time, and waits for one until the context ends.
func (m mailbox) Wait(ctx context.Context, to string, after time.Time) (trust.Mail, error) {
	got, err := m.c.Wait(ctx, to, after)
	return trust.Mail{To: got.To, Subject: got.Subject, Body: got.Body, At: got.At}, err
}
