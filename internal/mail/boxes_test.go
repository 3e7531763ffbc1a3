package mail

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/keys"
	"troth/internal/store"
	"troth/internal/store/storetest"
)

var testTime = time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)

func TestCanaryMailStaysHere(t *testing.T) {
	o := newOffice(t, storetest.SQLite(t, Migrations))
	if err := o.send(t, Message{Kind: "x", To: "one@canary.invalid", Subject: "For one", Body: "Text ü\n"}); err != nil {
		t.Fatal(err)
	}
	got, err := o.canary.Wait(t.Context(), "one@canary.invalid", o.now)
	if err != nil || got.Subject != "For one" || got.Body != "Text ü\n" {
		t.Errorf("got %+v, %v", got, err)
	}
	o.Wait()
	if o.rows(t) != 0 || len(o.queue.payloads) != 0 || len(o.out.got) != 0 {
		t.Error("the message was queued, kept or sent elsewhere")
	}
	var rejected *Rejected
	if err := o.canary.Deliver(t.Context(), "", "a@example.org", nil); !errors.As(err, &rejected) {
		t.Errorf("the canary took somebody's mail: %v", err)
	}
}

func TestCanaryWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := NewCanary(time.Now)
		raw := func(n int) []byte {
			return fmt.Appendf(nil, "From: a@example.org\r\nSubject: %d\r\n\r\n", n)
		}
		ctx, stop := context.WithTimeout(t.Context(), time.Minute)
		defer stop()
		go func() {
			time.Sleep(10 * time.Second)
			c.Deliver(ctx, "", "other@canary.invalid", raw(0))
			time.Sleep(10 * time.Second)
			c.Deliver(ctx, "", "one@canary.invalid", raw(1))
		}()
		began := time.Now()
		got, err := c.Wait(ctx, "one@canary.invalid", began)
		if err != nil || got.Subject != "1" || time.Since(began) != 20*time.Second {
			t.Errorf("got %+v, %v after %v", got, err, time.Since(began))
		}
		if _, err := c.Wait(ctx, "one@canary.invalid", time.Now().Add(time.Second)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("an older message was taken for a newer one: %v", err)
		}
		// One that was queued before and comes late is not the newest.
		for _, each := range []struct{ name, at string }{{"second", "2s"}, {"first", "1s"}} {
			d, _ := time.ParseDuration(each.at)
			message := fmt.Appendf(nil, "Message-ID: <%s@example.org>\r\nFrom: a@example.org\r\nSubject: %s\r\n\r\n", id.New[id.Mail](began.Add(d)), each.name)
			c.Deliver(ctx, "", "late@canary.invalid", message)
		}
		if got, err = c.Wait(ctx, "late@canary.invalid", began); err != nil || got.Subject != "second" || !got.At.Equal(began.Add(2*time.Second)) {
			t.Errorf("the newest is %+v, %v", got, err)
		}
		for n := range 3 * canaryKeeps {
			c.Deliver(ctx, "", "many@canary.invalid", raw(n))
		}
		if len(c.held) != canaryKeeps {
			t.Errorf("the mailbox holds %d", len(c.held))
		}
		got, err = c.Wait(t.Context(), "many@canary.invalid", began)
		if err != nil || got.Subject != fmt.Sprint(3*canaryKeeps-1) {
			t.Errorf("the newest is %+v, %v", got, err)
		}
	})
}

func TestDevMailbox(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		o := newOffice(t, db)
		dev := NewDevMailbox(db, o.k, func() time.Time { return o.now })
		o.o.Routes[0].Transport = dev
		if err := o.send(t, hello); err != nil {
			t.Fatal(err)
		}
		if failed := o.work(t); failed != nil {
			t.Fatal(failed)
		}
		all, err := dev.List(t.Context())
		if err != nil || len(all) != 1 || all[0].Subject != hello.Subject || all[0].Body != hello.Body || all[0].To != "Anna.Ä@example.org" {
			t.Fatalf("the mailbox shows %+v, %v", all, err)
		}
		one, err := dev.Get(t.Context(), all[0].ID)
		if err != nil || one != all[0] {
			t.Errorf("one message: %+v, %v", one, err)
		}
		_, err = dev.Get(t.Context(), id.New[id.Mail](o.now))
		if fault.KindOf(err) != fault.NotFound {
			t.Errorf("a message that is not there: %v", err)
		}
		if err := o.k.Shred(t.Context(), keys.MonthRef(monthClass, o.now)); err != nil {
			t.Fatal(err)
		}
		if all, err := dev.List(t.Context()); err != nil || len(all) != 0 {
			t.Errorf("after the month's key was destroyed: %v, %v", all, err)
		}
	}, Migrations)
}

func TestDevMailboxKeepsTheNewest(t *testing.T) {
	o := newOffice(t, storetest.SQLite(t, Migrations))
	dev := NewDevMailbox(o.db, o.k, func() time.Time { return o.now })
	for n := range devKeeps + 5 {
		o.now = o.now.Add(time.Second)
		raw := fmt.Appendf(nil, "From: a@example.org\r\nSubject: %d\r\n\r\n", n)
		if err := dev.Deliver(t.Context(), "", "a@example.org", raw); err != nil {
			t.Fatal(err)
		}
	}
	all, err := dev.List(t.Context())
	if err != nil || len(all) != devKeeps || all[0].Subject != fmt.Sprint(devKeeps+4) || all[devKeeps-1].Subject != "5" {
		t.Errorf("%d messages, %v", len(all), err)
	}
}
