package verify

import (
	"fmt"
	"slices"
	"time"
)

// claim derives what the evidence amounts to and compares it with what the
// document says.
func (x *examination) claim(c DocumentClaim, all []exhibit) {
	if c.Status == Withdrawn {
		x.r.Claims = append(x.r.Claims, ClaimVerdict{ID: c.ID, Stated: c.Status, Derived: Withdrawn})
		return
	}
	where := "claim " + c.ID
	kept := x.relevant(c, all)
	derived, fresh, why := derive(kept, x.o.Now())
	verdict := ClaimVerdict{ID: c.ID, Stated: c.Status, Derived: derived}
	if !fresh.IsZero() {
		verdict.FreshUntil = &fresh
	}
	x.r.Claims = append(x.r.Claims, verdict)
	green := c.Status == Proven || c.Status == Attested
	switch {
	case green && len(c.Evidence) == 0:
		x.r.add(Finding{Code: "claim-not-derivable", Where: where, What: "The document cites no evidence for it.", Expected: string(Pending), Seen: string(c.Status)})
	case green && derived != c.Status:
		x.r.add(Finding{Code: "claim-not-derivable", Where: where, What: "The evidence does not carry the status that the document states: " + why, Expected: string(derived), Seen: string(c.Status)})
	case derived == Failing && c.Status != Failing:
		x.r.add(Finding{Code: "claim-hides-failure", Where: where, What: "A check failed and the document does not say so: " + why, Expected: string(Failing), Seen: string(c.Status)})
	}
	x.words(c, kept)
}

// relevant sorts the claim's exhibits by their place in the log, marks those
// that the document cites, and leaves out what is too new to be in it.
func (x *examination) relevant(c DocumentClaim, all []exhibit) []exhibit {
	var kept []exhibit
	for _, e := range all {
		e.cited = slices.Contains(c.Evidence, DocumentEvidence{e.index, e.digest})
		if e.cited || e.FinishedAt.Before(x.fetched.Add(-grace)) {
			kept = append(kept, e)
		}
	}
	slices.SortFunc(kept, func(a, b exhibit) int { return int(min(1, max(-1, a.index-b.index))) })
	for _, e := range c.Evidence {
		if x.cited[e.LogIndex].Digest == e.Digest && !slices.ContainsFunc(all, func(o exhibit) bool { return o.index == e.LogIndex && o.digest == e.Digest }) && !x.named(e.Digest) {
			x.r.add(Finding{Code: "evidence-of-another-claim", Where: "claim " + c.ID, What: fmt.Sprintf("The evidence %s that the document cites is about another claim.", e.Digest)})
		}
	}
	return kept
}

// named reports whether a finding has already said what is wrong with a piece
// of evidence.
func (x *examination) named(d Digest) bool {
	prefix := "evidence " + d.String()
	return slices.ContainsFunc(x.r.Findings, func(f Finding) bool { return len(f.Where) >= len(prefix) && f.Where[:len(prefix)] == prefix })
}

// derive is the rule that makes a status out of evidence, in the log's order.
// It is written here a second time on purpose: the program that states the
// status is not the one that checks it. why is the reason for not being green.
func derive(list []exhibit, now time.Time) (status Status, freshUntil time.Time, why string) {
	if len(list) == 0 {
		return Pending, time.Time{}, "there is no evidence."
	}
	newest := list[len(list)-1]
	type state struct{ last, conclusive *exhibit }
	checks := make(map[string]state)
	for i := range list {
		e := &list[i]
		s := checks[e.Check.Name]
		s.last = e
		if e.Error == "" {
			s.conclusive = e
		}
		checks[e.Check.Name] = s
	}
	status = Proven
	if newest.Claim.Attested {
		status = Attested
	}
	if len(newest.Claim.Checks) == 0 {
		return Pending, time.Time{}, "the evidence names no checks."
	}
	rank := map[Status]int{Stale: 1, Pending: 2, Failing: 3}
	worse := func(s Status, reason string) {
		if rank[s] > rank[status] {
			status, why = s, reason
		}
	}
	for _, name := range newest.Claim.Checks {
		s := checks[name]
		switch {
		case s.conclusive == nil:
			worse(Pending, fmt.Sprintf("the check %s has not been exercised.", clip(name)))
		case !s.conclusive.Passed:
			worse(Failing, fmt.Sprintf("the check %s failed at %s (entry %d).", clip(name), s.conclusive.FinishedAt.Format(time.RFC3339), s.conclusive.index))
		case s.last.Error != "":
			worse(Stale, fmt.Sprintf("the check %s could not be exercised at %s (entry %d).", clip(name), s.last.FinishedAt.Format(time.RFC3339), s.last.index))
		case now.After(s.conclusive.FreshUntil):
			worse(Stale, fmt.Sprintf("the check %s passed last at %s, which counted until %s.", clip(name), s.conclusive.FinishedAt.Format(time.RFC3339), s.conclusive.FreshUntil.Format(time.RFC3339)))
		}
		if s.conclusive != nil && (freshUntil.IsZero() || s.conclusive.FreshUntil.Before(freshUntil)) {
			freshUntil = s.conclusive.FreshUntil
		}
	}
	return status, freshUntil, why
}

// words holds what the document says of a claim against the newest evidence
// that it cites: the sentence, the criteria, what is not proven, the time.
func (x *examination) words(c DocumentClaim, kept []exhibit) {
	var newest *exhibit
	var checked time.Time
	opened := 0
	for i := range kept {
		if e := &kept[i]; e.cited {
			newest, opened = e, opened+1
			if e.FinishedAt.After(checked) {
				checked = e.FinishedAt
			}
		}
	}
	if newest == nil {
		return
	}
	stated := ClaimRef{ID: c.ID, Sentence: c.Sentence, Criteria: c.Criteria, NotProven: c.NotProven}
	// Where nothing is claimed to hold, new words and a new address may wait for
	// new evidence.
	held := c.Status != Pending && c.Status != Failing
	if held && stated.Digest() != newest.Claim.Digest() {
		x.r.add(Finding{Code: "claim-differs", Where: "claim " + c.ID, What: "The document words the claim otherwise than the evidence.",
			Expected: fmt.Sprintf("%q, criteria %v, not proven %q", newest.Claim.Sentence, newest.Claim.Criteria, newest.Claim.NotProven),
			Seen:     fmt.Sprintf("%q, criteria %v, not proven %q", c.Sentence, c.Criteria, c.NotProven)})
	}
	if opened == len(c.Evidence) && (c.CheckedAt == nil || !c.CheckedAt.Equal(checked)) {
		seen := "none"
		if c.CheckedAt != nil {
			seen = c.CheckedAt.Format(time.RFC3339Nano)
		}
		x.r.add(Finding{Code: "claim-differs", Where: "claim " + c.ID, What: "The time of the last check is not that of the evidence.", Expected: checked.Format(time.RFC3339Nano), Seen: seen})
	}
	if held && newest.Origin != x.document.Origin {
		x.r.add(Finding{Code: "claim-differs", Where: "claim " + c.ID, What: "The evidence is about another installation.", Expected: x.document.Origin, Seen: newest.Origin})
	}
}
