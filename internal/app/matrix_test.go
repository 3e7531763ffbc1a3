package app

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"troth/internal/access"
	auditplug "troth/internal/audit/plug"
	"troth/internal/id"
	"troth/internal/part"
	"troth/internal/store"
	"troth/internal/trust"
	"troth/internal/web"
)

// subject is one kind of whoever may send a request.
type subject struct {
	kind   string
	signed bool
	role   access.Role // in the tenant in which the session works
	staff  bool
	inside bool // works in the organisation whose identifiers are tried
	gone   bool // was removed while the session worked there: now it works in the own space
	who    *who
}

// may is what the grants say, read anew from what the parts registered; that
// the program computes the same is what the matrix shows.
func (s *subject) may(grants map[access.Permission]access.Grant, r web.Route) bool {
	return r.Public != "" || s.has(grants, r.Needs)
}

func (s *subject) has(grants map[access.Permission]access.Grant, p access.Permission) bool {
	g, ok := grants[p]
	return ok && s.signed && (g.Self || g.Staff && s.staff || slices.Contains(g.Roles, s.role))
}

// settledAs reports whether a role in the organisation, and working there, is
// how the subject was made.
func (s *subject) settledAs(role access.Role, there bool) bool {
	switch {
	case s.inside:
		return role == s.role && there
	case s.gone:
		return role == access.RoleNone && there
	}
	return true
}

func (s *subject) roleThere() access.Role {
	if s.gone {
		return access.Member
	}
	return s.role
}

// town is an installation with an organisation and every kind of subject.
type town struct {
	*house
	org      id.Tenant
	subjects []*subject
	values   map[string]string // an identifier of the organisation for every wildcard that names one
	grants   map[access.Permission]access.Grant
}

// narrower is what more somebody needs who is not concerned, to be shown a
// thing of the own tenant at all.
var narrower = map[string]access.Permission{"event": auditplug.PermRead}

// nameless are the wildcards that name nothing of anybody's.
var nameless = []string{"token", "path", "digest", "id", "mail", "hash", "file", "passkey", "factor"}

func inhabit(t *testing.T, change ...func(*Settings)) *town {
	t.Helper()
	h := raise(t, change...)
	staff := h.owner("root")
	owner, admin, member, viewer := h.person("olga"), h.person("adam"), h.person("mimi"), h.person("vito")
	foreign, alone, gone := h.person("fara"), h.person("solo"), h.person("gone")
	org := owner.organisation("Orchard")
	for w, role := range map[*who]access.Role{admin: access.Admin, member: access.Member, viewer: access.Viewer, gone: access.Member} {
		w.join(owner.invite(w.address, role), org)
	}
	foreign.organisation("Fen")
	p, err := owner.Post(t.Context(), "/-/org/people/"+string(gone.account)+"/remove")
	h.want(p, err, http.StatusSeeOther)
	owner.invite(addressOf("nobody-yet"), access.Viewer)
	v := &town{house: h, org: org, values: map[string]string{"account": string(member.account)}, grants: map[access.Permission]access.Grant{}}
	v.subjects = []*subject{
		{kind: "stranger", who: &who{Visitor: h.visitor(), h: h}},
		{kind: "a person who was removed", signed: true, role: access.Owner, gone: true, who: gone},
		{kind: "a person in the own space", signed: true, role: access.Owner, who: alone},
		{kind: "viewer", signed: true, role: access.Viewer, inside: true, who: viewer},
		{kind: "member", signed: true, role: access.Member, inside: true, who: member},
		{kind: "admin", signed: true, role: access.Admin, inside: true, who: admin},
		{kind: "owner", signed: true, role: access.Owner, inside: true, who: owner},
		{kind: "another organisation's owner", signed: true, role: access.Owner, who: foreign},
		{kind: "staff", signed: true, role: access.Owner, staff: true, who: staff},
	}
	h.read(func(tx *store.Tx) error {
		var invitation, event string
		if err := tx.QueryRow(`SELECT invitation FROM tenant_invitation WHERE tenant = $1 AND outcome = ''`, org).Scan(&invitation); err != nil {
			return err
		}
		v.values["invitation"] = invitation
		err := tx.QueryRow(`SELECT event FROM audit_event WHERE tenant = $1 ORDER BY event LIMIT 1`, org).Scan(&event)
		v.values["event"] = event
		return err
	})
	if _, err := h.in.audit.Sequence(t.Context()); err != nil { // an event has its proof only then
		t.Fatal(err)
	}
	for _, g := range h.in.access.Grants() {
		v.grants[g.Permission] = g
	}
	return v
}

