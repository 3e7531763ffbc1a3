package plug

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"troth/internal/breach"
	"troth/internal/cli"
	"troth/internal/fault"
	"troth/internal/secret"
)

// Short is what the group of commands is for; package account adds to it.
const Short = "Lists of breached passwords, and whom they concern"

// installation is what the commands need of the opened installation.
type installation interface{ Breaches() *breach.Lists }

func (p plug) commands() []cli.Command {
	return []cli.Command{{Use: "breach", Short: Short, Sub: []cli.Command{
		{
			Use: "import FILE…", Short: "Take a list of breached passwords into use", Args: cobra.MinimumNArgs(1), NeedsData: true, Destroys: true, Run: importList,
			Long: "Reads the Pwned Passwords download, ordered by hash: SHA-1 or NTLM, as text or gzip, from stdin (-), or as a\n" +
				"directory of range files (0A1B2.txt). The new list takes the place of the old one of the same kind when it is whole;\n" +
				"a running server uses it within ten seconds. An import that was interrupted goes on where it stopped when it is run\n" +
				"again. With --dry-run everything is read and nothing is written.",
			Example: "  troth breach import pwnedpasswords.txt\n  7z x -so pwned-passwords-ntlm-ordered-by-hash.7z | troth breach import -",
			Flags: func(f *pflag.FlagSet) {
				f.String("format", string(breach.FormatAuto), "auto, sha1, ntlm or range")
				f.Bool("incomplete", false, "take a list of which a part is missing")
			},
		},
		{
			Use: "status", Short: "Which lists are in use", NeedsData: true, Run: status,
			Flags: func(f *pflag.FlagSet) { f.Bool("verify", false, "compare every byte with its checksum") },
		},
		{
			Use: "add", Short: "Put passwords on the installation's own list, one a line on stdin", NeedsData: true, Run: change(true),
			Long: "Reads passwords from stdin, one a line, and keeps a keyed digest of each: they cannot be chosen any more, and whoever\n" +
				"signs in with one of them chooses another one. For passwords that leaked here, or that everybody here would guess.",
			Flags: func(f *pflag.FlagSet) {
				f.Duration("for", 0, "keep them so long, as in 720h; 0 is until they are removed")
			},
		},
		{Use: "remove", Short: "Take passwords from the installation's own list, one a line on stdin", NeedsData: true, Run: change(false)},
	}}}
}

// opened is the lists of the installation that the command line opened.
func opened(env *cli.Env) (*breach.Lists, error) {
	in, ok := env.App.(installation)
	if !ok {
		return nil, errNoLists
	}
	return in.Breaches(), nil
}

func importList(ctx context.Context, env *cli.Env, args []string) error {
	lists, err := opened(env)
	if err != nil {
		return err
	}
	format, err := env.Flags.GetString("format")
	if err != nil {
		return err
	}
	incomplete, err := env.Flags.GetBool("incomplete")
	if err != nil {
		return err
	}
	bar := env.Transfer("reading")
	got, err := lists.Import(ctx, operator(), breach.Import{
		Files: args, Format: breach.Format(format), Incomplete: incomplete, DryRun: env.DryRun, Stdin: env.Stdin, Progress: bar.Set,
	})
	bar.Done()
	if err != nil {
		return err
	}
	answer := struct {
		breach.Imported
		DryRun bool `json:"dry_run,omitempty"`
	}{got, env.DryRun}
	return env.Print(answer, func(t *cli.Table) {
		if env.DryRun {
			t.Line("The list is in order: %d %s hashes. Nothing was written.", got.Entries, got.Kind)
			return
		}
		t.Line("The list of %d %s hashes is in use: %s, %.2f bytes an entry.", got.Entries, got.Kind, cli.Bytes(got.Bytes), float64(got.Bytes)/float64(got.Entries))
		if got.Resumed > 0 {
			t.Line("%d of them were left by an import that was interrupted.", got.Resumed)
		}
		if got.Replaced > 0 {
			t.Line("It takes the place of one with %d.", got.Replaced)
		}
	})
}

