package app

import (
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"troth/internal/access"
	"troth/internal/id"
	"troth/internal/tenant"
	"troth/internal/trust"
	"troth/internal/web"
)

// TestWorld lets people and attackers loose on an installation, while time
// passes in leaps, and holds a plain model of who may do what against it after
// every step: the next request already obeys. At the end the log verifies, holds
// every action that was acknowledged, and nothing secret lies about.
func TestWorld(t *testing.T) {
	t.Parallel()
	check(t, "world", 12, func(p *property) {
		w := newWorld(t, p)
		p.run.Repeat(map[string]func(*rapid.T){
			"":                   w.holds,
			"sign up":            w.signUp,
			"sign up, too late":  w.confirmLate,
			"sign in":            w.signIn,
			"guess a password":   w.guess,
			"lock out":           w.lockOut,
			"sign out":           w.signOut,
			"end other sessions": w.endOthers,
			"change password":    w.changePassword,
			"found":              w.found,
			"invite":             w.invite,
			"accept":             w.accept,
			"revoke":             w.revoke,
			"change role":        w.changeRole,
			"remove":             w.remove,
			"leave":              w.leave,
			"switch":             w.switchTenant,
			"replay a link":      w.replayLink,
			"replay a cookie":    w.replayCookie,
			"foreign identifier": w.foreign,
			"let time pass":      w.pass,
		})
		w.end()
	})
}

// world is an installation and what the model knows about it.
type world struct {
	*house
	up       *behind
	people   []*dweller
	browsers []*browser
	orgs     []*org
	invited  []*invitation
	used     []string          // paths of links that are used up
	secrets  map[string]string // what must be found nowhere
	expected map[string]int    // events of actions that were acknowledged
	wrong    map[string]int    // events of actions that were refused and must be told
	n        int
}

// dweller is a person.
type dweller struct {
	name, address, password string
	account                 id.Account
	met                     bool // signed in before
	guessed                 int  // wrong guesses of strangers in a row
}

// browser is where somebody is, or was, signed in.
type browser struct {
	*trust.Visitor
	of         *dweller
	ended      bool
	met        bool // its person signed in here before
	seen, from time.Time
	proven     time.Time // when its person last proved to be who it is
	tenant     id.Tenant // the session's; without a role there, it works in the own space
}

type org struct {
	id    id.Tenant
	roles map[id.Account]access.Role
}

type invitation struct {
	link    string
	org     *org
	to      *dweller
	by      *dweller
	role    access.Role
	expires time.Time
	over    bool
}

func newWorld(t *testing.T, p *property) *world {
	up := upstream(p)
	h := raise(p, func(s *Settings) {
		s.site.Upstream = up.URL
		s.permissions = []permission{{Name: "note.write", Roles: []string{"member"}}}
		s.routes = []route{{Path: "/write/", Access: "note.write"}}
	})
	w := &world{house: h, up: up, secrets: map[string]string{}, expected: map[string]int{}, wrong: map[string]int{}}
	founder := w.arrive()
	o := w.foundBy(w.browserOf(founder))
	for _, role := range []access.Role{access.Admin, access.Member} {
		d := w.arrive()
		w.inviteAs(w.browserOf(founder), o, access.Owner, d, role)
		w.answered(w.browserOf(d), w.invited[len(w.invited)-1])
	}
	return w
}

// happened notes that an action was acknowledged, and what its event is.
func (w *world) happened(event string) { w.expected[event]++ }

func (w *world) now() time.Time { return w.clock.now() }

// The lifetimes that the model knows.
const (
	idleLife     = 12 * time.Hour
	absoluteLife = 30 * 24 * time.Hour
)

// alive is what the model says about a session.
func (w *world) alive(b *browser) bool {
	return !b.ended && w.now().Before(b.seen.Add(idleLife)) && w.now().Before(b.from.Add(absoluteLife))
}

// worksAs is the tenant in which a browser works, and the role there.
func (w *world) worksAs(b *browser) (id.Tenant, access.Role) {
	for _, o := range w.orgs {
		if role, ok := o.roles[b.of.account]; ok && o.id == b.tenant {
			return o.id, role
		}
	}
	return tenant.HomeOf(b.of.account), access.Owner
}

func (w *world) orgOf(t id.Tenant) *org {
	for _, o := range w.orgs {
		if o.id == t {
			return o
		}
	}
	return nil
}

