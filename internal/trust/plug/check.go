package plug

import (
	"context"
	"fmt"
	"html"
	"net/http"
	"net/netip"
	"regexp"
	"strings"
	"time"

	"troth/internal/fault"
	"troth/internal/trust"
	"troth/verify"
)

func (p *plug) claims() []trust.Claim {
	return []trust.Claim{
		{
			ID:       "J1",
			Sentence: "This page tells how your data is protected, and it is kept true: each status on it follows from evidence.",
			Scope:    "the trust page and its JSON document",
			Criteria: []string{"CC2.3", "A.5.36"},
			NotProven: "That the promises are the ones you need, or that a check looks at everything its sentence could mean: read what each claim does not prove. " +
				"The check runs in the same program as the page; run the verification yourself to be independent of it.",
			Fresh: 3 * time.Hour,
			Checks: []trust.Check{{
				Name: "trust.page_agrees", Version: 1, Period: time.Hour, Timeout: 5 * time.Minute, Run: p.pageAgrees,
				Method: "As a stranger, it fetches the page and its JSON through the front door, derives every status anew from the signed evidence in the public log, and compares both, sentence by sentence.",
			}},
		},
		{
			ID:       "J2",
			Sentence: "Each sentence on this page follows from fresh evidence in a public, append-only, signed log that a stranger can verify offline.",
			Scope:    "the public log of this installation",
			Criteria: []string{"CC2.3", "A.8.15", "AU-9"},
			NotProven: "That nobody showed you another log than everyone else: that needs a checkpoint or key which you kept, or witnesses. " +
				"That what was recorded was true when it was recorded. That an older history did not exist before the first checkpoint that somebody kept.",
			Fresh: 3 * time.Hour,
			Checks: []trust.Check{{
				Name: "trust.log_verifies", Version: 1, Period: time.Hour, Timeout: 15 * time.Minute, Run: p.logVerifies,
				Method: "As a stranger with the key, it fetches the whole log through the front door, computes every tile and the root from the entries, compares them with what is served and signed and with the checkpoint seen before, and checks the signature, digest and place of the evidence.",
			}},
		},
	}
}

// site reads the installation's log through the front door.
func site(b trust.Bench) (*verify.Website, error) {
	v, err := b.Visitor(netip.Addr{})
	if err != nil {
		return nil, err
	}
	return verify.WebsiteWith(b.Origin, v.Client)
}

// examine runs package verify as a stranger who holds the key.
func (p *plug) examine(ctx context.Context, b trust.Bench, o verify.Options) (*verify.Report, error) {
	key, err := verify.ParseKey(p.Trust().VKey())
	if err != nil {
		return nil, err
	}
	src, err := site(b)
	if err != nil {
		return nil, err
	}
	o.Now, o.Workers, o.NeedDocument = b.Now, 4, true
	r, err := verify.Log(ctx, src, &key, o)
	if err != nil {
		return nil, fault.Wrap(err, fault.Unavailable, "trust.not_read", "The log could not be read through the front door.")
	}
	return r, nil
}

// report turns findings into observations.
func report(look *trust.Look, what string, r *verify.Report) {
	seen := "no findings"
	if !r.OK() {
		seen = fmt.Sprintf("%d findings", len(r.Findings)+r.More)
	}
	look.Equal(what, "no findings", seen)
	for _, f := range r.Findings[:min(len(r.Findings), 20)] {
		look.That(false, f.Code+": "+f.Where+": "+f.What, f.Expected, f.Seen)
	}
}

// pageAgrees is the check of J1.
func (p *plug) pageAgrees(ctx context.Context, b trust.Bench) (trust.Result, error) {
	var look trust.Look
	r, err := p.examine(ctx, b, verify.Options{Tail: true})
	if err != nil {
		return trust.Result{}, err
	}
	report(&look, "the JSON document against the evidence in the log", r)
	page, doc, err := bothAtOnce(ctx, b, &look)
	if err != nil {
		return trust.Result{}, err
	}
	if page == nil || !look.Equal("answer to a stranger at /-/trust", http.StatusOK, page.Status) {
		return look.Result()
	}
	shown := claimsOn(page.Body)
	look.Equal("claims on the page", len(doc.Claims), len(shown))
	for _, c := range doc.Claims {
		s, ok := shown[c.ID]
		if !ok {
			look.That(false, "the claim "+c.ID+" on the page", "shown", "absent")
			continue
		}
		if s.status != string(c.Status) || s.sentence != c.Sentence || !strings.Contains(s.text, c.NotProven) {
			look.That(false, "the claim "+c.ID+" on the page", string(c.Status)+": "+c.Sentence+" Not proven: "+c.NotProven, s.status+": "+s.sentence)
		}
	}
	if strings.Contains(html.UnescapeString(page.Body), p.Trust().VKey()) {
		look.Equal("the key on the page", p.Trust().VKey(), p.Trust().VKey())
	} else {
		look.Equal("the key on the page", p.Trust().VKey(), "another, or none")
	}
	return look.Result()
}

