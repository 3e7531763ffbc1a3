package plug

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"troth/internal/access"
	"troth/internal/account"
	"troth/internal/cli"
	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/secret"
)

// installation is what the commands need of the opened installation.
type installation interface{ Accounts() *account.Accounts }

// operator is who types a command, and who runs the installation's own checks.
func operator() access.Subject { return access.System("operator on the host") }

func (p *plug) commands() []cli.Command {
	one := cobra.ExactArgs(1)
	return []cli.Command{{
		Use: "user", Short: "Look at people's accounts, and help their holders back in",
		Sub: append(restCommands(), []cli.Command{
			{
				Use: "list", Short: "The accounts, the oldest first", NeedsData: true, Run: list,
				Flags: func(f *pflag.FlagSet) {
					f.Int("limit", 100, "how many to list, at most 1000")
					f.String("after", "", "go on after this identifier")
				},
			},
			{Use: "show ADDRESS|ID", Short: "One account and its sessions", Args: one, NeedsData: true, Run: show},
			{
				Use: "recover ADDRESS|ID", Short: "Print a link with which the holder sets a new password",
				Long: "Prints a link with which the holder of an account sets a new password, once, within an hour.\n" +
					"Every session of the account ends at once, and its address is told by mail. For somebody who\n" +
					"lost both the password and the mailbox: make sure who is asking. A second factor stays, unless\n" +
					"--remove-factors is given. One person does this, since whoever has the host has the keys; it is\n" +
					"in the log. Two members of staff can do it in the browser, at /-/staff/recovery.",
				Example: "troth user recover ada@example.org", Args: one, NeedsData: true, Run: recoverAccount, Destroys: true,
				Flags: func(f *pflag.FlagSet) {
					f.Bool("remove-factors", false, "using the link removes the second factors too")
				},
			},
			{Use: "signout ADDRESS|ID", Short: "End every session of an account", Args: one, NeedsData: true, Run: signOutAccount, Destroys: true},
			{
				Use: "unlock ADDRESS|ID", Short: "Forget the wrong passwords and codes that were tried at an account",
				Long: "After too many wrong passwords or codes in a row, an account takes none from browsers that are new to\n" +
					"it for a while, and after a hundred none at all. Its holder gets a link by mail that ends this; for\n" +
					"somebody who cannot read it, this command does. Nobody is signed in by it.",
				Example: "troth user unlock ada@example.org", Args: one, NeedsData: true, Run: unlockAccount,
			},
			importCommand(),
			{Use: "admit", Short: "Print a link with which one person signs up, whatever the mode of sign-up", NeedsData: true, Run: admit},
			{
				Use: "destroy ADDRESS|ID", Short: "Destroy an account and the keys of everything personal about it",
				Long: "Wipes the row of an account, ends its sessions, gives up its memberships, and destroys the keys of\n" +
					"the account and of its personal space: what was sealed under them, in the log too, can never be\n" +
					"read again. Older backups of the keyring hold the keys until the epoch is rolled (troth key) and\n" +
					"the old epoch key is retired.",
				Example: "troth user destroy --dry-run ada@example.org", Args: one, NeedsData: true, Run: destroyAccount, Destroys: true,
			},
		}...),
	}, passwordCommand()}
}

// opened is the accounts of the installation that the command line opened.
func opened(env *cli.Env) (*account.Accounts, error) {
	app, ok := env.App.(installation)
	if !ok {
		return nil, fmt.Errorf("the installation %T has no accounts", env.App)
	}
	return app.Accounts(), nil
}

// named is the account that the only argument names. One that was destroyed
// can be shown and nothing else.
func named(ctx context.Context, env *cli.Env, args []string, destroyed bool) (*account.Accounts, account.Account, error) {
	accounts, err := opened(env)
	if err != nil {
		return nil, account.Account{}, err
	}
	v, err := accounts.Find(ctx, operator(), args[0])
	if err == nil && v.State == account.Destroyed && !destroyed {
		err = fault.New(fault.Gone, "account.destroyed", "The account %s was destroyed.", v.ID)
	}
	return accounts, v, err
}

func list(ctx context.Context, env *cli.Env, _ []string) error {
	accounts, err := opened(env)
	if err != nil {
		return err
	}
	limit, err := env.Flags.GetInt("limit")
	if err != nil {
		return err
	}
	after, err := env.Flags.GetString("after")
	if err != nil {
		return err
	}
	page, next, err := accounts.List(ctx, operator(), id.Account(after), limit)
	if err != nil {
		return err
	}
	if next != "" {
		env.Say("There are more: go on with --after %s", next)
	}
	answer := struct {
		Accounts []account.Account `json:"accounts"`
		Next     id.Account        `json:"next,omitempty"`
	}{append([]account.Account{}, page...), next}
	return env.Print(answer, func(t *cli.Table) {
		t.Head("account", "address", "name", "state", "created")
		for _, v := range page {
			t.Row(v.ID, v.Email, v.Name, standing(v), v.CreatedAt)
		}
	})
}

// standing is what an account is, in a word or two.
func standing(v account.Account) string {
	switch {
	case v.State != account.Active:
		return string(v.State)
	case v.Staff == account.StaffOwner:
		return "platform owner"
	case v.Staff == account.StaffSupport:
		return "staff for support"
	case v.ConfirmedAt.IsZero():
		return "unconfirmed"
	}
	return "active"
}

