package cli_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"troth/internal/cli"
	"troth/internal/fault"
)

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// sample is a program with a verb for everything that the frame does.
func sample() cli.Program {
	show := func(_ context.Context, env *cli.Env, args []string) error {
		type box struct {
			Name string    `json:"name"`
			Made time.Time `json:"made_at"`
			Open bool      `json:"open"`
		}
		boxes := []box{{"red", noon, true}, {"a very long name", time.Time{}, false}}
		return env.Print(boxes, func(t *cli.Table) {
			t.Head("name", "made", "open")
			for _, b := range boxes {
				t.Row(b.Name, b.Made, b.Open)
			}
			t.Line("%d boxes in %s", len(boxes), env.DataDir)
		})
	}
	fails := func(err error) func(context.Context, *cli.Env, []string) error {
		return func(context.Context, *cli.Env, []string) error { return err }
	}
	return cli.Program{
		Name: "frame", Short: "Shows what the frame of a command line does.", Now: func() time.Time { return noon },
		Open: func(_ context.Context, env *cli.Env) (any, func() error, error) {
			if env.DataDir == "missing" {
				return nil, nil, fault.New(fault.NotFound, "x.missing", "There is no installation in %s. Make one with \"frame init\".", env.DataDir)
			}
			env.Say("opened %s", env.DataDir)
			return "the installation", func() error { env.Say("closed"); return nil }, nil
		},
		Commands: []cli.Command{
			{Use: "box", Short: "look after boxes", Sub: []cli.Command{
				{Use: "list", Short: "all boxes", Run: show, Example: "frame box list --json"},
				{Use: "destroy NAME", Short: "destroy a box", Destroys: true, NeedsData: true, Args: cobra.ExactArgs(1), Run: destroy,
					Flags: func(f *pflag.FlagSet) { f.Int("after", 0, "wait so many `days`") }},
			}},
			{Use: "box", Short: "look after boxes", Sub: []cli.Command{{Use: "count", Short: "how many there are", Run: show}}},
			{Use: "check", Short: "find what is wrong", Run: fails(cli.Findings("2 boxes are open."))},
			{Use: "denied", Short: "fails with a fault", Run: fails(fault.Wrap(errors.New("row 17"), fault.Invalid, "x.bad", "The name of a box has no spaces.").On("--name"))},
			{Use: "defect", Short: "fails with a defect", Run: fails(fmt.Errorf("opening the box: %w", errors.New("lid is stuck")))},
			{Use: "clash", Short: "fails with flags that contradict each other", Run: fails(cli.Usage("--on and --off cannot both be given"))},
			{Use: "work", Short: "shows progress", Run: work},
			{Use: "steer", Short: "prints what a stranger named a box", Run: steer},
		},
	}
}

func destroy(_ context.Context, env *cli.Env, args []string) error {
	if env.App != "the installation" {
		return fmt.Errorf("got %v as the installation", env.App)
	}
	if env.DryRun {
		return env.Print(map[string]string{"would": args[0]}, func(t *cli.Table) { t.Line("%s would be destroyed. Nothing was done.", args[0]) })
	}
	return env.Print(map[string]string{"destroyed": args[0]}, func(t *cli.Table) { t.Line("%s was destroyed.", args[0]) })
}

func work(_ context.Context, env *cli.Env, _ []string) error {
	p := env.Progress("sweeping")
	for i := range 101 {
		p.Set(i, 100)
	}
	p.Done()
	return nil
}

func steer(_ context.Context, env *cli.Env, _ []string) error {
	return env.Print(nil, func(t *cli.Table) { t.Row("\x1b[2Jgone\r", "line\nbreak", "\u202eback", "") })
}

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"frame": func() { os.Exit(sample().Main()) }})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			// status N COMMAND… runs a command that must end with the status N.
			"status": func(ts *testscript.TestScript, _ bool, args []string) {
				err := ts.Exec(args[1], args[2:]...)
				got := "0"
				if err != nil {
					got = strings.TrimPrefix(err.Error(), "exit status ")
				}
				if got != args[0] {
					ts.Fatalf("%s ended with %s, want %s", strings.Join(args[1:], " "), got, args[0])
				}
			},
		},
	})
}

