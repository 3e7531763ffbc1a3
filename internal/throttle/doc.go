// Package throttle limits how often something may be tried: guesses at secrets
// first of all, and anything else that is counted over time by who does it.
//
// # What it decides with
//
// A [Limiter] gives every key a budget by the generic cell rate algorithm (ITU-T
// I.371, A): a burst at once, and one more for each interval that passes. The
// whole state of a key is one moment, the theoretical arrival time: when it has
// passed, the budget is full and there is nothing to remember. A decision takes
// less than a microsecond and allocates nothing.
//
// [Guesses] puts limiters together against guessing at many doors from many
// places. A guess is paid for before it is looked at, so that a burst of guesses
// at once cannot exceed a budget, and given back when it turns out right. It
// costs the network that it comes from (the address of version 4, the /64 and
// the /48 of version 6) and, where nobody has guessed right from that network
// before, the crowd of all such networks together. The emptier the budget of the
// crowd, the dearer a guess for each network in it; once it is spent, the crowd
// waits. Networks that are known are not part of it: whatever the crowd does,
// nothing changes for them. What is guessed at, an account, has limits of its
// own that are not here, because they need more than a rate (OWASP Credential
// Stuffing Prevention; OWASP ASVS 5.0, 6.3.1; NIST SP 800-63B-4, 3.2.2).
//
// # Memory
//
// Each limiter keeps its keys in a table of a fixed size, whatever happens: ten
// million addresses need no more than ten. In a full corner of it a newcomer
// takes the place of the key that says least: one whose time has passed, or else
// the one with the smallest debt, which the newcomer takes over (Metwally et
// al., Space-Saving, 2005). So a flood of addresses makes nobody's debt
// forgotten; what it can do is to make strangers wait who happen to fall in the
// same corner.
//
// # Several nodes, and restarts
//
// What was spent is added up in the database a few times a second, in one
// transaction, and read by the other nodes when the change feed says so: a
// budget that was spent on one node is spent on all within a second. Within that
// second each node decides alone, so n nodes may let through n budgets once. Of
// a flood, at most [flushRows] keys are told in a turn, and at most [maxPending]
// wait for theirs; what exceeds that is counted on its own node only. A node
// that starts reads what was spent before. Clocks of the nodes should agree to
// the second.
//
// When the database is away, each node goes on alone. A door that needs the
// database to open is shut then anyway.
//
// # What it knows about people
//
// Keys are HMAC-SHA-256 under a key of the keyring, cut to 128 bits, in memory as
// in the database. The table holds no address, and its rows go when their moment
// has passed.
//
// # What it is not for
//
// Limits on what runs at the same time (semaphores and queues), limits on
// connections (package edge), and anything that must be exact.
package throttle
