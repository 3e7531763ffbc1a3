package cli

import (
	"io"
	"time"
)

// ProgressOn is a progress bar on a terminal, for tests.
func ProgressOn(w io.Writer, now func() time.Time, what string) *Progress {
	return (&Env{Stderr: w, now: now, terminal: true}).Progress(what)
}

// TransferOn shows a transfer, on a terminal or not, for tests.
func TransferOn(w io.Writer, terminal bool, now func() time.Time, what string) *Transfer {
	return (&Env{Stderr: w, now: now, terminal: terminal}).Transfer(what)
}
