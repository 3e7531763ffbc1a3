package plug

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

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
	status = program.Run(ctx, command(args), strings.NewReader(""), &out, &say)
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
	if len(p.Commands) == 0 || len(p.Config) == 0 || len(p.Claims) == 0 {
		t.Errorf("the part has %d commands, %d sections, %d claims", len(p.Commands), len(p.Config), len(p.Claims))
	}
	if err := p.Commands[0].Sub[0].Run(ctx, &cli.Env{App: 7}, nil); err == nil {
		t.Error("a command runs on an installation without accounts")
	}
}

// command is what is typed: a command of its own, or one of troth user.
func command(args []string) []string {
	if len(args) > 0 && args[0] == "password" {
		return args
	}
	return append([]string{"user"}, args...)
}

func TestPasswordCommands(t *testing.T) {
	d := open(t, func(d *door) { d.config.PasswordPepper, d.target = true, 60*time.Millisecond })
	says := func(want int, contains string, args ...string) string {
		t.Helper()
		status, out, say := d.types(args...)
		if status != want || !strings.Contains(out+say, contains) {
			t.Fatalf("%v: status %d, want %d and %q\n%s%s", args, status, want, contains, out, say)
		}
		return out
	}
	says(0, "Nothing was changed", "password", "calibrate", "--dry-run")
	var c struct {
		Present, Proposed struct{ Cost, Took string }
		Stored            bool
	}
	out := says(0, "proposed", "password", "calibrate", "--json", "--lower")
	if err := json.Unmarshal([]byte(out), &c); err != nil || !c.Stored || !strings.HasPrefix(c.Proposed.Cost, "argon2id m=") || c.Present.Cost == "" {
		t.Errorf("calibrate --json: %v, %s", err, out)
	}
	says(0, "Version 2 of the pepper", "password", "pepper", "rotate")
	if f := d.part.Doctor[0].Run(ctx); len(f) != 1 || f[0].Says.IsZero() {
		t.Errorf("the doctor says %v", f)
	}
}

func TestImportCommand(t *testing.T) {
	d := open(t)
	dir := t.TempDir()
	file := func(name, content string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const hash = "$pbkdf2-sha256$29000$N2YMIWQsBWBMae09x1jrPQ$1t8iyB2A.WF/Z5JZv.lfCIhXXN33N23OSgQYThBYRfk"
	table := file("people.csv", "email,hash,name,confirmed\nada@example.org,"+hash+",Ada,true\ngrace@example.org,md5,,\nADA@example.org,"+hash+",,\n")
	says := func(want int, contains string, args ...string) string {
		t.Helper()
		status, out, say := d.types(args...)
		if status != want || !strings.Contains(out+say, contains) {
			t.Fatalf("%v: status %d, want %d and %q\n%s%s", args, status, want, contains, out, say)
		}
		return out
	}
	says(1, "Say where the export comes from", "import", table)
	says(1, "needs --hash-config", "import", "--from", "firebase", table)
	says(1, "password hash parameters", "import", "--from", "firebase", "--hash-config", table, table)
	says(1, "cannot be opened", "import", "--from", "csv", filepath.Join(dir, "none"))
	says(3, "1 accounts would be imported, 0 have an account already, 2 were refused", "import", "--from", "csv", "--dry-run", table)
	if _, err := d.accounts.Find(ctx, operator(), "ada@example.org"); err == nil {
		t.Fatal("the dry run made an account")
	}
	var r imported
	out := says(3, "", "import", "--from", "csv", "--json", table)
	if err := json.Unmarshal([]byte(out), &r); err != nil || r.Imported != 1 || r.Refused != 2 || len(r.Lines) != 2 || r.Lines[0].Line != 3 || r.Lines[0].Reason == "" {
		t.Fatalf("import --json: %v, %s", err, out)
	}
	says(3, "0 accounts were imported, 2 have an account already, 1 were refused", "import", "--from", "csv", table)
	says(0, "active", "show", "ada@example.org")
	cut := file("cut.json", `[{"email":"eve@example.org","email_verified":true,"passwordHash":"`+hash+`"}, {"email":`)
	says(1, "could not be read to its end", "import", "--from", "auth0", cut)
	says(0, "active", "show", "eve@example.org")
}
