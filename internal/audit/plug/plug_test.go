package plug

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"troth/internal/access"
	"troth/internal/audit"
	"troth/internal/cli"
	"troth/internal/id"
	"troth/internal/part"
	"troth/internal/trust"
	"troth/internal/web"
	"troth/verify"
)

func TestThePartHasNoGapsAndItsPagesAreTranslated(t *testing.T) {
	h := open(t)
	config := Defaults()
	p := New(h.log, &config, time.Now)
	must(t, part.Check([]part.Part{p}))
	for _, found := range web.LintTemplates(p.Pages) {
		t.Error(found)
	}
	if without := New(nil, &config, time.Now); len(without.Commands) != len(p.Commands) {
		t.Errorf("without a log there are %d commands instead of %d", len(without.Commands), len(p.Commands))
	}
	for _, bad := range []Config{{0, 3}, {13, 121}} {
		if bad.check() == nil {
			t.Errorf("the configuration %+v is taken", bad)
		}
	}
}

func TestOwnActivity(t *testing.T) {
	h := open(t)
	h.page(h.bob, "/-/account/activity", 200, "Nothing happened yet")
	event := h.append(h.changed())
	h.sequence()
	h.page(h.ada, "/-/account/activity", 200, "You changed the role of Bob to admin", "With Firefox, from the network 203.0.113.0/24", "/-/events/"+string(event))
	if body := h.page(h.bob, "/-/account/activity", 200, "Ada changed the role of you to admin"); strings.Contains(body, "203.0.113") || strings.Contains(body, "Firefox") {
		t.Errorf("Bob is shown where Ada was:\n%s", body)
	}
	h.page(h.eve, "/-/account/activity", 200, "Nothing happened yet")
	h.page(h.ada, "/-/account/activity?show=refused", 200, "Nothing fits")
	h.page(h.ada, "/-/account/activity?show=tenant", 200, "You changed the role")
	h.page(h.ada, "/-/account/activity?until=2020-01-01", 200, "Nothing fits")
	h.page(h.ada, "/-/account/activity?show=nonsense", 422, "Choose from the list")
	h.page(h.ada, "/-/account/activity?until=tomorrow", 422, "Write it as 2026-11-21")
	h.page(h.ada, "/-/account/activity?before=evt_x", 404)
	if resp, _ := h.get("", "/-/account/activity", document); resp.StatusCode != 401 {
		t.Errorf("a stranger gets %d", resp.StatusCode)
	}
}

func TestOrganisationActivityIsForItsAdministrators(t *testing.T) {
	h := open(t)
	h.append(h.changed())
	other := h.changed()
	other.Tenant = ""
	h.append(other)
	h.sequence()
	body := h.page(h.ada, "/-/org/activity", 200, "Ada changed the role of Bob to admin", "203.0.113.0/24")
	if n := strings.Count(body, "changed the role"); n != 1 {
		t.Errorf("the organisation has %d events, want its own", n)
	}
	h.page(h.bob, "/-/org/activity", 403)
	h.page(h.eve, "/-/org/activity", 403)
}

func TestPagesOfActivityFollowEachOther(t *testing.T) {
	h := open(t)
	var all []id.Event
	for range pageSize + 5 {
		all = append(all, h.append(h.changed()))
		time.Sleep(time.Millisecond) // identifiers of one millisecond sort at random
	}
	_, body := h.get(h.ada, "/-/account/activity", document)
	var list listJSON
	must(t, json.Unmarshal([]byte(body), &list))
	if len(list.Events) != pageSize || list.Next != list.Events[pageSize-1].ID || list.Events[0].LogIndex != nil {
		t.Fatalf("the first page has %d events, next %q", len(list.Events), list.Next)
	}
	h.page(h.ada, "/-/account/activity", 200, `href="/-/account/activity?before=`+string(list.Next))
	_, body = h.get(h.ada, "/-/account/activity?before="+string(list.Next), document)
	list = listJSON{}
	must(t, json.Unmarshal([]byte(body), &list))
	if len(list.Events) != 5 || list.Next != "" || list.Events[4].ID != all[0] {
		t.Errorf("the second page has %d events, next %q", len(list.Events), list.Next)
	}
}

