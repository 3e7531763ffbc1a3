package text_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"troth/internal/text"
)

func TestNames(t *testing.T) {
	for name, want := range map[string]text.Flaw{
		"Ada Byron": text.Fair, "J. Smith": text.Fair, "J.R.R. Tolkien": text.Fair, "O’Neil, Ph.D.": text.Fair, "Zoë 李": text.Fair,
		"ශ්\u200dරී": text.Fair, "می\u200cخواهم": text.Fair, "Smith Inc. & Sons Ltd.": text.Fair, "3.5 Bits": text.Fair,
		"": text.Empty, " \u00a0\t": text.Empty,
		"a\x00b": text.Hidden, "a\u202eb": text.Hidden, "\xff": text.Hidden, "Ad\u200da": text.Hidden, "\ufeffAda": text.Hidden, "\u3164": text.Hidden,
		"Ada\nYour account is locked": text.Hidden, "Ada\u2028Byron": text.Hidden, "a\tb": text.Hidden,
		"…!": text.Mute, "\u2800": text.Mute,
		strings.Repeat("ä", 21):   text.Long,
		"Win at http://evil.test": text.Link, "WWW.evil": text.Link, "evil．test": text.Link, "evil。test": text.Link, "192.0.2.1/x": text.Link,
	} {
		if got, flaw := text.ReadName(name, 24-4*bound(want)); flaw != want || (got == "") != (want != text.Fair) {
			t.Errorf("%q: %q, %d, want %d", name, got, flaw, want)
		}
	}
	if got, _ := text.ReadName("  Ada\u2003 Byro\u006e\u0303 ", 20); got != "Ada Byroñ" {
		t.Errorf("the name is %q", got)
	}
}

// bound is 1 where the limit is what is tried.
func bound(want text.Flaw) int {
	if want == text.Long {
		return 1
	}
	return 0
}

// What is read once is read the same again, whatever it was.
func FuzzReadName(f *testing.F) {
	for _, s := range []string{"Ada", " a\u0301 b ", "\u202e", "ශ්\u200dරී", "x\xff", "evil.test"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		name, flaw := text.ReadName(s, 80)
		if flaw != text.Fair {
			return
		}
		again, flaw := text.ReadName(name, 80)
		if again != name || flaw != text.Fair || !norm.NFC.IsNormalString(name) || utf8.RuneCountInString(name) > 80 || strings.TrimSpace(name) != name {
			t.Errorf("%q is read as %q, and that as %q (%d)", s, name, again, flaw)
		}
	})
}
