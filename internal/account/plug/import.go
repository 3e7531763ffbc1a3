package plug

import (
	"context"
	"errors"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"troth/internal/account"
	"troth/internal/cli"
	"troth/internal/fault"
	"troth/internal/keys"
	"troth/internal/password"
)

// importCommand is troth user import.
func importCommand() cli.Command {
	return cli.Command{
		Use: "import FILE", Short: "Make accounts of what another system exported, with their passwords",
		Long: "Reads the accounts of an export and makes one here of each that has an address and a password hash\n" +
			"which can be read: bcrypt, scrypt (Firebase's too), PBKDF2, Argon2id and Argon2i. People sign in with\n" +
			"the password that they have; its hash is made anew when they do. Whether an address is confirmed is\n" +
			"taken over. Second factors are not.\n\n" +
			"The formats:\n" +
			"  keycloak   a realm export with users, as kc.sh export writes it\n" +
			"  auth0      the password export, a JSON document a line\n" +
			"  firebase   firebase auth:export FILE.json, with --hash-config: a file with the password hash\n" +
			"             parameters as the console shows them\n" +
			"  csv        a table with a heading: email, hash, and if you like name and confirmed\n" +
			"  phc        lines of an address, a space and a hash\n\n" +
			"An address that has an account is left alone, so an import can be run again. FILE may be - for the\n" +
			"standard input. Exit status 3 when some accounts were refused; each is named with its reason.",
		Example: "troth user import --from keycloak --dry-run realm.json", Args: cobra.ExactArgs(1), NeedsData: true, Run: importAccounts, Destroys: true,
		Flags: func(f *pflag.FlagSet) {
			f.String("from", "", "the system: keycloak, auth0, firebase, csv or phc")
			f.String("hash-config", "", "of Firebase: the file with the password hash parameters")
		},
	}
}

// imported is the report of an import.
type imported struct {
	From     string    `json:"from"`
	Imported int       `json:"imported"`
	Present  int       `json:"present"` // had an account already
	Refused  int       `json:"refused"`
	Dear     int       `json:"dear"`  // whose hash takes longer than one at the present cost
	Lines    []outcome `json:"lines"` // what was refused, and notes
	DryRun   bool      `json:"dry_run,omitempty"`

	present time.Duration                     // what a hash at the present cost takes
	takes   map[password.Params]time.Duration // what theirs take
}

// outcome is what there is to say about one account of an export.
type outcome struct {
	Line   int    `json:"line"`
	Email  string `json:"email,omitempty"`
	Reason string `json:"reason"`
}

// maxOutcomes bounds the report: after so many lines something is wrong with
// the whole file.
const maxOutcomes = 10_000

func (i *imported) say(e password.Exported, reason string) {
	if len(i.Lines) < maxOutcomes {
		i.Lines = append(i.Lines, outcome{e.Line, e.Email, reason})
	}
}

func importAccounts(ctx context.Context, env *cli.Env, args []string) error {
	accounts, err := opened(env)
	if err != nil {
		return err
	}
	from, read, err := exportOf(env)
	if err != nil {
		return err
	}
	in, size, err := source(env, args[0])
	if err != nil {
		return err
	}
	defer in.Close()
	far := &counted{Reader: in}
	progress := env.Progress("importing")
	cost, err := accounts.Calibrated(ctx)
	if err != nil {
		return err
	}
	report := imported{From: from, Lines: []outcome{}, DryRun: env.DryRun, present: cost.Took, takes: map[password.Params]time.Duration{}}
	seen := map[string]bool{}
	for e, err := range read(far) {
		if err == nil {
			err = report.take(ctx, accounts, e, seen)
		}
		if err != nil {
			progress.Done()
			return errors.Join(unreadable(err, args[0]), report.print(env))
		}
		progress.Set(far.kib(), max(int(size>>10), far.kib()))
	}
	progress.Done()
	if err := report.print(env); err != nil {
		return err
	}
	if report.Refused > 0 {
		return cli.Findings("%d accounts were refused.", report.Refused)
	}
	return nil
}

// unreadable is the error of a file that ends too early or is no export. What
// was imported before stays, each account whole.
func unreadable(err error, name string) error {
	if fault.As(err) != nil {
		return err
	}
	return fault.Wrap(err, fault.Invalid, "account.import_unreadable", "The export %s could not be read to its end: %s. The accounts before that were taken; mend the file and import it again.", name, err.Error())
}

