package access

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func sample() []Grant {
	return []Grant{
		{Permission: "org.read", Doc: "look", Roles: AtLeast(Viewer)},
		{Permission: "org.work", Doc: "work", Roles: AtLeast(Member)},
		{Permission: "org.invite", Doc: "invite people", Roles: AtLeast(Admin)},
		{Permission: "org.delete", Doc: "delete the organisation", Roles: AtLeast(Owner)},
		{Permission: "own.see", Doc: "see your own account", Self: true},
		{Permission: "platform.see", Doc: "see the installation", Staff: true},
	}
}

func TestBookRefuses(t *testing.T) {
	many := make([]Grant, limit+1)
	for i := range many {
		many[i] = Grant{Permission: Permission(fmt.Sprintf("p.n%d", i)), Doc: "do", Self: true}
	}
	cases := map[string]struct {
		grants []Grant
		says   string
	}{
		"twice":          {append(sample(), Grant{Permission: "org.read", Doc: "look", Self: true}), `"org.read" is registered twice`},
		"no dot":         {[]Grant{{Permission: "read", Doc: "x", Self: true}}, "dotted lower-case words"},
		"upper case":     {[]Grant{{Permission: "org.Read", Doc: "x", Self: true}}, "dotted lower-case words"},
		"trailing dot":   {[]Grant{{Permission: "org.", Doc: "x", Self: true}}, "dotted lower-case words"},
		"wildcard":       {[]Grant{{Permission: "org.*", Doc: "x", Self: true}}, "dotted lower-case words"},
		"undocumented":   {[]Grant{{Permission: "org.read", Self: true}}, "say what it allows"},
		"nobody has it":  {[]Grant{{Permission: "org.read", Doc: "x"}}, "nobody has it"},
		"unknown role":   {[]Grant{{Permission: "org.read", Doc: "x", Roles: []Role{"boss"}}}, `"boss" is no role`},
		"none as role":   {[]Grant{{Permission: "org.read", Doc: "x", Roles: []Role{RoleNone}}}, `"" is no role`},
		"a gap above":    {[]Grant{{Permission: "org.read", Doc: "x", Roles: []Role{Member, Owner}}}, "admin, which is higher, has not"},
		"too many":       {many, "257 permissions"},
		"several at one": {[]Grant{{Permission: "bad", Doc: "x", Self: true}, {Permission: "org.x"}}, "say what it allows"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if _, err := newBook(c.grants); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("error %v does not say %q", err, c.says)
			}
		})
	}
	if _, err := newBook(many[:limit]); err != nil {
		t.Errorf("%d permissions are refused: %v", limit, err)
	}
}

func TestHigherRolesHaveEverything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, limit).Draw(t, "permissions")
		grants := make([]Grant, n)
		for i := range grants {
			grants[i] = Grant{
				Permission: Permission(fmt.Sprintf("p.n%d", i)), Doc: "do",
				Roles: AtLeast(rapid.SampledFrom(Roles()).Draw(t, "least")),
				Self:  rapid.Bool().Draw(t, "self"),
			}
		}
		b, err := newBook(grants)
		if err != nil {
			t.Fatal(err)
		}
		for _, g := range b.grants {
			bit := b.index[g.Permission]
			for _, r := range Roles() {
				if got, want := b.role[r.rank()].has(bit), r.Covers(least(g.Roles)); got != want {
					t.Fatalf("%s has %s: %v, want %v", r, g.Permission, got, want)
				}
			}
			if b.role[RoleNone.rank()].has(bit) {
				t.Fatalf("who has no role has %s", g.Permission)
			}
			if b.self.has(bit) != g.Self || b.staff.has(bit) {
				t.Fatalf("%s: self or staff differ from what was registered", g.Permission)
			}
		}
	})
}

func TestApplication(t *testing.T) {
	grants, err := Application(map[string][]string{"note.write": {"member"}, "note.purge": {"admin", "owner"}}, "tenant")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := newBook(grants); err != nil {
		t.Fatalf("what was configured is refused: %v", err)
	}
	if g := grants[1]; g.Permission != "note.write" || least(g.Roles) != Member || len(g.Roles) != 3 {
		t.Errorf("note.write for members became %+v", g)
	}
	for says, bad := range map[string]map[string][]string{
		`belong to Troth`:       {"tenant.delete": {"viewer"}},
		`"boss" is no role`:     {"note.write": {"boss"}},
		`nobody has it`:         {"note.write": {}},
		`dotted lower-case`:     {"Note.Write": {"member"}},
		`dotted lower-case wor`: {"tenant": {"member"}},
	} {
		if _, err := Application(bad, "tenant"); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v: error %v does not say %q", bad, err, says)
		}
	}
}

func TestRoles(t *testing.T) {
	for i, r := range Roles() {
		for j, o := range Roles() {
			if r.Covers(o) != (i <= j) {
				t.Errorf("%s covers %s: %v", r, o, r.Covers(o))
			}
		}
		if RoleNone.Covers(r) || !r.Covers(RoleNone) {
			t.Errorf("%s and none", r)
		}
		if got, err := ParseRole(string(r)); got != r || err != nil {
			t.Errorf("reading %q: %q, %v", r, got, err)
		}
	}
	for _, s := range []string{"", "Owner", "owner ", "root"} {
		if _, err := ParseRole(s); err == nil {
			t.Errorf("%q passes for a role", s)
		}
	}
	if Role("boss").Covers(Viewer) {
		t.Error("an unknown role covers viewer")
	}
}
