package app

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"troth/internal/config"
	"troth/internal/store"
	"troth/verify"
)

// TestMain is the program itself when a test starts it as a process.
func TestMain(m *testing.M) {
	if os.Getenv("RUN_AS_TROTH") != "" {
		os.Exit(Main())
	}
	os.Exit(m.Run())
}

// process is `troth serve` as a process that can be killed.
type process struct {
	t      testing.TB
	cmd    *exec.Cmd
	out    *bytes.Buffer
	client *http.Client
	origin string
}

func start(t testing.TB, set *Settings) *process {
	t.Helper()
	pem, err := os.ReadFile(filepath.Join(set.Data, "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	p := &process{t: t, out: &bytes.Buffer{}, origin: set.site.Origin, client: &http.Client{
		Transport:     &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, MaxIdleConnsPerHost: 8},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Timeout:       20 * time.Second,
	}}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p.cmd = exec.Command(self, "serve", "--data", set.Data, "--listen", set.site.Listen)
	p.cmd.Env = append(os.Environ(), "RUN_AS_TROTH=1", "TROTH_ACCOUNT_PASSWORD_TARGET="+set.account.PasswordTarget.String(), "TROTH_ORIGIN="+set.site.Origin,
		"TROTH_THROTTLE_NETWORK_BURST=1000") // a guess that a kill cuts short counts as a wrong one
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.out
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("the program said:\n%s", p.out)
		}
	})
	await(t, "the program is ready", settle, func() bool {
		resp, err := p.client.Get(p.origin + "/-/health/ready")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	return p
}

// kill is kill -9.
func (p *process) kill() {
	if p.cmd.ProcessState == nil {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
		p.client.CloseIdleConnections()
	}
}

// send sends a request with a session, and returns what was answered; an error
// is no answer.
func (p *process) send(method, path, session string, form url.Values) (*http.Response, string, error) {
	req, err := http.NewRequest(method, p.origin+path, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, "", err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Origin", p.origin)
	req.Header.Set("Accept", "text/html")
	if session != "" {
		req.AddCookie(&http.Cookie{Name: "__Host-troth", Value: session})
	}
	resp, err := p.client.Do(req)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp, string(body), err
}

// ledger is what was acknowledged.
type ledger struct {
	mu       sync.Mutex
	sessions map[string]string // token → address
	names    map[string]string // address → the name that was acknowledged last
	asked    map[string]string // address → a newer name whose fate nobody knows
	signIns  int
	renamed  int
	unsure   int
}

func (l *ledger) note(fn func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fn()
}

// kills is how often the program is killed.
const kills = 20

// TestKilledAtAnyMoment kills the program under a load of writes, again and
// again: what it acknowledged is there afterwards, and its log verifies and
// continues the checkpoint that was seen last.
func TestKilledAtAnyMoment(t *testing.T) {
	t.Parallel()
	h := plan(t, func(s *Settings) {
		s.site.Listen = listen(t)
		s.site.Origin = "https://localhost" + s.site.Listen[strings.LastIndexByte(s.site.Listen, ':'):]
		s.account.PasswordTarget = config.Duration(10 * time.Millisecond)
	})
	h.o.hashing = nil
	h.serve()
	var people []*who
	for i := range 4 {
		people = append(people, h.person(fmt.Sprintf("load%d", i)))
	}
	vkey := h.in.audit.VKey()
	if err := h.halt(); err != nil {
		t.Fatal(err)
	}
	l := &ledger{sessions: map[string]string{}, names: map[string]string{}, asked: map[string]string{}}
	state := filepath.Join(t.TempDir(), "seen")
	for range kills {
		p := start(t, h.set)
		p.continues(vkey, state)
		p.remembers(l)
		var work sync.WaitGroup
		for _, w := range people {
			work.Go(func() { p.load(l, w) })
		}
		enough := l.signIns + 1 + rand.IntN(12)
		await(t, "some sign-ins were acknowledged", settle, func() bool {
			l.mu.Lock()
			defer l.mu.Unlock()
			return l.signIns >= enough
		})
		p.kill()
		work.Wait()
	}
	again := over(t, h.set, h.clock)
	again.o.hashing = nil
	again.serve()
	again.proven(state)
	have := again.events()
	if n := have["account.signed_in"]; n < l.signIns {
		t.Errorf("%d sign-ins were acknowledged, and %d stand in the log", l.signIns, n)
	}
	if n := have["account.renamed"]; n < l.renamed || n > l.renamed+l.unsure {
		t.Errorf("%d names were acknowledged and %d are unsure, and %d stand in the log", l.renamed, l.unsure, n)
	}
	again.noEventWithoutRow()
	t.Logf("%d sign-ins and %d names were acknowledged, %d were under way at a kill", l.signIns, l.renamed, l.unsure)
}

// load signs in and changes the name until the program is gone.
func (p *process) load(l *ledger, w *who) {
	for {
		resp, _, err := p.send(http.MethodPost, "/-/signin", "", url.Values{"email": {w.address}, "password": {w.password}})
		if err != nil {
			return
		}
		if resp.StatusCode != http.StatusSeeOther {
			p.t.Errorf("signing in was answered %d", resp.StatusCode)
			return
		}
		token := ""
		for _, c := range resp.Cookies() {
			if c.Name == "__Host-troth" {
				token = c.Value
			}
		}
		l.note(func() { l.sessions[token] = w.address; l.signIns++ })
		name := fmt.Sprintf("Name %d", rand.Int64())
		l.note(func() { l.asked[w.address] = name; l.unsure++ })
		resp, _, err = p.send(http.MethodPost, "/-/account/", token, url.Values{"name": {name}})
		if err != nil {
			return
		}
		if resp.StatusCode != http.StatusSeeOther {
			p.t.Errorf("changing a name was answered %d", resp.StatusCode)
			return
		}
		l.note(func() { l.names[w.address] = name; delete(l.asked, w.address); l.renamed++; l.unsure-- })
	}
}

// remembers finds everything acknowledged before: sessions hold, names are the
// last ones acknowledged, or one that was under way.
func (p *process) remembers(l *ledger) {
	p.t.Helper()
	for token, address := range l.sessions {
		resp, body, err := p.send(http.MethodGet, "/-/account/", token, nil)
		if err != nil {
			p.t.Fatal(err)
		}
		if resp.StatusCode != http.StatusOK {
			p.t.Errorf("a session that was acknowledged is answered %d", resp.StatusCode)
		}
		last, asked := l.names[address], l.asked[address]
		if last != "" && !strings.Contains(body, last) && (asked == "" || !strings.Contains(body, asked)) {
			p.t.Errorf("%s has neither the name that was acknowledged nor the one that was under way", address)
		}
		if asked != "" && strings.Contains(body, asked) {
			l.names[address] = asked // it was done, and nobody was told
		}
	}
	clear(l.sessions)
	clear(l.asked)
}

// continues examines the log from outside, and that it continues what was seen.
func (p *process) continues(vkey, state string) {
	p.t.Helper()
	key, err := verify.ParseKey(vkey)
	if err != nil {
		p.t.Fatal(err)
	}
	site, err := verify.WebsiteWith(p.origin, p.client)
	if err != nil {
		p.t.Fatal(err)
	}
	report, err := verify.Log(context.Background(), site, &key, verify.Options{State: state})
	if err != nil {
		p.t.Fatal(err)
	}
	for _, f := range report.Findings {
		p.t.Errorf("after a kill: %v", &f)
	}
}

// noEventWithoutRow: every session and every account has the event that made
// it.
func (h *house) noEventWithoutRow() {
	h.t.Helper()
	h.read(func(tx *store.Tx) error {
		var orphans int
		err := tx.QueryRow(`SELECT count(*) FROM account WHERE NOT EXISTS
			(SELECT 1 FROM audit_event WHERE audit_event.tenant = account.home AND audit_event.type = 'account.signed_up')`).Scan(&orphans)
		if orphans != 0 {
			h.t.Errorf("%d accounts have no event", orphans)
		}
		return err
	})
}
