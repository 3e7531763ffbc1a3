package account

import (
	"errors"
	"strings"
	"testing"
	"time"

	"troth/internal/access"
	"troth/internal/fault"
	"troth/internal/mail"
	"troth/internal/secret"
	"troth/internal/store"
)

const adaNew = "ada@new.example"

// kinds are the kinds of the mails to an address since a number of them.
func (h *house) kinds(address string) []string {
	var all []string
	for _, m := range h.post.to(address) {
		all = append(all, m.Kind)
	}
	return all
}

// newest is the newest mail of a kind to an address, with the token in it.
func (h *house) newest(address, kind string) (mail.Message, secret.String) {
	h.t.Helper()
	all := h.post.to(address)
	for i := len(all) - 1; i >= 0; i-- {
		if all[i].Kind != kind {
			continue
		}
		if m := linkPattern.FindStringSubmatch(all[i].Body); m != nil {
			return all[i], secret.Of(m[2])
		}
		return all[i], secret.String{}
	}
	h.t.Fatalf("no mail %s to %s, which has %v", kind, address, h.kinds(address))
	return mail.Message{}, secret.String{}
}

// asks begins a change of address and returns the tokens of both mailboxes.
func (h *house) asks(by access.Subject, present, next string, lost bool) (old, fresh secret.String) {
	h.t.Helper()
	if err := h.AskAddress(ctx, by, next, lost); err != nil {
		h.t.Fatalf("asking for a change of address: %v", err)
	}
	_, old = h.newest(present, "account.address_old")
	_, fresh = h.newest(next, "account.address_new")
	return old, fresh
}

// agree presses the button behind a link.
func (h *house) agree(token secret.String) bool {
	h.t.Helper()
	done, err := h.AgreeAddress(ctx, stranger(), token)
	if err != nil {
		h.t.Fatalf("agreeing: %v", err)
	}
	return done
}

func (h *house) cannot(email, password string) {
	h.t.Helper()
	if _, err := h.SignIn(ctx, stranger(), attempt(email, password)); fault.KindOf(err) != fault.Unauthenticated {
		h.t.Fatalf("%s can sign in: %v", email, err)
	}
}

// Both mailboxes agree, in either order; then, and not before, the address is
// the new one.
func TestAddressChangesWhenBothAgree(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		for i, oldFirst := range []bool{true, false} {
			email, next := "one@example.org", "two@example.org"
			if i == 1 {
				email, next = next, "three@example.org"
				h.clock.add(2 * time.Hour)
			} else {
				h.person(email, goodWord)
			}
			by, mine := h.signIn(email, goodWord)
			_, other := h.signIn(email, goodWord)
			old, fresh := h.asks(by, email, next, false)
			first, second := old, fresh
			if !oldFirst {
				first, second = fresh, old
			}
			if q, err := h.PeekAddress(ctx, first); err != nil || q.Present != email || q.Change.Email != next || q.New == oldFirst {
				t.Fatalf("the link says %+v, %v", q, err)
			}
			if h.agree(first) {
				t.Fatal("one mailbox is enough")
			}
			if _, err := h.AgreeAddress(ctx, stranger(), first); !errors.Is(err, errGone) {
				t.Fatalf("a link is used twice: %v", err)
			}
			h.cannot(next, goodWord)
			if !h.signedIn(mine.Token) {
				t.Fatal("a question ends sessions")
			}
			done, err := h.AgreeAddress(ctx, by, second)
			if err != nil || !done {
				t.Fatalf("both agreed: %v, %v", done, err)
			}
			if !h.signedIn(mine.Token) || h.signedIn(other.Token) {
				t.Error("the other session goes on, or the own one ended")
			}
			h.cannot(email, goodWord)
			_, s := h.signIn(next, goodWord)
			v, err := h.Get(ctx, s.Account)
			if err != nil || v.Email != next || v.ConfirmedAt.IsZero() {
				t.Errorf("the account is %+v, %v", v, err)
			}
			h.newest(email, "account.address_replaced")
			h.newest(next, "account.address_changed")
			if _, ok, err := h.OwnAddressChange(ctx, by); ok || err != nil {
				t.Errorf("a change still waits: %v", err)
			}
			if n := count(h.events(v.Home), evAddressChanged); n != i+1 {
				t.Errorf("the log tells of %d changes", n)
			}
		}
	})
}

