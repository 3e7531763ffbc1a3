package access

import (
	"time"

	"troth/internal/audit"
	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/text"
)

// Kind says what sort of subject is asking.
type Kind uint8

// The kinds. The zero Subject is of kind Nobody.
const (
	KindNobody Kind = iota // a stranger: nothing was proven
	KindPerson             // a signed-in person
	KindSystem             // the operator on the host, or a job
)

// Subject is who is asking, with everything that the decision needs. It is a
// value: a change of role makes a new one with the next request. The permissions
// themselves are not exported: only this package can make a subject that has
// any.
type Subject struct {
	Kind    Kind
	Staff   bool
	Role    Role       // in Tenant
	Tenant  id.Tenant  // where the subject works; empty without a role there
	Account id.Account // of a person
	Session id.Session
	AMR     []string // RFC 8176
	AuthAt  time.Time
	Context audit.Context

	Factor    bool // a second factor that counts was used to sign in
	Browser   bool // one was used in this browser earlier, which stands in for it
	Resistant bool // signed in with a proof that a phishing site cannot pass on
	Barred    bool // has a role in the session's tenant, which demands a second factor

	// Version is the authorization version: it differs from that of every
	// subject with the same session and tenant and other permissions.
	Version uint64

	system string // the name of a system subject
	book   *book
	may    bits
}

// Nobody is the subject of a request that proved nothing.
func Nobody(from audit.Context) Subject { return Subject{Context: from} }

// System is the subject for work that no person asked for through the front
// door: "operator on the host", "scheduler". It may do everything in every
// tenant; its name stands in the log.
func System(name string) Subject {
	if name == "" {
		return Subject{} // what has no name is nobody
	}
	return Subject{Kind: KindSystem, system: name}
}

// May reports whether the subject has a permission. One that is not registered
// is had by nobody but the system.
func (s Subject) May(p Permission) bool {
	switch s.Kind {
	case KindSystem:
		return s.system != ""
	case KindPerson:
		if s.book == nil {
			return false
		}
		i, ok := s.book.index[p]
		return ok && s.may.has(i)
	}
	return false
}

var errSignIn = fault.New(fault.Unauthenticated, "access.sign_in", "Sign in first.")

// ErrForeign is the answer to an identifier that means nothing in the tenant
// in which the subject works: the same as for one that never existed.
var ErrForeign = fault.New(fault.NotFound, "access.foreign", "There is nothing here under that identifier.")

// Require is nil if the subject has the permission. Otherwise it is
// fault.Unauthenticated for a stranger, or fault.Denied with a sentence that
// says what is missing and who can give it.
func (s Subject) Require(p Permission) error {
	if s.May(p) {
		return nil
	}
	if s.Kind != KindPerson {
		return errSignIn
	}
	return s.denied(p)
}

func (s Subject) denied(p Permission) error {
	g, ok := Grant{}, false
	if s.book != nil {
		g, ok = s.book.grant(p)
	}
	switch {
	case s.Barred && ok && len(g.Roles) > 0:
		return ErrBarred
	case ok && g.Staff && s.Staff && !s.Resistant:
		return fault.New(fault.Denied, "access.passkey_needed",
			"In this session you may not %s: staff of this service have the permission %s only when they signed in with a passkey. Add one to your account, sign in with it, and try again.", text.New(g.Doc), p)
	case !ok:
		return fault.New(fault.Denied, "access.denied", "You may not do this: nobody has the permission %s.", p)
	case len(g.Roles) == 0:
		return fault.New(fault.Denied, "access.denied", "You may not %s: only staff of this service have the permission %s.", text.New(g.Doc), p)
	case s.Role == RoleNone:
		return fault.New(fault.Denied, "access.denied",
			"You may not %s: the permission %s comes with a role in an organisation, and you work in none at the moment. Choose one, or ask to be invited.", text.New(g.Doc), p)
	}
	return fault.New(fault.Denied, "access.denied",
		"You may not %s: as %s you lack the permission %s. Here, %s have it: ask one of them.",
		text.New(g.Doc), s.Role.Text(), p, least(g.Roles).holders())
}

// In is nil if the subject works in the tenant, and [ErrForeign] otherwise.
// Domain methods ask it before they touch a row. The system works in all.
func (s Subject) In(t id.Tenant) error {
	if s.Kind == KindSystem && s.system != "" {
		return nil
	}
	if t == "" || s.Kind != KindPerson || s.Tenant != t {
		return ErrForeign
	}
	return nil
}

// Actor is the subject as the log names it.
func (s Subject) Actor() audit.Actor {
	switch {
	case s.Kind == KindSystem && s.system != "":
		return audit.Actor{Kind: audit.KindSystem, Name: s.system}
	case s.Kind != KindPerson:
		return audit.Actor{Kind: audit.KindStranger}
	case s.Staff && s.Role == RoleNone:
		return audit.Actor{Kind: audit.KindStaff, Account: s.Account}
	}
	return audit.Actor{Kind: audit.KindPerson, Account: s.Account}
}

// Permissions lists what a person may do here, sorted: for the assertion that
// the application gets. It is empty for everybody else.
func (s Subject) Permissions() []string {
	if s.book == nil || s.Kind != KindPerson {
		return nil
	}
	var list []string
	for i, g := range s.book.grants {
		if s.may.has(uint8(i)) {
			list = append(list, string(g.Permission))
		}
	}
	return list
}
