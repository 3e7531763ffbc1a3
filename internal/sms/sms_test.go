package sms

import (
	"errors"
	"strings"
	"testing"
	"time"

	"troth/internal/fault"
	"troth/internal/keys"
	"troth/internal/store"
)

func TestTextIsSentIfAndOnlyIfTheTransactionCommits(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		broken := errors.New("broken")
		err := h.db.Write(ctx, func(tx *store.Tx) error {
			if err := h.SendTx(tx, Text{Kind: "x", To: berlin, Account: h.account, Tenant: h.home, Body: "never"}); err != nil {
				return err
			}
			return broken
		})
		if !errors.Is(err, broken) || len(h.queued()) != 0 {
			t.Fatalf("%v; %d texts wait", err, len(h.queued()))
		}
		if err := h.send(h.account, h.home, berlin); err != nil {
			t.Fatal(err)
		}
		for _, err := range h.run() {
			if err != nil {
				t.Error(err)
			}
		}
		if len(h.sender.took) != 1 || h.sender.took[0].To != berlin || h.sender.took[0].Body != "Your code is 12345678" || len(h.queued()) != 0 {
			t.Errorf("taken %v, %d wait", h.sender.took, len(h.queued()))
		}
	})
}

func TestWhatStandsInTheOutboxIsSealed(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		if err := h.send(h.account, h.home, berlin); err != nil {
			t.Fatal(err)
		}
		var sealed []byte
		err := h.db.Read(ctx, func(tx *store.Tx) error {
			return tx.QueryRow(`SELECT sealed FROM sms_outbox`).Scan(&sealed)
		})
		if err != nil || strings.Contains(string(sealed), "12345678") || strings.Contains(string(sealed), string(berlin)) {
			t.Fatalf("%v: the outbox holds the text or the number", err)
		}
		if err := h.keys.Shred(ctx, keys.SubjectRef(h.account)); err != nil {
			t.Fatal(err)
		}
		if errs := h.run(); errs[0] != nil || len(h.sender.took) != 0 || len(h.queued()) != 0 {
			t.Errorf("a text whose person is gone: %v, taken %v", errs, h.sender.took)
		}
	})
}

func TestRefusedTextsAreGivenUpAndOthersTriedAgain(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.sender.fail = &Rejected{errors.New("no such number")}
		if err := h.send(h.account, h.home, berlin); err != nil {
			t.Fatal(err)
		}
		if errs := h.run(); errs[0] != nil || len(h.queued()) != 0 {
			t.Fatalf("a refused text: %v, %d wait", errs, len(h.queued()))
		}
		if !strings.Contains(h.logged.String(), "was given up") || strings.Contains(h.logged.String(), string(berlin)) || strings.Contains(h.logged.String(), "12345678") {
			t.Errorf("the log says: %s", h.logged.String())
		}
		h.sender.fail = errors.New("later")
		if err := h.send(h.account, h.home, berlin); err != nil {
			t.Fatal(err)
		}
		for n := range maxAttempts - 1 {
			if errs := h.run(); errs[0] == nil || len(h.queued()) != 1 {
				t.Fatalf("attempt %d: %v, %d wait", n+1, errs, len(h.queued()))
			}
		}
		if errs := h.run(); errs[0] != nil || len(h.queued()) != 0 {
			t.Fatalf("the last attempt: %v, %d wait", errs, len(h.queued()))
		}
	})
}

func TestTextThatIsOfNoUseAnyMoreIsNotSent(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		if err := h.send(h.account, h.home, berlin); err != nil {
			t.Fatal(err)
		}
		h.add(11 * time.Minute)
		if errs := h.run(); errs[0] != nil || len(h.sender.took) != 0 || len(h.queued()) != 0 {
			t.Errorf("an expired text: %v, taken %v", errs, h.sender.took)
		}
	})
}

func TestTextsAreBounded(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		for range perAccount {
			if err := h.send(h.account, h.home, berlin); err != nil {
				t.Fatal(err)
			}
		}
		want(t, h.send(h.account, h.home, "+4930901821"), fault.TooMany, "sms.too_many")
		other, home := h.person()
		want(t, h.send(other, home, berlin), fault.TooMany, "sms.too_many") // the number has had enough
		if err := h.send(other, home, "+4930901821"); err != nil {
			t.Fatal(err)
		}
		for n := range 6 { // up to the twelve of the installation
			account, home := h.person()
			if err := h.send(account, home, Number("+493090183"+string(rune('0'+n)))); err != nil {
				t.Fatal(err)
			}
		}
		last, home := h.person()
		want(t, h.send(last, home, "+4930901849"), fault.Unavailable, "sms.all_spent")
		if sent, bound, err := h.Sent(ctx); err != nil || sent != 12 || bound != 12 || !strings.Contains(h.logged.String(), "reached its bound") {
			t.Errorf("%d of %d, %v; the log: %s", sent, bound, err, h.logged.String())
		}
		h.add(61 * time.Minute)
		for range perNumberDay - perNumber {
			if err := h.send(h.account, h.home, berlin); err != nil {
				t.Fatal(err)
			}
		}
		h.add(61 * time.Minute)
		want(t, h.send(h.account, h.home, berlin), fault.TooMany, "sms.too_many") // ten in a day
		h.add(24 * time.Hour)
		if err := h.send(h.account, h.home, berlin); err != nil {
			t.Error(err)
		}
	})
}

