package verify_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"troth/verify"
)

const origin = "log.example"

// day is the present of every fixture.
var day = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// hashes stores a tree as x/mod does; the verifier shares no code with it.
type hashes []tlog.Hash

func (h hashes) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, n := range indexes {
		out[i] = h[n]
	}
	return out, nil
}

// tree is a tree of records built with x/mod.
type tree struct {
	records [][]byte
	stored  hashes
}

func (r *tree) add(t testing.TB, record []byte) int64 {
	t.Helper()
	n := int64(len(r.records))
	hs, err := tlog.StoredHashes(n, record, r.stored)
	if err != nil {
		t.Fatal(err)
	}
	r.records, r.stored = append(r.records, record), append(r.stored, hs...)
	return n
}

func (r *tree) root(t testing.TB, size int64) tlog.Hash {
	t.Helper()
	h, err := tlog.TreeHash(size, r.stored)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// fixture is a whole log on disk.
type fixture struct {
	t       testing.TB
	dir     string
	private ed25519.PrivateKey
	signer  note.Signer
	key     verify.Key
	tree    tree
	doc     verify.Document
	proofs  map[string][]byte // envelopes by digest
}

func newFixture(t testing.TB) *fixture {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	vkey, err := note.NewEd25519VerifierKey(origin, public)
	if err != nil {
		t.Fatal(err)
	}
	key, err := verify.ParseKey(vkey)
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{t: t, dir: t.TempDir(), private: private, key: key, proofs: map[string][]byte{}, signer: signer{private, key}}
	f.doc.Origin = "https://app.example"
	return f
}

// signer signs notes with a key that is also used for evidence.
type signer struct {
	private ed25519.PrivateKey
	key     verify.Key
}

func (s signer) Name() string { return s.key.Name }
func (s signer) KeyHash() uint32 {
	v, err := note.NewVerifier(s.key.VKey)
	if err != nil {
		panic(err)
	}
	return v.KeyHash()
}
func (s signer) Sign(msg []byte) ([]byte, error) { return ed25519.Sign(s.private, msg), nil }
func (s signer) KeyID() (string, error)          { return s.key.Name, nil }

// envelopeSigner makes signer a dsse.Signer.
type envelopeSigner struct{ signer }

func (s envelopeSigner) Sign(_ context.Context, data []byte) ([]byte, error) {
	return s.signer.Sign(data)
}

func (f *fixture) entry(e verify.Entry) int64 {
	f.t.Helper()
	b, err := e.Encode()
	if err != nil {
		f.t.Fatal(err)
	}
	return f.tree.add(f.t, b)
}

// fill adds n commitments to tenants' checkpoints.
func (f *fixture) fill(n int) {
	for range n {
		var salt [verify.SaltSize]byte
		rand.Read(salt[:])
		f.entry(verify.TenantEntry(salt, nil))
	}
}

// evidence is what a passing check of a claim with two checks leaves.
func evidence(claim, check string, at time.Time) verify.Evidence {
	return verify.Evidence{
		Claim: verify.ClaimRef{ID: claim, Sentence: "The sentence of " + claim + ".", Scope: "everything", Criteria: []string{"CC6.1"},
			NotProven: "Nothing else.", Checks: []string{claim + "-1", claim + "-2"}},
		Check:     verify.CheckRef{Name: check, Version: 1, Method: "It tries.", Build: "test"},
		Observed:  []verify.Observation{{What: "a door", Expected: "shut", Seen: "shut"}},
		Passed:    true,
		StartedAt: at.Add(-time.Second), FinishedAt: at, FreshUntil: at.Add(time.Hour),
		Origin: "https://app.example",
	}
}

func (f *fixture) sign(e verify.Evidence) []byte {
	f.t.Helper()
	body, err := json.Marshal(verify.NewStatement(e))
	if err != nil {
		f.t.Fatal(err)
	}
	return f.envelope(body)
}

func (f *fixture) envelope(body []byte) []byte {
	f.t.Helper()
	s, err := dsse.NewEnvelopeSigner(envelopeSigner{f.signer.(signer)})
	if err != nil {
		f.t.Fatal(err)
	}
	env, err := s.SignPayload(f.t.Context(), verify.EvidencePayload, body)
	if err != nil {
		f.t.Fatal(err)
	}
	b, err := json.Marshal(env)
	if err != nil {
		f.t.Fatal(err)
	}
	return b
}

// put appends evidence to the log and returns how a document cites it.
func (f *fixture) put(envelope []byte) verify.DocumentEvidence {
	d := verify.DigestOf(envelope)
	f.proofs[d.String()] = envelope
	return verify.DocumentEvidence{LogIndex: f.entry(verify.EvidenceEntry(envelope)), Digest: d}
}

// claim adds a proven claim with the evidence of its two checks.
func (f *fixture) claim(id string, at time.Time) *verify.DocumentClaim {
	one := f.put(f.sign(evidence(id, id+"-1", at.Add(-time.Minute))))
	two := f.put(f.sign(evidence(id, id+"-2", at)))
	f.doc.Claims = append(f.doc.Claims, verify.DocumentClaim{ID: id, Sentence: "The sentence of " + id + ".", Status: verify.Proven, CheckedAt: &at, Since: &at,
		Criteria: []string{"CC6.1"}, NotProven: "Nothing else.", Evidence: []verify.DocumentEvidence{one, two}})
	return &f.doc.Claims[len(f.doc.Claims)-1]
}

func (f *fixture) checkpoint(size int64) []byte {
	f.t.Helper()
	text, err := verify.Checkpoint{Origin: origin, Size: size, Root: f.tree.root(f.t, size)}.Encode()
	if err != nil {
		f.t.Fatal(err)
	}
	signed, err := note.Sign(&note.Note{Text: string(text)}, f.signer)
	if err != nil {
		f.t.Fatal(err)
	}
	return signed
}

// write exports the log.
func (f *fixture) write() {
	f.t.Helper()
	size := int64(len(f.tree.records))
	f.file("checkpoint", f.checkpoint(size))
	f.file("vkey", []byte(f.key.VKey+"\n"))
	for _, tile := range tlog.NewTiles(8, 0, size) {
		b, err := tlog.ReadTileData(tile, f.tree.stored)
		if err != nil {
			f.t.Fatal(err)
		}
		f.file(verify.TilePath(tile.L, tile.N, tile.W), b)
		if tile.L == 0 {
			b, err := verify.Bundle(f.tree.records[tile.N*256 : tile.N*256+int64(tile.W)])
			if err != nil {
				f.t.Fatal(err)
			}
			f.file(verify.EntriesPath(tile.N, tile.W), b)
		}
	}
	for digest, b := range f.proofs {
		f.file("evidence/"+digest, b)
	}
	f.document()
}

func (f *fixture) document() {
	f.t.Helper()
	b, err := json.Marshal(f.doc)
	if err != nil {
		f.t.Fatal(err)
	}
	f.file("trust.json", b)
}

func (f *fixture) path(name string) string { return filepath.Join(f.dir, filepath.FromSlash(name)) }

func (f *fixture) file(name string, b []byte) {
	f.t.Helper()
	if err := os.MkdirAll(filepath.Dir(f.path(name)), 0o755); err != nil {
		f.t.Fatal(err)
	}
	if err := os.WriteFile(f.path(name), b, 0o644); err != nil {
		f.t.Fatal(err)
	}
}

// flip changes one bit of a file.
func (f *fixture) flip(name string, at int) {
	f.t.Helper()
	b, err := os.ReadFile(f.path(name))
	if err != nil {
		f.t.Fatal(err)
	}
	b[at] ^= 1
	f.file(name, b)
}

func (f *fixture) examine(o verify.Options) *verify.Report {
	f.t.Helper()
	src, err := verify.OpenDirectory(f.dir)
	if err != nil {
		f.t.Fatal(err)
	}
	defer src.Close()
	if o.Now == nil {
		o.Now = func() time.Time { return day }
	}
	r, err := verify.Log(f.t.Context(), src, &f.key, o)
	if err != nil {
		f.t.Fatal(err)
	}
	return r
}

// only asserts that there are findings with exactly these codes and places.
func only(t testing.TB, r *verify.Report, want ...string) {
	t.Helper()
	var got []string
	for _, f := range r.Findings {
		got = append(got, f.Code+" "+f.Where)
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("findings\n got %q\nwant %q\n%+v", got, want, r.Findings)
	}
}
