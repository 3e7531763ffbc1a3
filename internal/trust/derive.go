package trust

import (
	"slices"
	"time"

	"troth/verify"
)

// Status is what a claim's evidence amounts to.
type Status = verify.Status

// span is a time during which a claim had one status.
type span struct {
	status Status
	from   time.Time
	why    *run // the run that began it, if a run did
}

// history replays a claim's runs, oldest first, and returns the spans of its
// status up to now, oldest first. It is the only place that makes a status.
func history(c Claim, origin string, runs []run, now time.Time) []span {
	h := replay{claim: c, origin: origin, digest: c.ref().Digest().String(), last: map[string]run{}, conclusive: map[string]run{}}
	for _, r := range runs {
		h.upTo(r.finishedAt)
		h.last[r.check] = r
		if r.err == "" {
			h.conclusive[r.check] = r
		}
		h.enter(r.finishedAt, &r)
	}
	h.upTo(now)
	return h.spans
}

type replay struct {
	claim            Claim
	origin           string // of the installation now
	digest           string // of what the claim says now
	last, conclusive map[string]run
	spans            []span
}

// enter begins a span at a time if the status is another than before.
func (h *replay) enter(at time.Time, why *run) {
	s := h.status(at)
	if len(h.spans) == 0 || h.spans[len(h.spans)-1].status != s {
		h.spans = append(h.spans, span{s, at, why})
	}
}

// upTo lets evidence grow old until a time.
func (h *replay) upTo(at time.Time) {
	var ends []time.Time
	for _, r := range h.conclusive {
		if r.freshUntil.Before(at) {
			ends = append(ends, r.freshUntil)
		}
	}
	slices.SortFunc(ends, time.Time.Compare)
	for _, end := range ends {
		if h.spans[len(h.spans)-1].from.Before(end) {
			h.enter(end.Add(time.Microsecond), nil)
		}
	}
}

// status is the rule of the package documentation at a time.
func (h *replay) status(at time.Time) Status {
	worst := verify.Proven
	if h.claim.Attested {
		worst = verify.Attested
	}
	for _, k := range h.claim.Checks {
		worst = worse(worst, h.check(k, at))
	}
	return worst
}

// check is what one check adds to the status: nothing (""), or what is wrong.
func (h *replay) check(k Check, at time.Time) Status {
	r, ok := h.conclusive[k.Name]
	switch {
	case ok && !r.passed:
		return verify.Failing
	case !ok || !r.about(h.origin, h.digest, k):
		return verify.Pending
	case h.last[k.Name].err != "" || at.After(r.freshUntil):
		return verify.Stale
	}
	return ""
}

// about reports whether a run was one of this check, of these words, at this
// address. Any other proves something else.
func (r run) about(origin, claimDigest string, k Check) bool {
	return r.origin == origin && r.claimDigest == claimDigest && r.checkDigest == k.ref("").Digest().String()
}

// worse is the one of two statuses that a reader must see.
func worse(a, b Status) Status {
	rank := map[Status]int{verify.Stale: 1, verify.Pending: 2, verify.Failing: 3}
	if rank[b] > rank[a] {
		return b
	}
	return a
}
