package trust

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"troth/internal/store"
	"troth/verify"
)

// Record is a claim with everything that the page says about it.
type Record struct {
	Claim     Claim
	Status    Status
	Since     time.Time // when the status began
	CheckedAt time.Time // when a check of it last ended
	DueAt     time.Time // when a check of it is next due
	Checks    []CheckRecord
	Failures  []Failure // newest first
}

// CheckRecord is a check with its last runs.
type CheckRecord struct {
	Check      Check
	Last       *Exhibit // the last run, nil if there was none
	Conclusive *Exhibit // the last run that could be made, nil if there was none
	DueAt      time.Time
}

// Exhibit is a run whose evidence is in the log.
type Exhibit struct {
	Evidence verify.Evidence // empty if the evidence cannot be read
	Passed   bool
	Error    string
	At       time.Time
	FreshTo  time.Time
	Digest   verify.Digest
	LogIndex int64
}

// Failure is a time during which a claim was failing.
type Failure struct {
	From, To time.Time // To is zero while it lasts
	Exhibit  *Exhibit  // the run that found it
}

// state is what a page is made of, for a moment.
type state struct {
	records   []Record
	withdrawn []Record
	at        time.Time
}

// stateLife is how long a state is served before it is derived again.
const stateLife = time.Second

// Records derives every claim's status from the runs whose evidence is in the
// log: the claims in their order, and those that the program no longer makes.
func (t *Trust) Records(ctx context.Context) (claims, withdrawn []Record, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.o.Now()
	if s := t.cached; s != nil && now.Sub(s.at) < stateLife && !now.Before(s.at) {
		return s.records, s.withdrawn, nil
	}
	s := &state{at: now}
	if err := t.db.Read(ctx, func(tx *store.Tx) error { return t.derive(tx, s) }); err != nil {
		return nil, nil, fmt.Errorf("deriving the claims: %w", err)
	}
	for i := range s.records {
		t.exhibits(ctx, &s.records[i])
	}
	for i := range s.withdrawn {
		t.exhibits(ctx, &s.withdrawn[i])
		s.withdrawn[i].restore()
	}
	t.cached = s
	return s.records, s.withdrawn, nil
}

// derive fills in a state.
func (t *Trust) derive(tx *store.Tx, s *state) error {
	s.records, s.withdrawn = nil, nil
	for _, c := range t.claims {
		r, err := t.record(tx, c, s.at)
		if err != nil {
			return err
		}
		s.records = append(s.records, r)
	}
	known, err := claimsWithRuns(tx)
	if err != nil {
		return err
	}
	for _, claim := range known {
		if slices.ContainsFunc(t.claims, func(c Claim) bool { return c.ID == claim }) {
			continue
		}
		r, err := t.record(tx, Claim{ID: claim}, s.at)
		if err != nil {
			return err
		}
		r.Status = verify.Withdrawn
		s.withdrawn = append(s.withdrawn, r)
	}
	return nil
}

// forget makes the next page be derived anew.
func (t *Trust) forget() {
	t.mu.Lock()
	t.cached = nil
	t.mu.Unlock()
}

func (t *Trust) record(tx *store.Tx, c Claim, now time.Time) (Record, error) {
	runs, err := recentRuns(tx, c.ID)
	if err != nil {
		return Record{}, err
	}
	slices.Reverse(runs)
	out := Record{Claim: c, Status: verify.Pending}
	spans := history(c, t.o.Origin, runs, now)
	if n := len(spans); n > 0 {
		out.Status, out.Since = spans[n-1].status, spans[n-1].from
	}
	out.Failures = failures(spans)
	for _, r := range runs {
		if r.finishedAt.After(out.CheckedAt) {
			out.CheckedAt = r.finishedAt
		}
	}
	for _, k := range checksOf(c, runs) {
		cr := CheckRecord{Check: k}
		cr.Last, cr.Conclusive = lastOf(runs, k.Name)
		if k.Period > 0 {
			if cr.DueAt, err = t.dueAt(tx, c, k); err != nil {
				return out, err
			}
			if out.DueAt.IsZero() || cr.DueAt.Before(out.DueAt) {
				out.DueAt = cr.DueAt
			}
		}
		out.Checks = append(out.Checks, cr)
	}
	return out, nil
}

// failures are the failing spans, newest first.
func failures(spans []span) []Failure {
	var out []Failure
	for i, s := range slices.Backward(spans) {
		if s.status != verify.Failing {
			continue
		}
		f := Failure{From: s.from, Exhibit: exhibit(s.why)}
		if i+1 < len(spans) {
			f.To = spans[i+1].from
		}
		out = append(out, f)
	}
	return out
}