func status(ctx context.Context, env *cli.Env, _ []string) error {
	lists, err := opened(env)
	if err != nil {
		return err
	}
	verify, err := env.Flags.GetBool("verify")
	if err != nil {
		return err
	}
	s, err := lists.Status(ctx, operator(), verify)
	if err != nil {
		return err
	}
	broken := ""
	err = env.Print(s, func(t *cli.Table) {
		t.Head("list", "entries", "imported", "of files from", "format", "on disk", "state")
		for _, l := range s.Lists {
			state := "in use"
			if l.Problem != "" {
				state = "refused: " + l.Problem
			}
			t.Row(l.Kind, l.Entries, l.ImportedAt, l.NewestAt.Format(time.DateOnly), fmt.Sprintf("%d, %d shards", l.Version, l.Shards), cli.Bytes(l.Bytes), state)
		}
		t.Row("common", s.Common, "", "", "", "inside the program", "in use")
		t.Row("own", s.Own, "", "", "", "in the database", "in use")
		if s.Range {
			t.Row("range service", "", "", "", "", "on the network", "asked when no list knows a password")
		}
		t.Line("The lists lie in %s. They are mapped into memory: what takes room there is what was asked, and it can be given back.", s.Dir)
	})
	for _, l := range s.Lists {
		if l.Problem != "" {
			broken = string(l.Kind)
		}
	}
	if err == nil && broken != "" {
		return cli.Findings("The list %s is damaged, so no password can be chosen. Import it again, or remove its file.", broken)
	}
	return err
}

// change adds or removes what stands on stdin.
func change(add bool) func(ctx context.Context, env *cli.Env, _ []string) error {
	return func(ctx context.Context, env *cli.Env, _ []string) error {
		lists, err := opened(env)
		if err != nil {
			return err
		}
		passwords, err := readLines(env.Stdin)
		if err != nil {
			return err
		}
		n, verb := int64(0), "removed from"
		if add {
			life, err := env.Flags.GetDuration("for")
			if err != nil {
				return err
			}
			if life < 0 {
				return cli.Usage("--for is a time from now on, as in 720h")
			}
			verb = "added to"
			n, err = lists.Add(ctx, operator(), life, passwords...)
			if err != nil {
				return err
			}
		} else if n, err = lists.Remove(ctx, operator(), passwords...); err != nil {
			return err
		}
		return env.Print(map[string]int64{"given": int64(len(passwords)), "changed": n}, func(t *cli.Table) {
			t.Line("%d of %d passwords were %s the own list.", n, len(passwords), verb)
		})
	}
}

// The bounds of what is read from stdin.
const (
	maxLine  = 8 << 10
	maxLines = 10_001 // one more than package breach takes
)

// readLines reads one password a line. An empty line is none.
func readLines(in io.Reader) ([]secret.String, error) {
	var all []secret.String
	s := bufio.NewScanner(in)
	s.Buffer(make([]byte, 0, 4096), maxLine)
	for len(all) < maxLines && s.Scan() {
		if line := strings.TrimSuffix(s.Text(), "\r"); line != "" {
			all = append(all, secret.Of(line))
		}
	}
	if err := s.Err(); errors.Is(err, bufio.ErrTooLong) {
		return nil, fault.New(fault.Invalid, "breach.unreadable", "Line %d is longer than any password may be.", len(all)+1)
	} else if err != nil {
		return nil, fmt.Errorf("reading passwords: %w", err)
	}
	if len(all) == 0 {
		return nil, fault.New(fault.Invalid, "breach.nothing", "There is nothing on stdin. Write one password a line; “read -rs p && printf '%%s\\n' \"$p\" | troth breach add” keeps it out of the shell's history.")
	}
	return all, nil
}
