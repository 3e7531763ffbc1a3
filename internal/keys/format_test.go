package keys

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"testing"

	"troth/internal/fault"
)

// lp is a length and a text, written by hand: these tests are the other
// implementation of what the package doc says of bytes that outlive us.
func lp(parts ...string) (b []byte) {
	for _, p := range parts {
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(p))), p...)
	}
	return b
}

// A sealed field opens by the description of its format alone.
func TestFieldFormat(t *testing.T) {
	w := newWorld(t)
	w.mustCreate(t, tenantA, month)
	if _, err := w.NewVersion(t.Context(), month); err != nil {
		t.Fatal(err)
	}
	sealed := w.mustSeal(t, "anna@example.org", tenantA, month)
	header := []byte{1, 1, 2, 0, 1, 0, 2}
	if string(sealed[:7]) != string(header) || Algorithm(sealed) != "XAES-256-GCM" || Algorithm([]byte{2, 1, 1, 0, 1}) != "" {
		t.Fatalf("the header is %x", sealed[:7])
	}
	k1, _ := w.Secret(t.Context(), tenantA)
	k2, _ := w.Secret(t.Context(), month)
	ikm := lp(string(k1.Reveal()), string(k2.Reveal()))
	info := "troth field v1" + string(lp(string(tenantA))) + "\x00\x01" + string(lp(string(month))) + "\x00\x02"
	key, err := hkdf.Key(sha256.New, ikm, nil, info, 32)
	if err != nil {
		t.Fatal(err)
	}
	x, err := newXAES(key)
	if err != nil {
		t.Fatal(err)
	}
	aad := append(header, lp(string(here.Tenant), here.Region, here.Table, here.Column, here.Row)...)
	plain, err := x.open(nil, sealed[7:31], sealed[31:], aad)
	if err != nil || string(plain) != "anna@example.org" {
		t.Errorf("opened to %q, %v", plain, err)
	}
}

// So does a wrapped entry of the keyring.
func TestEntryFormat(t *testing.T) {
	w := newWorld(t)
	w.mustCreate(t, tenantA)
	e := w.ring.entries[0]
	aad := "troth keyring entry v1" + string(lp(string(tenantA))) + "\x00\x01" + string(lp(e.Epoch))
	key, err := w.line.root.Unwrap(t.Context(), e.Epoch, e.Wrapped, []byte(aad))
	got, _ := w.Secret(t.Context(), tenantA)
	if err != nil || string(key) != string(got.Reveal()) {
		t.Errorf("unwrapping by the description: %v", err)
	}
}

// The epoch is rolled while a key is destroyed, and the entry is wrapped under
// the newer epoch just before it becomes a tombstone: a backup taken in between
// is dead only when that epoch is gone too.
func TestRollWhileAKeyIsDestroyed(t *testing.T) {
	w := newWorld(t)
	other := w.process(t)
	w.mustCreate(t, subjectA)
	sealed := w.mustSeal(t, "x", subjectA)
	var between *memory
	w.line.set(func(ctx context.Context, op string) error {
		if op == "rewrap" && between == nil {
			other.mustRoll(t)
			between = w.ring.backup()
		}
		return nil
	})
	if err := w.Shred(t.Context(), subjectA); err != nil {
		t.Fatal(err)
	}
	w.mend()
	all := w.epochs(t)
	w.mustRetire(t, all[0])
	if owed, err := w.Owed(t.Context()); owed == 0 || err != nil {
		t.Errorf("owed %d, %v: the backup of the moment between still opens it", owed, err)
	}
	worldOver(w.dir, w.line.root.(*FileRoot), between).mustOpen(t, "x", sealed, subjectA)
	w.mustRoll(t)
	w.mustRetire(t, all[1])
	if owed, err := w.Owed(t.Context()); owed != 0 || err != nil {
		t.Errorf("owed %d, %v", owed, err)
	}
	_, err := worldOver(w.dir, w.line.root.(*FileRoot), between).Open(t.Context(), here, sealed, subjectA)
	wantKind(t, err, fault.Gone, "opening with the backup of the moment between")
}

// A key is destroyed while another process adds a version to it: the version is
// destroyed with it.
func TestNewVersionOfAKeyThatIsDestroyedMeanwhile(t *testing.T) {
	w := newWorld(t)
	other := w.process(t)
	w.mustCreate(t, tenantA)
	w.line.set(func(ctx context.Context, op string) error {
		if op == "insert" {
			if err := other.Shred(ctx, tenantA); err != nil {
				t.Error(err)
			}
		}
		return nil
	})
	_, err := w.NewVersion(t.Context(), tenantA)
	wantKind(t, err, fault.Gone, "adding a version to a destroyed key")
	for _, e := range w.ring.entries {
		if !e.Destroyed() {
			t.Errorf("%s version %d lives on", e.Ref, e.Version)
		}
	}
}
