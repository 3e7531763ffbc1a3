package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"troth/internal/fault"
	"troth/internal/id"
)

// The exit statuses.
const (
	Done   = 0 // it worked
	Failed = 1 // it did not
	Wrong  = 2 // the command line was wrong; nothing was done
	Found  = 3 // it worked and found something that needs attention
)

// Program is a whole command line.
type Program struct {
	Name     string // "troth"
	Short    string // what it is, in one line
	Long     string
	Commands []Command
	DataDir  string // what --data is when it is not given; "" is "data"

	// Open opens the installation for a command with NeedsData. What it returns
	// stands in Env.App; close is called when the command is done, even if it
	// failed. May be nil if no command needs it.
	Open func(ctx context.Context, env *Env) (app any, close func() error, err error)

	Now func() time.Time // nil: the clock
}

// Main runs the program on the process's own arguments and streams and returns
// the exit status. An interrupt (SIGINT, SIGTERM) ends the context; a second
// one ends the process.
func (p Program) Main() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	return p.Run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
}

// Run runs the program and returns the exit status.
func (p Program) Run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	if p.Now == nil {
		p.Now = time.Now
	}
	env := &Env{Stdin: stdin, Stdout: stdout, Stderr: stderr, now: p.Now, terminal: isTerminal(stderr)}
	root, err := p.root(env)
	if err == nil {
		root.SetArgs(args)
		root.SetIn(stdin)
		root.SetOut(stdout)
		root.SetErr(stderr)
		err = root.ExecuteContext(ctx)
	}
	return p.report(env, err)
}

// root is the program as cobra takes it.
func (p Program) root(env *Env) (*cobra.Command, error) {
	commands, err := merge(p.Commands)
	if err != nil {
		return nil, err
	}
	root := &cobra.Command{
		Use: p.Name, Short: p.Short, Long: p.Long, SilenceErrors: true, SilenceUsage: true,
		Args: cobra.ArbitraryArgs, RunE: group,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
	}
	dir := p.DataDir
	if dir == "" {
		dir = "data"
	}
	f := root.PersistentFlags()
	f.StringVar(&env.DataDir, "data", dir, "the `directory` of the installation")
	f.StringVar(&env.Config, "config", "", "the configuration `file` (default: troth.toml in the data directory)")
	f.BoolVar(&env.JSON, "json", false, "print one JSON document instead of text")
	f.BoolVar(&env.Verbose, "verbose", false, "say more on stderr: the cause of every error, and what is being done")
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error { return usage{err, c.CommandPath()} })
	for _, c := range commands {
		root.AddCommand(p.command(env, c))
	}
	root.SetUsageTemplate(usageTemplate)
	return root, nil
}

// command is one verb or group as cobra takes it.
func (p Program) command(env *Env, c Command) *cobra.Command {
	check := c.Args
	if check == nil {
		check = cobra.NoArgs
	}
	cc := &cobra.Command{
		Use: c.Use, Short: c.Short, Long: c.Long, Example: indent(c.Example), Hidden: c.Hidden, DisableFlagsInUseLine: true,
		Args: func(cmd *cobra.Command, args []string) error {
			if err := check(cmd, args); err != nil {
				return usage{err, cmd.CommandPath()}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return p.run(cmd, env, c, args) },
	}
	if c.Run == nil {
		cc.Args, cc.RunE = cobra.ArbitraryArgs, group
	}
	if c.Flags != nil {
		c.Flags(cc.Flags())
	}
	if c.Destroys {
		cc.Flags().BoolVar(&env.DryRun, "dry-run", false, "say what would happen, and change nothing")
	}
	for _, s := range c.Sub {
		cc.AddCommand(p.command(env, s))
	}
	return cc
}

// group is what a group of verbs does by itself: it says that a verb is
// missing, or that the one given does not exist.
func group(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		cmd.SetOut(cmd.ErrOrStderr())
		if err := cmd.Help(); err != nil {
			return err
		}
		return usage{nil, cmd.CommandPath()}
	}
	said := fmt.Sprintf("there is no command %q", args[0])
	cmd.SuggestionsMinimumDistance = 2
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		said += "; did you mean " + strings.Join(near, " or ") + "?"
	}
	return usage{errors.New(said), cmd.CommandPath()}
}

