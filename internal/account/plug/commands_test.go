package plug

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"troth/internal/account"
	"troth/internal/cli"
)

// host is an opened installation.
type host struct{ accounts *account.Accounts }

func (h host) Accounts() *account.Accounts { return h.accounts }

// types types a command and returns its exit status and what it printed.
func (d *door) types(args ...string) (status int, stdout, stderr string) {
	d.t.Helper()
	program := cli.Program{
		Name: "troth", Short: "test", Commands: d.part.Commands,
		Open: func(context.Context, *cli.Env) (any, func() error, error) {
			return host{d.accounts}, func() error { return nil }, nil
		},
	}
	var out, say bytes.Buffer
	status = program.Run(ctx, append([]string{"user"}, args...), strings.NewReader(""), &out, &say)
	return status, out.String(), say.String()
}

func TestCommands(t *testing.T) {
	d := open(t)
	v, c := d.somebody("ada")
	who, err := d.accounts.Find(ctx, operator(), c.Address)
	if err != nil {
		t.Fatal(err)
	}
	says := func(want int, contains string, args ...string) string {
		t.Helper()
		status, out, say := d.types(args...)
		if status != want || !strings.Contains(out+say, contains) {
			t.Fatalf("%v: status %d, want %d and %q\n%s%s", args, status, want, contains, out, say)
		}
		return out
	}
	says(0, c.Address, "list")
	says(0, "active", "show", c.Address)
	says(0, "Troth-Canary", "show", string(who.ID))
	says(1, "no account", "show", "nobody@example.org")
	says(2, "", "show")
	says(2, "", "list", "--limit", "x")

	var shown struct {
		ID       string
		Email    string
		Sessions []account.Session
	}
	if out := says(0, "", "show", "--json", c.Address); json.Unmarshal([]byte(out), &shown) != nil || shown.Email != c.Address || len(shown.Sessions) == 0 {
		t.Errorf("show --json: %s", out)
	}
	says(0, "would be ended", "signout", "--dry-run", c.Address)
	if p, _ := v.GetJSON(ctx, pathSessions); p.Status != http.StatusOK {
		t.Errorf("a dry run signed somebody out: %d", p.Status)
	}
	says(0, "were ended", "signout", c.Address)
	if p, _ := v.GetJSON(ctx, pathSessions); p.Status != http.StatusUnauthorized {
		t.Errorf("a session goes on: %d", p.Status)
	}

	says(0, "would be printed", "recover", "--dry-run", c.Address)
	link := strings.TrimSpace(says(0, "/-/reset/", "recover", c.Address))
	if strings.Contains(link, "\n") || !strings.HasPrefix(link, d.server.URL) {
		t.Fatalf("stdout is not the link alone: %q", link)
	}
	if p, err := d.visitor().Post(ctx, link, "password", word); err != nil || p.Status != http.StatusSeeOther {
		t.Fatalf("the link was answered %v, %v", p, err)
	}
	admission := strings.TrimSpace(says(0, "/-/admission/", "admit"))
	if p, err := d.visitor().Get(ctx, admission); err != nil || p.Status != http.StatusOK {
		t.Errorf("the admission was answered %v, %v", p, err)
	}

	says(0, "would be destroyed", "destroy", "--dry-run", c.Address)
	says(0, "was destroyed", "destroy", c.Address)
	says(1, "no account", "show", c.Address)
	says(0, "destroyed", "show", string(who.ID))
	says(1, "was destroyed", "recover", string(who.ID))
	says(0, "destroyed", "list")
}

// Without an installation there is still a list of commands, as for --help.
func TestDescribedWithoutAnInstallation(t *testing.T) {
	c := account.Defaults()
	p := New(nil, &c)
	if len(p.Commands) != 2 || len(p.Commands[0].Sub) != 10 || len(p.Config) != 4 || len(p.Claims) != 2 {
		t.Errorf("the part has %d commands, %d sections, %d claims", len(p.Commands), len(p.Config), len(p.Claims))
	}
	if err := p.Commands[0].Sub[0].Run(ctx, &cli.Env{App: 7}, nil); err == nil {
		t.Error("a command runs on an installation without accounts")
	}
}
