package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"
)

// line is one row of the table. An empty asked is information only.
type line struct {
	group, what     string
	asked, measured string
	beside, ratio   string
	holds           bool
}

// table is what a run prints.
type table struct {
	group string
	lines []line
	grows []string
}

// add adds a row.
func (t *table) add(r line) {
	r.group = t.group
	t.lines = append(t.lines, r)
}

// note adds a row without a promise.
func (t *table) note(what, measured string, beside ...string) {
	r := line{what: what, measured: measured, holds: true}
	if len(beside) > 0 {
		r.beside = beside[0]
	}
	if len(beside) > 1 {
		r.ratio = beside[1]
	}
	t.add(r)
}

// growth says how a number grows, with what was measured.
func (t *table) growth(format string, args ...any) {
	t.grows = append(t.grows, fmt.Sprintf("**%s**: %s", t.group, fmt.Sprintf(format, args...)))
}

// short reports whether a promise does not hold.
func (t *table) short() bool {
	return slices.ContainsFunc(t.lines, func(r line) bool { return !r.holds })
}

// print writes the table in Markdown, and then how things grow.
func (t *table) print(w io.Writer) {
	fmt.Fprintln(w, "| name | what | asked | measured | beside it | ratio | |\n| --- | --- | --- | --- | --- | --- | --- |")
	for _, r := range t.lines {
		verdict := "holds"
		switch {
		case r.asked == "":
			verdict = ""
		case !r.holds:
			verdict = "**falls short**"
		}
		fmt.Fprintf(w, "| %s |\n", strings.Join([]string{r.group, r.what, r.asked, r.measured, r.beside, r.ratio, verdict}, " | "))
	}
	if len(t.grows) > 0 {
		fmt.Fprintln(w, "\nHow it grows:")
	}
	for _, g := range t.grows {
		fmt.Fprintln(w, "- "+g)
	}
}

// atMost is a promise about a duration or a number.
func atMost[T ~int64 | float64](got, limit T) bool { return got <= limit }

// median is the middle of the values, or the mean of the two in the middle.
func median[T ~int64 | float64](values []T) T {
	v := slices.Sorted(slices.Values(values))
	if len(v) == 0 {
		return 0
	}
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}

// percentile is the value that the share p of the values does not exceed.
func percentile[T ~int64 | float64](values []T, p float64) T {
	v := slices.Sorted(slices.Values(values))
	return v[min(len(v)-1, int(math.Ceil(p*float64(len(v))))-1)]
}

// pairs are repetitions of ours and the other's, taken in turn.
type pairs struct{ ours, theirs, ratio []float64 }

// take adds one pair.
func (p *pairs) take(ours, theirs float64) {
	p.ours, p.theirs, p.ratio = append(p.ours, ours), append(p.theirs, theirs), append(p.ratio, ours/theirs)
}

// String is the median ratio and the range of all.
func (p *pairs) String() string {
	return fmt.Sprintf("%.2f (%.2f–%.2f, n=%d)", median(p.ratio), slices.Min(p.ratio), slices.Max(p.ratio), len(p.ratio))
}

// short forms of numbers.
func perSecond(v float64) string { return count(v) + "/s" }

func count(v float64) string {
	switch {
	case v >= 100_000:
		return fmt.Sprintf("%.0f k", v/1000)
	case v >= 1000:
		return fmt.Sprintf("%.1f k", v/1000)
	}
	return fmt.Sprintf("%.0f", v)
}

func mib(bytes float64) string { return fmt.Sprintf("%.1f MB", bytes/1e6) }

func short(d time.Duration) string {
	switch {
	case d < time.Microsecond:
		return fmt.Sprintf("%d ns", d)
	case d < time.Millisecond:
		return fmt.Sprintf("%.2f µs", float64(d)/1e3)
	case d < time.Second:
		return fmt.Sprintf("%.2f ms", float64(d)/1e6)
	}
	return fmt.Sprintf("%.2f s", d.Seconds())
}
