package tenant

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"troth/internal/access"
	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/keys"
	"troth/internal/secret"
	"troth/internal/store"
)

func TestInvitation(t *testing.T) {
	eachEngine(t, func(t *testing.T, w *world) {
		org, people := w.organisation("Org")
		by := w.as(people[0], org)
		if _, err := w.Invite(ctx, by, org, " Bob@Example.ORG ", access.Member); err != nil {
			t.Fatal(err)
		}
		m := w.post.sent[0]
		if m.To != "Bob@example.org" || m.Tenant != org || m.Account != "" || !strings.Contains(m.Subject, "Org") || !strings.Contains(m.Body, "a member") ||
			!strings.Contains(m.Body, "“OrgOwner” (orgowner@example.org)") || !strings.Contains(m.Body, "28 November 2026") {
			t.Errorf("the mail is %+v", m)
		}
		token := w.token("Bob@example.org")
		rows := w.rows(org)
		if strings.Contains(strings.ToLower(rows), "bob") || strings.Contains(rows, token) {
			t.Errorf("the address or the token lies in the table in the clear:\n%s", rows)
		}

		s, err := w.Look(ctx, access.Subject{}, token)
		if err != nil || s.Tenant != "Org" || s.Role != access.Member || s.Inviter != "OrgOwner" || s.Address != "Bob@example.org" || s.Mine {
			t.Errorf("a stranger with the link sees %+v, %v", s, err)
		}
		bob := w.person("Bob")
		home := w.as(bob, HomeOf(bob))
		if s, err := w.Look(ctx, home, token); err != nil || !s.Mine {
			t.Errorf("whoever was invited sees %+v, %v", s, err)
		}
		if w.rows(org) != rows {
			t.Error("looking at an invitation changed something")
		}

		got, err := w.Accept(ctx, home, token)
		if err != nil || got != org || w.role(org, bob) != access.Member {
			t.Fatalf("accepted %v, %v; the role is %q", got, err, w.role(org, bob))
		}
		_, err = w.Accept(ctx, home, token)
		wants(t, err, fault.Gone, "tenant.invitation_used")
		_, err = w.Look(ctx, access.Subject{}, token)
		wants(t, err, fault.Gone, "tenant.invitation_used")
		if list, err := w.Pending(ctx, by, org); err != nil || len(list) != 0 {
			t.Errorf("still waiting: %+v, %v", list, err)
		}
	})
}

func TestWhoMayAccept(t *testing.T) {
	w := newWorld(t, optionsSQLite(t))
	org, people := w.organisation("Org")
	by := w.as(people[0], org)
	bob, eve, unsure := w.person("Bob"), w.person("Eve"), w.person("Unsure")
	w.names.all[unsure] = Profile{Name: "Unsure", Address: "bob@example.org"} // not confirmed
	if _, err := w.Invite(ctx, by, org, "bob@example.org", access.Admin); err != nil {
		t.Fatal(err)
	}
	token, before := w.token("bob@example.org"), w.rows(org)
	for name, c := range map[string]struct {
		by    access.Subject
		token string
		kind  fault.Kind
		code  string
	}{
		"another address":     {w.as(eve, HomeOf(eve)), token, fault.Denied, "tenant.not_yours"},
		"unconfirmed address": {w.as(unsure, HomeOf(unsure)), token, fault.Denied, "tenant.not_yours"},
		"a stranger":          {access.Subject{}, token, fault.Unauthenticated, "access.sign_in"},
		"the inviter":         {by, token, fault.Denied, "tenant.not_yours"},
		"no such token":       {w.as(bob, HomeOf(bob)), secret.NewToken().Reveal(), fault.NotFound, "access.foreign"},
		"no token at all":     {w.as(bob, HomeOf(bob)), "", fault.NotFound, "access.foreign"},
		"the identifier":      {w.as(bob, HomeOf(bob)), "inv_00000000000000000000000000", fault.NotFound, "access.foreign"},
	} {
		_, err := w.Accept(ctx, c.by, c.token)
		if f := fault.As(err); f == nil || f.Kind != c.kind || f.Code != c.code {
			t.Errorf("%s: %v", name, err)
		}
	}
	if w.rows(org) != before {
		t.Error("an attempt changed something")
	}
	w.names.all[bob] = Profile{Name: "Bob", Address: " BOB@example.org", Confirmed: true}
	if _, err := w.Accept(ctx, w.as(bob, HomeOf(bob)), token); err != nil {
		t.Errorf("the same address, typed otherwise: %v", err)
	}
}

