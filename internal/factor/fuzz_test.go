package factor

import (
	"regexp"
	"strings"
	"testing"

	"troth/internal/secret"
)

// Whatever is typed, what is compared has the form of a code, or one that no
// code has.
func FuzzTyped(f *testing.F) {
	for _, s := range []string{"", "123 456", "7K3F-9q2x-oOiIlL-abcd", "7k3f9q2x7k3f9q2x", "\xff\x00", strings.Repeat("1", 100)} {
		f.Add(s)
	}
	form := regexp.MustCompile(`^([0-9a-hjkmnp-tv-z]{16}|!{16})$`)
	f.Fuzz(func(t *testing.T, s string) {
		if got := readRecovery(secret.Of(s)); !form.MatchString(got) {
			t.Errorf("%q is read as %q", s, got)
		}
		if len(typed(secret.Of(s))) > 3*64 { // a byte that is no text becomes a sign of three
			t.Errorf("%q is not cut", s)
		}
	})
}

func BenchmarkMatch(b *testing.B) {
	key := secret.OfBytes([]byte("12345678901234567890"))
	for b.Loop() {
		if _, _, err := match(key, "123456", 40000000, window); err != nil {
			b.Fatal(err)
		}
	}
}
