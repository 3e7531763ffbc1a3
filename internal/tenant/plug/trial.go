package plug

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"html"
	"net/http"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/trust"
)

// trial is one run of a check: what was seen so far, and the first error that
// kept it from being exercised.
type trial struct {
	trust.Look
	ctx context.Context
	b   trust.Bench
	err error
}

func newTrial(ctx context.Context, b trust.Bench) *trial { return &trial{ctx: ctx, b: b} }

// result is what the run comes to; with an error it was none.
func (t *trial) result() (trust.Result, error) {
	if t.err != nil {
		return trust.Result{}, t.err
	}
	return t.Look.Result()
}

// stuck ends the run: something that the check needs first did not work.
func (t *trial) stuck(what string, p *trust.Page) {
	if t.err == nil {
		t.err = fault.New(fault.Unavailable, "tenant.check_stuck", "The check could not go on: %s was answered with %d.", what, p.Status)
	}
}

// somebody is a canary in a browser, working in an organisation of its own.
type somebody struct {
	*trial
	name    string
	address string
	canary  *trust.Canary
	door    *trust.Visitor
	org     id.Tenant
}

// none stands for an answer after the run has ended.
var none = &trust.Page{Header: http.Header{}}

func (s *somebody) get(path string) *trust.Page {
	return s.answer(func() (*trust.Page, error) { return s.door.Get(s.ctx, path) })
}

func (s *somebody) post(path string, fields ...string) *trust.Page {
	return s.answer(func() (*trust.Page, error) { return s.door.Post(s.ctx, path, fields...) })
}

func (s *somebody) answer(ask func() (*trust.Page, error)) *trust.Page {
	if s.err != nil {
		return none
	}
	p, err := ask()
	if err != nil {
		s.err = err
		return none
	}
	return p
}

// stranger is a browser that is signed in to nothing.
func (t *trial) stranger() *somebody {
	v, err := t.b.Visitor(netip.Addr{})
	if t.err == nil {
		t.err = err
	}
	return &somebody{trial: t, name: "a stranger", door: v}
}

// canary is a synthetic person, signed in at home.
func (t *trial) canary(name string) *somebody {
	s := &somebody{trial: t, name: name}
	if t.err != nil {
		return s
	}
	c, err := t.b.Canary(t.ctx, name)
	if err == nil {
		s.canary, s.address = c, c.Address
		s.door, err = c.SignIn(t.ctx, netip.Addr{})
	}
	t.err = err
	return s
}

// returns signs in again, in the same browser, and goes on in an organisation.
func (s *somebody) returns(org id.Tenant) {
	if s.err != nil {
		return
	}
	p, err := s.door.SignIn(s.ctx, s.address, s.canary.Password)
	if s.err = err; err != nil {
		return
	}
	if p.Status != http.StatusSeeOther {
		s.stuck("signing in again", p)
	}
	if p = s.post("/-/switch", "tenant", string(org)); s.err == nil && p.Status != http.StatusSeeOther {
		s.stuck("going back into the organisation", p)
	}
}

const body = `_[0-9a-hjkmnp-tv-z]{26}`

var (
	tenants     = regexp.MustCompile(`value="(ten` + body + `)"`)
	accounts    = regexp.MustCompile(`href="/-/org/people/(acc` + body + `)"`)
	invitations = regexp.MustCompile(`action="/-/org/invitations/(inv` + body + `)/revoke"`)
	shown       = regexp.MustCompile(`ten` + body)
)

// every is each first group of a pattern on a page, once, in order.
func every(pattern *regexp.Regexp, p *trust.Page) []string {
	var list []string
	for _, m := range pattern.FindAllStringSubmatch(p.Body, -1) {
		if !slices.Contains(list, m[1]) {
			list = append(list, m[1])
		}
	}
	return list
}

// settle makes the canary work in the organisation of that name: the one that
// it has, or a new one.
func (s *somebody) settle(name string) {
	p, shows := s.get("/-/switch"), html.EscapeString(name)
	i := strings.Index(p.Body, "<strong>"+shows+"</strong>")
	if i < 0 {
		if p = s.post("/-/org/new", "name", name); s.err == nil && p.Status != http.StatusSeeOther {
			s.stuck("creating an organisation", p)
		}
	} else if found := tenants.FindStringSubmatch(p.Body[i:]); found == nil {
		s.stuck("the list of organisations", p)
	} else if p = s.post("/-/switch", "tenant", found[1]); s.err == nil && p.Status != http.StatusSeeOther {
		s.stuck("switching to an organisation", p)
	}
	p = s.get("/-/org/")
	if which := shown.FindString(main(p)); which != "" && strings.Contains(p.Body, shows) {
		s.org = id.Tenant(which)
	} else if s.err == nil {
		s.stuck("the page of the organisation", p)
	}
}

// main is the content of a page, without the header that lists organisations.
func main(p *trust.Page) string {
	if i := strings.Index(p.Body, "<main"); i >= 0 {
		return p.Body[i:]
	}
	return p.Body
}

// tries records how the front door answered a person.
func (s *somebody) tries(what string, expected int, p *trust.Page) {
	if s.err == nil {
		s.Equal(fmt.Sprintf("%s: %s", s.name, what), fmt.Sprint(expected), fmt.Sprint(p.Status))
	}
}

// asks records whether something holds.
func (s *somebody) asks(what string, holds bool) {
	if s.err == nil {
		s.Equal(fmt.Sprintf("%s: %s", s.name, what), "yes", yes(holds))
	}
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// sha is a short digest: what an observation says is public.
func sha(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:8])
}