// checksOf are a claim's checks; of a withdrawn claim, those that ran.
func checksOf(c Claim, runs []run) []Check {
	if len(c.Checks) > 0 {
		return c.Checks
	}
	var checks []Check
	for _, r := range runs {
		if !slices.ContainsFunc(checks, func(k Check) bool { return k.Name == r.check }) {
			checks = append(checks, Check{Name: r.check})
		}
	}
	return checks
}

// lastOf are the last run of a check and the last that could be made.
func lastOf(runs []run, check string) (last, conclusive *Exhibit) {
	for i := range runs {
		if r := &runs[i]; r.check == check {
			last = exhibit(r)
			if r.err == "" {
				conclusive = last
			}
		}
	}
	return last, conclusive
}

func exhibit(r *run) *Exhibit {
	if r == nil {
		return nil
	}
	digest, _ := verify.ParseDigest(r.evidence) // what is no digest finds no evidence
	return &Exhibit{Passed: r.passed, Error: r.err, At: r.finishedAt, FreshTo: r.freshUntil, Digest: digest, LogIndex: r.logIndex}
}

// exhibits reads the evidence behind a record. What cannot be read is left
// empty: the page shows its digest all the same, and the check of J1 says that
// it is missing.
func (t *Trust) exhibits(ctx context.Context, r *Record) {
	read := func(e *Exhibit) {
		if e == nil || e.Evidence.Claim.ID != "" {
			return
		}
		key, err := verify.ParseKey(t.log.VKey())
		if err != nil {
			return
		}
		b, err := t.log.EvidenceBytes(ctx, e.Digest.String())
		if err != nil {
			t.o.Log.Warn("reading evidence", "digest", e.Digest.String(), "error", err)
			return
		}
		if s, err := verify.OpenEvidence(b, key); err == nil {
			e.Evidence = s.Predicate
		}
	}
	for _, c := range r.Checks {
		read(c.Last)
		read(c.Conclusive)
	}
	for i := range min(len(r.Failures), 20) {
		read(r.Failures[i].Exhibit)
	}
}

// restore takes a withdrawn claim's words from its last evidence.
func (r *Record) restore() {
	for _, c := range r.Checks {
		if c.Last == nil || c.Last.Evidence.Claim.ID == "" {
			continue
		}
		if e := c.Last.Evidence; !c.Last.At.Before(r.CheckedAt) {
			r.Claim.Sentence, r.Claim.Scope, r.Claim.Criteria, r.Claim.NotProven = e.Claim.Sentence, e.Claim.Scope, e.Claim.Criteria, e.Claim.NotProven
		}
	}
	r.Since = r.CheckedAt
}

// Document is the trust document, as /-/trust.json serves it.
func (t *Trust) Document(ctx context.Context) (verify.Document, error) {
	claims, withdrawn, err := t.Records(ctx)
	if err != nil {
		return verify.Document{}, err
	}
	d := verify.Document{Origin: t.o.Origin, Claims: []verify.DocumentClaim{}}
	for _, r := range append(slices.Clone(claims), withdrawn...) {
		d.Claims = append(d.Claims, r.document())
	}
	return d, nil
}

// JSON is the trust document as it is served and exported, byte for byte.
func (t *Trust) JSON(ctx context.Context) ([]byte, error) {
	d, err := t.Document(ctx)
	if err != nil {
		return nil, err
	}
	b, err := json.MarshalIndent(d, "", "  ")
	return append(b, '\n'), err
}

func (r Record) document() verify.DocumentClaim {
	at := func(t time.Time) *time.Time {
		if t.IsZero() {
			return nil
		}
		t = t.UTC()
		return &t
	}
	c := verify.DocumentClaim{ID: r.Claim.ID, Sentence: r.Claim.Sentence, Status: r.Status, CheckedAt: at(r.CheckedAt), Since: at(r.Since), DueAt: at(r.DueAt),
		Criteria: append([]string{}, r.Claim.Criteria...), NotProven: r.Claim.NotProven, Evidence: []verify.DocumentEvidence{}}
	for _, k := range r.Checks {
		for _, e := range []*Exhibit{k.Last, k.Conclusive} {
			if e != nil {
				c.Evidence = append(c.Evidence, verify.DocumentEvidence{LogIndex: e.LogIndex, Digest: e.Digest})
			}
		}
	}
	slices.SortFunc(c.Evidence, func(a, b verify.DocumentEvidence) int { return cmp.Compare(a.LogIndex, b.LogIndex) })
	c.Evidence = slices.Compact(c.Evidence)
	return c
}
