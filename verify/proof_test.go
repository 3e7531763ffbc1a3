package verify_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"troth/verify"
)

// provenEvent is an event in a tenant's tree of several, in a platform log of
// several, with one of its three sections withheld.
func provenEvent(t testing.TB, f *fixture) verify.EventProof {
	t.Helper()
	sections := []verify.Section{
		{Name: "core", Salt: make([]byte, verify.SaltSize), Bytes: []byte(`{"type":"account.signed_in"}`)},
		{Name: "acc_1", Salt: slices.Repeat([]byte{1}, verify.SaltSize), Bytes: []byte(`{"ip":"192.0.2.1"}`)},
		{Name: "acc_2"},
	}
	secret := verify.DigestSection([32]byte{2}, []byte("withheld"))
	sections[2].Digest = &secret
	leaf := verify.Leaf{Event: "evt_1", Class: "audit", At: day, Commitment: verify.Commit(
		verify.DigestSection([32]byte(sections[0].Salt), sections[0].Bytes), verify.DigestSection([32]byte(sections[1].Salt), sections[1].Bytes), secret)}
	encoded, err := leaf.Encode()
	must(t, err)
	var tenant tree
	for range 5 {
		tenant.add(t, []byte("before"))
	}
	at := tenant.add(t, encoded)
	tenant.add(t, []byte("after"))
	size := int64(len(tenant.records))
	text, err := verify.Checkpoint{Origin: origin + "/ten_1", Size: size, Root: tenant.root(t, size)}.Encode()
	must(t, err)
	inTenant, err := tlog.ProveRecord(size, at, tenant.stored)
	must(t, err)

	f.fill(300)
	salt := slices.Repeat([]byte{9}, verify.SaltSize)
	index := f.entry(verify.TenantEntry([32]byte(salt), text))
	f.fill(10)
	total := int64(len(f.tree.records))
	inPlatform, err := tlog.ProveRecord(total, index, f.tree.stored)
	must(t, err)
	return verify.EventProof{Format: verify.ProofFormat, Leaf: encoded, Sections: sections,
		TenantInclusion: verify.Inclusion{Index: at, Hashes: inTenant}, TenantCheckpoint: string(text), Salt: salt,
		Inclusion: verify.Inclusion{Index: index, Hashes: inPlatform}, Checkpoint: string(f.checkpoint(total))}
}

func TestEventProof(t *testing.T) {
	f := newFixture(t)
	p := provenEvent(t, f)
	b, err := json.Marshal(p)
	must(t, err)
	read, err := verify.ParseEventProof(b)
	must(t, err)
	got, err := read.Check(f.key)
	must(t, err)
	if got.Leaf.Event != "evt_1" || got.Tenant.Size != 7 || got.Platform.Size != 311 || got.EntryIndex != 300 {
		t.Errorf("%+v", got)
	}
}