// domain digests what a refused request must not have changed.
func (v *town) domain() string {
	v.t.Helper()
	sum := sha256.New()
	v.read(func(tx *store.Tx) error {
		for _, q := range []string{
			`SELECT account, state, staff, password, name FROM account ORDER BY account`,
			`SELECT tenant, kind, name, founder, '' FROM tenant ORDER BY tenant`,
			`SELECT tenant, account, role, since, '' FROM tenant_person ORDER BY tenant, account`,
			`SELECT tenant, invitation, role, outcome, sent FROM tenant_invitation ORDER BY tenant, invitation`,
			`SELECT tenant, factor_from, forgets, '', '' FROM tenant_policy ORDER BY tenant`,
			`SELECT session, account, tenant, '', '' FROM session ORDER BY session`,
		} {
			rows, err := tx.Query(q)
			if err != nil {
				return err
			}
			for rows.Next() {
				row := make([]any, 5)
				if err := rows.Scan(&row[0], &row[1], &row[2], &row[3], &row[4]); err != nil {
					rows.Close()
					return err
				}
				fmt.Fprintf(sum, "%v\n", row)
			}
			rows.Close()
		}
		return nil
	})
	return string(sum.Sum(nil))
}

// everything is a form with all the fields that any form of Troth has, each
// with a value that the form would take.
func (v *town) everything() url.Values {
	return url.Values{
		"email": {addressOf("intruder")}, "name": {"Intruder"}, "password": {passwordOf("intruder")}, "current": {passwordOf("intruder")},
		"role": {"owner"}, "tenant": {string(v.org)}, "session": {"others"}, "code": {"000000"},
		"factor": {"on"}, "grace": {"0"}, "forgets": {"on"},
	}
}

// restore undoes what an allowed request did to a subject: it left, signed out
// or was removed.
func (v *town) restore(s *subject) {
	v.t.Helper()
	if !s.signed {
		return
	}
	var role access.Role
	v.read(func(tx *store.Tx) error {
		if err := tx.QueryRow(`SELECT role FROM tenant_person WHERE tenant = $1 AND account = $2`, v.org, s.who.account).Scan(&role); !errors.Is(err, store.ErrNoRows) {
			return err
		}
		return nil
	})
	_, at := v.worksIn(s.who.account)
	if answer, err := s.who.Get(v.t.Context(), "/-/account/"); err == nil && answer.Status == http.StatusOK && s.settledAs(role, at == v.org) {
		return
	}
	v.put(s, `UPDATE account SET state = 'active' WHERE account = $1`, s.who.account) // it may have been deactivated
	if s.inside || s.gone {
		v.put(s, `INSERT INTO tenant_person (tenant, account, role, since) VALUES ($1, $2, $3, 1)
			ON CONFLICT (tenant, account) DO UPDATE SET role = excluded.role`, v.org, s.who.account, s.roleThere())
	}
	p, err := s.who.Get(v.t.Context(), "/-/account/")
	if v.want(p, err, http.StatusOK, http.StatusSeeOther).Status == http.StatusSeeOther {
		s.who.signIn()
		if s.staff {
			s.who.asWithPasskey()
		}
	}
	if s.inside || s.gone {
		s.who.switchTo(v.org)
	}
	if s.gone {
		v.put(s, `DELETE FROM tenant_person WHERE tenant = $1 AND account = $2`, v.org, s.who.account)
	}
}

func (v *town) put(s *subject, query string, args ...any) {
	v.t.Helper()
	err := v.in.db.Write(v.t.Context(), func(tx *store.Tx) error {
		tx.Unaudited("a test puts somebody back")
		if _, err := tx.Exec(query, args...); err != nil {
			return err
		}
		return v.in.access.ChangedTx(tx, v.org, s.who.account)
	})
	if err != nil {
		v.t.Fatal(err)
	}
}

