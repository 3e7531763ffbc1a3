package web

import (
	"io/fs"
	"math"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"troth/internal/text"
)

// tokens reads the colours of the style sheet: name → light and dark.
func tokens(t *testing.T) map[string][2]string {
	t.Helper()
	css := string(assets().files["app.css"].plain)
	out := map[string][2]string{}
	for _, m := range regexp.MustCompile(`--([a-z-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)`).FindAllStringSubmatch(css, -1) {
		out[m[1]] = [2]string{m[2], m[3]}
	}
	return out
}

// luminance is the relative luminance of WCAG 2.2.
func luminance(t *testing.T, hex string) float64 {
	t.Helper()
	n, err := strconv.ParseUint(hex[1:], 16, 32)
	if err != nil {
		t.Fatal(err)
	}
	lin := func(c uint64) float64 {
		v := float64(c&0xff) / 255
		if v <= 0.04045 {
			return v / 12.92
		}
		return math.Pow((v+0.055)/1.055, 2.4)
	}
	return 0.2126*lin(n>>16) + 0.7152*lin(n>>8) + 0.0722*lin(n)
}

func contrast(t *testing.T, a, b string) float64 {
	x, y := luminance(t, a), luminance(t, b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

// TestContrast holds every pair of colours that is used together to WCAG 2.2
// AA in both schemes: 4.5 for text (1.4.3), 3 for borders of inputs, shapes and
// the ring of the focus (1.4.11).
func TestContrast(t *testing.T) {
	all := tokens(t)
	var pairs [][3]string
	add := func(least string, on []string, what ...string) {
		for _, w := range what {
			for _, o := range on {
				pairs = append(pairs, [3]string{w, o, least})
			}
		}
	}
	grounds := []string{"paper", "surface", "sunken"}
	add("4.5", grounds, "ink", "soft", "accent", "accent-strong", "bad")
	add("3", grounds, "edge", "accent", "good", "wait", "warn", "bad", "note", "off")
	add("4.5", []string{"accent", "accent-strong"}, "on-accent")
	add("4.5", []string{"bad"}, "on-bad")
	add("4.5", []string{"accent-wash"}, "ink", "soft", "accent", "accent-strong")
	for _, tone := range []string{"good", "wait", "warn", "bad", "note", "off"} {
		add("4.5", []string{tone + "-wash"}, tone, "ink")
	}
	for _, p := range pairs {
		least, err := strconv.ParseFloat(p[2], 64)
		if err != nil {
			t.Fatal(err)
		}
		for scheme, name := range []string{"light", "dark"} {
			fore, ok1 := all[p[0]]
			back, ok2 := all[p[1]]
			if !ok1 || !ok2 {
				t.Fatalf("there is no colour %s or %s", p[0], p[1])
			}
			if got := contrast(t, fore[scheme], back[scheme]); got < least {
				t.Errorf("%s on %s, %s: %.2f, less than %s", p[0], p[1], name, got, p[2])
			}
		}
	}
}

// TestStyle: the style sheet is whole, uses only names that are defined, and
// fetches nothing from elsewhere.
func TestStyle(t *testing.T) {
	css := string(assets().files["app.css"].plain)
	if strings.Count(css, "{") != strings.Count(css, "}") {
		t.Error("the braces are not balanced")
	}
	for _, m := range regexp.MustCompile(`var\(--([a-z0-9-]+)`).FindAllStringSubmatch(css, -1) {
		if !strings.Contains(css, "--"+m[1]+":") {
			t.Errorf("the token %s is used and not defined", m[1])
		}
	}
	for _, m := range regexp.MustCompile(`url\("([^"]*)"\)`).FindAllStringSubmatch(css, -1) {
		if _, ok := assets().files[m[1]]; !ok {
			t.Errorf("the style sheet names %s, which is no asset", m[1])
		}
	}
	if strings.Contains(css, "@import") || strings.Contains(css, "http") {
		t.Error("the style sheet fetches something")
	}
}

// asking are the scripts that may ask the server something: at addresses that a
// page gives them, never ones of their own.
var asking = map[string]bool{"passkeys.js": true, "meter.js": true}

// TestScripts: about 500 lines, nothing that the content security policy and
// trusted types forbid, and imports that exist.
func TestScripts(t *testing.T) {
	lines := 0
	for name, a := range assets().files {
		if path.Ext(name) != ".js" {
			continue
		}
		src := string(a.plain)
		lines += strings.Count(src, "\n")
		for _, no := range []string{"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function(", "DOMParser", "fetch(", ".style", "http:", "https:"} {
			if strings.Contains(src, no) && !(no == "fetch(" && asking[name]) {
				t.Errorf("%s uses %s", name, no)
			}
		}
		if m := regexp.MustCompile(`fetch\(["'\x60]`).FindString(src); m != "" {
			t.Errorf("%s asks at an address that no page gave it", name)
		}
		for _, m := range regexp.MustCompile(`from "\./([^"]+)"`).FindAllStringSubmatch(src, -1) {
			if _, ok := assets().files[m[1]]; !ok {
				t.Errorf("%s imports %s, which is no asset", name, m[1])
			}
		}
	}
	if lines > 500 {
		t.Errorf("the scripts have %d lines", lines)
	}
}

// TestIcons: every icon that a template or a tone names is in the sprite.
func TestIcons(t *testing.T) {
	for tone, shape := range shapes {
		if icon(shape) == "" {
			t.Errorf("the tone %s has no shape", tone)
		}
	}
	for word, tone := range tones {
		if shapes[tone] == "" {
			t.Errorf("the status %s has the unknown tone %q", word, tone)
		}
	}
	for _, dir := range []string{"pages", "testdata/gallery"} {
		err := fs.WalkDir(os.DirFS("."), dir, func(p string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			src, err := os.ReadFile(p)
			for _, m := range regexp.MustCompile(`icon "([a-z]+)"`).FindAllStringSubmatch(string(src), -1) {
				if icon(m[1]) == "" {
					t.Errorf("%s draws the icon %s, which is not in the sprite", p, m[1])
				}
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
}

// TestLint runs over the package's own pages and over ones with mistakes.
func TestLint(t *testing.T) {
	for _, dir := range []string{"pages", "testdata"} {
		for _, f := range LintTemplates(os.DirFS(dir)) {
			t.Errorf("%s/%s", dir, f)
		}
	}
	for src, want := range map[string]string{
		`<p>Hello</p>`:                                      `text "Hello"`,
		`<p>{{t "Hello"}}, world</p>`:                       `text ", world"`,
		"<p>\n{{if .A}}\nyes{{end}}</p>":                    `x/x.html:2: the text "yes"`,
		`<input placeholder="Your name">`:                   `placeholder="Your name"`,
		`<a aria-label='Close' href="/">{{icon "x"}}</a>`:   `aria-label="Close"`,
		`<td data-label="Role">{{.Role}}</td>`:              `data-label="Role"`,
		`<img alt=Mark src="/x">`:                           `alt="mark"`,
		`<p title="{{t "A"}} and more">`:                    `title=" and more"`,
		`{{define "kind"}}card{{end}}<p>Hello</p>`:          `text "Hello"`,
		`{{define "kind"}}{{if .A}}card{{end}}{{end}}Hello`: `text "Hello"`,
		`<pre translate="no">code</pre>words`:               `text "words"`,
		`<div translate="no"><b>a</b></div><br>words`:       `text "words"`,
		`<p>{{/* a comment with }} in it`:                   `text "in it"`,
		`<p>3 < 4 is true</p>`:                              `text "< 4 is true"`,
	} {
		if got := LintTemplates(one(src)); len(got) != 1 || !strings.Contains(got[0], want) {
			t.Errorf("%s: %v, want %s", src, got, want)
		}
	}
	for _, src := range []string{
		`<p>{{t "Hello"}} · {{.Name}} – 42 %</p>`, `<input placeholder="{{t "Your }} name"}}" name="name" type="text">`,
		`<!-- a comment --><p>{{/* another */}}</p>{{- /* third */ -}}`, `{{define "kind"}}read{{end}}<p>{{t "x"}}</p>`,
		`<code translate="no">troth <b>verify</b></code>`, `<a {{if .A}}aria-current="page"{{end}} href="/">{{t "x"}}</a>`,
		`<p>&nbsp;&middot;</p>`, "{{t `raw }} string`}}", `<p title="`,
	} {
		if got := LintTemplates(one(src)); len(got) != 0 {
			t.Errorf("%s: %v", src, got)
		}
	}
	if got := LintTemplates(os.DirFS("does-not-exist")); len(got) != 1 {
		t.Errorf("a folder that is missing: %v", got)
	}
}

// FuzzLint: it ends, whatever the source.
func FuzzLint(f *testing.F) {
	for _, s := range []string{"<a b='{{", "{{\"", "</", "<a =", "<!--", "{{`", "<p translate=no>", "<<<", "\xff<\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(_ *testing.T, src string) { LintTemplates(one(src)) })
}

// one is a file system with one template.
func one(src string) fs.FS { return fstest.MapFS{"x/x.html": {Data: []byte(src)}} }

// TestPartsPages holds the pages of all parts: their texts are translated,
// they parse together, and what they name exists.
func TestPartsPages(t *testing.T) {
	dirs, err := filepath.Glob("../*/plug/pages")
	if err != nil || len(dirs) == 0 {
		t.Fatalf("no part has pages: %v", err)
	}
	var pages []fs.FS
	for _, dir := range dirs {
		pages = append(pages, os.DirFS(dir))
		for _, f := range LintTemplates(os.DirFS(dir)) {
			t.Errorf("%s/%s", dir, f)
		}
		err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			src, err := os.ReadFile(p)
			for _, m := range regexp.MustCompile(`icon "([a-z]+)"`).FindAllStringSubmatch(string(src), -1) {
				if icon(m[1]) == "" {
					t.Errorf("%s draws the icon %s, which is not in the sprite", p, m[1])
				}
			}
			for _, no := range []string{" style=", " onclick=", "<script", "<style", " action=\"\""} {
				if strings.Contains(string(src), no) {
					t.Errorf("%s has%s, which the content security policy forbids or HTML does not know", p, no)
				}
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
	if _, err := NewRenderer(text.English(), pages...); err != nil {
		t.Error(err)
	}
}
