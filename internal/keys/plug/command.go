package plug

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"troth/internal/audit"
	"troth/internal/cli"
	"troth/internal/fault"
	"troth/internal/keys"
	"troth/internal/store"
)

// installation is what the commands need of the opened installation.
type installation interface {
	Keys() *keys.Keys
	Store() *store.DB
	Audit() *audit.Log
}

func opened(env *cli.Env) (installation, error) {
	in, ok := env.App.(installation)
	if !ok {
		return nil, fmt.Errorf("the installation %T has no keys", env.App)
	}
	return in, nil
}

func commands() []cli.Command {
	return []cli.Command{{
		Use: "key", Short: "List, renew and retire the epoch keys",
		Long: "An epoch key wraps all keys of the keyring. A new epoch renews that wrapping, while serve runs;\n" +
			"no data is encrypted again. Retiring an older epoch destroys its key, and with it every backup of\n" +
			"the keyring from before: that is how keys that were destroyed vanish from backups too.",
		Sub: []cli.Command{
			{Use: "list", Short: "The epochs, and how many keys each wraps", NeedsData: true, Run: list},
			{
				Use: "roll", Short: "Make a new epoch and put all keys under it", NeedsData: true, Destroys: true, Run: roll,
				Long: "Makes a new epoch key and wraps all keys of the keyring under it. It may run while serve does, and\n" +
					"may be interrupted: the next one goes on. With --retire the older epochs are destroyed afterwards.",
				Example: "troth key roll\ntroth key roll --retire && troth backup /mnt/backups",
				Flags:   func(f *pflag.FlagSet) { f.Bool("retire", false, "destroy the older epochs afterwards") },
			},
			{
				Use: "retire EPOCH", Short: "Destroy an epoch key that wraps nothing any more", NeedsData: true, Destroys: true, Args: cobra.ExactArgs(1), Run: retire,
				Long:    "Destroys an epoch key. Backups of the keyring that stand under it can never be opened again: take one first.",
				Example: "troth key retire --dry-run 000001-k7f3q2xa",
			},
		},
	}}
}

// epochJSON is an epoch in JSON.
type epochJSON struct {
	Epoch   string `json:"epoch"`
	Current bool   `json:"current"`
	Keys    int    `json:"keys"`
}

type listJSON struct {
	Epochs []epochJSON `json:"epochs"`
	Owed   int         `json:"destroyed_in_older_backups"`
}

func list(ctx context.Context, env *cli.Env, _ []string) error {
	in, err := opened(env)
	if err != nil {
		return err
	}
	all, owed, err := in.Keys().Epochs(ctx)
	if err != nil {
		return err
	}
	out := listJSON{Epochs: []epochJSON{}, Owed: owed}
	for _, e := range all {
		out.Epochs = append(out.Epochs, epochJSON{e.Name, e.Current, e.Keys})
	}
	return env.Print(out, func(t *cli.Table) {
		t.Head("Epoch", "Current", "Keys")
		for _, e := range all {
			t.Row(e.Name, e.Current, e.Keys)
		}
		if owed > 0 {
			t.Line("%d destroyed keys still stand in older backups of the keyring: troth key roll --retire ends that.", owed)
		}
	})
}

type rollJSON struct {
	Epoch   string      `json:"epoch"`
	Keys    int         `json:"keys"`
	Retired []retiredAt `json:"retired"`
	DryRun  bool        `json:"dry_run,omitempty"`
}

type retiredAt struct {
	Epoch string    `json:"epoch"`
	Gone  time.Time `json:"gone_at"`
}

