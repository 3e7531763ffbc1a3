package app

import (
	"net/http"
	"slices"
	"time"

	"pgregory.net/rapid"

	"troth/internal/access"
	"troth/internal/id"
	"troth/internal/store"
	"troth/internal/tenant"
)

const worldPeople = 6

func (w *world) signUp(run *rapid.T) {
	if len(w.people) >= worldPeople {
		run.Skip("enough people")
	}
	w.arrive()
}

// confirmLate signs up and opens the link after its time: nobody is made.
func (w *world) confirmLate(*rapid.T) {
	w.n++
	d := &dweller{name: "LateDweller", address: addressOf("late"), password: passwordOf("late")}
	b := &browser{Visitor: w.visitor(), of: d}
	since := w.now()
	w.answers(w.post(b, "/-/signup", "email", d.address, "name", d.name, "password", d.password), http.StatusSeeOther)
	w.happened("account.sign_up_asked")
	link := w.linkIn(w.letter(d.address, since))
	w.keepSecret(link, d)
	w.jump(24*time.Hour + time.Minute)
	w.answers(w.post(b, link), http.StatusGone)
	w.answers(w.post(b, "/-/signin", "email", d.address, "password", d.password), http.StatusUnauthorized)
	w.wrong["account.sign_in_failed"]++
	w.used = append(w.used, link)
}

func (w *world) signIn(run *rapid.T) {
	if len(w.browsers) > 12 {
		run.Skip("enough browsers")
	}
	w.enter(&browser{Visitor: w.visitor(), of: pick(run, "person", w.people)})
}

func (w *world) guess(run *rapid.T) {
	d := pick(run, "person", w.people)
	if d.guessed == bearsGuesses-1 {
		run.Skip("strangers would wait")
	}
	w.guessAt(d, d.password+"!")
	d.guessed++
}

// guessAt is a sign-in of a stranger that is refused, whatever the password is.
func (w *world) guessAt(d *dweller, password string) {
	w.t.Helper()
	b := &browser{Visitor: w.visitor(), of: d}
	w.answers(w.post(b, "/-/signin", "email", d.address, "password", password), http.StatusUnauthorized)
	w.wrong["account.sign_in_failed"]++
	if b.Cookie("__Host-troth") != "" {
		w.t.Fatal("what is refused gives a cookie")
	}
}

// bearsGuesses is how many wrong guesses in a row bring no pause, and pause how
// long the first one is.
const (
	bearsGuesses = 5
	pause        = time.Minute
)

// lockOut has strangers guess until they have to wait. Then the right password
// is of no use to them, the holder is told, and signs in in a known browser all
// the same. When the time is over, a new browser does too.
func (w *world) lockOut(run *rapid.T) {
	if len(w.browsers) > 12 {
		run.Skip("enough browsers")
	}
	d := pick(run, "person", w.people)
	own := &browser{Visitor: w.visitor(), of: d}
	w.enter(own)
	w.answers(w.post(own, "/-/signout"), http.StatusSeeOther)
	w.happened("account.signed_out")
	since := w.now()
	for range bearsGuesses {
		w.guessAt(d, d.password+"!")
	}
	w.wrong["account.guesses_paused"]++
	w.keepSecret(w.linkIn(w.letter(d.address, since)), d)
	w.guessAt(d, d.password)
	w.enter(own)
	w.guessAt(d, d.password) // that ended no pause
	w.jump(pause)
	w.enter(&browser{Visitor: w.visitor(), of: d})
}

func (w *world) signOut(run *rapid.T) {
	b := w.live(run)
	w.stolen(b)
	w.answers(w.post(b, "/-/signout"), http.StatusSeeOther)
	w.happened("account.signed_out")
	b.ended = true
}

func (w *world) endOthers(run *rapid.T) {
	b := w.live(run)
	w.answers(w.post(b, "/-/account/sessions", "session", "others"), http.StatusSeeOther)
	w.happened("account.sessions_ended")
	w.endAll(b.of, b)
}

