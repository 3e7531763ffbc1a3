package tenant

import (
	"errors"
	"strings"
	"testing"

	"troth/internal/access"
	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/keys"
	"troth/internal/store"
)

func TestDestroyedMeansDestroyed(t *testing.T) {
	eachEngine(t, func(t *testing.T, w *world) {
		org, people := w.organisation("Doomed", access.Admin, access.Member)
		if _, err := w.Invite(ctx, w.as(people[0], org), org, "bob@example.org", access.Viewer); err != nil {
			t.Fatal(err)
		}
		token := w.token("bob@example.org")
		other, theirs := w.organisation("Other")
		untouched := w.rows(other)
		owner := w.as(people[0], org)

		if s, err := w.Measure(ctx, owner, org); err != nil || s.People != 3 || s.Pending != 1 {
			t.Errorf("the destruction would end %+v, %v", s, err)
		}
		wants(t, w.Destroy(ctx, w.as(people[1], org), org), fault.Denied, "access.denied")
		wants(t, w.Destroy(ctx, owner, org), 0, "")

		for _, p := range people {
			if s := w.as(p, org); s.Role != access.RoleNone || s.Tenant != "" || s.May(PermRead) {
				t.Errorf("%s still works in it: %+v", p, s)
			}
			own, err := w.Own(ctx, w.as(p, HomeOf(p)))
			if err != nil || len(own) != 1 {
				t.Errorf("%s still lists %+v, %v", p, own, err)
			}
		}
		_, err := w.Get(ctx, owner, org) // a request that is still on its way
		wants(t, err, fault.NotFound, "access.foreign")
		_, err = w.Look(ctx, access.Subject{}, token)
		wants(t, err, fault.NotFound, "access.foreign")
		if _, err := w.k.Open(ctx, w.place(org), nil, keys.TenantRef(org)); err == nil {
			t.Error("the key still opens")
		}
		if err := w.k.Create(ctx, keys.TenantRef(org), 32); fault.KindOf(err) != fault.Gone {
			t.Errorf("the key can be made again: %v", err)
		}
		if rows := w.rows(org); strings.Count(rows, "\n") != 1 {
			t.Errorf("what is left of it:\n%s", rows)
		}
		if w.rows(other) != untouched || w.role(other, theirs[0]) != access.Owner {
			t.Error("another organisation was touched")
		}
		platform := strings.Join(w.events(id.Platform), "\n")
		if !strings.Contains(platform, "tenant.ended: ") || !strings.Contains(platform, "tenant.key_destroyed: ") || !strings.Contains(platform, string(org)) || strings.Contains(platform, "Doomed") {
			t.Errorf("the platform's log says:\n%s", platform)
		}
		wants(t, w.Destroy(ctx, access.System("host"), org), fault.NotFound, "access.foreign")
		wants(t, w.Shred(ctx), 0, "")
	})
}

