package tenant

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"troth/internal/access"
	"troth/internal/audit"
	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/store"
)

var ctx = context.Background()

func TestPersonalSpace(t *testing.T) {
	eachEngine(t, func(t *testing.T, w *world) {
		ada := w.person("Ada")
		home := HomeOf(ada)
		by := w.as(ada, home)
		if by.Role != access.Owner || by.Tenant != home {
			t.Fatalf("in the own space: %+v", by)
		}
		got, err := w.Get(ctx, by, home)
		if err != nil || got.Name != "Ada" || got.Kind != Personal {
			t.Errorf("the space is %+v, %v", got, err)
		}
		_, err = w.Invite(ctx, by, home, "eve@example.org", access.Member)
		wants(t, err, fault.Conflict, "tenant.personal")
		wants(t, w.Rename(ctx, by, home, "Club"), fault.Conflict, "tenant.personal")
		wants(t, w.Leave(ctx, by, home), fault.Conflict, "tenant.personal")
		wants(t, w.Destroy(ctx, by, home), fault.Conflict, "tenant.personal")
		wants(t, w.ChangeRole(ctx, by, home, ada, access.Viewer), fault.Conflict, "tenant.last_owner")
		if len(w.post.sent) > 0 {
			t.Error("a mail was sent")
		}
		if w.role(home, ada) != access.Owner {
			t.Error("the space has lost its owner")
		}
	})
}

// A transaction that is replayed founds one space, with one key.
func TestFoundingIsRepeatable(t *testing.T) {
	w := newWorld(t, optionsSQLite(t))
	account := id.New[id.Account](w.clock.now())
	runs := 0
	for range 2 {
		_ = w.db.Write(ctx, func(tx *store.Tx) error {
			runs++
			got, err := w.FoundTx(ctx, tx, account, "Ada")
			if err != nil || got != HomeOf(account) {
				t.Errorf("founded %q, %v", got, err)
			}
			if runs == 1 {
				return fmt.Errorf("the transaction is rolled back")
			}
			return nil
		})
	}
	if w.role(HomeOf(account), account) != access.Owner {
		t.Error("the account does not own its space")
	}
	if _, err := w.FoundTx(ctx, nil, "nonsense", "Ada"); err == nil {
		t.Error("a space was founded for what is no account")
	}
}

func TestOrganisation(t *testing.T) {
	eachEngine(t, func(t *testing.T, w *world) {
		ada := w.person("Ada")
		by := w.as(ada, HomeOf(ada))
		org, err := w.Create(ctx, by, "  Grace\u00a0 Hopper  Ltd ")
		if err != nil {
			t.Fatal(err)
		}
		by = w.as(ada, org)
		if got, err := w.Get(ctx, by, org); err != nil || got.Name != "Grace Hopper Ltd" || got.Kind != Organisation {
			t.Errorf("the organisation is %+v, %v", got, err)
		}
		wants(t, w.Rename(ctx, by, org, "Hopper & Co"), 0, "")
		own, err := w.Own(ctx, by)
		if err != nil || len(own) != 2 || own[0].Kind != Personal || own[1].Name != "Hopper & Co" || own[1].Role != access.Owner {
			t.Errorf("the own tenants are %+v, %v", own, err)
		}
		if rows := w.rows(org); strings.Contains(rows, "Hopper") {
			t.Errorf("the name lies in the table in the clear:\n%s", rows)
		}
		want := []string{"tenant.created: ", "tenant.renamed: "}
		for i, e := range w.events(org) {
			if !strings.HasPrefix(e, want[i]) {
				t.Errorf("event %d is %q", i, e)
			}
		}
		_, err = w.Create(ctx, access.Subject{}, "X")
		wants(t, err, fault.Unauthenticated, "access.sign_in")
		_, err = w.Create(ctx, access.System("host"), "X")
		wants(t, err, fault.Denied, "tenant.no_person")
	})
}

