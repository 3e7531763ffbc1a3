package verify_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"troth/verify"
)

// TestClaims changes one thing of a document or of its evidence and expects
// it named.
func TestClaims(t *testing.T) {
	fail := func(e verify.Evidence) verify.Evidence {
		e.Passed, e.Observed[0].Seen = false, "open"
		return e
	}
	cases := []struct {
		name   string
		change func(*fixture, *verify.DocumentClaim)
		want   []string
	}{
		{"nothing", func(*fixture, *verify.DocumentClaim) {}, nil},
		{"sentence", func(_ *fixture, c *verify.DocumentClaim) { c.Sentence = "All is well." }, []string{"claim-differs claim A1"}},
		{"criteria", func(_ *fixture, c *verify.DocumentClaim) { c.Criteria = append(c.Criteria, "CC6.6") }, []string{"claim-differs claim A1"}},
		{"what is not proven", func(_ *fixture, c *verify.DocumentClaim) { c.NotProven = "" }, []string{"claim-differs claim A1"}},
		{"time of the check", func(_ *fixture, c *verify.DocumentClaim) { c.CheckedAt = nil }, []string{"claim-differs claim A1"}},
		{"origin", func(f *fixture, _ *verify.DocumentClaim) { f.doc.Origin = "https://other.example" }, []string{"claim-differs claim A0", "claim-differs claim A1"}},
		{"proven without evidence", func(_ *fixture, c *verify.DocumentClaim) { c.Evidence = nil }, []string{"claim-not-derivable claim A1"}},
		{"proven with half of the checks", func(f *fixture, c *verify.DocumentClaim) { f.replace(c, 1, fail(evidence("A1", "A1-2", day))) }, []string{"claim-not-derivable claim A1"}},
		{"attested instead of proven", func(_ *fixture, c *verify.DocumentClaim) { c.Status = verify.Attested }, []string{"claim-not-derivable claim A1"}},
		{"digest of nothing", func(_ *fixture, c *verify.DocumentClaim) { c.Evidence[1].Digest = verify.Digest{} }, []string{"evidence-not-in-log evidence of claim A1 at entry 6"}},
		{"evidence at another entry", func(_ *fixture, c *verify.DocumentClaim) { c.Evidence[1].LogIndex = 2 }, []string{"evidence-not-in-log evidence of claim A1 at entry 2"}},
		{"evidence beyond the log", func(_ *fixture, c *verify.DocumentClaim) { c.Evidence[1].LogIndex = 1 << 40 }, []string{"evidence-not-in-log evidence of claim A1 at entry 1099511627776"}},
		{"evidence of another claim", func(f *fixture, c *verify.DocumentClaim) {
			c.Evidence = append(c.Evidence, f.doc.Claims[0].Evidence[0])
		}, []string{"evidence-of-another-claim claim A1"}},
		{"newer failure, not cited", func(f *fixture, _ *verify.DocumentClaim) { f.put(f.sign(fail(evidence("A1", "A1-1", day)))) }, []string{"claim-not-derivable claim A1"}},
		{"newer failure that could not be known", func(f *fixture, _ *verify.DocumentClaim) {
			e := fail(evidence("A1", "A1-1", day.Add(10*time.Minute)))
			f.put(f.sign(e))
		}, nil},
		{"newest run could not be exercised", func(f *fixture, _ *verify.DocumentClaim) {
			e := evidence("A1", "A1-1", day)
			e.Passed, e.Error = false, "no mail arrived"
			f.put(f.sign(e))
		}, []string{"claim-not-derivable claim A1"}},
		{"failure shown as pending", func(f *fixture, c *verify.DocumentClaim) {
			f.replace(c, 0, fail(evidence("A1", "A1-1", day)))
			c.Status = verify.Pending
		}, []string{"claim-hides-failure claim A1"}},
		{"failure shown", func(f *fixture, c *verify.DocumentClaim) {
			f.replace(c, 0, fail(evidence("A1", "A1-1", day)))
			c.Status = verify.Failing
		}, nil},
		{"claim left out", func(f *fixture, _ *verify.DocumentClaim) { f.doc.Claims = f.doc.Claims[:1] }, []string{"claim-omitted claim A1"}},
		{"claim withdrawn", func(_ *fixture, c *verify.DocumentClaim) { c.Status = verify.Withdrawn }, nil},
		{"unknown status", func(_ *fixture, c *verify.DocumentClaim) { c.Status = "green" }, []string{"document-malformed trust.json"}},
		{"claim twice", func(f *fixture, c *verify.DocumentClaim) { f.doc.Claims = append(f.doc.Claims, *c) }, []string{"document-malformed trust.json"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			f := newFixture(t)
			f.fill(3)
			f.claim("A0", day)
			c.change(f, f.claim("A1", day))
			f.write()
			r := f.examine(verify.Options{Now: func() time.Time { return day.Add(11 * time.Minute) }})
			only(t, r, c.want...)
		})
	}
}

