package audit

import (
	"net/netip"

	"troth/internal/id"
	"troth/internal/text"
)

// The texts that stand for what cannot be shown.
var (
	destroyedPerson = text.New("a person whose data was destroyed")
	destroyedPlace  = text.New("an address that was destroyed")
	unknownPlace    = text.New("an unknown address")
	anotherPlace    = text.New("another person's address")
	somebody        = text.New("somebody")
	stranger        = text.New("somebody who was not signed in")
	you             = text.New("you")
	unnamed         = text.New("something without a name")
)

// sentence fills the type's sentence.
func (o opened) sentence(k *kind, e *Entry, viewer id.Account) text.Text {
	fills := make([]any, len(k.fills))
	for i, name := range k.fills {
		switch name {
		case "actor":
			fills[i] = o.actor(e, viewer, i == 0 && len(k.Sentence) > 0 && k.Sentence[0] == '{')
		case "target":
			fills[i] = o.target(e, viewer)
		case "ip":
			fills[i] = o.address(e, func(a netip.Addr) any { return a.String() })
		case "place":
			fills[i] = o.address(e, place)
		case "type":
			fills[i] = e.Type
		default:
			fills[i] = datum(e, name)
		}
	}
	t := text.New(k.format, fills...)
	if n := e.Metadata[metaRepeated]; n != "" {
		return text.New("%s, %s times from %s to %s", t, n, e.Metadata[metaSince], e.Metadata[metaUntil])
	}
	return t
}

// actor names who did it. At the start of a sentence, texts of ours begin with
// a capital letter.
func (o opened) actor(e *Entry, viewer id.Account, first bool) any {
	a := e.Actor
	var t text.Text
	switch {
	case a.Kind == KindSystem && a.Account == "":
		if a.Name != "" {
			return text.New("Troth (%s)", a.Name)
		}
		return text.New("Troth")
	case viewer != "" && a.Account == viewer:
		t = you
	case a.Name != "":
		return a.Name
	case o.destroyed(a.Account):
		t = destroyedPerson
	case a.Account == "":
		t = stranger
	default:
		if name := o.name(a.Account); name != "" {
			return name
		}
		t = somebody
	}
	if first {
		return capital(t)
	}
	return t
}

// capital is the text at the start of a sentence: a key of its own, because
// not every language does it by the first letter.
func capital(t text.Text) text.Text {
	switch t.Format {
	case you.Format:
		return text.New("You")
	case destroyedPerson.Format:
		return text.New("A person whose data was destroyed")
	case stranger.Format:
		return text.New("Somebody who was not signed in")
	}
	return text.New("Somebody")
}

func (o opened) target(e *Entry, viewer id.Account) any {
	if len(e.Targets) == 0 {
		return unnamed
	}
	t := e.Targets[0]
	switch {
	case viewer != "" && t.Person == viewer:
		return you
	case t.Label != "":
		return t.Label
	case t.Person != "" && o.destroyed(t.Person):
		return destroyedPerson
	case t.Person != "":
		if name := o.name(t.Person); name != "" {
			return name
		}
		return somebody
	case t.ID != "":
		return t.ID
	}
	return unnamed
}

// destroyed reports whether there was a section about the account whose key
// is gone.
func (o opened) destroyed(a id.Account) bool {
	p, had := o.people[sectionOf(a)]
	return had && p == nil
}

func (o opened) address(e *Entry, show func(netip.Addr) any) any {
	switch {
	case o.hideOrigin:
		return anotherPlace
	case e.Context.IP.IsValid():
		return show(e.Context.IP)
	case o.destroyed(e.Actor.Account):
		return destroyedPlace
	}
	return unknownPlace
}

// place is the network of an address, as far as it may be told apart from its
// neighbours without a register: /24 and /48 are what one customer of a
// provider commonly has at most.
func place(a netip.Addr) any {
	switch {
	case a.IsLoopback():
		return text.New("this machine")
	case a.IsPrivate():
		return text.New("the private network %s", network(a).String())
	}
	return text.New("the network %s", network(a).String())
}

// Place says in words from which network the event came; empty if unknown.
func (e Entry) Place() text.Text {
	if !e.Context.IP.IsValid() {
		return text.Text{}
	}
	return place(e.Context.IP).(text.Text)
}

// network is the address's /24 or /48.
func network(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	size := 24
	if a.Is6() {
		size = 48
	}
	p, _ := a.Prefix(size) // fails only for the zero address, whose network is zero
	return p
}

// datum is a value of the metadata, or of what is personal.
func datum(e *Entry, key string) any {
	if v, ok := e.Metadata[key]; ok {
		return v
	}
	for _, data := range e.Personal {
		if v, ok := data[key]; ok {
			return v
		}
	}
	return unnamed
}
