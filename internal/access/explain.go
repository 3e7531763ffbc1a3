package access

import "troth/internal/text"

// Explain says in a sentence why a subject has a permission, or what would
// give it.
func (a *Access) Explain(s Subject, p Permission) text.Text {
	g, ok := a.book.grant(p)
	may := s.May(p)
	doc := text.New(g.Doc)
	switch {
	case s.Kind == KindSystem && may:
		return text.New("The system itself may do everything; it acts here as %s.", s.system)
	case !ok:
		return text.New("Nobody may: the permission %s is not registered.", p)
	case s.Kind != KindPerson:
		return text.New("Nobody is signed in.")
	case may && g.Self:
		return text.New("You may %s, as everybody may who is signed in.", doc)
	case may && has(g.Roles, s.Role):
		return text.New("You may %s because you are %s here.", doc, s.Role.Text())
	case may:
		return text.New("You may %s because you are staff of this service.", doc)
	case g.Staff && s.Staff && !s.Resistant:
		return text.New("You may %s only when you signed in with a passkey.", doc)
	case len(g.Roles) == 0:
		return text.New("You may not %s: only staff of this service may.", doc)
	case s.Role == RoleNone:
		return text.New("You may not %s: you have no role here. With the role of %s or a higher one you could.", doc, least(g.Roles).Text())
	case least(g.Roles) == Owner:
		return text.New("You may not %s as %s: only an owner may.", doc, s.Role.Text())
	}
	return text.New("You may not %s as %s. With the role of %s or a higher one you could.", doc, s.Role.Text(), least(g.Roles).Text())
}

// has reports whether a role is in the list.
func has(list []Role, r Role) bool {
	for _, each := range list {
		if each == r && r != RoleNone {
			return true
		}
	}
	return false
}