func TestAnEventAndItsProof(t *testing.T) {
	h := open(t)
	event := h.append(h.changed())
	path := "/-/events/" + string(event)
	h.page(h.bob, path, 200, "Pending", "becomes a part of the log within a second")
	if resp, _ := h.get(h.bob, path+"/proof.json", document); resp.StatusCode != 503 || resp.Header.Get("Retry-After") == "" {
		t.Errorf("the proof of an event that waits answers %d", resp.StatusCode)
	}
	h.sequence()
	h.page(h.ada, path, 200, "Sealed", "Ada changed the role of Bob to admin", "203.0.113.9", "0 of 1", "Download the proof", "— log.example")
	h.page(h.bob, path, 200, "Ada changed the role of you to admin")
	h.page(h.eve, path, 404)
	h.page(h.ada, "/-/events/evt_nonsense", 404)

	opened := map[id.Account]int{h.ada: 3, h.bob: 2} // core, Ada, Bob
	for who, want := range opened {
		resp, body := h.get(who, path+"/proof.json", document)
		if resp.StatusCode != 200 || !strings.Contains(resp.Header.Get("Content-Disposition"), string(event)) {
			t.Fatalf("the proof answers %d %v", resp.StatusCode, resp.Header)
		}
		proof, err := verify.ParseEventProof([]byte(body))
		must(t, err)
		key, err := verify.ParseKey(h.log.VKey())
		must(t, err)
		if _, err := proof.Check(key); err != nil {
			t.Error(err)
		}
		n := 0
		for _, s := range proof.Sections {
			if s.Open() {
				n++
			}
			if who == h.bob && s.Name == string(h.ada) && s.Open() {
				t.Error("Bob's proof opens what tells about Ada")
			}
		}
		if n != want {
			t.Errorf("%d sections are open, want %d", n, want)
		}
	}
	if resp, _ := h.get(h.eve, path+"/proof.json", document); resp.StatusCode != 404 {
		t.Errorf("a proof for somebody else answers %d", resp.StatusCode)
	}
	if _, body := h.get(h.bob, path, document); !strings.Contains(body, `"action":"tenant.role_changed"`) || strings.Contains(body, "203.0.113") {
		t.Errorf("as JSON it is %s", body)
	}
}

// TestAStrangerFetchesAndVerifiesTheLog fetches all that is public through the
// routes, as package verify does.
func TestAStrangerFetchesAndVerifiesTheLog(t *testing.T) {
	h := open(t)
	for range 300 {
		h.append(audit.Event{Type: signedIn, Tenant: h.tenant, Actor: audit.Actor{Kind: audit.KindSystem}})
	}
	_, err := h.log.Evidence(context.Background(), nil, []byte(`{"payloadType":"none"}`))
	must(t, err)
	h.sequence()
	mux := http.NewServeMux()
	for _, r := range h.plug.routes() {
		mux.Handle(r.Pattern(), web.Handler(r, h.deps))
	}
	server := httptest.NewTLSServer(mux)
	defer server.Close()
	get := func(path string) *http.Response {
		t.Helper()
		resp, err := server.Client().Get(server.URL + path)
		must(t, err)
		_, err = io.Copy(io.Discard, resp.Body)
		must(t, err)
		resp.Body.Close()
		return resp
	}
	for path, want := range map[string]string{
		"/-/log/checkpoint":              "200 text/plain; charset=utf-8 no-store",
		"/-/log/vkey":                    "200 text/plain; charset=utf-8 public, max-age=300",
		"/-/log/tile/0/000.p/2":          "200 application/octet-stream " + immutable,
		"/-/log/tile/entries/000.p/2":    "200 application/octet-stream " + immutable,
		"/-/log/tile/0/000.p/3":          "404 application/problem+json no-store",
		"/-/log/tile/0/000":              "404 application/problem+json no-store",
		"/-/log/tile/9/000":              "404 application/problem+json no-store",
		"/-/log/tile/../checkpoint":      "200 text/plain; charset=utf-8 no-store", // cleaned by the client of the mux
		"/-/log/evidence/00":             "404 application/problem+json no-store",
		"/-/log/evidence/%2e%2e%2fvkey":  "404 application/problem+json no-store",
		"/-/log/tile/entries/x000/x/000": "404 application/problem+json no-store",
	} {
		resp := get(path)
		got := resp.Status[:3] + " " + resp.Header.Get("Content-Type") + " " + resp.Header.Get("Cache-Control")
		if got != want {
			t.Errorf("%s answers %q, want %q", path, got, want)
		}
	}
	src, err := verify.WebsiteWith(server.URL, server.Client())
	must(t, err)
	key, err := verify.ParseKey(h.log.VKey())
	must(t, err)
	report, err := verify.Log(context.Background(), src, &key, verify.Options{})
	must(t, err)
	if !report.OK() || report.Size != 2 {
		t.Errorf("a stranger finds %+v in %d entries", report.Findings, report.Size)
	}
}

