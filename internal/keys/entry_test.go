package keys

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/secret"
)

func TestRefs(t *testing.T) {
	late := time.Date(2026, 11, 30, 23, 30, 0, 0, time.FixedZone("", -2*3600))
	for got, want := range map[Ref]Ref{
		TenantRef(id.Platform):     "tenant/ten_00000000000000000000000000",
		SubjectRef("acc_x"):        "subject/acc_x",
		MonthRef("audit", late):    "month/audit/202612", // UTC decides the month
		ServiceRef("assertion/k1"): "service/assertion/k1",
		indexRef(""):               "service/index",
		indexRef("ten_x"):          "index/ten_x",
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	for _, bad := range []Ref{"", "a b", "a\x00", "ä", Ref(strings.Repeat("a", maxRef+1))} {
		wantKind(t, newWorld(t).Create(t.Context(), bad, 32), fault.Invalid, fmt.Sprintf("creating %q", bad))
	}
}

func TestCreateIsIdempotent(t *testing.T) {
	w := newWorld(t)
	var all sync.WaitGroup
	for range 8 {
		p := w.process(t)
		all.Go(func() { p.mustCreate(t, "service/database") })
	}
	all.Wait()
	one, err := w.Secret(t.Context(), "service/database")
	if err != nil || len(one.Reveal()) != keySize {
		t.Fatal(err)
	}
	w.mustCreate(t, "service/database")
	again, err := w.process(t).Secret(t.Context(), "service/database")
	if err != nil || !bytes.Equal(one.Reveal(), again.Reveal()) {
		t.Errorf("the key changed: %v", err)
	}
	if n, _ := w.ring.Count(t.Context()); n != 1 {
		t.Errorf("%d entries", n)
	}
	for _, size := range []int{0, 8, maxKeyBytes + 1} {
		if w.Create(t.Context(), "service/other", size) == nil {
			t.Errorf("a key of %d bytes was made", size)
		}
	}
}

// slow answers late what it read, and is slow to begin writing.
type slow struct{ Ring }

func (s slow) Entries(ctx context.Context, ref Ref) ([]Entry, error) {
	e, err := s.Ring.Entries(ctx, ref)
	time.Sleep(time.Second)
	return e, err
}

func (s slow) Insert(ctx context.Context, e Entry) error {
	time.Sleep(500 * time.Millisecond)
	return s.Ring.Insert(ctx, e)
}

// Whoever makes a key has it, also when somebody else asked for it just before
// it was there and has not been answered yet.
func TestFirstUseAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		k := New(w.line, slow{w.line}, time.Now)
		var all sync.WaitGroup
		for _, after := range []time.Duration{0, 2200 * time.Millisecond, 2400 * time.Millisecond} {
			all.Go(func() {
				time.Sleep(after)
				if _, err := k.Index(t.Context(), "", "column", "value"); err != nil {
					t.Errorf("indexing after %s: %v", after, err)
				}
			})
		}
		all.Wait()
	})
}

func TestSecretIsACopy(t *testing.T) {
	w := newWorld(t)
	w.mustCreate(t, tenantA)
	one, _ := w.Secret(t.Context(), tenantA)
	clear(one.Reveal())
	two, err := w.Secret(t.Context(), tenantA)
	if err != nil || bytes.Equal(two.Reveal(), make([]byte, keySize)) {
		t.Error("a caller changed the cached key")
	}
	_, err = w.Secret(t.Context(), "tenant/none")
	wantKind(t, err, fault.NotFound, "reading a key that was never made")
}

func TestImport(t *testing.T) {
	w := newWorld(t)
	key := secret.OfBytes(bytes.Repeat([]byte{7}, 121))
	if err := w.Import(t.Context(), "service/ca", key); err != nil {
		t.Fatal(err)
	}
	got, err := w.process(t).Secret(t.Context(), "service/ca")
	if err != nil || !bytes.Equal(got.Reveal(), key.Reveal()) {
		t.Fatalf("imported key does not come back: %v", err)
	}
	wantKind(t, w.Import(t.Context(), "service/ca", key), fault.Conflict, "importing again")
	if err := w.Shred(t.Context(), "service/ca"); err != nil {
		t.Fatal(err)
	}
	wantKind(t, w.Import(t.Context(), "service/ca", key), fault.Gone, "importing a destroyed key")
	if w.Import(t.Context(), "service/empty", secret.Bytes{}) == nil {
		t.Error("nothing was imported as a key")
	}
}

