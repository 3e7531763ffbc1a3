package plug

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"troth/internal/account"
	"troth/internal/id"
	"troth/internal/store"
	"troth/internal/trust"
)

// ForgetTx takes the keypad away.
func (k *keypad) ForgetTx(*store.Tx, id.Account) error {
	k.on = nil
	return nil
}

// mailed is the path of the link in the first mail to an address after a time.
func (d *door) mailed(address string, after time.Time) string {
	d.t.Helper()
	wait, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	m, err := mailbox{d.letters}.Wait(wait, address, after)
	if err != nil {
		d.t.Fatalf("no mail to %s: %v", address, err)
	}
	return strings.TrimPrefix(m.Link(d.server.URL+"/-/"), d.server.URL)
}

// after lets time pass and does what is done periodically.
func (d *door) after(pass time.Duration) {
	d.t.Helper()
	_ = d.clock.pass(ctx, pass)
	if err := d.accounts.Advance(ctx); err != nil {
		d.t.Fatal(err)
	}
}

// browserOf answers requests and checks the statuses.
type browserOf struct {
	t *testing.T
	v *trust.Visitor
}

func (b browserOf) get(path string, status int, contains ...string) *trust.Page {
	b.t.Helper()
	p, err := b.v.Get(ctx, path)
	return is(b.t, p, err, status, contains...)
}

func (b browserOf) post(path string, status int, contains string, fields ...string) *trust.Page {
	b.t.Helper()
	p, err := b.v.Post(ctx, path, fields...)
	return is(b.t, p, err, status, contains)
}

// The pages of a change of address, as somebody without JavaScript sees them,
// and of its undoing.
func TestAddressPages(t *testing.T) {
	d := open(t)
	v, c := d.somebody("mover")
	me, other := browserOf{t, v}, browserOf{t, d.visitor()}
	next := "moved@canary.invalid"
	me.get("/-/account/", 200, "Change the address", "Deactivate the account")
	me.get("/-/account/address", 200, "I cannot read the present mailbox", "72 hours")
	me.post("/-/account/address", 422, "This is your address already", "email", c.Address)
	since := d.clock.now()
	me.post("/-/account/address", 303, "/-/account/address", "email", next)
	me.get("/-/account/address", 200, "Two mails are on their way", next, "has not agreed yet")
	me.get("/-/account/", 200, "A change of your e-mail address waits")
	old, fresh := d.mailed(c.Address, since), d.mailed(next, since)
	if other.get(fresh, 200, "Agree", "Stop the change", next); old == fresh {
		t.Fatal("both mailboxes got one link")
	}
	other.post(fresh, 422, "press one of the buttons")
	other.post(fresh, 200, "One mailbox has agreed", "do", "agree")
	other.post(fresh, 410, "", "do", "agree")
	me.get("/-/account/address", 200, "has agreed")
	since = d.clock.now()
	me.get(old, 200, c.Address, next)
	me.post(old, 303, pathHome, "do", "agree")
	me.get(pathHome, 200, "The address of your account is changed", next)
	back := d.mailed(c.Address, since)
	other.get(back, 200, c.Address, "Undo the change")
	p := other.post(back, 303, "/-/reset/")
	other.get(p.Header.Get("Location"), 200, "set a new password")
	me.get(pathHome, 303, "/-/signin")
	other.post(p.Header.Get("Location"), 303, "/-/signin", "password", word)
	other.post("/-/signin", 303, "", "email", c.Address, "password", word)
	if strings.Contains(d.logged.String(), strings.TrimPrefix(back, "/-/undo/")) {
		t.Error("a token stands in the log")
	}

	since = d.clock.now()
	other.post("/-/account/address", 303, "", "email", next)
	other.post(d.mailed(next, since), 200, "The change is stopped", "do", "stop")
	other.get("/-/account/address", 200)
	other.post("/-/account/address", 303, "", "email", next, "lost", "yes")
	other.get("/-/account/address", 200, "is told every day")
	other.post("/-/account/address/stop", 303, pathHome)
	other.post("/-/account/address/stop", 410, "")
}

// What is sensitive asks again who it is, also here; to stop something does not.
func TestAddressAsksAgain(t *testing.T) {
	d := open(t)
	v, _ := d.somebody("late")
	me := browserOf{t, v}
	me.post("/-/account/address", 303, "/-/account/address", "email", "late2@canary.invalid")
	_ = d.clock.pass(ctx, time.Hour)
	for _, path := range []string{"/-/account/address", "/-/account/deactivate"} {
		me.get(path, 303, "/-/again")
		me.post(path, 303, "/-/again", "email", "late3@canary.invalid")
	}
	me.post("/-/account/address/stop", 303, pathHome)
}

