package account

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"troth/internal/access"
	"troth/internal/audit"
	"troth/internal/config"
	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/secret"
	"troth/internal/store"
)

// from is a stranger from a network.
func from(ip string) access.Subject {
	return access.Nobody(audit.Context{IP: netip.MustParseAddr(ip), Agent: "Mozilla/5.0"})
}

// attack signs up with somebody else's address, with a password that the
// attacker knows, as often as it is asked.
func (h *house) attack(ip string, times int) {
	h.t.Helper()
	for range times {
		_, err := h.SignUp(ctx, from(ip), Application{
			Email: ada, Name: "Call 555-0100", Password: secret.Of(evilWord), Browser: secret.NewToken(), ReturnTo: "/x",
		})
		if err != nil {
			h.t.Fatal(err)
		}
	}
}

const evilWord = "known to the attacker, and to nobody else"

// A stranger signs up with somebody's address first, and as often as it goes.
// The holder still gets the mail of the own application, and whichever mail is
// confirmed, the attacker's password opens nothing.
func TestStrangersCannotChooseThePassword(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.attack("198.51.100.9", 7)
		if n := len(h.post.to(ada)); n != fromOneNetwork {
			t.Fatalf("one network caused %d mails, want %d", n, fromOneNetwork)
		}
		evil := h.link(ada, PathConfirm)
		h.apply(ada, goodWord)
		if n := len(h.post.to(ada)); n != fromOneNetwork+1 {
			t.Fatal("a stranger keeps the holder's own mail away")
		}
		own := h.link(ada, PathConfirm)

		p, err := h.PeekConfirm(ctx, evil, h.browser)
		if err != nil || p.Own || p.Name != "" || p.Email != ada || !p.New {
			t.Fatalf("the stranger's application looks like %+v, %v", p, err)
		}
		_, err = h.Confirm(ctx, stranger(), evil, Confirmation{})
		want(t, err, fault.Invalid, "account.no_name")
		_, err = h.Confirm(ctx, stranger(), evil, Confirmation{Browser: h.browser, Name: "Ada", Password: secret.Of("short")})
		want(t, err, fault.Invalid, "password.short")
		_, err = h.Confirm(ctx, stranger(), evil, Confirmation{Browser: secret.Of("x"), Name: "Ada", Password: secret.Of("xx " + ada + " xx")})
		want(t, err, fault.Invalid, "password.own_words")
		if _, err = h.Confirm(ctx, stranger(), evil, Confirmation{Browser: secret.NewToken(), Name: "Ada Byron", Password: secret.Of(newWord)}); err != nil {
			t.Fatal(err)
		}
		for _, password := range []string{evilWord, goodWord} {
			if _, err := h.SignIn(ctx, stranger(), attempt(ada, password)); !errors.Is(err, errSignIn) {
				t.Errorf("the password %q opens: %v", password, err)
			}
		}
		by, _ := h.signIn(ada, newWord)
		if v, err := h.Own(ctx, by); err != nil || v.Name != "Ada Byron" {
			t.Errorf("the account is called %q, %v", v.Name, err)
		}
		if _, err := h.Confirm(ctx, stranger(), own, h.here()); err == nil {
			t.Error("the other application still makes an account")
		}
	})
}

// In the browser that signed up the button is enough; a link that was made
// before browsers were remembered asks.
func TestTheOwnBrowserConfirmsByAButton(t *testing.T) {
	h := sqlite(t)
	h.apply(ada, goodWord)
	p, err := h.PeekConfirm(ctx, h.link(ada, PathConfirm), h.browser)
	if err != nil || !p.Own || p.Name != "Ada Byron" {
		t.Fatalf("%+v, %v", p, err)
	}
	if _, err := h.SignUp(ctx, stranger(), Application{Email: "bob@example.org", Name: "Bob", Password: secret.Of(goodWord)}); err != nil {
		t.Fatal(err)
	}
	for _, browser := range []secret.String{{}, h.browser, secret.Of("x")} {
		if p, err := h.PeekConfirm(ctx, h.link("bob@example.org", PathConfirm), browser); err != nil || p.Own {
			t.Errorf("an application of no browser belongs to one: %+v, %v", p, err)
		}
	}
}