// Between the transaction and the destruction of the key the process dies: the
// job finishes it, once.
func TestDestructionIsFinished(t *testing.T) {
	eachEngine(t, func(t *testing.T, w *world) {
		org, people := w.organisation("Doomed")
		err := w.db.Write(ctx, func(tx *store.Tx) error {
			tx.Unaudited("half of a destruction")
			_, err := destroyTx(tx, org, w.clock.now())
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if w.role(org, people[0]) != access.RoleNone {
			t.Error("somebody still works in it")
		}
		for range 2 {
			wants(t, w.Shred(ctx), 0, "")
		}
		if _, err := w.k.Secret(ctx, keys.TenantRef(org)); fault.KindOf(err) != fault.Gone {
			t.Errorf("the key is still there: %v", err)
		}
		n := 0
		for _, e := range w.events(id.Platform) {
			if strings.HasPrefix(e, "tenant.key_destroyed: ") {
				n++
			}
		}
		if n != 1 {
			t.Errorf("the destruction of the key is recorded %d times", n)
		}
	})
}

func TestSizesShowNoContent(t *testing.T) {
	eachEngine(t, func(t *testing.T, w *world) {
		org, people := w.organisation("Plans", access.Member)
		var all []Size
		for after := id.Tenant(""); ; {
			list, next, err := w.Sizes(ctx, access.System("host"), after)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, list...)
			if next == "" {
				break
			}
			after = next
		}
		if len(all) != 3 { // the organisation and two personal spaces
			t.Fatalf("%d tenants: %+v", len(all), all)
		}
		for _, s := range all {
			if s.ID == org && (s.Kind != Organisation || s.People != 2) {
				t.Errorf("the organisation is %+v", s)
			}
		}
		_, _, err := w.Sizes(ctx, w.as(people[0], org), "")
		wants(t, err, fault.Denied, "access.denied")
		staff, err := w.acc.Person(ctx, access.SignedIn{Account: people[1], Tenant: HomeOf(people[1]), Staff: true, Resistant: true})
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := w.Sizes(ctx, staff, ""); err != nil {
			t.Errorf("staff may not count: %v", err)
		}
		if _, err := w.Measure(ctx, staff, org); fault.KindOf(err) != fault.NotFound {
			t.Errorf("staff looks into an organisation: %v", err)
		}
	})
}

func TestAccountLeavesEverything(t *testing.T) {
	eachEngine(t, func(t *testing.T, w *world) {
		first, ones := w.organisation("First", access.Owner)
		leaver := ones[1]
		second, twos := w.organisation("Second")
		address := w.names.all[leaver].Address
		if _, err := w.Invite(ctx, w.as(twos[0], second), second, address, access.Viewer); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Accept(ctx, w.as(leaver, HomeOf(leaver)), w.token(address)); err != nil {
			t.Fatal(err)
		}
		leave := func(who id.Account, home id.Tenant) error {
			return w.db.Write(ctx, func(tx *store.Tx) error {
				tx.Unaudited("package account records what it does")
				return w.LeaveTx(ctx, tx, who, home)
			})
		}
		wants(t, leave(ones[0], HomeOf(leaver)), fault.Conflict, "tenant.no_home")
		wants(t, leave(leaver, HomeOf(leaver)), 0, "")
		for _, tenant := range []id.Tenant{first, second, HomeOf(leaver)} {
			if w.role(tenant, leaver) != access.RoleNone {
				t.Errorf("a role is left in %s", tenant)
			}
		}
		wants(t, leave(twos[0], HomeOf(twos[0])), fault.Conflict, "tenant.last_owner")
		if w.role(second, twos[0]) != access.Owner || w.role(HomeOf(twos[0]), twos[0]) != access.Owner {
			t.Error("a refused departure changed something")
		}
		wants(t, w.Shred(ctx), 0, "")
		if _, err := w.k.Secret(ctx, keys.TenantRef(HomeOf(leaver))); fault.KindOf(err) != fault.Gone {
			t.Errorf("the key of the home is still there: %v", err)
		}
		wants(t, leave(leaver, HomeOf(leaver)), 0, "") // again, as after a crash
	})
}

// Each store operation of each action fails, once before and once after it
// took effect: whatever was done was done whole, with its event.
func TestFaultSweep(t *testing.T) {
	var at, seen int
	var how store.Outcome
	o := optionsSQLite(t)
	o.Fault = func(string) store.Outcome {
		seen++
		if seen == at {
			return how
		}
		return store.Works
	}
	w := newWorld(t, o)
	org, people := w.organisation("Org", access.Member)
	bob := w.person("Bob")
	by := func() access.Subject { return w.as(people[0], org) }
	actions := map[string]struct {
		prepare func() access.Subject
		act     func(access.Subject) error
		event   string
	}{
		"change": {
			func() access.Subject {
				must(t, w.ChangeRole(ctx, access.System("test"), org, people[1], access.Member))
				return by()
			},
			func(s access.Subject) error { return w.ChangeRole(ctx, s, org, people[1], access.Viewer) }, "tenant.role_changed",
		},
		"rename": {by, func(s access.Subject) error { return w.Rename(ctx, s, org, "Org") }, "tenant.renamed"},
		"join": {
			func() access.Subject {
				if w.role(org, bob) != access.RoleNone {
					must(t, w.Remove(ctx, by(), org, bob))
				}
				_, err := w.Invite(ctx, by(), org, "bob@example.org", access.Viewer)
				if fault.KindOf(err) != fault.Conflict {
					must(t, err)
				}
				return w.as(bob, HomeOf(bob))
			},
			func(s access.Subject) error {
				_, err := w.Accept(ctx, s, w.token("bob@example.org"))
				return err
			}, "tenant.joined",
		},
	}
	for name, action := range actions {
		for _, how = range []store.Outcome{store.Lost, store.Persisted} {
			for n := 1; ; n++ {
				at = 0
				s := action.prepare()
				before, events := w.rows(org), count(w, org, action.event)
				at, seen = n, 0
				err := action.act(s)
				reached := seen >= n
				at = 0
				changed := w.rows(org) != before
				if written := count(w, org, action.event) - events; written > 1 || changed != (written == 1) {
					t.Fatalf("%s, operation %d, %v: changed %v with %d events (%v)", name, n, how, changed, written, err)
				}
				if err == nil && !changed {
					t.Fatalf("%s, operation %d, %v: acknowledged, and nothing was done", name, n, how)
				}
				if !reached {
					break
				}
				if n > 100 {
					t.Fatal("an action takes more than 100 operations")
				}
			}
		}
	}
}

func count(w *world, tenant id.Tenant, event string) (n int) {
	err := w.db.Read(ctx, func(tx *store.Tx) error {
		return tx.QueryRow(`SELECT count(*) FROM audit_event WHERE tenant = $1 AND type = $2`, tenant, event).Scan(&n)
	})
	if err != nil && !errors.Is(err, store.ErrNoRows) {
		w.t.Fatal(err)
	}
	return n
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
