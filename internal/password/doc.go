// Package password keeps what is known about passwords: what may be chosen, how
// strong it is, how it is stored, and what its storing may cost.
//
// # What may be chosen
//
// A password has 15 to 1,024 characters, whatever they are, or 8 where every
// sign-in with it needs a counting second factor as well. It is normalised
// before anything else (NIST SP 800-63B-4, 3.1.1.2). It is refused, with the
// reason, when many people choose it, when it was stolen elsewhere, and when it
// is made of the words around it (rules.go, words.go). Nothing is asked about
// its composition, and nothing expires.
//
// [Rules.Weigh] is the meter: the score of zxcvbn, a sentence of encouragement,
// and what [Rules.Check] would answer. The two are one, so they cannot disagree.
// Only the first 64 characters are scored, which bounds the work; the scores are
// those of the reference implementation, in every script (score.go).
//
// # How it is stored
//
// As a PHC string: Argon2id, or PBKDF2-HMAC-SHA-256 where only approved
// algorithms may be used, with a salt of its own and at a cost that was
// calibrated to the machine (scheme.go, phc.go, calibrate.go). With a [Pepper]
// the database alone is of no use for guessing.
//
// Only so many hashes are computed at once as their memory allows; whoever has
// to wait too long is told to come back (hasher.go). Comparing costs the same
// whether there is a hash to compare with or not, of whatever scheme and cost
// it is: what it lacks is computed for nothing (pace.go). Dearer ones take
// longer, until they are made anew.
//
// # What other systems stored
//
// Hashes of bcrypt, scrypt, Firebase's scrypt, PBKDF2, Argon2id and Argon2i are
// read out of the exports of other systems (export.go, foreign.go, firebase.go)
// and kept in a spelling of our own. What would take memory or minutes to
// compute is refused when it is read, both from an export and from the database.
// They are stale from the beginning: [Verdict] says so, and the account makes
// them anew. Their passwords were hashed there as they were typed; here they are
// compared normalised, which differs for few.
//
// # What it is not for
//
// It has no database and knows no accounts. Who stores hashes, and who may
// change a password, is package account's; lists of known passwords are package
// breach's ([Known]); guesses are limited by package throttle.
//
// Standards: NIST SP 800-63B-4, OWASP ASVS 5.0 chapter 6, RFC 9106 (Argon2),
// RFC 7914 (scrypt), RFC 8018 and SP 800-132 (PBKDF2).
package password
