// Package plug is what package sms plugs into Troth: its section of the
// configuration, its tables and their retention, the delivery queue, what the
// doctor says, the command that sends one text, and, in a development
// installation without a service, the page that shows the texts.
//
// That page is public, like the one that shows mail: a code is read there by
// somebody who is not signed in yet. It exists only where [Deps].Dev is set,
// which a production installation never does.
package plug

import (
	"context"
	"embed"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"troth/internal/cli"
	"troth/internal/fault"
	"troth/internal/jobs"
	"troth/internal/part"
	"troth/internal/retention"
	"troth/internal/sms"
	"troth/internal/store"
	"troth/internal/text"
	"troth/internal/web"
)

//go:embed pages
var pages embed.FS

// Deps are what the plug needs. They may be zero where nothing is served.
type Deps struct {
	Texts  *sms.Texts
	Config *sms.Config
	Dev    *sms.DevBox // of a development installation without a service
}

type plug struct{ Deps }

// New returns the part.
func New(d Deps) part.Part {
	p := plug{d}
	return part.Part{
		Name: "sms", Config: d.Config.Sections(), Migrations: sms.Migrations, Tables: sms.Tables,
		Routes: p.routes(), Pages: part.Pages(pages),
		Queues:    []jobs.Queue{d.Texts.Queue()},
		Retention: rules(),
		Commands: []cli.Command{{
			Use: "sms", Short: "See whether text messages work",
			Sub: []cli.Command{{
				Use: "test NUMBER", Short: "Send one text message to a number, at once",
				Long:    "Hands one text message over to the service that [sms] names, past the queue and its bounds, and\nsays what the service answered. It costs what a text message costs.",
				Example: "troth sms test +4930901820", Args: cobra.ExactArgs(1), NeedsData: true, Run: test,
			}},
		}},
		Doctor: []part.Examination{{Name: "text messages", Run: p.examine}},
	}
}

func rules() []retention.Rule {
	return []retention.Rule{
		{
			Table: "sms_outbox", Every: 15 * time.Minute,
			Keep: "sealed, until the text was handed over or given up, which takes minutes; an hour at most",
			Sweep: func(_ context.Context, tx *store.Tx, now time.Time) (int64, error) {
				return sms.SweepTx(tx, now)
			},
		},
		{
			Table: "sms_sent", Every: time.Hour,
			Keep: "for a day: that a text was sent for an account, and a blind index of the number, to bound how many there are",
			Sweep: func(_ context.Context, tx *store.Tx, now time.Time) (int64, error) {
				return sms.SweepSentTx(tx, now)
			},
		},
		{
			Table: "sms_dev", Every: 24 * time.Hour,
			Keep: "sealed, in a development installation only: the newest 100 texts, for 30 days at most",
			Sweep: func(_ context.Context, tx *store.Tx, now time.Time) (int64, error) {
				return sms.SweepDevTx(tx, now)
			},
		},
	}
}

func (p plug) routes() []web.Route {
	if p.Dev == nil {
		return nil
	}
	return []web.Route{{
		Method: "GET", Path: "/-/dev/texts", Public: "whoever signs in to a development installation reads the code here before they are signed in",
		Doc: "The text messages that a development installation would have sent.", Handle: p.list,
	}}
}

var titleBox = text.New("Text messages of this development installation")

func (p plug) list(r *web.Request) error {
	all, err := p.Dev.List(r.Context())
	if err != nil {
		return err
	}
	return r.Page("sms/box", titleBox, all)
}

// examine connects to the service, as a delivery would, and sends nothing.
func (p plug) examine(ctx context.Context) []part.Finding {
	if p.Dev != nil {
		return []part.Finding{part.Fine("No service for text messages is configured: they are shown on the page /-/dev/texts.")}
	}
	if !p.Texts.Ready() {
		return []part.Finding{part.Fine("No service for text messages is configured, so there are none; authenticator apps, passkeys and recovery codes work without.")}
	}
	name, err := p.Texts.Probe(ctx)
	if err != nil {
		return []part.Finding{{
			Grade: part.Problem, Says: text.New("The service for text messages, %s, cannot be reached: %s.", name, err.Error()),
			Remedy: text.New("Check the section [sms] of troth.toml, and whether this machine may connect to it. “troth sms test NUMBER” sends one text."),
		}}
	}
	sent, bound, err := p.Texts.Sent(ctx)
	if err != nil {
		return []part.Finding{{Grade: part.Problem, Says: text.New("The text messages that were sent cannot be counted: %s.", err.Error())}}
	}
	if sent*10 >= bound*8 {
		return []part.Finding{{
			Grade: part.Problem, Says: text.New("Text messages go through %s. In the last hour %d of at most %d were sent.", name, sent, bound),
			Remedy: text.New("Look at who causes them in the log (factor.code_sent). If they are wanted, raise sms.per_hour; if not, narrow sms.countries."),
		}}
	}
	return []part.Finding{part.Fine("Text messages go through %s, which can be reached. In the last hour %d of at most %d were sent.", name, sent, bound)}
}

// installation is what the commands need of the opened installation.
type installation interface{ Texts() *sms.Texts }

func test(ctx context.Context, env *cli.Env, args []string) error {
	app, ok := env.App.(installation)
	if !ok {
		return fmt.Errorf("the installation %T has no text messages", env.App)
	}
	to, err := sms.ParseNumber(args[0])
	if err != nil {
		return err
	}
	if err := app.Texts().Test(ctx, to); err != nil {
		return said(err)
	}
	answer := struct {
		Sent bool `json:"sent"`
	}{true}
	return env.Print(answer, func(t *cli.Table) { t.Line("The text message was taken.") })
}

// said is what a service answered, as a sentence for the operator who asked.
func said(err error) error {
	if fault.As(err) != nil {
		return err
	}
	return fault.Wrap(err, fault.Unavailable, "sms.test", "The text message was not taken: %s. Check the section [sms] of troth.toml.", err.Error())
}
