package audit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/keys"
	"troth/internal/store"
	"troth/internal/text"
)

// maxPage is the largest page of a listing; defaultPage is used for Limit 0.
const (
	defaultPage = 50
	maxPage     = 500
)

// Filter selects events. At least one of Tenant and Account is needed.
type Filter struct {
	Tenant  id.Tenant  // the tenant whose events are listed
	Account id.Account // whose own activity is listed, in all tenants unless Tenant is set: where the account is actor or target
	Types   []string   // all of class audit when empty
	Before  id.Event   // the last event of the page before; newest first
	Limit   int
}

// Entry is an event as it is shown. What it names as Event's Context, Name,
// Label and Personal is there as far as it can be opened and the viewer may
// see it.
type Entry struct {
	Event
	Outcome  Outcome
	Sentence text.Text
	LogIndex int64     // in the tenant's tree, -1 while it waits for the sequencer
	LoggedAt time.Time // when a signed log first held it; only Get and GetOwn say it
	Sealed   bool      // the payload is gone: expired, or the tenant's key was destroyed
	Shredded bool      // what told about a person in it was destroyed
}

// List returns a page of events, newest first, and the event to pass as Before
// for the next page, "" at the end.
//
// A list by Account shows where an action came from when the account itself did
// it, or somebody who was not signed in: another person's address is not the
// account's business. A list by Tenant shows everything; asking for permission
// is the caller's part.
func (l *Log) List(ctx context.Context, f Filter) (entries []Entry, next id.Event, err error) {
	if f.Tenant == "" && f.Account == "" {
		return nil, "", errors.New("audit: a list needs a tenant or an account")
	}
	if f.Limit <= 0 {
		f.Limit = defaultPage
	}
	f.Limit = min(f.Limit, maxPage) + 1 // one more tells whether there is a next page
	var found []stored
	err = l.db.Read(ctx, func(tx *store.Tx) error {
		rows, err := listRows(tx, f)
		if err != nil {
			return err
		}
		found, err = readStored(tx, rows)
		return err
	})
	if err != nil {
		return nil, "", fmt.Errorf("listing events: %w", err)
	}
	if len(found) == f.Limit {
		found = found[:f.Limit-1]
		next = id.Event(found[len(found)-1].event)
	}
	entries = make([]Entry, 0, len(found))
	called := l.calling(ctx)
	for _, s := range found {
		e, err := l.entry(ctx, s, f.Account, called)
		if err != nil {
			return nil, "", err
		}
		entries = append(entries, e)
	}
	return entries, next, nil
}

// Get returns one event of a tenant; fault.NotFound if there is none.
func (l *Log) Get(ctx context.Context, tenant id.Tenant, event id.Event) (Entry, error) {
	if tenant == "" {
		tenant = id.Platform
	}
	return l.get(ctx, event, "", func(*store.Tx) (id.Tenant, error) { return tenant, nil })
}

// GetOwn returns an event in which the account is actor or target, as its own
// activity shows it; fault.NotFound if there is none.
func (l *Log) GetOwn(ctx context.Context, account id.Account, event id.Event) (Entry, error) {
	return l.get(ctx, event, account, func(tx *store.Tx) (id.Tenant, error) { return ownTenant(tx, account, event) })
}

func (l *Log) get(ctx context.Context, event id.Event, viewer id.Account, tenant func(*store.Tx) (id.Tenant, error)) (Entry, error) {
	var found []stored
	var logged time.Time
	err := l.db.Read(ctx, func(tx *store.Tx) error {
		t, err := tenant(tx)
		if err != nil {
			return err
		}
		r, err := eventRow(tx, t, event)
		if err != nil {
			return err
		}
		if found, err = readStored(tx, []row{r}); err != nil || found[0].index < 0 {
			return err
		}
		logged, err = loggedAt(tx, r.tenant, found[0].index)
		return err
	})
	if fault.As(err) != nil {
		return Entry{}, err
	}
	if err != nil {
		return Entry{}, fmt.Errorf("reading event %s: %w", event, err)
	}
	e, err := l.entry(ctx, found[0], viewer, l.calling(ctx))
	e.LoggedAt = logged
	return e, err
}

// stored is an event as the database has it.
type stored struct {
	row
	index int64
}

func readStored(tx *store.Tx, rows []row) ([]stored, error) {
	all := make([]stored, 0, len(rows))
	for _, r := range rows {
		var err error
		if r.body, err = readBody(tx, r.class, r.tenant, r.event); err != nil {
			return nil, err
		}
		index, _, ok, err := leafOf(tx, r.tenant, r.event)
		if err != nil {
			return nil, err
		}
		if !ok {
			index = -1
		}
		all = append(all, stored{r, index})
	}
	return all, nil
}

