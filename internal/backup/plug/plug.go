// Package plug is what package backup plugs into Troth: the commands backup and
// restore, and what the doctor says about the age of the newest backup.
//
// Restoring needs no installation, so the command opens none: it is given the
// places by the program, as [Places].
package plug

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"troth/internal/access"
	"troth/internal/backup"
	"troth/internal/cli"
	"troth/internal/fault"
	"troth/internal/keys"
	"troth/internal/part"
	"troth/internal/text"
	"troth/verify"
)

// Source is an opened installation that can be backed up.
type Source interface{ BackupSource() backup.Source }

// Places reads the configuration and says where a restored installation goes:
// nothing is opened or made.
type Places func(env *cli.Env) (Place, error)

// Place is where a restored installation goes.
type Place struct {
	Data        string // the data directory
	Root        string // the directory of the root key, which must be there
	RingURL     string
	StoreURL    string
	DatabaseKey keys.Ref
	Migrations  []fs.FS
	Published   string // the file of the last published checkpoint
	// Record opens the restored installation and writes into its log what was
	// restored.
	Record func(ctx context.Context, r backup.Result) error
}

// Deps are what the plug needs.
type Deps struct {
	Source Source // nil where nothing is open
	Places Places
	Now    func() time.Time
}

type plug struct{ Deps }

// New returns the part.
func New(d Deps) part.Part {
	p := plug{d}
	return part.Part{
		Name: "backup", Events: backup.Events,
		Doctor: []part.Examination{{Name: "backup", Run: p.examine}},
		Commands: []cli.Command{
			{
				Use: "backup DIR", Short: "Copy everything to a directory, while the service runs", Args: cobra.ExactArgs(1), NeedsData: true, Run: take,
				Long: "Writes DIR/troth-TIME/data and DIR/troth-TIME/keyring, and checks both. Keep the two halves in different places,\n" +
					"and the root key in a third: none of them opens anything alone.",
				Example: "  troth backup /var/backups/troth",
			},
			{
				Use: "restore DIR", Short: "Bring a backup back into an empty place", Args: cobra.ExactArgs(1), Run: p.restore, Destroys: true,
				Long: "Checks the newest backup in DIR (or DIR itself) against the log's key, and makes a new data directory from it.\n" +
					"The root key must lie where the configuration says (keys.root; otherwise root/ in the data directory).\n" +
					"Give the newest checkpoint of the log that anybody kept with --checkpoint (the file “checkpoint” of the old data\n" +
					"directory, or a copy of /-/log/checkpoint): the log then says openly, in a new epoch, that it was taken back.",
				Example: "  troth restore /var/backups/troth --data ./new --key localhost+…",
				Flags: func(f *pflag.FlagSet) {
					f.String("key", "", "the log's verifier `key`, as serve prints it: what is restored must be signed with it")
					f.String("keyring", "", "the `directory` of the keyring half, when it lies elsewhere")
					f.String("checkpoint", "", "the `file` with the newest checkpoint that was published")
				},
			},
		},
	}
}

// operator is who asks on the command line.
func operator() access.Subject { return access.System("operator on the host") }

// answer is what both commands print.
type answer struct {
	backup.Result
	Bytes int64 `json:"bytes"`
}

func take(ctx context.Context, env *cli.Env, args []string) error {
	in, ok := env.App.(Source)
	if !ok {
		return errors.New("the installation cannot be backed up")
	}
	r, err := backup.Take(ctx, operator(), args[0], in.BackupSource(), progress(env))
	if err != nil {
		return err
	}
	return env.Print(answer{r, r.Bytes()}, func(t *cli.Table) {
		t.Line("The backup is written and checked: %d bytes.", r.Bytes())
		t.Row("data half", filepath.Join(r.Dir, "data"))
		t.Row("keyring half", filepath.Join(r.Dir, "keyring")+"   (keep it in another place)")
		t.Line("The root key is in neither: keep a copy of it in a third place.")
	})
}

func progress(env *cli.Env) backup.Progress {
	bars := map[string]*cli.Progress{}
	return func(step string, done, total int) {
		if bars[step] == nil {
			bars[step] = env.Progress(step)
			if total == 0 {
				env.Say("%s …", step)
			}
		}
		if total > 0 {
			bars[step].Set(done, total)
		}
	}
}