// bothAtOnce fetches the page and the document in one state: the document is
// the same before and after the page, while other checks may change it.
func bothAtOnce(ctx context.Context, b trust.Bench, look *trust.Look) (*trust.Page, verify.Document, error) {
	v, err := b.Visitor(netip.Addr{})
	if err != nil {
		return nil, verify.Document{}, err
	}
	for try := range 20 {
		before, err := v.GetJSON(ctx, "/-/trust.json")
		if err != nil {
			return nil, verify.Document{}, err
		}
		if before.Status != http.StatusOK {
			look.Equal("answer to a stranger at /-/trust.json", http.StatusOK, before.Status)
			return nil, verify.Document{}, nil
		}
		page, err := v.Get(ctx, "/-/trust")
		if err != nil {
			return nil, verify.Document{}, err
		}
		after, err := v.GetJSON(ctx, "/-/trust.json")
		if err != nil {
			return nil, verify.Document{}, err
		}
		if before.Body == after.Body {
			look.Equal("answer to a stranger at /-/trust.json", http.StatusOK, before.Status)
			doc, err := verify.ParseDocument([]byte(before.Body))
			if err != nil {
				look.That(false, "the document at /-/trust.json", "readable", err.Error())
				return nil, doc, nil
			}
			return page, doc, nil
		}
		select {
		case <-time.After(time.Duration(try+1) * 50 * time.Millisecond):
		case <-ctx.Done():
			return nil, verify.Document{}, ctx.Err()
		}
	}
	return nil, verify.Document{}, fault.New(fault.Unavailable, "trust.unquiet", "The claims changed so fast that page and document could not be compared.")
}

// shownClaim is a claim as a reader of the page sees it.
type shownClaim struct{ status, sentence, text string }

var (
	blocks   = regexp.MustCompile(`(?s)<li class="claim" id="([A-Z][0-9]+)" data-status="[a-z]+">(.*?)</li>`)
	heading  = regexp.MustCompile(`(?s)<h3>(.*?)</h3>\s*<span class="status [a-z]+">(.*?)</span></span>`)
	tags     = regexp.MustCompile(`(?s)<[^>]*>`)
	wordOnly = regexp.MustCompile(`[A-Z][a-z]+`)
)

// claimsOn reads the claims off a page, from what a person sees: the heading
// and the word of the status.
func claimsOn(page string) map[string]shownClaim {
	out := map[string]shownClaim{}
	for _, m := range blocks.FindAllStringSubmatch(page, -1) {
		c := shownClaim{text: plain(m[2])}
		if h := heading.FindStringSubmatch(m[2]); h != nil {
			c.sentence, c.status = plain(h[1]), strings.ToLower(wordOnly.FindString(plain(h[2])))
		}
		out[m[1]] = c
	}
	return out
}

func plain(markup string) string {
	return strings.TrimSpace(html.UnescapeString(tags.ReplaceAllString(markup, "")))
}

// checkpointSeen names the observation that carries a checkpoint from one run
// of the check of J2 to the next.
const checkpointSeen = "the signed checkpoint"

// logVerifies is the check of J2.
func (p *plug) logVerifies(ctx context.Context, b trust.Bench) (trust.Result, error) {
	var look trust.Look
	src, err := site(b)
	if err != nil {
		return trust.Result{}, err
	}
	// What is to be remembered is fetched before the examination: the log that
	// is examined must continue it.
	signed, err := src.Fetch(ctx, "checkpoint", verify.MaxCheckpoint)
	if err != nil {
		return trust.Result{}, fault.Wrap(err, fault.Unavailable, "trust.not_read", "The checkpoint could not be read through the front door.")
	}
	seen := [][]byte{signed}
	earlier, err := p.earlier(ctx)
	if err != nil {
		return trust.Result{}, err
	}
	if earlier != nil {
		seen = append(seen, earlier)
	}
	r, err := p.examine(ctx, b, verify.Options{Seen: seen})
	if err != nil {
		return trust.Result{}, err
	}
	report(&look, "the log, from its entries to its signed root", r)
	before := "none: this is the first run"
	if earlier != nil {
		before = "one"
	}
	read := fmt.Sprintf("%d entries, %d of them evidence, %d pieces of evidence opened", r.Size, r.Entries["evidence"], r.Evidence)
	look.Equal("checkpoint seen before that the log must continue", before, before)
	look.Equal("read and computed anew", read, read)
	look.Equal(checkpointSeen, string(signed), string(signed))
	if r.OK() {
		p.seen.Lock()
		p.signed = signed
		p.seen.Unlock()
	}
	return look.Result()
}

// earlier is a checkpoint that an earlier run of this check found in order: in
// this process, or before it was started, by that run's evidence.
func (p *plug) earlier(ctx context.Context) ([]byte, error) {
	p.seen.Lock()
	defer p.seen.Unlock()
	if p.signed != nil {
		return p.signed, nil
	}
	key, err := verify.ParseKey(p.Trust().VKey())
	if err != nil {
		return nil, err
	}
	claims, _, err := p.Trust().Records(ctx)
	if err != nil {
		return nil, err
	}
	for _, c := range claims {
		for _, k := range c.Checks {
			if c.Claim.ID != "J2" || k.Conclusive == nil || !k.Conclusive.Passed {
				continue
			}
			for _, o := range k.Conclusive.Evidence.Observed {
				if _, err := verify.OpenCheckpoint([]byte(o.Seen), key); err == nil && o.What == checkpointSeen {
					return []byte(o.Seen), nil
				}
			}
		}
	}
	return nil, nil
}
