package plug

import (
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

// onHost is who types a command.
var onHost = access.System("operator on the host")

func (p plug) commands() []cli.Command {
	return []cli.Command{{
		Use: "tenant", Short: "count organisations, and destroy one with its key",
		Long: "Lists and shows tenants without names, people or content: those belong to the customers.",
		Sub: []cli.Command{
			{Use: "list", Short: "all tenants, by age", NeedsData: true, Run: p.list},
			{Use: "show TENANT", Short: "one tenant", NeedsData: true, Args: cobra.ExactArgs(1), Run: p.show},
			{
				Use: "destroy TENANT", Short: "delete an organisation and destroy its key", NeedsData: true, Destroys: true, Args: cobra.ExactArgs(1), Run: p.destroy,
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
	People    int         `json:"people"`
	Pending   int         `json:"pending_invitations"`
}

func inJSON(s tenant.Size) sized {
	return sized{s.ID, s.Kind, s.CreatedAt.UTC(), s.People, s.Pending}
}

func (p plug) list(ctx context.Context, env *cli.Env, _ []string) error {
	all := []sized{}
	table := tabwriter.NewWriter(env.Stdout, 0, 0, 2, ' ', 0)
	if !env.JSON {
		fmt.Fprintln(table, "TENANT\tKIND\tCREATED\tPEOPLE\tINVITED")
	}
	for after := id.Tenant(""); ; {
		page, next, err := p.Tenants.Sizes(ctx, onHost, after)
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

func (p plug) measure(ctx context.Context, arg string) (tenant.Size, error) {
	which, err := id.Parse[id.Tenant](arg)
	if err != nil {
		return tenant.Size{}, err
	}
	return p.Tenants.Measure(ctx, onHost, which)
}

func (p plug) show(ctx context.Context, env *cli.Env, args []string) error {
	s, err := p.measure(ctx, args[0])
	if err != nil {
		return err
	}
	if env.JSON {
		return json.NewEncoder(env.Stdout).Encode(inJSON(s))
	}
	_, err = fmt.Fprintf(env.Stdout, "tenant   %s\nkind     %s\ncreated  %s\npeople   %d\ninvited  %d\n",
		s.ID, s.Kind, s.CreatedAt.UTC().Format(time.RFC3339), s.People, s.Pending)
	return err
}

func (p plug) destroy(ctx context.Context, env *cli.Env, args []string) error {
	s, err := p.measure(ctx, args[0])
	if err != nil {
		return err
	}
	if env.DryRun {
		_, err := fmt.Fprintf(env.Stdout, "%s would lose %d people and %d invitations, and its key would be destroyed. Nothing was done.\n", s.ID, s.People, s.Pending)
		return err
	}
	if err := p.Tenants.Destroy(ctx, onHost, s.ID); err != nil {
		return err
	}
	_, err = fmt.Fprintf(env.Stdout, "%s was destroyed: %d people and %d invitations removed, its key destroyed.\n", s.ID, s.People, s.Pending)
	return err
}
