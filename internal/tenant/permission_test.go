package tenant

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"troth/internal/access"
)

// The table in the comment is the one that decides.
func TestTableOfRolesIsTrue(t *testing.T) {
	src, err := os.ReadFile("permission.go")
	if err != nil {
		t.Fatal(err)
	}
	documented := map[access.Permission][]access.Role{}
	for _, m := range regexp.MustCompile(`(?m)^//\t(tenant\.\w+) +([× ]+)(?:\S.*)?$`).FindAllStringSubmatch(string(src), -1) {
		documented[access.Permission(m[1])] = access.Roles()[:strings.Count(m[2], "×")]
	}
	n := 0
	for _, g := range Grants() {
		if len(g.Roles) == 0 {
			continue
		}
		n++
		if !slices.Equal(documented[g.Permission], g.Roles) {
			t.Errorf("%s: the comment says %v, the register %v", g.Permission, documented[g.Permission], g.Roles)
		}
		if g.Self || g.Staff {
			t.Errorf("%s is given by a role and without one", g.Permission)
		}
	}
	if n != len(documented) {
		t.Errorf("%d permissions are given by roles, %d are documented", n, len(documented))
	}
}
