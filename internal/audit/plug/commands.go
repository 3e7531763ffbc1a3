package plug

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"troth/internal/audit"
	"troth/internal/cli"
	"troth/internal/trust"
	"troth/verify"
)

// installation is what the commands need of the opened installation.
type installation interface {
	Audit() *audit.Log
	Trust() *trust.Trust // nil when there is no trust page
}

func opened(env *cli.Env) (installation, error) {
	app, ok := env.App.(installation)
	if !ok {
		return nil, fmt.Errorf("the installation %T has no log", env.App)
	}
	return app, nil
}

func commands() []cli.Command {
	return []cli.Command{{
		Use: "log", Short: "Export the log, and check it",
		Sub: []cli.Command{
			{
				Use: "export DIR", Short: "Write the public log into a directory", NeedsData: true, Args: cobra.ExactArgs(1), Run: export,
				Long: "Write the public log into a directory, with its evidence, its key and the trust document, as C2SP tlog-tiles lays it out: any tool that reads tile logs can check it. " +
					"An export can be repeated; what is there already is not written again. A directory that holds an installation, another log's export or anything else is refused.",
				Example: "  troth log export /srv/log",
			},
			{
				Use: "verify DIR", Short: "Check an exported log, without the installation", Args: cobra.ExactArgs(1), Run: verifyDir,
				Long:    "Check an exported log: every signature, entry, tile and piece of evidence, and with --seen, that it continues a checkpoint that was kept earlier. Exit status 3 says that something was found.",
				Example: "  troth log verify /srv/log --key 'app.example.org+1d2c3b4a+AXyz…'",
				Flags: func(f *pflag.FlagSet) {
					f.String("key", "", "the log's key (NAME+HASH+KEY); without it the log is only compared with itself")
					f.String("seen", "", "a file that keeps the last checkpoint seen; it is written when all is well")
				},
			},
			{
				Use: "check", Short: "Compare every event and payload of this installation with the log", NeedsData: true, Run: check,
				Long: "Compare what the database holds with the log: every leaf, tile and checkpoint of every tenant, every event and every payload. What was changed, removed or slipped in is named. Exit status 3 says that something was found.",
			},
			{Use: "status", Short: "Show how far the log is", NeedsData: true, Run: status},
		},
	}}
}

func export(ctx context.Context, env *cli.Env, args []string) error {
	app, err := opened(env)
	if err != nil {
		return err
	}
	write := app.Audit().Export
	if t := app.Trust(); t != nil {
		write = t.Export
	}
	progress := env.Progress("exporting")
	err = write(ctx, args[0], progress.Set)
	progress.Done()
	if err != nil {
		return err
	}
	return env.Print(map[string]string{"directory": args[0], "key": app.Audit().VKey()}, func(t *cli.Table) {
		t.Row("directory", args[0])
		t.Row("key", app.Audit().VKey())
	})
}

func verifyDir(ctx context.Context, env *cli.Env, args []string) error {
	src, err := verify.OpenDirectory(args[0])
	if err != nil {
		return cli.Usage("%v", err)
	}
	defer src.Close()
	var key *verify.Key
	if s, _ := env.Flags.GetString("key"); s != "" {
		k, err := verify.ParseKey(s)
		if err != nil {
			return cli.Usage("%v", err)
		}
		key = &k
	}
	seen, _ := env.Flags.GetString("seen")
	progress := env.Progress("checking")
	report, err := verify.Log(ctx, src, key, verify.Options{State: seen, Progress: func(_ string, done, total int64) { progress.Set(int(done), int(total)) }})
	progress.Done()
	if err != nil {
		return fmt.Errorf("checking the log in %s: %w", args[0], err)
	}
	if report.Findings == nil {
		report.Findings = []verify.Finding{}
	}
	err = env.Print(report, func(t *cli.Table) {
		t.Row("origin", report.Origin)
		t.Row("entries", report.Size)
		t.Row("root", report.Root)
		if !report.Pinned {
			t.Line("Self-consistent only: no key was given, so the log's own was believed.")
		}
		for _, e := range report.Epochs {
			t.Line("Epoch %d began on %s: the log was taken back from %d entries.", e.Number, e.At.Format(time.RFC3339), e.Size)
		}
		findings(t, report.Findings)
	})
	return concluded(err, len(report.Findings)+report.More)
}

func check(ctx context.Context, env *cli.Env, _ []string) error {
	app, err := opened(env)
	if err != nil {
		return err
	}
	progress := env.Progress("comparing")
	found, err := app.Audit().CheckRows(ctx, progress.Set)
	progress.Done()
	if err != nil {
		return err
	}
	if found == nil {
		found = []verify.Finding{} // a program that reads JSON gets a list
	}
	err = env.Print(map[string]any{"findings": found}, func(t *cli.Table) { findings(t, found) })
	return concluded(err, len(found))
}

func findings(t *cli.Table, all []verify.Finding) {
	if len(all) == 0 {
		t.Line("Nothing was found: everything fits.")
	}
	for _, f := range all {
		t.Line("%s", f.Error())
	}
}

// concluded is exit status 3 when something was found.
func concluded(err error, n int) error {
	if err != nil || n == 0 {
		return err
	}
	if n == 1 {
		return cli.Findings("One thing does not fit.")
	}
	return cli.Findings("%d things do not fit.", n)
}

// statusJSON is the answer of troth log status.
type statusJSON struct {
	Origin string `json:"origin"`
	Key    string `json:"key"`
	Size   int64  `json:"size"`
	Root   string `json:"root"`
	audit.Status
}

func status(ctx context.Context, env *cli.Env, _ []string) error {
	app, err := opened(env)
	if err != nil {
		return err
	}
	log := app.Audit()
	signed, err := log.Checkpoint(ctx)
	if err != nil {
		return err
	}
	key, err := verify.ParseKey(log.VKey())
	if err != nil {
		return err
	}
	c, err := verify.OpenCheckpoint(signed, key)
	if err != nil {
		return errors.Join(errors.New("the log's own checkpoint does not hold"), err)
	}
	s, err := log.Status(ctx)
	if err != nil {
		return err
	}
	v := statusJSON{Origin: c.Origin, Key: log.VKey(), Size: c.Size, Root: c.Root.String(), Status: s}
	return env.Print(v, func(t *cli.Table) {
		t.Row("origin", v.Origin)
		t.Row("key", v.Key)
		t.Row("entries", v.Size)
		t.Row("root", v.Root)
		t.Row("epoch", v.Epoch)
		t.Row("signed", v.SignedAt)
		t.Row("oldest pending", v.OldestPending)
		for _, m := range v.Months {
			t.Row("month", m)
		}
	})
}
