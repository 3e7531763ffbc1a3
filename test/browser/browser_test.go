// Package browser drives the built program with a real browser: a first owner
// signs up, an organisation is founded, a second person is invited, works in
// it, is raised and removed; each page is looked at in light, dark, at 320
// pixels and without JavaScript, and axe-core looks for barriers.
//
// It needs Chromium and Node; `make test` installs both.
package browser

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// installation is a running Troth in front of the notes application.
type installation struct {
	origin string
	owner  string // the first owner's link
	data   string
	vkey   string
	bin    string
}

func TestEverythingInABrowser(t *testing.T) {
	in := start(t)
	walk := exec.CommandContext(t.Context(), "node", "walk.mjs")
	walk.Env = append(os.Environ(), "ORIGIN="+in.origin, "OWNER="+in.owner, "SCREENS="+os.Getenv("SCREENS"), "UPDATE="+os.Getenv("UPDATE"))
	walk.Cancel = func() error { return walk.Process.Signal(syscall.SIGTERM) }
	out, err := walk.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatalf("the walk through the pages ended: %v", err)
	}
	verify := exec.CommandContext(t.Context(), filepath.Join(in.bin, "troth"), "verify", in.origin, "--ca", filepath.Join(in.data, "ca.pem"), "--key", in.vkey)
	if out, err := verify.CombinedOutput(); err != nil {
		t.Errorf("troth verify: %v\n%s", err, out)
	}
}

// start builds the programs, makes an installation and serves it until the
// test ends.
func start(t *testing.T) *installation {
	t.Helper()
	in := &installation{data: filepath.Join(t.TempDir(), "data"), bin: t.TempDir()}
	run(t, "go", "build", "-o", in.bin+"/", "../../cmd/troth", "../../examples/notes")
	front, notes := free(t), free(t)
	in.origin = "https://localhost:" + port(front)
	run(t, filepath.Join(in.bin, "troth"), "init", "--data", in.data, "--listen", front)
	background(t, nil, filepath.Join(in.bin, "notes"), "--listen", notes, "--dir", filepath.Join(in.data, "notes"),
		"--troth", in.origin, "--ca", filepath.Join(in.data, "ca.pem"))
	said := make(chan string, 100)
	background(t, said, filepath.Join(in.bin, "troth"), "serve", "--data", in.data, "--listen", front, "--upstream", "http://"+notes)
	link := regexp.MustCompile(`https://localhost:[0-9]+/-/\S+/[A-Za-z0-9_-]{43}`)
	key := regexp.MustCompile(`--key (\S+)`)
	deadline := time.After(time.Minute)
	for in.owner == "" {
		select {
		case line, ok := <-said:
			if !ok {
				t.Fatal("serve ended before it stood")
			}
			if m := key.FindStringSubmatch(line); m != nil {
				in.vkey = m[1]
			}
			in.owner = link.FindString(line)
		case <-deadline:
			t.Fatal("serve did not print the first owner's link within a minute")
		}
	}
	return in
}

func run(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", filepath.Base(name), strings.Join(args, " "), err, out)
	}
}

// background runs a program until the test ends, sends what it says to lines,
// and shows it when the test has failed.
func background(t *testing.T, lines chan<- string, name string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), name, args...)
	pipe, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout = cmd.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	var reading sync.WaitGroup
	reading.Go(func() {
		for s := bufio.NewScanner(pipe); s.Scan(); {
			fmt.Fprintln(&said, s.Text())
			select {
			case lines <- s.Text():
			default:
			}
		}
		if lines != nil {
			close(lines)
		}
	})
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		reading.Wait()
		err := cmd.Wait()
		if t.Failed() {
			t.Logf("%s said (%v):\n%s", filepath.Base(name), err, said.String())
		}
	})
}

func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func port(address string) string {
	_, p, _ := net.SplitHostPort(address)
	return p
}