// app is what commands work with.
type app struct{ log *audit.Log }

func (a app) Audit() *audit.Log   { return a.log }
func (a app) Trust() *trust.Trust { return nil }

func TestCommands(t *testing.T) {
	h := open(t)
	h.append(h.changed())
	h.sequence()
	dir := t.TempDir()
	run := func(args ...string) (int, string) {
		var out, said strings.Builder
		p := cli.Program{Name: "troth", Commands: commands(),
			Open: func(context.Context, *cli.Env) (any, func() error, error) {
				return app{h.log}, func() error { return nil }, nil
			}}
		status := p.Run(context.Background(), args, strings.NewReader(""), &out, &said)
		return status, out.String() + said.String()
	}
	for _, c := range []struct {
		args   string
		status int
		says   string
	}{
		{"log export " + dir, 0, h.log.VKey()},
		{"log verify " + dir, 0, "Self-consistent only"},
		{"log verify " + dir + " --key " + h.log.VKey(), 0, "Nothing was found"},
		{"log verify " + dir + " --key nonsense", 2, "nonsense"},
		{"log verify " + dir + "/none", 2, "none"},
		{"log verify " + dir + " --json", 0, `"findings": []`},
		{"log check", 0, "Nothing was found"},
		{"log check --json", 0, `"findings": []`},
		{"log status", 0, "epoch"},
		{"log status --json", 0, `"size": 1`},
	} {
		if status, says := run(strings.Fields(c.args)...); status != c.status || !strings.Contains(says, c.says) {
			t.Errorf("%s: exit status %d:\n%s", c.args, status, says)
		}
	}
	if _, says := run("log", "status", "--json"); strings.Contains(says, "oldest_pending") {
		t.Errorf("nothing waits, and the status says\n%s", says)
	}
	must(t, h.db.Write(context.Background(), breakIt))
	if status, says := run("log", "check"); status != 3 || !strings.Contains(says, "row-differs") {
		t.Errorf("after a row was changed: exit status %d:\n%s", status, says)
	}
}

// TestSentencesReadWellWithYou: the actor of a sentence is called "You" in
// their own activity, which no verb in the third person follows.
func TestSentencesReadWellWithYou(t *testing.T) {
	third := regexp.MustCompile(`\{actor\},? (who|was|is|has|does)\b|\b(and|or) (was|is|has)\b|of \{actor\}|\{actor\}['’]s`)
	for _, of := range []map[string]audit.Type{open(t).log.Types(), byName(access.Events)} {
		for name, kind := range of {
			if wrong := third.FindString(kind.Sentence); wrong != "" {
				t.Errorf("%s: %q does not go with “You” in %q", name, wrong, kind.Sentence)
			}
		}
	}
}

func byName(types []audit.Type) map[string]audit.Type {
	all := map[string]audit.Type{}
	for _, k := range types {
		all[k.Name] = k
	}
	return all
}
