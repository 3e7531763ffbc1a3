package plug

import (
	"net/url"
	"slices"
	"strings"
	"time"

	"troth/internal/audit"
	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/text"
	"troth/internal/web"
)

// pageSize is how many events a page shows.
const pageSize = 50

// The values of the filter "show" beside the first words of types.
const (
	showAll     = ""
	showRefused = "refused"
)

// activityData is what a page of activity shows.
type activityData struct {
	Moments []web.Moment
	Pager   web.Pager
	Shows   []web.Option
	Own     bool // of a person, not of an organisation
	Narrow  bool // a filter is set
}

func (p *plug) own(r *web.Request) error {
	f, err := p.filter(r)
	if err != nil {
		return err
	}
	f.Account = r.Subject.Account
	return p.activity(r, f, text.New("Your activity"), true)
}

func (p *plug) organisation(r *web.Request) error {
	if err := r.Subject.Require(PermRead); err != nil {
		return err
	}
	f, err := p.filter(r)
	if err != nil {
		return err
	}
	f.Tenant = r.Subject.Tenant
	return p.activity(r, f, text.New("Activity"), false)
}

// filter reads the filter out of the address: show, until, before.
func (p *plug) filter(r *web.Request) (audit.Filter, error) {
	f := audit.Filter{Limit: pageSize}
	if day := r.Value("until"); day != "" {
		at, err := time.Parse(time.DateOnly, day)
		if err != nil {
			return f, fault.New(fault.Invalid, "audit.until", "The date %q cannot be read. Write it as 2026-11-21.", day).On("until")
		}
		f.Before = audit.Until(at.AddDate(0, 0, 1))
	}
	if before := r.Value("before"); before != "" {
		event, err := id.Parse[id.Event](before)
		if err != nil {
			return f, err
		}
		f.Before = event
	}
	show := r.Value("show")
	if show == showAll {
		return f, nil
	}
	for name, t := range p.log.Types() {
		word, _, _ := strings.Cut(name, ".")
		if t.Class == audit.ClassAudit && (word == show || show == showRefused && t.Outcome != audit.Success) {
			f.Types = append(f.Types, name)
		}
	}
	if len(f.Types) == 0 {
		return f, fault.New(fault.Invalid, "audit.show", "There are no events called %q. Choose from the list.", show).On("show")
	}
	slices.Sort(f.Types)
	return f, nil
}

// shows are the choices of the filter.
func (p *plug) shows() []web.Option {
	options := []web.Option{{Value: showAll, Label: text.New("Everything")}, {Value: showRefused, Label: text.New("What failed or was refused")}}
	var words []string
	for name, t := range p.log.Types() {
		word, _, _ := strings.Cut(name, ".")
		if t.Class == audit.ClassAudit && !slices.Contains(words, word) {
			words = append(words, word)
		}
	}
	slices.Sort(words)
	for _, w := range words {
		options = append(options, web.Option{Value: w, Label: text.New(strings.ToUpper(w[:1]) + w[1:])})
	}
	return options
}

func (p *plug) activity(r *web.Request, f audit.Filter, title text.Text, own bool) error {
	entries, next, err := p.log.List(r.Context(), f)
	if err != nil {
		return err
	}
	if r.WantsJSON() {
		return r.JSON(listJSON{Events: eventsJSON(r, entries), Next: next})
	}
	d := activityData{Own: own, Shows: p.shows(), Narrow: r.Value("show") != "" || r.Value("until") != ""}
	for _, e := range entries {
		d.Moments = append(d.Moments, p.moment(e))
	}
	q := r.URL.Query()
	if q.Get("before") != "" {
		d.Pager.Newer = address(r, q, "")
	}
	if next != "" {
		d.Pager.Older = address(r, q, string(next))
	}
	return r.Page("audit/activity", title, d)
}

// address is the page's own with another place in the list.
func address(r *web.Request, q url.Values, before string) string {
	q.Del("before")
	if before != "" {
		q.Set("before", before)
	}
	if len(q) == 0 {
		return r.URL.Path
	}
	return r.URL.Path + "?" + q.Encode()
}

