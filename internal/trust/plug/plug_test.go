package plug

import (
	"bytes"
	"encoding/json"
	"errors"
	"html"
	"os"
	"strings"
	"testing"
	"time"

	"troth/internal/part"
	"troth/internal/store"
	"troth/internal/trust"
	"troth/internal/web"
)

func TestTemplates(t *testing.T) {
	for _, f := range web.LintTemplates(os.DirFS("pages")) {
		t.Error(f)
	}
}

// TestPart: the part has no gaps, and can be made where nothing is served.
func TestPart(t *testing.T) {
	p := New(Options{})
	if err := part.Check([]part.Part{p}); err != nil {
		t.Error(err)
	}
	if len(p.Jobs) != 0 || len(p.Claims) != 2 || len(p.Commands) != 2 {
		t.Errorf("%d jobs, %d claims, %d commands", len(p.Jobs), len(p.Claims), len(p.Commands))
	}
	if err := web.Check(p.Routes); err != nil {
		t.Error(err)
	}
}

// TestJob: what is due is exercised by the job, and an absent front door is an
// error that the absence of success will show.
func TestJob(t *testing.T) {
	h := open(t)
	p := h.plug.part()
	must(t, p.Jobs[0].Run(t.Context()))
	h.pass(2 * time.Second)
	if got := claimsOn(h.get("/-/trust").Body); got["J1"].status != "proven" || got["J2"].status != "proven" {
		t.Errorf("%+v", got)
	}
	h.plug.Bench = func() (trust.Bench, error) { return trust.Bench{}, errors.New("the front door does not stand") }
	p = h.plug.part()
	if err := p.Jobs[0].Run(t.Context()); err == nil {
		t.Error("without a front door the job succeeded")
	}
}

