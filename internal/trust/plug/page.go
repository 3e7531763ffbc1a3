package plug

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"troth/internal/fault"
	"troth/internal/text"
	"troth/internal/trust"
	"troth/internal/web"
	"troth/verify"
)

// chapters are the letters of the list of promises.
var chapters = []struct{ letter, name string }{
	{"A", "Accounts"}, {"B", "Tenants and content"}, {"C", "Staff"}, {"D", "Data protection"}, {"E", "Logging and detection"},
	{"F", "Edge"}, {"G", "Mail"}, {"H", "Resilience"}, {"I", "The security program"}, {"J", "Transparency"},
}

// tally is how many claims have a status.
type tally struct {
	Count  int
	Status verify.Status
}

// group is a chapter with its claims.
type group struct {
	Letter, Name string
	Claims       []view
}

// view is a claim as the page shows it.
type view struct {
	trust.Record
	Path string
}

// Open is the failure that lasts, or nil.
func (v view) Open() *trust.Failure {
	if len(v.Failures) > 0 && v.Failures[0].To.IsZero() {
		return &v.Failures[0]
	}
	return nil
}

// Why is what the run saw that found the failure that lasts.
func (v view) Why() string {
	if f := v.Open(); f != nil && f.Exhibit != nil {
		return strings.Join(wrong(f.Exhibit), " ")
	}
	return ""
}

// Criteria are the claim's criteria in one line.
func (v view) Criteria() string { return strings.Join(v.Claim.Criteria, " · ") }

// Moments is the claim's history as a timeline, newest first.
func (v view) Moments() []web.Moment {
	var out []web.Moment
	for _, f := range v.Failures {
		if !f.To.IsZero() {
			out = append(out, web.Moment{At: f.To, Tone: web.Good, Text: text.New("It no longer fails."), Detail: text.New("It failed for %s.", f.To.Sub(f.From).Round(time.Second).String())})
		}
		m := web.Moment{At: f.From, Tone: web.Bad, Text: text.New("It began to fail.")}
		if f.Exhibit != nil {
			m.Detail, m.Path, m.Link = text.New("%s", strings.Join(wrong(f.Exhibit), " ")), evidencePath(f.Exhibit.Digest), text.New("Evidence")
		}
		out = append(out, m)
	}
	return out
}

// wrong says what a run saw that was not as expected.
func wrong(e *trust.Exhibit) []string {
	var out []string
	for _, o := range e.Evidence.Observed {
		if o.Expected != o.Seen {
			out = append(out, fmt.Sprintf("%s: expected %s, seen %s.", o.What, o.Expected, o.Seen))
		}
	}
	return out
}

func evidencePath(d verify.Digest) string { return "/-/log/evidence/" + d.String() }

// index is the page of all claims.
type index struct {
	Summary   text.Text
	Tally     []tally
	Groups    []group
	Withdrawn []view
	Command   string
	Origin    string
	VKey      string
}

func (p *plug) state(r *web.Request) (index, error) {
	t := p.Trust()
	claims, withdrawn, err := t.Records(r.Context())
	if err != nil {
		return index{}, err
	}
	x := index{Origin: t.Origin(), VKey: t.VKey(), Command: p.command(t)}
	counts := map[verify.Status]int{}
	for _, c := range chapters {
		g := group{Letter: c.letter, Name: c.name}
		for _, rec := range claims {
			if strings.HasPrefix(rec.Claim.ID, c.letter) {
				g.Claims = append(g.Claims, view{rec, "/-/trust/" + rec.Claim.ID})
			}
		}
		if len(g.Claims) > 0 {
			x.Groups = append(x.Groups, g)
		}
	}
	for _, rec := range claims {
		counts[rec.Status]++
	}
	for _, rec := range withdrawn {
		x.Withdrawn = append(x.Withdrawn, view{rec, "/-/trust/" + rec.Claim.ID})
		counts[rec.Status]++
	}
	for _, s := range []verify.Status{verify.Proven, verify.Attested, verify.Pending, verify.Stale, verify.Failing, verify.Withdrawn} {
		if counts[s] > 0 {
			x.Tally = append(x.Tally, tally{counts[s], s})
		}
	}
	x.Summary = summary(counts, len(claims))
	return x, nil
}

// summary is the state of everything in one sentence, the worst first.
func summary(counts map[verify.Status]int, all int) text.Text {
	green := counts[verify.Proven] + counts[verify.Attested]
	switch {
	case all == 0:
		return text.New("Nothing is promised here yet.")
	case counts[verify.Failing] > 0:
		return text.New("%d of %d promises failed their last check. %d hold.", counts[verify.Failing], all, green)
	case green == all:
		return text.New("All %d promises held when they were last tried, and the evidence is fresh.", all)
	case counts[verify.Stale] > 0:
		return text.New("%d of %d promises hold by fresh evidence; that of %d is too old to count.", green, all, counts[verify.Stale])
	}
	return text.New("%d of %d promises hold by fresh evidence; the others have not been tried yet.", green, all)
}

// command is what a reader runs to verify all of it.
func (p *plug) command(t *trust.Trust) string {
	ca := ""
	if p.CA != "" {
		ca = " --ca " + p.CA
	}
	return "troth verify " + t.Origin() + ca + " --key " + t.VKey()
}

func (p *plug) index(r *web.Request) error {
	x, err := p.state(r)
	if err != nil {
		return err
	}
	return r.Page("trust/index", text.New("Promises, and the proof"), x)
}

var errNoClaim = fault.New(fault.NotFound, "trust.no_claim", "There is no such claim here.")

func (p *plug) one(r *web.Request) error {
	claims, withdrawn, err := p.Trust().Records(r.Context())
	if err != nil {
		return err
	}
	for _, rec := range append(claims[:len(claims):len(claims)], withdrawn...) {
		if rec.Claim.ID == r.PathValue("id") {
			return r.Page("trust/claim", text.New("%s", text.New(rec.Claim.Sentence)), view{rec, r.URL.Path})
		}
	}
	return errNoClaim
}

func (p *plug) document(r *web.Request) error {
	b, err := p.Trust().JSON(r.Context())
	if err != nil {
		return err
	}
	h := r.W.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-cache")
	r.W.WriteHeader(http.StatusOK)
	_, _ = r.W.Write(b) // the client went away: there is nobody left to tell
	return nil
}
