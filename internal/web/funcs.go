package web

import (
	"fmt"
	"html/template"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"troth/internal/text"
)

// funcs are the functions of templates in one language. See the package
// documentation for what each is for.
func (rd *Renderer) funcs(p *text.Printer) template.FuncMap {
	w := words{p, rd}
	return template.FuncMap{
		"t": w.t, "time": w.time, "ago": w.ago, "date": w.date, "span": w.span, "bytes": w.bytes,
		"short": short, "status": w.status, "tone": w.tone, "icon": icon, "mark": mark, "asset": assetPath,
		"link": w.link, "code": w.code, "copy": w.copy, "strong": w.strong, "initial": initial, "address": text.Address,
		"empty": newEmpty, "action": func(path, label string) Action { return Action{Path: path, Label: text.New(label)} },
	}
}

// words renders in one language.
type words struct {
	p  *text.Printer
	rd *Renderer
}

// say translates a string, a text.Text or any value whose kind is string.
func (w words) say(v any, args []any) (string, error) {
	args = slices.Clone(args)
	switch v := v.(type) {
	case text.Text:
		return w.p.Sprintf(v.Format, slices.Clone(v.Args)...), nil
	case string:
		return w.p.Sprintf(v, args...), nil
	}
	if r := reflect.ValueOf(v); r.IsValid() && r.Kind() == reflect.String {
		return w.p.Sprintf(r.String(), args...), nil
	}
	return "", fmt.Errorf("t takes an English sentence or a text.Text, not a %T", v)
}

// t is the text function of templates. Arguments that are markup already
// (link, code, time …) stay markup; the rest is escaped.
func (w words) t(v any, args ...any) (any, error) {
	args = slices.Clone(args)
	var markup []string
	for i, a := range args {
		if h, ok := a.(template.HTML); ok {
			args[i] = placeholder(len(markup))
			markup = append(markup, string(h))
		}
	}
	s, err := w.say(v, args)
	if err != nil || markup == nil {
		return s, err
	}
	s = template.HTMLEscapeString(s)
	for i, m := range markup {
		s = strings.ReplaceAll(s, placeholder(i), m)
	}
	return template.HTML(s), nil //nolint:gosec // escaped above
}

// placeholder stands for the i-th piece of markup while a sentence is put
// together: private-use characters, which no sentence holds.
func placeholder(i int) string { return "\uf8f0" + strconv.Itoa(i) + "\uf8f1" }

func (w words) html(format string, args ...any) template.HTML {
	for i, a := range args {
		if _, ok := a.(template.HTML); !ok {
			args[i] = template.HTMLEscapeString(fmt.Sprint(a))
		}
	}
	return template.HTML(fmt.Sprintf(format, args...)) //nolint:gosec // every argument is escaped above
}

// link is an anchor inside of a sentence.
func (w words) link(path, label string, args ...any) (template.HTML, error) {
	if ReturnTo(path, "") == "" && !strings.HasPrefix(path, "https://") && !strings.HasPrefix(path, "mailto:") {
		return "", fmt.Errorf("link takes a path of this site or an https address, not %q", path)
	}
	s, err := w.say(label, args)
	return w.html(`<a href="%s">%s</a>`, path, s), err
}

func (w words) code(v any) template.HTML { return w.html(`<code>%s</code>`, v) }

func (w words) strong(v any) template.HTML { return w.html(`<strong>%s</strong>`, v) }

// copy shows a value that a person may want to copy, whole.
func (w words) copy(v any) template.HTML {
	return w.html(`<span class="copy"><code data-copy-source>%s</code><button type="button" class="button quiet icon-only" data-copy hidden aria-label="%s" data-done="%s">%s</button></span>`,
		v, w.p.Sprintf("Copy"), w.p.Sprintf("Copied"), icon("copy"))
}

// Months and years are as long as they are on average, for spans in words.
const (
	day   = 24 * time.Hour
	month = 30*day + 10*time.Hour
	year  = 365*day + 6*time.Hour
)

