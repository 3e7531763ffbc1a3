package verify

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"golang.org/x/mod/sumdb/tlog"
)

// ProofFormat names the format of an [EventProof].
const ProofFormat = "troth/event-proof/v1"

// MaxProof is the largest proof that is read, in bytes of JSON.
const MaxProof = 32 << 20

// EventProof is everything that a stranger needs, besides the log's key, to
// check offline that an event with these sections stood in the log when the
// checkpoint was signed.
//
//	sections → commitment in Leaf → TenantInclusion → TenantCheckpoint
//	→ (Salt) platform entry → Inclusion → Checkpoint → signature
type EventProof struct {
	Format           string    `json:"format"`            // [ProofFormat]
	Leaf             []byte    `json:"leaf"`              // [Leaf], encoded
	Sections         []Section `json:"sections"`          // in the commitment's order; withheld where the holder may not read
	TenantInclusion  Inclusion `json:"tenant_inclusion"`  // of the leaf in the tenant's tree
	TenantCheckpoint string    `json:"tenant_checkpoint"` // [Checkpoint] of the tenant's tree, exact text
	Salt             []byte    `json:"salt"`              // of the commitment to the tenant's checkpoint
	Inclusion        Inclusion `json:"inclusion"`         // of that commitment in the platform log
	Checkpoint       string    `json:"checkpoint"`        // of the platform log, signed
}

// Inclusion is an inclusion proof (RFC 6962, 2.1.1) in the tree of the
// checkpoint that it belongs to.
type Inclusion struct {
	Index  int64            `json:"index"`
	Hashes tlog.RecordProof `json:"hashes"`
}

// ProvenEvent is what a checked proof shows.
type ProvenEvent struct {
	Leaf       Leaf
	Tenant     Checkpoint // of the tenant's tree
	Platform   Checkpoint
	EntryIndex int64 // of the commitment in the platform log
}

// ParseEventProof reads a proof's JSON, unchecked. Unknown fields and anything
// after the document are refused.
func ParseEventProof(b []byte) (EventProof, error) {
	var p EventProof
	if len(b) > MaxProof {
		return p, fmt.Errorf("the proof has %d bytes, more than %d", len(b), MaxProof)
	}
	if err := decodeStrict(b, &p); err != nil {
		return p, fmt.Errorf("reading the proof: %w", err)
	}
	if p.Format != ProofFormat {
		return p, fmt.Errorf("the proof's format is %q, known is %q", clip(p.Format), ProofFormat)
	}
	return p, nil
}

// Check follows the proof from the sections to the signature, and says at
// which step it breaks: the error is a [*Finding].
func (p EventProof) Check(key Key) (ProvenEvent, error) {
	leaf, err := ParseLeaf(p.Leaf)
	if err != nil {
		return ProvenEvent{}, broken("proof-leaf", "leaf", err)
	}
	c, err := commitTo(p.Sections)
	if err != nil {
		return ProvenEvent{}, broken("proof-sections", "sections", err)
	}
	if c != leaf.Commitment {
		return ProvenEvent{}, &Finding{Code: "proof-sections", Where: "sections of " + leaf.Event, What: "The sections are not those that the leaf commits to.",
			Expected: leaf.Commitment.String(), Seen: c.String()}
	}
	tenant, err := ParseCheckpoint([]byte(p.TenantCheckpoint))
	if err != nil {
		return ProvenEvent{}, broken("proof-tenant-checkpoint", "tenant checkpoint", err)
	}
	if err := p.TenantInclusion.check(tenant, p.Leaf); err != nil {
		return ProvenEvent{}, broken("proof-tenant-inclusion", fmt.Sprintf("leaf %d of %s", p.TenantInclusion.Index, tenant.Origin), err)
	}
	if len(p.Salt) != SaltSize {
		return ProvenEvent{}, broken("proof-salt", "salt", fmt.Errorf("the salt has %d bytes instead of %d", len(p.Salt), SaltSize))
	}
	platform, err := OpenCheckpoint([]byte(p.Checkpoint), key)
	if err != nil {
		return ProvenEvent{}, broken("proof-checkpoint", "checkpoint", err)
	}
	entry, err := TenantEntry([SaltSize]byte(p.Salt), []byte(p.TenantCheckpoint)).Encode()
	if err != nil {
		return ProvenEvent{}, broken("proof-inclusion", "entry", err)
	}
	if err := p.Inclusion.check(platform, entry); err != nil {
		return ProvenEvent{}, broken("proof-inclusion", fmt.Sprintf("entry %d", p.Inclusion.Index), err)
	}
	return ProvenEvent{Leaf: leaf, Tenant: tenant, Platform: platform, EntryIndex: p.Inclusion.Index}, nil
}

func (i Inclusion) check(in Checkpoint, record []byte) error {
	if i.Index < 0 || i.Index >= in.Size {
		return fmt.Errorf("the index %d is not within the %d of the tree", i.Index, in.Size)
	}
	return tlog.CheckRecord(i.Hashes, in.Size, in.Root, i.Index, tlog.RecordHash(record))
}

// Consistent tells when two checked proofs of one tenant cannot come from one
// tree: same size and another root. It cannot tell more without the tree.
func (a ProvenEvent) Consistent(b ProvenEvent) bool {
	return a.Tenant.Origin != b.Tenant.Origin || a.Tenant.Size != b.Tenant.Size || a.Tenant.Root == b.Tenant.Root
}

func broken(code, where string, err error) *Finding {
	return &Finding{Code: code, Where: where, What: "The proof breaks here: " + err.Error() + "."}
}

// decode reads one JSON document and ignores fields that it does not know, as
// in-toto and DSSE ask of a consumer.
func decode(b []byte, into any) error { return decodeWith(json.NewDecoder(bytes.NewReader(b)), into) }

// decodeStrict reads one JSON document and refuses unknown fields.
func decodeStrict(b []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	return decodeWith(d, into)
}

func decodeWith(d *json.Decoder, into any) error {
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("something stands after the JSON document")
	}
	return nil
}
