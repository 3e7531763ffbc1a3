package plug

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"troth/internal/audit"
	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/text"
	"troth/internal/web"
	"troth/verify"
)

// eventData is what the page of an event shows.
type eventData struct {
	audit.Entry
	Facts   []fact // of the metadata
	Device  string // what the browser says it is; the raw event has its own words
	Back    web.Action
	Moments []web.Moment
	Proof   *proofData // nil while the event waits for the sequencer
	Raw     string
}

type fact struct{ Name, Value string }

type proofData struct {
	verify.EventProof
	Proven verify.ProvenEvent
	Hash   string
}

// find is the event that the address names, if the reader may see it: as one's
// own, or as one of the tenant in which an administrator works. The accounts
// are those whose sections a proof may show the reader.
func (p *plug) find(r *web.Request) (e audit.Entry, own bool, reveal []id.Account, err error) {
	event, err := id.Parse[id.Event](r.PathValue("event"))
	if err != nil {
		return e, false, nil, err
	}
	if r.Subject.May(PermRead) {
		e, err = p.log.Get(r.Context(), r.Subject.Tenant, event)
		if fault.KindOf(err) != fault.NotFound {
			return e, false, people(e), err
		}
	}
	if r.Subject.Account == "" {
		return e, false, nil, fault.New(fault.NotFound, "audit.no_event", "There is no such event, or it has expired.")
	}
	e, err = p.log.GetOwn(r.Context(), r.Subject.Account, event)
	return e, true, []id.Account{r.Subject.Account}, err
}

// people are the accounts in an event, and "" for a stranger.
func people(e audit.Entry) []id.Account {
	all := []id.Account{"", e.Actor.Account}
	for _, t := range e.Targets {
		all = append(all, t.Person)
	}
	for a := range e.Personal {
		all = append(all, a)
	}
	return all
}

func (p *plug) event(r *web.Request) error {
	e, own, reveal, err := p.find(r)
	if err != nil {
		return err
	}
	if r.WantsJSON() {
		return r.JSON(eventsJSON(r, []audit.Entry{e})[0])
	}
	d := eventData{Entry: e, Device: audit.Device(e.Context.Agent), Back: web.Action{Path: "/-/org/activity", Label: text.New("Activity")}}
	if own {
		d.Back = web.Action{Path: "/-/account/activity", Label: text.New("Your activity")}
	}
	for _, name := range slices.Sorted(maps.Keys(e.Metadata)) {
		d.Facts = append(d.Facts, fact{name, e.Metadata[name]})
	}
	raw, err := json.MarshalIndent(eventsJSON(r, []audit.Entry{e})[0], "", "  ")
	if err != nil {
		return fmt.Errorf("encoding the event: %w", err)
	}
	d.Raw = string(raw)
	if d.Proof, err = p.prove(r, e, reveal); err != nil {
		return err
	}
	d.Moments = p.timeline(e, d.Proof)
	return r.Page("audit/event", text.New("Event"), d)
}

// prove makes the proof and checks it before anybody else does: a page that
// shows a proof that does not hold would be a lie.
func (p *plug) prove(r *web.Request, e audit.Entry, reveal []id.Account) (*proofData, error) {
	proof, err := p.log.Proof(r.Context(), e.Tenant, e.ID, reveal...)
	if fault.KindOf(err) == fault.Unavailable && e.LogIndex < 0 {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	key, err := verify.ParseKey(p.log.VKey())
	if err != nil {
		return nil, err
	}
	proven, err := proof.Check(key)
	if err != nil {
		return nil, fmt.Errorf("checking the proof of %s: %w", e.ID, err)
	}
	hash, err := proven.Leaf.Hash()
	if err != nil {
		return nil, err
	}
	return &proofData{EventProof: proof, Proven: proven, Hash: hash.String()}, nil
}

// timeline says how the event came into the log, newest first.
func (p *plug) timeline(e audit.Entry, proof *proofData) []web.Moment {
	recorded := web.Moment{At: e.OccurredAt, Tone: tone(e), Text: e.Sentence, Detail: p.origin(e)}
	if proof == nil {
		return []web.Moment{recorded}
	}
	return []web.Moment{
		{At: e.LoggedAt, Icon: "proof", Text: text.New("It became leaf %d in the tree of %s, and the log was signed", e.LogIndex, string(e.Tenant)),
			Detail: text.New("The newest head of that tree is entry %d of the public log, where it shows nothing.", proof.Proven.EntryIndex)},
		recorded,
	}
}

func proofName(e id.Event) string { return string(e) + ".proof.json" }

func (p *plug) proof(r *web.Request) error {
	e, _, reveal, err := p.find(r)
	if err != nil {
		return err
	}
	proof, err := p.log.Proof(r.Context(), e.Tenant, e.ID, reveal...)
	if err != nil {
		return err
	}
	r.W.Header().Set("Content-Disposition", `attachment; filename="`+proofName(e.ID)+`"`)
	r.W.Header().Set("Cache-Control", never)
	return r.JSON(proof)
}
