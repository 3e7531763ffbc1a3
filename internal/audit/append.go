package audit

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"time"
	"unicode/utf8"

	"troth/internal/id"
	"troth/internal/keys"
	"troth/internal/store"
	"troth/verify"
)

// AppendTx writes the event in the action's own transaction and tells the
// transaction that it was audited. Event and action become durable together or
// not at all. It returns the event's identifier, which is the given one if the
// caller made it.
//
// A type that nobody registered, an event beyond the limits, and a tenant
// without a key are errors: the action must not be committed.
func (l *Log) AppendTx(tx *store.Tx, e Event) (id.Event, error) {
	k := l.types[e.Type]
	if k == nil {
		return "", fmt.Errorf("audit: the event type %q is not registered", e.Type)
	}
	if err := l.complete(&e); err != nil {
		return "", fmt.Errorf("audit: the event %s: %w", e.Type, err)
	}
	if err := l.prepareMonthTx(tx, k.Class, monthOf(e.ID)); err != nil {
		return "", err
	}
	sections, err := l.sections(tx.Context(), &e, k.Class)
	if err != nil {
		return "", err
	}
	return e.ID, l.insertTx(tx, &e, k.Class, sections)
}

// complete fills in what the caller left out and refuses what is too long.
func (l *Log) complete(e *Event) error {
	now := l.now()
	if e.ID == "" {
		e.ID = id.New[id.Event](now)
	}
	if e.Tenant == "" {
		e.Tenant = id.Platform
	}
	if e.OccurredAt.IsZero() {
		e.OccurredAt = now
	}
	e.OccurredAt = e.OccurredAt.UTC().Truncate(time.Microsecond)
	if e.Actor.Kind == "" {
		return fmt.Errorf("the actor has no kind")
	}
	e.Context.Agent = cut(e.Context.Agent, maxAgent)
	if len(e.Targets) > maxTargets || len(e.Metadata) > maxMetadata || len(e.persons()) > maxPersons {
		return fmt.Errorf("more than %d targets, %d metadata or %d persons", maxTargets, maxMetadata, maxPersons)
	}
	for key, v := range e.Metadata {
		if len(v) > maxValue || len(key) > maxValue {
			return fmt.Errorf("the metadata %.40q has more than %d bytes", key, maxValue)
		}
	}
	return nil
}

// cut shortens text from outside to whole runes, and makes it UTF-8.
func cut(s string, limit int) string {
	if len(s) > limit {
		for limit > 0 && !utf8.RuneStart(s[limit]) {
			limit--
		}
		s = s[:limit]
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

// core is the core section: nothing in it tells who somebody is.
type core struct {
	Type     string            `json:"type"`
	Tenant   id.Tenant         `json:"tenant"`
	At       time.Time         `json:"occurred_at"`
	Actor    coreActor         `json:"actor"`
	Targets  []coreTarget      `json:"targets,omitempty"`
	Session  id.Session        `json:"session,omitempty"`
	Request  id.Request        `json:"request,omitempty"`
	Metadata map[string]string `json:"metadata,omitempty"`
}

type coreActor struct {
	Kind    string     `json:"kind"`
	Account id.Account `json:"account,omitempty"`
	Name    string     `json:"name,omitempty"` // of the system only
}

type coreTarget struct {
	Kind   string     `json:"kind"`
	ID     string     `json:"id,omitempty"`
	Person id.Account `json:"person,omitempty"`
	Label  string     `json:"label,omitempty"` // of things only
}

// personal is the section about one person, or about a stranger.
type personal struct {
	Name   string            `json:"name,omitempty"`
	IP     string            `json:"ip,omitempty"`
	Agent  string            `json:"agent,omitempty"`
	Labels map[int]string    `json:"labels,omitempty"` // by the target's position
	Data   map[string]string `json:"data,omitempty"`
}

func (p personal) empty() bool {
	return p.Name == "" && p.IP == "" && p.Agent == "" && len(p.Labels) == 0 && len(p.Data) == 0
}

// split parts an event into what is opaque and what is personal.
func split(e *Event) (core, map[string]personal) {
	c := core{Type: e.Type, Tenant: e.Tenant, At: e.OccurredAt, Session: e.Context.Session, Request: e.Context.Request, Metadata: e.Metadata,
		Actor: coreActor{Kind: e.Actor.Kind, Account: e.Actor.Account}}
	people := map[string]personal{}
	actor := personal{Agent: e.Context.Agent}
	if e.Context.IP.IsValid() {
		actor.IP = e.Context.IP.Unmap().String()
	}
	if e.Actor.Account == "" && e.Actor.Kind == KindSystem {
		c.Actor.Name = e.Actor.Name
	} else {
		actor.Name = e.Actor.Name
	}
	people[sectionOf(e.Actor.Account)] = actor
	for i, t := range e.Targets {
		ct := coreTarget(t)
		if t.Person != "" && t.Label != "" {
			ct.Label = ""
			p := people[sectionOf(t.Person)]
			if p.Labels == nil {
				p.Labels = map[int]string{}
			}
			p.Labels[i] = t.Label
			people[sectionOf(t.Person)] = p
		}
		c.Targets = append(c.Targets, ct)
	}
	for account, data := range e.Personal {
		p := people[sectionOf(account)]
		p.Data = data
		people[sectionOf(account)] = p
	}
	return c, people
}

func sectionOf(a id.Account) string {
	if a == "" {
		return strangerSection
	}
	return string(a)
}

// sections encodes and seals the event's payload: the core, then a section for
// each person of whom there is something to say, then a stranger's.
func (l *Log) sections(ctx context.Context, e *Event, class string) ([]section, error) {
	c, people := split(e)
	p := payload{tenant: e.Tenant, event: e.ID, month: keys.MonthRef(class, monthOf(e.ID))}
	exact, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("encoding the event: %w", err)
	}
	names := []string{coreSection}
	for _, a := range e.persons() {
		names = append(names, string(a))
	}
	names = append(names, strangerSection)
	sections := make([]section, 0, len(names))
	for _, name := range names {
		if name != coreSection {
			if people[name].empty() {
				continue
			}
			if exact, err = json.Marshal(people[name]); err != nil {
				return nil, fmt.Errorf("encoding the section of a person: %w", err)
			}
		}
		s, err := l.seal(ctx, p, name, exact)
		if err != nil {
			return nil, err
		}
		sections = append(sections, s)
	}
	return sections, nil
}

// insertTx writes the rows of an event whose payload is sealed.
func (l *Log) insertTx(tx *store.Tx, e *Event, class string, sections []section) error {
	leaf, err := verify.Leaf{Event: string(e.ID), Class: class, At: e.OccurredAt, Commitment: commitment(sections)}.Encode()
	if err != nil {
		return fmt.Errorf("encoding the leaf: %w", err)
	}
	if err := insertEvent(tx, e, class, encodeSections(sections), leaf); err != nil {
		return fmt.Errorf("writing the event %s: %w", e.Type, err)
	}
	tx.Audited()
	return nil
}

// parseIP reads an address of a personal section; what is none is the zero address.
func parseIP(s string) netip.Addr {
	a, _ := netip.ParseAddr(s)
	return a
}