// Two browsers, or two people who share a mailbox, accept at the same moment.
func TestAcceptingTwiceAtOnce(t *testing.T) {
	eachEngine(t, func(t *testing.T, w *world) {
		other := w.another()
		org, people := w.organisation("Org")
		for round := range 6 {
			address := fmt.Sprintf("twin%d@example.org", round)
			if _, err := w.Invite(ctx, w.as(people[0], org), org, address, access.Viewer); err != nil {
				t.Fatal(err)
			}
			token := w.token(address)
			twins := []id.Account{w.person("Twin"), w.person("Twin")}
			if round%2 == 1 {
				twins[1] = twins[0] // the same person twice
			}
			for _, twin := range twins {
				w.names.all[twin] = Profile{Name: "Twin", Address: address, Confirmed: true}
			}
			subjects := []access.Subject{w.as(twins[0], HomeOf(twins[0])), w.as(twins[1], HomeOf(twins[1]))}
			errs := make([]error, 2)
			var wg sync.WaitGroup
			for i, node := range []*world{w, other} {
				wg.Go(func() { _, errs[i] = node.Accept(ctx, subjects[i], token) })
			}
			wg.Wait()
			in := 0
			for _, err := range errs {
				if err == nil {
					in++
				} else if k := fault.KindOf(err); k != fault.Gone && k != fault.Conflict {
					t.Errorf("round %d: %v", round, err)
				}
			}
			if in != 1 {
				t.Errorf("round %d: %d of two were taken in: %v", round, in, errs)
			}
			list, _, err := w.ListPeople(ctx, w.as(people[0], org), org, "")
			if err != nil || len(list) != 2+round {
				t.Errorf("round %d: %d people are in: %v", round, len(list), err)
			}
		}
	})
}

