package audit

import (
	"net/netip"
	"time"

	"troth/internal/id"
)

// The classes of events. Each has month keys and month tables of its own, so
// that one can expire before the other.
const (
	ClassAudit  = "audit"  // what was done
	ClassAccess = "access" // what was requested
)

// Outcome says how an action ended.
type Outcome uint8

// The outcomes.
const (
	Success Outcome = iota
	Failure         // it was tried and did not work: a wrong password
	Denied          // it was not allowed
)

// String is the outcome as it stands in JSON.
func (o Outcome) String() string {
	switch o {
	case Failure:
		return "failure"
	case Denied:
		return "denied"
	}
	return "success"
}

// Type is a kind of event. Whoever owns the action registers it.
type Type struct {
	Name    string // "account.signed_in": lower-case, dotted, never reused
	Class   string // ClassAudit when empty
	Outcome Outcome

	// Sentence says what happened, in English: "{actor} signed in from {ip}".
	// Placeholders are actor, target (the first one), ip, place (the address's
	// network) and the keys of Metadata and Personal.
	Sentence string
}

// The kinds of actors.
const (
	KindPerson   = "person"
	KindStaff    = "staff"
	KindSystem   = "system"
	KindStranger = "stranger"
)

// Actor is who did it.
type Actor struct {
	Kind    string     // one of the kinds above
	Account id.Account // of a person, a member of staff, or the owner of a token
	Name    string     // of a person: what to call them, kept as personal data; of the system: "scheduler"
}

// Target is what it was done to.
type Target struct {
	Kind   string     // "account", "session", "tenant"
	ID     string     // opaque
	Person id.Account // whom the target is about, if anybody: the label is then theirs
	Label  string     // what to call it: personal data when Person is set
}

// Context is where an action came from. Address and agent are personal data of
// the actor, or of a stranger.
type Context struct {
	IP      netip.Addr
	Agent   string
	Session id.Session
	Request id.Request
}

// Event is one thing that happened.
type Event struct {
	ID       id.Event  // made by AppendTx
	Type     string    // the name of a registered Type
	Tenant   id.Tenant // "" is id.Platform
	Actor    Actor
	Targets  []Target
	Context  Context
	Metadata map[string]string                // never personal
	Personal map[id.Account]map[string]string // by the person whom it is about; "" is a stranger

	OccurredAt time.Time // zero is now
}

// Limits of an event. What is longer is a mistake of the program, except the
// agent, which comes from outside and is cut.
const (
	maxTargets  = 64
	maxMetadata = 64
	maxValue    = 4096
	maxAgent    = 512
	maxPersons  = 64
)

// persons lists whom the event is about, each once: the actor first.
func (e *Event) persons() []id.Account {
	var all []id.Account
	add := func(a id.Account) {
		for _, have := range all {
			if have == a {
				return
			}
		}
		if a != "" {
			all = append(all, a)
		}
	}
	add(e.Actor.Account)
	for _, t := range e.Targets {
		add(t.Person)
	}
	for a, data := range e.Personal {
		if len(data) > 0 { // an empty one leaves no section to tell by
			add(a)
		}
	}
	return all
}