func TestDestroyedKeysStayDestroyed(t *testing.T) {
	w := newWorld(t)
	tenant := id.New[id.Tenant](time.Now())
	ref := TenantRef(tenant)
	w.mustCreate(t, ref, month)
	sealed, both := w.mustSeal(t, "x", ref), w.mustSeal(t, "y", ref, month)
	alone := w.mustSeal(t, "z", month)
	if _, err := w.Index(t.Context(), tenant, "c", "v"); err != nil {
		t.Fatal(err)
	}
	if err := w.Shred(t.Context(), ref, "subject/never-made"); err != nil {
		t.Fatal(err)
	}
	for name, p := range map[string]*world{"same process": w, "other process": w.process(t)} {
		ctx := t.Context()
		_, err := p.Open(ctx, here, sealed, ref)
		wantKind(t, err, fault.Gone, name+": opening")
		_, err = p.Open(ctx, here, both, ref, month)
		wantKind(t, err, fault.Gone, name+": opening under two keys")
		_, err = p.Seal(ctx, here, nil, ref)
		wantKind(t, err, fault.Gone, name+": sealing")
		_, err = p.Secret(ctx, ref)
		wantKind(t, err, fault.Gone, name+": reading")
		_, err = p.NewVersion(ctx, ref)
		wantKind(t, err, fault.Gone, name+": new version")
		_, err = p.Versions(ctx, ref)
		wantKind(t, err, fault.Gone, name+": versions")
		_, err = p.Index(ctx, tenant, "c", "v")
		wantKind(t, err, fault.Gone, name+": indexing")
		wantKind(t, p.Create(ctx, ref, keySize), fault.Gone, name+": creating again")
		wantKind(t, p.Create(ctx, "subject/never-made", keySize), fault.Gone, name+": creating what was shredded before it was made")
		p.mustOpen(t, "z", alone, month)
	}
	if err := w.Shred(t.Context(), ref); err != nil {
		t.Errorf("shredding twice: %v", err)
	}
}

// Another process rolls and retires the epoch between the moment an entry was
// wrapped and the moment it was inserted: the entry must not be lost.
func TestInsertSurvivesARollInBetween(t *testing.T) {
	w := newWorld(t)
	other := w.process(t)
	old, _ := other.line.root.Current(t.Context())
	w.line.set(func(ctx context.Context, op string) error {
		if op == "insert" {
			if _, err := other.Roll(ctx, nil); err != nil {
				t.Error(err)
			}
			if _, err := other.Retire(ctx, old); err != nil {
				t.Error(err)
			}
		}
		return nil
	})
	w.mustCreate(t, tenantA)
	if _, err := w.process(t).Secret(t.Context(), tenantA); err != nil {
		t.Errorf("an acknowledged key is lost: %v", err)
	}
}

func TestNothingPrintsAKey(t *testing.T) {
	w := newWorld(t)
	raw := bytes.Repeat([]byte("K3y!"), 8)
	if err := w.Import(t.Context(), tenantA, secret.OfBytes(raw)); err != nil {
		t.Fatal(err)
	}
	w.mustSeal(t, "x", tenantA)
	m, err := w.get(t.Context(), tenantA)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	log := slog.New(slog.NewJSONHandler(&out, nil))
	got, _ := w.Secret(t.Context(), tenantA)
	for _, v := range []any{w.Keys, w.line.root, m, *m.versions[0].pointer(), m.versions, got, w.derived, struct{ K *Keys }{w.Keys}} {
		fmt.Fprintf(&out, "%v %+v %#v %s %x %d\n", v, v, v, v, v, v)
		log.Info("printed", "value", v)
	}
	_, err = w.Open(t.Context(), here, []byte("rubbish"), tenantA)
	fmt.Fprintln(&out, err)
	w.ring.entries[0].Wrapped[9] ^= 1
	_, err = w.process(t).Secret(t.Context(), tenantA)
	fmt.Fprintln(&out, err)
	for _, form := range []string{string(raw), fmt.Sprintf("%x", raw), fmt.Sprint([]byte("K3y!"))[1:12], fmt.Sprintf("%#v", []byte("K3y!"))[7:20]} {
		if strings.Contains(out.String(), form) {
			t.Fatalf("the key was printed as %q:\n%s", form, out.String())
		}
	}
}

