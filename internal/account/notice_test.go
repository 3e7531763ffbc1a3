package account

import (
	"errors"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"troth/internal/access"
	"troth/internal/audit"
	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/mail"
	"troth/internal/place"
	"troth/internal/secret"
	"troth/internal/store"
)

// Where people are, in the database of package place.
const (
	graz       = "192.0.2.7"
	vienna     = "203.0.113.7"
	wellington = "198.51.100.7"
	nowhere    = "198.19.0.7" // not in the database
)

// mapped gives a house the database of places that the tests of package place read.
func (h *house) mapped() {
	h.t.Helper()
	file, err := filepath.Abs("../place/testdata/cities.mmdb")
	if err != nil {
		h.t.Fatal(err)
	}
	h.Atlas = place.Open(place.Config{DatabaseFile: file}, h.clock.now, h.log)
	h.t.Cleanup(h.Atlas.Close)
	if !h.Atlas.Find(netip.MustParseAddr(graz)).Named() {
		h.t.Fatal("the database of places cannot be read")
	}
}

// strangerAt is a stranger with a common browser, at an address.
func strangerAt(address string) access.Subject {
	by := stranger()
	by.Context.IP = netip.MustParseAddr(address)
	return by
}

// enters signs somebody in in a browser, from an address.
func (h *house) enters(device secret.String, address string) Outcome {
	h.t.Helper()
	o, err := h.SignIn(ctx, strangerAt(address), Attempt{Email: ada, Password: secret.Of(goodWord), Device: device})
	if err != nil {
		h.t.Fatalf("signing in from %s: %v", address, err)
	}
	return o
}

// notices are the mails that told of a sign-in.
func (h *house) notices() []mail.Message {
	var all []mail.Message
	for _, m := range h.post.to(ada) {
		if m.Kind == "account.notice" {
			all = append(all, m)
		}
	}
	return all
}

// newestNotice is the last of so many notices.
func (h *house) newestNotice(n int) mail.Message {
	h.t.Helper()
	all := h.notices()
	if len(all) != n {
		h.t.Fatalf("%d notices were mailed, want %d", len(all), n)
	}
	return all[n-1]
}

func (h *house) told(tenant id.Tenant, event string) (n int) {
	for _, name := range h.events(tenant) {
		if name == event {
			n++
		}
	}
	return n
}

// The first browser is nobody's news, another one is, and a known one is not.
func TestANewBrowserIsTold(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.apply(ada, goodWord)
		if _, err := h.Confirm(ctx, stranger(), h.link(ada, PathConfirm), h.here()); err != nil {
			t.Fatal(err)
		}
		first := h.enters(secret.String{}, graz)
		by := h.who(first.Signed.Token)
		h.enters(first.Device, graz)
		if n := len(h.notices()); n != 0 {
			t.Fatalf("%d notices about the first browser", n)
		}
		second := h.enters(secret.String{}, vienna)
		m := h.newestNotice(1)
		for _, says := range []string{"Firefox on Linux", vienna, "How: password", "UTC", "https://troth.example/-/stop/", "If it was not you", "new password"} {
			if !strings.Contains(m.Body, says) {
				t.Errorf("the mail does not say %q:\n%s", says, m.Body)
			}
		}
		if strings.Contains(m.Body, second.Signed.Token.Reveal()) || strings.Contains(m.Body, string(second.Signed.Session)) {
			t.Error("the mail names the session")
		}
		h.enters(second.Device, graz)
		h.newestNotice(1)
		if n := h.told(by.Tenant, evNewBrowser); n != 1 {
			t.Errorf("%d events tell of a new browser", n)
		}
	})
}

// Whoever sends what is no agent writes nothing into the mail.
func TestANoticeRepeatsNothing(t *testing.T) {
	h := sqlite(t)
	h.person(ada, goodWord)
	by := stranger()
	by.Context.Agent = "evil.test/now You have won"
	if _, err := h.SignIn(ctx, by, attempt(ada, goodWord)); err != nil {
		t.Fatal(err)
	}
	if m := h.newestNotice(1); !strings.Contains(m.Body, "Browser: an unknown program") || strings.Contains(m.Body, "evil") {
		t.Errorf("the mail says:\n%s", m.Body)
	}
}

