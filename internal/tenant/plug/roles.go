package plug

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"troth/internal/access"
	"troth/internal/tenant"
	"troth/internal/trust"
)

const (
	ok       = http.StatusOK
	other    = http.StatusSeeOther
	denied   = http.StatusForbidden
	missing  = http.StatusNotFound
	conflict = http.StatusConflict
	gone     = http.StatusGone
)

// rolesAtOnce is the check of B2.
func (p plug) rolesAtOnce(ctx context.Context, b trust.Bench) (trust.Result, error) {
	t := newTrial(ctx, b)
	boss := t.canary("boss")
	boss.settle("Canary crew")
	owner := boss.dismiss()
	hand := t.canary("hand")
	if t.err != nil {
		return t.result()
	}
	hand.name, boss.name = "the person", "the owner"

	boss.tries("leaves as the last owner", conflict, boss.post("/-/org/leave"))
	link := hand.invited(boss)
	if t.err != nil {
		return t.result()
	}
	hand.tries("looks at the invitation", ok, hand.get(link))
	hand.tries("works in the organisation before accepting", missing, hand.post("/-/switch", "tenant", string(boss.org)))
	hand.tries("accepts", other, hand.post(link))
	hand.tries("accepts the same invitation again", gone, hand.post(link))
	self := boss.newcomer(owner)
	if t.err != nil {
		return t.result()
	}

	hand.viewer("as a viewer")
	hand.raised(boss, self, access.Member)
	hand.tries("as a member, signed in again: sees who is in the organisation", ok, hand.get("/-/org/people"))
	hand.tries("as a member: changes the own role to owner", denied, hand.post(self, "role", "owner"))
	hand.tries("as a member: invites somebody", denied, hand.invites("viewer"))

	hand.raised(boss, self, access.Admin)
	hand.tries("as an admin, signed in again: opens the form to invite", ok, hand.get("/-/org/invite"))
	hand.tries("as an admin: invites an owner", denied, hand.invites("owner"))
	hand.tries("as an admin: changes the own role to owner", denied, hand.post(self, "role", "owner"))
	hand.tries("as an admin: lowers the owner", denied, hand.post(owner, "role", "viewer"))
	hand.tries("as an admin: removes the owner", denied, hand.post(owner+"/remove"))

	boss.tries("makes the person a viewer again", other, boss.post(self, "role", "viewer"))
	hand.viewer("as a viewer again, with the next request")

	boss.tries("removes the person", other, boss.post(self+"/remove"))
	page := hand.get("/-/org/")
	hand.asks("removed, with the next request: sees nothing of the organisation", t.err == nil && !strings.Contains(page.Body, "Canary crew"))
	form := hand.post("/-/org/name", "name", "Canary pirates")
	hand.tries("removed: sends a form of the organisation that was still open", conflict, form)
	hand.tries("removed: goes back in", missing, hand.post("/-/switch", "tenant", string(boss.org)))
	hand.tries("removed: uses the invitation again", gone, hand.post(link))
	return t.result()
}

// raised is given a higher role, which ends the session that began with less;
// another one begins.
func (s *somebody) raised(by *somebody, self string, role access.Role) {
	by.tries("makes the person a "+string(role), other, by.post(self, "role", string(role)))
	page := s.get("/-/org/")
	s.asks("made "+string(role)+", with the next request: has to sign in again", s.err == nil && page.Status == other && strings.HasPrefix(page.Header.Get("Location"), "/-/signin"))
	s.returns(by.org)
}

// viewer tries what a viewer may and may not.
func (s *somebody) viewer(when string) {
	s.tries(when+": sees the organisation and what the roles mean", ok, s.get("/-/org/roles"))
	s.tries(when+": sees who is in it", denied, s.get("/-/org/people"))
	s.tries(when+": invites somebody", denied, s.invites("viewer"))
	s.tries(when+": renames it", denied, s.post("/-/org/name", "name", "Canary pirates"))
}

func (s *somebody) invites(role access.Role) *trust.Page {
	return s.post("/-/org/invite", "email", "nobody-"+s.address, "role", string(role))
}

// dismiss brings the organisation to its beginning, with the owner alone, and
// returns the owner's page: an earlier run may have broken off.
func (s *somebody) dismiss() (owner string) {
	s.clean()
	list := s.get("/-/org/people")
	for _, each := range every(accounts, list) {
		path := "/-/org/people/" + each
		if strings.Contains(list.Body, `href="`+path+`/remove"`) {
			s.post(path + "/remove")
		} else {
			owner = path // nobody is offered to remove oneself
		}
	}
	return owner
}

// invited is the path of the invitation that the owner sends as a viewer.
func (s *somebody) invited(by *somebody) string {
	asked := s.b.Now()
	by.tries("invites a person as a viewer", other, by.post("/-/org/invite", "email", s.address, "role", string(access.Viewer)))
	if s.err != nil {
		return ""
	}
	m, err := s.b.Mailbox.Wait(s.ctx, s.address, asked)
	if err != nil {
		s.err = err
		return ""
	}
	link := m.Link(s.b.Origin + tenant.InvitationPath)
	if link == "" {
		s.stuck("the mail of an invitation, which holds no link,", none)
	}
	return strings.TrimPrefix(link, s.b.Origin)
}

// newcomer is the page of the one person who is not the owner.
func (s *somebody) newcomer(owner string) string {
	p := s.get("/-/org/people")
	list := slices.DeleteFunc(every(accounts, p), func(each string) bool { return strings.HasSuffix(owner, each) })
	if s.err == nil && len(list) != 1 {
		s.stuck("the list of people", p)
	}
	if s.err != nil {
		return ""
	}
	return "/-/org/people/" + list[0]
}
