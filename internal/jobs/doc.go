// Package jobs does work that is not done while somebody waits: periodic work,
// and queues of work that a transaction leaves behind.
//
// # What it promises
//
// Work enqueued with [Jobs.EnqueueTx] exists exactly when the transaction that
// enqueued it does, and is done at least once. Whoever takes it holds a lease,
// longer than the work may take; when a process dies, the lease runs out and
// another takes over, so that everything here must bear being done again. An
// attempt counts from the moment it begins: work that kills its process is
// given up in the end like work that fails. The function gets the rest of its
// time as the deadline of its context.
//
// Periodic work stands in the same table under "name@scheduled time", which
// every node computes alike, so that any number of nodes needs no leader. A
// slot that was missed is made up for once, not as often as it was missed.
//
// A job that never runs tells nobody, so every job alarms on the *absence* of
// success ([Jobs.OnAlarm]): periodic work when it has not succeeded for too
// long, a queue when work waits undone for too long or was given up. Each node
// alarms for itself.
//
// # What it never does
//
// It runs no more than a fixed number of pieces of work at once, and of one
// queue only half of them. A panic ends one attempt, not the process. It
// writes nothing into the log: what the work does is audited by the work.
//
// Payloads stand in the table as they are given: what is personal or secret is
// sealed before. The row is deleted when the work is done, and a week after
// it was given up.
package jobs
