package plug

import (
	"context"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"troth/internal/access"
	"troth/internal/tenant"
	"troth/internal/trust"
	"troth/internal/web"
)

// house is an organisation with people of each role, each in a browser.
type house struct {
	*door
	*trial
	owner, admin, member, viewer, other *somebody
	paths                               map[*somebody]string // the pages of people, as others see them
}

func furnished(t *testing.T) *house {
	t.Helper()
	d := open(t)
	h := &house{door: d, trial: newTrial(context.Background(), d.bench()), paths: map[*somebody]string{}}
	h.owner = h.canary("owner")
	h.owner.settle("Hopper & Co")
	h.paths[h.owner] = "/-/org/people/" + every(accounts, h.owner.get("/-/org/people"))[0]
	join := func(name string, role access.Role) *somebody {
		s := h.canary(name)
		known := every(accounts, h.owner.get("/-/org/people"))
		asked := h.trial.b.Now()
		h.status(t, h.owner.post("/-/org/invite", "email", s.address, "role", string(role)), http.StatusSeeOther)
		m, err := h.trial.b.Mailbox.Wait(h.ctx, s.address, asked)
		if err != nil {
			t.Fatal(err)
		}
		link := strings.TrimPrefix(m.Link(h.trial.b.Origin+tenant.InvitationPath), h.trial.b.Origin)
		h.status(t, s.post(link), http.StatusSeeOther)
		for _, each := range every(accounts, h.owner.get("/-/org/people")) {
			if !slices.Contains(known, each) {
				h.paths[s] = "/-/org/people/" + each
			}
		}
		return s
	}
	h.admin, h.member, h.viewer = join("admin", access.Admin), join("member", access.Member), join("viewer", access.Viewer)
	h.other = h.canary("other")
	if h.err != nil {
		t.Fatal(h.err)
	}
	return h
}

func (h *house) status(t *testing.T, p *trust.Page, want int) {
	t.Helper()
	if h.err != nil {
		t.Fatal(h.err)
	}
	if p.Status != want {
		t.Errorf("%s answers %d, want %d:\n%s", p.Path, p.Status, want, words(p))
	}
}

var tags = regexp.MustCompile(`(?s)<[^>]*>|\s+`)

// words is what a page says.
func words(p *trust.Page) string {
	s := strings.Join(strings.Fields(tags.ReplaceAllString(main(p), " ")), " ")
	return s[:min(len(s), 600)]
}

// Who was removed while a form was open is told so, once, and the form acts
// nowhere; who left knows it.
func TestAFormThatWasStillOpen(t *testing.T) {
	h := furnished(t)
	h.status(t, h.owner.post(h.paths[h.admin]+"/remove"), http.StatusSeeOther)
	p := h.admin.get("/-/org/")
	h.status(t, p, http.StatusOK)
	if !strings.Contains(p.Body, "personal space") {
		t.Errorf("reading goes on elsewhere:\n%s", words(p))
	}
	p = h.admin.post("/-/org/invite", "email", "x@canary.invalid", "role", "viewer")
	h.status(t, p, http.StatusConflict)
	if !strings.Contains(p.Body, "no longer in the organisation") {
		t.Errorf("the refusal says:\n%s", words(p))
	}
	h.status(t, h.admin.post("/-/org/new", "name", "My own"), http.StatusSeeOther)

	h.status(t, h.member.post("/-/org/leave"), http.StatusSeeOther)
	h.status(t, h.member.post("/-/org/new", "name", "My own"), http.StatusSeeOther)

	h.status(t, h.owner.post(h.paths[h.viewer]+"/remove"), http.StatusSeeOther)
	h.status(t, h.viewer.post("/-/switch", "tenant", string(h.owner.org)), http.StatusNotFound)
	h.status(t, h.viewer.post("/-/signout"), http.StatusSeeOther)
	if h.err != nil {
		t.Fatal(h.err)
	}
}

