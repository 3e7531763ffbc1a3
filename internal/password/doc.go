// Package password keeps what is known about passwords: what may be chosen, how
// it is stored, and what its storing may cost.
//
// # What it promises
//
// A password is stored as Argon2id in the PHC string format, with a salt of its
// own and at a cost that was calibrated to the machine (phc.go, calibrate.go).
// Only so many hashes are computed at once as their memory allows; whoever has
// to wait too long is told to come back (hasher.go). Comparing costs the same
// whether there is a hash to compare with or not.
//
// A password has 15 to 1,024 characters, whatever they are, and is normalised
// before it is hashed (rules.go; NIST SP 800-63B-4, 3.1.1.2).
//
// # What it is not for
//
// It has no database and knows no accounts. Who stores hashes, and who may
// change a password, is package account's.
//
// Standards: NIST SP 800-63B-4, OWASP ASVS 5.0 chapter 6, RFC 9106.
package password