// A question that was begun before another change was done asks nobody: it would
// ask the mailbox that has just been left.
func TestQuestionCrossesChange(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.person(ada, goodWord)
		by, _ := h.signIn(ada, goodWord)
		r, v, err := h.find(ctx, by.Account)
		if err != nil {
			t.Fatal(err)
		}
		ask, err := h.newAddressAsk(ctx, by, r, v, "third@example.org", false)
		if err != nil {
			t.Fatal(err)
		}
		old, fresh := h.asks(by, ada, adaNew, false)
		h.agree(old)
		if done, err := h.AgreeAddress(ctx, by, fresh); err != nil || !done {
			t.Fatalf("both agreed: %v, %v", done, err)
		}
		mails := len(h.kinds(ada))
		err = h.DB.Write(ctx, func(tx *store.Tx) error { return h.askAddressTx(ctx, tx, by, r, v, ask) })
		want(t, err, fault.Conflict, "account.address_meanwhile")
		if all := h.kinds(ada); len(all) != mails {
			t.Errorf("the former mailbox was asked: %v", all)
		}
	})
}

// Each side can stop a change, and so can whoever is signed in; what was mailed
// for it is of no use then.
func TestAddressChangeIsStopped(t *testing.T) {
	h := sqlite(t)
	by, _ := h.person(ada, goodWord)
	for _, how := range []string{"old", "new", "account"} {
		h.clock.add(2 * time.Hour)
		old, fresh := h.asks(by, ada, adaNew, false)
		var err error
		switch how {
		case "old":
			err = h.StopAddress(ctx, stranger(), old)
		case "new":
			err = h.StopAddress(ctx, stranger(), fresh)
		default:
			h.agree(fresh)
			err = h.StopOwnAddress(ctx, by)
		}
		if err != nil {
			t.Fatalf("%s: %v", how, err)
		}
		for _, token := range []secret.String{old, fresh} {
			if _, err := h.AgreeAddress(ctx, stranger(), token); !errors.Is(err, errGone) {
				t.Errorf("stopped from the %s: a link still works: %v", how, err)
			}
		}
		h.newest(ada, "account.address_stopped")
	}
	want(t, h.StopOwnAddress(ctx, by), fault.Gone, "account.link_gone")
	h.signIn(ada, goodWord)
}

func TestAddressLinksExpire(t *testing.T) {
	h := sqlite(t)
	by, _ := h.person(ada, goodWord)
	old, fresh := h.asks(by, ada, adaNew, false)
	h.agree(old)
	h.clock.add(addressLife)
	if _, err := h.AgreeAddress(ctx, stranger(), fresh); !errors.Is(err, errGone) {
		t.Errorf("after a day: %v", err)
	}
	if _, err := h.PeekAddress(ctx, fresh); !errors.Is(err, errGone) {
		t.Errorf("after a day: %v", err)
	}
	h.signIn(ada, goodWord)
}

// The newest question counts: of two changes, the links of the first are of no
// use, and never change the address to the other's.
func TestNewerQuestionReplacesOlder(t *testing.T) {
	h := sqlite(t)
	by, _ := h.person(ada, goodWord)
	old1, fresh1 := h.asks(by, ada, "first@new.example", false)
	old2, fresh2 := h.asks(by, ada, adaNew, false)
	for _, token := range []secret.String{old1, fresh1} {
		if _, err := h.AgreeAddress(ctx, stranger(), token); !errors.Is(err, errGone) {
			t.Errorf("a replaced link works: %v", err)
		}
	}
	h.agree(old2)
	if !h.agree(fresh2) {
		t.Error("the newer change does not happen")
	}
	h.signIn(adaNew, goodWord)
}

