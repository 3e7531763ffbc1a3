package app

import (
	"context"
	"errors"
	"time"

	"troth/internal/cli"
	"troth/internal/fault"
	"troth/internal/part"
	"troth/internal/text"
)

// patience is how long the doctor waits for one examination.
const patience = 15 * time.Second

// note is one finding as it is printed.
type note struct {
	About  string     `json:"about"`
	Grade  part.Grade `json:"grade"`
	Says   string     `json:"says"`
	Remedy string     `json:"remedy,omitempty"`
}

// runDoctor says what is wrong. An installation that cannot even be opened is
// the first finding, not an error without a word. Exit status 3 when there is a
// problem.
func runDoctor(ctx context.Context, env *cli.Env, _ []string) error {
	var notes []note
	add := func(about string, findings ...part.Finding) {
		for _, f := range findings {
			notes = append(notes, note{about, f.Grade, f.Says.String(), f.Remedy.String()})
		}
	}
	in, err := openToExamine(ctx, env)
	if err != nil {
		f := fault.As(err)
		if f == nil {
			return err
		}
		add("start", part.Finding{Grade: part.Problem, Says: f.Message})
	} else {
		defer func() { err = errors.Join(err, in.Close()) }()
		for _, x := range append(in.examinations(), part.All(in.parts, func(p part.Part) []part.Examination { return p.Doctor })...) {
			bounded, cancel := context.WithTimeout(ctx, patience)
			add(x.Name, x.Run(bounded)...)
			cancel()
		}
		if to, err := env.Flags.GetString("mail"); err == nil && to != "" {
			add("mail", in.sendTest(ctx, to))
		}
	}
	problems := 0
	for _, n := range notes {
		if n.Grade == part.Problem {
			problems++
		}
	}
	printErr := env.Print(notes, func(t *cli.Table) {
		for _, n := range notes {
			mark := map[part.Grade]string{part.Good: "ok     ", part.Advice: "advice ", part.Problem: "PROBLEM"}[n.Grade]
			t.Line("%s  %s: %s", mark, n.About, n.Says)
			if n.Remedy != "" {
				t.Line("         → %s", n.Remedy)
			}
		}
	})
	if printErr != nil {
		return printErr
	}
	if problems > 0 {
		return cli.Findings("The doctor found %d problems.", problems)
	}
	return nil
}

func openToExamine(ctx context.Context, env *cli.Env) (*Installation, error) {
	set, err := settingsFor(env, nil)
	if err != nil {
		return nil, err
	}
	return open(ctx, set, options{now: time.Now, log: env.Log})
}

// sendTest sends one message and says whether the server took it.
func (in *Installation) sendTest(ctx context.Context, to string) part.Finding {
	err := in.mailer.Test(ctx, to)
	if err == nil {
		return part.Fine("A message to %s was handed over. See whether it arrives.", to)
	}
	if f := fault.As(err); f != nil {
		return part.Finding{Grade: part.Problem, Says: f.Message}
	}
	return problem(text.New("Check the section [mail] of troth.toml."), "The message was not taken: %v.", err)
}
