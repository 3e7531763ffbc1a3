// Package app is the program: it wires the packages of the house into an
// installation ([open]), serves it, and makes the command line.
//
// parts.go is the list of everything that plugs in. What one capability needs
// of another is filled in adapters.go. The order of opening is the order of
// trust: root key, keyring, database, log, decisions, people, claims, and the
// door last; each step refuses to go on when something it needs is missing, and
// says in a sentence what. Nothing listens before everything stands.
//
// It has no rules of its own beyond that. Nothing imports it but the program.
package app

import (
	"context"
	"errors"
	"io"
	"log"
	"log/slog"
	"os"
	"runtime"
	"time"

	"github.com/spf13/pflag"

	"troth/internal/cli"
	"troth/internal/config"
	"troth/internal/fault"
	"troth/internal/part"
)

// Main runs the program and returns its exit status. What libraries write with
// the standard logger is thrown away: net/http quotes there what an application
// answered, which is nothing for the operator's log (promise D4).
func Main() int {
	log.SetOutput(io.Discard)
	return program().Main()
}

// program is the whole command line.
func program() cli.Program {
	return cli.Program{
		Name:  "troth",
		Short: "the security layer of a multi-tenant online service",
		Long: "Troth stands in front of an application, keeps the promises of a security page, and proves them in public.\n" +
			"Start with “troth init” and “troth serve”.",
		Commands: append(ownCommands(), part.All(described(), func(p part.Part) []cli.Command { return p.Commands })...),
		Open:     openFor,
	}
}

// described are the parts as they describe themselves while nothing is open.
func described() []part.Part {
	in := &Installation{set: defaults("data"), now: time.Now, log: slog.New(slog.DiscardHandler)}
	return in.list()
}

// openFor opens the installation for a command that needs one.
func openFor(ctx context.Context, env *cli.Env) (any, func() error, error) {
	set, err := settingsFor(env, nil)
	if err != nil {
		return nil, nil, err
	}
	in, err := open(ctx, set, options{now: time.Now, log: env.Log})
	if err != nil {
		return nil, nil, err
	}
	return in, in.Close, nil
}

// settingsFor reads the configuration that the flags and the environment name.
func settingsFor(env *cli.Env, change func(*Settings)) (*Settings, error) {
	set := defaults(env.DataDir)
	if err := set.load(file(env.Config, env.DataDir), os.Environ(), change); err != nil {
		return nil, err
	}
	return set, nil
}

func ownCommands() []cli.Command {
	return []cli.Command{
		{
			Use: "init", Short: "Make the data directory: keys, database, local authority, commented troth.toml",
			Flags: initFlags, Run: runInit, Example: "  troth init --data ./data",
		},
		{
			Use: "serve", Short: "Serve the front door until it is told to stop",
			Flags: serveFlags, Run: runServe, Example: "  troth serve --data ./data --upstream http://127.0.0.1:3000",
		},
		{
			Use: "doctor", Short: "Say in sentences what is wrong, and what to do",
			Flags: func(f *pflag.FlagSet) { f.String("mail", "", "also send one message to this `address`") },
			Run:   runDoctor,
		},
		{Use: "config", Short: "Check or explain the configuration", Sub: []cli.Command{
			{Use: "check", Short: "Read the configuration as serve does, and say what is wrong", Run: runConfigCheck},
			{Use: "explain", Short: "Print every key with its sentence and its present value", Run: runConfigExplain},
		}},
		{Use: "version", Short: "Print the version", Run: runVersion},
	}
}

func serveFlags(f *pflag.FlagSet) {
	f.String("listen", "", "the `address` to listen on, instead of the configured one")
	f.String("upstream", "", "the `URL` of the application, instead of the configured one")
	f.Bool("log-json", false, "write log lines as JSON")
}

// override applies the flags that stand for configuration keys.
func override(f *pflag.FlagSet) func(*Settings) {
	return func(s *Settings) {
		for name, to := range map[string]*string{"listen": &s.site.Listen, "upstream": &s.site.Upstream} {
			if v, err := f.GetString(name); err == nil && v != "" {
				*to = v
			}
		}
	}
}

func runServe(ctx context.Context, env *cli.Env, _ []string) error {
	set, err := settingsFor(env, override(env.Flags))
	if err != nil {
		return err
	}
	asJSON, err := env.Flags.GetBool("log-json")
	if err != nil {
		return err
	}
	in, err := open(ctx, set, options{now: time.Now, log: logger(env.Stderr, asJSON, env.Verbose)})
	if err != nil {
		return err
	}
	pace(min(int64(set.account.PasswordMemory), int64(runtime.GOMAXPROCS(0))*hashMemory) << 20)
	return errors.Join(serve(ctx, env, in), in.Close())
}

// logger writes the operator's log. What goes there never holds personal data
// or secrets: those are in the sealed log.
func logger(w io.Writer, asJSON, verbose bool) *slog.Logger {
	o := &slog.HandlerOptions{Level: slog.LevelInfo}
	if verbose {
		o.Level = slog.LevelDebug
	}
	if asJSON {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}

func runVersion(_ context.Context, env *cli.Env, _ []string) error {
	b := buildOf()
	return env.Print(b, func(t *cli.Table) { t.Line("troth %s (%s, %s/%s)", b.Version, b.Go, b.OS, b.Arch) })
}

func runConfigCheck(_ context.Context, env *cli.Env, _ []string) error {
	set, err := settingsFor(env, nil)
	if err != nil {
		return err
	}
	path := file(env.Config, env.DataDir)
	if path == "" {
		return fault.New(fault.NotFound, "app.no_config", "There is no troth.toml in %s. “troth init --data %s” makes an installation there.", env.DataDir, env.DataDir)
	}
	answer := struct {
		File        string `json:"file"`
		Environment string `json:"environment"`
		Origin      string `json:"origin"`
	}{path, set.site.Environment, set.site.Origin}
	return env.Print(answer, func(t *cli.Table) {
		t.Line("The configuration (%s) is fine: %s at %s.", path, set.site.Environment, set.site.Origin)
	})
}

func runConfigExplain(_ context.Context, env *cli.Env, _ []string) error {
	set, err := settingsFor(env, nil)
	if err != nil {
		return err
	}
	if env.JSON {
		return env.Print(config.Describe(set.sections()...), nil)
	}
	return config.Explain(env.Stdout, nil, set.sections()...)
}
