// Package transcripts_test runs every verb of troth as a person does: each file
// of testdata is one sitting at a terminal.
package transcripts_test

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"troth/internal/app"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"troth": func() { os.Exit(app.Main()) }})
}

func TestTranscripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(env *testscript.Env) error {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				return err
			}
			defer l.Close()
			env.Setenv("ADDR", l.Addr().String())
			env.Setenv("ORIGIN", "https://localhost:"+strconv.Itoa(l.Addr().(*net.TCPAddr).Port))
			env.Setenv("TROTH_ACCOUNT_PASSWORD_TARGET", "10ms") // calibrating takes seconds otherwise
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"status": status, "term": term, "ready": ready, "fetch": fetch, "post": post, "keep": keep, "flip": flip,
		},
	})
}

// status N COMMAND… runs a command that must end with the status N.
func status(ts *testscript.TestScript, _ bool, args []string) {
	got := "0"
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		got = strings.TrimPrefix(err.Error(), "exit status ")
	}
	if got != args[0] {
		ts.Fatalf("%s ended with %s, want %s", strings.Join(args[1:], " "), got, args[0])
	}
}

// term asks what runs in the background to end, as systemd does.
func term(ts *testscript.TestScript, _ bool, _ []string) {
	for _, c := range ts.BackgroundCmds() {
		ts.Check(c.Process.Signal(syscall.SIGTERM))
	}
}

// client trusts the authority of the installation in the directory.
func client(ts *testscript.TestScript, dir string) *http.Client {
	pool := x509.NewCertPool()
	pem, err := os.ReadFile(ts.MkAbs(dir + "/ca.pem"))
	if err != nil || !pool.AppendCertsFromPEM(pem) {
		ts.Fatalf("no authority in %s: %v", dir, err)
	}
	return &http.Client{
		Timeout:       20 * time.Second,
		Transport:     &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// ready DIR waits until the installation serves.
func ready(ts *testscript.TestScript, _ bool, args []string) {
	c := client(ts, args[0])
	beat := time.NewTicker(10 * time.Millisecond)
	defer beat.Stop()
	for end := time.After(30 * time.Second); ; {
		if resp, err := c.Get(ts.Getenv("ORIGIN") + "/-/health/ready"); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return
			}
		}
		select {
		case <-beat.C:
		case <-end:
			ts.Fatalf("it was not ready within 30 s")
		}
	}
}

// fetch DIR STATUS PATH writes what a page answers into the file "page".
func fetch(ts *testscript.TestScript, _ bool, args []string) {
	req, err := http.NewRequest(http.MethodGet, ts.Getenv("ORIGIN")+args[2], nil)
	ts.Check(err)
	req.Header.Set("Accept", "text/html, */*;q=0.1")
	resp, err := client(ts, args[0]).Do(req)
	ts.Check(err)
	answered(ts, resp, args[1])
}

// post DIR STATUS PATH NAME=VALUE… sends a form, as its page would.
func post(ts *testscript.TestScript, _ bool, args []string) {
	form := url.Values{}
	for _, field := range args[3:] {
		name, value, _ := strings.Cut(field, "=")
		form.Add(name, value)
	}
	path := strings.TrimPrefix(args[2], ts.Getenv("ORIGIN"))
	req, err := http.NewRequest(http.MethodPost, ts.Getenv("ORIGIN")+path, strings.NewReader(form.Encode()))
	ts.Check(err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Origin", ts.Getenv("ORIGIN"))
	resp, err := client(ts, args[0]).Do(req)
	ts.Check(err)
	answered(ts, resp, args[1])
}

func answered(ts *testscript.TestScript, resp *http.Response, want string) {
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs("page"), b, 0o600))
	if got := strconv.Itoa(resp.StatusCode); got != want {
		ts.Fatalf("%s answered %s, want %s: %s", resp.Request.URL.Path, got, want, b)
	}
}

// keep NAME PATTERN FILE sets a variable to the first group of a pattern.
func keep(ts *testscript.TestScript, _ bool, args []string) {
	found := regexp.MustCompile("(?m)" + args[1]).FindStringSubmatch(ts.ReadFile(args[2]))
	if len(found) != 2 {
		ts.Fatalf("%s is not in %s:\n%s", args[1], args[2], ts.ReadFile(args[2]))
	}
	ts.Setenv(args[0], found[1])
}

// flip FILE OFFSET changes one bit of a file; a negative offset counts from
// its end.
func flip(ts *testscript.TestScript, _ bool, args []string) {
	path := ts.MkAbs(args[0])
	b, err := os.ReadFile(path)
	ts.Check(err)
	at, err := strconv.Atoi(args[1])
	ts.Check(err)
	if at < 0 {
		at += len(b)
	}
	b[at] ^= 1
	ts.Check(os.WriteFile(path, b, 0o600))
}
