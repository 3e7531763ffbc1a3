package audit

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"troth/internal/fault"
	"troth/internal/store"
)

// The bounds of a flood of refusals.
const (
	floodWindow   = time.Minute // how long refusals of one kind are counted together
	floodEach     = 10          // of one kind in a window are written singly, at once
	floodSecond   = 50          // of all kinds in a second are written singly
	floodWindows  = 4096        // kinds that are told apart; the rest is counted by type
	floodPatience = 10 * time.Second
)

// The metadata of an event that stands for many.
const (
	metaRepeated = "repeated"
	metaSince    = "since"
	metaUntil    = "until"
)

// refusals counts refused actions in windows, so that a flood of them costs
// bounded memory and bounded writes.
type refusals struct {
	mu      sync.Mutex
	windows map[refusalKey]*refusal
	strange map[refusalKey]*spent // what strangers had written singly, in whichever tenants
	second  int64                 // the second that budget is for
	written int                   // singly in this second
	stuck   time.Time
}

// refusalKey tells floods apart: by type, tenant, and who it comes from.
type refusalKey struct{ kind, tenant, from string }

// spent is how many refusals of strangers were looked at in a window.
type spent struct {
	opened time.Time
	seen   int
}

// refusal is one window.
type refusal struct {
	sample   Event
	seen     int // in this window
	counted  int // of those, not written singly
	opened   time.Time
	from, to time.Time // of the counted ones
}

func (r *refusals) init() {
	r.windows, r.strange = map[refusalKey]*refusal{}, map[refusalKey]*spent{}
}

// spend reports whether a stranger's refusal may be written at once. The bound is
// on what comes from one network, whichever tenant it is about: if it were on
// each tenant, a stranger who had used up the bound could tell by the time of an
// answer whether the next address belongs to another tenant, and so whether it is
// known at all.
func (r *refusals) spend(kind, from string, now time.Time) bool {
	key := refusalKey{kind: kind, from: from}
	s := r.strange[key]
	if s == nil && len(r.strange) >= floodWindows {
		for k, old := range r.strange {
			if now.Sub(old.opened) >= floodWindow {
				delete(r.strange, k)
			}
		}
		if len(r.strange) >= floodWindows {
			key = refusalKey{kind: kind}
			s = r.strange[key]
		}
	}
	if s == nil || now.Sub(s.opened) >= floodWindow || now.Before(s.opened) {
		s = &spent{opened: now}
		r.strange[key] = s
	}
	s.seen++
	return s.seen <= floodEach
}

// synthetic is where the installation's own checks come from, and nobody else can
// (RFC 5737). There each address stands for itself: what one check has refused
// keeps no other from seeing its own refusals in the log.
var synthetic = netip.MustParsePrefix("192.0.2.0/24")

// source is what a flood of strangers is told by: the network.
func source(a netip.Addr) string {
	if a = a.Unmap(); synthetic.Contains(a) {
		return a.String()
	}
	return network(a).String()
}

// count registers a refusal and tells whether it is written singly.
func (r *refusals) count(e Event, now time.Time) (single bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.stuck.IsZero() && now.Sub(r.stuck) > floodPatience {
		return false, fault.New(fault.Unavailable, "audit.refusals", "What was refused cannot be recorded at the moment. Try again later.")
	}
	from, may := string(e.Actor.Account), true
	if from == "" {
		if e.Context.IP.IsValid() {
			from = source(e.Context.IP)
		}
		may = r.spend(e.Type, from, now)
	}
	key := refusalKey{e.Type, string(e.Tenant), from}
	w := r.windows[key]
	if w == nil && len(r.windows) >= floodWindows {
		key = refusalKey{kind: e.Type} // the sample is then one of many
		e.Tenant, e.Actor, e.Targets, e.Context, e.Metadata, e.Personal = "", Actor{Kind: KindStranger}, nil, Context{}, nil, nil
		w = r.windows[key]
	}
	if w == nil {
		e.Context.Agent = cut(e.Context.Agent, maxAgent)
		e.Metadata = maps.Clone(e.Metadata)
		w = &refusal{sample: e, opened: now}
		r.windows[key] = w
	}
	w.seen++
	if sec := now.Unix(); sec != r.second {
		r.second, r.written = sec, 0
	}
	if may && w.seen <= floodEach && r.written < floodSecond {
		r.written++
		return true, nil
	}
	if w.counted == 0 {
		w.from = now
	}
	w.counted++
	w.to = now
	return false, nil
}

// Refused records an action that failed or was denied, in a transaction of its
// own, after the action's own transaction was rolled back. An error means that
// the refusal could not be recorded: the caller answers with this error.
//
// Of a flood, refusals of one type in one tenant from one account, or from one
// network of strangers in whatever tenants, the first ten a minute are written
// at once; the others are counted and
// written together when the minute is over. A crash may lose the count of a
// minute, never what was written at once.
func (l *Log) Refused(ctx context.Context, e Event) error {
	if l.types[e.Type] == nil {
		return fmt.Errorf("audit: the event type %q is not registered", e.Type)
	}
	single, err := l.refused.count(e, l.now())
	if err != nil || !single {
		return err
	}
	return l.writeRefusal(ctx, e)
}

func (l *Log) writeRefusal(ctx context.Context, e Event) error {
	err := l.db.Write(ctx, func(tx *store.Tx) error {
		_, err := l.AppendTx(tx, e)
		return err
	})
	if err != nil {
		return fault.Wrap(err, fault.Unavailable, "audit.refusal", "What was refused could not be recorded. Try again later.")
	}
	return nil
}

// flushRefusals writes what was counted in windows that are over, or in all.
func (l *Log) flushRefusals(ctx context.Context, all bool) error {
	now := l.now()
	var failed error // after the first, the others are only put back
	for key, w := range l.refused.take(now, all) {
		e := w.sample
		e.ID, e.OccurredAt = "", w.to
		if w.counted > 1 { // a single one of a flood on many tenants stands for itself
			e.Metadata = maps.Clone(e.Metadata)
			if e.Metadata == nil {
				e.Metadata = map[string]string{}
			}
			e.Metadata[metaRepeated] = strconv.Itoa(w.counted)
			e.Metadata[metaSince] = w.from.UTC().Format(time.RFC3339)
			e.Metadata[metaUntil] = w.to.UTC().Format(time.RFC3339)
		}
		err := failed
		if err == nil {
			err = l.writeRefusal(ctx, e)
		}
		l.refused.settle(key, w, err, now)
		failed = err
	}
	return failed
}

// take removes the windows that are over, or all, and returns those that
// counted something, at most as many as may be written in a second.
func (r *refusals) take(now time.Time, all bool) map[refusalKey]*refusal {
	r.mu.Lock()
	defer r.mu.Unlock()
	over := map[refusalKey]*refusal{}
	for key, w := range r.windows {
		if !all && (now.Sub(w.opened) < floodWindow || len(over) == floodSecond) {
			continue
		}
		delete(r.windows, key)
		if w.counted > 0 {
			over[key] = w
		}
	}
	return over
}

// settle puts the count of a window back that could not be written. After a
// while of this, nothing more is refused without a record.
func (r *refusals) settle(key refusalKey, w *refusal, err error, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil {
		r.stuck = time.Time{}
		return
	}
	if r.stuck.IsZero() {
		r.stuck = now
	}
	if newer := r.windows[key]; newer != nil {
		w.counted += newer.counted
		w.seen += newer.seen
		if newer.counted > 0 {
			w.to = newer.to
		}
	}
	r.windows[key] = w
}
