package plug

import (
	"context"
	"encoding/json"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"troth/internal/access"
	"troth/internal/account"
	"troth/internal/cli"
	"troth/internal/id"
)

// installation is what the commands need of the opened installation.
type installation interface{ Accounts() *account.Accounts }

// operator is who asks on the command line.
func operator() access.Subject { return access.System("operator on the host") }

func (p *plug) commands() []cli.Command {
	one := cobra.ExactArgs(1)
	return []cli.Command{{
		Use: "user", Short: "Look at people's accounts, and help their holders back in",
		Sub: []cli.Command{
			{
				Use: "list", Short: "List the accounts, the oldest first", NeedsData: true, Run: list,
				Flags: func(f *pflag.FlagSet) {
					f.Int("limit", 100, "how many to list, at most 1000")
					f.String("after", "", "go on after this identifier")
				},
			},
			{Use: "show ADDRESS|ID", Short: "Show one account and its sessions", Args: one, NeedsData: true, Run: show},
			{
				Use: "recover ADDRESS|ID", Short: "Print a link with which the holder sets a new password",
				Long:    "Print a link with which the holder of an account sets a new password. It can be used once, within an hour. Every session of the account ends at once, and its address is told by mail. For somebody who lost both the password and the mailbox: make sure who is asking.",
				Example: "  troth user recover ada@example.org", Args: one, NeedsData: true, Run: recoverAccount, Destroys: true,
			},
			{Use: "signout ADDRESS|ID", Short: "End every session of an account", Args: one, NeedsData: true, Run: signOutAccount, Destroys: true},
			{
				Use: "admit", Short: "Print a link with which one person signs up, whatever the mode of sign-up",
				NeedsData: true, Run: admit,
			},
			{
				Use: "destroy ADDRESS|ID", Short: "Destroy an account and the keys of everything personal about it",
				Long: "Destroy an account: its row is wiped, its sessions end, its memberships are given up, and the keys of the account and of its personal space are destroyed. What was sealed under them, in the log too, can never be read again. Backups of the keyring made before can still open it until “troth key roll” has been run.",
				Args: one, NeedsData: true, Run: destroyAccount, Destroys: true,
			},
		},
	}}
}

// opened is the accounts of the installation that the command line opened.
func opened(env *cli.Env) (*account.Accounts, error) {
	app, ok := env.App.(installation)
	if !ok {
		return nil, fmt.Errorf("the installation %T has no accounts", env.App)
	}
	return app.Accounts(), nil
}

// named is the account that the only argument names.
func named(ctx context.Context, env *cli.Env, args []string) (*account.Accounts, account.Account, error) {
	accounts, err := opened(env)
	if err != nil {
		return nil, account.Account{}, err
	}
	v, err := accounts.Find(ctx, operator(), args[0])
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
	if env.JSON {
		if page == nil {
			page = []account.Account{}
		}
		return document(env, struct {
			Accounts []account.Account `json:"accounts"`
			Next     id.Account        `json:"next,omitempty"`
		}{page, next})
	}
	w := tabwriter.NewWriter(env.Stdout, 0, 4, 2, ' ', 0)
	for _, v := range page {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", v.ID, v.Email, v.Name, standing(v), v.CreatedAt.Format(time.DateOnly))
	}
	if next != "" {
		fmt.Fprintf(env.Stderr, "There are more: go on with --after %s\n", next)
	}
	return w.Flush()
}

// standing is what an account is, in a word or two.
func standing(v account.Account) string {
	switch {
	case v.State != account.Active:
		return string(v.State)
	case v.Staff == account.StaffOwner:
		return "platform owner"
	case v.ConfirmedAt.IsZero():
		return "unconfirmed"
	}
	return "active"
}

