package verify

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"
)

// The types that stand in evidence.
const (
	StatementType   = "https://in-toto.io/Statement/v1"
	PredicateType   = "https://troth.invalid/check/v1"
	EvidencePayload = "application/vnd.in-toto+json" // the DSSE payload type of in-toto
)

// MaxEvidence is the largest piece of evidence that is read, in bytes.
const MaxEvidence = 256 << 10

// Statement is an in-toto Statement v1 about one run of one check. Its
// subjects are the claim and the check, under names that [ClaimSubject] and
// [CheckSubject] make, with their digests.
type Statement struct {
	Type          string    `json:"_type"`
	Subject       []Subject `json:"subject"`
	PredicateType string    `json:"predicateType"`
	Predicate     Evidence  `json:"predicate"`
}

// Subject names what a statement is about.
type Subject struct {
	Name   string            `json:"name"`
	Digest map[string]Digest `json:"digest"` // under "sha256"
}

// Evidence is the predicate: what a check did and what it saw.
type Evidence struct {
	Claim       ClaimRef          `json:"claim"`
	Check       CheckRef          `json:"check"`
	Observed    []Observation     `json:"observed"`
	Passed      bool              `json:"passed"`
	Error       string            `json:"error,omitempty"` // why the check could not be exercised; then Passed is false
	StartedAt   time.Time         `json:"started_at"`
	FinishedAt  time.Time         `json:"finished_at"`
	FreshUntil  time.Time         `json:"fresh_until"` // the claim is no longer proven by this after it
	Origin      string            `json:"origin"`      // of the installation
	Environment map[string]string `json:"environment,omitempty"`
}

// ClaimRef is the claim at the time of the run.
type ClaimRef struct {
	ID        string   `json:"id"`
	Sentence  string   `json:"sentence"`
	Scope     string   `json:"scope"`
	Criteria  []string `json:"criteria"`
	NotProven string   `json:"not_proven"`
	Attested  bool     `json:"attested,omitempty"` // a recurring duty: passing makes it attested, never proven
	Checks    []string `json:"checks"`             // all checks of the claim: it is green only if each passed
}

// Digest is the digest of what a claim says: its identifier, sentence, criteria
// and what it does not prove, each with its length before it. A sentence that
// was edited is another claim, which the old evidence does not carry.
func (c ClaimRef) Digest() Digest {
	return digestFields(append([]string{"troth claim v1", c.ID, c.Sentence, c.NotProven}, c.Criteria...)...)
}

// CheckRef is the check that ran.
type CheckRef struct {
	Name    string `json:"name"`
	Version int    `json:"version"` // raised by hand when what the check does changes
	Method  string `json:"method"`  // what it does, in a sentence
	Build   string `json:"build"`   // version of the program that ran it
}

// Digest identifies the version of a check: SHA-256 of name, version, method
// and build, each with its length before it. It does not cover the check's
// code directly: the build's version does, as far as builds are reproducible.
func (c CheckRef) Digest() Digest {
	return digestFields("troth check v1", c.Name, fmt.Sprint(c.Version), c.Method, c.Build)
}

// Observation is one thing that a check looked at.
type Observation struct {
	What     string `json:"what"`
	Expected string `json:"expected"`
	Seen     string `json:"seen"`
}

// ClaimSubject is the name of the subject that is a claim.
func ClaimSubject(id string) string { return "claim/" + id }

// CheckSubject is the name of the subject that is a check.
func CheckSubject(name string) string { return "check/" + name }

// NewStatement wraps evidence with its subjects.
func NewStatement(e Evidence) Statement {
	return Statement{
		Type:          StatementType,
		PredicateType: PredicateType,
		Subject: []Subject{
			{ClaimSubject(e.Claim.ID), map[string]Digest{"sha256": e.Claim.Digest()}},
			{CheckSubject(e.Check.Name), map[string]Digest{"sha256": e.Check.Digest()}},
		},
		Predicate: e,
	}
}

// errSignature is evidence that the log's key did not sign.
var errSignature = errors.New("the signature is not by the key of")

// OpenEvidence checks the signature of an envelope and reads the statement in
// it. The subjects must be those of the predicate.
func OpenEvidence(envelope []byte, key Key) (Statement, error) {
	var s Statement
	if len(envelope) > MaxEvidence {
		return s, fmt.Errorf("the evidence has %d bytes, more than %d", len(envelope), MaxEvidence)
	}
	var e dsse.Envelope
	if err := decode(envelope, &e); err != nil {
		return s, fmt.Errorf("reading the envelope: %w", err)
	}
	if e.PayloadType != EvidencePayload {
		return s, fmt.Errorf("the payload type is %q instead of %q", clip(e.PayloadType), EvidencePayload)
	}
	v, err := dsse.NewEnvelopeVerifier(key)
	if err != nil {
		return s, fmt.Errorf("preparing the key: %w", err)
	}
	_, body, err := v.VerifyAndDecode(context.Background(), &e)
	if err != nil {
		return s, fmt.Errorf("%w %s (%w)", errSignature, key.Name, err)
	}
	if err := decode(body, &s); err != nil {
		return s, fmt.Errorf("reading the statement: %w", err)
	}
	return s, s.check()
}

func (s Statement) check() error {
	if s.Type != StatementType || s.PredicateType != PredicateType {
		return fmt.Errorf("the statement is a %q about a %q", clip(s.Type), clip(s.PredicateType))
	}
	p := s.Predicate
	want := NewStatement(p).Subject
	if len(s.Subject) != len(want) {
		return errors.New("the statement's subjects are not one claim and one check")
	}
	for i, w := range want {
		g := s.Subject[i]
		if g.Name != w.Name || len(g.Digest) != 1 || g.Digest["sha256"] != w.Digest["sha256"] {
			return fmt.Errorf("the subject %q with digest %s does not match the predicate (%s)", clip(g.Name), g.Digest["sha256"], w.Digest["sha256"])
		}
	}
	if p.Error != "" && p.Passed {
		return errors.New("the check could not be exercised and passed all the same")
	}
	if p.Passed && len(p.Observed) == 0 {
		return errors.New("the check passed without having observed anything")
	}
	if p.FinishedAt.Before(p.StartedAt) || p.FreshUntil.Before(p.FinishedAt) {
		return errors.New("the check's times are out of order")
	}
	return nil
}

// digestFields hashes texts with their lengths before them, so that no two
// lists have the same input.
func digestFields(fields ...string) Digest {
	h := sha256.New()
	var n [8]byte
	for _, f := range fields {
		binary.BigEndian.PutUint64(n[:], uint64(len(f)))
		h.Write(n[:])
		h.Write([]byte(f))
	}
	return Digest(h.Sum(nil))
}
