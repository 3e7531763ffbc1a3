package web

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"troth/internal/access"
	"troth/internal/id"
	"troth/internal/text"
)

// NavItem is one entry of the navigation. It is shown to whom its route would
// let in.
type NavItem struct {
	Section string            // the heading it stands under, in English: "Organisation"
	Label   string            // the entry, in English: "People"
	Path    string            // where it leads; entries under it mark it as current too
	Covers  []string          // other pages that belong to it, with what is under them
	Icon    string            // a symbol of the sprite; "" is none
	Needs   access.Permission // what the subject must be allowed to do
	Order   int               // smaller comes first; a section stands where its first entry stands
	Shared  bool              // of no use in a personal space, which one person has alone
}

// Choice is one tenant that a person may switch to.
type Choice struct {
	ID       id.Tenant
	Name     string
	Personal bool // the person's own space
}

// Menu is what the header of a page says about the person who reads it.
type Menu struct {
	Name    string   // the person's name, or the address if there is none
	Address string   // the e-mail address
	Tenants []Choice // those that the person belongs to, the current one included
	Notices []Announcement
}

// Announcement stands on every page until its reader has done something.
type Announcement struct {
	Text  text.Text
	Path  string // where that is done
	Label string // the words of the link, in English
}

// Menus finds the menu of a person.
type Menus interface {
	// Menu reads the person's name and tenants; it may answer from a cache.
	// When it fails, pages are shown without them.
	Menu(ctx context.Context, by access.Subject) (Menu, error)
}

// section is a heading of the navigation with the entries that may be seen.
type section struct {
	Label string
	Items []navEntry
}

type navEntry struct {
	NavItem
	Current bool
}

// navigation lists what the subject may see, less what is of no use in a
// personal space; the entry with the longest path above this page is current.
func navigation(items []NavItem, by access.Subject, personal bool, path string) []section {
	var out []section
	current, deepest := "", 0
	for _, it := range items {
		for _, page := range append([]string{it.Path}, it.Covers...) {
			if under(path, page) && len(page) > deepest {
				current, deepest = it.Path, len(page)
			}
		}
	}
	for _, it := range sortNav(items) {
		if it.Needs != "" && !by.May(it.Needs) || it.Shared && personal {
			continue
		}
		i := slices.IndexFunc(out, func(s section) bool { return s.Label == it.Section })
		if i < 0 {
			out = append(out, section{Label: it.Section})
			i = len(out) - 1
		}
		out[i].Items = append(out[i].Items, navEntry{it, it.Path == current})
	}
	return out
}

// under reports whether a path is an entry's page or one below it.
func under(path, entry string) bool {
	entry = strings.TrimSuffix(entry, "/")
	return path == entry || strings.HasPrefix(path, entry+"/")
}

// sortNav returns the items by order, then by section and label.
func sortNav(items []NavItem) []NavItem {
	out := slices.Clone(items)
	slices.SortStableFunc(out, func(a, b NavItem) int {
		return cmp.Or(cmp.Compare(a.Order, b.Order), cmp.Compare(a.Section, b.Section), cmp.Compare(a.Label, b.Label))
	})
	return out
}