// run opens what the command needs, runs it and closes it.
func (p Program) run(cmd *cobra.Command, env *Env, c Command, args []string) (err error) {
	env.Flags = cmd.Flags()
	level := slog.LevelWarn
	if env.Verbose {
		level = slog.LevelDebug
	}
	env.Log = slog.New(slog.NewTextHandler(env.Stderr, &slog.HandlerOptions{Level: level}))
	if !c.NeedsData {
		return c.Run(cmd.Context(), env, args)
	}
	if p.Open == nil {
		return fmt.Errorf("the command %s needs an installation, but the program opens none", cmd.CommandPath())
	}
	app, done, err := p.Open(cmd.Context(), env)
	if err != nil {
		return err
	}
	env.App = app
	defer func() {
		if cerr := done(); cerr != nil {
			err = errors.Join(err, fmt.Errorf("closing the installation: %w", cerr))
		}
	}()
	return c.Run(cmd.Context(), env, args)
}

// usage is a mistake in the command line.
type usage struct {
	err  error  // nil: the help was shown, there is nothing to add
	path string // the command
}

// Error is what cobra or pflag said.
func (u usage) Error() string {
	if u.err == nil {
		return "a command is missing"
	}
	return u.err.Error()
}

// Usage is the error of a command whose flags contradict each other: exit
// status 2, with a hint where to read more. A wrong value that says what would
// be right is better a fault on the flag's name.
func Usage(format string, args ...any) error { return usage{fmt.Errorf(format, args...), ""} }

type findings struct{ sentence string }

func (f findings) Error() string { return f.sentence }

// Findings is the error of a command that worked and found something that
// needs attention: exit status 3. The findings themselves are data and were
// printed; the sentence sums them up on stderr ("" says nothing).
func Findings(format string, args ...any) error {
	if len(args) == 0 {
		return findings{format}
	}
	return findings{fmt.Sprintf(format, args...)}
}

// report says on stderr what went wrong and picks the exit status.
func (p Program) report(env *Env, err error) int {
	say := func(s string) { fmt.Fprintf(env.Stderr, "%s: %s\n", p.Name, printable(s)) }
	if err == nil {
		return Done
	}
	if u, ok := errors.AsType[usage](err); ok {
		if u.err != nil {
			say(sentence(u.Error()))
		}
		if u.path == "" {
			u.path = p.Name
		}
		fmt.Fprintf(env.Stderr, "Run %q to see what it takes.\n", u.path+" --help")
		return Wrong
	}
	if f, ok := errors.AsType[findings](err); ok {
		if f.sentence != "" {
			say(f.sentence)
		}
		return Found
	}
	if f := fault.As(err); f != nil && f.Kind != fault.Internal {
		if env.Verbose && env.Log != nil {
			env.Log.Debug("the cause", "code", f.Code, "error", err)
		}
		about := ""
		if f.Field != "" {
			about = f.Field + ": "
		}
		say(about + f.Message.String())
		return Failed
	}
	if errors.Is(err, context.Canceled) {
		say("Interrupted.")
		return Failed
	}
	reference := id.New[id.Request](p.Now())
	slog.New(slog.NewTextHandler(env.Stderr, nil)).Error("the command failed", "reference", reference, "error", err)
	say("Something went wrong here that is no mistake of the command line. The cause stands in the line above; name the reference " + string(reference) + " when you report it.")
	return Failed
}

// sentence makes one out of an error of cobra.
func sentence(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	s = string(unicode.ToUpper(r)) + s[n:]
	if !strings.HasSuffix(s, ".") && !strings.HasSuffix(s, "?") {
		s += "."
	}
	return s
}

// isTerminal reports whether a stream is a device of characters that somebody
// may be looking at.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	st, err := f.Stat()
	return err == nil && st.Mode()&os.ModeCharDevice != 0 && os.Getenv("TERM") != "dumb"
}