// replace puts other evidence in the place of a cited one.
func (f *fixture) replace(c *verify.DocumentClaim, i int, e verify.Evidence) {
	c.Evidence[i] = f.put(f.sign(e))
	c.CheckedAt = &e.FinishedAt
}

func TestClaimOmittedAtOnce(t *testing.T) {
	f := newFixture(t)
	f.claim("A0", day)
	f.claim("A1", day)
	f.doc.Claims = f.doc.Claims[:1]
	f.write()
	only(t, f.examine(verify.Options{Now: func() time.Time { return day.Add(time.Minute) }}))
}

func TestStale(t *testing.T) {
	f := newFixture(t)
	c := f.claim("A1", day)
	f.write()
	late := verify.Options{Now: func() time.Time { return day.Add(61 * time.Minute) }}
	only(t, f.examine(late), "claim-not-derivable claim A1")
	c.Status = verify.Stale
	f.document()
	r := f.examine(late)
	only(t, r)
	if got := r.Claims[0]; got.Derived != verify.Stale || !got.FreshUntil.Equal(day.Add(59*time.Minute)) {
		t.Errorf("%+v", got)
	}
	early := verify.Options{Now: func() time.Time { return day.Add(-time.Hour) }}
	if r := f.examine(early); !r.Has("evidence-from-the-future") {
		t.Errorf("%+v", r.Findings)
	}
}

func TestAttested(t *testing.T) {
	f := newFixture(t)
	e := evidence("C4", "C4-1", day)
	e.Claim.Attested, e.Claim.Checks = true, []string{"C4-1"}
	f.doc.Claims = []verify.DocumentClaim{{ID: "C4", Sentence: e.Claim.Sentence, Criteria: e.Claim.Criteria, NotProven: e.Claim.NotProven, Status: verify.Attested, CheckedAt: &day, Evidence: []verify.DocumentEvidence{f.put(f.sign(e))}}}
	f.write()
	only(t, f.examine(verify.Options{}))
	f.doc.Claims[0].Status = verify.Proven
	f.document()
	only(t, f.examine(verify.Options{}), "claim-not-derivable claim C4")
}