func (v version) pointer() *version { return &v }

func TestIndex(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	index := func(tenant id.Tenant, column, value string) string {
		t.Helper()
		b, err := w.Index(ctx, tenant, column, Normalise(value))
		if err != nil || len(b) != 33 {
			t.Fatalf("indexing: %x, %v", b, err)
		}
		return string(b)
	}
	first := index("", "account.email", "Anna@Example.org ")
	if first != index("", "account.email", "anna@example.org") || first[0] != 1 {
		t.Error("equal values have other indexes")
	}
	seen := map[string]bool{first: true}
	for _, v := range [][3]string{{"", "account.email", "an.na@example.org"}, {"", "account.name", "anna@example.org"}, {"ten_a", "account.email", "anna@example.org"}, {"ten_b", "account.email", "anna@example.org"}} {
		i := index(id.Tenant(v[0]), v[1], v[2])
		if seen[i] {
			t.Errorf("%v has the index of another", v)
		}
		seen[i] = true
	}
	if _, err := w.NewVersion(ctx, ServiceRef("index")); err != nil {
		t.Fatal(err)
	}
	all, err := w.Indexes(ctx, "", "account.email", "anna@example.org")
	if err != nil || len(all) != 2 || all[0][0] != 2 || string(all[1]) != first {
		t.Errorf("after a new version: %x, %v", all, err)
	}
	w.cut(errBroken)
	w.Evict()
	_, err = w.Index(ctx, "", "account.email", "x")
	wantKind(t, err, fault.Unavailable, "indexing without a ring")
	var f *fault.Error
	if !errors.As(err, &f) || !errors.Is(err, errBroken) {
		t.Errorf("the cause is lost: %v", err)
	}
}

func TestNormalise(t *testing.T) {
	for in, want := range map[string]string{
		"  Anna@Example.ORG\n": "anna@example.org",
		"a.n.n.a@example.org":  "a.n.n.a@example.org",
		"u\u0308@x":            "\u00fc@x", // NFD becomes NFC
		"\u212b":               "\u00e5",   // the Ångström sign is the letter å
		"":                     "",
	} {
		if got := Normalise(in); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
}

func FuzzNormalise(f *testing.F) {
	for _, s := range []string{"Anna@Example.org", "İ", "ẞ", " \u2000x", "\u0345 \u0301", "\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		once := Normalise(s)
		if twice := Normalise(once); twice != once {
			t.Errorf("%q became %q, then %q", s, once, twice)
		}
	})
}

// A version is found by its number, which the newest says.
func TestSecretVersion(t *testing.T) {
	w := newWorld(t)
	ref := ServiceRef("pepper")
	if err := w.Keys.Create(t.Context(), ref, 32); err != nil {
		t.Fatal(err)
	}
	n, first, err := w.Keys.SecretVersion(t.Context(), ref, 0)
	if err != nil || n != 1 || len(first.Reveal()) != 32 {
		t.Fatalf("the newest is version %d, %v", n, err)
	}
	if _, err := w.Keys.NewVersion(t.Context(), ref); err != nil {
		t.Fatal(err)
	}
	n, second, err := w.Keys.SecretVersion(t.Context(), ref, 0)
	if err != nil || n != 2 || bytes.Equal(first.Reveal(), second.Reveal()) {
		t.Errorf("the newest is version %d, %v", n, err)
	}
	if n, old, err := w.Keys.SecretVersion(t.Context(), ref, 1); err != nil || n != 1 || !bytes.Equal(old.Reveal(), first.Reveal()) {
		t.Errorf("version 1 is another one by now: %d, %v", n, err)
	}
	for _, n := range []int{3, -1, 1 << 20} {
		if _, _, err := w.Keys.SecretVersion(t.Context(), ref, n); err == nil {
			t.Errorf("there is a version %d", n)
		}
	}
	if err := w.Keys.Shred(t.Context(), ref); err != nil {
		t.Fatal(err)
	}
	for n := range 3 {
		if _, _, err := w.Keys.SecretVersion(t.Context(), ref, n); !errors.Is(err, ErrGone) {
			t.Errorf("version %d of a destroyed key: %v", n, err)
		}
	}
}