// moment is an event on a timeline.
func (p *plug) moment(e audit.Entry) web.Moment {
	return web.Moment{At: e.OccurredAt, Tone: tone(e), Text: e.Sentence, Detail: p.origin(e),
		Path: "/-/events/" + string(e.ID), Link: text.New("Details and proof"), Sealed: e.LogIndex >= 0}
}

func tone(e audit.Entry) string {
	switch {
	case e.Sealed:
		return web.Off
	case e.Outcome == audit.Denied:
		return web.Bad
	case e.Outcome == audit.Failure:
		return web.Warn
	}
	return ""
}

// origin says with what and from where; not from where when the sentence does.
func (p *plug) origin(e audit.Entry) text.Text {
	device, place := audit.Device(e.Context.Agent), e.Place()
	if said := p.log.Type(e.Type).Sentence; strings.Contains(said, "{ip}") || strings.Contains(said, "{place}") {
		place = text.Text{}
	}
	switch {
	case place.IsZero() && device == "":
		return text.Text{}
	case place.IsZero():
		return text.New("With %s", device)
	case device == "":
		return text.New("From %s", place)
	}
	return text.New("With %s, from %s", device, place)
}

// listJSON is a page of events.
type listJSON struct {
	Events []eventJSON `json:"events"`
	Next   id.Event    `json:"next,omitempty"` // pass it as ?before=
}

// eventJSON is an event, in the words of the log.
type eventJSON struct {
	ID         id.Event          `json:"id"`
	Action     string            `json:"action"`
	Outcome    string            `json:"outcome"`
	OccurredAt time.Time         `json:"occurred_at"`
	Tenant     id.Tenant         `json:"tenant"`
	Actor      actorJSON         `json:"actor"`
	Targets    []targetJSON      `json:"targets"`
	Context    contextJSON       `json:"context"`
	Metadata   map[string]string `json:"metadata,omitempty"`
	Sentence   string            `json:"sentence"`
	LogIndex   *int64            `json:"log_index,omitempty"` // in the tree of the tenant
	Destroyed  bool              `json:"destroyed,omitempty"` // something in it can never be read again
}

type actorJSON struct {
	Kind    string     `json:"kind"`
	Account id.Account `json:"account,omitempty"`
	Name    string     `json:"name,omitempty"`
}

type targetJSON struct {
	Kind    string     `json:"kind"`
	ID      string     `json:"id,omitempty"`
	Account id.Account `json:"account,omitempty"`
	Label   string     `json:"label,omitempty"`
}

type contextJSON struct {
	IP      string     `json:"ip,omitempty"`
	Agent   string     `json:"agent,omitempty"`
	Session id.Session `json:"session,omitempty"`
	Request id.Request `json:"request,omitempty"`
}

func eventsJSON(r *web.Request, entries []audit.Entry) []eventJSON {
	all := make([]eventJSON, 0, len(entries))
	for _, e := range entries {
		j := eventJSON{ID: e.ID, Action: e.Type, Outcome: e.Outcome.String(), OccurredAt: e.OccurredAt, Tenant: e.Tenant,
			Actor: actorJSON{e.Actor.Kind, e.Actor.Account, e.Actor.Name}, Targets: []targetJSON{}, Metadata: e.Metadata,
			Context:  contextJSON{Agent: e.Context.Agent, Session: e.Context.Session, Request: e.Context.Request},
			Sentence: r.Text.Say(e.Sentence), Destroyed: e.Sealed || e.Shredded}
		if e.Context.IP.IsValid() {
			j.Context.IP = e.Context.IP.String()
		}
		for _, t := range e.Targets {
			j.Targets = append(j.Targets, targetJSON{t.Kind, t.ID, t.Person, t.Label})
		}
		if e.LogIndex >= 0 {
			j.LogIndex = &e.LogIndex
		}
		all = append(all, j)
	}
	return all
}