// TestBrokenProof changes one link at a time and expects the link named.
func TestBrokenProof(t *testing.T) {
	other := newFixture(t)
	cases := []struct {
		name, code string
		change     func(*verify.EventProof)
	}{
		{"leaf", "proof-leaf", func(p *verify.EventProof) { p.Leaf[0] = 9 }},
		{"time", "proof-tenant-inclusion", func(p *verify.EventProof) { p.Leaf[len(p.Leaf)-33] ^= 1 }},
		{"section's bytes", "proof-sections", func(p *verify.EventProof) { p.Sections[1].Bytes[3] ^= 1 }},
		{"section's salt", "proof-sections", func(p *verify.EventProof) { p.Sections[1].Salt[3] ^= 1 }},
		{"salt too short", "proof-sections", func(p *verify.EventProof) { p.Sections[1].Salt = p.Sections[1].Salt[1:] }},
		{"withheld digest", "proof-sections", func(p *verify.EventProof) { p.Sections[2].Digest[0] ^= 1 }},
		{"open and withheld", "proof-sections", func(p *verify.EventProof) { p.Sections[2].Bytes = []byte("x") }},
		{"order of sections", "proof-sections", func(p *verify.EventProof) { p.Sections[0], p.Sections[1] = p.Sections[1], p.Sections[0] }},
		{"section left out", "proof-sections", func(p *verify.EventProof) { p.Sections = p.Sections[:2] }},
		{"no sections", "proof-sections", func(p *verify.EventProof) { p.Sections = nil }},
		{"tenant index", "proof-tenant-inclusion", func(p *verify.EventProof) { p.TenantInclusion.Index-- }},
		{"tenant index beyond", "proof-tenant-inclusion", func(p *verify.EventProof) { p.TenantInclusion.Index = 7 }},
		{"negative index", "proof-tenant-inclusion", func(p *verify.EventProof) { p.TenantInclusion.Index = -1 }},
		{"tenant hashes", "proof-tenant-inclusion", func(p *verify.EventProof) { p.TenantInclusion.Hashes = p.TenantInclusion.Hashes[1:] }},
		{"tenant checkpoint", "proof-tenant-checkpoint", func(p *verify.EventProof) { p.TenantCheckpoint += "more\n" }},
		{"tenant's name", "proof-inclusion", func(p *verify.EventProof) {
			p.TenantCheckpoint = strings.Replace(p.TenantCheckpoint, "ten_1", "ten_2", 1)
		}},
		{"salt", "proof-inclusion", func(p *verify.EventProof) { p.Salt[0] ^= 1 }},
		{"salt missing", "proof-salt", func(p *verify.EventProof) { p.Salt = nil }},
		{"platform index", "proof-inclusion", func(p *verify.EventProof) { p.Inclusion.Index++ }},
		{"platform hashes", "proof-inclusion", func(p *verify.EventProof) { p.Inclusion.Hashes[0][0] ^= 1 }},
		{"checkpoint by another key", "proof-checkpoint", func(p *verify.EventProof) { other.fill(1); p.Checkpoint = string(other.checkpoint(1)) }},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			f := newFixture(t)
			p := provenEvent(t, f)
			c.change(&p)
			_, err := p.Check(f.key)
			if finding, ok := errors.AsType[*verify.Finding](err); !ok || finding.Code != c.code {
				t.Errorf("%v, want %s", err, c.code)
			}
		})
	}
}

func TestProofDocument(t *testing.T) {
	for _, s := range []string{"", "{}", `{"format":"troth/event-proof/v2"}`, `{"format":"troth/event-proof/v1","more":1}`, `{"format":"troth/event-proof/v1"} {}`} {
		if _, err := verify.ParseEventProof([]byte(s)); err == nil {
			t.Errorf("%q was read as a proof", s)
		}
	}
	if _, err := verify.ParseEventProof(make([]byte, verify.MaxProof+1)); err == nil {
		t.Error("a proof above the limit was read")
	}
}

// TestTwoTrees: one tenant at one size with two roots is told.
func TestTwoTrees(t *testing.T) {
	a := verify.ProvenEvent{Tenant: verify.Checkpoint{Origin: "o", Size: 3, Root: tlog.Hash{1}}}
	b := a
	if !a.Consistent(b) {
		t.Error("a proof is not consistent with itself")
	}
	b.Tenant.Root = tlog.Hash{2}
	if a.Consistent(b) {
		t.Error("two roots of one size were taken for consistent")
	}
	b.Tenant.Size = 4
	if !a.Consistent(b) {
		t.Error("two sizes cannot be compared")
	}
}

func FuzzEventProof(f *testing.F) {
	x := newFixture(f)
	b, _ := json.Marshal(provenEvent(f, x))
	f.Add(b)
	want := verify.DigestOf(provenEvent(f, x).Leaf)
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := verify.ParseEventProof(b)
		if err != nil {
			return
		}
		if _, err := p.Check(x.key); err == nil && verify.DigestOf(p.Leaf) != want {
			t.Fatalf("a leaf that is not in the log was proven: %x", p.Leaf)
		}
	})
}
