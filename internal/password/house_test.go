package password

import (
	"context"
	"testing"
	"time"

	"troth/internal/fault"
	"troth/internal/secret"
)

const (
	ada      = "ada@example.org"
	goodWord = "correct horse battery staple"
	newWord  = "quite another pass phrase"
)

var ctx = context.Background()

// ample is patience without end, as far as a test goes.
const ample = time.Minute

// cheapest is a hasher at the floor.
func cheapest(t testing.TB) *Hasher {
	t.Helper()
	h, err := NewHasher(Floor, 256<<20, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// want fails unless err is a fault of a kind with a code.
func want(t testing.TB, err error, kind fault.Kind, code string) {
	t.Helper()
	f := fault.As(err)
	if f == nil || f.Kind != kind || f.Code != code {
		t.Fatalf("the error is %v, want the %s fault %s", err, kind, code)
	}
}

// check asks the plain rules, for the holder of an address.
func check(ctx context.Context, p secret.String, about About) (secret.String, error) {
	return Rules{}.Check(ctx, p, about)
}
