package access

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Permission is the name of something that can be allowed: the part that
// checks it, a dot, and a verb or noun ("tenant.invite").
type Permission string

// Grant registers a permission and says who has it. At least one of Roles,
// Self and Staff is set.
type Grant struct {
	Permission Permission
	Doc        string // completes "You may …": "invite people by e-mail"; a text key
	Roles      []Role // who has it in the tenant in which they work; see AtLeast
	Self       bool   // every signed-in person has it, in any tenant and in none
	Staff      bool   // staff of the installation have it
}

// limit is how many permissions there can be: 4 × 64 bits, 32 bytes in every
// subject. The whole design has fewer than 100 of its own.
const limit = 4 * 64

// bits is a set of permissions.
type bits [limit / 64]uint64

func (b *bits) set(i uint8) { b[i/64] |= 1 << (i % 64) }

func (b *bits) has(i uint8) bool { return b[i/64]&(1<<(i%64)) != 0 }

func (b *bits) add(o *bits) {
	for i := range b {
		b[i] |= o[i]
	}
}

// book is the register of permissions, made once and then only read.
type book struct {
	grants      []Grant // sorted by name; the position is the bit
	index       map[Permission]uint8
	role        [ranks]bits
	self, staff bits
}

// name is the form of a permission: two or more dotted lower-case words.
var name = regexp.MustCompile(`^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+$`)

const nameLimit = 64

func newBook(grants []Grant) (*book, error) {
	b := &book{grants: slices.Clone(grants), index: make(map[Permission]uint8, len(grants))}
	slices.SortFunc(b.grants, func(x, y Grant) int { return strings.Compare(string(x.Permission), string(y.Permission)) })
	if len(grants) > limit {
		return nil, fmt.Errorf("%d permissions are registered; there can be at most %d: give fewer of them names of their own", len(grants), limit)
	}
	var defects []error
	for i, g := range b.grants {
		if err := g.check(); err != nil {
			defects = append(defects, fmt.Errorf("the permission %q: %w", g.Permission, err))
			continue
		}
		if _, twice := b.index[g.Permission]; twice {
			defects = append(defects, fmt.Errorf("the permission %q is registered twice: rename one of the two", g.Permission))
		}
		bit := uint8(i)
		b.index[g.Permission] = bit
		for _, r := range g.Roles {
			b.role[r.rank()].set(bit)
		}
		if g.Self {
			b.self.set(bit)
		}
		if g.Staff {
			b.staff.set(bit)
		}
	}
	return b, errors.Join(defects...)
}

func (g Grant) check() error {
	switch {
	case len(g.Permission) > nameLimit || !name.MatchString(string(g.Permission)):
		return errors.New(`a name is dotted lower-case words of at most 64 characters, such as "note.write"`)
	case g.Doc == "":
		return errors.New(`say what it allows, in words that complete "You may …"`)
	case len(g.Roles) == 0 && !g.Self && !g.Staff:
		return errors.New("nobody has it: name roles, or say that it is for every signed-in person or for staff")
	}
	return closed(g.Roles)
}

// grant finds a registered permission.
func (b *book) grant(p Permission) (Grant, bool) {
	i, ok := b.index[p]
	if !ok {
		return Grant{}, false
	}
	return b.grants[i], true
}

// Application turns the permissions that the operator configured for the
// application into grants: name → the roles that have it. A permission given
// to a role is given to the higher ones too. Names that begin with a word of
// reserved (the parts of Troth) are refused.
func Application(permissions map[string][]string, reserved ...string) ([]Grant, error) {
	var grants []Grant
	var defects []error
	for p, roles := range permissions {
		g := Grant{Permission: Permission(p), Doc: "do what the application calls " + p}
		first, _, _ := strings.Cut(p, ".")
		if slices.Contains(reserved, first) {
			defects = append(defects, fmt.Errorf("the permission %q: names that begin with %q belong to Troth: choose another first word", p, first))
		}
		var list []Role
		for _, r := range roles {
			role, err := ParseRole(r)
			if err != nil {
				defects = append(defects, fmt.Errorf("the permission %q: %q is no role: choose from owner, admin, member and viewer", p, r))
			}
			list = append(list, role)
		}
		if low := least(list); low != RoleNone {
			g.Roles = AtLeast(low)
		}
		if err := g.check(); err != nil {
			defects = append(defects, fmt.Errorf("the permission %q: %w", p, err))
		}
		grants = append(grants, g)
	}
	slices.SortFunc(grants, func(x, y Grant) int { return strings.Compare(string(x.Permission), string(y.Permission)) })
	return grants, errors.Join(defects...)
}