// TestEvidence changes the envelope, which is what a forger would do.
func TestEvidence(t *testing.T) {
	statement := func(change func(*verify.Statement)) func(*fixture) []byte {
		return func(f *fixture) []byte {
			s := verify.NewStatement(evidence("A1", "A1-1", day))
			change(&s)
			b, err := json.Marshal(s)
			must(t, err)
			return f.envelope(b)
		}
	}
	cases := []struct {
		name string
		make func(*fixture) []byte
		want string
	}{
		{"signed by another key", func(f *fixture) []byte {
			g := newFixture(t)
			return g.sign(evidence("A1", "A1-1", day))
		}, "evidence-signature"},
		{"payload changed", func(f *fixture) []byte {
			return []byte(strings.Replace(string(f.sign(evidence("A1", "A1-1", day))), `"payload":"ey`, `"payload":"ez`, 1))
		}, "evidence-signature"},
		{"no signatures", func(f *fixture) []byte {
			return []byte(`{"payloadType":"application/vnd.in-toto+json","payload":"e30=","signatures":[]}`)
		}, "evidence-signature"},
		{"another payload type", func(f *fixture) []byte {
			return []byte(strings.Replace(string(f.sign(evidence("A1", "A1-1", day))), "in-toto", "other", 1))
		}, "evidence-malformed"},
		{"not JSON", func(*fixture) []byte { return []byte("hello") }, "evidence-malformed"},
		{"two documents", func(f *fixture) []byte { return append(f.sign(evidence("A1", "A1-1", day)), "{}"...) }, "evidence-malformed"},
		{"another statement type", statement(func(s *verify.Statement) { s.Type = "https://in-toto.io/Statement/v0.1" }), "evidence-malformed"},
		{"another predicate", statement(func(s *verify.Statement) { s.PredicateType = "https://troth.invalid/check/v9" }), "evidence-malformed"},
		{"no subject", statement(func(s *verify.Statement) { s.Subject = nil }), "evidence-malformed"},
		{"subject of another claim", statement(func(s *verify.Statement) { s.Subject[0].Name = "claim/A2" }), "evidence-malformed"},
		{"subject's digest", statement(func(s *verify.Statement) { s.Subject[1].Digest["sha256"] = verify.Digest{} }), "evidence-malformed"},
		{"check of another method", statement(func(s *verify.Statement) { s.Predicate.Check.Method = "It looks away." }), "evidence-malformed"},
		{"passed without an observation", statement(func(s *verify.Statement) { s.Predicate.Observed = nil }), "evidence-malformed"},
		{"passed with an error", statement(func(s *verify.Statement) { s.Predicate.Error = "the door was stuck" }), "evidence-malformed"},
		{"ended before it began", statement(func(s *verify.Statement) { s.Predicate.StartedAt = day.Add(time.Hour) }), "evidence-malformed"},
		{"larger than it can be", func(*fixture) []byte { return make([]byte, verify.MaxEvidence+1) }, "evidence-malformed"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			f := newFixture(t)
			claim := f.claim("A1", day)
			f.tree = tree{}
			f.fill(2)
			cite := f.put(c.make(f))
			claim.Evidence = []verify.DocumentEvidence{cite, f.put(f.sign(evidence("A1", "A1-2", day)))}
			f.write()
			only(t, f.examine(verify.Options{}), c.want+" evidence "+cite.Digest.String()+" (entry 2)", "claim-not-derivable claim A1")
		})
	}
	t.Run("not served", func(t *testing.T) {
		f := newFixture(t)
		c := f.claim("A1", day)
		f.write()
		must(t, os.Remove(f.path("evidence/"+c.Evidence[1].Digest.String())))
		r := f.examine(verify.Options{})
		only(t, r, "evidence-missing evidence "+c.Evidence[1].Digest.String()+" (entry 1)", "claim-not-derivable claim A1")
	})
	t.Run("other bytes served", func(t *testing.T) {
		f := newFixture(t)
		c := f.claim("A1", day)
		f.write()
		f.flip("evidence/"+c.Evidence[0].Digest.String(), 50)
		r := f.examine(verify.Options{})
		only(t, r, "evidence-differs evidence "+c.Evidence[0].Digest.String()+" (entry 0)", "claim-not-derivable claim A1")
	})
}

// TestUnread: what was not examined is said.
func TestUnread(t *testing.T) {
	f := newFixture(t)
	c := f.claim("A1", day)
	for range 50 {
		f.put(f.sign(evidence("A1", "A1-2", day)))
	}
	c.CheckedAt = &day
	f.write()
	r := f.examine(verify.Options{MaxEvidence: 10})
	only(t, r)
	if r.Unread != 42 || r.Evidence != 12 { // the ten newest and the two cited
		t.Errorf("unread %d, examined %d", r.Unread, r.Evidence)
	}
}

func TestNoDocument(t *testing.T) {
	f := newFixture(t)
	f.fill(1)
	f.write()
	must(t, os.Remove(f.path("trust.json")))
	if r := f.examine(verify.Options{}); !r.OK() || r.Document {
		t.Errorf("%+v", r)
	}
	only(t, f.examine(verify.Options{NeedDocument: true}), "document-missing trust.json")
	f.file("trust.json", []byte("{"))
	only(t, f.examine(verify.Options{}), "document-malformed trust.json")
}