func (w *world) endAll(d *dweller, but *browser) {
	for _, each := range w.browsers {
		if each.of == d && each != but {
			each.ended = true
		}
	}
}

func (w *world) changePassword(run *rapid.T) {
	b := w.live(run)
	in, _ := w.worksAs(b)
	next := b.of.password + "+"
	if len(next) > 60 {
		run.Skip("a long password")
	}
	w.stolen(b)
	w.answers(w.post(b, "/-/account/password", "current", b.of.password, "password", next), http.StatusSeeOther)
	w.happened("account.password_changed")
	w.endAll(b.of, nil)
	b.of.password, b.tenant = next, in
	w.remember(b)
}

func (w *world) found(run *rapid.T) {
	if len(w.orgs) >= 3 {
		run.Skip("enough organisations")
	}
	w.foundBy(w.live(run))
}

func (w *world) foundBy(b *browser) *org {
	w.answers(w.post(b, "/-/org/new", "name", "Guild of "+string(b.of.account[len(b.of.account)-4:])), http.StatusSeeOther)
	w.happened("tenant.created")
	w.happened("account.tenant_switched")
	o := &org{roles: map[id.Account]access.Role{b.of.account: access.Owner}}
	w.read(func(tx *store.Tx) error {
		return tx.QueryRow(`SELECT tenant FROM tenant WHERE founder = $1 ORDER BY tenant DESC LIMIT 1`, b.of.account).Scan(&o.id)
	})
	b.tenant = o.id
	w.orgs = append(w.orgs, o)
	return o
}

func (w *world) invite(run *rapid.T) {
	b, o, role := w.inside(run)
	to := pick(run, "guest", w.people)
	offered := rapid.SampledFrom(access.Roles()).Draw(run, "role")
	w.inviteAs(b, o, role, to, offered)
}

func (w *world) inviteAs(b *browser, o *org, role access.Role, to *dweller, offered access.Role) {
	_, in := o.roles[to.account]
	waiting := slices.ContainsFunc(w.invited, func(i *invitation) bool { return i.org == o && i.to == to && w.waits(i) })
	since := w.now()
	p := w.post(b, "/-/org/invite", "email", to.address, "role", string(offered))
	switch {
	case !role.Covers(access.Admin), !role.Covers(offered):
		w.answers(p, http.StatusForbidden)
		w.wrong["access.denied"]++
	case waiting || in && p.Status != http.StatusSeeOther:
		w.answers(p, http.StatusConflict)
	default:
		w.answers(p, http.StatusSeeOther)
		w.happened("tenant.invited")
		link := w.linkIn(w.letter(to.address, since))
		w.keepSecret(link, to)
		w.invited = append(w.invited, &invitation{link: link, org: o, to: to, by: b.of, role: offered, expires: since.Add(tenant.InvitationLives)})
	}
}

func (w *world) waits(i *invitation) bool { return !i.over && w.now().Before(i.expires) }

func (w *world) accept(run *rapid.T) {
	i := pick(run, "invitation", w.invited)
	b := w.live(run)
	if rapid.IntRange(0, 3).Draw(run, "by whom it was sent to") > 0 {
		b = w.browserOf(i.to)
	}
	w.answered(b, i)
}

// browserOf is a browser in which somebody is signed in.
func (w *world) browserOf(d *dweller) *browser {
	for _, b := range w.browsers {
		if b.of == d && w.alive(b) {
			b.seen = w.now()
			return b
		}
	}
	b := &browser{Visitor: w.visitor(), of: d}
	w.enter(b)
	return b
}

