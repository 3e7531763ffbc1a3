package secret_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"troth/internal/secret"
)

func TestNothingPrintsASecret(t *testing.T) {
	const plain = "correct horse"
	s, b := secret.Of(plain), secret.OfBytes([]byte(plain))
	var out bytes.Buffer
	holder := struct {
		S secret.String
		B secret.Bytes
		P *secret.String
		s secret.String // fmt calls no methods on unexported fields
		b secret.Bytes
	}{s, b, &s, s, b}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&out, verb, holder)
		fmt.Fprintf(&out, verb, s)
		fmt.Fprintf(&out, verb, b)
	}
	fmt.Fprintln(&out, fmt.Errorf("with %v and %s", s, b))
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "s", s, "b", b, "h", holder)
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "s", s, "b", b, "h", holder)
	j, err := json.Marshal(holder)
	if err != nil {
		t.Fatal(err)
	}
	out.Write(j)
	for _, leak := range []string{plain, fmt.Sprintf("%x", plain), "99 111 114", "Y29ycmVjdCBob3JzZQ"} {
		if strings.Contains(out.String(), leak) {
			t.Errorf("%q stands in %s", leak, out.String())
		}
	}
	if s.Reveal() != plain || string(b.Reveal()) != plain {
		t.Error("the value is lost")
	}
}

func TestTokensDifferAndDigestsAreStable(t *testing.T) {
	a, b := secret.NewToken(), secret.NewToken()
	if a.Equal(b) || !a.Equal(secret.Of(a.Reveal())) {
		t.Error("comparison is wrong")
	}
	x, ok := secret.DigestOf(a.Reveal())
	y, _ := secret.DigestOf(a.Reveal())
	z, _ := secret.DigestOf(b.Reveal())
	if !ok || x != y || x == z {
		t.Error("digests are wrong")
	}
	for _, s := range []string{"", "short", a.Reveal() + "x"} {
		if _, ok := secret.DigestOf(s); ok {
			t.Errorf("%q is taken for a token", s)
		}
	}
}

func TestDigestAllocatesNothing(t *testing.T) {
	tok := secret.NewToken().Reveal()
	if n := testing.AllocsPerRun(100, func() { secret.DigestOf(tok) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
