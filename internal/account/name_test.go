package account

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func FuzzReadName(f *testing.F) {
	f.Add("Ada Byron")
	f.Add("\u202eevil")
	f.Fuzz(func(t *testing.T, s string) {
		name, err := readName(s)
		if err == nil && (name == "" || utf8.RuneCountInString(name) > maxName || hidden(name) || strings.TrimSpace(name) != name) {
			t.Errorf("the name %q was taken as %q", s, name)
		}
	})
}
