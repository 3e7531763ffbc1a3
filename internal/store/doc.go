// Package store keeps Troth's data in SQLite or in Postgres: one SQL text, two
// engines, one contract.
//
// # What it promises
//
// [DB.Write] returns after the transaction is durable. It is serializable
// against every other, it happens as a whole or not at all, and it refuses to
// commit when nothing in it was written to the log, unless it says why
// ([Tx.Unaudited]). Its function may run more than once, so it has no effect
// outside of the transaction; what must follow is given to [Tx.AfterCommit].
// [DB.Read] is one moment: a read-only snapshot.
//
// What cannot be done now is refused with fault.Unavailable. Nothing is
// written later, nothing is answered from memory.
//
// # SQL
//
// Types are TEXT, BIGINT (times in microseconds, see [Micros]), BOOLEAN and
// BYTEA. Parameters are $1, $2, …, all of them used. INSERT … ON CONFLICT and
// RETURNING are fine; LIMIT in UPDATE, sequences, advisory locks, LISTEN and
// anything that waits are not. Keys are led by the tenant, identifiers are made
// by the caller, lists are paged by key. These are also the rules of the
// distributed engines that speak Postgres's language; it is written to them
// and not tested there. A statement that fails spoils its transaction on both
// engines, so that a unique key is asked about with ON CONFLICT and not by
// failing.
//
// # SQLite
//
// The file, its write-ahead log and its temporary files are ciphertext:
// AES-256-XTS (IEEE 1619) under a key of 64 bytes that the keyring holds. XTS
// hides; it does not authenticate: that the rows are the ones that were written
// is proven by the log. WAL, synchronous=FULL, secure_delete. One process at a
// time writes; within a process one writer takes turns, first come first
// served, and commits a whole batch at once, each turn in a savepoint of its
// own. Other processes (the commands of the same program, or a second server
// on the same machine) may read and write meanwhile. Never copy the files:
// [DB.BackupTo] does it while it is in use.
//
// Nothing is committed once one of the files was removed or replaced while it
// is open, and [DB.Ping] says so. After a commit that the disk did not take,
// Ping answers well again only when a change could be stored.
//
// # Postgres
//
// Writes are SERIALIZABLE and are run again when others got in the way (40001,
// 40P01) or the server could not be reached. Of several hosts the one that
// takes writes is used. When the connection breaks while a COMMIT is on its
// way nobody can know its outcome: Write then returns the fault
// store.unknown_outcome and does not run again, and whoever tries again with
// the same identifiers finds what was stored. The server's files are not
// encrypted by Troth: personal columns are sealed before they get here, the
// disk is the operator's.
//
// # The change feed
//
// [Tx.Changed] records, in the same transaction, that something cached is
// outdated; [DB.Watch] hears of it on this node before Write returns and on
// all others within a second; [DB.Fresh] says whether that can be relied on
// now.
//
// # What it is not for
//
// Large objects (package blob), secrets in the clear (package keys), queries
// built from input.
package store