func TestNames(t *testing.T) {
	for name, code := range map[string]string{
		"":                        "tenant.name_empty",
		" \u00a0\t":               "tenant.name_empty",
		"a\x00b":                  "tenant.name_unprintable",
		"a\u202eb":                "tenant.name_unprintable", // turns the direction of the text around
		"\xff":                    "tenant.name_unprintable",
		strings.Repeat("ä", 81):   "tenant.name_long",
		"Win at http://evil.test": "tenant.name_link",
		"WWW.evil.test":           "tenant.name_link",
		"evil.test/login":         "tenant.name_link",
		"Call evil-bank.com":      "tenant.name_link",
		"evil．test":               "tenant.name_link",
		"evil。test":               "tenant.name_link",
		"192.0.2.1/x":             "tenant.name_link",
		"a\u200bb":                "tenant.name_unprintable",
		"a\u061cb":                "tenant.name_unprintable",
		"\ufeffa":                 "tenant.name_unprintable",
		"\u3164":                  "tenant.name_unprintable",
		"\u2800":                  "tenant.name_unprintable",
		"…!":                      "tenant.name_unprintable",
		"Smith Inc. & Sons Ltd.":  "",
		"J.R. Ewing":              "",
		strings.Repeat("ä", 80):   "",
		"A/B Testing, Inc.":       "",
		"Société Générale 株式会社":   "",
	} {
		_, err := readName(name)
		wants(t, err, fault.Invalid, code)
		if f := fault.As(err); f != nil && f.Field != "name" {
			t.Errorf("%q: the fault names the field %q", name, f.Field)
		}
	}
}

// Whoever has created as many organisations as one may makes no more keys.
func TestTooManyOrganisationsLeaveNoKeys(t *testing.T) {
	eachEngine(t, func(t *testing.T, w *world) {
		ada := w.person("Ada")
		by := w.as(ada, HomeOf(ada))
		for range maxOrganisations {
			if _, err := w.Create(ctx, by, "Orchard"); err != nil {
				t.Fatal(err)
			}
		}
		before, err := w.ring.Count(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			_, err := w.Create(ctx, by, "One more")
			wants(t, err, fault.Conflict, "tenant.too_many")
		}
		if after, err := w.ring.Count(ctx); err != nil || after != before {
			t.Errorf("the keyring grew from %d to %d, %v", before, after, err)
		}
	})
}

// A mail shows where the words of somebody else begin and end, and no words
// that would mislead, even if they were stored before names were read so.
func TestMailsQuoteNames(t *testing.T) {
	w := newWorld(t, optionsSQLite(t))
	org, people := w.organisation("Orchard")
	for name, shows := range map[string]string{
		"Ada Byron":                          "“Ada Byron” (ada@example.org) invites you to work in “Orchard” as a viewer.",
		"Ada” says":                          "“Ada' says” (ada@example.org) invites you",
		"visit https://evil.test/now":        "Somebody (ada@example.org) invites you",
		"Ada\n\nYour account is locked":      "Somebody (ada@example.org) invites you",
		strings.Repeat("You have won. ", 20): "Somebody (ada@example.org) invites you",
		"":                                   "Somebody (ada@example.org) invites you",
	} {
		w.names.mu.Lock()
		w.names.all[people[0]] = Profile{Name: name, Address: "ada@example.org", Confirmed: true}
		w.names.mu.Unlock()
		w.post.sent = nil
		address := strings.ToLower(string(id.New[id.Mail](w.clock.now()))) + "@example.org"
		if _, err := w.Invite(ctx, w.as(people[0], org), org, address, access.Viewer); err != nil {
			t.Fatal(err)
		}
		if body := w.post.sent[0].Body; !strings.HasPrefix(body, shows) || strings.Contains(body, "evil") {
			t.Errorf("the mail says:\n%s\nwant %q", body, shows)
		}
	}
	for name, want := range map[string]string{"Orchard": "Invitation to Orchard", "evil.test": "Invitation to an organisation"} {
		if got := subject(name); got != want {
			t.Errorf("the subject is %q, want %q", got, want)
		}
	}
}

func FuzzName(f *testing.F) {
	for _, s := range []string{"", "Ada", "a  b", "\xff", "e\u0301", "\u202e", "http://x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		name, err := readName(s)
		if err != nil {
			if fault.KindOf(err) != fault.Invalid {
				t.Fatalf("%q: %v", s, err)
			}
			return
		}
		if again, err := readName(name); err != nil || again != name {
			t.Fatalf("%q is read as %q, which is read as %q, %v", s, name, again, err)
		}
		if strings.ContainsAny(name, "\r\n\t\x00") || strings.TrimSpace(name) != name || name == "" {
			t.Fatalf("%q passes as %q", s, name)
		}
	})
}

