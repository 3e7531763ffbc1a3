package plug

import (
	"bytes"
	"context"
	"crypto/sha1"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"troth/internal/breach"
	"troth/internal/cli"
	"troth/internal/fault"
	"troth/internal/password"
	"troth/internal/secret"
)

// host is an opened installation.
type host struct{ lists *breach.Lists }

func (h host) Breaches() *breach.Lists { return h.lists }

// types types a command and returns its exit status and what it printed.
func (d *door) types(stdin string, args ...string) (status int, stdout, stderr string) {
	d.t.Helper()
	program := cli.Program{
		Name: "troth", Short: "test", Commands: d.part.Commands,
		Open: func(context.Context, *cli.Env) (any, func() error, error) {
			return host{d.lists}, func() error { return nil }, nil
		},
	}
	var out, say bytes.Buffer
	status = program.Run(ctx, append([]string{"breach"}, args...), strings.NewReader(stdin), &out, &say)
	return status, out.String(), say.String()
}

// says wants a status and a text of what was typed.
func (d *door) says(want int, contains, stdin string, args ...string) string {
	d.t.Helper()
	status, out, say := d.types(stdin, args...)
	if status != want || !strings.Contains(out+say, contains) {
		d.t.Fatalf("%v: status %d, want %d and %q\n%s%s", args, status, want, contains, out, say)
	}
	return out
}

// list is the hashes of passwords as the download has them.
func list(words ...string) string {
	var all []string
	for _, w := range words {
		all = append(all, fmt.Sprintf("%X:3", sha1.Sum([]byte(w))))
	}
	slices.Sort(all)
	return strings.Join(all, "\n") + "\n"
}

func (d *door) knows(word string) bool {
	d.t.Helper()
	// Another process has changed the list: the running one looks every ten
	// seconds, a new one at once.
	fresh := breach.New(d.lists.Options)
	defer fresh.Close()
	f, err := fresh.Known(ctx, secret.Of(word))
	must(d.t, err)
	return f == password.Breached
}

func TestImportAndStatus(t *testing.T) {
	d := open(t)
	d.says(0, "in the database", "", "status")
	d.says(0, "The list is in order: 2 sha1 hashes. Nothing was written.", list("one of two", "two of two"), "import", "-", "--dry-run")
	if d.knows("one of two") {
		t.Error("a dry run wrote a list")
	}
	d.says(0, "The list of 2 sha1 hashes is in use", list("one of two", "two of two"), "import", "-")
	if !d.knows("one of two") || !d.knows("two of two") || d.knows("three of two") {
		t.Error("the list is not in use")
	}
	d.says(0, "It takes the place of one with 2.", list("another one"), "import", "-")
	if d.knows("one of two") || !d.knows("another one") {
		t.Error("the old list is in use")
	}
	var s breach.Status
	must(t, json.Unmarshal([]byte(d.says(0, "", "", "status", "--json", "--verify")), &s))
	if len(s.Lists) != 1 || s.Lists[0].Entries != 1 || s.Lists[0].Problem != "" || s.Dir != filepath.Join(d.dir, "breach") {
		t.Errorf("status --json: %+v", s)
	}
	var got struct {
		breach.Imported
		DryRun bool `json:"dry_run"`
	}
	must(t, json.Unmarshal([]byte(d.says(0, "", list("x"), "import", "-", "--json", "--dry-run")), &got))
	if !got.DryRun || got.Entries != 1 || got.Kind != breach.SHA1 {
		t.Errorf("import --json: %+v", got)
	}
}

func TestImportRefuses(t *testing.T) {
	d := open(t)
	d.says(1, "line 1 is no hash", "hunter2\n", "import", "-")
	d.says(1, "There is no hash", "", "import", "-")
	d.says(1, "choose auto, sha1, ntlm or range", list("x"), "import", "-", "--format", "md5")
	d.says(1, "--format ntlm has 32", list("x"), "import", "-", "--format", "ntlm")
	d.says(1, "cannot be read", "", "import", filepath.Join(d.dir, "none"))
	d.says(2, "", "", "import")
	if _, err := os.Stat(filepath.Join(d.dir, "breach")); err == nil {
		t.Error("something was made all the same")
	}
	must(t, os.MkdirAll(filepath.Join(d.dir, "breach"), 0o700))
	must(t, os.WriteFile(filepath.Join(d.dir, "breach", "ntlm.list"), []byte("TROTHBL1"), 0o600))
	d.says(3, "The list ntlm is damaged", "", "status")
	d.says(0, "is in use", list("x"), "import", "-")
}

func TestTheOwnListOnTheCommandLine(t *testing.T) {
	d := open(t)
	d.says(0, "2 of 2 passwords were added to the own list.", "one that leaked\r\n\nanother one\n", "add")
	d.says(0, "0 of 1 passwords were added", "one that leaked\n", "add")
	if !d.knows("one that leaked") || !d.knows("another one") {
		t.Error("an added password is not known")
	}
	d.says(0, "1 of 2 passwords were removed from the own list.", "one that leaked\nnever added\n", "remove")
	if d.knows("one that leaked") {
		t.Error("a removed password is known")
	}
	d.says(0, "added", "for an hour\n", "add", "--for", "1h")
	d.says(0, "2", "", "status")
	d.says(2, "--for", "x\n", "add", "--for", "-1h")
	d.says(1, "There is nothing on stdin", "\n\n", "add")
	d.says(1, "Line 2 is longer than any password may be", "x\n"+strings.Repeat("y", maxLine+1)+"\n", "add")
	d.says(1, "Password 1 of those given", "bell \a\n", "add")
	many := strings.Repeat("a password\n", maxLines)
	d.says(1, "at most 10000 are taken at once", many, "add")
}

// No answer and no error repeats a password.
func TestCommandsRepeatNoPassword(t *testing.T) {
	d := open(t)
	const word = "unlikely-word-9QxZ"
	for _, args := range [][]string{{"add"}, {"add", "--json"}, {"remove"}, {"remove", "--json"}, {"import", "-"}, {"add", "--verbose"}} {
		_, out, say := d.types(word+"\n", args...)
		if strings.Contains(out+say, word) {
			t.Errorf("%v repeats it: %s%s", args, out, say)
		}
	}
}

func TestCommandsNeedLists(t *testing.T) {
	c := breach.Defaults()
	p := New(Deps{Config: &c})
	for _, sub := range p.Commands[0].Sub {
		if err := sub.Run(ctx, &cli.Env{App: 7, Stdin: strings.NewReader("")}, nil); err == nil || fault.As(err) != nil {
			t.Errorf("%s: %v", sub.Use, err)
		}
	}
}