func (p plug) restore(ctx context.Context, env *cli.Env, args []string) error {
	vkey, err := env.Flags.GetString("key")
	if err != nil {
		return err
	}
	ring, err := env.Flags.GetString("keyring")
	if err != nil {
		return err
	}
	key, err := verify.ParseKey(vkey)
	if err != nil {
		return cli.Usage("--key is needed: the log's verifier key, NAME+HASH+BASE64, as serve and “troth log status” print it")
	}
	dir, err := backup.Find(args[0])
	if err != nil {
		return err
	}
	place, err := p.Places(env)
	if err != nil {
		return err
	}
	published, err := checkpoint(env, key)
	if err != nil {
		return err
	}
	if env.DryRun {
		r, err := backup.Examine(dir, ring, key)
		if err != nil {
			return err
		}
		return env.Print(answer{r, r.Bytes()}, func(t *cli.Table) {
			t.Line("The backup of %s is whole and signed with this key. It would be restored to %s. Nothing was done.", r.Manifest.TakenAt.Format(time.RFC3339), place.Data)
		})
	}
	r, err := p.fill(ctx, env, dir, ring, key, place)
	if err != nil {
		return err
	}
	if err := keep(place.Published, published); err != nil {
		return err
	}
	configured, err := backup.RestoreConfig(r, place.Data)
	if err != nil {
		return fmt.Errorf("restoring the configuration: %w", err)
	}
	if err := place.Record(ctx, r); err != nil {
		return fmt.Errorf("recording the restoration in the log: %w", err)
	}
	return env.Print(answer{r, r.Bytes()}, func(t *cli.Table) {
		t.Line("The backup of %s is restored to %s.", r.Manifest.TakenAt.Format(time.RFC3339), place.Data)
		if configured {
			t.Line("Its configuration came with it: %s.", filepath.Join(place.Data, "troth.toml"))
		}
		t.Line("Start it with: troth serve --data %s. What happened after the backup is lost.", place.Data)
	})
}

// checkpoint reads the checkpoint that was given, nil if none was. One that is
// not signed with the log's key is refused.
func checkpoint(env *cli.Env, key verify.Key) ([]byte, error) {
	path, err := env.Flags.GetString("checkpoint")
	if err != nil || path == "" {
		return nil, err
	}
	signed, err := os.ReadFile(path)
	if err == nil {
		_, err = verify.OpenCheckpoint(signed, key)
	}
	if err != nil {
		return nil, fault.Wrap(err, fault.Invalid, "backup.checkpoint", "The checkpoint %s cannot be used: %v.", path, err).On("checkpoint")
	}
	return signed, nil
}

// keep puts the published checkpoint where the log looks for it when it starts.
func keep(path string, signed []byte) error {
	if signed == nil {
		return nil
	}
	return os.WriteFile(path, signed, 0o600)
}

// fill restores, and takes away what it began when it fails: half an
// installation is none.
func (p plug) fill(ctx context.Context, env *cli.Env, dir, ring string, key verify.Key, place Place) (backup.Result, error) {
	for _, name := range []string{"troth.db", "keyring.db"} {
		if _, err := os.Stat(filepath.Join(place.Data, name)); err == nil {
			return backup.Result{}, fault.New(fault.Conflict, "backup.not_empty", "There is an installation in %s. Restore to an empty directory: name it with --data.", place.Data)
		}
	}
	root, err := keys.OpenRoot(place.Root)
	if err != nil {
		return backup.Result{}, err
	}
	if err := os.MkdirAll(place.Data, 0o700); err != nil {
		return backup.Result{}, fault.Wrap(err, fault.Invalid, "backup.data", "The directory %s cannot be made.", place.Data)
	}
	r, err := backup.Restore(ctx, dir, ring, backup.Target{
		Root: root, RingURL: place.RingURL, StoreURL: place.StoreURL, Scratch: place.Data,
		DatabaseKey: place.DatabaseKey, Migrations: place.Migrations, Key: key, Now: p.Now,
	}, progress(env))
	if err != nil {
		for _, name := range []string{"troth.db", "troth.db-wal", "troth.db-shm", "keyring.db", "keyring.db-wal", "keyring.db-shm"} {
			err = errors.Join(err, ignoreMissing(os.Remove(filepath.Join(place.Data, name))))
		}
	}
	return r, err
}

func ignoreMissing(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// stale is the age at which a backup is a problem: promise H1 says daily.
const stale = 26 * time.Hour

func (p plug) examine(ctx context.Context) []part.Finding {
	remedy := text.New("Run “troth backup DIR” every day, with cron or a systemd timer.")
	at, err := backup.LastTaken(ctx, p.Source.BackupSource().Log)
	switch {
	case err != nil:
		return []part.Finding{{Grade: part.Problem, Says: text.New("It cannot be seen when the last backup was taken: %v.", err), Remedy: remedy}}
	case at.IsZero():
		return []part.Finding{{Grade: part.Advice, Says: text.New("There has never been a backup."), Remedy: remedy}}
	case p.Now().Sub(at) > stale:
		return []part.Finding{{Grade: part.Problem, Says: text.New("The newest backup is of %s.", at.UTC().Format(time.RFC3339)), Remedy: remedy}}
	}
	return []part.Finding{part.Fine("The newest backup is of %s.", at.UTC().Format(time.RFC3339))}
}