// A notice that cannot be sent is no session that began.
func TestNoSessionWithoutItsNotice(t *testing.T) {
	h := sqlite(t)
	_, s := h.person(ada, goodWord)
	h.post.fail = errors.New("the outbox is full")
	if _, err := h.SignIn(ctx, stranger(), attempt(ada, goodWord)); err == nil {
		t.Error("a session began in a new browser, and nobody was told")
	}
	h.post.fail = nil
	list, err := h.Sessions(ctx, h.who(s.Token))
	if err != nil || len(list) != 1 {
		t.Errorf("there are %d sessions, %v", len(list), err)
	}
}

// A flood of sign-ins is told of a few times an hour, and all of it in the log.
func TestNoticesAreBounded(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		by, _ := h.person(ada, goodWord)
		for range maxNotices + 3 {
			h.enters(secret.String{}, graz)
		}
		h.newestNotice(maxNotices)
		if n := h.told(by.Tenant, evNewBrowser); n != maxNotices+3 {
			t.Errorf("%d events, want one for each of %d browsers", n, maxNotices+3)
		}
		h.clock.add(time.Hour)
		h.enters(secret.String{}, graz)
		h.newestNotice(maxNotices + 1)
	})
}

// Nobody travels around the world in an hour; in a day somebody does.
func TestImpossibleTravel(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.mapped()
		by, _ := h.person(ada, goodWord) // in Graz
		device := h.enters(secret.String{}, graz).Device
		sent := len(h.notices())
		for _, step := range []struct {
			after   time.Duration
			address string
			told    bool
		}{
			{time.Minute, vienna, false}, // near
			{23 * time.Hour, wellington, false},
			{time.Hour, nowhere, false},
			{time.Hour, wellington, false}, // nobody knows where it was before
			{time.Hour, graz, true},
			{time.Minute, graz, false},
			{time.Minute, wellington, true},
		} {
			h.clock.add(step.after)
			before := h.told(by.Tenant, evTravel)
			h.enters(device, step.address)
			if got := h.told(by.Tenant, evTravel) - before; (got == 1) != step.told {
				t.Errorf("%v later, from %s: %d events", step.after, step.address, got)
			}
			if step.told {
				sent++
			}
			if len(h.notices()) != sent {
				t.Fatalf("%v later, from %s: %d notices, want %d", step.after, step.address, len(h.notices()), sent)
			}
		}
		m := h.newestNotice(sent)
		if m.Subject != "A sign-in from far away" || !strings.Contains(m.Body, "From: Wellington, New Zealand (198.51.100.7)") ||
			!strings.Contains(m.Body, "from Graz, Austria (192.0.2.7), about 18252 km away") {
			t.Errorf("the mail %q says:\n%s", m.Subject, m.Body)
		}
		if n := h.told(id.Platform, evAlert); n != 2 {
			t.Errorf("the activity of the platform tells of %d impossible ways, want 2", n)
		}
	})
}

// The last use counts, not the last sign-in: a session that goes on somewhere
// else is somewhere else.
func TestTravelIsFromTheLastUse(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.mapped()
		by, _ := h.person(ada, goodWord) // in Graz
		device := h.enters(secret.String{}, graz).Device
		o := h.enters(device, graz)
		h.clock.add(11 * time.Hour)
		if _, err := h.AuthenticateFrom(ctx, o.Signed.Token.Reveal(), netip.MustParseAddr(wellington), false); err != nil {
			t.Fatal(err)
		}
		if err := h.seen.flush(ctx); err != nil {
			t.Fatal(err)
		}
		h.clock.add(time.Hour)
		before := h.told(by.Tenant, evTravel)
		h.enters(device, graz)
		if n := h.told(by.Tenant, evTravel); n != before+1 {
			t.Errorf("a sign-in in Graz an hour after a use in Wellington: %d events", n-before)
		}
	})
}

