package audit

import (
	"context"
	"encoding/hex"
	"fmt"

	"troth/internal/store"
	"troth/verify"
)

// Evidence appends a DSSE envelope to the public log, in the given transaction
// or, when that is nil, in one of its own. The log holds the envelope's SHA-256
// digest; its bytes are served by digest. The same bytes are appended once.
func (l *Log) Evidence(ctx context.Context, tx *store.Tx, envelope []byte) (digest [32]byte, err error) {
	digest = verify.DigestOf(envelope)
	if len(envelope) == 0 || len(envelope) > verify.MaxSection {
		return digest, fmt.Errorf("audit: an envelope of %d bytes cannot be evidence", len(envelope))
	}
	entry, err := verify.EvidenceEntry(envelope).Encode()
	if err != nil {
		return digest, err
	}
	insert := func(tx *store.Tx) error {
		tx.Audited()
		return insertEvidence(tx, digest, envelope, entry, l.now())
	}
	if tx != nil {
		err = insert(tx)
	} else {
		err = l.db.Write(ctx, insert)
	}
	if err != nil {
		return digest, fmt.Errorf("appending evidence: %w", err)
	}
	return digest, nil
}

// EvidenceIndex is the entry of the platform log that holds the digest, and
// false as long as the evidence waits for the sequencer or is unknown.
func (l *Log) EvidenceIndex(ctx context.Context, digest [32]byte) (index int64, ok bool, err error) {
	err = l.db.Read(ctx, func(tx *store.Tx) error {
		index, _, ok, err = leafOf(tx, platformTree, hex.EncodeToString(digest[:]))
		return err
	})
	return index, ok, err
}

// EvidenceBytes are the envelope's exact bytes, by the digest in lower-case
// hexadecimal; fault.NotFound if there is none.
func (l *Log) EvidenceBytes(ctx context.Context, digest string) (envelope []byte, err error) {
	if _, err := verify.ParseDigest(digest); err != nil {
		return nil, errNoEvidence
	}
	err = l.db.Read(ctx, func(tx *store.Tx) error {
		envelope, err = readEvidence(tx, digest)
		return err
	})
	return envelope, err
}