func show(ctx context.Context, env *cli.Env, args []string) error {
	accounts, v, err := named(ctx, env, args)
	if err != nil {
		return err
	}
	sessions, err := accounts.SessionsOf(ctx, operator(), v.ID)
	if err != nil {
		return err
	}
	if env.JSON {
		return document(env, struct {
			account.Account
			Sessions []account.Session `json:"sessions"`
		}{v, append([]account.Session{}, sessions...)})
	}
	w := tabwriter.NewWriter(env.Stdout, 0, 4, 2, ' ', 0)
	row := func(name string, value any) { fmt.Fprintf(w, "%s\t%v\n", name, value) }
	row("account", v.ID)
	row("address", v.Email)
	row("name", v.Name)
	row("state", standing(v))
	row("personal tenant", v.Home)
	row("created", stamp(v.CreatedAt))
	row("address confirmed", stamp(v.ConfirmedAt))
	row("password set", stamp(v.PasswordAt))
	for _, s := range sessions {
		row("session", fmt.Sprintf("%s, %s, last used %s, %s", s.Device, s.Network, stamp(s.SeenAt), s.ID))
	}
	return w.Flush()
}

func stamp(at time.Time) string {
	if at.IsZero() {
		return "never"
	}
	return at.UTC().Format(time.RFC3339)
}

func recoverAccount(ctx context.Context, env *cli.Env, args []string) error {
	accounts, v, err := named(ctx, env, args)
	if err != nil {
		return err
	}
	if env.DryRun {
		return would(ctx, env, accounts, v, "A recovery link would be printed")
	}
	link, err := accounts.Recover(ctx, operator(), v.ID)
	if err != nil {
		return err
	}
	fmt.Fprintf(env.Stderr, "With this link %s sets a new password, once, within an hour. All sessions were ended.\n", v.Email)
	if env.JSON {
		return document(env, map[string]string{"account": string(v.ID), "link": link.Reveal()})
	}
	_, err = fmt.Fprintln(env.Stdout, link.Reveal())
	return err
}

func signOutAccount(ctx context.Context, env *cli.Env, args []string) error {
	accounts, v, err := named(ctx, env, args)
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
	if env.JSON {
		return document(env, map[string]any{"account": v.ID, "sessions": n})
	}
	_, err = fmt.Fprintf(env.Stdout, "%d sessions of %s were ended.\n", n, v.Email)
	return err
}

// would says what a command would do to the sessions of an account.
func would(ctx context.Context, env *cli.Env, accounts *account.Accounts, v account.Account, also string) error {
	sessions, err := accounts.SessionsOf(ctx, operator(), v.ID)
	if err != nil {
		return err
	}
	if env.JSON {
		return document(env, map[string]any{"account": v.ID, "sessions": len(sessions), "dry_run": true})
	}
	_, err = fmt.Fprintf(env.Stdout, "%d sessions of %s would be ended. %s.\n", len(sessions), v.Email, also)
	return err
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
	fmt.Fprintln(env.Stderr, "With this link one person signs up, once, within 24 hours.")
	if env.JSON {
		return document(env, map[string]string{"link": link.Reveal()})
	}
	_, err = fmt.Fprintln(env.Stdout, link.Reveal())
	return err
}

func destroyAccount(ctx context.Context, env *cli.Env, args []string) error {
	accounts, v, err := named(ctx, env, args)
	if err != nil {
		return err
	}
	d, err := accounts.Destroy(ctx, operator(), v.ID, env.DryRun)
	if err != nil {
		return err
	}
	if env.JSON {
		return document(env, struct {
			account.Destruction
			DryRun bool `json:"dry_run,omitempty"`
		}{d, env.DryRun})
	}
	verb := "was destroyed: %d sessions ended, and these keys are gone:\n"
	if env.DryRun {
		verb = "would be destroyed: %d sessions would end, and these keys would be gone:\n"
	}
	fmt.Fprintf(env.Stdout, "The account %s "+verb, d.Account, d.Sessions)
	for _, k := range d.Keys {
		fmt.Fprintf(env.Stdout, "  %s\n", k)
	}
	return nil
}

// document writes one JSON document.
func document(env *cli.Env, v any) error {
	e := json.NewEncoder(env.Stdout)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
