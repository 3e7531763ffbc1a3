// Package audit is the log: what people, staff and the program itself did, so
// that nobody, the operator included, can change it afterwards unseen.
//
// # What it promises
//
// An action and its event are one: [Log.AppendTx] writes the event in the
// action's own transaction, and a transaction without an event does not commit
// (package store sees to it). An action that was refused is recorded by
// [Log.Refused] in a transaction of its own; when that cannot be written, the
// caller refuses for this reason. Requests are recorded by [Log.Access] and
// [Log.Begin], which queue a line and refuse when the queue does not drain.
//
// # How an event is kept
//
// The payload of an event is a sequence of sections. The core section holds
// opaque identifiers and is sealed under the tenant's key and the month's key;
// what tells about a person (address, network, browser, labels) is in one
// section per person, sealed under that person's subject key and the month's
// key; what tells about a stranger is sealed under the month's key alone.
// Destroying any of these keys destroys what it sealed, in every backup too.
//
// Each section has a salt of 32 random bytes, which is inside the ciphertext.
// The leaf commits to SHA-256(d1 ‖ d2 ‖ …) where di = SHA-256(salt i ‖ exact
// bytes i) (see [troth/verify.Commit]). The digests are kept in the clear beside
// the ciphertext: when a person's key is destroyed, the digest of that section
// still fits the leaf, so that all the others stay provable, and without its
// salt nobody can find out by guessing what was in it.
//
// # How events become a log
//
// The action's transaction also leaves the event's leaf in audit_pending. The
// sequencer ([Log.Run], every 250 ms) takes the lock of the platform's row in
// log_head, moves pending leaves to the tree of their tenant, puts
// SHA-256(salt ‖ tenant checkpoint) for each tree that grew into the platform
// log, signs the platform's checkpoint and commits. Only then is anything
// published, because [Log.Checkpoint], [Log.Tile] and [Log.Export] read
// committed rows and nothing else. Several sequencers may run; a crash at any
// step leaves either the old state or the new one. It reads the pending rows
// themselves, never "all after the last seen": with several writers the order
// of commits is not the order of identifiers.
//
// Stored are the leaves, and of the tiles only the full ones, each with its
// root: a partial tile is made from leaves or from the roots of the level
// below. So a leaf costs one row and 32 bytes of a tile, in a tree of any size.
//
// # What a restored backup does
//
// The last checkpoint that was published is also kept in a file outside of the
// database ([Options].Published). When the database is behind it or does not
// contain it, then it was restored from an older copy. The log then opens a new
// epoch, in the open: an entry in the platform log states the size and root
// that were published before, and the event log.epoch_opened says it in the
// platform's own activity. It never silently goes on.
//
// # Expiry
//
// Events expire by class and month ([Log.Expire]): the month's key is
// destroyed, its table dropped, the rows used for listing deleted. Leaves and
// tiles are never pruned, and the log still verifies.
//
// # What it never does
//
// It knows no domains: event types are registered by the packages that own
// them. It does not decide who may read what: List, Get and Proof are for
// callers that have asked for permission. It does not canonicalise: exact bytes
// are kept and hashed.
//
// Formats: C2SP tlog-tiles, tlog-checkpoint and signed-note; RFC 6962, 2.1.
// They are defined in troth/verify, which checks them with code of its own.
package audit