// Nothing tells the one who asks that an address has an account; its owner is
// told, and the change never happens.
func TestNewAddressIsTaken(t *testing.T) {
	h := sqlite(t)
	h.person("eve@example.org", newWord)
	by, _ := h.person(ada, goodWord)
	before := len(h.kinds(ada))
	if err := h.AskAddress(ctx, by, "eve@example.org", false); err != nil {
		t.Fatalf("the answer differs: %v", err)
	}
	if len(h.kinds(ada)) != before+1 {
		t.Errorf("the mails to the one who asks differ: %v", h.kinds(ada))
	}
	m, token := h.newest("eve@example.org", "account.address_taken")
	if !token.IsZero() || strings.Contains(m.Body, ada) {
		t.Errorf("the owner is told too much: %s", m.Body)
	}
	c, ok, err := h.OwnAddressChange(ctx, by)
	if err != nil || !ok || c.Email != "eve@example.org" {
		t.Fatalf("the page differs: %+v, %v", c, err)
	}
	_, old := h.newest(ada, "account.address_old")
	if h.agree(old) {
		t.Fatal("the address was given away")
	}
	h.signIn("eve@example.org", newWord)
}

// Somebody signs up with the address between the question and the answer.
func TestAddressIsTakenMeanwhile(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		by, _ := h.person(ada, goodWord)
		old, fresh := h.asks(by, ada, adaNew, false)
		h.agree(old)
		h.person(adaNew, newWord)
		_, err := h.AgreeAddress(ctx, stranger(), fresh)
		want(t, err, fault.Conflict, "account.taken")
		h.signIn(ada, goodWord)
		h.signIn(adaNew, newWord)
	})
}

// The other way round: an application that waits for its confirmation is of no
// use once the address is another account's.
func TestApplicationLosesToChange(t *testing.T) {
	h := sqlite(t)
	by, _ := h.person(ada, goodWord)
	h.apply(adaNew, newWord)
	_, confirm := h.newest(adaNew, "account.confirm")
	old, fresh := h.asks(by, ada, adaNew, false)
	h.agree(fresh)
	h.agree(old)
	if _, err := h.Confirm(ctx, stranger(), confirm, h.here()); fault.KindOf(err) != fault.Gone {
		t.Errorf("the application is confirmed: %v", err)
	}
	h.signIn(adaNew, goodWord)
}

// Two accounts change to one address at once: one of them gets it.
func TestTwoChangesToOneAddress(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		var links []secret.String
		for _, email := range []string{ada, "eve@example.org"} {
			by, _ := h.person(email, goodWord)
			old, fresh := h.asks(by, email, adaNew, false)
			h.agree(old)
			links = append(links, fresh)
		}
		errs := make(chan error, len(links))
		for _, token := range links {
			go func() { _, err := h.AgreeAddress(ctx, stranger(), token); errs <- err }()
		}
		in := 0
		for range links {
			switch err := <-errs; {
			case err == nil:
				in++
			case fault.KindOf(err) != fault.Conflict:
				t.Errorf("the other one is told %v", err)
			}
		}
		if in != 1 {
			t.Errorf("%d accounts have the address", in)
		}
		h.signIn(adaNew, goodWord)
	})
}

func TestChangeAndDestroy(t *testing.T) {
	h := sqlite(t)
	by, _ := h.person(ada, goodWord)
	old, fresh := h.asks(by, ada, adaNew, false)
	h.agree(old)
	if _, err := h.Destroy(ctx, host(), by.Account, false); err != nil {
		t.Fatal(err)
	}
	if _, err := h.AgreeAddress(ctx, stranger(), fresh); !errors.Is(err, errGone) {
		t.Errorf("a destroyed account changes its address: %v", err)
	}
	for _, table := range []string{"account_address", "account_past", "account_recovery"} {
		if n := h.rows(table); n != 0 {
			t.Errorf("%s still has %d rows", table, n)
		}
	}
}