func TestInvitationEnds(t *testing.T) {
	eachEngine(t, func(t *testing.T, w *world) {
		org, people := w.organisation("Org")
		by := w.as(people[0], org)
		bob := w.person("Bob")
		invite := func() (id.Invitation, string) {
			t.Helper()
			made, err := w.Invite(ctx, by, org, "bob@example.org", access.Member)
			if err != nil {
				t.Fatal(err)
			}
			return made, w.token("bob@example.org")
		}
		accept := func(token string) error {
			_, err := w.Accept(ctx, w.as(bob, HomeOf(bob)), token)
			return err
		}
		// A second one for the same address, however it is written.
		first, token := invite()
		_, err := w.Invite(ctx, by, org, "BOB@example.org", access.Viewer)
		wants(t, err, fault.Conflict, "tenant.invited_already")
		// Sent again: the earlier link is worth nothing.
		wants(t, w.Resend(ctx, by, org, first), fault.TooMany, "tenant.resent_just_now")
		w.clock.add(time.Hour)
		wants(t, w.Resend(ctx, by, org, first), 0, "")
		wants(t, accept(token), fault.NotFound, "access.foreign")
		again := w.token("bob@example.org")
		if again == token {
			t.Error("the same link was sent again")
		}
		// Revoked.
		wants(t, w.Revoke(ctx, by, org, first), 0, "")
		wants(t, accept(again), fault.Gone, "tenant.invitation_used")
		wants(t, w.Revoke(ctx, by, org, first), fault.NotFound, "access.foreign")
		wants(t, w.Resend(ctx, by, org, first), fault.NotFound, "access.foreign")
		// Late, by a second.
		second, token := invite()
		w.clock.add(InvitationLives)
		wants(t, accept(token), fault.Gone, "tenant.invitation_expired")
		_, err = w.Look(ctx, access.Subject{}, token)
		wants(t, err, fault.Gone, "tenant.invitation_expired")
		wants(t, w.Resend(ctx, by, org, second), fault.NotFound, "access.foreign")
		if list, err := w.Pending(ctx, by, org); err != nil || len(list) != 0 {
			t.Errorf("an expired invitation waits: %+v, %v", list, err)
		}
		// An expired one stands in nobody's way, and loses its address.
		third, token := invite()
		wants(t, accept(token), 0, "")
		if _, err := w.Invite(ctx, by, org, "bob@example.org", access.Viewer); err != nil {
			t.Fatal(err)
		}
		wants(t, accept(w.token("bob@example.org")), fault.Conflict, "tenant.in_already")
		for _, each := range []id.Invitation{first, second, third} {
			var row invitationRow
			err := w.db.Read(ctx, func(tx *store.Tx) (err error) {
				row, err = invitationTx(tx, org, each)
				return err
			})
			if err != nil || row.outcome == "" || len(row.address) > 0 || len(row.index) > 0 {
				t.Errorf("an invitation that has ended is kept as %+v, %v", row, err)
			}
		}
	})
}

// An invitation lives no longer than the standing of whoever made it.
func TestInvitationDiesWithItsMaker(t *testing.T) {
	for name, c := range map[string]struct {
		offered access.Role
		change  func(w *world, org id.Tenant, owner access.Subject, admin id.Account) error
		lives   bool
	}{
		"removed":            {access.Viewer, func(w *world, o id.Tenant, by access.Subject, a id.Account) error { return w.Remove(ctx, by, o, a) }, false},
		"left":               {access.Viewer, func(w *world, o id.Tenant, _ access.Subject, a id.Account) error { return w.Leave(ctx, w.as(a, o), o) }, false},
		"made a member":      {access.Viewer, to(access.Member), false},
		"made an admin":      {access.Admin, to(access.Admin), true},
		"admin, owner offer": {access.Owner, to(access.Admin), false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, optionsSQLite(t))
			org, people := w.organisation("Org", access.Owner)
			maker := people[1]
			if _, err := w.Invite(ctx, w.as(maker, org), org, "bob@example.org", c.offered); err != nil {
				t.Fatal(err)
			}
			wants(t, c.change(w, org, w.as(people[0], org), maker), 0, "")
			bob := w.person("Bob")
			_, err := w.Accept(ctx, w.as(bob, HomeOf(bob)), w.token("bob@example.org"))
			if c.lives {
				wants(t, err, 0, "")
			} else {
				wants(t, err, fault.Gone, "tenant.invitation_used")
			}
			if in := w.role(org, bob) != access.RoleNone; in != c.lives {
				t.Errorf("bob is in: %v", in)
			}
		})
	}
}

func to(role access.Role) func(*world, id.Tenant, access.Subject, id.Account) error {
	return func(w *world, org id.Tenant, by access.Subject, whom id.Account) error {
		return w.ChangeRole(ctx, by, org, whom, role)
	}
}