// TestPage: a stranger reads everything that the page has to say about a claim.
func TestPage(t *testing.T) {
	d := &door{}
	d.shut.Store(true)
	h := open(t, d.claim())
	if p := h.get("/-/trust"); p.Status != 200 || !strings.Contains(p.Body, "0 of 3 promises hold by fresh evidence; the others have not been tried yet.") {
		t.Errorf("before the first check: %d\n%s", p.Status, p.Body)
	}
	out := h.exercise("A1")
	p := h.get("/-/trust")
	if got := claimsOn(p.Body)["A1"]; got.status != "proven" || got.sentence != `The "door" is shut & locked.` {
		t.Errorf("%+v", got)
	}
	for _, want := range []string{"It tries the door.", "That nobody has a key.", "CC6.1", "/-/log/evidence/" + out["A1"].Digest.String(), "Entry 0 of the log", "Checked", "1 of 3 promises",
		"troth verify " + h.server.URL + " --ca data/ca.pem --key " + h.log.VKey(), ">Accounts<", ">Transparency<"} {
		if !strings.Contains(html.UnescapeString(p.Body), want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	d.shut.Store(false)
	h.exercise("A1")
	p = h.get("/-/trust")
	if got := claimsOn(p.Body)["A1"]; got.status != "failing" || !strings.Contains(p.Body, "1 of 3 promises failed their last check.") || !strings.Contains(p.Body, "Failing since") {
		t.Errorf("%+v", got)
	}
	one := h.get("/-/trust/A1")
	for _, want := range []string{"It began to fail.", "the door: expected true, seen false.", "the house", "It tries the door.", "Version 1 of the check"} {
		if !strings.Contains(one.Body, want) {
			t.Errorf("the claim's page lacks %q", want)
		}
	}
	d.shut.Store(true)
	h.pass(time.Minute)
	h.exercise("A1")
	if one = h.get("/-/trust/A1"); !strings.Contains(one.Body, "It no longer fails.") || !strings.Contains(one.Body, "It began to fail.") {
		t.Error("the history forgot the failure")
	}
	if p := h.get("/-/trust/Z9"); p.Status != 404 {
		t.Errorf("an unknown claim answered %d", p.Status)
	}
}

// TestDocument: the JSON has the names that are fixed, and no others.
func TestDocument(t *testing.T) {
	d := &door{}
	d.shut.Store(true)
	h := open(t, d.claim())
	h.exercise()
	p := h.get("/-/trust.json")
	if p.Status != 200 || p.Header.Get("Content-Type") != "application/json" {
		t.Fatalf("%d %v", p.Status, p.Header)
	}
	var doc struct {
		Origin string
		Claims []map[string]any
	}
	must(t, json.Unmarshal([]byte(p.Body), &doc))
	if doc.Origin != h.server.URL || len(doc.Claims) != 3 {
		t.Fatalf("%+v", doc)
	}
	for _, c := range doc.Claims {
		for _, name := range []string{"id", "sentence", "status", "checked_at", "since", "criteria", "not_proven", "due_at", "evidence"} {
			if _, ok := c[name]; !ok {
				t.Errorf("%v lacks %s", c["id"], name)
			}
		}
		if len(c) != 9 || c["status"] != "proven" {
			t.Errorf("%v", c)
		}
		for _, e := range c["evidence"].([]any) {
			if m := e.(map[string]any); len(m) != 2 || len(m["digest"].(string)) != 64 || m["log_index"].(float64) < 0 {
				t.Errorf("%v", m)
			}
		}
	}
}

// TestJ1 breaks what J1 watches: the page, the document, and the rows that
// they are made of.
func TestJ1(t *testing.T) {
	replace := func(path, from, to string) func(string, []byte) []byte {
		return func(p string, b []byte) []byte {
			if p == path {
				return bytes.ReplaceAll(b, []byte(from), []byte(to))
			}
			return b
		}
	}
	cases := map[string]func(h *house){
		"sentence on the page":     func(h *house) { h.tampered(replace("/-/trust", "door", "gate")) },
		"status on the page":       func(h *house) { h.tampered(replace("/-/trust", "<span>Failing</span>", "<span>Proven</span>")) },
		"what is not proven":       func(h *house) { h.tampered(replace("/-/trust", "nobody has a key", "anything")) },
		"claim hidden on the page": func(h *house) { h.tampered(replace("/-/trust", `id="A1"`, `id="x"`)) },
		"key on the page":          func(h *house) { h.tampered(replace("/-/trust", "log.example", "other.example")) },
		"page absent":              func(h *house) { h.tampered(replace("/-/trust", "<li", "<p")) },
		"sentence in the document": func(h *house) { h.tampered(replace("/-/trust.json", "shut", "open")) },
		"status in the document":   func(h *house) { h.tampered(replace("/-/trust.json", `"failing"`, `"proven"`)) },
		"time in the document":     func(h *house) { h.tampered(replace("/-/trust.json", "T12:", "T13:")) },
		"evidence": func(h *house) {
			h.tampered(func(p string, b []byte) []byte {
				if strings.HasPrefix(p, "evidence/") {
					b[9] ^= 1
				}
				return b
			})
		},
		"row": func(h *house) {
			corrupt(h, "UPDATE trust_run SET passed = TRUE, fresh_until = $1 WHERE claim = 'A1'", store.Micros(h.now().Add(time.Hour)))
		},
	}
	for name, breakIt := range cases {
		t.Run(name, func(t *testing.T) {
			h := open(t, (&door{}).claim())
			h.exercise("A1")
			if o := h.exercise("J1")["J1"]; !o.Passed {
				t.Fatalf("before anything was changed: %+v", o)
			}
			breakIt(h)
			o := h.exercise("J1")["J1"]
			if o.Passed || o.Error != "" {
				t.Errorf("it noticed nothing: %q %+v", o.Error, o.Observed)
			}
			h.tamper.Store(nil)
			if got := claimsOn(h.get("/-/trust").Body)["J1"].status; got != "failing" {
				t.Errorf("the page says that J1 is %s", got)
			}
		})
	}
}

// TestJ2 breaks what J2 watches: the log as it is served, and as it is kept.
func TestJ2(t *testing.T) {
	flip := func(prefix string, at int) func(string, []byte) []byte {
		return func(p string, b []byte) []byte {
			if strings.HasPrefix(p, prefix) {
				b[at] ^= 1
			}
			return b
		}
	}
	cases := map[string]struct {
		breakIt func(h *house)
		want    string
	}{
		"entry":     {func(h *house) { h.tampered(flip("tile/entries/", 8)) }, "entry-differs"},
		"tile":      {func(h *house) { h.tampered(flip("tile/0/", 40)) }, "tile-differs"},
		"signature": {func(h *house) { h.tampered(flip("checkpoint", 90)) }, "checkpoint-signature"},
		"evidence":  {func(h *house) { h.tampered(flip("evidence/", 30)) }, "evidence-differs"},
		"row of a leaf": {func(h *house) {
			corrupt(h, "UPDATE log_leaf SET entry = $1 WHERE tree = 'log' AND idx = 0", append([]byte{1, 2}, make([]byte, 32)...))
		}, "differs"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			d := &door{}
			d.shut.Store(true)
			h := open(t, d.claim())
			h.exercise("A1")
			for range 2 {
				if o := h.exercise("J2")["J2"]; !o.Passed {
					t.Fatalf("before anything was changed: %+v", o)
				}
			}
			c.breakIt(h)
			o := h.exercise("J2")["J2"]
			text, _ := json.Marshal(o.Observed)
			if o.Passed || o.Error != "" || !strings.Contains(string(text), c.want) {
				t.Errorf("it noticed nothing, or something else: %q %s", o.Error, text)
			}
		})
	}
}

// TestJ2Rewritten: a log that was begun anew does not continue the checkpoint
// that the check saw, though its signature is right.
func TestJ2Rewritten(t *testing.T) {
	h := open(t)
	if o := h.exercise("J2")["J2"]; !o.Passed {
		t.Fatalf("%+v", o)
	}
	other := open(t)
	other.exercise("J2")
	// What h remembers is a checkpoint by its own key of a tree that its log is not.
	h.plug.signed = nil
	if b, err := h.plug.earlier(t.Context()); err != nil || b == nil {
		t.Fatalf("after a restart nothing is remembered: %q, %v", b, err)
	}
	b, err := other.plug.earlier(t.Context())
	if err != nil || b == nil {
		t.Fatalf("%q, %v", b, err)
	}
	h.plug.signed = b
	o := h.exercise("J2")["J2"]
	text, _ := json.Marshal(o.Observed)
	if o.Passed || !strings.Contains(string(text), "seen-signature") {
		t.Errorf("%s", text)
	}
}