// answered accepts an invitation, whoever it was sent to.
func (w *world) answered(b *browser, i *invitation) {
	_, in := i.org.roles[b.of.account]
	p := w.post(b, i.link)
	switch {
	case !w.waits(i):
		w.answers(p, http.StatusGone)
	case b.of != i.to:
		w.answers(p, http.StatusForbidden)
	case in:
		w.answers(p, http.StatusConflict)
	default:
		w.answers(p, http.StatusSeeOther)
		w.happened("tenant.joined")
		i.over, i.org.roles[b.of.account] = true, i.role
		w.happened("account.tenant_switched") // accepting leads there
		b.tenant = i.org.id
	}
}

func (w *world) revoke(run *rapid.T) {
	b, o, role := w.inside(run)
	i := pick(run, "invitation", w.invited)
	var which string
	w.read(func(tx *store.Tx) error {
		return tx.QueryRow(`SELECT invitation FROM tenant_invitation WHERE tenant = $1 AND inviter = $2 ORDER BY invitation DESC LIMIT 1`, i.org.id, i.by.account).Scan(&which)
	})
	p := w.post(b, "/-/org/invitations/"+which+"/revoke")
	switch {
	case !role.Covers(access.Admin):
		w.answers(p, http.StatusForbidden)
	case o != i.org:
		w.answers(p, http.StatusNotFound) // a foreign identifier
	default:
		newest := w.newestOf(i.org, i.by)
		if !w.waits(newest) {
			w.answers(p, http.StatusNotFound)
			return
		}
		w.answers(p, http.StatusSeeOther)
		w.happened("tenant.invitation_revoked")
		newest.over = true
		w.used = append(w.used, newest.link)
	}
}

func (w *world) newestOf(o *org, by *dweller) (newest *invitation) {
	for _, i := range w.invited {
		if i.org == o && i.by == by {
			newest = i
		}
	}
	return newest
}

// owners counts those of an organisation but one.
func (o *org) owners(but id.Account) (n int) {
	for a, r := range o.roles {
		if r == access.Owner && a != but {
			n++
		}
	}
	return n
}

// withdraw ends the invitations of somebody who could not make them any more.
func (w *world) withdraw(o *org, by id.Account, now access.Role) {
	for _, i := range w.invited {
		if i.org == o && i.by.account == by && !i.over && !(now.Covers(access.Admin) && now.Covers(i.role)) {
			i.over = true
		}
	}
}

func (w *world) changeRole(run *rapid.T) {
	b, o, role := w.inside(run)
	target := pick(run, "person", w.people)
	next := rapid.SampledFrom(access.Roles()).Draw(run, "role")
	has, in := o.roles[target.account]
	p := w.post(b, "/-/org/people/"+string(target.account), "role", string(next))
	switch {
	case !role.Covers(access.Admin):
		w.answers(p, http.StatusForbidden)
		w.wrong["access.denied"]++
	case !in:
		w.answers(p, http.StatusNotFound)
	case !role.Covers(has) || !role.Covers(next):
		w.answers(p, http.StatusForbidden)
	case has == access.Owner && next != access.Owner && o.owners(target.account) == 0:
		w.answers(p, http.StatusConflict)
	default:
		w.answers(p, http.StatusSeeOther)
		if has != next {
			w.happened("tenant.role_changed")
			o.roles[target.account] = next
			w.withdraw(o, target.account, next)
			if !has.Covers(next) { // who gets more power signs in again
				w.happened("account.sessions_ended_raised")
				w.endAll(target, nil)
			}
		}
	}
}

func (w *world) remove(run *rapid.T) {
	b, o, role := w.inside(run)
	target := pick(run, "person", w.people)
	has, in := o.roles[target.account]
	p := w.post(b, "/-/org/people/"+string(target.account)+"/remove")
	switch {
	case !role.Covers(access.Admin):
		w.answers(p, http.StatusForbidden)
		w.wrong["access.denied"]++
	case !in:
		w.answers(p, http.StatusNotFound)
	case !role.Covers(has):
		w.answers(p, http.StatusForbidden)
	case has == access.Owner && o.owners(target.account) == 0:
		w.answers(p, http.StatusConflict)
	default:
		w.answers(p, http.StatusSeeOther)
		w.gone(o, target.account, map[bool]string{true: "tenant.left", false: "tenant.removed"}[target == b.of])
		if target == b.of {
			w.wentHome(b)
		}
	}
}