func (v *town) send(s *subject, r web.Route, path string, form url.Values) *trust.Page {
	v.t.Helper()
	var p *trust.Page
	var err error
	if r.Method == http.MethodGet {
		p, err = s.who.Get(v.t.Context(), path)
	} else {
		p, err = s.who.PostForm(v.t.Context(), path, form)
	}
	if err != nil {
		v.t.Fatal(err)
	}
	return p
}

// refusedFor reports whether an answer is the refusal of a subject.
func refusedFor(s *subject, r web.Route, p *trust.Page) bool {
	switch {
	case s.signed:
		return p.Status == http.StatusForbidden
	case r.Method == http.MethodGet:
		return p.Status == http.StatusSeeOther && strings.HasPrefix(p.Header.Get("Location"), "/-/signin?return_to=")
	}
	return p.Status == http.StatusUnauthorized
}

// TestEveryRouteForEverySubject sends every route of every part as every kind
// of subject, and compares with what Needs, Public and the grants say.
func TestEveryRouteForEverySubject(t *testing.T) {
	t.Parallel()
	v := inhabit(t)
	routes := part.All(v.in.parts, func(p part.Part) []web.Route { return p.Routes })
	if len(routes) < 40 {
		t.Fatalf("found only %d routes", len(routes))
	}
	cells := 0
	for _, r := range routes {
		for _, s := range v.subjects {
			t.Run(r.Pattern()+"/"+s.kind, func(t *testing.T) {
				v.t = t
				cells++
				v.cell(t, s, r)
			})
		}
	}
	v.t = t
	t.Logf("%d routes × %d kinds of subject: %d requests", len(routes), len(v.subjects), cells)
}

// leaves are the forms that leave a session or a tenant, and act in none.
var leaves = []string{"/-/signin", "/-/signout", "/-/switch"}

func leaving(path string) bool {
	return slices.Contains(leaves, path) || strings.HasPrefix(path, "/-/signin/")
}

func (v *town) cell(t *testing.T, s *subject, r web.Route) {
	named, shown := false, s.inside // the path names something of the organisation; who sees it
	for _, w := range r.Wildcards() {
		_, ok := v.values[w]
		if p, special := narrower[w]; special {
			shown = shown && s.has(v.grants, p)
		}
		if named = named || ok; !ok && !slices.Contains(nameless, w) {
			t.Fatalf("nothing says what {%s} names: give the matrix an identifier of the organisation, or add it to nameless", w)
		}
	}
	path := r.URL(v.values)
	if s.gone && r.Method != http.MethodGet && !leaving(r.Path) {
		// What was still open is refused once, whatever it is; then it is as in
		// any personal space.
		v.restore(s)
		if p := v.send(s, r, path, v.everything()); p.Status != http.StatusConflict {
			t.Errorf("a form of the organisation that was still open is answered %d, not 409: %s", p.Status, told(p))
		}
	}
	if s.may(v.grants, r) {
		p := v.send(s, r, path, url.Values{})
		switch {
		case s.gone && r.Method != http.MethodGet && p.Status == http.StatusConflict: // nothing lands in the own space instead
		case p.Status >= 500, p.Status == http.StatusMethodNotAllowed, r.Public == "" && refusedFor(s, r, p), p.Status == http.StatusForbidden:
			t.Errorf("may, and is answered %d: %s", p.Status, told(p))
		case named && !shown && p.Status != http.StatusNotFound:
			t.Errorf("an identifier of what is not shown to them is answered %d, not 404: %s", p.Status, told(p))
		case named && shown && r.Method == http.MethodGet && p.Status != http.StatusOK:
			t.Errorf("an identifier of the own tenant is answered %d: %s", p.Status, told(p))
		}
		if r.Method != http.MethodGet {
			for _, each := range v.subjects {
				v.restore(each)
			}
		}
		return
	}
	before := v.domain()
	p := v.send(s, r, path, v.everything())
	if !refusedFor(s, r, p) {
		t.Errorf("may not, and is answered %d: %s", p.Status, told(p))
	}
	if v.domain() != before {
		t.Error("may not, and something changed all the same")
	}
}