func TestSweeps(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		if err := h.send(h.account, h.home, berlin); err != nil {
			t.Fatal(err)
		}
		sweep := func(fn func(*store.Tx, time.Time) (int64, error)) (n int64) {
			err := h.db.Write(ctx, func(tx *store.Tx) (err error) {
				tx.Unaudited("test")
				n, err = fn(tx, h.now())
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		if a, b := sweep(SweepTx), sweep(SweepSentTx); a != 0 || b != 0 {
			t.Errorf("too early: %d, %d", a, b)
		}
		h.add(61 * time.Minute)
		if n := sweep(SweepTx); n != 1 {
			t.Errorf("%d texts were removed", n)
		}
		h.add(24 * time.Hour)
		if n := sweep(SweepSentTx); n != 1 {
			t.Errorf("%d counts were removed", n)
		}
	})
}

func TestDevBox(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		box := NewDevBox(h.db, h.keys, h.now)
		h.o.Sender = box
		if err := h.send(h.account, h.home, berlin); err != nil {
			t.Fatal(err)
		}
		if err := h.Test(ctx, berlin); err != nil {
			t.Fatal(err)
		}
		if errs := h.run(); errs[0] != nil {
			t.Fatal(errs)
		}
		all, err := box.List(ctx)
		if err != nil || len(all) != 2 || all[1].To != berlin || all[1].Body != "Your code is 12345678" || !strings.HasPrefix(all[0].Body, "This message was sent") {
			t.Fatalf("%v, %v", all, err)
		}
		if name, err := h.Probe(ctx); err != nil || name == "" {
			t.Error(name, err)
		}
		h.add(31 * 24 * time.Hour)
		err = h.db.Write(ctx, func(tx *store.Tx) error {
			tx.Unaudited("test")
			n, err := SweepDevTx(tx, h.now())
			if n != 2 {
				t.Errorf("%d texts were removed", n)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

func TestNothingIsSentWithoutASender(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.o.Sender = nil
		want(t, h.send(h.account, h.home, berlin), fault.Unavailable, "sms.no_sender")
		want(t, h.Test(ctx, berlin), fault.Unavailable, "sms.no_sender")
		if _, err := h.Probe(ctx); err == nil || h.Ready() || (*Texts)(nil).Ready() {
			t.Error("it is ready")
		}
	})
}

func TestNumbers(t *testing.T) {
	good := map[string]Number{
		"+49 30 901820": berlin, "0049 (30) 901-820": berlin, " +49/30.901820 ": berlin, "+1 876 555 0123": jamaica, "+4930901820": berlin,
	}
	for in, out := range good {
		if got, err := ParseNumber(in); err != nil || got != out {
			t.Errorf("%q is %q, %v", in, got, err)
		}
	}
	for _, in := range []string{"", "030901820", "+", "+0301234567", "+49", "+1234567890123456", "+49 30 9018x0", "+49++30901820", "call me", strings.Repeat("+49 ", 30), "+４９30901820"} {
		if got, err := ParseNumber(in); err == nil {
			t.Errorf("%q is %q", in, got)
		}
	}
	if berlin.Masked() != "•••• 20" || Number("").Masked() != "••••" {
		t.Errorf("masked: %q", berlin.Masked())
	}
}

func TestCountries(t *testing.T) {
	for _, c := range []struct {
		list []string
		to   Number
		ok   bool
	}{
		{nil, berlin, false},
		{[]string{"+49"}, berlin, true},
		{[]string{"+1"}, berlin, false},
		{[]string{"+"}, berlin, true},
		{[]string{"+1", "!+1876"}, jamaica, false},
		{[]string{"!+1876", "+1"}, "+12025550123", true},
		{[]string{"+", "!+49", "+4930"}, berlin, true},
	} {
		if err := (&Texts{o: Options{Countries: c.list}}).Allowed(c.to); (err == nil) != c.ok {
			t.Errorf("%v, %s: %v", c.list, c.to, err)
		}
	}
}
