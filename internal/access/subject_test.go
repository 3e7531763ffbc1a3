package access

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"troth/internal/audit"
	"troth/internal/fault"
)

// person makes a subject without a database, as Person does.
func person(b *book, role Role, staff bool) Subject {
	return (&Access{book: b}).subject(SignedIn{Account: "acc_1", Tenant: "ten_a", Staff: staff, Resistant: staff}, decision{role: role, version: 3})
}

func mustBook(t testing.TB) *book {
	b, err := newBook(sample())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The zero Subject, and whatever can be written into the exported fields of
// one, may do nothing.
func TestZeroSubjectMayDoNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := Subject{
			Kind:    rapid.SampledFrom([]Kind{KindNobody, KindPerson, KindSystem, 77}).Draw(t, "kind"),
			Role:    rapid.SampledFrom(append(Roles(), RoleNone)).Draw(t, "role"),
			Staff:   rapid.Bool().Draw(t, "staff"),
			Account: "acc_1",
		}
		p := Permission(rapid.SampledFrom([]string{"org.read", "own.see", "platform.see", "", "nothing.here"}).Draw(t, "permission"))
		if s.May(p) || s.Require(p) == nil || s.In("ten_a") == nil || s.In("") == nil || len(s.Permissions()) > 0 {
			t.Fatalf("%+v may %s", s, p)
		}
	})
	if err := (Subject{}).Require("org.read"); fault.KindOf(err) != fault.Unauthenticated {
		t.Errorf("a stranger is told %v", err)
	}
	if got := (Subject{}).Actor().Kind; got != audit.KindStranger {
		t.Errorf("a stranger is logged as %q", got)
	}
	if System("").May("org.read") {
		t.Error("a system without a name may do something")
	}
}

func TestWhatEachMay(t *testing.T) {
	b := mustBook(t)
	for _, c := range []struct {
		name string
		s    Subject
		may  []string
	}{
		{"owner", person(b, Owner, false), []string{"org.delete", "org.invite", "org.read", "org.work", "own.see"}},
		{"admin", person(b, Admin, false), []string{"org.invite", "org.read", "org.work", "own.see"}},
		{"member", person(b, Member, false), []string{"org.read", "org.work", "own.see"}},
		{"viewer", person(b, Viewer, false), []string{"org.read", "own.see"}},
		{"no role", person(b, RoleNone, false), []string{"own.see"}},
		{"unknown role", person(b, "boss", false), []string{"own.see"}},
		{"staff without a role", person(b, RoleNone, true), []string{"own.see", "platform.see"}},
		{"staff who are viewers", person(b, Viewer, true), []string{"org.read", "own.see", "platform.see"}},
	} {
		if got := c.s.Permissions(); !slices.Equal(got, c.may) {
			t.Errorf("%s: may %v, want %v", c.name, got, c.may)
		}
		for _, g := range b.grants {
			may := slices.Contains(c.may, string(g.Permission))
			if c.s.May(g.Permission) != may || (c.s.Require(g.Permission) == nil) != may {
				t.Errorf("%s: %s differs between May, Require and the list", c.name, g.Permission)
			}
		}
		if c.s.May("nobody.registered") {
			t.Errorf("%s may what nobody registered", c.name)
		}
	}
	if s := System("operator on the host"); !s.May("org.delete") || s.In("ten_a") != nil || s.Actor().Name != "operator on the host" {
		t.Errorf("the system is refused: %+v", s)
	}
}

func TestForeignTenantIsNotFound(t *testing.T) {
	b := mustBook(t)
	if err := person(b, Owner, true).In("ten_b"); fault.KindOf(err) != fault.NotFound {
		t.Errorf("a foreign tenant answers %v", err)
	}
	if err := person(b, Viewer, false).In("ten_a"); err != nil {
		t.Errorf("the own tenant answers %v", err)
	}
	s := person(b, RoleNone, false)
	if s.Tenant != "" || fault.KindOf(s.In("ten_a")) != fault.NotFound {
		t.Errorf("who has no role there works in %q", s.Tenant)
	}
}

func TestSentences(t *testing.T) {
	b := mustBook(t)
	a := &Access{book: b}
	for _, c := range []struct {
		s       Subject
		p       Permission
		denied  string
		explain string
	}{
		{person(b, Member, false), "org.invite",
			"You may not invite people: as a member you lack the permission org.invite. Here, owners and admins have it: ask one of them.",
			"You may not invite people as a member. With the role of an admin or a higher one you could."},
		{person(b, RoleNone, false), "org.work", "you work in none at the moment", "you have no role here. With the role of a member"},
		{person(b, Owner, false), "platform.see", "only staff of this service have the permission platform.see", "only staff of this service may"},
		{person(b, Owner, false), "no.such", "nobody has the permission no.such", "not registered"},
		{person(b, Admin, false), "org.invite", "", "You may invite people because you are an admin here."},
		{person(b, RoleNone, true), "platform.see", "", "because you are staff of this service"},
		{person(b, Viewer, false), "own.see", "", "as everybody may who is signed in"},
		{(&Access{book: b}).subject(SignedIn{Account: "acc_1", Staff: true}, decision{}), "platform.see", "only when they signed in with a passkey", "only when you signed in with a passkey"},
		{Subject{}, "org.read", "Sign in first.", "Nobody is signed in."},
		{System("scheduler"), "org.read", "", "it acts here as scheduler"},
	} {
		err := c.s.Require(c.p)
		if (err == nil) != (c.denied == "") || err != nil && !strings.Contains(err.Error(), c.denied) {
			t.Errorf("%s: refused with %v, want %q", c.p, err, c.denied)
		}
		if got := a.Explain(c.s, c.p).String(); !strings.Contains(got, c.explain) {
			t.Errorf("%s: explained as %q, want %q", c.p, got, c.explain)
		}
	}
}

// Two subjects with the same session and tenant and other permissions have
// other versions.
func TestVersionTellsPermissionsApart(t *testing.T) {
	b := mustBook(t)
	a := &Access{book: b}
	who := SignedIn{Account: "acc_1", Tenant: "ten_a"}
	member := a.subject(who, decision{role: Member, version: 3})
	admin := a.subject(who, decision{role: Admin, version: 4})
	who.Staff, who.Resistant = true, true
	staff := a.subject(who, decision{role: Member, version: 3})
	if member.Version == admin.Version || member.Version == staff.Version || admin.Version == staff.Version {
		t.Errorf("versions %d, %d, %d", member.Version, admin.Version, staff.Version)
	}
}
