package plug

import (
	"context"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"troth/internal/access"
	"troth/internal/id"
	"troth/internal/trust"
	"troth/internal/web"
)

// isolation is the check of B1.
func (p plug) isolation(ctx context.Context, b trust.Bench) (trust.Result, error) {
	t := newTrial(ctx, b)
	theirs := t.canary("island")
	theirs.settle("Island of canaries")
	mine := t.canary("intruder")
	mine.settle("Den of canaries")
	if t.err != nil {
		return t.result()
	}
	target := theirs.things()
	before := theirs.state()
	defer theirs.clean()

	// The owner of the identifiers can use them: otherwise "not found" would
	// prove nothing.
	for _, r := range p.reading() {
		theirs.tries("reads "+r.Pattern()+" with its own identifiers", http.StatusOK, theirs.get(r.URL(target)))
	}
	nothing := map[string]string{"account": nobody["account"], "invitation": nothing["invitation"]}
	stranger := t.stranger()
	for _, r := range p.named() {
		foreign := mine.ask(r, r.URL(target))
		mine.tries(r.Pattern()+" with the identifiers of the other organisation", http.StatusNotFound, foreign)
		mine.asks(r.Pattern()+" answers as for identifiers that never existed", same(foreign, mine.ask(r, r.URL(nothing))))
		want := http.StatusUnauthorized
		if r.Method == http.MethodGet {
			want = http.StatusSeeOther // to the sign-in page
		}
		stranger.tries(r.Pattern(), want, stranger.ask(r, r.URL(target)))
	}
	mine.tries("switches to the other organisation", http.StatusNotFound, mine.post("/-/switch", "tenant", string(theirs.org)))
	for _, page := range []string{"/-/org/", "/-/org/people", "/-/org/roles", "/-/switch"} {
		seen := mine.get(page)
		mine.tries("reads "+page, http.StatusOK, seen)
		mine.asks(page+" shows nothing of the other organisation", !strings.Contains(seen.Body, "Island of canaries") &&
			!strings.Contains(seen.Body, string(theirs.org)) && !strings.Contains(seen.Body, target["account"]))
	}
	if t.err == nil {
		p.decides(t, id.Account(target["account"]), mine.org)
		t.Equal("the other organisation afterwards", before, theirs.state())
	}
	return t.result()
}

// things are the identifiers in a canary's organisation: the person, and an
// invitation that is made for the purpose.
func (s *somebody) things() map[string]string {
	s.clean()
	s.post("/-/org/invite", "email", "nobody-"+s.address, "role", string(access.Viewer))
	p := s.get("/-/org/people")
	people, waiting := every(accounts, p), every(invitations, p)
	if s.err == nil && (len(people) != 1 || len(waiting) != 1) {
		s.stuck("preparing an organisation", p)
		return nil
	}
	if s.err != nil {
		return nil
	}
	return map[string]string{"account": people[0], "invitation": waiting[0]}
}

// clean revokes the open invitations of the canary's organisation.
func (s *somebody) clean() {
	for _, each := range every(invitations, s.get("/-/org/people")) {
		s.post("/-/org/invitations/" + each + "/revoke")
	}
}

var (
	rows  = regexp.MustCompile(`(?s)<tr>.*?</tr>`)
	parts = regexp.MustCompile(`(acc|inv)` + body + `|datetime="[^"]*"`)
)

// state is what the canary sees of its own organisation, as far as somebody
// else could have changed it: people, roles, invitations, times of sending.
func (s *somebody) state() string {
	p := s.get("/-/org/people")
	var seen []string
	for _, row := range rows.FindAllString(p.Body, -1) {
		seen = append(seen, parts.FindAllString(row, -1)...)
		if i := strings.Index(row, " selected"); i > 0 {
			seen = append(seen, row[strings.LastIndex(row[:i], `value="`):i])
		}
	}
	return "people, roles and invitations with the digest " + sha(strings.Join(seen, "\n"))
}

// reading are the pages that show what an identifier names.
func (p plug) reading() []web.Route {
	var list []web.Route
	for _, r := range p.named() {
		if r.Method == http.MethodGet && !strings.HasSuffix(r.Path, "/remove") { // nobody removes oneself there
			list = append(list, r)
		}
	}
	return list
}

// named are the routes with an identifier of something in an organisation.
func (p plug) named() []web.Route {
	var list []web.Route
	for _, r := range p.routes() {
		if names := r.Wildcards(); slices.Contains(names, "account") || slices.Contains(names, "invitation") {
			list = append(list, r)
		}
	}
	return list
}

// ask uses a route as its form or link would.
func (s *somebody) ask(r web.Route, path string) *trust.Page {
	if r.Method == http.MethodGet {
		return s.get(path)
	}
	return s.post(path, "role", string(access.Viewer))
}

var reference = regexp.MustCompile(`req_[0-9a-z]{26}`)

// same reports whether two answers are alike but for the reference.
func same(a, b *trust.Page) bool {
	strip := func(p *trust.Page) string {
		return reference.ReplaceAllString(strings.ReplaceAll(main(p), p.Path, ""), "")
	}
	return a.Status == b.Status && strip(a) == strip(b)
}

// decides asks the decision path itself about a person in an organisation in
// which the person has no role.
func (p plug) decides(t *trial, account id.Account, foreign id.Tenant) {
	s, err := p.Access.Person(t.ctx, access.SignedIn{Account: account, Tenant: foreign})
	if err != nil {
		t.err = err
		return
	}
	var given []string
	for _, g := range p.Access.Grants() {
		if !g.Self && s.May(g.Permission) {
			given = append(given, string(g.Permission))
		}
	}
	t.Equal("the decision about a person in an organisation without a role there: permissions that a role gives", "none", or(strings.Join(given, ", "), "none"))
	t.Equal("the same: works there", "no", yes(s.In(foreign) == nil))
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