// TestForeignIdentifiersInForms: an identifier in a form names nothing either,
// when it is another's.
func TestForeignIdentifiersInForms(t *testing.T) {
	t.Parallel()
	v := inhabit(t)
	owner, foreign := v.subjects[6].who, v.subjects[7].who
	theirs, _ := v.worksIn(owner.account)
	for _, form := range []struct{ path, field, value string }{
		{"/-/switch", "tenant", string(v.org)},
		{"/-/switch", "tenant", string(owner.home())},
		{"/-/switch", "tenant", string(id.Platform)},
		{"/-/account/sessions", "session", string(theirs)},
		{"/-/org/people?after=" + string(owner.account), "", ""},
	} {
		before := v.domain()
		if form.field == "" { // a cursor: it only says where the own list goes on
			p, err := foreign.Get(t.Context(), form.path)
			if v.want(p, err, http.StatusOK); strings.Contains(p.Body, owner.address) || strings.Contains(p.Body, "olga") {
				t.Errorf("%s shows another tenant's people", form.path)
			}
			continue
		}
		p, err := foreign.Post(t.Context(), form.path, form.field, form.value)
		v.want(p, err, http.StatusNotFound)
		if v.domain() != before {
			t.Errorf("%s with %s=%s changed something", form.path, form.field, form.value)
		}
	}
}

// TestAuthorizationDocument compares docs/authorization.md with what the parts
// say; UPDATE=1 writes it anew.
func TestAuthorizationDocument(t *testing.T) {
	t.Parallel()
	h := raise(t)
	golden(t, "../../docs/authorization.md", authorization(h.in.parts))
}

// authorization renders who may do what, from the parts alone.
func authorization(parts []part.Part) string {
	grants := map[access.Permission]access.Grant{}
	for _, g := range part.All(parts, func(p part.Part) []access.Grant { return p.Permissions }) {
		grants[g.Permission] = g
	}
	columns := []*subject{
		{kind: "stranger"}, {kind: "signed in", signed: true},
		{kind: "viewer", signed: true, role: access.Viewer}, {kind: "member", signed: true, role: access.Member},
		{kind: "admin", signed: true, role: access.Admin}, {kind: "owner", signed: true, role: access.Owner},
		{kind: "staff", signed: true, staff: true},
	}
	var b strings.Builder
	b.WriteString("# Who may do what\n\nRendered from the parts, and held against every route by `TestEveryRouteForEverySubject`,\n" +
		"which sends each one as each kind of subject through the front door. `UPDATE=1 go test -run TestAuthorizationDocument ./internal/app` writes this file anew.\n\n" +
		"*Signed in* is what everybody has without a role. The roles are those in the tenant in which the session works: everybody is the owner of the own space. *Staff* is\n" +
		"what the platform owner has besides, in a session that began with a passkey. An identifier of another tenant is answered like one that never existed: 404.\n" +
		"*Proven anew*: when somebody signed in more than 15 minutes ago, the route asks again who it is.\n")
	head := func(first ...string) {
		for _, c := range columns {
			first = append(first, c.kind)
		}
		fmt.Fprintf(&b, "\n| %s |\n|%s\n", strings.Join(first, " | "), strings.Repeat(" --- |", len(first)))
	}
	row := func(may func(*subject) bool, first ...string) {
		for _, c := range columns {
			first = append(first, map[bool]string{true: "✓", false: "·"}[may(c)])
		}
		fmt.Fprintf(&b, "| %s |\n", strings.Join(first, " | "))
	}
	b.WriteString("\n## Permissions\n")
	head("permission", "to …")
	names := make([]string, 0, len(grants))
	for name := range grants {
		names = append(names, string(name))
	}
	slices.Sort(names)
	for _, name := range names {
		g := grants[access.Permission(name)]
		row(func(s *subject) bool { return s.has(grants, g.Permission) }, "`"+name+"`", g.Doc)
	}
	for _, p := range parts {
		if len(p.Routes) == 0 {
			continue
		}
		fmt.Fprintf(&b, "\n## Routes of %s\n", p.Name)
		head("route", "what it does", "needs")
		for _, r := range p.Routes {
			needs := "`" + string(r.Needs) + "`"
			if r.Public != "" {
				needs = "public: " + r.Public
			}
			if r.Recent {
				needs += ", proven anew"
			}
			row(func(s *subject) bool { return s.may(grants, r) }, "`"+r.Pattern()+"`", r.Doc, needs)
		}
	}
	return b.String()
}
