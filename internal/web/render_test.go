package web

import (
	"html/template"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"troth/internal/access"
	"troth/internal/text"
)

// pageOf renders one template with some data, as a public page.
func pageOf(t testing.TB, catalogue *text.Catalogue, src string, data any) (string, error) {
	t.Helper()
	rd, err := NewRenderer(catalogue, fstest.MapFS{"x/x.html": {Data: []byte(src)}})
	if err != nil {
		return "", err
	}
	deps := frame(t)
	rd.Now = deps.Now
	deps.Renderer = rd
	r := get("/-/x")
	r.Header.Set("Accept-Language", "de, en;q=0.5")
	w, log := call(t, Route{Public: "x", Handle: func(r *Request) error { return r.Page("x/x", text.New("The page"), data) }}, deps, r)
	if w.Code == 500 {
		return log, nil
	}
	return w.Body.String(), nil
}

// TestFunctions: what the functions of templates make, escaped.
func TestFunctions(t *testing.T) {
	type kind string
	hour := noon.Add(-time.Hour)
	for src, want := range map[string]string{
		`{{t "Plain %s" .}}`: `Plain &lt;x&gt;`,
		`{{t "100 % safe"}}`: `100 % safe`,
		`{{t "See %s, <%s>." (link "/-/a?b=1&c" "<here>") .}}`: `See <a href="/-/a?b=1&amp;c">&lt;here&gt;</a>, &lt;&lt;x&gt;&gt;.`,
		`{{t "%[2]s then %[1]s" (code .) (strong "b")}}`:       `<strong>b</strong> then <code>&lt;x&gt;</code>`,
		`<p title="{{t "A %s" .}}">`:                           `title="A &lt;x&gt;"`,
		`{{short "ses_01jdabcdefghjkmnpqrstvwxyz"}}`:           `<code class="id" title="ses_01jdabcdefghjkmnpqrstvwxyz">ses_…tvwxyz</code>`,
		`{{short "abc"}}`:                                      `>abc<`,
		`{{status "PROVEN"}}`:                                  `<span>Proven</span>`,
		`{{tone "bad" "%s is broken" .}}`:                      `<span>&lt;x&gt; is broken</span>`,
		`{{copy .}}`:                                           `<code data-copy-source>&lt;x&gt;</code>`,
		`{{bytes 1536}} {{bytes 12}} {{bytes 200000}}`:         `1.5 KiB 12 B 195 KiB`,
		`{{icon "no such icon"}}|`:                             `|`,
		`{{initial "élan"}}{{initial ""}}`:                     `É?`,
	} {
		got, err := pageOf(t, text.English(), src, nil)
		if err == nil && strings.Contains(src, ".}}") || strings.Contains(src, ".)") {
			got, err = pageOf(t, text.English(), `{{with .Data}}`+src+`{{end}}`, "<x>")
		}
		if err != nil || !strings.Contains(got, want) {
			t.Errorf("%s: %v: lacks %s:\n%s", src, err, want, got[max(0, strings.Index(got, "</h1>")):])
		}
	}
	for src, want := range map[string]string{
		`{{time .Data}}`: `<time datetime="2026-11-21T11:00:00Z" title="1 hour ago">21 Nov 2026, 11:00 UTC</time>`,
		`{{ago .Data}}`:  `<time datetime="2026-11-21T11:00:00Z" title="21 Nov 2026, 11:00 UTC" data-ago>1 hour ago</time>`,
		`{{date .Data}}`: `<time datetime="2026-11-21" title="1 hour ago">21 Nov 2026</time>`,
	} {
		got, err := pageOf(t, text.English(), src, hour)
		never, err2 := pageOf(t, text.English(), src, time.Time{})
		if err != nil || err2 != nil || !strings.Contains(got, want) || !strings.Contains(never, `<span class="muted">never</span>`) {
			t.Errorf("%s: %v %v", src, err, err2)
		}
	}
	got, err := pageOf(t, text.English(), `{{t .Data.A}} {{t .Data.B}}`, map[string]any{"A": text.New("%d of %s", 3, text.New("them")), "B": kind("word")})
	if err != nil || !strings.Contains(got, "3 of them word") {
		t.Errorf("texts of the data: %v", err)
	}
	for _, src := range []string{`{{t 7}}`, `{{t nil}}`, `{{status "no such status"}}`, `{{tone "loud" "x"}}`, `{{link "//evil.com" "x"}}`, `{{link "javascript:x" "x"}}`, `{{bytes "x"}}`, `{{asset "x"}}`, `{{template "field" ($.Field "a" "A" "no" 1)}}`,
		`{{template "field" ($.Field "a" "A" "type")}}`, `{{template "field" ($.Field "a" "A" "type" "file")}}`, `{{template "field" ($.Field "a" "A" "optional" "yes")}}`, `{{template "field" ($.Field "a" "A" "options" 3)}}`, `{{template "field" ($.Field "a" "A" 3 4)}}`} {
		if got, err := pageOf(t, text.English(), src, nil); err != nil || !strings.Contains(got, "rendering the page x/x") {
			t.Errorf("%s is taken: %v", src, err)
		}
	}
}

