package app

import (
	"context"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"troth/internal/access"
	"troth/internal/config"
	"troth/internal/store/pgtest"
	"troth/internal/trust"
	"troth/verify"
)

// onPostgres are the settings of one of several nodes: the database, the
// keyring and the root key are shared, the data directory is its own.
func onPostgres(t testing.TB) (change func(*Settings)) {
	data, ring := pgtest.URL(t), pgtest.URL(t)
	root := filepath.Join(t.TempDir(), "root")
	return func(s *Settings) {
		s.store.URL, s.keys.KeyringURL, s.keys.Root = data, ring, root
	}
}

// second is another node of the same installation.
func second(h *house, change func(*Settings)) *house {
	h.t.Helper()
	set := settingsIn(filepath.Join(h.t.TempDir(), "other"), change)
	if _, err := makeData(set); err != nil {
		h.t.Fatal(err)
	}
	other := over(h.t, set, h.clock)
	other.serve()
	return other
}

// at is the same browser, before another node.
func (w *who) at(h *house) *who {
	h.t.Helper()
	moved := *w
	moved.Visitor, moved.h = h.visitor(), h
	moved.Client.Jar = w.Client.Jar
	return &moved
}

// obeyed is how soon a node obeys what another one did.
const obeyed = time.Second

func (w *who) status(path string) int {
	w.h.t.Helper()
	p, err := w.Get(context.Background(), path)
	if err != nil {
		w.h.t.Fatal(err)
	}
	return p.Status
}

// TestTwoNodesObeyEachOther: what is revoked or changed on one node holds on
// the other within a second, and both write one log.
func TestTwoNodesObeyEachOther(t *testing.T) {
	shared := onPostgres(t)
	a := raise(t, shared)
	b := second(a, shared)
	owner, guest := a.person("olga"), a.person("gert")
	org := owner.organisation("Orchard")
	guest.join(owner.invite(guest.address, access.Admin), org)

	there := guest.at(b)
	if got := there.status("/-/org/invite"); got != http.StatusOK {
		t.Fatalf("the other node answers %d to whom this one signed in", got)
	}
	for _, step := range []struct {
		role   access.Role
		path   string
		status int
	}{
		{access.Member, "/-/org/invite", http.StatusForbidden},
		{access.Viewer, "/-/org/people", http.StatusForbidden},
		{access.Admin, "/-/account/", http.StatusSeeOther},
	} {
		p, err := owner.Post(t.Context(), "/-/org/people/"+string(guest.account), "role", string(step.role))
		a.want(p, err, http.StatusSeeOther)
		if got := guest.status(step.path); got != step.status {
			t.Errorf("the node that made somebody %s answers %d to the next request", step.role, got)
		}
		await(t, "the other node obeys the role "+string(step.role), obeyed, func() bool { return there.status(step.path) == step.status })
	}
	guest.signIn() // a role that grew ended the session
	guest.switchTo(org)
	if got := guest.status("/-/org/invite"); got != http.StatusOK {
		t.Errorf("whoever was raised and signed in again is answered %d", got)
	}

	// A session that is ended on one node is over on the other, and so is a
	// copy of its cookie.
	thief := &who{Visitor: b.copyOf(there.Visitor), h: b}
	elsewhere := &who{Visitor: a.visitor(), h: a, address: guest.address, password: guest.password}
	elsewhere.signIn()
	p, err := elsewhere.Post(t.Context(), "/-/account/sessions", "session", "others")
	a.want(p, err, http.StatusSeeOther)
	if got := guest.status("/-/account/"); got != http.StatusSeeOther {
		t.Errorf("the node that ended a session answers %d", got)
	}
	await(t, "the other node knows that the session ended", obeyed, func() bool { return thief.status("/-/account/") == http.StatusSeeOther })

	// Removed on one node, shut out on the other; a destroyed account too.
	back := elsewhere.at(b)
	back.switchTo(org)
	p, err = owner.Post(t.Context(), "/-/org/people/"+string(guest.account)+"/remove")
	a.want(p, err, http.StatusSeeOther)
	await(t, "the other node knows that somebody was removed", obeyed, func() bool {
		p, err := back.Get(t.Context(), "/-/org/people")
		return err == nil && p.Status == http.StatusOK && !strings.Contains(p.Body, "olga")
	})
	if _, err := a.in.accounts.Destroy(t.Context(), checker(), guest.account, false); err != nil {
		t.Fatal(err)
	}
	await(t, "the other node knows that an account is gone", obeyed, func() bool { return back.status("/-/account/") == http.StatusSeeOther })
	b.want(b.tryIn(guest.address, guest.password), nil, http.StatusUnauthorized)
	oneLog(t, a, b)
}

