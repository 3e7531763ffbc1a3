package edge

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"troth/internal/access"
)

// secretOf43 looks as the secrets in links do.
const secretOf43 = "canary_-token_-canary_-token_-canary_-token"

func TestSecretsInLinksAreNotRecordedInAnyForm(t *testing.T) {
	if len(secretOf43) != tokenLen {
		t.Fatal("the test's secret has another length")
	}
	h := open(t, http.HandlerFunc(echo))
	cookie := h.signIn(access.Member)
	for _, token := range []string{secretOf43, secretOf43[:40], "canary%5f-token_-canary_-token_-canary_-token"} {
		for _, path := range []string{"/-/reset/TOKEN", "/-/reset/TOKEN/", "/-/reset/TOKEN/x", "/-/reset//TOKEN", "//-/reset/TOKEN", "/-//reset/TOKEN", "/-/RESET/TOKEN", "/%2d/reset/TOKEN", "/%2D/reset/TOKEN",
			"/-/reset/TOKEN%00", "/-/reset/TOKEN;x", "/-/reset%2fTOKEN", "/x/../-/reset/TOKEN", "/./-/reset/TOKEN", "/-/reset/./TOKEN", "/-/unknown/TOKEN", "/-/health/TOKEN", "/-/about/TOKEN",
			"/%252d/reset/TOKEN", "/%25252525252d/reset/TOKEN", "/-%2freset%2fTOKEN", "/-;a=b/reset/TOKEN", "/-/TOKEN"} {
			for _, method := range []string{"GET", "HEAD", "POST", "PUT", "DELETE", "TRACE", "PROPFIND"} {
				a := h.askRaw(method, strings.Replace(path, "TOKEN", token, 1), "Cookie", "__Host-troth="+cookie, "Sec-Fetch-Site", "same-origin")
				if line := h.lines.last(); strings.Contains(line.Path, "canary") || line.Path == "" {
					t.Errorf("%s %s (%d): the line has %s", method, path, a.StatusCode, line.Path)
				}
				if p := a.Header.Get("Referrer-Policy"); a.StatusCode != 200 && a.StatusCode != 307 && p != "no-referrer" && !strings.HasPrefix(path, "/-/health") {
					t.Errorf("%s %s: a page that the application learns the secret from: %d %q", method, path, a.StatusCode, p)
				}
			}
		}
	}
	h.sick.Store("store", http.ErrServerClosed)
	eventually(t, "the gate shuts", func() bool { return !h.edge.gate.open() })
	h.ask("GET", "/-/reset/"+secretOf43, "")
	if line := h.lines.last(); line.Path != "/-/reset/{other}" || line.Status != 503 {
		t.Errorf("behind the gate: %+v", line)
	}
	if strings.Contains(h.journal.String(), "canary") {
		t.Errorf("the log holds a secret:\n%s", h.journal)
	}
}

func TestPathsAreRecordedWhereTheyTellNothing(t *testing.T) {
	h := build(t, nil)
	for path, want := range map[string]string{
		"/-/account/":                    "/-/account/",
		"/-/account/" + secretOf43:       "/-/account/{other}",
		"/-/wp-admin/x":                  "/-/{other}/{other}",
		"/notes/" + secretOf43:           "/notes/" + secretOf43, // the application's own business
		"/some-/page":                    "/some-/page",
		"/notes/..":                      "/notes/..",
		"/notes/../" + secretOf43:        "/notes/../{token}",
		"/a//" + strings.Repeat("f", 64): "/a//" + strings.Repeat("f", 64), // a digest
	} {
		rule, _ := h.edge.table.rule(path)
		if got := h.edge.recordable(path, rule); got != want {
			t.Errorf("%s is recorded as %s", path, got)
		}
	}
	if got := hideTokens("/-/event/" + secretOf43 + "/x." + secretOf43); got != "/-/event/{token}/x.{token}" {
		t.Errorf("got %s", got)
	}
	if got := h.edge.recordable("/-/"+strings.Repeat("x/", 20_000), own); len(got) > maxLogPath+10 {
		t.Errorf("%d bytes are recorded", len(got))
	}
}

func TestTheOperatorLearnsWhyOnceAMinute(t *testing.T) {
	h := open(t, http.HandlerFunc(echo))
	for range 5 {
		h.askRaw("GET", "/files/../"+secretOf43)
		h.askRaw("GET", "/files/%252525252541")
	}
	for _, why := range []string{"it holds dot segments", "encoded more than three times"} {
		if n := infoLines(h.journal.String(), why); n != 1 {
			t.Errorf("%q stands there %d times:\n%s", why, n, h.journal)
		}
	}
	var o odd
	at := time.Unix(1e9, 0)
	for i, want := range []int{1, 0, 0} {
		if got := o.note("x", at.Add(time.Duration(i)*time.Second)); got != want {
			t.Errorf("refusal %d: %d", i, got)
		}
	}
	if got := o.note("y", at); got != 1 {
		t.Errorf("another reason: %d", got)
	}
	if got := o.note("x", at.Add(oddEvery)); got != 3 {
		t.Errorf("a minute later: %d", got)
	}
	if got := o.note("x", at.Add(-time.Hour)); got != 1 {
		t.Errorf("after the clock was set back: %d", got)
	}
}

func infoLines(journal, what string) (n int) {
	for line := range strings.Lines(journal) {
		if strings.Contains(line, "level=INFO") && strings.Contains(line, what) {
			n++
		}
	}
	return n
}
