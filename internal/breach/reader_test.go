package breach

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"troth/internal/fault"
)

const someSHA1 = "00112233445566778899AABBCCDDEEFF01234567"

func reading(kind Kind, prefix, text string) *reader {
	return &reader{name: "list", kind: kind, prefix: prefix, in: bufio.NewReaderSize(strings.NewReader(text), readBuffer)}
}

func TestLines(t *testing.T) {
	want := key{0x0011223344556677, 0x8899aabbccddeeff}
	for name, c := range map[string]struct {
		kind         Kind
		prefix, line string
	}{
		"as the download has it": {SHA1, "", someSHA1 + ":17\r\n"},
		"in lower case":          {SHA1, "", strings.ToLower(someSHA1) + ":17\n"},
		"without a count":        {SHA1, "", someSHA1},
		"after a mark":           {SHA1, "", "\ufeff" + someSHA1 + ":1\n"},
		"of a range":             {SHA1, someSHA1[:5], someSHA1[5:] + ":1\n"},
		"NTLM":                   {NTLM, "", someSHA1[:32] + ":9\n"},
		"NTLM, of a range":       {NTLM, someSHA1[:5], someSHA1[5:32] + ":9\n"},
		"after padding":          {SHA1, "", strings.Repeat("F", 40) + ":0\n" + someSHA1 + ":1\n"},
	} {
		r := reading(c.kind, c.prefix, c.line)
		if k, err := r.next(); err != nil || k != want {
			t.Errorf("%s: %x, %v", name, k, err)
		}
		if _, err := r.next(); !errors.Is(err, io.EOF) {
			t.Errorf("%s: after the end %v", name, err)
		}
	}
}

func TestLinesThatAreNone(t *testing.T) {
	for name, line := range map[string]string{
		"empty":               "\n",
		"short":               someSHA1[:39] + ":1\n",
		"long":                someSHA1 + "A:1\n",
		"a space":             someSHA1 + " :1\n",
		"no hexadecimal":      someSHA1[:39] + "G:1\n",
		"no count":            someSHA1 + ":\n",
		"a negative count":    someSHA1 + ":-1\n",
		"an endless count":    someSHA1 + ":" + strings.Repeat("9", 20) + "\n",
		"another separator":   someSHA1 + ";1\n",
		"an address":          "ada@example.org:secret\n",
		"a zero byte":         someSHA1[:20] + "\x00" + someSHA1[21:] + ":1\n",
		"a mark in the midst": "AA\n\ufeff" + someSHA1 + ":1\n",
	} {
		_, err := reading(SHA1, "", line).next()
		if f := fault.As(err); f == nil || f.Code != "breach.line" || strings.Contains(f.Error(), "secret") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRangeNames(t *testing.T) {
	for name, want := range map[string]string{
		"0A1B2.txt": "0A1B2", "/some/dir/fffff.txt": "FFFFF", "00000": "00000", "abcde.txt.gz": "ABCDE",
		"0A1B.txt": "", "0A1B2C.txt": "", "0A1B2.csv": "", "hello.txt": "", "": "", "README": "",
	} {
		if got := rangePrefix(name); got != want {
			t.Errorf("%q is the range %q, want %q", name, got, want)
		}
	}
}

// Whatever stands in a file, reading ends, and what is read as a hash is one.
func FuzzReader(f *testing.F) {
	for _, seed := range []string{someSHA1 + ":1\n", "\n\n", someSHA1 + "\r\n" + someSHA1, ":", strings.Repeat("0", 100)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r := reading(SHA1, "", text)
		for range strings.Count(text, "\n") + 2 {
			k, err := r.next()
			if err != nil {
				return
			}
			if line := fmt.Sprintf("%016X%016X", k.hi, k.lo); !strings.Contains(strings.ToUpper(text), line) {
				t.Fatalf("%s was read, and does not stand there", line)
			}
		}
		t.Fatal("reading does not end")
	})
}

func TestKeysAreOrderedAsTheirDigits(t *testing.T) {
	for _, c := range []struct {
		a, b key
		want int
	}{
		{key{1, 2}, key{1, 2}, 0}, {key{1, 2}, key{1, 3}, -1}, {key{2, 0}, key{1, 9}, 1}, {key{1 << 63, 0}, key{1, 0}, 1}, {key{0, 1 << 63}, key{0, 1}, 1},
	} {
		if got := c.a.compare(c.b); got != c.want {
			t.Errorf("%x and %x: %d, want %d", c.a, c.b, got, c.want)
		}
	}
}
