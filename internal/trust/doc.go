// Package trust is what lets a claim stand on the public page: claims, the
// checks that exercise them, and the evidence that the checks leave.
//
// A [Claim] is a sentence that the operator says in public. It has [Check]s:
// code that tries whether the sentence holds, preferably by trying to break it,
// through the installation's own front door ([Bench], [Visitor]) and as a
// synthetic customer ([Canary]). Each run of a check becomes evidence: an
// in-toto Statement v1 in a DSSE envelope, signed with the log's key, whose
// digest is an entry of the public log (package verify holds the format).
//
// # A status is derived, never edited
//
// There is no way to set a status. It follows from the runs whose evidence
// stands in the log, by one rule ([Trust.Document]):
//
//   - failing, if the last conclusive run of a check did not pass. It stays so
//     until that check passes, whatever else changes;
//   - pending, if a check has not been exercised since the sentence, the check
//     or the installation's address was last changed;
//   - stale, if a check passed but too long ago, or could not be exercised since;
//   - proven otherwise; attested for a duty that people carry out;
//   - withdrawn, if the log has evidence of a claim that the program no longer makes.
//
// No fresh evidence, no green. A run that could not be made (an error, a panic,
// a time limit) is recorded as that: it never counts as passed, and it does not
// hide a failure. Failures stay visible in the claim's history.
//
// # What is public
//
// Everything in evidence is: observations, methods, sentences. A check must
// not observe a secret, an address or an identifier of a customer. The reason
// why a check could not be exercised is shown if it is a fault, whose sentence
// is safe to show; otherwise it is only in the operator's log.
//
// # What it does not do
//
// It decides about no request and stands in no request's way. It is not what
// verifies evidence: package verify is, and shares nothing with this one but
// the formats; the rule above is written there a second time.
package trust
