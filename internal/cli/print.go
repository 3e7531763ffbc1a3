package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
)

// Print writes the answer of a command to Stdout: v as one JSON document with
// --json, and otherwise what draw puts into the table.
func (e *Env) Print(v any, draw func(*Table)) error {
	if e.JSON {
		enc := json.NewEncoder(e.Stdout)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		if err := enc.Encode(v); err != nil {
			return fmt.Errorf("writing the answer: %w", err)
		}
		return nil
	}
	t := &Table{w: tabwriter.NewWriter(e.Stdout, 0, 8, 2, ' ', 0)}
	draw(t)
	t.end()
	if t.err != nil {
		return fmt.Errorf("writing the answer: %w", t.err)
	}
	return nil
}

// Say writes one line about what is being done to Stderr.
func (e *Env) Say(format string, args ...any) {
	s := format
	if len(args) > 0 {
		s = fmt.Sprintf(format, args...)
	}
	fmt.Fprintln(e.Stderr, printable(s))
}

// Table is columns of text, or lines of "name  value". The first error stays.
type Table struct {
	w   *tabwriter.Writer
	err error
}

// Head writes the names of the columns, in capitals.
func (t *Table) Head(names ...string) {
	cells := make([]any, len(names))
	for i, n := range names {
		cells[i] = strings.ToUpper(n)
	}
	t.Row(cells...)
}

// Row writes one line. A time is written in UTC to the second, the zero time
// and an empty text as "-".
func (t *Table) Row(cells ...any) {
	texts := make([]string, len(cells))
	for i, c := range cells {
		texts[i] = cell(c)
	}
	t.write(strings.Join(texts, "\t") + "\n")
}

// Line writes a sentence between rows; columns begin anew after it.
func (t *Table) Line(format string, args ...any) {
	t.end()
	s := format
	if len(args) > 0 {
		s = fmt.Sprintf(format, args...)
	}
	t.write(printable(s) + "\n")
	t.end()
}

func (t *Table) write(s string) {
	if t.err == nil {
		_, t.err = io.WriteString(t.w, s)
	}
}

func (t *Table) end() {
	if err := t.w.Flush(); t.err == nil {
		t.err = err
	}
}

func cell(v any) string {
	s := ""
	switch v := v.(type) {
	case time.Time:
		if !v.IsZero() {
			s = v.UTC().Format("2006-01-02 15:04:05Z")
		}
	case bool:
		s = map[bool]string{true: "yes", false: "no"}[v]
	default:
		s = fmt.Sprint(v)
	}
	if s == "" {
		return "-"
	}
	return printable(strings.ReplaceAll(s, "\n", " "))
}

// printable replaces what could steer a terminal: a name that somebody chose
// must not move the cursor of an operator (CWE-150). Line breaks stay.
func printable(s string) string {
	return strings.Map(func(c rune) rune {
		if c != '\n' && unicode.In(c, unicode.Cc, unicode.Cf) {
			return unicode.ReplacementChar
		}
		return c
	}, s)
}

// Progress shows how far a long command is. It is made by [Env.Progress].
type Progress struct {
	env   *Env
	what  string
	shown int // the last percentage, -1 before the first
	at    time.Time
}

// Progress begins to show how far a long command is: a bar on a terminal, a
// line every tenth otherwise. Its Set has the form that the domain packages
// call; Done ends the line.
func (e *Env) Progress(what string) *Progress {
	return &Progress{env: e, what: what, shown: -1}
}

const barWidth = 30

// Set says that done of total are done. It may be called as often as one likes.
func (p *Progress) Set(done, total int) {
	percent := 100
	if total > 0 && done < total {
		percent = int(int64(done) * 100 / int64(total))
	}
	if !p.env.terminal {
		if percent/10 != p.shown/10 || p.shown < 0 {
			p.shown = percent
			p.env.Say("%s: %d of %d (%d %%)", p.what, done, total, percent)
		}
		return
	}
	now := p.env.now()
	if percent == p.shown || percent < 100 && now.Sub(p.at) < 100*time.Millisecond {
		return
	}
	p.shown, p.at = percent, now
	full := barWidth * percent / 100
	fmt.Fprintf(p.env.Stderr, "\r%s  %s%s %3d %%  %d of %d\x1b[K", p.what, strings.Repeat("█", full), strings.Repeat("░", barWidth-full), percent, done, total)
}

// Done ends the bar.
func (p *Progress) Done() {
	if p.env.terminal && p.shown >= 0 {
		fmt.Fprintln(p.env.Stderr)
	}
}