func roll(ctx context.Context, env *cli.Env, _ []string) error {
	in, err := opened(env)
	if err != nil {
		return err
	}
	alsoRetire, err := env.Flags.GetBool("retire")
	if err != nil {
		return fmt.Errorf("reading --retire: %w", err)
	}
	before, _, err := in.Keys().Epochs(ctx)
	if err != nil {
		return err
	}
	out := rollJSON{Retired: []retiredAt{}, DryRun: env.DryRun}
	for _, e := range before {
		out.Keys += e.Keys
	}
	if env.DryRun {
		return env.Print(out, func(t *cli.Table) {
			t.Line("%d keys would be put under a new epoch.", out.Keys)
			if alsoRetire {
				t.Line("%d older epochs would be destroyed, and with them every backup of the keyring until now.", len(before))
			}
			t.Line("Nothing was done.")
		})
	}
	// The keyring is a database of its own, so the roll cannot be in the
	// transaction of its event: the log says that it begins, and that it ended.
	if err := record(ctx, in, "keys.roll_begun", ""); err != nil {
		return err
	}
	progress := env.Progress("putting the keys under a new epoch")
	out.Epoch, err = in.Keys().Roll(ctx, progress.Set)
	progress.Done()
	if err != nil {
		return err
	}
	if err := record(ctx, in, "keys.rolled", out.Epoch); err != nil {
		return err
	}
	if alsoRetire {
		for _, e := range before {
			if e.Name == out.Epoch {
				continue // an interrupted roll went on
			}
			gone, err := destroy(ctx, in, e.Name)
			if err != nil {
				return err
			}
			out.Retired = append(out.Retired, retiredAt{e.Name, gone})
		}
	}
	return env.Print(out, func(t *cli.Table) {
		t.Line("All keys stand under the epoch %s.", out.Epoch)
		for _, r := range out.Retired {
			t.Line("The epoch %s was destroyed.", r.Epoch)
		}
		if len(out.Retired) > 0 {
			t.Line("Take a backup now: older ones of the keyring can never be opened again.")
		}
	})
}

func retire(ctx context.Context, env *cli.Env, args []string) error {
	in, err := opened(env)
	if err != nil {
		return err
	}
	all, _, err := in.Keys().Epochs(ctx)
	if err != nil {
		return err
	}
	if env.DryRun {
		for _, e := range all {
			if e.Name != args[0] {
				continue
			}
			return env.Print(map[string]any{"epoch": e.Name, "keys": e.Keys, "current": e.Current, "dry_run": true}, func(t *cli.Table) {
				switch {
				case e.Current:
					t.Line("%s is the current epoch and would not be destroyed.", e.Name)
				case e.Keys > 0:
					t.Line("%s still wraps %d keys and would not be destroyed: troth key roll comes first.", e.Name, e.Keys)
				default:
					t.Line("%s would be destroyed, and with it every backup of the keyring that stands under it.", e.Name)
				}
				t.Line("Nothing was done.")
			})
		}
		return fault.New(fault.NotFound, "keys.no_epoch", "There is no epoch %s. Run troth key list.", args[0])
	}
	gone, err := destroy(ctx, in, args[0])
	if err != nil {
		return err
	}
	return env.Print(retiredAt{args[0], gone}, func(t *cli.Table) {
		t.Line("The epoch %s was destroyed. Backups of the keyring that stand under it can never be opened again.", args[0])
	})
}

// destroy retires an epoch and writes it to the log.
func destroy(ctx context.Context, in installation, epoch string) (time.Time, error) {
	gone, err := in.Keys().Retire(ctx, epoch)
	if err != nil {
		return time.Time{}, err
	}
	return gone.UTC(), record(ctx, in, "keys.retired", epoch)
}

// record writes what was done to the log of the platform.
func record(ctx context.Context, in installation, event, epoch string) error {
	err := in.Store().Write(ctx, func(tx *store.Tx) error {
		_, err := in.Audit().AppendTx(tx, audit.Event{
			Type: event, Actor: audit.Actor{Kind: audit.KindSystem, Name: "operator on the host"},
			Targets: []audit.Target{{Kind: "epoch", ID: epoch}}, Metadata: map[string]string{"epoch": epoch},
		})
		return err
	})
	if err != nil {
		return fmt.Errorf("it was done, and could not be written to the log: %w", err)
	}
	return nil
}
