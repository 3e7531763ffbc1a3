// Package account keeps the accounts of people: how they sign up, prove who
// they are, stay signed in, and get back in when they forgot the password.
//
// # What it promises
//
// What a password may be and how it is stored is package password's. Its cost is
// calibrated at the first start and kept (cost.go); a hash made at a lower cost is
// replaced at the next sign-in.
//
// Nobody learns from an answer whether an address has an account. Signing up
// with it, resetting its password and signing in with it answer the same, after
// the same work: one hash, one transaction of the same shape, one letter, which
// goes to nobody where there is nobody. The owner of an
// address learns by mail what strangers do with it, at most ten times an hour for
// each of signing up and resetting, of which at most five from one network.
// Links that were mailed stay good when others are asked for, so that nobody is
// kept out by a flood (bound.go).
//
// Whoever holds the mailbox chooses the password. What was entered at sign-up
// holds only in the browser in which it was entered; whoever opens the link in
// another one enters name and password there (confirm.go).
//
// An account exists only after its address was confirmed by a mailed link, or
// by a link that the operator issued on the host. Until then the application is
// kept sealed beside the link and dies with it. Links are single use: of twenty
// that use one at once, one succeeds. Opening a link uses nothing up. Only the
// digest of a token is stored, and no token stands in a log.
//
// A session is a random token in a cookie; the database has its digest. Signing
// in makes a new one and ends the one before; a new password ends all. It ends
// when it was not used for a while and, in any case, after at most 30 days. Who
// ends a session is obeyed by the next request on this node, and within a second
// on every other: a session is answered from memory only while the change feed
// is fresh, and from the database otherwise. When that cannot be read, nobody is
// signed in and the request is refused. Sessions end too when their holder gets
// more power in an organisation (raised.go), so that none grows in the hands of
// somebody else; a connection that stays open is no use of its session.
//
// Its holder sees where each session began and was used last (sessions.go), and
// the browsers that are known (devices.go). A sign-in in another browser, or from
// further away than anybody travels, is told by mail in its own transaction, with
// a link that ends it, so often in an hour and no more (notice.go).
//
// Guesses are limited, whatever they are made at: the network pays for each, and
// the account counts the wrong ones in a row, those of strangers apart from those
// of each browser that its holder has used before. Nobody who knows an address
// can keep its holder out (guess.go; SP 800-63B-4, 3.2.2).
//
// The password is the first step of signing in, or a passkey that verified its
// user, which needs no second one (passkey.go). What else is needed follows from
// the account, its second factors and what its organisations ask for, as they
// are in the transaction of each step (pending.go): nothing that a browser sends
// says which steps there are, so none can be dropped, and nobody learns of a
// factor before the password was right. Between its steps a sign-in belongs to
// one browser, lives ten minutes, bears ten wrong codes, can be used once, and
// ends with any change of the password or the factors. Where a factor counts
// (SP 800-63B-4, 2.2.1), one that does not is not offered: a mailed code opens
// only what has nothing better. A browser in which a counting factor was used
// may stand in for it for a while (device.go), never for staff, never with a
// short password, and not where an organisation forbids it.
//
// A password that others know does not stay: what is typed at sign-in is asked
// of the lists of breached passwords, and stolen credentials are compared with
// the accounts without being kept in plain text. The account is marked, another
// password is asked for after the second factor, its holder is told, and so are
// those who watch over the installation (exposed.go).
//
// What is sensitive asks again who it is after a quarter of an hour (again.go),
// and gives the session another token (ASVS 5.0, 7.5.1).
//
// A reset by mail neither passes nor removes a second factor. Who lost it waits
// for days, while every address of the account is told and can stop it
// (recover.go), or is helped by two members of staff, and waits shorter
// (recover_staff.go). An address changes when both mailboxes agree, and the older
// one can undo it for a week (address.go). Every change of credentials is told to
// the present address and to the one before (known.go). An account can rest, and
// nothing is lost by that (deactivate.go).
//
// Each action is in the log, in its own transaction; what is refused is recorded
// afterwards, and when that fails the refusal becomes "unavailable".
//
// # How it keeps what it knows
//
// Address and name are sealed under the key of the personal tenant together
// with the subject key of the account; where a session began, under the subject
// key. An account is found by the global blind index of its address. Destroying
// an account wipes the row and destroys both keys ([Accounts.Destroy]).
//
// # Who may
//
// Methods take the subject first. What people do is for the one who asks and
// needs the permission account.own; helping others to recover needs
// account.recover, which staff have. What the operator does on the host (recover,
// rescue, unlock, suspend, import, destroy, admit, say who is staff) takes the
// system subject, which no page can become. The first platform owner signs up by a
// link that the server prints ([Accounts.FirstOwnerLink]).
//
// # What it is not for
//
// Who may do what in which tenant is decided by package access; tenants, roles
// and invitations belong to package tenant, which fills [Founder], [Inviter],
// [Leaver], [CoOwners], [Organisations] and [Policies]. The second factors
// themselves are behind [Factors] and [Passkeys], budgets of networks in package
// throttle, places in package place.
//
// Standards: NIST SP 800-63B-4, OWASP ASVS 5.0 chapters 6 and 7, RFC 9106.
package account