func show(ctx context.Context, env *cli.Env, args []string) error {
	accounts, v, err := named(ctx, env, args, true)
	if err != nil {
		return err
	}
	sessions, err := accounts.SessionsOf(ctx, operator(), v.ID)
	if err != nil {
		return err
	}
	answer := struct {
		account.Account
		Sessions []account.Session `json:"sessions"`
	}{v, append([]account.Session{}, sessions...)}
	return env.Print(answer, func(t *cli.Table) {
		t.Row("account", v.ID)
		t.Row("address", v.Email)
		t.Row("name", v.Name)
		t.Row("state", standing(v))
		t.Row("personal tenant", v.Home)
		t.Row("created", v.CreatedAt)
		t.Row("address confirmed", v.ConfirmedAt)
		t.Row("password set", v.PasswordAt)
		if len(sessions) == 0 {
			return
		}
		t.Line("")
		t.Head("session", "device", "from", "last used", "signed in")
		for _, s := range sessions {
			t.Row(s.ID, s.Device, s.Network, s.SeenAt, s.SignedIn)
		}
	})
}

func recoverAccount(ctx context.Context, env *cli.Env, args []string) error {
	accounts, v, err := named(ctx, env, args, false)
	if err != nil {
		return err
	}
	if env.DryRun {
		return would(ctx, env, accounts, v, "A recovery link would be printed")
	}
	factors, err := env.Flags.GetBool("remove-factors")
	if err != nil {
		return err
	}
	issue, says := accounts.Recover, "With this link %s sets a new password, once, within an hour. All sessions were ended."
	if factors {
		issue, says = accounts.Rescue, "With this link %s sets a new password, once, within an hour, and the second factors are removed. All sessions were ended."
	}
	link, err := issue(ctx, operator(), v.ID)
	if err != nil {
		return err
	}
	env.Say(says, v.Email)
	return printLink(env, v.ID, link)
}

func admit(ctx context.Context, env *cli.Env, _ []string) error {
	accounts, err := opened(env)
	if err != nil {
		return err
	}
	link, err := accounts.Admit(ctx, operator())
	if err != nil {
		return err
	}
	env.Say("With this link one person signs up, once, within 24 hours.")
	return printLink(env, "", link)
}

// printLink prints a link, which is the answer of the command.
func printLink(env *cli.Env, whose id.Account, link secret.String) error {
	answer := struct {
		Account id.Account `json:"account,omitempty"`
		Link    string     `json:"link"`
	}{whose, link.Reveal()}
	return env.Print(answer, func(t *cli.Table) { t.Line("%s", answer.Link) })
}

func unlockAccount(ctx context.Context, env *cli.Env, args []string) error {
	accounts, v, err := named(ctx, env, args, false)
	if err != nil {
		return err
	}
	counted, err := accounts.Unlock(ctx, operator(), v.ID)
	if err != nil {
		return err
	}
	answer := struct {
		Account id.Account `json:"account"`
		Counted bool       `json:"counted"`
	}{v.ID, counted}
	return env.Print(answer, func(t *cli.Table) {
		if counted {
			t.Line("What was tried at %s is forgotten: its password is taken from any browser again.", v.Email)
			return
		}
		t.Line("Nothing wrong was tried at %s since the last right password, so there was nothing to forget.", v.Email)
	})
}

func signOutAccount(ctx context.Context, env *cli.Env, args []string) error {
	accounts, v, err := named(ctx, env, args, false)
	if err != nil {
		return err
	}
	if env.DryRun {
		return would(ctx, env, accounts, v, "Nothing else would change")
	}
	n, err := accounts.EndAll(ctx, operator(), v.ID)
	if err != nil {
		return err
	}
	return env.Print(ended{v.ID, int(n), false}, func(t *cli.Table) { t.Line("%d sessions of %s were ended.", n, v.Email) })
}

// ended is how many sessions of an account a command ended, or would end.
type ended struct {
	Account  id.Account `json:"account"`
	Sessions int        `json:"sessions"`
	DryRun   bool       `json:"dry_run,omitempty"`
}

// would says what a command would do to the sessions of an account.
func would(ctx context.Context, env *cli.Env, accounts *account.Accounts, v account.Account, also string) error {
	sessions, err := accounts.SessionsOf(ctx, operator(), v.ID)
	if err != nil {
		return err
	}
	return env.Print(ended{v.ID, len(sessions), true}, func(t *cli.Table) {
		t.Line("%d sessions of %s would be ended. %s. Nothing was done.", len(sessions), v.Email, also)
	})
}

func destroyAccount(ctx context.Context, env *cli.Env, args []string) error {
	accounts, v, err := named(ctx, env, args, false)
	if err != nil {
		return err
	}
	d, err := accounts.Destroy(ctx, operator(), v.ID, env.DryRun)
	if err != nil {
		return err
	}
	answer := struct {
		account.Destruction
		DryRun bool `json:"dry_run,omitempty"`
	}{d, env.DryRun}
	return env.Print(answer, func(t *cli.Table) {
		if env.DryRun {
			t.Line("%s would be destroyed: %d sessions would end, and these keys would be gone. Nothing was done.", d.Account, d.Sessions)
		} else {
			t.Line("%s was destroyed: %d sessions ended, and these keys are gone.", d.Account, d.Sessions)
		}
		for _, k := range d.Keys {
			t.Line("  %s", k)
		}
	})
}
