package audit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/keys"
	"troth/internal/store"
	"troth/verify"
)

// Proof is everything that a stranger needs to check offline that the event
// stood in the log: the leaf, its place in the tenant's tree, the tenant's
// checkpoint with the salt of its commitment, its place in the platform log,
// and the signed checkpoint.
//
// It opens the core section, and those of the persons in reveal; every other
// section, and every one whose key was destroyed, is represented by its digest.
// An event that the sequencer has not seen yet is fault.Unavailable.
func (l *Log) Proof(ctx context.Context, tenant id.Tenant, event id.Event, reveal ...id.Account) (verify.EventProof, error) {
	if tenant == "" {
		tenant = id.Platform
	}
	p := verify.EventProof{Format: verify.ProofFormat}
	var class string
	var body []byte
	err := l.db.Read(ctx, func(tx *store.Tx) error {
		r, err := eventRow(tx, tenant, event)
		if err != nil {
			return err
		}
		class = r.class
		if body, err = readBody(tx, class, r.tenant, r.event); err != nil {
			return err
		}
		return l.proveTx(tx, tenant, event, &p)
	})
	if err != nil {
		return p, fmt.Errorf("proving event %s: %w", event, err)
	}
	if body == nil {
		return p, errNoEvent
	}
	if err := l.file.keep([]byte(p.Checkpoint)); err != nil {
		return p, err
	}
	at := payload{tenant: tenant, event: event, month: keys.MonthRef(class, monthOf(event))}
	p.Sections, err = l.proofSections(ctx, at, body, reveal)
	return p, err
}

// proveTx fills in the two inclusions, from one snapshot.
func (l *Log) proveTx(tx *store.Tx, tenant id.Tenant, event id.Event, p *verify.EventProof) error {
	index, leaf, ok, err := leafOf(tx, string(tenant), string(event))
	if err != nil {
		return err
	}
	if !ok {
		return fault.New(fault.Unavailable, "audit.pending", "This event is recorded but not in the log yet. Try again in a second.").In(time.Second)
	}
	own, ok, err := lastCheckpoint(tx, string(tenant))
	if err != nil || !ok {
		return errors.Join(err, errors.New("the tenant's tree has a leaf and no checkpoint"))
	}
	public, err := l.checkpoint(tx)
	if err != nil {
		return err
	}
	text, err := l.tenantCheckpoint(own)
	if err != nil {
		return err
	}
	p.Leaf, p.TenantCheckpoint, p.Salt, p.Checkpoint = leaf, string(text), own.salt, string(public.note)
	if p.TenantInclusion, err = inclusion(tx, string(tenant), own.size, index); err != nil {
		return err
	}
	p.Inclusion, err = inclusion(tx, platformTree, public.size, own.entry)
	return err
}

func inclusion(tx *store.Tx, name string, size, index int64) (verify.Inclusion, error) {
	r := &tileReader{tx: tx, name: name, size: size}
	if err := r.knowEdge(); err != nil {
		return verify.Inclusion{}, err
	}
	hashes, err := tlog.ProveRecord(size, index, r)
	if err != nil {
		return verify.Inclusion{}, fmt.Errorf("proving leaf %d of tree %s: %w", index, name, err)
	}
	return verify.Inclusion{Index: index, Hashes: hashes}, nil
}

func (l *Log) proofSections(ctx context.Context, at payload, body []byte, reveal []id.Account) ([]verify.Section, error) {
	stored, err := decodeSections(body)
	if err != nil {
		return nil, err
	}
	sections := make([]verify.Section, 0, len(stored))
	for _, s := range stored {
		withheld := verify.Section{Name: s.name, Digest: &s.digest}
		if s.name != coreSection && !slices.ContainsFunc(reveal, func(a id.Account) bool { return sectionOf(a) == s.name }) {
			sections = append(sections, withheld)
			continue
		}
		salt, exact, err := l.openSection(ctx, at, s)
		switch {
		case errors.Is(err, errShredded):
			sections = append(sections, withheld)
		case err != nil:
			return nil, err
		default:
			sections = append(sections, verify.Section{Name: s.name, Salt: salt[:], Bytes: exact})
		}
	}
	return sections, nil
}
