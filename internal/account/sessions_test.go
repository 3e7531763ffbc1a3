package account

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"troth/internal/access"
	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/secret"
	"troth/internal/store"
)

// The list says where each session is, how it began, and where it went since.
func TestSessionsSayWhere(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.mapped()
		_, first := h.person(ada, goodWord)
		there := h.enters(secret.String{}, nowhere)
		by := h.who(first.Token)
		list, err := h.Sessions(ctx, by)
		if err != nil || len(list) != 2 {
			t.Fatalf("%+v, %v", list, err)
		}
		if s := list[0]; s.ID != there.Signed.Session || s.Place != "" || s.Network != nowhere || s.Current || s.Last != nil {
			t.Errorf("the other session is %+v", s)
		}
		if s := list[1]; !s.Current || s.Place != "Graz, Austria" || s.Network != graz || s.Device != "Firefox on Linux" || !slices.Equal(s.Methods, []string{"pwd"}) {
			t.Errorf("the own session is %+v", s)
		}
		use := func(address string, after time.Duration) {
			h.clock.add(after)
			by, err := h.AuthenticateFrom(ctx, there.Signed.Token.Reveal(), netip.MustParseAddr(address), false)
			if err != nil || by.Kind != access.KindPerson {
				t.Fatalf("%v, %v", by.Kind, err)
			}
			if err := h.seen.flush(ctx); err != nil {
				t.Fatal(err)
			}
		}
		use(vienna, 2*time.Minute)
		if list, err = h.Sessions(ctx, by); err != nil || list[0].Last == nil || list[0].Last.Place != "Vienna, Austria" || list[0].Last.Network != vienna || list[0].Network != nowhere {
			t.Errorf("after a use in Vienna the session is %+v, %v", list[0], err)
		}
		use(wellington, 10*time.Second) // noted once a minute
		if list, err = h.Sessions(ctx, by); err != nil || list[0].Last.Network != vienna {
			t.Errorf("after a use that was not noted the session is %+v, %v", list[0], err)
		}
		use(vienna, 2*time.Minute)
		use(nowhere, 2*time.Minute)
		if list, err = h.Sessions(ctx, by); err != nil || list[0].Last != nil {
			t.Errorf("back where it began the session is %+v, %v", list[0], err)
		}
		b, err := json.Marshal(list[1])
		if err != nil || !strings.Contains(string(b), `"place":"Graz, Austria","network":"192.0.2.7"`) || !strings.Contains(string(b), `"methods":["pwd"]`) {
			t.Errorf("as JSON: %s, %v", b, err)
		}
	})
}

// What the table holds of places is sealed.
func TestWhereSessionsAreIsSealed(t *testing.T) {
	h := sqlite(t)
	by, s := h.person(ada, goodWord)
	h.clock.add(2 * time.Minute)
	if _, err := h.AuthenticateFrom(ctx, s.Token.Reveal(), netip.MustParseAddr(vienna), true); err != nil {
		t.Fatal(err)
	}
	if err := h.seen.flush(ctx); err != nil {
		t.Fatal(err)
	}
	rows, err := h.Inspect(ctx, host(), by.Account)
	if err != nil || len(rows.Columns) < 20 {
		t.Fatalf("%d columns, %v", len(rows.Columns), err)
	}
	for _, c := range rows.Columns {
		for _, open := range []string{graz, vienna, "Firefox"} {
			if strings.Contains(string(c), open) {
				t.Errorf("a column holds %q: %q", open, c)
			}
		}
	}
}

func TestHow(t *testing.T) {
	for amr, want := range map[string]string{
		"pwd": "password", "pwd otp mfa": "password and one-time code", "hwk user mfa": "passkey", "swk hwk": "passkey",
		"pwd sms mfa": "password and code by text message", "pwd email": "password and code by mail",
		"pwd remembered": "password and remembered browser", "": "unknown", "mfa": "unknown",
	} {
		if got := How(strings.Fields(amr)).String(); got != want {
			t.Errorf("%q is %q, want %q", amr, got, want)
		}
	}
}

