package passkey

import (
	"troth/internal/access"
	"troth/internal/audit"
)

// The names of the events.
const (
	evAdded    = "passkey.added"
	evRefused  = "passkey.refused"
	evRenamed  = "passkey.renamed"
	evRemoved  = "passkey.removed"
	evStopped  = "passkey.stopped"
	evAnswered = "passkey.answer_refused"
)

// Events are the types of events that this package writes. What a passkey
// opened stands in the events of package account.
var Events = []audit.Type{
	{Name: evAdded, Sentence: "{actor} added a passkey of the kind {model}"},
	{Name: evRefused, Sentence: "{actor} tried to add a passkey; it was refused: {reason}", Outcome: audit.Denied},
	{Name: evRenamed, Sentence: "{actor} renamed a passkey"},
	{Name: evRemoved, Sentence: "{actor} removed a passkey of the kind {model}"},
	{Name: evStopped, Sentence: "{actor} used a passkey whose counter went back, as that of a copy would, so the passkey was stopped", Outcome: audit.Denied},
	{Name: evAnswered, Sentence: "{actor} answered with a passkey from {ip}; it was refused: {reason}", Outcome: audit.Failure},
}

// event is an event about a passkey, in the activity of its holder's home.
func (p *Passkeys) event(name string, by access.Subject, r row, metadata map[string]string) audit.Event {
	e := audit.Event{
		Type: name, Tenant: r.home, Actor: by.Actor(), Context: by.Context, Metadata: metadata, OccurredAt: p.now(),
		Targets: []audit.Target{{Kind: "account", ID: string(r.account), Person: r.account}},
	}
	if r.passkey != "" {
		e.Targets = append(e.Targets, audit.Target{Kind: "passkey", ID: string(r.passkey), Person: r.account})
	}
	return e
}