// Every actor × every person × every new role, against the one rule: needs the
// permission, touches and gives at most the own role.
func TestWhoMayChangeWhom(t *testing.T) {
	w := newWorld(t, optionsSQLite(t))
	org, people := w.organisation("Org", access.Owner, access.Admin, access.Admin, access.Member, access.Member, access.Viewer, access.Viewer)
	of := map[access.Role][]id.Account{access.Owner: people[0:2], access.Admin: people[2:4], access.Member: people[4:6], access.Viewer: people[6:8]}
	reset := func(account id.Account, role access.Role) {
		wants(t, w.ChangeRole(ctx, access.System("test"), org, account, role), 0, "")
	}
	for _, actor := range access.Roles() {
		by := w.as(of[actor][0], org)
		for _, before := range access.Roles() {
			whom := of[before][1]
			for _, after := range access.Roles() {
				may := (actor == access.Owner || actor == access.Admin) && actor.Covers(before) && actor.Covers(after)
				err := w.ChangeRole(ctx, by, org, whom, after)
				if (err == nil) != may || err != nil && fault.KindOf(err) != fault.Denied {
					t.Errorf("%s makes a %s a %s: %v", actor, before, after, err)
				}
				want := before
				if may {
					want = after
				}
				if got := w.role(org, whom); got != want {
					t.Errorf("%s made a %s a %s: now %s", actor, before, after, got)
				}
				reset(whom, before)
			}
		}
	}
}

// raises remembers whose sessions ended, and fails when told to.
type raises struct {
	of   []id.Account
	fail error
}

func (r *raises) RaisedTx(_ *store.Tx, _ access.Subject, account id.Account) error {
	r.of = append(r.of, account)
	return r.fail
}

// Sessions end exactly when a role grows, and a role does not grow unless they do.
func TestSessionsEndWhenARoleGrows(t *testing.T) {
	eachEngine(t, func(t *testing.T, w *world) {
		org, people := w.organisation("Org", access.Viewer)
		by, whom := w.as(people[0], org), people[1]
		for _, before := range access.Roles() {
			for _, after := range access.Roles() {
				w.sessions = nil
				wants(t, w.ChangeRole(ctx, by, org, whom, before), 0, "")
				ended := &raises{}
				w.sessions = ended
				wants(t, w.ChangeRole(ctx, by, org, whom, after), 0, "")
				if grew := !before.Covers(after); (len(ended.of) == 1) != grew || grew && ended.of[0] != whom {
					t.Errorf("from %s to %s the sessions of %v ended", before, after, ended.of)
				}
			}
		}
		w.sessions = nil
		wants(t, w.ChangeRole(ctx, by, org, whom, access.Viewer), 0, "")
		w.sessions = &raises{fail: errors.New("no")}
		if err := w.ChangeRole(ctx, by, org, whom, access.Admin); err == nil || w.role(org, whom) != access.Viewer {
			t.Errorf("the role grew although sessions did not end: %v", err)
		}
	})
}

func TestWhoMayRemoveWhom(t *testing.T) {
	w := newWorld(t, optionsSQLite(t))
	org, people := w.organisation("Org", access.Owner, access.Admin, access.Member, access.Viewer)
	by := map[access.Role]id.Account{access.Owner: people[1], access.Admin: people[2], access.Member: people[3], access.Viewer: people[4]}
	for i, actor := range access.Roles() {
		for j, target := range access.Roles() {
			whom := w.join(org, people[0], fmt.Sprintf("P%d%d", i, j), target)
			may := (actor == access.Owner || actor == access.Admin) && actor.Covers(target)
			err := w.Remove(ctx, w.as(by[actor], org), org, whom)
			if (err == nil) != may || err != nil && fault.KindOf(err) != fault.Denied {
				t.Errorf("%s removes a %s: %v", actor, target, err)
			}
			if gone := w.role(org, whom) == access.RoleNone; gone != may {
				t.Errorf("%s removed a %s: gone is %v", actor, target, gone)
			}
		}
	}
}

