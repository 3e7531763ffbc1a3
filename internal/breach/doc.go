// Package breach knows passwords that others have lost: lists that the operator
// imports, a list of common ones that ships inside, passwords that the operator
// added, and, if it was asked for, a service on the network.
//
// # What it promises
//
// [Lists.Known] says whether a password stands in one of them, offline, before
// it is chosen and whenever somebody signs in with it (NIST SP 800-63B-4,
// 3.1.1.2: the verifier compares a chosen password with those that are known to
// be commonly used, expected or compromised; OWASP ASVS 5.0, 6.2.4 and 6.2.12).
// It answers what it knows, and that is little: that the password appears in
// such lists. It knows no counts, no place and no person.
//
// # The imported lists
//
// The Pwned Passwords download has a line for each password, its SHA-1 or its
// NTLM hash, in the order of the hashes. [Lists.Import] reads it once, a billion
// lines and more, and keeps a binary fuse filter of 16 bits (Graf and Lemire,
// “Binary Fuse Filters: Fast and Smaller Than Xor Filters”, 2022): 2.3 bytes an
// entry. A password of the list is always found. Another one is found with a
// probability of 1 in 65,536, for each list that was imported; its owner then
// chooses another one, and neither is worse off.
//
// The filter is cut into shards by the leading bits of the hash, a million
// entries each, so that building takes the memory of one shard however long the
// list is. The fingerprints stand on the hash's own bits 64 to 127, the shard is
// found by its bits 0 to 63. The file (file.go) is memory-mapped; nodes of one
// machine share it, and what is not asked for is not in memory.
//
// A list is written beside the old one and takes its place when it is whole and
// on the disk; a crash leaves the old one, and the same command then goes on
// where it stopped (resume.go). A running server looks for a new file every ten
// seconds. Each shard is compared with its SHA-256 before it answers for the
// first time in a process. A damaged file is an error of [Lists.Known], never an
// empty list; it is named by `troth breach status` and by the doctor.
//
// What is cut is noticed: hashes are spread evenly, so a gap sixty-four times as
// wide as the usual one is no chance (1 in 10^18), but a part of the download
// that is missing.
//
// # Common passwords
//
// 47,023 common passwords are in the program itself (data/), compared without
// regard to case.
//
// # The service
//
// With breach.range_url set, passwords that no list holds are looked up at a
// service that gets the first five digits of their SHA-1 (k-anonymity) and is
// asked to pad its answer. It has 800 ms (breach.range_timeout). Whatever goes
// wrong is counted and logged, and is as if it had not been asked: nobody is kept
// from signing in or from choosing a password (range.go).
//
// # What it is not for
//
// It keeps no password: of those that an operator adds, a keyed digest. Whom a
// found password belongs to, and what follows, is the matter of package account.
package breach
