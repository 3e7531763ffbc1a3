package plug

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"troth/internal/access"
	"troth/internal/cli"
	"troth/internal/id"
	"troth/internal/tenant"
)

// installation is what the commands need of the opened installation.
type installation interface{ Tenants() *tenant.Tenants }

// opened is the tenants of the installation that the command line opened.
func opened(env *cli.Env) (*tenant.Tenants, error) {
	app, ok := env.App.(installation)
	if !ok {
		return nil, fmt.Errorf("the installation %T has no tenants", env.App)
	}
	return app.Tenants(), nil
}

// onHost is who types a command.
var onHost = access.System("operator on the host")

func commands() []cli.Command {
	return []cli.Command{{
		Use: "tenant", Short: "Count organisations, set a plan, and destroy one with its key",
		Long: "Lists and shows tenants without names, people or content: those belong to the customers.",
		Sub: []cli.Command{
			{Use: "list", Short: "All tenants, by age", NeedsData: true, Run: list},
			{Use: "show TENANT", Short: "One tenant", NeedsData: true, Args: cobra.ExactArgs(1), Run: show},
			{
				Use: "plan TENANT NAME", Short: "Put a tenant on a plan of the configuration", NeedsData: true, Args: cobra.ExactArgs(2), Run: setPlan,
				Long:    "A plan ([[plan]] in troth.toml) says what the people of a tenant may use, such as codes by text\nmessage. The name “none” takes a tenant off its plan; what its people have set up stays.",
				Example: "troth tenant plan ten_… business",
			},
			{
				Use: "destroy TENANT", Short: "Delete an organisation and destroy its key", NeedsData: true, Destroys: true, Args: cobra.ExactArgs(1), Run: destroy,
				Long: "Removes every role and invitation of an organisation and destroys its key: what was sealed under it,\n" +
					"its name and its part of the log included, can never be read again. Older backups of the keyring hold\n" +
					"the key until the epoch is rolled (troth key) and the old epoch key is retired.",
				Example: "troth tenant destroy --dry-run ten_…",
			},
		},
	}}
}

// sized is a tenant in JSON.
type sized struct {
	Tenant    id.Tenant   `json:"tenant"`
	Kind      tenant.Kind `json:"kind"`
	CreatedAt time.Time   `json:"created_at"`
	Plan      string      `json:"plan,omitempty"`
	People    int         `json:"people"`
	Pending   int         `json:"pending_invitations"`
}

func inJSON(s tenant.Size) sized {
	return sized{s.ID, s.Kind, s.CreatedAt.UTC(), s.Plan, s.People, s.Pending}
}

func list(ctx context.Context, env *cli.Env, _ []string) error {
	tenants, err := opened(env)
	if err != nil {
		return err
	}
	all := []sized{}
	table := tabwriter.NewWriter(env.Stdout, 0, 0, 2, ' ', 0)
	if !env.JSON {
		fmt.Fprintln(table, "TENANT\tKIND\tCREATED\tPEOPLE\tINVITED")
	}
	for after := id.Tenant(""); ; {
		page, next, err := tenants.Sizes(ctx, onHost, after)
		if err != nil {
			return err
		}
		for _, s := range page {
			if env.JSON {
				all = append(all, inJSON(s))
				continue
			}
			fmt.Fprintf(table, "%s\t%s\t%s\t%d\t%d\n", s.ID, s.Kind, s.CreatedAt.UTC().Format(time.DateOnly), s.People, s.Pending)
		}
		if next == "" {
			break
		}
		after = next
	}
	if env.JSON {
		return json.NewEncoder(env.Stdout).Encode(all)
	}
	return table.Flush()
}

// measure is the size of the tenant that the only argument names.
func measure(ctx context.Context, env *cli.Env, args []string) (*tenant.Tenants, tenant.Size, error) {
	tenants, err := opened(env)
	if err != nil {
		return nil, tenant.Size{}, err
	}
	which, err := id.Parse[id.Tenant](args[0])
	if err != nil {
		return nil, tenant.Size{}, err
	}
	s, err := tenants.Measure(ctx, onHost, which)
	return tenants, s, err
}

func show(ctx context.Context, env *cli.Env, args []string) error {
	_, s, err := measure(ctx, env, args)
	if err != nil {
		return err
	}
	if env.JSON {
		return json.NewEncoder(env.Stdout).Encode(inJSON(s))
	}
	_, err = fmt.Fprintf(env.Stdout, "tenant   %s\nkind     %s\ncreated  %s\nplan     %s\npeople   %d\ninvited  %d\n",
		s.ID, s.Kind, s.CreatedAt.UTC().Format(time.RFC3339), cmp.Or(s.Plan, tenant.NoPlan), s.People, s.Pending)
	return err
}

func setPlan(ctx context.Context, env *cli.Env, args []string) error {
	tenants, s, err := measure(ctx, env, args)
	if err != nil {
		return err
	}
	if err := tenants.SetPlan(ctx, onHost, s.ID, args[1]); err != nil {
		return err
	}
	s.Plan = args[1]
	if env.JSON {
		return json.NewEncoder(env.Stdout).Encode(inJSON(s))
	}
	_, err = fmt.Fprintf(env.Stdout, "%s is on the plan %s.\n", s.ID, s.Plan)
	return err
}

func destroy(ctx context.Context, env *cli.Env, args []string) error {
	tenants, s, err := measure(ctx, env, args)
	if err != nil {
		return err
	}
	if env.DryRun {
		_, err := fmt.Fprintf(env.Stdout, "%s would lose %d people and %d invitations, and its key would be destroyed. Nothing was done.\n", s.ID, s.People, s.Pending)
		return err
	}
	if err := tenants.Destroy(ctx, onHost, s.ID); err != nil {
		return err
	}
	_, err = fmt.Fprintf(env.Stdout, "%s was destroyed: %d people and %d invitations removed, its key destroyed.\n", s.ID, s.People, s.Pending)
	return err
}
