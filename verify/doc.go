// Package verify checks a Troth installation from outside: its public log, the
// evidence in it, the claims on its trust page and the proof of a single event.
// Everything that can be judged is judged here, offline, after fetching; the
// installation is never asked whether something is right.
//
// The package stands alone: it imports nothing of Troth's other code, and what
// writes the log is not what checks it. The two share only the formats, which
// this package defines in code, with their limits:
//
//   - a tenant leaf, one event in the tree of its tenant ([Leaf], [Commit]);
//   - a platform entry, one line of the public log ([Entry]): the commitment to
//     a tenant's checkpoint, the digest of a piece of evidence, or the marker
//     of a new epoch;
//   - entry bundles, tiles and their paths, as in C2SP tlog-tiles ([Bundle],
//     [ParseBundle], [TilePath], [EntriesPath]);
//   - checkpoints, as in C2SP tlog-checkpoint, signed as in C2SP signed-note
//     ([Checkpoint], [OpenCheckpoint]);
//   - the proof of an event ([EventProof]), everything that a stranger needs to
//     check that an event stood in the log when a checkpoint was signed;
//   - evidence ([Evidence]), an in-toto Statement v1 in a DSSE envelope;
//   - the trust document ([Document]), served as /-/trust.json.
//
// # How the two trees hang together
//
// Each tenant has a tree of its own, whose leaves commit to events. When a
// tenant's tree has grown, SHA-256(salt ‖ tenant checkpoint) becomes an entry
// of the platform log ([CommitTenant]), with a random salt that only the tenant
// receives. The platform log is public and signed; it shows neither who the
// tenants are nor how many. A tenant's checkpoint therefore needs no signature
// of its own: the platform's covers it.
//
// # What is checked
//
// [Log] fetches a checkpoint and every entry, recomputes every tile and the
// root from the entries, compares the tiles that are served, and proves
// consistency with a checkpoint seen before. It then reads the trust document
// and holds it against the evidence in the log: a claim is green only if every
// check of it has fresh, passing, correctly signed evidence, and no newer
// evidence in the log says otherwise. What is wrong becomes a [Finding] that
// names the tile, entry, evidence or claim, what was expected and what was seen.
//
// # What is not proven
//
// A log that is consistent with itself may still have been written anew from
// the start: only a key pinned beforehand, and a checkpoint seen before, tie it
// to the past. The log proves that a statement was made and not changed, not
// that it was true when it was made. A tenant's trees are only comparable by
// who holds their checkpoints: two proofs of one tenant are, by themselves, not
// shown to come from one tree ([ProvenEvent.Consistent] tells when they cannot).
//
// The formats follow https://c2sp.org/tlog-tiles, https://c2sp.org/tlog-checkpoint,
// https://c2sp.org/signed-note, RFC 6962 (2.1, the tree's hashes), DSSE v1 and
// in-toto Statement v1. Hashing is golang.org/x/mod/sumdb/tlog's.
package verify