// clock is a moment as text: day, month, year, hour and minute, in UTC.
func (w words) clock(at time.Time) string {
	return w.day(at) + ", " + at.UTC().Format("15:04") + " UTC"
}

func (w words) day(at time.Time) string {
	at = at.UTC()
	return strconv.Itoa(at.Day()) + " " + w.p.Sprintf(at.Format("Jan")) + " " + strconv.Itoa(at.Year())
}

// time is a moment; how long ago it was stands in the title. The zero time is
// "never".
func (w words) time(at time.Time) template.HTML {
	if at.IsZero() {
		return w.never()
	}
	return w.html(`<time datetime="%s" title="%s">%s</time>`, at.UTC().Format(time.RFC3339), w.relative(at), w.clock(at))
}

// ago is a moment as people say it; the moment itself stands in the title.
func (w words) ago(at time.Time) template.HTML {
	if at.IsZero() {
		return w.never()
	}
	return w.html(`<time datetime="%s" title="%s" data-ago>%s</time>`, at.UTC().Format(time.RFC3339), w.clock(at), w.relative(at))
}

// date is a day.
func (w words) date(at time.Time) template.HTML {
	if at.IsZero() {
		return w.never()
	}
	return w.html(`<time datetime="%s" title="%s">%s</time>`, at.UTC().Format(time.DateOnly), w.relative(at), w.day(at))
}

func (w words) never() template.HTML {
	return w.html(`<span class="muted">%s</span>`, w.p.Sprintf("never"))
}

func (w words) relative(at time.Time) string {
	d := w.rd.Now().Sub(at)
	switch {
	case d < 45*time.Second && d > -45*time.Second:
		return w.p.Sprintf("just now")
	case d < 0:
		return w.p.Sprintf("in %s", w.span(-d))
	}
	return w.p.Sprintf("%s ago", w.span(d))
}

// span is a duration in its largest unit, rounded.
func (w words) span(d time.Duration) string {
	count := func(n time.Duration, one, many string) string {
		if n <= 1 {
			return w.p.Sprintf(one)
		}
		return w.p.Sprintf(many, int64(n))
	}
	switch {
	case d.Round(time.Second) < time.Minute:
		return count(d.Round(time.Second)/time.Second, "1 second", "%d seconds")
	case d.Round(time.Minute) < time.Hour:
		return count(d.Round(time.Minute)/time.Minute, "1 minute", "%d minutes")
	case d.Round(time.Hour) < 2*day:
		return count(d.Round(time.Hour)/time.Hour, "1 hour", "%d hours")
	case d.Round(day) < 60*day:
		return count(d.Round(day)/day, "1 day", "%d days")
	case d < 2*year:
		return count(d.Round(month)/month, "1 month", "%d months")
	}
	return count(d.Round(year)/year, "1 year", "%d years")
}

// bytes is a size in units of 1,024 (IEC 80000-13).
func (w words) bytes(n any) (string, error) {
	v := reflect.ValueOf(n)
	if !v.CanInt() {
		return "", fmt.Errorf("bytes takes a whole number, not a %T", n)
	}
	size, unit := float64(v.Int()), 0
	units := []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB"}
	for size >= 1024 && unit < len(units)-1 {
		size, unit = size/1024, unit+1
	}
	if unit == 0 || size >= 100 {
		return w.p.Sprintf("%.0f "+units[unit], size), nil
	}
	return w.p.Sprintf("%.1f "+units[unit], size), nil
}

// short is an identifier as it is shown: its kind and its last characters,
// which are the random ones; the whole stands in the title.
func short(v any) template.HTML {
	s := fmt.Sprint(v)
	shown := s
	if i := strings.IndexByte(s, '_'); i > 0 && len(s) > i+9 {
		shown = s[:i+1] + "…" + s[len(s)-6:]
	} else if len(s) > 16 {
		shown = s[:7] + "…" + s[len(s)-6:]
	}
	return words{}.html(`<code class="id" title="%s">%s</code>`, s, shown)
}

// initial is the first letter of a name.
func initial(name string) string {
	for _, c := range name {
		return strings.ToUpper(string(c))
	}
	return "?"
}