// Browsers are listed as they were met last, and forgotten one by one.
func TestDevices(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.mapped()
		locked(h)
		there := h.enters(secret.String{}, vienna)
		h.clock.add(time.Hour)
		here := h.enters(secret.String{}, graz)
		by := h.who(here.Signed.Token)
		list, err := h.Devices(ctx, by)
		if err != nil || len(list) != 3 { // with the one in which the person signed up
			t.Fatalf("%+v, %v", list, err)
		}
		if d := list[0]; !d.Current || d.Place != "Graz, Austria" || d.Network != graz || d.Device != "Firefox on Linux" || !d.Remembered.IsZero() {
			t.Errorf("the own browser is %+v", d)
		}
		if d := list[1]; d.Current || d.Place != "Vienna, Austria" || !d.SignedIn.Before(list[0].SignedIn) {
			t.Errorf("the other browser is %+v", d)
		}
		h.enters(there.Device, vienna)
		if again, err := h.Devices(ctx, by); err != nil || again[0].ID != list[1].ID || !again[0].FirstAt.Equal(list[1].FirstAt) || !again[0].SignedIn.After(list[0].SignedIn) {
			t.Errorf("after another sign-in: %+v, %v", again, err)
		}
		told := len(h.notices())
		if err := h.ForgetDevice(ctx, by, list[1].ID); err != nil {
			t.Fatal(err)
		}
		want(t, h.ForgetDevice(ctx, by, list[1].ID), fault.NotFound, "account.no_device")
		if again, err := h.Devices(ctx, by); err != nil || len(again) != 2 {
			t.Errorf("after forgetting one: %+v, %v", again, err)
		}
		h.enters(there.Device, vienna)
		h.newestNotice(told + 1)
		for range 2 { // as often as one likes
			now, err := h.Devices(ctx, by)
			if err != nil || len(now) != 3 {
				t.Fatalf("%+v, %v", now, err)
			}
			if err := h.ForgetDevice(ctx, by, now[0].ID); err != nil {
				t.Fatal(err)
			}
			h.enters(there.Device, vienna)
		}
		if n := h.told(by.Tenant, evForgotten); n != 3 {
			t.Errorf("%d events", n)
		}

		// Nobody forgets the browsers of others.
		other, _ := h.person("eve@example.org", goodWord)
		want(t, h.ForgetDevice(ctx, other, list[0].ID), fault.NotFound, "account.no_device")
		want(t, h.ForgetDevice(ctx, stranger(), list[0].ID), fault.Unauthenticated, "account.sign_in")
		_, err = h.Devices(ctx, stranger())
		want(t, err, fault.Unauthenticated, "account.sign_in")
	})
}

// A forgotten browser stands in for no second factor.
func TestAForgottenBrowserIsAsked(t *testing.T) {
	h := sqlite(t)
	locked(h, "totp")
	first := h.attempt(secret.String{})
	o, err := h.Answer(ctx, stranger(), first.Pending, Answer{Kind: "totp", Code: secret.Of("1"), Remember: true})
	if err != nil {
		t.Fatal(err)
	}
	by := h.who(o.Signed.Token)
	list, err := h.Devices(ctx, by)
	if err != nil || len(list) != 2 || list[0].Remembered.IsZero() || !list[0].Current {
		t.Fatalf("%+v, %v", list, err)
	}
	if next := h.attempt(first.Device).Next; next != StepNone {
		t.Fatalf("a remembered browser is asked for %q", next)
	}
	if err := h.ForgetDevice(ctx, by, list[0].ID); err != nil {
		t.Fatal(err)
	}
	if next := h.attempt(first.Device).Next; next != StepFactor {
		t.Errorf("a forgotten browser is asked for %q", next)
	}
}

// The session that goes on after a new password is in the same browser.
func TestANewPasswordKeepsTheBrowser(t *testing.T) {
	h := sqlite(t)
	by, _ := h.person(ada, goodWord)
	next, err := h.ChangePassword(ctx, by, secret.Of(goodWord), secret.Of(newWord))
	if err != nil {
		t.Fatal(err)
	}
	if list, err := h.Devices(ctx, h.who(next.Token)); err != nil || len(list) != 1 || !list[0].Current {
		t.Errorf("%+v, %v", list, err)
	}
}

// Whoever gets more power signs in again, everywhere, and is told why, once.
func TestRaised(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		by, here := h.person(ada, goodWord)
		_, there := h.signIn(ada, goodWord)
		other, others := h.person("eve@example.org", goodWord)
		raise := func(account id.Account) {
			h.write(func(tx *store.Tx) error { return h.RaisedTx(tx, other, account) })
		}
		raise(by.Account)
		if h.signedIn(here.Token) || h.signedIn(there.Token) || !h.signedIn(others.Token) {
			t.Error("sessions went on, or somebody else's did not")
		}
		o := h.attempt(secret.String{})
		if o.Signed.Told == nil || !strings.Contains(o.Signed.Told.String(), "more power") {
			t.Errorf("at the next sign-in the holder is told %v", o.Signed.Told)
		}
		if again := h.attempt(secret.String{}); again.Signed.Told != nil {
			t.Errorf("the holder is told twice: %v", again.Signed.Told)
		}
		if n := h.told(by.Tenant, evRaised); n != 1 {
			t.Errorf("%d events", n)
		}
		if _, err := h.EndAll(ctx, host(), by.Account); err != nil {
			t.Fatal(err)
		}
		raise(by.Account)
		if o := h.attempt(secret.String{}); o.Signed.Told != nil {
			t.Error("whoever was not signed in is told of having been signed out")
		}
		raise(id.New[id.Account](h.now())) // nobody: nothing
	})
}

// What waits to be told goes after a month.
func TestWhatIsToldIsSwept(t *testing.T) {
	h := sqlite(t)
	by, _ := h.person(ada, goodWord)
	h.write(func(tx *store.Tx) error { return h.RaisedTx(tx, by, by.Account) })
	for _, rule := range Retention {
		if rule.Table != "account_told" {
			continue
		}
		for _, after := range []time.Duration{maxAbsolute - time.Hour, maxAbsolute + time.Hour} {
			h.write(func(tx *store.Tx) error {
				tx.Unaudited("the sweep writes no events")
				n, err := rule.Sweep(ctx, tx, h.now().Add(after))
				if (n == 1) != (after > maxAbsolute) {
					t.Errorf("after %v %d rows were removed", after, n)
				}
				return err
			})
		}
		return
	}
	t.Error("there is no rule")
}