// entry opens and renders an event for a viewer; "" may see everything.
func (l *Log) entry(ctx context.Context, s stored, viewer id.Account, called caller) (Entry, error) {
	e := Entry{LogIndex: s.index, Event: Event{ID: id.Event(s.event), Type: s.kind, Tenant: id.Tenant(s.tenant), OccurredAt: store.FromMicros(s.at),
		Actor: Actor{Account: id.Account(s.actor)}}}
	k := l.types[s.kind]
	if k == nil { // of a part that is no longer there
		k = &kind{format: "Something happened that this program no longer knows: %s", fills: []string{"type"}}
	}
	e.Outcome = k.Outcome
	o, err := l.openPayload(ctx, s)
	if err != nil {
		return Entry{}, err
	}
	if o.core == nil {
		e.Sealed = true
		e.Sentence = text.New("The details of this event were destroyed or have expired")
		return e, nil
	}
	o.fill(&e)
	// Who did something to somebody knows them. To others than those who may
	// see everything, the names of people are not the log's to tell.
	if viewer == "" || e.Actor.Account == viewer {
		o.called = called
	}
	if viewer != "" {
		o.hide(&e, viewer)
	}
	e.Sentence = o.sentence(k, &e, viewer)
	return e, nil
}

// opened is a payload as far as it can be opened.
type opened struct {
	core       *core
	people     map[string]*personal // nil values were destroyed
	called     caller               // nil tells no names that the event does not hold
	hideOrigin bool
}

// caller says what an account is called; "" if that is not known.
type caller func(id.Account) string

// name is what the account is called now, if the viewer may know it.
func (o opened) name(a id.Account) string {
	if o.called == nil || a == "" {
		return ""
	}
	return o.called(a)
}

// calling asks for each name once. A sentence without a name is better than
// none, so that an error is logged only.
func (l *Log) calling(ctx context.Context) caller {
	if l.names == nil {
		return nil
	}
	known := map[id.Account]string{}
	return func(a id.Account) string {
		if name, asked := known[a]; asked {
			return name
		}
		name, err := l.names(ctx, a)
		if err != nil {
			l.log.Warn("asking for the name of a person", "account", string(a), "error", err)
		}
		known[a] = name
		return name
	}
}

func (l *Log) openPayload(ctx context.Context, s stored) (opened, error) {
	o := opened{people: map[string]*personal{}}
	if s.body == nil {
		return o, nil
	}
	sections, err := decodeSections(s.body)
	if err != nil {
		return o, fmt.Errorf("reading event %s: %w", s.event, err)
	}
	at := payload{tenant: id.Tenant(s.tenant), event: id.Event(s.event), month: keys.MonthRef(s.class, monthOf(id.Event(s.event)))}
	for _, sec := range sections {
		if s.kind == typeSegment && sec.name != coreSection {
			continue // lines are read by Lines
		}
		_, exact, err := l.openSection(ctx, at, sec)
		if errors.Is(err, errShredded) {
			if sec.name != coreSection {
				o.people[sec.name] = nil
			}
			continue
		}
		if err != nil {
			return o, err
		}
		if sec.name == coreSection {
			o.core = &core{}
			err = json.Unmarshal(exact, o.core)
		} else {
			p := &personal{}
			o.people[sec.name] = p
			err = json.Unmarshal(exact, p)
		}
		if err != nil {
			return o, fmt.Errorf("reading the section %s of event %s: %w", sec.name, s.event, err)
		}
	}
	return o, nil
}

// fill puts what was opened into the entry.
func (o opened) fill(e *Entry) {
	c := o.core
	e.Actor = Actor{Kind: c.Actor.Kind, Account: c.Actor.Account, Name: c.Actor.Name}
	e.Metadata = c.Metadata
	e.Context.Session, e.Context.Request = c.Session, c.Request
	if p := o.people[sectionOf(c.Actor.Account)]; p != nil {
		e.Context.IP, e.Context.Agent = parseIP(p.IP), p.Agent
		if e.Actor.Name == "" {
			e.Actor.Name = p.Name
		}
	}
	for i, t := range c.Targets {
		target := Target(t)
		if p := o.people[sectionOf(t.Person)]; t.Person != "" && p != nil {
			target.Label = p.Labels[i]
		}
		e.Targets = append(e.Targets, target)
	}
	for name, p := range o.people {
		account := id.Account(name)
		if name == strangerSection {
			account = ""
		}
		if p == nil {
			e.Shredded = true
		} else if len(p.Data) > 0 {
			if e.Personal == nil {
				e.Personal = map[id.Account]map[string]string{}
			}
			e.Personal[account] = p.Data
		}
	}
}

// hide leaves out what tells about others.
func (o *opened) hide(e *Entry, viewer id.Account) {
	for a := range e.Personal {
		if a != viewer && a != "" {
			delete(e.Personal, a)
		}
	}
	if e.Actor.Account != "" && e.Actor.Account != viewer {
		e.Context.IP, e.Context.Agent, e.Context.Session = netip.Addr{}, "", ""
		o.hideOrigin = true
	}
}
