package verify

import (
	"fmt"
	"time"
)

// MaxDocument is the largest trust document that is read, in bytes.
const MaxDocument = 4 << 20

// Status is what a claim's evidence amounts to.
type Status string

// The statuses. Only proven and attested are green.
const (
	Pending   Status = "pending"   // not exercised yet, or a check of it not yet
	Proven    Status = "proven"    // every check passed, freshly
	Stale     Status = "stale"     // passed, but too long ago
	Failing   Status = "failing"   // a check's last run did not pass
	Attested  Status = "attested"  // a recurring duty whose last round passed, freshly
	Withdrawn Status = "withdrawn" // no longer claimed
)

// Document is the trust document, served as /-/trust.json.
type Document struct {
	Origin string          `json:"origin"`
	Claims []DocumentClaim `json:"claims"`
}

// DocumentClaim is one claim with its derived status. Since is when the status
// began, CheckedAt the last run, DueAt the next; a time that there is none of
// is absent.
type DocumentClaim struct {
	ID        string             `json:"id"`
	Sentence  string             `json:"sentence"`
	Status    Status             `json:"status"`
	CheckedAt *time.Time         `json:"checked_at,omitempty"`
	Since     *time.Time         `json:"since,omitempty"`
	Criteria  []string           `json:"criteria"`
	NotProven string             `json:"not_proven"`
	DueAt     *time.Time         `json:"due_at,omitempty"`
	Evidence  []DocumentEvidence `json:"evidence"` // the newest of each check
}

// DocumentEvidence points to a piece of evidence in the log.
type DocumentEvidence struct {
	LogIndex int64  `json:"log_index"`
	Digest   Digest `json:"digest"` // of what /-/log/evidence/ serves
}

// ParseDocument reads a trust document and refuses unknown statuses and
// claims that stand twice.
func ParseDocument(b []byte) (Document, error) {
	var d Document
	if len(b) > MaxDocument {
		return d, fmt.Errorf("the trust document has %d bytes, more than %d", len(b), MaxDocument)
	}
	if err := decode(b, &d); err != nil {
		return d, fmt.Errorf("reading the trust document: %w", err)
	}
	seen := make(map[string]bool, len(d.Claims))
	for _, c := range d.Claims {
		if c.ID == "" || seen[c.ID] {
			return d, fmt.Errorf("the claim %q has no identifier of its own", clip(c.ID))
		}
		seen[c.ID] = true
		switch c.Status {
		case Pending, Proven, Stale, Failing, Attested, Withdrawn:
		default:
			return d, fmt.Errorf("the claim %s has the unknown status %q", c.ID, clip(string(c.Status)))
		}
	}
	return d, nil
}
