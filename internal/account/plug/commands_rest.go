package plug

import (
	"context"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"troth/internal/account"
	"troth/internal/cli"
	"troth/internal/fault"
	"troth/internal/id"
)

// restCommands put accounts to rest, wake them, and say who is staff.
func restCommands() []cli.Command {
	one := cobra.ExactArgs(1)
	reason := func(f *pflag.FlagSet) { f.String("reason", "", "why, for the log: 3 to 200 characters (required)") }
	return []cli.Command{
		{
			Use: "deactivate ADDRESS|ID", Short: "Suspend an account: nobody signs in to it until you reactivate it",
			Long: "Suspends an account. Its sessions end, and with them what the application is told; signing in answers\n" +
				"as a wrong password does, and its holder cannot undo it. Nothing is deleted: memberships and content\n" +
				"stay. The holder gets a mail without the reason, which stands in the log.",
			Example: `troth user deactivate ada@example.org --reason "reported stolen, ticket 4711"`,
			Args:    one, NeedsData: true, Run: suspendAccount, Destroys: true, Flags: reason,
		},
		{
			Use: "reactivate ADDRESS|ID", Short: "Make an account active again that was suspended or deactivated",
			Example: `troth user reactivate ada@example.org --reason "found again"`,
			Args:    one, NeedsData: true, Run: reactivateAccount, Flags: reason,
		},
		{
			Use: "staff ADDRESS|ID", Short: "Make somebody staff for support, or end that",
			Long: "Makes the holder of an account staff for support (--add), or ends that (--remove). Staff help people\n" +
				"back into their accounts, two of them at a time, and see no content of any organisation. They sign in\n" +
				"with a passkey. Every session of the account ends, and its holder gets a mail.",
			Example: "troth user staff eve@example.org --add", Args: one, NeedsData: true, Run: staffAccount,
			Flags: func(f *pflag.FlagSet) {
				f.Bool("add", false, "make the holder staff for support")
				f.Bool("remove", false, "the holder is no longer staff")
			},
		},
	}
}

func suspendAccount(ctx context.Context, env *cli.Env, args []string) error {
	accounts, v, err := named(ctx, env, args, false)
	if err != nil {
		return err
	}
	why, err := env.Flags.GetString("reason")
	if err != nil {
		return err
	}
	s, err := accounts.Suspend(ctx, operator(), v.ID, why, env.DryRun)
	if err != nil {
		return err
	}
	answer := struct {
		account.Suspension
		DryRun bool `json:"dry_run,omitempty"`
	}{s, env.DryRun}
	return env.Print(answer, func(t *cli.Table) {
		if env.DryRun {
			t.Line("%s would be suspended, and %d sessions would end. Nothing was done.", v.Email, s.Sessions)
		} else {
			t.Line("%s is suspended, and %d sessions were ended.", v.Email, s.Sessions)
		}
		if s.Orphans > 0 {
			t.Line("%d organisations have no other active owner.", s.Orphans)
		}
	})
}

// woken is the answer of a command that changed what an account is.
type woken struct {
	Account  id.Account    `json:"account"`
	State    account.State `json:"state,omitempty"`
	Staff    account.Staff `json:"staff"`
	Sessions int64         `json:"sessions_ended"`
}

func reactivateAccount(ctx context.Context, env *cli.Env, args []string) error {
	accounts, v, err := named(ctx, env, args, false)
	if err != nil {
		return err
	}
	why, err := env.Flags.GetString("reason")
	if err != nil {
		return err
	}
	if err := accounts.Reactivate(ctx, operator(), v.ID, why); err != nil {
		return err
	}
	return env.Print(woken{Account: v.ID, State: account.Active, Staff: v.Staff}, func(t *cli.Table) { t.Line("%s is active again.", v.Email) })
}

func staffAccount(ctx context.Context, env *cli.Env, args []string) error {
	accounts, v, err := named(ctx, env, args, false)
	if err != nil {
		return err
	}
	add, err := env.Flags.GetBool("add")
	if err != nil {
		return err
	}
	remove, err := env.Flags.GetBool("remove")
	if err != nil {
		return err
	}
	if add == remove {
		return fault.New(fault.Invalid, "account.staff_which", "Say either --add or --remove.")
	}
	staff := account.StaffNone
	if add {
		staff = account.StaffSupport
	}
	n, err := accounts.SetStaff(ctx, operator(), v.ID, staff)
	if err != nil {
		return err
	}
	return env.Print(woken{Account: v.ID, State: v.State, Staff: staff, Sessions: n}, func(t *cli.Table) {
		if add {
			t.Line("%s is staff for support now; %d sessions were ended. Staff need a passkey to do anything.", v.Email, n)
		} else {
			t.Line("%s is no longer staff; %d sessions were ended.", v.Email, n)
		}
	})
}
