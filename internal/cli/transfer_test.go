package cli_test

import (
	"strings"
	"testing"
	"time"

	"troth/internal/cli"
)

// moving is a clock that goes on by a second whenever it is asked.
func moving() func() time.Time {
	at := noon
	return func() time.Time {
		at = at.Add(time.Second)
		return at
	}
}

func TestTransferOnATerminal(t *testing.T) {
	var b strings.Builder
	bar := cli.TransferOn(&b, true, moving(), "reading")
	bar.Set(25_000_000, 100_000_000)
	bar.Set(100_000_000, 100_000_000)
	bar.Done()
	want := []string{"\rreading  ███████░", " 25 %  25.0 MB of 100.0 MB, 25.0 MB a second, 3s left", "100 %  100.0 MB of 100.0 MB", "0s left\x1b[K\n"}
	for _, w := range want {
		if !strings.Contains(b.String(), w) {
			t.Errorf("%q is missing in %q", w, b.String())
		}
	}
}

func TestTransferInALog(t *testing.T) {
	var b strings.Builder
	bar := cli.TransferOn(&b, false, moving(), "reading")
	for i := range int64(101) {
		bar.Set(i*1000, 100_000)
	}
	bar.Done()
	if lines := strings.Count(b.String(), "\n"); lines != 11 {
		t.Errorf("%d lines:\n%s", lines, b.String())
	}
	b.Reset()
	bar = cli.TransferOn(&b, false, moving(), "reading")
	for i := range int64(25) {
		bar.Set(i*1000, 0) // the end is unknown
	}
	if lines := strings.Count(b.String(), "\n"); lines != 2 || !strings.Contains(b.String(), " B a second") {
		t.Errorf("%d lines:\n%s", lines, b.String())
	}
}

func TestBytes(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 999: "999 B", 1000: "1.0 kB", 2_254_000_000: "2.3 GB", 44_000_000_000_000: "44.0 TB"} {
		if got := cli.Bytes(n); got != want {
			t.Errorf("%d is %q, want %q", n, got, want)
		}
	}
}