func (h *house) tryIn(address, password string) *trust.Page {
	h.t.Helper()
	p, err := h.visitor().Post(h.t.Context(), "/-/signin", "email", address, "password", password)
	if err != nil {
		h.t.Fatal(err)
	}
	return p
}

// oneLog has both nodes write at once, each with its sequencer, and finds one
// consistent log.
func oneLog(t *testing.T, nodes ...*house) {
	t.Helper()
	before := nodes[0].events()["account.sign_in_failed"] + nodes[0].events()["account.signed_in"]
	w := nodes[0].person("busy")
	state := filepath.Join(t.TempDir(), "seen")
	nodes[0].proven(state)
	var all sync.WaitGroup
	const each = 15
	for _, h := range nodes {
		all.Go(func() {
			for range each {
				p, err := h.visitor().Post(context.Background(), "/-/signin", "email", w.address, "password", w.password)
				if err != nil || p.Status != http.StatusSeeOther {
					t.Errorf("signing in under load: %v %v", p, err)
				}
			}
		})
		all.Go(func() {
			for range each {
				if _, err := h.in.audit.Sequence(context.Background()); err != nil {
					t.Errorf("sequencing beside another: %v", err)
				}
			}
		})
	}
	all.Wait()
	sizes := map[int64]bool{}
	for _, h := range nodes {
		if n := h.events()["account.signed_in"] + h.events()["account.sign_in_failed"] - before; n != 1+each*len(nodes) {
			t.Errorf("%d sign-ins stand in the log, %d were acknowledged", n, 1+each*len(nodes))
		}
		h.proven(state) // each continues what was seen on any
	}
	for _, h := range nodes {
		report := h.proven(state)
		sizes[report.Size] = true
	}
	if len(sizes) > 2 {
		t.Errorf("the nodes publish logs of the sizes %v", sizes)
	}
}

// TestEveryClaimIsProven exercises everything, on either engine, over the real
// listener where that is what a claim is about.
func TestEveryClaimIsProven(t *testing.T) {
	for engine, change := range map[string]func(*Settings){"sqlite": func(*Settings) {}, "postgres": onPostgres(t)} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			up := upstream(t)
			h := plan(t, func(s *Settings) {
				s.site.Listen = listen(t)
				s.site.Origin = "https://localhost" + s.site.Listen[strings.LastIndexByte(s.site.Listen, ':'):]
				s.site.Upstream = up.URL
				s.account.PasswordTarget = config.Duration(10 * time.Millisecond)
				change(s)
			})
			h.o.hashing, h.wire = nil, true
			h.serve()
			h.everyClaim()
			h.proven(filepath.Join(t.TempDir(), "seen"))
		})
	}
}

// everyClaim exercises all claims and asserts that each is proven, or not due.
func (h *house) everyClaim() {
	h.t.Helper()
	// A machine that is too busy shuts the door for a moment; then a check could
	// not be tried, which is no failure, and is tried again.
	for left, again := 3, []string(nil); left > 0; left-- {
		outcomes, err := h.in.trust.Exercise(h.t.Context(), h.bench(), again...)
		if err != nil {
			h.t.Fatal(err)
		}
		again = nil
		for _, o := range outcomes {
			switch {
			case o.Error != "" && left > 1:
				again = append(again, o.Claim)
			case !o.Passed:
				h.t.Errorf("%s %s did not pass: %s %+v", o.Claim, o.Check, o.Error, o.Observed)
			}
		}
		if len(again) == 0 {
			break
		}
		h.steady()
	}
	doc, err := h.in.trust.Document(h.t.Context())
	if err != nil {
		h.t.Fatal(err)
	}
	if len(doc.Claims) < 11 {
		h.t.Errorf("only %d claims", len(doc.Claims))
	}
	for _, c := range doc.Claims {
		if c.Status != verify.Status("proven") {
			h.t.Errorf("%s is %s", c.ID, c.Status)
		}
	}
}
