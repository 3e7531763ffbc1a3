package plug

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"troth/internal/account"
	"troth/internal/cli"
)

// sweeps types troth breach pairs.
func (d *door) sweeps(want int, contains, stdin string, args ...string) string {
	d.t.Helper()
	program := cli.Program{
		Name: "troth", Short: "test", Commands: []cli.Command{pairsCommand()},
		Open: func(context.Context, *cli.Env) (any, func() error, error) {
			return host{d.accounts}, func() error { return nil }, nil
		},
	}
	var out, say bytes.Buffer
	status := program.Run(ctx, append([]string{"breach", "pairs"}, args...), strings.NewReader(stdin), &out, &say)
	if status != want || !strings.Contains(out.String()+say.String(), contains) {
		d.t.Fatalf("%v: status %d, want %d and %q\n%s%s", args, status, want, contains, out.String(), say.String())
	}
	return out.String()
}

// Stolen credentials end the session of the browser, which is then led to the
// form for another password.
func TestPairsOnTheCommandLine(t *testing.T) {
	d := open(t)
	v, c := d.somebody("ada")
	lines := "nobody@example.org:something\n" + c.Address + ":" + c.Password.Reveal() + "\nno pair\n"
	d.sweeps(0, "Nothing was kept.", lines, "-", "--dry-run")
	d.sweeps(0, "2 pairs were read; 1 lines hold none. 1 are of addresses that have an account:", lines, "-")
	var r account.PairReport
	if err := json.Unmarshal([]byte(d.sweeps(0, "", lines, "-", "--json")), &r); err != nil || r != (account.PairReport{Lines: 3, Unread: 1, Accounts: 1, Known: 1}) {
		t.Errorf("--json: %+v, %v", r, err)
	}
	if p, _ := v.GetJSON(ctx, pathSessions); p.Status != http.StatusOK {
		t.Errorf("the session ended before anything was compared: %d", p.Status)
	}
	if err := d.accounts.ComparePairs(ctx); err != nil {
		t.Fatal(err)
	}
	if p, _ := v.GetJSON(ctx, pathSessions); p.Status != http.StatusUnauthorized {
		t.Errorf("the session goes on: %d", p.Status)
	}
	again := d.visitor()
	p, err := again.SignIn(ctx, c.Address, c.Password)
	if err != nil || p.Status != http.StatusSeeOther || p.Header.Get("Location") != pathRenew {
		t.Fatalf("signing in led to %d %s, %v", p.Status, p.Header.Get("Location"), err)
	}
	if p, err = again.Follow(ctx, p); err != nil || !strings.Contains(p.Body, "appears in lists of breached passwords") {
		t.Errorf("the form does not say why: %v\n%s", err, p.Body)
	}
	if p, _ := again.Post(ctx, pathRenew, "password", c.Password.Reveal()); p.Status != http.StatusUnprocessableEntity || !strings.Contains(p.Body, "others may have") {
		t.Errorf("the old password is answered %d", p.Status)
	}
	if p, _ := again.Post(ctx, pathRenew, "password", word); p.Status != http.StatusSeeOther {
		t.Errorf("another one is answered %d", p.Status)
	}
	if p, _ := again.GetJSON(ctx, pathSessions); p.Status != http.StatusOK {
		t.Errorf("the sign-in led to no session: %d", p.Status)
	}
}

func TestFilesOfPairs(t *testing.T) {
	d := open(t)
	_, c := d.somebody("ada")
	dir := t.TempDir()
	plain, packed, broken := filepath.Join(dir, "plain.txt"), filepath.Join(dir, "packed.gz"), filepath.Join(dir, "broken.gz")
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write([]byte(c.Address + ":from a packed file\n")); err != nil || z.Close() != nil {
		t.Fatal(err)
	}
	for path, content := range map[string][]byte{
		plain: []byte(c.Address + ":from a plain file\n"), packed: b.Bytes(), broken: []byte("\x1f\x8bno gzip"),
	} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	d.sweeps(0, "2 are of addresses that have an account", "", plain, packed)
	d.sweeps(1, "is a damaged gzip file", "", broken)
	d.sweeps(1, "cannot be read", "", filepath.Join(dir, "none"))
	d.sweeps(2, "", "")
	if out := d.sweeps(0, "0 pairs were read", "", "-"); strings.Contains(out, "from a") {
		t.Errorf("a password is repeated: %s", out)
	}
}