func TestLastOwnerStays(t *testing.T) {
	eachEngine(t, func(t *testing.T, w *world) {
		org, people := w.organisation("Org", access.Admin)
		owner, admin := people[0], people[1]
		by := w.as(owner, org)
		wants(t, w.Leave(ctx, by, org), fault.Conflict, "tenant.last_owner")
		wants(t, w.Remove(ctx, by, org, owner), fault.Conflict, "tenant.last_owner")
		wants(t, w.ChangeRole(ctx, by, org, owner, access.Admin), fault.Conflict, "tenant.last_owner")
		wants(t, w.Remove(ctx, access.System("host"), org, owner), fault.Conflict, "tenant.last_owner")
		wants(t, w.ChangeRole(ctx, by, org, admin, access.Owner), 0, "")
		wants(t, w.Leave(ctx, by, org), 0, "")
		if w.role(org, owner) != access.RoleNone || w.role(org, admin) != access.Owner {
			t.Error("the organisation was not handed over")
		}
	})
}

// Whom an owner shares organisations with: for whether one can rest.
func TestCoOwners(t *testing.T) {
	eachEngine(t, func(t *testing.T, w *world) {
		_, alone := w.organisation("Alone", access.Admin, access.Member)
		_, shared := w.organisation("Shared", access.Owner, access.Admin)
		ask := func(who id.Account) (all [][]id.Account) {
			t.Helper()
			err := w.db.Read(ctx, func(tx *store.Tx) (err error) {
				all, err = w.CoOwnersTx(tx, who)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			return all
		}
		if all := ask(alone[0]); len(all) != 1 || len(all[0]) != 0 {
			t.Errorf("who owns one alone shares with %v", all)
		}
		if all := ask(shared[0]); len(all) != 1 || len(all[0]) != 1 || all[0][0] != shared[1] {
			t.Errorf("who owns one with another shares with %v", all)
		}
		for _, other := range []id.Account{alone[1], shared[2]} {
			if all := ask(other); len(all) != 0 {
				t.Errorf("who owns nothing but the own space shares %v", all)
			}
		}
	})
}

// Two owners step down at the same moment, each seeing the other: one does.
func TestTwoOwnersStepDownAtOnce(t *testing.T) {
	eachEngine(t, func(t *testing.T, w *world) {
		other := w.another()
		for round := range 8 {
			org, people := w.organisation(fmt.Sprintf("Org%d", round), access.Owner)
			first, second := w.as(people[0], org), w.as(people[1], org)
			acts := []func() error{
				func() error { return w.ChangeRole(ctx, first, org, people[0], access.Member) },
				func() error { return other.ChangeRole(ctx, second, org, people[1], access.Member) },
			}
			if round%2 == 1 { // each demotes the other one
				acts = []func() error{
					func() error { return w.ChangeRole(ctx, first, org, people[1], access.Member) },
					func() error { return other.Remove(ctx, second, org, people[0]) },
				}
			}
			errs := make([]error, 2)
			var wg sync.WaitGroup
			for i, act := range acts {
				wg.Go(func() { errs[i] = act() })
			}
			wg.Wait()
			won := 0
			for _, err := range errs {
				switch {
				case err == nil:
					won++
				case fault.KindOf(err) != fault.Conflict && fault.KindOf(err) != fault.Denied && fault.KindOf(err) != fault.NotFound:
					t.Errorf("round %d: %v", round, err)
				}
			}
			owners := 0
			for _, p := range people {
				if w.role(org, p) == access.Owner {
					owners++
				}
			}
			if won != 1 || owners != 1 {
				t.Fatalf("round %d: %d of two went through, %d owners are left: %v", round, won, owners, errs)
			}
		}
	})
}

// A request that began before a change of role does nothing after it.
func TestOvertakenRequestDoesNothing(t *testing.T) {
	eachEngine(t, func(t *testing.T, w *world) {
		org, people := w.organisation("Org", access.Admin, access.Member)
		late := w.as(people[1], org) // an admin, so far
		wants(t, w.ChangeRole(ctx, w.as(people[0], org), org, people[1], access.Viewer), 0, "")
		before := w.rows(org)
		_, err := w.Invite(ctx, late, org, "eve@example.org", access.Viewer)
		wants(t, err, fault.Denied, "tenant.standing")
		wants(t, w.Remove(ctx, late, org, people[2]), fault.Denied, "tenant.standing")
		wants(t, w.Rename(ctx, late, org, "Mine"), fault.Denied, "tenant.standing")
		wants(t, w.ChangeRole(ctx, late, org, people[1], access.Admin), fault.Denied, "tenant.standing")
		if after := w.rows(org); after != before {
			t.Errorf("something changed:\n%s\n%s", before, after)
		}
	})
}

// Whatever a person of another tenant asks, with the right identifiers, is
// "not found", changes nothing and leaves no trace in the tenant; the attempt
// stands in the log of the tenant in which the person works.
func TestForeignTenantIsNotThere(t *testing.T) {
	eachEngine(t, func(t *testing.T, w *world) {
		theirs, people := w.organisation("Theirs", access.Member)
		waiting, err := w.Invite(ctx, w.as(people[0], theirs), theirs, "new@example.org", access.Member)
		if err != nil {
			t.Fatal(err)
		}
		mine, eves := w.organisation("Mine", access.Member)
		eve := w.as(eves[0], mine)
		rows, log := w.rows(theirs), w.events(theirs)
		attempts := attemptsOn(w, eve, theirs, people[1], waiting)
		for name, attempt := range attempts {
			err := attempt()
			if fault.KindOf(err) != fault.NotFound {
				t.Errorf("%s in a foreign tenant: %v", name, err)
			}
			if f := fault.As(err); f != nil && strings.Contains(f.Error(), string(theirs)) {
				t.Errorf("%s: the answer names the tenant: %v", name, err)
			}
		}
		// Identifiers of the other tenant within the own one.
		for name, attempt := range attemptsOn(w, eve, mine, people[1], waiting) {
			if strings.HasPrefix(name, "one ") {
				if err := attempt(); fault.KindOf(err) != fault.NotFound {
					t.Errorf("%s, by a foreign identifier: %v", name, err)
				}
			}
		}
		if after := w.rows(theirs); after != rows {
			t.Errorf("the foreign tenant was changed:\n%s\n%s", rows, after)
		}
		if after := w.events(theirs); !slices.Equal(after, log) {
			t.Errorf("the attempts left a trace in the foreign tenant: %v", after)
		}
		refused := 0
		for _, e := range w.events(mine) {
			if strings.HasPrefix(e, "tenant.refused: ") {
				refused++
			}
		}
		if refused == 0 {
			t.Errorf("the attempts are not in the log of whoever made them: %v", w.events(mine))
		}
	})
}

// attemptsOn is every method that names a tenant; those that name something
// in it as well begin with "one".
func attemptsOn(w *world, by access.Subject, tenant id.Tenant, account id.Account, invitation id.Invitation) map[string]func() error {
	return map[string]func() error{
		"get":             func() error { _, err := w.Get(ctx, by, tenant); return err },
		"rename":          func() error { return w.Rename(ctx, by, tenant, "Taken over") },
		"people":          func() error { _, _, err := w.ListPeople(ctx, by, tenant, ""); return err },
		"one person":      func() error { _, err := w.GetPerson(ctx, by, tenant, account); return err },
		"one role":        func() error { return w.ChangeRole(ctx, by, tenant, account, access.Viewer) },
		"one removal":     func() error { return w.Remove(ctx, by, tenant, account) },
		"leave":           func() error { return w.Leave(ctx, by, tenant) },
		"invite":          func() error { _, err := w.Invite(ctx, by, tenant, "eve@example.org", access.Viewer); return err },
		"pending":         func() error { _, err := w.Pending(ctx, by, tenant); return err },
		"one resending":   func() error { return w.Resend(ctx, by, tenant, invitation) },
		"one revocation":  func() error { return w.Revoke(ctx, by, tenant, invitation) },
		"measure":         func() error { _, err := w.Measure(ctx, by, tenant); return err },
		"destroy":         func() error { return w.Destroy(ctx, by, tenant) },
		"one own removal": func() error { return w.Remove(ctx, by, tenant, "acc_00000000000000000000000000") },
	}
}

// Each method needs the permission of its row in the table of roles.
func TestEachMethodNeedsItsPermission(t *testing.T) {
	w := newWorld(t, optionsSQLite(t))
	org, people := w.organisation("Org", access.Admin, access.Member, access.Viewer)
	needs := map[string]access.Permission{
		"get": PermRead, "rename": PermRename, "people": PermPeople, "one person": PermPeople, "one role": PermRole,
		"one removal": PermRemove, "invite": PermInvite, "pending": PermInvite, "one resending": PermInvite,
		"one revocation": PermInvite, "measure": PermDelete, "destroy": PermDelete,
	}
	for i, role := range access.Roles() {
		by, another := w.as(people[i], org), people[(i+1)%4] // removing oneself is leaving
		for name, p := range needs {
			if by.May(p) {
				continue // what may be done is tested elsewhere
			}
			before := w.rows(org)
			err := attemptsOn(w, by, org, another, "inv_00000000000000000000000000")[name]()
			wants(t, err, fault.Denied, "access.denied")
			if w.rows(org) != before {
				t.Errorf("%s without %s changed something as %s", name, p, role)
			}
		}
		for name, attempt := range attemptsOn(w, access.Subject{}, org, people[3], "inv_00000000000000000000000000") {
			if fault.KindOf(attempt()) != fault.Unauthenticated {
				t.Errorf("%s by a stranger: %v", name, attempt())
			}
		}
	}
}

func TestListOfPeopleHasPages(t *testing.T) {
	w := newWorld(t, optionsSQLite(t))
	org, people := w.organisation("Org")
	err := w.db.Write(ctx, func(tx *store.Tx) error {
		tx.Unaudited("many people at once for the test")
		for range 2*pageLimit + 5 {
			if err := insertPersonTx(tx, org, personRow{id.New[id.Account](w.clock.now()), access.Viewer, w.clock.now()}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	seen, pages := map[id.Account]bool{}, 0
	for after := id.Account(""); ; {
		list, next, err := w.ListPeople(ctx, w.as(people[0], org), org, after)
		if err != nil {
			t.Fatal(err)
		}
		pages++
		for _, p := range list {
			if seen[p.Account] {
				t.Fatalf("%s is listed twice", p.Account)
			}
			seen[p.Account] = true
		}
		if next == "" {
			break
		}
		after = next
	}
	if len(seen) != 2*pageLimit+6 || pages != 3 {
		t.Errorf("%d people on %d pages", len(seen), pages)
	}
}

// What happened reads as sentences, with who did it to whom.
func TestSentencesOfTheLog(t *testing.T) {
	eachEngine(t, func(t *testing.T, w *world) {
		org, people := w.organisation("Org", access.Viewer)
		by := w.as(people[0], org)
		wants(t, w.ChangeRole(ctx, by, org, people[1], access.Member), 0, "")
		wants(t, w.ChangeRole(ctx, w.as(people[1], org), org, people[1], access.Owner), fault.Denied, "access.denied")
		wants(t, w.Remove(ctx, by, org, people[1]), 0, "")
		var types []string
		for _, e := range w.events(org) {
			name, sentence, _ := strings.Cut(e, ": ")
			types = append(types, name)
			if sentence == "" || strings.ContainsAny(sentence, "{}") {
				t.Errorf("%s has the sentence %q", name, sentence)
			}
		}
		if want := []string{"tenant.created", "tenant.invited", "tenant.joined", "tenant.role_changed", "tenant.refused", "tenant.removed"}; !slices.Equal(types, want) {
			t.Errorf("the log says %v", types)
		}
	})
}

// Each type of event is written by somebody, and has its sentence.
func TestEventsAreRegistered(t *testing.T) {
	seen := map[string]bool{}
	for _, e := range Events {
		if seen[e.Name] || e.Sentence == "" {
			t.Errorf("%q stands twice or has no sentence", e.Name)
		}
		seen[e.Name] = true
		if (e.Outcome == audit.Denied) != (e.Name == "tenant.refused") {
			t.Errorf("%q has the outcome %s", e.Name, e.Outcome)
		}
	}
}
