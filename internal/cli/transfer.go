package cli

import (
	"fmt"
	"strings"
	"time"
)

// Transfer shows how many bytes of how many were read, how fast, and how long
// the rest will take. It is made by [Env.Transfer].
type Transfer struct {
	env   *Env
	what  string
	began time.Time
	at    time.Time // the last line
	tenth int64     // of the last line, where stderr is no terminal
}

// Transfer begins to show the progress of reading: a bar on a terminal, and
// otherwise a line every tenth, or every ten seconds where the end is unknown.
func (e *Env) Transfer(what string) *Transfer {
	now := e.now()
	return &Transfer{env: e, what: what, began: now, at: now, tenth: -1}
}

// Set says that done bytes of total were read; a total of 0 is unknown. It may
// be called as often as one likes.
func (t *Transfer) Set(done, total int64) {
	now := t.env.now()
	if t.env.terminal {
		if now.Sub(t.at) < 100*time.Millisecond && (done < total || total == 0) {
			return
		}
		t.at = now
		fmt.Fprintf(t.env.Stderr, "\r%s  %s\x1b[K", t.what, t.line(now, done, total))
		return
	}
	switch {
	case total > 0 && 10*done/total == t.tenth, total == 0 && now.Sub(t.at) < 10*time.Second:
		return
	case total > 0:
		t.tenth = 10 * done / total
	}
	t.at = now
	t.env.Say("%s: %s", t.what, t.line(now, done, total))
}

func (t *Transfer) line(now time.Time, done, total int64) string {
	rate := 0.0
	if took := now.Sub(t.began).Seconds(); took > 0 {
		rate = float64(done) / took
	}
	if total == 0 {
		return fmt.Sprintf("%s, %s a second", Bytes(done), Bytes(int64(rate)))
	}
	bar := ""
	if t.env.terminal {
		full := int(barWidth * done / total)
		bar = strings.Repeat("█", full) + strings.Repeat("░", barWidth-full) + " "
	}
	left := "?"
	if rate > 0 {
		left = (time.Duration(float64(total-done)/rate) * time.Second).String()
	}
	return fmt.Sprintf("%s%3d %%  %s of %s, %s a second, %s left", bar, 100*done/total, Bytes(done), Bytes(total), Bytes(int64(rate)), left)
}

// Done ends the bar.
func (t *Transfer) Done() {
	if t.env.terminal {
		fmt.Fprintln(t.env.Stderr)
	}
}

// Bytes is a number of bytes as people read it: "44.1 GB".
func Bytes(n int64) string {
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	v, unit := float64(n), 0
	for v >= 1000 && unit < 4 {
		v, unit = v/1000, unit+1
	}
	return fmt.Sprintf("%.1f %cB", v, " kMGT"[unit])
}
