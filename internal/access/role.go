package access

import (
	"fmt"

	"troth/internal/fault"
	"troth/internal/text"
)

// Role is what a person is in a tenant.
type Role string

// The roles, from the highest to none. Each has every permission of the ones
// after it.
const (
	Owner    Role = "owner"  // answers for the tenant: may also delete it and make owners
	Admin    Role = "admin"  // runs it day by day: people, roles up to admin, settings
	Member   Role = "member" // works in it
	Viewer   Role = "viewer" // looks at what it is shown
	RoleNone Role = ""       // is not in it
)

// Roles lists the roles that can be given, highest first.
func Roles() []Role { return []Role{Owner, Admin, Member, Viewer} }

// ranks is how many kinds of standing there are, RoleNone included.
const ranks = 5

func (r Role) rank() int {
	switch r {
	case Owner:
		return 4
	case Admin:
		return 3
	case Member:
		return 2
	case Viewer:
		return 1
	}
	return 0
}

// ParseRole reads a role that can be given to a person; anything else is
// fault.Invalid on the field "role".
func ParseRole(s string) (Role, error) {
	if r := Role(s); r.rank() > 0 {
		return r, nil
	}
	return RoleNone, fault.New(fault.Invalid, "access.role",
		"Choose one of the roles owner, admin, member or viewer.").On("role")
}

// Covers reports whether a role is at least the other: whoever has it has
// everything that the other gives.
func (r Role) Covers(other Role) bool { return r.rank() >= other.rank() }

// AtLeast lists a role and all above it: what a [Grant] of the role is.
func AtLeast(r Role) []Role {
	var list []Role
	for _, each := range Roles() {
		if each.Covers(r) {
			list = append(list, each)
		}
	}
	return list
}

// Text is the role as a word with its article: "an admin".
func (r Role) Text() text.Text {
	switch r {
	case Owner:
		return text.New("an owner")
	case Admin:
		return text.New("an admin")
	case Member:
		return text.New("a member")
	case Viewer:
		return text.New("a viewer")
	}
	return text.New("nobody")
}

// holders says who has something that a role and all above it have.
func (r Role) holders() text.Text {
	switch r {
	case Owner:
		return text.New("owners")
	case Admin:
		return text.New("owners and admins")
	case Member:
		return text.New("owners, admins and members")
	}
	return text.New("all people")
}

// closed reports whether a list of roles contains with each role all above it.
func closed(list []Role) error {
	var has [ranks]bool
	for _, r := range list {
		if r.rank() == 0 {
			return fmt.Errorf("%q is no role", r)
		}
		has[r.rank()] = true
	}
	for _, r := range list {
		for _, above := range AtLeast(r) {
			if !has[above.rank()] {
				return fmt.Errorf("the role %s has it and %s, which is higher, has not", r, above)
			}
		}
	}
	return nil
}

// least is the lowest role of a closed list, RoleNone for an empty one.
func least(list []Role) Role {
	low := RoleNone
	for _, r := range list {
		if low == RoleNone || low.Covers(r) {
			low = r
		}
	}
	return low
}