// The old mailbox is out of reach: it is told every day, and its silence is
// enough after the delay.
func TestAddressChangesWithoutTheOldMailbox(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		by, _ := h.person(ada, goodWord)
		_, fresh := h.asks(by, ada, adaNew, true)
		if h.agree(fresh) {
			t.Fatal("nobody waited for the old mailbox")
		}
		for range 5 {
			h.advance(12 * time.Hour)
		}
		notices := 0
		for _, kind := range h.kinds(ada) {
			if kind == "account.address_old" {
				notices++
			}
		}
		if notices != 3 {
			t.Errorf("the old mailbox was told %d times in three days: %v", notices, h.kinds(ada))
		}
		h.cannot(adaNew, goodWord)
		h.advance(24 * time.Hour)
		h.signIn(adaNew, goodWord)
		h.cannot(ada, goodWord)
		_, token := h.newest(ada, "account.address_replaced")
		if _, err := h.UndoAddress(ctx, stranger(), token); err != nil {
			t.Errorf("it cannot be undone: %v", err)
		}
	})
}

// The old mailbox stops it with the link of any notice.
func TestLostMailboxThatIsNotLost(t *testing.T) {
	h := sqlite(t)
	by, _ := h.person(ada, goodWord)
	_, fresh := h.asks(by, ada, adaNew, true)
	h.agree(fresh)
	h.advance(25 * time.Hour)
	_, token := h.newest(ada, "account.address_old")
	if err := h.StopAddress(ctx, stranger(), token); err != nil {
		t.Fatal(err)
	}
	h.advance(100 * time.Hour)
	h.signIn(ada, goodWord)
	h.cannot(adaNew, goodWord)
}

// advance lets time pass, and does what is done periodically.
func (h *house) advance(d time.Duration) {
	h.t.Helper()
	h.clock.add(d)
	if err := h.Advance(ctx); err != nil {
		h.t.Fatalf("after %v: %v", d, err)
	}
}

// The old mailbox takes the change back: the thief's sessions end, the password
// is set anew, and what the thief began is stopped.
func TestUndoAddress(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		by, _ := h.person(ada, goodWord)
		old, fresh := h.asks(by, ada, adaNew, false)
		h.agree(old)
		h.agree(fresh)
		thief, s := h.signIn(adaNew, goodWord)
		_, further := h.asks(thief, adaNew, "further@new.example", false)
		_, token := h.newest(ada, "account.address_replaced")
		if old, err := h.PeekUndo(ctx, token); err != nil || old != ada {
			t.Fatalf("the link brings back %q, %v", old, err)
		}
		reset, err := h.UndoAddress(ctx, stranger(), token)
		if err != nil {
			t.Fatal(err)
		}
		if h.signedIn(s.Token) {
			t.Error("the thief is still signed in")
		}
		if err := h.Reset(ctx, stranger(), reset, secret.Of(newWord)); err != nil {
			t.Fatalf("no new password: %v", err)
		}
		h.signIn(ada, newWord)
		h.cannot(adaNew, goodWord)
		if _, err := h.AgreeAddress(ctx, stranger(), further); !errors.Is(err, errGone) {
			t.Errorf("what the thief began goes on: %v", err)
		}
		if _, err := h.UndoAddress(ctx, stranger(), token); !errors.Is(err, errGone) {
			t.Errorf("a link is used twice: %v", err)
		}
		h.newest(ada, "account.address_undone")
		h.newest(adaNew, "account.address_undone")
	})
}

// The older address wins over every later one; a later one cannot undo that.
func TestOlderAddressWins(t *testing.T) {
	h := sqlite(t)
	by, _ := h.person(ada, goodWord)
	change := func(from, to string) {
		t.Helper()
		h.clock.add(2 * time.Hour)
		old, fresh := h.asks(by, from, to, false)
		h.agree(old)
		h.agree(fresh)
		by, _ = h.signIn(to, goodWord)
	}
	change(ada, adaNew)
	change(adaNew, "third@new.example")
	_, first := h.newest(ada, "account.address_replaced")
	_, second := h.newest(adaNew, "account.address_replaced")
	if _, err := h.UndoAddress(ctx, stranger(), first); err != nil {
		t.Fatal(err)
	}
	if _, err := h.UndoAddress(ctx, stranger(), second); !errors.Is(err, errGone) {
		t.Errorf("a later address takes it back: %v", err)
	}
	h.signIn(ada, goodWord)
}