func (w *world) gone(o *org, who id.Account, event string) {
	w.happened(event)
	delete(o.roles, who)
	w.withdraw(o, who, access.RoleNone)
}

func (w *world) leave(run *rapid.T) {
	b, o, role := w.inside(run)
	p := w.post(b, "/-/org/leave")
	if role == access.Owner && o.owners(b.of.account) == 0 {
		w.answers(p, http.StatusConflict)
		return
	}
	w.answers(p, http.StatusSeeOther)
	w.gone(o, b.of.account, "tenant.left")
	w.wentHome(b)
}

// wentHome is what leaving knowingly does to the browser in which it is done.
func (w *world) wentHome(b *browser) {
	w.happened("account.tenant_switched")
	b.tenant = tenant.HomeOf(b.of.account)
}

func (w *world) switchTenant(run *rapid.T) {
	b := w.live(run)
	to := tenant.HomeOf(pick(run, "whose space", w.people).account)
	if len(w.orgs) > 0 && rapid.Bool().Draw(run, "to an organisation") {
		to = pick(run, "organisation", w.orgs).id
	}
	may := to == tenant.HomeOf(b.of.account)
	if o := w.orgOf(to); o != nil {
		_, may = o.roles[b.of.account]
	}
	if p := w.post(b, "/-/switch", "tenant", string(to)); !may {
		w.answers(p, http.StatusNotFound)
		return
	} else if w.answers(p, http.StatusSeeOther) {
		w.happened("account.tenant_switched")
		b.tenant = to
	}
}

// replayLink sends a link that was used: it is gone, whoever sends it.
func (w *world) replayLink(run *rapid.T) {
	link := pick(run, "used link", w.used)
	b := &browser{Visitor: w.visitor()}
	if rapid.Bool().Draw(run, "signed in") {
		b = w.live(run)
	}
	p := w.post(b, link)
	w.want(p, nil, http.StatusGone, http.StatusNotFound, http.StatusUnauthorized)
	page, err := b.Get(w.t.Context(), link)
	w.want(page, err, http.StatusGone, http.StatusNotFound)
}

// replayCookie sends a form with the cookie of a session that is over.
func (w *world) replayCookie(run *rapid.T) {
	b := pick(run, "dead browser", slices.DeleteFunc(slices.Clone(w.browsers), func(b *browser) bool { return w.alive(b) || b.Cookie("__Host-troth") == "" }))
	w.answers(w.post(b, "/-/org/new", "name", "Thieves"), http.StatusUnauthorized)
	w.answers(w.post(b, "/-/account/sessions", "session", "others"), http.StatusUnauthorized)
}

// foreign names a person who means nothing in the tenant.
func (w *world) foreign(run *rapid.T) {
	b := w.live(run)
	target := pick(run, "person", w.people)
	in, role := w.worksAs(b)
	here := in == tenant.HomeOf(target.account)
	if o := w.orgOf(in); o != nil {
		_, here = o.roles[target.account]
	}
	p, err := b.Get(w.t.Context(), "/-/org/people/"+string(target.account))
	switch {
	case !role.Covers(access.Member):
		w.want(p, err, http.StatusForbidden)
	case here:
		w.want(p, err, http.StatusOK)
	default:
		w.want(p, err, http.StatusNotFound)
	}
}

func (w *world) pass(run *rapid.T) {
	w.jump(rapid.SampledFrom([]time.Duration{
		time.Hour, 11 * time.Hour, 13 * time.Hour, 3 * 24 * time.Hour, 8 * 24 * time.Hour, 31 * 24 * time.Hour,
	}).Draw(run, "time"))
}
