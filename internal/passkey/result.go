package passkey

import (
	"slices"

	"github.com/go-webauthn/webauthn/protocol"

	"troth/internal/fault"
	"troth/internal/id"
)

// Result is what became of an answer. What was noted about a refused one (the
// challenge is used up, a passkey was stopped) is in the transaction in which it
// was checked, so that transaction has to be committed.
type Result struct {
	Account id.Account
	Home    id.Tenant
	Passkey id.Passkey
	AMR     []string // RFC 8176: "hwk" or "swk", "user" and "mfa"; nothing when it was refused

	Refused *fault.Error // nil when it was accepted
	Reason  string       // for the log
}

// refusal is why an answer is not accepted: a word for the log, and a sentence
// for the person.
type refusal struct {
	reason string
	fault  *fault.Error
}

var (
	refusedOdd     = refusal{"it could not be read", fault.New(fault.Invalid, "passkey.odd", "The answer of this device could not be read. Try again, or use another browser.").On("passkey")}
	refusedStale   = refusal{"it answered no challenge that was open", fault.New(fault.Unauthenticated, "passkey.stale", "This took longer than five minutes, or was sent twice. Try again.").On("passkey")}
	refusedUnknown = refusal{"the passkey is not known", fault.New(fault.Unauthenticated, "passkey.unknown", "This passkey belongs to no account here, or was removed. Use another one, or sign in with your password; in your device you can delete it.").On("passkey")}
	refusedForeign = refusal{"the passkey belongs to another account", fault.New(fault.Unauthenticated, "passkey.foreign", "This passkey belongs to another account. Use one of this account.").On("passkey")}
	refusedStopped = refusal{"the passkey was stopped", fault.New(fault.Unauthenticated, "passkey.stopped", "This passkey was stopped, because there may be a copy of it. Sign in in another way, remove it and add it anew.").On("passkey")}
	refusedCounter = refusal{"its counter went back", refusedStopped.fault}
	refusedModel   = refusal{"it is not attested", fault.New(fault.Unauthenticated, "passkey.model", "You can sign in here only with passkeys of devices that the operator has approved. Use another one, or ask the operator which.").On("passkey")}
	refusedUser    = refusal{"the device did not verify the user", fault.New(fault.Unauthenticated, "passkey.unverified", "The device did not check that it is you. Set up its PIN, fingerprint or face, and try again.").On("passkey")}
	refusedOrigin  = refusal{"it was made for another site", fault.New(fault.Unauthenticated, "passkey.origin", "This answer was made for another site, so it was refused. Look at the address of the page that asked you.").On("passkey")}
	refusedBackup  = refusal{"its backup flags contradict what is known", fault.New(fault.Unauthenticated, "passkey.refused", "This passkey was not accepted. Try again, or use another way.").On("passkey")}
	refusedWrong   = refusal{"its signature is wrong", refusedBackup.fault}
	refusedMakers  = refusal{"its device is not one that the operator approved", fault.New(fault.Invalid, "passkey.maker", "The operator asks for a device of an approved make, and this one is none or did not say. Use another device, and allow your browser to show its make.").On("passkey")}
	refusedTwice   = refusal{"it is registered already", fault.New(fault.Conflict, "passkey.taken", "This passkey is registered already.").On("passkey")}
	refusedMany    = refusal{"there are too many", fault.New(fault.Conflict, "passkey.too_many", "You have %d passkeys, which is the most that one account can have. Remove one that you do not use first.", Max).On("passkey")}
	refusedKey     = refusal{"its key is too weak or of another kind", fault.New(fault.Invalid, "passkey.key", "The key of this device is of a kind that is not taken here. Use another device.").On("passkey")}
)

// whose is why an answer to a ceremony was refused by the library, told by what
// the answer itself says.
func (p *Passkeys) whose(client protocol.CollectedClientData, data protocol.AuthenticatorData, known *row) refusal {
	f := data.Flags
	switch {
	case client.CrossOrigin || client.TopOrigin != "" || !protocol.IsOriginInHaystack(client.Origin, p.free.Config.RPOrigins):
		return refusedOrigin
	case !slices.Equal(data.RPIDHash, p.rpIDHash()):
		return refusedOrigin
	case !f.HasUserVerified() || !f.HasUserPresent():
		return refusedUser
	case f.HasBackupState() && !f.HasBackupEligible(), known != nil && known.eligible != f.HasBackupEligible():
		return refusedBackup
	}
	return refusedWrong
}

// proves is how it is called to have answered with a passkey and user
// verification (RFC 8176, 2): a key that can be synchronised is one in
// software, wherever it is at the moment.
func (r row) proves() []string {
	key := "hwk"
	if r.eligible {
		key = "swk"
	}
	return []string{key, "user", "mfa"}
}