// A browser stands in for the second factor, but not when its holder cannot have
// come there; unless the operator wants it otherwise.
func TestTravelAsksForTheFactor(t *testing.T) {
	for _, asks := range []bool{true, false} {
		h := sqlite(t)
		h.mapped()
		h.Config.Travel = asks
		locked(h, "totp")
		first := h.enters(secret.String{}, graz)
		device := first.Device
		if _, err := h.Answer(ctx, strangerAt(graz), first.Pending, Answer{Kind: "totp", Code: secret.Of("1"), Remember: true}); err != nil {
			t.Fatal(err)
		}
		h.clock.add(time.Minute)
		if near := h.enters(device, vienna); near.Next != StepNone {
			t.Fatalf("the browser is not remembered: %q", near.Next)
		}
		far, err := h.SignIn(ctx, strangerAt(wellington), Attempt{Email: ada, Password: secret.Of(goodWord), Device: device})
		if err != nil || (far.Next == StepFactor) != asks {
			t.Errorf("travel_factor = %v: the next step is %q, %v", asks, far.Next, err)
		}
	}
}

// The link of a notice ends that session and no other, once, and makes its
// browser a stranger's.
func TestStopSession(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.mapped()
		by, mine := h.person(ada, goodWord)
		thief := h.enters(secret.String{}, wellington)
		token := h.link(ada, PathStop)
		stop, err := h.PeekStop(ctx, token)
		if err != nil || stop.Device != "Firefox on Linux" || stop.Place != "Wellington, New Zealand" || stop.Network != wellington || stop.Over || stop.At.IsZero() {
			t.Errorf("the link would %+v, %v", stop, err)
		}
		if !h.signedIn(thief.Signed.Token) {
			t.Fatal("looking at the link ended the session")
		}
		which, err := h.StopSession(ctx, strangerAt(graz), token)
		if err != nil || which != thief.Signed.Session {
			t.Fatalf("%v, %v", which, err)
		}
		if h.signedIn(thief.Signed.Token) || !h.signedIn(mine.Token) {
			t.Error("the link did not end that session, or not it alone")
		}
		_, err = h.StopSession(ctx, strangerAt(graz), token)
		want(t, err, fault.Gone, "account.link_gone")
		_, err = h.PeekStop(ctx, token)
		want(t, err, fault.Gone, "account.link_gone")
		_, err = h.StopSession(ctx, strangerAt(graz), secret.NewToken())
		want(t, err, fault.Gone, "account.link_gone")
		if n := h.told(by.Tenant, evStopped); n != 1 {
			t.Errorf("%d events", n)
		}
		before := len(h.notices())
		h.clock.add(48 * time.Hour)
		h.enters(thief.Device, wellington) // the browser is new again
		if len(h.notices()) != before+1 {
			t.Error("the thief's browser was still known")
		}
	})
}

// A link outlives its session, and then only leads on.
func TestStopAfterTheEnd(t *testing.T) {
	h := sqlite(t)
	h.person(ada, goodWord)
	thief := h.enters(secret.String{}, vienna)
	token := h.link(ada, PathStop)
	if err := h.SignOut(ctx, h.who(thief.Signed.Token)); err != nil {
		t.Fatal(err)
	}
	if stop, err := h.PeekStop(ctx, token); err != nil || !stop.Over {
		t.Errorf("the link would %+v, %v", stop, err)
	}
	if _, err := h.StopSession(ctx, stranger(), token); err != nil {
		t.Error(err)
	}
}

// An account that nobody confirmed gets no mail about itself.
func TestNoNoticeToUnconfirmedAddresses(t *testing.T) {
	h := sqlite(t)
	h.person(ada, goodWord)
	h.write(func(tx *store.Tx) error {
		_, err := tx.Exec(`UPDATE account SET confirmed_at = 0`)
		return err
	})
	h.enters(secret.String{}, graz)
	if n := len(h.notices()); n != 0 {
		t.Errorf("%d notices went to an address that nobody confirmed", n)
	}
}

// What is told of a sign-in reads right when the reader is who signed in.
func TestSentencesOfNotices(t *testing.T) {
	for _, e := range Events {
		switch e.Name {
		case evNewBrowser, evTravel, evAlert, evRaised, evForgotten, evStopped:
			if !strings.HasPrefix(e.Sentence, "{actor} ") || e.Outcome != audit.Success {
				t.Errorf("%s: %s", e.Name, e.Sentence)
			}
		}
	}
}