func TestNobodyOffersMoreThanTheyHave(t *testing.T) {
	w := newWorld(t, optionsSQLite(t))
	org, people := w.organisation("Org", access.Admin, access.Member, access.Viewer)
	for i, actor := range access.Roles() {
		for j, offered := range access.Roles() {
			_, err := w.Invite(ctx, w.as(people[i], org), org, fmt.Sprintf("p%d%d@example.org", i, j), offered)
			may := (actor == access.Owner || actor == access.Admin) && actor.Covers(offered)
			if (err == nil) != may || err != nil && fault.KindOf(err) != fault.Denied {
				t.Errorf("%s offers %s: %v", actor, offered, err)
			}
		}
	}
	// Neither does somebody who sends an invitation of another person again.
	made, err := w.Invite(ctx, w.as(people[0], org), org, "boss@example.org", access.Owner)
	if err != nil {
		t.Fatal(err)
	}
	w.clock.add(time.Hour)
	wants(t, w.Resend(ctx, w.as(people[1], org), org, made), fault.Denied, "tenant.above")
	_, err = w.Invite(ctx, w.as(people[0], org), org, "x@example.org", "boss")
	wants(t, err, fault.Invalid, "access.role")
	for _, bad := range []string{"", "bob", "bob@", "@example.org", "bob@example.org, eve@example.org", "Bob <bob@example.org>", "bob@example.org\r\nBcc: eve@example.org", "bob@[127.0.0.1]"} {
		_, err := w.Invite(ctx, w.as(people[0], org), org, bad, access.Viewer)
		if f := fault.As(err); f == nil || f.Kind != fault.Invalid || f.Field != "email" {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestLimitsOfInvitations(t *testing.T) {
	w := newWorld(t, optionsSQLite(t))
	org, people := w.organisation("Org")
	by := w.as(people[0], org)
	made, err := w.Invite(ctx, by, org, "first@example.org", access.Viewer)
	if err != nil {
		t.Fatal(err)
	}
	for i := 1; i < maxSent; i++ {
		w.clock.add(time.Hour)
		wants(t, w.Resend(ctx, by, org, made), 0, "")
	}
	w.clock.add(time.Hour)
	wants(t, w.Resend(ctx, by, org, made), fault.TooMany, "tenant.resent")
	for i := 1; i < maxPending; i++ {
		if _, err := w.Invite(ctx, by, org, fmt.Sprintf("p%d@example.org", i), access.Viewer); err != nil {
			t.Fatal(err)
		}
	}
	_, err = w.Invite(ctx, by, org, "more@example.org", access.Viewer)
	wants(t, err, fault.TooMany, "tenant.pending")
	list, err := w.Pending(ctx, by, org)
	if err != nil || len(list) != maxPending || list[0].Address != "first@example.org" || list[0].Sent != maxSent {
		t.Fatalf("%d wait, %v", len(list), err)
	}
	// Revoking makes room for those that wait, not for more mail in a day.
	for i := 0; ; i++ {
		if i == maxSentPerDay {
			t.Fatal("there is no limit of mails within a day")
		}
		wants(t, w.Revoke(ctx, by, org, list[i%len(list)].ID), 0, "")
		next, err := w.Invite(ctx, by, org, fmt.Sprintf("q%d@example.org", i), access.Viewer)
		if err != nil {
			wants(t, err, fault.TooMany, "tenant.mails")
			break
		}
		list[i%len(list)].ID = next
	}
	if n := len(w.post.sent); n > maxSentPerDay {
		t.Errorf("%d mails went out within a day", n)
	}
	w.clock.add(25 * time.Hour)
	_, err = w.Invite(ctx, by, org, "tomorrow@example.org", access.Viewer)
	wants(t, err, 0, "")
}

// Who has many organisations mails no more than who has one.
func TestMailsOfOnePersonAreBounded(t *testing.T) {
	w := newWorld(t, optionsSQLite(t))
	ada := w.person("Ada")
	sent := 0
	for i := range maxOrganisations {
		org, err := w.Create(ctx, w.as(ada, HomeOf(ada)), fmt.Sprintf("Orchard %d", i))
		if err != nil {
			t.Fatal(err)
		}
		for n := range maxPending {
			_, err = w.Invite(ctx, w.as(ada, org), org, fmt.Sprintf("p%d@example.org", n), access.Viewer)
			if err != nil {
				break
			}
			sent++
		}
		if err != nil {
			wants(t, err, fault.TooMany, "tenant.mails")
			break
		}
	}
	if sent != maxSentPerDay {
		t.Errorf("one person caused %d mails in a day, want %d", sent, maxSentPerDay)
	}
	_, people := w.organisation("Other")
	other, err := w.Create(ctx, w.as(people[0], HomeOf(people[0])), "Third")
	wants(t, err, 0, "")
	_, err = w.Invite(ctx, w.as(people[0], other), other, "p1@example.org", access.Viewer)
	wants(t, err, 0, "")
}

// What is queued and what is stored are one transaction.
func TestNoInvitationWithoutItsMail(t *testing.T) {
	w := newWorld(t, optionsSQLite(t))
	org, people := w.organisation("Org")
	before := w.rows(org)
	w.post.err = fmt.Errorf("the outbox is full")
	if _, err := w.Invite(ctx, w.as(people[0], org), org, "bob@example.org", access.Viewer); err == nil {
		t.Error("an invitation was made that nobody gets")
	}
	if w.rows(org) != before {
		t.Error("something was stored")
	}
}

// What package account asks before it lets somebody sign up by invitation.
func TestInvited(t *testing.T) {
	eachEngine(t, func(t *testing.T, w *world) {
		org, people := w.organisation("Org")
		made, err := w.Invite(ctx, w.as(people[0], org), org, "Bob@example.org", access.Viewer)
		if err != nil {
			t.Fatal(err)
		}
		token := w.token("Bob@example.org")
		invited := func(token, address string) bool {
			t.Helper()
			var yes bool
			err := w.db.Read(ctx, func(tx *store.Tx) (err error) {
				yes, err = w.InvitedTx(tx, secret.Of(token), keys.Normalise(address))
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			return yes
		}
		if !invited(token, "bob@EXAMPLE.org") {
			t.Error("whoever was invited is not")
		}
		for name, got := range map[string]bool{
			"another address": invited(token, "eve@example.org"),
			"another token":   invited(secret.NewToken().Reveal(), "bob@example.org"),
			"no token":        invited("", "bob@example.org"),
		} {
			if got {
				t.Errorf("%s is invited", name)
			}
		}
		wants(t, w.Revoke(ctx, w.as(people[0], org), org, made), 0, "")
		if invited(token, "bob@example.org") {
			t.Error("a revoked invitation still lets in")
		}
	})
}

func TestInvitationsAreForgotten(t *testing.T) {
	eachEngine(t, func(t *testing.T, w *world) {
		org, people := w.organisation("Org")
		for _, who := range []string{"a", "b"} {
			if _, err := w.Invite(ctx, w.as(people[0], org), org, who+"@example.org", access.Viewer); err != nil {
				t.Fatal(err)
			}
		}
		count := func() (waiting, all int) {
			t.Helper()
			err := w.db.Read(ctx, func(tx *store.Tx) error {
				return tx.QueryRow(`SELECT count(*), coalesce(sum(CASE WHEN outcome = '' THEN 1 ELSE 0 END), 0) FROM tenant_invitation WHERE tenant = $1`, org).Scan(&all, &waiting)
			})
			if err != nil {
				t.Fatal(err)
			}
			return waiting, all
		}
		for _, step := range []struct {
			later        time.Duration
			waiting, all int
		}{{0, 2, 2}, {InvitationLives, 0, 2}, {keepEnded, 0, 0}} {
			w.clock.add(step.later + time.Second)
			err := w.db.Write(ctx, func(tx *store.Tx) error {
				tx.Unaudited("what is too old goes")
				_, err := ExpireTx(tx, w.clock.now())
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			if waiting, all := count(); waiting != step.waiting || all != step.all {
				t.Errorf("after %s: %d wait of %d, want %d of %d", step.later, waiting, all, step.waiting, step.all)
			}
		}
	})
}
