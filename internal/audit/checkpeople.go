package audit

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/keys"
	"troth/internal/store"
)

// A person's activity is a list of events (audit_person), to which neither
// leaf nor payload is tied. What should be in it follows from the payloads:
// whoever is left out of it would never learn of an event, and whoever is put
// in would see what is not theirs.

// about lists whom an event is about: actor and targets by its core section,
// others by the sections that tell about them. Without a core section, because
// its key was destroyed, the row's actor and the sections are what is known.
func about(r row, opened *core, sections []section) []id.Account {
	if r.class != ClassAudit {
		return nil // segments of access lines are in nobody's activity
	}
	all := []id.Account{id.Account(r.actor)}
	if opened != nil {
		all[0] = opened.Actor.Account
		for _, t := range opened.Targets {
			all = append(all, t.Person)
		}
	}
	for _, s := range sections {
		if strings.HasPrefix(s.name, "acc_") {
			all = append(all, id.Account(s.name))
		}
	}
	slices.Sort(all)
	return slices.DeleteFunc(slices.Compact(all), func(a id.Account) bool { return a == "" })
}

// people looks whether an event is in the activity of everybody whom it is
// about. What has expired is in nobody's.
func (c *checker) people(ctx context.Context, tx *store.Tx, r row, month keys.Ref, people []id.Account) error {
	for _, account := range people {
		listed, err := listedFor(tx, account, r)
		if err != nil {
			return err
		}
		if listed {
			continue
		}
		if gone, err := c.gone(ctx, month); gone || err != nil {
			return err
		}
		c.found("person-missing", "event "+r.event, "It is about %s and not in the activity of that account.", account)
	}
	return nil
}

// activities looks for events in the activity of somebody whom they are not
// about.
func (c *checker) activities(ctx context.Context) error {
	var after personKey
	for {
		err := c.log.db.Read(ctx, func(tx *store.Tx) error {
			page, err := listedRows(tx, &after, 1000)
			for _, p := range page {
				if err == nil {
					err = c.listed(ctx, tx, p)
				}
			}
			return err
		})
		if err != nil || after == (personKey{}) {
			return err
		}
	}
}

// listed compares one row of an activity with its event. That the actor is
// the event's was compared already.
func (c *checker) listed(ctx context.Context, tx *store.Tx, p listedRow) error {
	where := "event " + p.event
	if !p.kind.Valid {
		c.found("person-added", where, "It is in the activity of %s, and in tenant %s there is no such event.", p.account, p.tenant)
		return nil
	}
	r := row{tenant: p.tenant, event: p.event, kind: p.kind.String, class: p.class.String, actor: p.actor.String}
	if r.actor == p.account && r.class == ClassAudit {
		return nil
	}
	var err error
	if r.body, err = readBody(tx, r.class, r.tenant, r.event); err != nil {
		return err
	}
	sections, err := decodeSections(r.body)
	if err != nil {
		return nil // named with the event
	}
	at := payload{tenant: id.Tenant(r.tenant), event: id.Event(r.event), month: keys.MonthRef(r.class, monthOf(id.Event(r.event)))}
	_, exact, err := c.log.openSection(ctx, at, sections[0])
	if fault.KindOf(err) == fault.Unavailable || ctx.Err() != nil {
		return err
	}
	opened := &core{}
	if errors.Is(err, errShredded) || err != nil || sections[0].name != coreSection || json.Unmarshal(exact, opened) != nil {
		return nil // nobody can tell any more, or it is named with the event
	}
	if !slices.Contains(about(r, opened, sections), id.Account(p.account)) {
		c.found("person-added", where, "It is in the activity of %s, whom it is not about.", p.account)
	}
	return nil
}

// gone reports whether a month has expired. It does not believe a key that was
// loaded earlier: another process may have destroyed it meanwhile.
func (c *checker) gone(ctx context.Context, month keys.Ref) (bool, error) {
	if c.expired[month] {
		return true, nil
	}
	c.log.keys.Evict(month)
	_, err := c.log.keys.Secret(ctx, month)
	switch fault.KindOf(err) {
	case fault.Gone:
		c.expired[month] = true
		return true, nil
	case fault.Unavailable:
		return false, err
	}
	return false, ctx.Err()
}