// The digest of the browser's token is stored, sealed; the token nowhere.
func TestTheBrowserIsNotStored(t *testing.T) {
	h := sqlite(t)
	h.apply(ada, goodWord)
	err := h.DB.Read(ctx, func(tx *store.Tx) error {
		var payload, network []byte
		if err := tx.QueryRow(`SELECT payload FROM account_link`).Scan(&payload); err != nil {
			return err
		}
		if err := tx.QueryRow(`SELECT network FROM account_mail`).Scan(&network); err != nil {
			return err
		}
		if s := string(payload) + string(network); strings.Contains(s, h.browser.Reveal()) || strings.Contains(s, "192.0.2") {
			t.Error("the token of the browser or the network stands in the clear")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Strangers from everywhere cannot fill a mailbox, neither of somebody who has
// an account nor of somebody who has none, and not for two purposes.
func TestMailsAreBounded(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.person("bob@example.org", goodWord)
		for _, email := range []string{ada, "bob@example.org"} {
			before := len(h.post.to(email))
			for _, ip := range []string{"198.51.100.1", "198.51.100.250", "203.0.113.1", "2001:db8::1", "2001:db8::ffff", "2001:db8:0:1::1", ""} {
				by := access.Nobody(audit.Context{})
				if ip != "" {
					by = from(ip)
				}
				for range fromOneNetwork + 1 {
					if _, err := h.SignUp(ctx, by, Application{Email: email, Name: "X", Password: secret.Of(goodWord)}); err != nil {
						t.Fatal(err)
					}
				}
			}
			if n := len(h.post.to(email)) - before; n > fromAll || n < fromAll-1 { // the own sign-up counts
				t.Errorf("%d mails went to %s within an hour, want %d", n, email, fromAll)
			}
			h.clock.add(time.Hour + time.Minute)
			before = len(h.post.to(email))
			h.apply(email, goodWord)
			if len(h.post.to(email)) != before+1 {
				t.Errorf("after an hour there is no mail to %s", email)
			}
		}
	})
}

// Nobody keeps a holder from resetting: not by signing up with the address, not
// from another network, and when strangers from everywhere have used up all that
// a mailbox bears, each of the mails of the hour still opens.
func TestNobodyBlocksAReset(t *testing.T) {
	for _, life := range []time.Duration{time.Hour, 5 * time.Minute} {
		each(t, func(t *testing.T, h *house) {
			h.Config.ResetLife = config.Duration(life)
			h.person(ada, goodWord)
			h.attack("192.0.2.9", 20) // even from the holder's own network
			before := len(h.post.to(ada))
			ask := func(ip string) {
				t.Helper()
				if err := h.AskReset(ctx, from(ip), ada); err != nil {
					t.Fatal(err)
				}
			}
			for range 20 {
				ask("198.51.100.1")
			}
			if n := len(h.post.to(ada)) - before; n != fromOneNetwork {
				t.Fatalf("one network caused %d mails, want %d", n, fromOneNetwork)
			}
			first := h.link(ada, PathReset)
			ask("192.0.2.7")
			if n := len(h.post.to(ada)) - before; n != fromOneNetwork+1 {
				t.Fatal("the holder gets no mail after a stranger asked")
			}
			for _, ip := range []string{"203.0.113.1", "2001:db8::1", "2001:db8:1::1"} {
				for range 5 {
					ask(ip)
				}
			}
			if n := len(h.post.to(ada)) - before; n != fromAll {
				t.Fatalf("all networks caused %d mails, want %d", n, fromAll)
			}
			// As long as no mail comes, the ones before open.
			h.clock.add(life - time.Minute)
			ask("192.0.2.7")
			if n := len(h.post.to(ada)) - before; n != fromAll {
				t.Fatalf("%d mails", n)
			}
			if _, err := h.PeekReset(ctx, first); err != nil {
				t.Fatalf("no mail is sent, and the ones before do not open: %v", err)
			}
			if err := h.Reset(ctx, stranger(), first, secret.Of(newWord)); err != nil {
				t.Fatal(err)
			}
			h.signIn(ada, newWord)
		})
	}
}

// A link to a taken address leaves no key behind, however often it is tried.
func TestATakenAddressLeavesNoKeys(t *testing.T) {
	h := sqlite(t)
	h.person(ada, goodWord)
	link, err := h.Admit(ctx, host())
	if err != nil {
		t.Fatal(err)
	}
	before, err := h.ring.Count(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		_, err = h.SignUp(ctx, stranger(), owner(ada, tokenOf(t, link)))
		want(t, err, fault.Conflict, "account.taken")
	}
	if after, err := h.ring.Count(ctx); err != nil || after != before {
		t.Errorf("the keyring grew from %d to %d, %v", before, after, err)
	}
}

// Names stand in mails to others.
func TestNames(t *testing.T) {
	for name, code := range map[string]string{
		"Ada Byron": "", "J. Smith": "", "J.R.R. Tolkien": "", "J.Smith": "", "O’Neil, Ph.D.": "", "Zoë 李": "", "3.5 Bits": "", "ශ්\u200dරී": "", "می\u200cخواهم": "",
		"visit https://evil.test":     "account.name_link",
		"WWW.evil":                    "account.name_link",
		"win at evil.test/now":        "account.name_link",
		"evil-bank.com":               "account.name_link",
		"bücher.example":              "account.name_link",
		"evil．test":                   "account.name_link",
		"evil。test":                   "account.name_link",
		"ask a@evil.test":             "account.name_link",
		"192.0.2.1/x":                 "account.name_link",
		"Ada\u202egro":                "account.bad_name",
		"Ada\u200fgro":                "account.bad_name",
		"Ada\u061cgro":                "account.bad_name",
		"Ad\u200ba":                   "account.bad_name",
		"Ad\u200da":                   "account.bad_name",
		"\ufeffAda":                   "account.bad_name",
		"Ada\u2028Byron":              "account.bad_name",
		"Ada\nYour account is locked": "account.bad_name",
		"\u3164":                      "account.bad_name",
		"\u2800":                      "account.no_name",
		" …! ":                        "account.no_name",
		strings.Repeat("a", 101):      "account.long_name",
	} {
		_, err := readName(name)
		if f := fault.As(err); code == "" && err != nil || code != "" && (f == nil || f.Code != code || f.Field != "name") {
			t.Errorf("%q: %v, want %q", name, err, code)
		}
	}
}

// A form of an organisation that was still open when its sender was removed
// does nothing, least of all in the personal space; reading goes on there, and
// so does everything after that one refusal.
func TestAFormOfALostTenant(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		by, signed := h.person(ada, goodWord)
		home := by.Tenant
		org := id.New[id.Tenant](h.clock.now())
		h.write(func(tx *store.Tx) error {
			return errors.Join(h.founder.giveTx(tx, org, by.Account, access.Member), h.Access.ChangedTx(tx, org, by.Account))
		})
		if err := h.Switch(ctx, by, org); err != nil {
			t.Fatal(err)
		}
		act := func() (access.Subject, error) {
			return h.AuthenticateFrom(ctx, signed.Token.Reveal(), netip.Addr{}, true)
		}
		if s, err := act(); err != nil || s.Tenant != org {
			t.Fatalf("who is in: %+v, %v", s, err)
		}
		h.write(func(tx *store.Tx) error {
			_, err := tx.Exec(`DELETE FROM test_role WHERE tenant = $1`, org)
			return errors.Join(err, h.Access.ChangedTx(tx, org, by.Account))
		})
		for range 3 { // reading does not settle it: the form may be in another window
			if s := h.who(signed.Token); s.Tenant != home || s.Role != access.Owner {
				t.Fatalf("a page is read in %q as %q", s.Tenant, s.Role)
			}
		}
		s, err := act()
		want(t, err, fault.Conflict, "account.tenant_lost")
		if s.Kind != access.KindNobody {
			t.Errorf("the refused request is somebody's: %+v", s)
		}
		if s, err := act(); err != nil || s.Tenant != home {
			t.Errorf("the next one is refused too: %+v, %v", s, err)
		}
		if !slices.Contains(h.events(home), evLost) {
			t.Error("the refusal is not in the log")
		}
		if s, err := h.AuthenticateFrom(ctx, secret.NewToken().Reveal(), netip.Addr{}, true); err != nil || s.Kind != access.KindNobody {
			t.Errorf("a stranger: %+v, %v", s, err)
		}
	})
}
