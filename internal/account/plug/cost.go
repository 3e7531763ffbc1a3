package plug

import (
	"context"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"troth/internal/account"
	"troth/internal/cli"
	"troth/internal/part"
	"troth/internal/password"
	"troth/internal/text"
)

// passwordCommand is troth password.
func passwordCommand() cli.Command {
	return cli.Command{
		Use: "password", Short: "Look after the cost of password hashes, and their pepper",
		Sub: []cli.Command{
			{
				Use: "calibrate", Short: "Measure this machine and set the cost of a password hash to it",
				Long: "Measures how much a password hash can cost here so that it takes account.password_target, and stores\n" +
					"that. Hashes made at a lower cost are made anew as people sign in. The nodes take the new cost up when\n" +
					"they start. With --dry-run it only says what it would store. Run it on a machine that does nothing\n" +
					"else, as large as those that people sign in to.\n\n" +
					"A lower cost makes guessing cheaper, so it is stored only with --lower.",
				Example: "troth password calibrate --dry-run", Args: cobra.NoArgs, NeedsData: true, Run: calibrate, Destroys: true,
				Flags: func(f *pflag.FlagSet) { f.Bool("lower", false, "store a cost that is lower than the present one, too") },
			},
			{
				Use: "pepper", Short: "The key that goes into every password hash",
				Sub: []cli.Command{{
					Use: "rotate", Short: "Make a new version of the pepper; hashes get it as people sign in",
					Long: "Makes a new version of the key that goes into every password hash (account.password_pepper). Hashes\n" +
						"get it as people sign in; the older version stays in the keyring for those that do not. On other\n" +
						"nodes it is used within five minutes.",
					Args: cobra.NoArgs, NeedsData: true, Run: rotatePepper,
				}},
			},
		},
	}
}

// costView is a cost as it is printed.
type costView struct {
	Cost         string    `json:"cost"`
	Aim          string    `json:"aim"`
	Took         string    `json:"took"`
	CalibratedAt time.Time `json:"calibrated_at,omitzero"`
}

func viewOf(c account.Cost) costView {
	return costView{c.String(), c.Target.String(), round(c.Took), c.CalibratedAt}
}

func round(d time.Duration) string { return d.Round(time.Millisecond).String() }

func calibrate(ctx context.Context, env *cli.Env, _ []string) error {
	accounts, err := opened(env)
	if err != nil {
		return err
	}
	lower, err := env.Flags.GetBool("lower")
	if err != nil {
		return err
	}
	c, refusal := accounts.Calibrate(ctx, operator(), !env.DryRun, lower)
	if refusal != nil && c.Proposed.CalibratedAt.IsZero() {
		return refusal
	}
	answer := struct {
		Present  costView `json:"present"`
		Takes    string   `json:"takes"` // at the present cost, now
		Proposed costView `json:"proposed"`
		Stored   bool     `json:"stored"`
	}{viewOf(c.Present), round(c.Takes), viewOf(c.Proposed), c.Stored}
	err = env.Print(answer, func(t *cli.Table) {
		t.Head("", "cost", "takes", "aim")
		t.Row("present", answer.Present.Cost, answer.Takes, answer.Present.Aim)
		t.Row("proposed", answer.Proposed.Cost, answer.Proposed.Took, answer.Proposed.Aim)
		t.Line("")
		if c.Stored {
			t.Line("The proposed cost is stored. The nodes take it up when they start.")
		} else {
			t.Line("Nothing was changed.")
		}
	})
	if err != nil {
		return err
	}
	return refusal
}

func rotatePepper(ctx context.Context, env *cli.Env, _ []string) error {
	accounts, err := opened(env)
	if err != nil {
		return err
	}
	version, err := accounts.RotatePepper(ctx, operator())
	if err != nil {
		return err
	}
	answer := struct {
		Version int `json:"version"`
	}{version}
	return env.Print(answer, func(t *cli.Table) {
		t.Line("Version %d of the pepper was made. Hashes get it as people sign in.", answer.Version)
	})
}

// examineCost is what the doctor says about the cost of a password hash.
func (p *plug) examineCost(ctx context.Context) []part.Finding {
	c, now, drift, err := p.accounts.Drift(ctx)
	if err != nil {
		return []part.Finding{{Grade: part.Problem, Says: text.New("The calibration of the password hash cannot be read."), Remedy: text.New("Look into the log; if the database answers, run: troth password calibrate")}}
	}
	took, aim := round(now), c.Target.String()
	again := text.New("Run: troth password calibrate")
	switch {
	case c.CalibratedAt.IsZero():
		return []part.Finding{part.Fine("The cost of a password hash is calibrated at the first start.")}
	case drift == password.Faster:
		return []part.Finding{{Grade: part.Advice, Says: text.New("A password hash takes %s here, aimed at %s: this machine is faster than the one that was calibrated, and so is guessing.", took, aim), Remedy: again}}
	case drift == password.Slower:
		return []part.Finding{{Grade: part.Advice, Says: text.New("A password hash takes %s here, aimed at %s: this machine is slower than the one that was calibrated, or busy at this moment.", took, aim), Remedy: again}}
	}
	return []part.Finding{part.Fine("A password hash costs %s, which takes %s; the aim is %s.", c.String(), took, aim)}
}
