package sms

import (
	"regexp"
	"testing"
)

// Whatever is typed, a number has the form of E.164 and is read as itself again.
func FuzzParseNumber(f *testing.F) {
	for _, s := range []string{"", "+49 30 901820", "0049 (30) 901-820", "+0", "++49", "+49\u202f30", "\xff"} {
		f.Add(s)
	}
	form := regexp.MustCompile(`^\+[1-9][0-9]{6,14}$`)
	f.Fuzz(func(t *testing.T, s string) {
		n, err := ParseNumber(s)
		if err != nil {
			return
		}
		again, err := ParseNumber(string(n))
		if err != nil || again != n || !form.MatchString(string(n)) {
			t.Errorf("%q is %q, and that is %q, %v", s, n, again, err)
		}
	})
}
