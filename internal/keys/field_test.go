package keys

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"

	"troth/internal/fault"
)

func TestSealedFieldsOpen(t *testing.T) {
	w := newWorld(t)
	w.mustCreate(t, tenantA, subjectA, month)
	for _, plain := range []string{"", "a", "anna@example.org", string(make([]byte, 70_000))} {
		for _, under := range [][]Ref{{tenantA}, {tenantA, month}, {subjectA, month, tenantA}} {
			sealed := w.mustSeal(t, plain, under...)
			if len(plain) > 8 && bytes.Contains(sealed, []byte(plain)) {
				t.Errorf("the field stands in the clear")
			}
			w.mustOpen(t, plain, sealed, under...)
			w.process(t).mustOpen(t, plain, sealed, under...)
			if again := w.mustSeal(t, plain, under...); bytes.Equal(again, sealed) {
				t.Errorf("two seals of one field are equal")
			}
		}
	}
}

// Every bit of a sealed field is authenticated, its header too.
func TestEveryByteCounts(t *testing.T) {
	w := newWorld(t)
	w.mustCreate(t, tenantA, month)
	if _, err := w.NewVersion(t.Context(), tenantA); err != nil {
		t.Fatal(err)
	}
	sealed := w.mustSeal(t, "anna@example.org", tenantA, month)
	for i := range sealed {
		for bit := range 8 {
			changed := bytes.Clone(sealed)
			changed[i] ^= 1 << bit
			if plain, err := w.Open(t.Context(), here, changed, tenantA, month); !errors.Is(err, ErrAltered) {
				t.Fatalf("byte %d bit %d changed: got %q, %v", i, bit, plain, err)
			}
		}
	}
	for n := range sealed {
		if _, err := w.Open(t.Context(), here, sealed[:n], tenantA, month); !errors.Is(err, ErrAltered) {
			t.Fatalf("cut to %d bytes: %v", n, err)
		}
	}
	if _, err := w.Open(t.Context(), here, append(bytes.Clone(sealed), 0), tenantA, month); !errors.Is(err, ErrAltered) {
		t.Fatalf("a byte more: %v", err)
	}
}

// A field does not open in another place, nor under other keys.
func TestPlaceIsBound(t *testing.T) {
	w := newWorld(t)
	w.mustCreate(t, tenantA, subjectA, month)
	sealed := w.mustSeal(t, "anna@example.org", tenantA, month)
	places := []Place{
		{Tenant: "ten_2", Region: "eu", Table: "account", Column: "email", Row: "acc_1"},
		{Tenant: "ten_1", Region: "us", Table: "account", Column: "email", Row: "acc_1"},
		{Tenant: "ten_1", Region: "eu", Table: "accounts", Column: "email", Row: "acc_1"},
		{Tenant: "ten_1", Region: "eu", Table: "account", Column: "name", Row: "acc_1"},
		{Tenant: "ten_1", Region: "eu", Table: "account", Column: "email", Row: "acc_2"},
		// The same letters, cut elsewhere: the lengths tell them apart.
		{Tenant: "ten_1e", Region: "u", Table: "account", Column: "email", Row: "acc_1"},
		{Tenant: "ten_1", Region: "eu", Table: "accounte", Column: "mail", Row: "acc_1"},
		{},
	}
	for _, at := range places {
		if _, err := w.Open(t.Context(), at, sealed, tenantA, month); !errors.Is(err, ErrAltered) {
			t.Errorf("opened at %+v: %v", at, err)
		}
	}
	for _, under := range [][]Ref{{month, tenantA}, {tenantA}, {subjectA, month}, {tenantA, month, subjectA}} {
		if _, err := w.Open(t.Context(), here, sealed, under...); !errors.Is(err, ErrAltered) {
			t.Errorf("opened under %v: %v", under, err)
		}
	}
}

func TestNewVersionKeepsOldFieldsReadable(t *testing.T) {
	w := newWorld(t)
	other := w.process(t)
	w.mustCreate(t, tenantA)
	one := w.mustSeal(t, "one", tenantA)
	other.mustOpen(t, "one", one, tenantA)
	if n, err := w.NewVersion(t.Context(), tenantA); n != 2 || err != nil {
		t.Fatalf("new version: %d, %v", n, err)
	}
	two := w.mustSeal(t, "two", tenantA)
	w.mustOpen(t, "one", one, tenantA)
	w.mustOpen(t, "two", two, tenantA)
	// The other process has version 1 cached and must still read version 2.
	other.mustOpen(t, "two", two, tenantA)
	if v, err := other.Versions(t.Context(), tenantA); fmt.Sprint(v) != "[2 1]" || err != nil {
		t.Errorf("versions: %v, %v", v, err)
	}
}

func TestSealRefuses(t *testing.T) {
	w := newWorld(t)
	w.mustCreate(t, tenantA)
	_, err := w.Seal(t.Context(), here, nil, subjectA)
	wantKind(t, err, fault.NotFound, "sealing under a key that was never made")
	_, err = w.Seal(t.Context(), here, make([]byte, maxField+1), tenantA)
	wantKind(t, err, fault.TooLarge, "sealing too much")
	if _, err = w.Seal(t.Context(), here, nil); err == nil {
		t.Error("sealed under no key")
	}
	if _, err = w.Seal(t.Context(), here, nil, tenantA, tenantA, tenantA, tenantA, tenantA); err == nil {
		t.Error("sealed under five keys")
	}
	ended, stop := context.WithCancel(t.Context())
	stop()
	if _, err = w.Seal(ended, here, nil, subjectA); !errors.Is(err, context.Canceled) {
		t.Errorf("sealing with an ended context: %v", err)
	}
}

func FuzzOpen(f *testing.F) {
	w := newWorld(f)
	w.mustCreate(f, tenantA, month)
	f.Add(w.mustSeal(f, "anna@example.org", tenantA, month))
	f.Add([]byte{})
	f.Add([]byte{format1, algXAES, 2, 0, 1, 0, 1})
	sealed := map[string]bool{}
	f.Fuzz(func(t *testing.T, b []byte) {
		plain, err := w.Open(t.Context(), here, b, tenantA, month)
		if err == nil && !sealed[string(b)] && string(plain) != "anna@example.org" {
			t.Errorf("%x opened to %q", b, plain)
		}
		if err != nil && !errors.Is(err, ErrAltered) {
			t.Errorf("%x: %v, want ErrAltered", b, err)
		}
	})
}

func BenchmarkSeal(b *testing.B) {
	w := newWorld(b)
	w.mustCreate(b, tenantA, month)
	plain := bytes.Repeat([]byte("x"), 200)
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := w.Seal(ctx, here, plain, tenantA, month); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	w := newWorld(b)
	w.mustCreate(b, tenantA, month)
	sealed := w.mustSeal(b, string(bytes.Repeat([]byte("x"), 200)), tenantA, month)
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := w.Open(ctx, here, sealed, tenantA, month); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkIndex(b *testing.B) {
	w := newWorld(b)
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := w.Index(ctx, "", "account.email", "anna@example.org"); err != nil {
			b.Fatal(err)
		}
	}
}
