// Package passkey keeps the passkeys of people: public keys whose private half
// lives in a device or a password manager and signs only for the origin that it
// was made for (Web Authentication, Level 3; "L3" below).
//
// # What it promises
//
// A passkey is taken only as the answer to a challenge that was made here: 32
// random bytes (L3, 13.4.3), kept for five minutes under their digest, for one
// purpose, one browser and, where it is known, one account. An answer uses its
// challenge up, whether it is right or wrong; of two that come at once, one
// finds it.
//
// Every ceremony asks for user verification (L3, 7.1 step 17 and 7.2 step 18),
// so that one passkey is two factors: the device, and what unlocks it (NIST
// SP 800-63B-4, 3.1.7). It proves "hwk" when it cannot leave its device (BE
// is 0) and "swk" when it can be synchronised (BE is 1); with it "user" and
// "mfa" (RFC 8176). BE never changes in the life of a passkey; an answer in
// which it did is refused, as is BS without BE (L3, 6.1.3).
//
// A signature counter that does not rise betrays a copy, or a device that is
// broken (L3, 6.1.1, 7.2 step 22). The answer is refused, the passkey is stopped
// for good, and its holder is told. Counters that stay zero, as those of
// synchronised passkeys do, say nothing and are let be.
//
// Passkeys are discoverable (residentKey "required"): every one of them can be
// used to sign in without typing an address. The user handle that finds them is
// 64 random bytes made for this purpose and stored beside the account (L3,
// 14.6.1): neither the address nor the identifier of the account, which stands
// in the log and in other people's lists, is given to devices.
//
// Keys are Ed25519, ECDSA on P-256, P-384 or P-521, or RSA of at least 2,048
// bits with PKCS #1 v1.5 and SHA-256. An account has at most 25 passkeys, and
// no passkey has two accounts (L3, 7.1 step 26).
//
// # Attestation
//
// By default nobody is asked which make the device is: conveyance "none" (L3,
// 5.4.7) serves privacy, and nothing is decided by it. An operator can ask for
// attestation of staff or of everybody ([Config]). Such a person's new
// passkey has to come with a statement that chains up to one of the configured
// roots and with an AAGUID of the configured list; passkeys that were made
// before, or without, are no longer accepted from that person.
//
// # What it keeps
//
// Public keys, counters, AAGUIDs and transports stand in clear: they open
// nothing. What people call their passkeys is sealed under the keys of the
// personal tenant and of the account, and dies with them.
//
// # What it is not for
//
// It begins no session and counts no guesses: package account does, which is
// told what was proven ([Result]). It never contacts a device, a vendor or the
// FIDO Metadata Service.
package passkey