// take imports one account, and counts. It returns only what ends the import.
func (i *imported) take(ctx context.Context, accounts *account.Accounts, e password.Exported, seen map[string]bool) error {
	address := keys.Normalise(e.Email)
	if e.Err == nil && seen[address] {
		i.Refused++
		i.say(e, "The address stands in the export more than once; the first was taken.")
		return nil
	}
	_, err := accounts.Import(ctx, operator(), i.From, e, i.DryRun)
	switch f := fault.As(err); {
	case err == nil:
		seen[address] = true
		i.Imported++
		i.dear(e.Hash.Params)
		if e.Note != "" {
			i.say(e, strings.ToUpper(e.Note[:1])+e.Note[1:]+".")
		}
		return nil
	case errors.Is(err, account.ErrPresent):
		i.Present++
		return nil
	case f != nil && f.Kind == fault.Invalid:
		i.Refused++
		i.say(e, f.Message.String())
		return nil
	default:
		return err
	}
}

// dear counts hashes with which a wrong password takes longer than with any
// other account, until the holder has signed in: that tells a stranger that
// there is such an account.
func (i *imported) dear(p password.Params) {
	took, known := i.takes[p]
	if !known && len(i.takes) < 32 {
		took = password.Measure(p)
		i.takes[p] = took
	}
	if took > i.present*5/4 {
		i.Dear++
	}
}

func (i *imported) print(env *cli.Env) error {
	return env.Print(i, func(t *cli.Table) {
		verb := "were imported"
		if i.DryRun {
			verb = "would be imported"
		}
		t.Line("%d accounts %s, %d have an account already, %d were refused.", i.Imported, verb, i.Present, i.Refused)
		if i.Dear > 0 {
			t.Line("The hashes of %d take longer than those made here. Until their holders have signed in, the time of a", i.Dear)
			t.Line("wrong password tells a stranger that there is an account; a longer account.password_target evens it out.")
		}
		if len(i.Lines) > 0 {
			t.Line("")
			t.Head("line", "address", "")
			for _, l := range i.Lines {
				t.Row(l.Line, l.Email, l.Reason)
			}
		}
	})
}

// exportOf reads which export it is.
func exportOf(env *cli.Env) (string, password.Export, error) {
	from, err := env.Flags.GetString("from")
	if err != nil {
		return "", nil, err
	}
	config, err := env.Flags.GetString("hash-config")
	if err != nil {
		return "", nil, err
	}
	var project password.Firebase
	if from == "firebase" {
		if config == "" {
			return "", nil, fault.New(fault.Invalid, "account.import_config", "An export of Firebase needs --hash-config: a file with the password hash parameters that the console shows (Authentication, Users, the menu at the right).")
		}
		file, err := os.Open(config)
		if err != nil {
			return "", nil, fault.Wrap(err, fault.Invalid, "account.import_config", "The file %s cannot be opened.", config)
		}
		defer file.Close()
		if project, err = password.ReadFirebase(file); err != nil {
			return "", nil, fault.New(fault.Invalid, "account.import_config", "The file %s does not hold the password hash parameters: %s.", config, err.Error())
		}
	}
	all := password.Exports(project)
	read, ok := all[from]
	if !ok {
		return "", nil, fault.New(fault.Invalid, "account.import_from", "Say where the export comes from: --from %s.", strings.Join(slices.Sorted(maps.Keys(all)), ", "))
	}
	return from, read, nil
}

// source opens the export, and says how large it is if that is known.
func source(env *cli.Env, name string) (io.ReadCloser, int64, error) {
	if name == "-" {
		return io.NopCloser(env.Stdin), 0, nil
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, 0, fault.Wrap(err, fault.Invalid, "account.import_file", "The file %s cannot be opened.", name)
	}
	about, err := file.Stat()
	if err != nil {
		return nil, 0, errors.Join(err, file.Close())
	}
	return file, about.Size(), nil
}

// counted counts what was read.
type counted struct {
	io.Reader
	n int64
}

func (c *counted) Read(b []byte) (int, error) {
	n, err := c.Reader.Read(b)
	c.n += int64(n)
	return n, err
}

func (c *counted) kib() int { return int(c.n>>10) + 1 }