// pick draws one of a list, and skips the step when there is none.
func pick[T any](run *rapid.T, what string, list []T) T {
	if len(list) == 0 {
		run.Skip("no " + what)
	}
	return rapid.SampledFrom(list).Draw(run, what)
}

// live draws a browser that is signed in; whatever it does then keeps it.
func (w *world) live(run *rapid.T) *browser {
	alive := slices.DeleteFunc(slices.Clone(w.browsers), func(b *browser) bool { return !w.alive(b) })
	if len(alive) == 0 {
		w.signIn(run)
		return w.browsers[len(w.browsers)-1]
	}
	b := pick(run, "browser", alive)
	b.seen = w.now()
	return b
}

// inside draws a browser that works in an organisation.
func (w *world) inside(run *rapid.T) (*browser, *org, access.Role) {
	b := pick(run, "browser", slices.DeleteFunc(slices.Clone(w.browsers), func(b *browser) bool {
		t, _ := w.worksAs(b)
		return !w.alive(b) || w.orgOf(t) == nil
	}))
	b.seen = w.now()
	t, role := w.worksAs(b)
	return b, w.orgOf(t), role
}

// post sends a form. Whoever has lost the role in the tenant in which the
// session works is told so once, and nothing is done; then it works at home.
func (w *world) post(b *browser, path string, fields ...string) *trust.Page {
	w.t.Helper()
	if b.of != nil && b.tenant != "" && w.alive(b) && !slices.Contains(leaves, path) {
		if at, _ := w.worksAs(b); at != b.tenant {
			p, err := b.Post(w.t.Context(), path, fields...)
			w.want(p, err, http.StatusConflict)
			w.happened("account.tenant_lost")
			b.tenant = at
		}
	}
	w.proves(b)
	p, err := b.Post(w.t.Context(), path, fields...)
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

// recent reports whether what is sensitive asks nothing.
func (w *world) recent(b *browser) bool {
	return b.proven.IsZero() || w.now().Sub(b.proven) < web.RecentFor-time.Minute
}

// proves proves again who somebody is, where what is sensitive would ask.
func (w *world) proves(b *browser) {
	w.t.Helper()
	if b.of == nil || !w.alive(b) || w.recent(b) {
		return
	}
	p, err := b.Post(w.t.Context(), "/-/again", "password", b.of.password)
	w.want(p, err, http.StatusSeeOther)
	w.happened("account.proven_again")
	w.secrets[b.Cookie("__Host-troth")] = "the token of a session"
	b.proven = w.now()
}

// answers asserts the status that the model predicts.
func (w *world) answers(p *trust.Page, status int) bool {
	w.t.Helper()
	w.want(p, nil, status)
	return status == http.StatusSeeOther
}

// arrive is a new person who signs up, confirms and signs in.
func (w *world) arrive() *dweller {
	w.t.Helper()
	w.n++
	d := &dweller{name: fmt.Sprintf("Dweller%dTarn", w.n)}
	d.address, d.password = addressOf("dweller"+strconv.Itoa(w.n)), passwordOf(d.name)
	b := &browser{Visitor: w.visitor(), of: d}
	since := w.now()
	w.answers(w.post(b, "/-/signup", "email", d.address, "name", d.name, "password", d.password), http.StatusSeeOther)
	w.happened("account.sign_up_asked")
	link := w.linkIn(w.letter(d.address, since))
	w.keepSecret(link, d)
	w.answers(w.post(b, link), http.StatusSeeOther)
	w.happened("account.signed_up")
	w.happened("tenant.founded")
	w.used = append(w.used, link)
	d.account = w.accountOf(d.address)
	w.people = append(w.people, d)
	w.enter(b)
	return d
}

// keepSecret adds what must be found nowhere: the token of a link, and what is
// personal about somebody.
func (w *world) keepSecret(link string, d *dweller) {
	w.secrets[link[strings.LastIndexByte(link, '/')+1:]] = "the token of a link"
	w.secrets[d.password] = "a password"
	w.secrets[d.address] = "an address"
	w.secrets[d.name] = "a name"
}

// enter signs a browser in.
func (w *world) enter(b *browser) {
	w.t.Helper()
	w.answers(w.post(b, "/-/signin", "email", b.of.address, "password", b.of.password), http.StatusSeeOther)
	w.happened("account.signed_in")
	if b.of.met && !b.met {
		w.happened("account.new_browser")
	}
	if !b.met {
		b.of.guessed = 0
	}
	b.of.met, b.met = true, true
	w.remember(b)
	b.tenant = tenant.HomeOf(b.of.account)
}

// remember notes that a browser has a new session.
func (w *world) remember(b *browser) {
	w.secrets[b.Cookie("__Host-troth")] = "the token of a session"
	b.seen, b.from, b.proven, b.ended = w.now(), w.now(), w.now(), false
	if !slices.Contains(w.browsers, b) {
		w.browsers = append(w.browsers, b)
	}
	w.forget()
}

// forget bounds how many browsers are looked at, the dead ones first.
func (w *world) forget() {
	for i := 0; len(w.browsers) > 9 && i < len(w.browsers); {
		if w.alive(w.browsers[i]) {
			i++
			continue
		}
		w.browsers = slices.Delete(w.browsers, i, i+1)
	}
}

// String keeps what a failing run prints readable.
func (b *browser) String() string { return "a browser of " + b.of.name }
func (d *dweller) String() string { return d.name }
func (o *org) String() string     { return string(o.id) }
func (i *invitation) String() string {
	return "an invitation of " + i.to.name + " to " + string(i.org.id) + " as " + string(i.role)
}

// stolen is a copy of a browser's cookies that a thief keeps.
func (w *world) stolen(b *browser) {
	w.browsers = append(w.browsers, &browser{Visitor: w.copyOf(b.Visitor), of: b.of, ended: true, tenant: b.tenant})
	w.forget()
}

// holds compares every browser with the model: who it is, and what it may do in
// the pages and in the application.
func (w *world) holds(*rapid.T) {
	ctx := w.t.Context()
	for i, b := range w.browsers {
		alive := w.alive(b)
		in, role := w.worksAs(b)
		if in == b.tenant {
			w.proves(b)
		}
		expect := func(may bool) []int {
			switch {
			case !alive:
				return []int{http.StatusSeeOther}
			case may:
				return []int{http.StatusOK}
			}
			return []int{http.StatusForbidden}
		}
		for path, may := range map[string]bool{
			"/-/account/": true, "/-/org/people": role.Covers(access.Member), "/-/org/invite": role.Covers(access.Admin), "/write/note": role.Covers(access.Member),
		} {
			if path == "/-/org/invite" && alive && !w.recent(b) {
				continue // it asks first, and a form of the lost tenant would be sent by that
			}
			w.up.take()
			p, err := b.Get(ctx, path)
			if err != nil {
				w.t.Fatal(err)
			}
			if !slices.Contains(expect(may), p.Status) {
				w.t.Fatalf("browser %d of %s (alive %v, %s in %s): %s answered %d: %s", i, b.of.name, alive, role, in, path, p.Status, told(p))
			}
			if path == "/write/note" {
				w.reached(b, alive && may, in, role)
			}
		}
		if alive {
			b.seen = w.now()
		}
	}
}

// reached compares what the application was told.
func (w *world) reached(b *browser, should bool, in id.Tenant, role access.Role) {
	w.t.Helper()
	reached := w.up.take()
	if should != (len(reached) == 1) {
		w.t.Fatalf("%s as %s: the application was reached %d times", b.of.name, role, len(reached))
	}
	if !should {
		return
	}
	a := assertion(w.t, reached[0])
	if a.Subject != string(b.of.account) || a.Tenant != string(in) || !slices.Equal(a.Roles, []string{string(role)}) {
		w.t.Fatalf("the application was told %+v about %s, who is %s in %s", a, b.of.name, role, in)
	}
}

func (w *world) end() {
	w.t.Helper()
	state := filepath.Join(w.t.TempDir(), "seen")
	w.proven(state)
	w.jump(time.Second)
	w.proven(state) // the log continues what was seen
	have := w.events()
	for name, n := range w.expected {
		if have[name] != n {
			w.t.Errorf("%d actions %s were acknowledged, and %d events stand in the log", n, name, have[name])
		}
	}
	for name, n := range w.wrong {
		if have[name] < min(n, 1) {
			w.t.Errorf("%d refusals %s, and none stands in the log", n, name)
		}
	}
	w.keepsQuiet(w.secrets)
}