func TestUndoLivesAWeek(t *testing.T) {
	h := sqlite(t)
	by, _ := h.person(ada, goodWord)
	old, fresh := h.asks(by, ada, adaNew, false)
	h.agree(old)
	h.agree(fresh)
	_, token := h.newest(ada, "account.address_replaced")
	h.signIn(adaNew, goodWord)
	h.clock.add(pastLife - time.Hour)
	if _, err := h.PeekUndo(ctx, token); err != nil {
		t.Errorf("an hour before the end: %v", err)
	}
	h.clock.add(2 * time.Hour)
	if _, err := h.UndoAddress(ctx, stranger(), token); !errors.Is(err, errGone) {
		t.Errorf("after a week: %v", err)
	}
}

// The old address has another account by now: nothing changes hands.
func TestUndoMeetsAnotherAccount(t *testing.T) {
	h := sqlite(t)
	by, _ := h.person(ada, goodWord)
	old, fresh := h.asks(by, ada, adaNew, false)
	h.agree(old)
	h.agree(fresh)
	_, token := h.newest(ada, "account.address_replaced")
	h.person(ada, newWord)
	_, err := h.UndoAddress(ctx, stranger(), token)
	want(t, err, fault.Conflict, "account.taken")
	h.signIn(ada, newWord)
	h.signIn(adaNew, goodWord)
}

// An address that was never confirmed is nobody's: it is not asked, and cannot
// undo anything.
func TestUnconfirmedAddressIsNotAsked(t *testing.T) {
	h := sqlite(t)
	link, err := h.Admit(ctx, host())
	if err != nil {
		t.Fatal(err)
	}
	s, err := h.SignUp(ctx, stranger(), owner("typo@example.org", tokenOf(t, link)))
	if err != nil {
		t.Fatal(err)
	}
	by := h.who(s.Token)
	_, confirm := h.newest("typo@example.org", "account.address")
	if err := h.AskAddress(ctx, by, ada, false); err != nil {
		t.Fatal(err)
	}
	_, fresh := h.newest(ada, "account.address_new")
	if !h.agree(fresh) {
		t.Fatal("an address that nobody confirmed is waited for")
	}
	if m, token := h.newest("typo@example.org", "account.address_replaced"); !token.IsZero() {
		t.Errorf("whoever has the mistyped address can take the account: %s", m.Body)
	}
	if _, err := h.Confirm(ctx, stranger(), confirm, h.here()); fault.KindOf(err) != fault.Gone {
		t.Errorf("the mistyped address confirms something: %v", err)
	}
	h.signIn(ada, goodWord)
}

// Nobody has mails sent to strangers in numbers by changing an address often.
func TestAddressIsAskedSeldom(t *testing.T) {
	h := sqlite(t)
	by, _ := h.person(ada, goodWord)
	var err error
	asked := 0
	for ; asked < 20 && err == nil; asked++ {
		err = h.AskAddress(ctx, by, "somebody"+string(rune('a'+asked))+"@example.org", false)
	}
	want(t, err, fault.TooMany, "account.address_often")
	if asked > fromOneNetwork+1 {
		t.Errorf("%d strangers got a mail", asked)
	}
	h.clock.add(time.Hour)
	h.asks(by, ada, adaNew, false)
}

func TestAddressIsRead(t *testing.T) {
	h := sqlite(t)
	by, _ := h.person(ada, goodWord)
	want(t, h.AskAddress(ctx, by, " ADA@example.org", false), fault.Invalid, "account.same_address")
	want(t, h.AskAddress(ctx, by, "", false), fault.Invalid, "account.no_email")
	want(t, h.AskAddress(ctx, stranger(), adaNew, false), fault.Unauthenticated, "account.sign_in")
}

// rows counts the rows of a table.
func (h *house) rows(table string) (n int) {
	h.t.Helper()
	err := h.DB.Read(ctx, func(tx *store.Tx) error {
		return tx.QueryRow(`SELECT COUNT(*) FROM ` + table).Scan(&n)
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return n
}