// Each page says what it is for, to whom, and offers only what it would do.
func TestPages(t *testing.T) {
	h := furnished(t)
	for _, c := range []struct {
		who      *somebody
		path     string
		status   int
		has, not []string
	}{
		{h.owner, "/-/org/", 200, []string{"Hopper &amp; Co", "as an owner", "Invite somebody", "Rename", "Leave"}, nil},
		{h.viewer, "/-/org/", 200, []string{"Hopper &amp; Co", "as a viewer", "Leave"}, []string{"Invite somebody", "Rename", "See people"}},
		{h.other, "/-/org/", 200, []string{"personal space", "Create an organisation"}, []string{"Hopper"}},
		{h.owner, "/-/org/people", 200, []string{"admin-", "member-", "viewer-", `<option value="owner"`, "Remove"}, nil},
		{h.admin, "/-/org/people", 200, []string{`<option value="admin"`, "Remove"}, []string{`<option value="owner"`, h.paths[h.owner] + "/remove"}},
		{h.member, "/-/org/people", 200, []string{"admin-", "Owner"}, []string{"<select", "/remove", "Invite somebody"}},
		{h.viewer, "/-/org/people", 403, []string{"you lack the permission tenant.people", "owners, admins and members have it"}, []string{"admin-"}},
		{h.other, "/-/org/people", 200, []string{"Nobody else is here yet"}, []string{"Hopper"}},
		{h.owner, "/-/org/invite", 200, []string{`value="owner"`, `value="viewer" checked`, "Send the invitation"}, nil},
		{h.admin, "/-/org/invite", 200, []string{`value="admin"`}, []string{`value="owner"`}},
		{h.member, "/-/org/invite", 403, nil, []string{"<form method=\"post\" class=\"form\">"}},
		{h.owner, h.paths[h.member], 200, []string{"Canary member", `value="member" checked`, "Danger zone"}, nil},
		{h.admin, h.paths[h.owner], 200, []string{"Canary owner", "Owner"}, []string{"Danger zone", "checked"}},
		{h.owner, h.paths[h.member] + "/remove", 200, []string{"Remove Canary member", "What they have made stays", "only if somebody invites them", "Cancel"}, nil},
		{h.member, "/-/org/leave", 200, []string{"Leave Hopper &amp; Co", "Cancel"}, nil},
		{h.owner, "/-/org/name", 200, []string{`value="Hopper &amp; Co"`}, nil},
		{h.member, "/-/org/name", 403, nil, nil},
		{h.viewer, "/-/org/roles", 200, []string{"You may not invite people as a viewer. With the role of an admin or a higher one you could.", "tenant.delete"}, nil},
		{h.owner, "/-/org/roles", 200, []string{"You may delete the organisation because you are an owner here."}, nil},
		{h.owner, "/-/switch", 200, []string{"Hopper &amp; Co", "Personal", "You work here"}, nil},
		{h.owner, "/-/org/new", 200, []string{"You will be its owner"}, nil},
		{h.owner, "/-/org/people/acc_00000000000000000000000000", 404, nil, nil},
		{h.owner, "/-/org/people/nonsense", 404, nil, nil},
		{h.owner, "/-/org/people?after=nonsense", 404, nil, nil},
		{h.other, h.paths[h.member], 404, nil, []string{"Canary member"}},
	} {
		p := c.who.get(c.path)
		h.status(t, p, c.status)
		for _, want := range c.has {
			if !strings.Contains(main(p), want) {
				t.Errorf("%s, as %s, does not say %q:\n%s", c.path, c.who.name, want, words(p))
			}
		}
		for _, not := range c.not {
			if strings.Contains(main(p), not) {
				t.Errorf("%s, as %s, says %q", c.path, c.who.name, not)
			}
		}
	}
}

// Each form, filled in wrongly, is shown again with what is wrong and what was
// typed; filled in rightly it ends in a 303.
func TestForms(t *testing.T) {
	h := furnished(t)
	for _, c := range []struct {
		who    *somebody
		path   string
		fields []string
		status int
		has    []string
	}{
		{h.owner, "/-/org/new", []string{"name", ""}, 422, []string{"Give the organisation a name"}},
		{h.owner, "/-/org/name", []string{"name", "see http://evil.test"}, 422, []string{"looks like the address of a site", `value="see http://evil.test"`}},
		{h.owner, "/-/org/name", []string{"name", "Hopper & Sons"}, 303, nil},
		{h.owner, "/-/org/invite", []string{"email", "nobody", "role", "viewer"}, 422, []string{"no e-mail address", `value="nobody"`}},
		{h.owner, "/-/org/invite", []string{"email", "x@canary.invalid", "role", "boss"}, 422, []string{"Choose one of the roles"}},
		{h.owner, "/-/org/invite", []string{"email", "x@canary.invalid", "role", "viewer"}, 303, nil},
		{h.owner, "/-/org/invite", []string{"email", "X@canary.invalid", "role", "viewer"}, 409, []string{"has an invitation already"}},
		{h.admin, "/-/org/invite", []string{"email", "y@canary.invalid", "role", "owner"}, 403, []string{"neither give nor take the role of an owner"}},
		{h.owner, h.paths[h.member], []string{"role", "admin"}, 303, nil},
		{h.owner, h.paths[h.member], []string{"role", "member"}, 303, nil},
		{h.member, "/-/org/leave", nil, 401, []string{"Sign in"}}, // raised: the session ended
		{h.owner, h.paths[h.member], []string{"role", ""}, 422, []string{"Choose one of the roles"}},
		{h.owner, h.paths[h.owner], []string{"role", "viewer"}, 409, []string{"last owner"}},
		{h.owner, h.paths[h.owner] + "/remove", nil, 409, []string{"last owner"}},
		{h.owner, "/-/org/leave", nil, 409, []string{"last owner"}},
		{h.admin, h.paths[h.owner] + "/remove", nil, 403, nil},
		{h.admin, h.paths[h.viewer] + "/remove", nil, 303, nil},
		{h.viewer, "/-/org/leave", nil, 409, []string{"no longer in the organisation"}},
		{h.other, "/-/org/invite", []string{"email", "z@canary.invalid", "role", "viewer"}, 409, []string{"personal space"}},
		{h.other, h.paths[h.admin], []string{"role", "viewer"}, 404, nil},
	} {
		p := c.who.post(c.path, c.fields...)
		h.status(t, p, c.status)
		for _, want := range c.has {
			if !strings.Contains(main(p), want) {
				t.Errorf("%s %v, by %s, does not say %q:\n%s", c.path, c.fields, c.who.name, want, words(p))
			}
		}
	}
	if p := h.owner.get("/-/org/"); !strings.Contains(p.Body, "Hopper &amp; Sons") {
		t.Error("the organisation was not renamed")
	}
	for _, gone := range []*somebody{h.member, h.viewer} {
		if p := gone.get("/-/org/"); strings.Contains(p.Body, "Hopper") {
			t.Errorf("%s, who is out, still sees the organisation", gone.name)
		}
	}
}

