package verify

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// Allowances for what happens while an examination runs.
const (
	// grace is how long a document may lag behind the log.
	grace = 2 * time.Minute
	// skew is how far a clock may be ahead of ours.
	skew = 5 * time.Minute
)

// windowOf is the entry from which on evidence can contradict a green claim:
// the oldest that a green claim rests on.
func windowOf(d *Document, size int64) int64 {
	from := size
	if d == nil {
		return from
	}
	for _, c := range d.Claims {
		for _, e := range c.Evidence {
			if c.Status == Proven || c.Status == Attested {
				from = min(from, e.LogIndex)
			}
		}
	}
	return from
}

// oldestCited is the oldest entry that the document cites, by whatever claim; an
// examination that reads only the end of the log begins there.
func oldestCited(d *Document, size int64) int64 {
	from := size
	if d == nil {
		return from
	}
	for _, c := range d.Claims {
		for _, e := range c.Evidence {
			from = min(from, max(e.LogIndex, 0))
		}
	}
	return from
}

// exhibit is a piece of evidence that was fetched and opened.
type exhibit struct {
	placed
	Evidence
	cited bool
}

// claims examines the evidence and holds the trust document against it.
func (x *examination) claims(ctx context.Context) error {
	if x.document == nil {
		return nil
	}
	if over := len(x.late) - x.o.MaxEvidence; over > 0 {
		x.r.Unread += int64(over)
		x.late = x.late[over:]
	}
	wanted := x.citations()
	exhibits, err := x.open(ctx, wanted)
	if err != nil {
		return err
	}
	x.r.Evidence = len(exhibits)
	byClaim := make(map[string][]exhibit)
	for _, e := range exhibits {
		byClaim[e.Claim.ID] = append(byClaim[e.Claim.ID], e)
	}
	for _, c := range x.document.Claims {
		x.claim(c, byClaim[c.ID])
		delete(byClaim, c.ID)
	}
	for _, id := range slices.Sorted(maps.Keys(byClaim)) {
		for _, e := range byClaim[id] {
			if e.FinishedAt.Before(x.fetched.Add(-grace)) {
				x.r.add(Finding{Code: "claim-omitted", Where: "claim " + clip(id), What: fmt.Sprintf("Evidence of it stands in the log (entry %d), and the trust document does not name it, not even as withdrawn.", e.index)})
				break
			}
		}
	}
	return nil
}

// citations checks that what the document cites stands in the log, and lists
// each piece of evidence to open once, in the log's order where that is known.
func (x *examination) citations() []placed {
	list := x.late
	known := make(map[placed]bool, len(list))
	for _, p := range list {
		known[p] = true
	}
	for _, c := range x.document.Claims {
		for _, e := range c.Evidence {
			p := placed{e.LogIndex, e.Digest}
			entry := x.cited[e.LogIndex]
			if entry.Kind != KindEvidence || entry.Digest != e.Digest {
				seen := "no such entry"
				if entry.Kind != 0 {
					seen = fmt.Sprintf("an entry of kind %s with digest %s", entry.Kind, entry.Digest)
				}
				x.r.add(Finding{Code: "evidence-not-in-log", Where: fmt.Sprintf("evidence of claim %s at entry %d", c.ID, e.LogIndex), What: "The log does not hold it there.", Expected: e.Digest.String(), Seen: seen})
				continue
			}
			if !known[p] {
				known[p] = true
				list = append(list, p)
			}
		}
	}
	return list
}

// open fetches and opens evidence, several at once, and returns it in the
// order of the list.
func (x *examination) open(ctx context.Context, list []placed) ([]exhibit, error) {
	results := make([]*exhibit, len(list))
	var mu sync.Mutex
	var done int64
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(x.o.Workers)
	for i, p := range list {
		g.Go(func() error {
			e, f, err := x.one(ctx, p)
			mu.Lock()
			defer mu.Unlock()
			if f != nil {
				x.r.add(*f)
			}
			results[i] = e
			done++
			x.o.Progress("evidence", done, int64(len(list)))
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	var out []exhibit
	for _, e := range results {
		if e != nil {
			out = append(out, *e)
		}
	}
	return out, nil
}

// one fetches and opens one piece of evidence.
func (x *examination) one(ctx context.Context, p placed) (*exhibit, *Finding, error) {
	where := fmt.Sprintf("evidence %s (entry %d)", p.digest, p.index)
	b, err := x.src.Fetch(ctx, "evidence/"+p.digest.String(), MaxEvidence)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, &Finding{Code: "evidence-missing", Where: where, What: "The log has its digest and does not serve it."}, nil
	case errors.Is(err, errTooLong):
		return nil, &Finding{Code: "evidence-malformed", Where: where, What: sentence(err)}, nil
	case err != nil:
		return nil, nil, fmt.Errorf("reading %s: %w", where, err)
	}
	if got := DigestOf(b); got != p.digest {
		return nil, &Finding{Code: "evidence-differs", Where: where, What: "What is served is not what the log has the digest of.", Expected: p.digest.String(), Seen: got.String()}, nil
	}
	s, err := OpenEvidence(b, x.key)
	if err != nil {
		code := "evidence-malformed"
		if errors.Is(err, errSignature) {
			code = "evidence-signature"
		}
		return nil, &Finding{Code: code, Where: where, What: sentence(err)}, nil
	}
	if s.Predicate.FinishedAt.After(x.o.Now().Add(skew)) {
		return nil, &Finding{Code: "evidence-from-the-future", Where: where, What: "The check is said to have ended later than now.",
			Expected: "before " + x.o.Now().Format(time.RFC3339), Seen: s.Predicate.FinishedAt.Format(time.RFC3339)}, nil
	}
	return &exhibit{placed: p, Evidence: s.Predicate}, nil, nil
}
