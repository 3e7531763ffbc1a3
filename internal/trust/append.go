package trust

import (
	"context"
	"encoding/json"
	"fmt"

	"troth/internal/audit"
	"troth/internal/id"
	"troth/internal/store"
	"troth/verify"
)

// append signs the evidence and appends it, in one transaction with its row.
func (t *Trust) append(ctx context.Context, e verify.Evidence) (verify.Digest, error) {
	envelope, err := t.sign(ctx, e)
	if err != nil {
		return verify.Digest{}, err
	}
	digest := verify.DigestOf(envelope)
	check := e.Check
	check.Build = ""
	r := run{claim: e.Claim.ID, id: id.New[id.Evidence](e.FinishedAt), check: check.Name, claimDigest: e.Claim.Digest().String(), checkDigest: check.Digest().String(), origin: e.Origin,
		passed: e.Passed, err: e.Error, startedAt: e.StartedAt, finishedAt: e.FinishedAt, freshUntil: e.FreshUntil, evidence: digest.String(), logIndex: -1}
	err = t.db.Write(ctx, func(tx *store.Tx) error {
		if _, err := t.log.Evidence(ctx, tx, envelope); err != nil {
			return err
		}
		before, known, err := lastConclusive(tx, r)
		if err != nil {
			return err
		}
		if r.err == "" && (!known && !r.passed || known && before.passed != r.passed) {
			if err := t.announce(tx, r); err != nil {
				return err
			}
		}
		return r.insert(tx)
	})
	if err != nil {
		return digest, fmt.Errorf("recording the run of %s: %w", r.check, err)
	}
	return digest, nil
}

func lastConclusive(tx *store.Tx, r run) (run, bool, error) {
	runs, err := scanRuns(tx.Query("SELECT "+runColumns+" FROM trust_run WHERE claim = $1 AND check_name = $2 AND error = '' AND run <> $3 ORDER BY run DESC LIMIT 1", r.claim, r.check, string(r.id)))
	if err != nil || len(runs) == 0 {
		return run{}, false, err
	}
	return runs[0], true, nil
}

// The events of this package.
const (
	eventFailed    = "trust.check_failed"
	eventRecovered = "trust.check_recovered"
)

// Events are the types that this package appends, to the installation's own log.
func Events() []audit.Type {
	return []audit.Type{
		{Name: eventFailed, Outcome: audit.Failure, Sentence: "The check {check} of the claim {claim} failed; the evidence is {evidence}"},
		{Name: eventRecovered, Sentence: "The check {check} of the claim {claim} passes again; the evidence is {evidence}"},
	}
}

// announce writes into the log that a check began to fail or passes again.
func (t *Trust) announce(tx *store.Tx, r run) error {
	kind := eventFailed
	if r.passed {
		kind = eventRecovered
	}
	_, err := t.log.AppendTx(tx, audit.Event{Type: kind, Actor: audit.Actor{Kind: audit.KindSystem, Name: "trust"},
		Targets:  []audit.Target{{Kind: "claim", ID: r.claim}},
		Metadata: map[string]string{"claim": r.claim, "check": r.check, "evidence": r.evidence}})
	return err
}

// sign wraps evidence in a signed envelope.
func (t *Trust) sign(ctx context.Context, e verify.Evidence) ([]byte, error) {
	body, err := json.Marshal(verify.NewStatement(e))
	if err != nil {
		return nil, fmt.Errorf("writing the statement: %w", err)
	}
	b, err := t.log.Envelope(ctx, verify.EvidencePayload, body)
	if err == nil && len(b) > verify.MaxEvidence {
		err = fmt.Errorf("the evidence has %d bytes, more than %d", len(b), verify.MaxEvidence)
	}
	return b, err
}