// What an invitation shows to a stranger, to whom it was sent, and to somebody
// else; and what it does in the end.
func TestInvitationPage(t *testing.T) {
	h := furnished(t)
	asked := h.trial.b.Now()
	h.status(t, h.owner.post("/-/org/invite", "email", h.other.address, "role", "member"), http.StatusSeeOther)
	m, err := h.trial.b.Mailbox.Wait(h.ctx, h.other.address, asked)
	if err != nil {
		t.Fatal(err)
	}
	link := strings.TrimPrefix(m.Link(h.trial.b.Origin+tenant.InvitationPath), h.trial.b.Origin)
	says := func(who *somebody, want ...string) {
		t.Helper()
		p := who.get(link)
		h.status(t, p, http.StatusOK)
		for _, w := range append(want, "Canary owner", "Hopper &amp; Co", "as a member", h.other.address) {
			if !strings.Contains(main(p), w) {
				t.Errorf("the invitation does not say %q to %s:\n%s", w, who.name, words(p))
			}
		}
		if got := p.Header.Get("Referrer-Policy"); !strings.Contains(got, "no-referrer") {
			t.Errorf("the link leaves the page: Referrer-Policy is %q", got)
		}
	}
	says(h.stranger(), "/-/signup?return_to=", "/-/signin?return_to=", "Create an account")
	says(h.viewer, "Sign out", "does not have this address")
	says(h.other, "Accept")
	h.status(t, h.stranger().post(link), http.StatusUnauthorized)
	h.status(t, h.viewer.post(link), http.StatusForbidden)
	h.status(t, h.other.post(link), http.StatusSeeOther)
	if p := h.other.get("/-/org/"); !strings.Contains(p.Body, "as a member") {
		t.Errorf("whoever accepted does not work there:\n%s", words(p))
	}
	h.status(t, h.stranger().get(link), http.StatusGone)
	h.status(t, h.stranger().get(tenant.InvitationPath+noToken["token"]), http.StatusNotFound)

	// Send again, and revoke, from the table.
	h.status(t, h.owner.post("/-/org/invite", "email", "x@canary.invalid", "role", "viewer"), http.StatusSeeOther)
	waiting := every(invitations, h.owner.get("/-/org/people"))
	if len(waiting) != 1 {
		t.Fatalf("%d invitations wait", len(waiting))
	}
	h.status(t, h.owner.post("/-/org/invitations/"+waiting[0]+"/resend"), http.StatusTooManyRequests)
	h.status(t, h.admin.post("/-/org/invitations/"+waiting[0]+"/revoke"), http.StatusSeeOther)
	h.status(t, h.admin.post("/-/org/invitations/"+waiting[0]+"/revoke"), http.StatusNotFound)
}

// The part has no gaps that would keep the program from starting.
func TestPart(t *testing.T) {
	p := New(&Deps{})
	if err := web.Check(p.Routes); err != nil {
		t.Error(err)
	}
	granted := map[access.Permission]bool{}
	for _, g := range p.Permissions {
		granted[g.Permission] = true
	}
	for _, r := range p.Routes {
		if r.Needs != "" && !granted[r.Needs] {
			t.Errorf("%s needs %s, which nobody registered", r.Pattern(), r.Needs)
		}
		if strings.Contains(r.Path, "{token}") && !r.Redact {
			t.Errorf("%s shows its token in logs", r.Pattern())
		}
		if r.Doc == "" {
			t.Errorf("%s has no sentence", r.Pattern())
		}
	}
	kept := map[string]bool{}
	for _, r := range p.Retention {
		kept[r.Table] = true
	}
	for _, table := range p.Tables {
		if !kept[table] {
			t.Errorf("%s has no retention rule", table)
		}
	}
	for _, c := range p.Claims {
		if c.NotProven == "" || len(c.Checks) == 0 || c.Fresh < 2*c.Checks[0].Period {
			t.Errorf("%s is incomplete", c.ID)
		}
	}
}
