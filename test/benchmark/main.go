package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"troth/internal/account"
)

// benchmark is one entry of the list.
type benchmark struct {
	name string
	run  func(ctx context.Context, l *lab) error
}

// benchmarks in the order in which they run and are printed.
var benchmarks = []benchmark{
	{"session", session}, {"seal", seal}, {"proxy", proxy}, {"signin", signIn}, {"audited", audited},
	{"sequence", sequence}, {"leaves", leaves}, {"start", start}, {"roll", roll}, {"breach", breached}, {"flood", flood},
}

// aids are what this program is when it helps itself to measure.
var aids = map[string]func(args []string) error{"peer": servePeer, "person": personAid, "flood": floodAid}

// lab is where a run takes place.
type lab struct {
	binary string // the program that is measured from outside
	dir    string // everything the run writes
	table  table
	crowd  string // the data directory with many accounts, once it is made
	home   string // the data directory of one person, once it is made
	who    account.Signed

	addresses map[string]string // by data directory
}

// say tells progress on stderr: stdout has the table only.
func (l *lab) say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "%s  %s\n", time.Now().Format("15:04:05"), fmt.Sprintf(format, args...))
}

func main() {
	if len(os.Args) > 1 {
		if aid := aids[os.Args[1]]; aid != nil {
			exit(aid(os.Args[2:]))
		}
	}
	l := &lab{}
	only := flag.String("only", "", "run the benchmarks of these `names` only, separated by commas")
	flag.StringVar(&l.binary, "troth", "bin/troth", "the `program` to measure")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	err := l.run(ctx, *only)
	if err == nil && l.table.short() {
		os.Exit(3)
	}
	exit(err)
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "benchmark:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func (l *lab) run(ctx context.Context, only string) (err error) {
	chosen, err := choose(only)
	if err != nil {
		return err
	}
	if l.binary, err = filepath.Abs(l.binary); err != nil {
		return err
	}
	if l.dir, err = os.MkdirTemp("", "troth-bench-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(l.dir)) }()
	began, state := time.Now(), machine(l.dir)
	for _, b := range chosen {
		l.say("%s", b.name)
		l.table.group = b.name
		if err := b.run(ctx, l); err != nil {
			return fmt.Errorf("%s: %w", b.name, err)
		}
	}
	fmt.Printf("%s\nLoad after it: %s. The run took %s.\n\n", state, load(), time.Since(began).Round(time.Second))
	l.table.print(os.Stdout)
	return nil
}

// choose picks benchmarks by name; none is all.
func choose(only string) ([]benchmark, error) {
	if only == "" {
		return benchmarks, nil
	}
	var chosen []benchmark
	for name := range strings.SplitSeq(only, ",") {
		i := slices.IndexFunc(benchmarks, func(b benchmark) bool { return b.name == name })
		if i < 0 {
			var names []string
			for _, b := range benchmarks {
				names = append(names, b.name)
			}
			return nil, fmt.Errorf("there is no benchmark %q; there are %s", name, strings.Join(names, ", "))
		}
		chosen = append(chosen, benchmarks[i])
	}
	return chosen, nil
}