func TestBrokenPrograms(t *testing.T) {
	run := func(context.Context, *cli.Env, []string) error { return nil }
	for name, c := range map[string]struct {
		commands []cli.Command
		want     string
	}{
		"twice":          {[]cli.Command{{Use: "a", Short: "x", Run: run}, {Use: "a B", Short: "x", Run: run}}, `\"a\" is registered twice`},
		"group and verb": {[]cli.Command{{Use: "a", Short: "x", Run: run}, {Use: "a", Short: "x", Sub: []cli.Command{{Use: "b", Short: "x", Run: run}}}}, "registered twice"},
		"below":          {[]cli.Command{{Use: "a", Short: "x", Sub: []cli.Command{{Use: "b", Short: "x", Run: run}, {Use: "b", Short: "x", Run: run}}}}, `in \"a\"`},
		"nothing to do":  {[]cli.Command{{Use: "a", Short: "x"}}, "nothing to do"},
		"no description": {[]cli.Command{{Use: "a", Run: run}}, "no description"},
		"opens nothing":  {[]cli.Command{{Use: "a", Short: "x", NeedsData: true, Run: run}}, "opens none"},
	} {
		t.Run(name, func(t *testing.T) {
			var out, errs bytes.Buffer
			got := cli.Program{Name: "p", Short: "x", Commands: c.commands}.Run(t.Context(), []string{"a"}, strings.NewReader(""), &out, &errs)
			if got != cli.Failed || !strings.Contains(errs.String(), c.want) {
				t.Errorf("status %d, said %s", got, errs.String())
			}
		})
	}
}

// TestClosing: a command's error does not keep the installation open, and an
// error of closing is not lost.
func TestClosing(t *testing.T) {
	closed := false
	p := cli.Program{
		Name: "p", Short: "x",
		Open: func(context.Context, *cli.Env) (any, func() error, error) {
			return 1, func() error { closed = true; return errors.New("disk is full") }, nil
		},
		Commands: []cli.Command{{Use: "a", Short: "x", NeedsData: true, Run: func(context.Context, *cli.Env, []string) error { return nil }}},
	}
	var out, errs bytes.Buffer
	if got := p.Run(t.Context(), []string{"a"}, strings.NewReader(""), &out, &errs); got != cli.Failed || !closed {
		t.Errorf("status %d, closed %v", got, closed)
	}
	if s := errs.String(); !strings.Contains(s, "disk is full") || !strings.Contains(s, "reference=req_") {
		t.Errorf("the cause is not in the log: %s", s)
	}
}

func TestInterrupted(t *testing.T) {
	p := cli.Program{Name: "p", Short: "x", Commands: []cli.Command{{Use: "a", Short: "x", Run: func(ctx context.Context, _ *cli.Env, _ []string) error { return fmt.Errorf("waiting: %w", ctx.Err()) }}}}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var errs bytes.Buffer
	if got := p.Run(ctx, []string{"a"}, strings.NewReader(""), &errs, &errs); got != cli.Failed || errs.String() != "p: Interrupted.\n" {
		t.Errorf("status %d, said %q", got, errs.String())
	}
}

// TestBar: on a terminal the bar is drawn in place, at most ten times a second,
// and always to the end.
func TestBar(t *testing.T) {
	now, out := noon, &bytes.Buffer{}
	p := cli.ProgressOn(out, func() time.Time { return now }, "rolling")
	for i := range 1001 {
		p.Set(i, 1000)
		now = now.Add(time.Millisecond)
	}
	p.Done()
	if n := strings.Count(out.String(), "\r"); n < 10 || n > 12 {
		t.Errorf("drawn %d times in a second", n)
	}
	if !strings.HasSuffix(out.String(), "100 %  1000 of 1000\x1b[K\n") {
		t.Errorf("it does not end full: %q", out.String())
	}
}