// The pages of a recovery, from the second step of signing in to the next
// sign-in without the factor.
func TestRecoveryPages(t *testing.T) {
	d, k, c := withKeypad(t)
	b := browserOf{t, d.visitor()}
	b.get("/-/reset", 200, "/-/recover")
	b.get("/-/recover", 200, "72 hours", "Send the link")
	b.post("/-/recover", 422, "", "email", "")
	since := d.clock.now()
	b.post("/-/recover", 303, "/-/recover/sent", "email", c.Address)
	b.get("/-/recover/sent", 200, "Look into your mailbox")
	link := d.mailed(c.Address, since)
	b.get(link, 200, "72 hours", "Ask for the recovery")
	since = d.clock.now()
	b.post(link, 200, "The recovery waits")
	b.get(link, 410, "")
	keep := d.mailed(c.Address, since)
	b.get(keep, 200, "Stop the recovery", "can read your mail")
	since = d.clock.now()
	b.post("/-/recover", 303, "", "email", c.Address)
	b.get(d.mailed(c.Address, since), 200, "It can be finished from")
	since = d.clock.now()
	d.after(73 * time.Hour)
	link = d.mailed(c.Address, since)
	b.get(link, 200, "New password")
	b.post(link, 422, "15", "password", "short")
	b.post(link, 303, "/-/signin", "password", word)
	b.get("/-/signin", 200, "Your new password is set")
	if len(k.on) != 0 {
		t.Error("the factor is still there")
	}
	b.post("/-/signin", 303, "", "email", c.Address, "password", word)
	b.get(pathHome, 200)
	b.get(keep, 410, "")
}

// Who is signed in sees that a recovery waits, and stops it; so does the link
// in the notice.
func TestRecoveryIsStoppedOnPages(t *testing.T) {
	k := &keypad{code: "123456"}
	d := open(t, func(d *door) { d.factors = []account.Factors{k} })
	v, c := d.somebody("watchful")
	k.on = []account.Offer{{Kind: "totp", Counts: true}}
	me, b := browserOf{t, v}, browserOf{t, d.visitor()}
	begin := func() string {
		since := d.clock.now()
		b.post("/-/recover", 303, "", "email", c.Address)
		link := d.mailed(c.Address, since)
		since = d.clock.now()
		b.post(link, 200, "The recovery waits")
		return d.mailed(c.Address, since)
	}
	begin()
	me.get(pathHome, 200, "asked to recover your account", "Stop the recovery")
	me.post("/-/account/recovery", 303, pathHome)
	me.get(pathHome, 200, "The recovery is stopped")
	me.post("/-/account/recovery", 410, "")
	keep := begin()
	b.post(keep, 200, "The recovery is stopped")
	b.post(keep, 410, "")
}

// Deactivating, and coming back by signing in.
func TestDeactivatePages(t *testing.T) {
	d := open(t)
	v, c := d.somebody("rests")
	me := browserOf{t, v}
	me.get("/-/account/deactivate", 200, "Nothing is deleted")
	me.post("/-/account/deactivate", 303, "/-/signin")
	me.get("/-/signin", 200, "Your account is deactivated", "to come back, sign in")
	me.get(pathHome, 303, "/-/signin")
	in := func() {
		t.Helper()
		me.post("/-/signin", 303, "/-/signin/return?return_to=%2Finside", "email", c.Address, "password", c.Password.Reveal(), "return_to", "/inside")
	}
	in()
	me.get("/-/signin/return?return_to=%2Finside", 200, "Reactivate the account", c.Address)
	me.get(pathHome, 303, "/-/signin")
	me.get("/-/signin/code", 303, "/-/signin/return")
	p, err := v.GetJSON(ctx, "/-/signin/return")
	if err != nil || p.Status != http.StatusOK {
		t.Errorf("%d, %v", p.Status, err)
	}
	me.post("/-/signin/return", 303, "/inside", "return_to", "/inside")
	me.get(pathHome, 200, "Welcome back")
	me.post("/-/signin/return", 303, "/-/signin")
}

// The host's commands: staff, suspension and the way back.
func TestRestCommands(t *testing.T) {
	d := open(t)
	v, c := d.somebody("ruth")
	says := func(want int, contains string, args ...string) string {
		t.Helper()
		status, out, say := d.types(args...)
		if status != want || !strings.Contains(out+say, contains) {
			t.Fatalf("%v: status %d, want %d and %q\n%s%s", args, status, want, contains, out, say)
		}
		return out
	}
	says(1, "either --add or --remove", "staff", c.Address)
	says(1, "either --add or --remove", "staff", c.Address, "--add", "--remove")
	says(0, "is staff for support now", "staff", c.Address, "--add")
	says(0, "staff for support", "list")
	says(1, "is that already", "staff", c.Address, "--add")
	says(0, `"staff": ""`, "staff", c.Address, "--remove", "--json")
	me := browserOf{t, v}
	me.get(pathHome, 303, "/-/signin")
	me.post("/-/signin", 303, "", "email", c.Address, "password", c.Password.Reveal())

	says(1, "Give a reason", "deactivate", c.Address)
	says(0, "would be suspended", "deactivate", c.Address, "--reason", "stolen", "--dry-run")
	me.get(pathHome, 200)
	says(0, "is suspended", "deactivate", c.Address, "--reason", "stolen")
	me.get(pathHome, 303, "/-/signin")
	me.post("/-/signin", 401, "wrong", "email", c.Address, "password", c.Password.Reveal())
	says(0, "suspended", "list")
	says(1, "suspended", "recover", c.Address)
	says(1, "suspended already", "deactivate", c.Address, "--reason", "again")
	says(0, "is active again", "reactivate", c.Address, "--reason", "found")
	me.post("/-/signin", 303, "", "email", c.Address, "password", c.Password.Reveal())
	link := strings.TrimSpace(says(0, "second factors are removed", "recover", c.Address, "--remove-factors"))
	me.post(strings.TrimPrefix(link, d.server.URL), 303, "/-/signin", "password", word)
}
