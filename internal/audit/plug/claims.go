package plug

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"troth/internal/audit"
	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/secret"
	"troth/internal/trust"
	"troth/verify"
)

// What the check looks for in the canary's activity: the events of a sign-in,
// as package account names them.
const (
	signedIn     = "account.signed_in"
	signInFailed = "account.sign_in_failed"
)

// settle is how long the check waits for a record: the log promises a second,
// a busy machine gets more.
const settle = 10 * time.Second

func (p *plug) claims() []trust.Claim {
	return []trust.Claim{{
		ID:       "E1",
		Sentence: "Web accesses, API actions, successful and failed sign-ins are recorded on the server.",
		Scope:    "Every request that comes through the front door of this installation, and every sign-in.",
		Criteria: []string{"CC7.2", "A.8.15", "A.8.17", "PR.PS-04", "AU-2", "AU-3", "AU-12"},
		NotProven: "That every kind of action is recorded: the check makes one of each kind that the sentence names. " +
			"A crash of the machine may lose the record of the requests of its last second; sign-ins and changes are recorded together with what they do.",
		Fresh: 3 * time.Hour,
		Checks: []trust.Check{{
			Name: "audit.recorded", Version: 1, Period: time.Hour, Timeout: time.Minute,
			Method: "The canary signs in with a wrong and then with its right password, opens a page as a browser and asks for the same as a program does. " +
				"Each of the four must then be found in the log, with the address it came from, and the proof that it stands in the signed log must hold.",
			Run: p.recorded,
		}},
	}}
}

// recorded does four things at the front door and looks for them in the log.
func (p *plug) recorded(ctx context.Context, b trust.Bench) (trust.Result, error) {
	canary, err := b.Canary(ctx, "recorded")
	if err != nil {
		return trust.Result{}, err
	}
	began := b.Now().Truncate(time.Millisecond)
	// The log counts many refusals of one network together: this check comes from
	// one in which no other does.
	stranger, err := b.Visitor(netip.AddrFrom4([4]byte{203, 0, 113, byte(1 + rand.N(253))}))
	if err != nil {
		return trust.Result{}, err
	}
	refused, err := stranger.SignIn(ctx, canary.Address, secret.Of("not the password "+letters()))
	if err != nil {
		return trust.Result{}, err
	}
	visitor, err := canary.SignIn(ctx, stranger.From)
	if err != nil {
		return trust.Result{}, err
	}
	look := &trust.Look{}
	look.That(refused.Status != http.StatusSeeOther && refused.Status < 500, "the answer to the wrong password", "a refusal", fmt.Sprint(refused.Status))
	page, program := "Troth-Canary/1 page "+letters(), "Troth-Canary/1 program "+letters()
	for _, visit := range []struct{ agent, accept string }{{page, "text/html"}, {program, "application/json"}} {
		if err := ask(ctx, b, visitor, visit.agent, visit.accept); err != nil {
			return trust.Result{}, err
		}
	}
	ended := b.Now()
	account := p.lookForLines(ctx, look, began, ended, visitor.From, page, program)
	if account == "" {
		// Whose activity to look at is known from the record of the requests.
		look.That(false, "sign-ins of the canary", "recorded", "its requests were not")
		return look.Result()
	}
	p.lookForEvent(ctx, look, account, signInFailed, began, visitor.From)
	p.lookForEvent(ctx, look, account, signedIn, began, visitor.From)
	return look.Result()
}

func letters() string { return secret.NewToken().Reveal()[:16] }

// ask opens the page of the canary's own activity.
func ask(ctx context.Context, b trust.Bench, v *trust.Visitor, agent, accept string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, b.Origin+"/-/account/activity", nil)
	if err != nil {
		return err
	}
	req.Header.Set("User-Agent", agent)
	req.Header.Set("Accept", accept)
	answer, err := v.Do(req)
	if err != nil {
		return err
	}
	if answer.Status != http.StatusOK {
		return fault.New(fault.Unavailable, "audit.canary_page", "The front door answered %d to the canary's request.", answer.Status)
	}
	return nil
}

// until asks again until it is true or the patience is over.
func until(ctx context.Context, ask func() bool) bool {
	ctx, cancel := context.WithTimeout(ctx, settle)
	defer cancel()
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for {
		if ask() {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-again.C:
		}
	}
}

// lookForLines looks for the two requests by what the browser called itself,
// and returns the account that they were recorded for.
func (p *plug) lookForLines(ctx context.Context, look *trust.Look, from, to time.Time, ip netip.Addr, page, program string) id.Account {
	var account id.Account
	for _, visit := range []struct{ what, agent string }{{"the request of a page", page}, {"the request of a program", program}} {
		what, agent := visit.what, visit.agent
		var found *audit.SegmentLine
		until(ctx, func() bool {
			lines, err := p.log.Lines(ctx, audit.LineFilter{From: from.Add(-time.Second), Until: to.Add(time.Second)})
			for i := range lines {
				if err == nil && lines[i].Agent == agent {
					found = &lines[i]
				}
			}
			return found != nil
		})
		if found == nil {
			look.That(false, what, "recorded", "not in the log")
			continue
		}
		ok := found.IP == ip && found.Path == "/-/account/activity" && found.Account != ""
		look.That(ok, what, "recorded with path, account and the address "+ip.String(), fmt.Sprintf("%s %s from %s", found.Method, found.Path, found.IP))
		p.lookForProof(ctx, look, what, id.Platform, found.Event)
		account = found.Account
	}
	return account
}

// lookForEvent looks for a sign-in in the canary's own activity.
func (p *plug) lookForEvent(ctx context.Context, look *trust.Look, account id.Account, kind string, since time.Time, ip netip.Addr) {
	what := map[string]string{signedIn: "the successful sign-in", signInFailed: "the failed sign-in"}[kind]
	var found *audit.Entry
	until(ctx, func() bool {
		entries, _, err := p.log.List(ctx, audit.Filter{Account: account, Types: []string{kind}, Limit: 20})
		for i := range entries {
			if err == nil && !entries[i].OccurredAt.Before(since) {
				found = &entries[i]
			}
		}
		return found != nil
	})
	if found == nil {
		look.That(false, what, "recorded", "not in the log")
		return
	}
	look.That(found.Context.IP == ip, what, "recorded with the address "+ip.String(), fmt.Sprintf("recorded from %s", found.Context.IP))
	p.lookForProof(ctx, look, what, found.Tenant, found.ID)
}

// lookForProof checks the proof of an event as a stranger would.
func (p *plug) lookForProof(ctx context.Context, look *trust.Look, what string, tenant id.Tenant, event id.Event) {
	var proof verify.EventProof
	var err error
	until(ctx, func() bool {
		proof, err = p.log.Proof(ctx, tenant, event)
		return fault.KindOf(err) != fault.Unavailable || err == nil
	})
	seen := "it holds"
	var key verify.Key
	if err == nil {
		key, err = verify.ParseKey(p.log.VKey())
	}
	if err == nil {
		_, err = proof.Check(key)
	}
	if err != nil {
		seen, _, _ = strings.Cut(err.Error(), "\n")
	}
	look.That(err == nil, "the proof of "+what, "it holds", seen)
}
