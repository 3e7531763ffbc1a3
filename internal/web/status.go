package web

import (
	"fmt"
	"html/template"
	"reflect"
	"strings"
)

// Tones: what a status means for the person who reads it. Each has a shape of
// its own, so that colour is never alone (WCAG 2.2, 1.4.1).
const (
	Good = "good" // a check in a disc: as it should be
	Wait = "wait" // a clock: nothing is wrong, something is still to happen
	Warn = "warn" // a triangle: look at it soon
	Bad  = "bad"  // an octagon with a cross: broken, refused
	Note = "note" // a diamond: said by somebody, not proven
	Off  = "off"  // a hollow ring with a bar: over, not in use
)

// tones gives the known statuses theirs.
var tones = map[string]string{
	"proven": Good, "active": Good, "confirmed": Good, "accepted": Good, "current": Good, "delivered": Good,
	"verified": Good, "enabled": Good, "sealed": Good, "succeeded": Good, "healthy": Good, "done": Good,
	"pending": Wait, "invited": Wait, "queued": Wait, "running": Wait, "scheduled": Wait, "unconfirmed": Wait, "open": Wait,
	"stale": Warn, "late": Warn, "degraded": Warn, "expiring": Warn, "unverified": Warn,
	"failing": Bad, "failed": Bad, "denied": Bad, "refused": Bad, "locked": Bad, "blocked": Bad, "broken": Bad,
	"attested": Note, "information": Note,
	"withdrawn": Off, "expired": Off, "revoked": Off, "ended": Off, "removed": Off, "disabled": Off, "used": Off,
	"declined": Off, "cancelled": Off, "shredded": Off, "none": Off,
}

// shapes is the icon of each tone.
var shapes = map[string]string{Good: "good", Wait: "wait", Warn: "warn", Bad: "bad", Note: "note", Off: "off"}

// status is a known status as a word and a shape.
func (w words) status(v any) (template.HTML, error) {
	s := strings.ToLower(reflect.ValueOf(v).String())
	tone, ok := tones[s]
	if !ok {
		return "", fmt.Errorf("%q is no known status: use tone", s)
	}
	return w.tone(tone, strings.ToUpper(s[:1])+s[1:])
}

// tone is any sentence with the shape of a tone.
func (w words) tone(tone string, sentence any, args ...any) (template.HTML, error) {
	shape, ok := shapes[tone]
	if !ok {
		return "", fmt.Errorf("%q is no tone", tone)
	}
	s, err := w.say(sentence, args)
	return w.html(`<span class="status %s">%s<span>%s</span></span>`, tone, icon(shape), s), err
}
