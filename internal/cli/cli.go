// Package cli is the frame of Troth's command line.
//
// A part hands in its verbs as [Command] values; [Run] turns them into one
// program. What they share is decided here:
//
//   - Data goes to stdout, progress and everything else that is said goes to
//     stderr. With --json, stdout holds one JSON document and nothing else.
//   - The exit status is 0 when it worked, 1 when it did not, 2 when the command
//     line itself was wrong, 3 when the command worked and found something that
//     needs attention ([Findings]).
//   - An error is one sentence that says what to do, and for a wrong command
//     line a hint where to read more. An error that is no fault (package fault) is
//     shown as internal with a reference; the line of the log with the same
//     reference and the cause stands before it on stderr. The cause of a fault is
//     logged with --verbose.
//   - A verb that destroys something, or changes much at once (Destroys), has
//     --dry-run, and no other has.
//   - Progress is a bar when stderr is a terminal, and plain lines otherwise.
//   - What a table shows cannot steer the terminal: control characters are
//     replaced.
//
// Flags of every command are --data, --config, --json and --verbose. The package
// opens nothing itself: for a command with NeedsData it calls [Program].Open and
// closes what it got afterwards. Two parts may add verbs to the same group; two
// verbs of the same name stop the program with a sentence.
package cli

import (
	"context"
	"io"
	"log/slog"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Command is one verb, or a group of verbs (Sub without Run).
type Command struct {
	Use     string // "recover ADDRESS": the verb and its arguments
	Short   string // one line for the list of commands
	Long    string // the whole story; "" is Short
	Example string
	Flags   func(*pflag.FlagSet) // the verb's own flags
	Args    cobra.PositionalArgs // nil: no arguments (cobra.NoArgs)
	Run     func(ctx context.Context, env *Env, args []string) error
	Sub     []Command

	NeedsData bool // the installation is opened first and stands in Env.App
	Destroys  bool // the verb has --dry-run
	Hidden    bool
}

// Env is what a command works with.
type Env struct {
	Stdin   io.Reader
	Stdout  io.Writer // data
	Stderr  io.Writer // progress, and everything else
	JSON    bool      // --json
	DryRun  bool      // --dry-run: say what would happen, change nothing
	Verbose bool      // --verbose
	DataDir string    // --data
	Config  string    // --config; "" is DataDir/troth.toml
	Flags   *pflag.FlagSet
	App     any          // the opened installation, typed by package app
	Log     *slog.Logger // to Stderr: warnings, and everything with --verbose

	now      func() time.Time
	terminal bool // Stderr is a terminal
}