// TestSpans: durations in words, to the largest unit.
func TestSpans(t *testing.T) {
	w := words{text.English().Printer(""), &Renderer{Now: func() time.Time { return noon }}}
	for d, want := range map[time.Duration]string{
		0: "1 second", 59 * time.Second: "59 seconds", 59900 * time.Millisecond: "1 minute", 90 * time.Second: "2 minutes", time.Hour - time.Second: "1 hour",
		time.Hour: "1 hour", 95 * time.Minute: "2 hours", 26 * time.Hour: "26 hours", 48 * time.Hour: "2 days", 30 * day: "30 days", 61 * day: "2 months", 800 * day: "2 years",
	} {
		if got := w.span(d); got != want {
			t.Errorf("%v is %q, want %q", d, got, want)
		}
	}
	if got := w.relative(noon.Add(3 * time.Hour)); got != "in 3 hours" {
		t.Error(got)
	}
}

// TestTranslation: a page in another language, its parts included.
func TestTranslation(t *testing.T) {
	c, err := text.NewCatalogue(map[string]map[string]string{"de": {
		"The page": "Die Seite", "%s ago": "vor %s", "1 hour": "einer Stunde", "Proven": "Bewiesen",
		"E-mail address": "E-Mail-Adresse", "Sign in": "Anmelden", "See %s.": "Siehe %s.", "here": "hier",
	}})
	if err != nil {
		t.Fatal(err)
	}
	got, err := pageOf(t, c, `{{ago .Data}} {{status "proven"}} {{t "See %s." (link "/-/a" "here")}}{{template "field" ($.Field "email" "E-mail address")}}`, noon.Add(-time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`<html lang="de">`, `<h1>Die Seite</h1>`, ">vor einer Stunde<", ">Bewiesen<", `Siehe <a href="/-/a">hier</a>.`, ">E-Mail-Adresse<", ">Anmelden<"} {
		if !strings.Contains(got, want) {
			t.Errorf("the page lacks %s: %s", want, got)
		}
	}
}

// TestBrokenPages: found when the program starts, not when somebody asks.
func TestBrokenPages(t *testing.T) {
	for name, fs := range map[string]fstest.MapFS{
		"syntax":           {"x/a.html": {Data: []byte(`{{if}}`)}},
		"unknown function": {"x/a.html": {Data: []byte(`{{shout "x"}}`)}},
		"not escapable":    {"x/a.html": {Data: []byte(`<a href='{{if .Data}}'{{end}}>`)}},
		"unknown template": {"x/a.html": {Data: []byte(`{{template "nothing"}}`)}},
		"twice":            {"web/error.html": {Data: []byte(`x`)}},
		"shared":           {"x/a.html": {Data: []byte(`x`)}, "x/_b.html": {Data: []byte(`{{if}}`)}},
	} {
		if _, err := NewRenderer(text.English(), fs); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	rd, err := NewRenderer(text.English(), fstest.MapFS{"x/a.html": {Data: []byte(`{{template "row" 1}}`)}, "x/_b.html": {Data: []byte(`{{define "row"}}row {{.}}{{end}}`)}, "top.html": {}})
	if err != nil || !rd.Has("x/a") || rd.Has("x/_b") || rd.Has("top") {
		t.Errorf("shared templates: %v", err)
	}
	deps := frame(t)
	deps.Renderer = rd
	w, _ := call(t, Route{Public: "x", Handle: func(r *Request) error { return r.Page("x/nothing", text.New("x"), nil) }}, deps, get("/-/x"))
	if w.Code != 500 || strings.Contains(w.Body.String(), "x/nothing") {
		t.Errorf("a page that does not exist: %d", w.Code)
	}
}

// TestNavigation: an entry is shown to whom its route would let in, in order,
// and the deepest that leads here is current.
func TestNavigation(t *testing.T) {
	items := []NavItem{
		{Section: "B", Label: "Deep", Path: "/-/b/deep", Order: 3}, {Section: "A", Label: "Home", Path: "/-/a/", Order: 1, Covers: []string{"/-/b/home"}},
		{Section: "B", Label: "Top", Path: "/-/b", Order: 2}, {Section: "C", Label: "Secret", Path: "/-/c", Order: 4, Needs: "c.read"},
	}
	for path, current := range map[string]string{"/-/a/": "Home", "/-/a/x": "Home", "/-/b": "Top", "/-/b/deep/er": "Deep", "/-/b/home/er": "Home", "/-/bee": "", "/-/c": ""} {
		got := ""
		sections := navigation(items, member(), false, path)
		for _, s := range sections {
			for _, it := range s.Items {
				if it.Label == "Secret" {
					t.Error("an entry is shown to whom its page is denied")
				}
				if it.Current {
					got += it.Label
				}
			}
		}
		if got != current || len(sections) != 2 || sections[0].Label != "A" || sections[1].Items[0].Label != "Top" {
			t.Errorf("%s: current is %q, want %q; %v", path, got, current, sections)
		}
	}
	if got := navigation(items, access.System("x"), false, "/-/c"); len(got) != 3 || !got[2].Items[0].Current {
		t.Errorf("whoever may sees %v", got)
	}
	items[2].Shared = true
	for personal, want := range map[bool]int{true: 1, false: 2} {
		if got := navigation(items, member(), personal, "/-/a/"); len(got) != 2 || len(got[1].Items) != want {
			t.Errorf("in a space that is personal (%v): %v", personal, got)
		}
	}
}

// TestView: the URL holds the state of filters, and sign-in leads back.
func TestView(t *testing.T) {
	src := `{{.With "page" "2"}}|{{.With "q" ""}}|{{.Query "q"}}|{{.SignInPath}}|{{.May "x"}}|{{.Subject.Account}}|`
	got, err := pageOf(t, text.English(), src, nil)
	if err != nil || !strings.Contains(got, "/-/x?page=2|/-/x||/-/signin?return_to=%2F-%2Fx|false||") {
		t.Errorf("%v: %s", err, got)
	}
}

// TestFieldKinds: values come from the query of a filter, and secrets from
// nowhere.
func TestFieldKinds(t *testing.T) {
	deps := frame(t)
	var v *View
	r := get("/-/x?q=tea&on=yes&pw=canary&code=canary")
	call(t, Route{Public: "x", Handle: func(r *Request) error { v = &View{request: r}; return r.NoContent() }}, deps, r)
	for name, settings := range map[string][]any{"q": nil, "on": {"type", "checkbox"}, "pw": {"type", "password", "value", "canary"}, "code": {"type", "code", "value", "canary"}} {
		f, err := v.Field(name, "Label", settings...)
		if err != nil || strings.Contains(f.Value, "canary") || name == "q" && f.Value != "tea" || name == "on" && !f.Checked {
			t.Errorf("%s: %+v, %v", name, f, err)
		}
	}
	f, err := v.Field("note", "Label", "type", "textarea", "rows", 7, "hint", "A hint.", "id", "other", "maxlength", 80, "readonly", true)
	if err != nil || f.Rows != 7 || f.ID != "other" || f.Maxlength != "80" || f.Describedby() != "other-hint" || !f.Readonly {
		t.Errorf("%+v, %v", f, err)
	}
}

// TestAtOnce: the renderer is used by many requests at once, also for the
// first page in a language.
func TestAtOnce(t *testing.T) {
	c, err := text.NewCatalogue(map[string]map[string]string{"de": {"People": "Leute"}})
	if err != nil {
		t.Fatal(err)
	}
	rd, err := NewRenderer(c, fstest.MapFS{"x/x.html": {Data: []byte(`{{t "People"}} {{t "%d" 1}} {{ago .Data}}`)}})
	if err != nil {
		t.Fatal(err)
	}
	deps := frame(t, as{everything()})
	deps.Renderer = rd
	h := Handler(Route{Method: "GET", Path: "/-/x", Public: "x", Handle: func(r *Request) error { return r.Page("x/x", text.New("People"), noon) }}, deps)
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			r := get("/-/x")
			want := "<h1>People"
			if i%2 == 0 {
				r.Header.Set("Accept-Language", "de")
				want = "<h1>Leute"
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if !strings.Contains(w.Body.String(), want) {
				t.Errorf("lacks %s", want)
			}
		})
	}
	wg.Wait()
}

// TestMarkup: nothing that a template is given becomes markup by itself.
func TestMarkup(t *testing.T) {
	w := words{text.English().Printer(""), nil}
	if got := w.html("%s %s", "<a>", template.HTML("<b>")); got != "&lt;a&gt; <b>" {
		t.Error(got)
	}
}
