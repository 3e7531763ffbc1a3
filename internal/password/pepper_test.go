package password

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"troth/internal/fault"
	"troth/internal/keys"
	"troth/internal/secret"
	"troth/internal/store"
)

func peppers(t *testing.T) Pepper {
	t.Helper()
	dir := t.TempDir()
	root, err := keys.CreateRoot(filepath.Join(dir, "root"))
	if err != nil {
		t.Fatal(err)
	}
	ring, err := store.OpenRing(ctx, "sqlite:"+filepath.Join(dir, "keyring.db"), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ring.Close() })
	p := Pepper{Keys: keys.New(root, ring, time.Now), On: true}
	if err := p.Open(ctx); err != nil {
		t.Fatal(err)
	}
	return p
}

// The version stands in the hash; without its key nobody can compare, and after
// a rotation the hash is stale.
func TestPepper(t *testing.T) {
	h := cheapest(t)
	plain, err := h.Hash(ctx, secret.Of(goodWord))
	if err != nil {
		t.Fatal(err)
	}
	h.Pepper = peppers(t)
	verdict := func(what, stored, word string, want Verdict) {
		t.Helper()
		if v, err := h.Verify(ctx, stored, secret.Of(word)); err != nil || v != want {
			t.Errorf("%s: %+v, %v", what, v, err)
		}
	}
	verdict("a hash from before there was a pepper", plain, goodWord, Verdict{Match: true, Stale: true})
	first, err := h.Hash(ctx, secret.Of(goodWord))
	if err != nil || !strings.Contains(first, ",keyid=1$") {
		t.Fatalf("the hash is %s, %v", first, err)
	}
	verdict("the right one", first, goodWord, Verdict{Match: true})
	verdict("a wrong one", first, newWord, Verdict{})
	verdict("nobody", "", goodWord, Verdict{})

	parsed, err := ParseHash(first)
	if err != nil {
		t.Fatal(err)
	}
	bare := parsed
	bare.Key = 0
	if parsed.Is(goodWord) || bare.Is(goodWord) {
		t.Error("the hash can be compared without the pepper")
	}
	if parsed.IsUnder(secret.OfBytes(make([]byte, 32)), goodWord) {
		t.Error("any key will do")
	}

	if n, err := h.Pepper.Rotate(ctx); err != nil || n != 2 {
		t.Fatalf("rotating: %d, %v", n, err)
	}
	verdict("a hash under the older pepper", first, goodWord, Verdict{Match: true, Stale: true})
	verdict("a wrong one, under the older pepper", first, newWord, Verdict{})
	second, err := h.Hash(ctx, secret.Of(goodWord))
	if err != nil || !strings.Contains(second, ",keyid=2$") {
		t.Fatalf("the hash is %s, %v", second, err)
	}
	verdict("a hash under the newer pepper", second, goodWord, Verdict{Match: true})

	h.Pepper.On = false
	verdict("when there shall be none any more", second, goodWord, Verdict{Match: true, Stale: true})
	if third, err := h.Hash(ctx, secret.Of(goodWord)); err != nil || strings.Contains(third, "keyid") {
		t.Errorf("the hash is %s, %v", third, err)
	}

	h.Pepper.On = true
	if err := h.Pepper.Keys.Shred(ctx, pepperRef); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Verify(ctx, second, secret.Of(goodWord)); fault.KindOf(err) != fault.Gone {
		t.Errorf("without its key, the comparison says %v", err)
	}
	if _, err := h.Hash(ctx, secret.Of(goodWord)); err == nil {
		t.Error("without a key something was hashed")
	}
	if err := h.Pepper.Open(ctx); err == nil {
		t.Error("a pepper that was destroyed is made again")
	}
	h.Pepper = Pepper{}
	if _, err := h.Verify(ctx, second, secret.Of(goodWord)); err == nil {
		t.Error("a hasher without keys compares a hash with a pepper")
	}
}

// The calibration of PBKDF2 goes up from its floor.
func TestCalibratePBKDF2(t *testing.T) {
	for perRound, want := range map[time.Duration]uint32{time.Microsecond: 600_000, 100 * time.Nanosecond: 2_500_000, 10 * time.Microsecond: 600_000} {
		machine := func(p Params) time.Duration { return perRound * time.Duration(p.Passes) }
		if p := Calibrate(PBKDF2SHA256, 250*time.Millisecond, machine); p != (Params{Scheme: PBKDF2SHA256, Passes: want}) {
			t.Errorf("at %v a round, the cost is %s", perRound, p)
		}
	}
}

func TestCompareWithTheAim(t *testing.T) {
	const aim = 250 * time.Millisecond
	dear := Params{Memory: Comfortable, Passes: 6, Lanes: 1}
	for name, c := range map[string]struct {
		p     Params
		takes time.Duration
		want  Drift
	}{
		"as aimed": {dear, aim, Steady}, "a bit faster": {dear, 160 * time.Millisecond, Steady}, "a bit slower": {dear, 440 * time.Millisecond, Steady},
		"a new machine": {dear, 100 * time.Millisecond, Faster}, "an old machine": {dear, time.Second, Slower},
		"the floor, on a slow machine": {Floor, time.Second, Steady}, "rounds at the floor": {FloorPBKDF2, time.Second, Steady}, "rounds, a new machine": {FloorPBKDF2, aim / 3, Faster},
		"as many passes as there can be": {Params{Memory: Comfortable, Passes: maxCalibrated, Lanes: 1}, aim / 9, Steady},
	} {
		if got := Compare(c.p, aim, c.takes); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}
