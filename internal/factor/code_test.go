package factor

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"troth/internal/fault"
	"troth/internal/secret"
	"troth/internal/store"
)

var eight = regexp.MustCompile(`\b\d{8}\b`)

// texted is the code of the newest text.
func (h *house) texted() secret.String {
	h.t.Helper()
	return secret.Of(eight.FindString(h.texts[len(h.texts)-1].Body))
}

// mailed is the code of the newest mail.
func (h *house) mailed() secret.String {
	h.t.Helper()
	return secret.Of(eight.FindString(h.mails[len(h.mails)-1].Body))
}

func TestRecoveryCodes(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ada, eve := h.person(), h.person()
		_, err := h.MakeRecovery(ctx, ada)
		want(t, err, fault.Conflict, "factor.recovery_alone")
		h.app(ada, "")
		h.app(eve, "")
		codes, err := h.MakeRecovery(ctx, ada)
		if err != nil || len(codes) != 10 {
			t.Fatal(len(codes), err)
		}
		seen := map[string]bool{}
		for _, c := range codes {
			if !regexp.MustCompile(`^[0-9a-hj-km-np-tv-z]{4}(-[0-9a-hj-km-np-tv-z]{4}){3}$`).MatchString(c.Reveal()) || seen[c.Reveal()] {
				t.Errorf("a code reads %s", c.Reveal())
			}
			seen[c.Reveal()] = true
		}
		q := h.question(ada, KindRecovery)
		sloppy := strings.ToUpper(strings.NewReplacer("-", " ", "0", "O", "1", "l").Replace(codes[0].Reveal()))
		if !h.answers(q, secret.Of(sloppy)) || h.answers(q, codes[0]) {
			t.Error("a code is not accepted exactly once")
		}
		if len(h.mails) != 1 || !strings.Contains(h.mails[0].Body, "9 of your recovery codes are left") || strings.Contains(h.mails[0].Body, codes[0].Reveal()) {
			t.Errorf("the holder was told %+v", h.mails)
		}
		if h.answers(h.question(eve, KindRecovery), codes[1]) {
			t.Error("the code of one account is good for another")
		}
		for _, bad := range []string{"", "0000-0000-0000-0000", strings.Repeat("!", 16), strings.Repeat("a", 100)} {
			if h.answers(q, secret.Of(bad)) {
				t.Errorf("%q is accepted", bad)
			}
		}
		o, err := h.Overview(ctx, ada)
		if err != nil || o.Recovery.Left != 9 || o.Recovery.MadeAt.IsZero() {
			t.Errorf("%+v, %v", o.Recovery, err)
		}
		for _, c := range codes[2:8] {
			if !h.answers(q, c) {
				t.Error("one of many codes is not accepted")
			}
		}
		if last := h.mails[len(h.mails)-1].Body; !strings.Contains(last, "Only 3 of your recovery codes are left. Make new ones") {
			t.Errorf("the holder was told %q", last)
		}
		again, err := h.MakeRecovery(ctx, ada)
		if err != nil || h.answers(q, codes[1]) || !h.answers(q, again[0]) {
			t.Errorf("new codes void the old ones: %v", err)
		}
		if got := slices.Compact(h.events(ada)); !slices.Equal(got, []string{"factor.added", "factor.recovery_made", "factor.recovery_used", "factor.recovery_made", "factor.recovery_used"}) {
			t.Errorf("events: %v", h.events(ada))
		}
	})
}

func TestRecoveryCodesAreDigests(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ada := h.person()
		h.app(ada, "")
		codes, err := h.MakeRecovery(ctx, ada)
		if err != nil {
			t.Fatal(err)
		}
		var digests [][]byte
		err = h.DB.Read(ctx, func(tx *store.Tx) error {
			rows, err := tx.Query(`SELECT digest FROM factor_recovery`)
			if err != nil {
				return err
			}
			defer rows.Close()
			for rows.Next() {
				var d []byte
				if err := rows.Scan(&d); err != nil {
					return err
				}
				digests = append(digests, d)
			}
			return rows.Err()
		})
		if err != nil || len(digests) != 10 || len(digests[0]) != 33 {
			t.Fatalf("%d digests, %v", len(digests), err)
		}
		for _, d := range digests {
			if strings.Contains(string(d), strings.ReplaceAll(codes[0].Reveal(), "-", "")) {
				t.Error("a code stands in the table")
			}
		}
	})
}

// Recovery codes stand in for something, and end with the last of it.
func TestRecoveryCodesAreNoFactorAlone(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ada := h.person()
		h.other = true // a passkey
		if _, err := h.MakeRecovery(ctx, ada); err != nil {
			t.Fatal(err)
		}
		if got := h.offers(ada); !slices.Equal(got, []string{KindRecovery}) {
			t.Errorf("beside a passkey: %v", got)
		}
		h.other = false
		if got := h.offers(ada); got != nil {
			t.Errorf("alone: %v", got)
		}
		h.app(ada, "")
		o, err := h.Overview(ctx, ada)
		if err != nil || o.Recovery.Left != 10 {
			t.Fatalf("%+v, %v", o, err)
		}
		if err := h.Remove(ctx, ada, o.Factors[0].ID); err != nil {
			t.Fatal(err)
		}
		if o, err = h.Overview(ctx, ada); err != nil || o.Recovery.Left != 0 {
			t.Errorf("after the last factor went: %+v, %v", o, err)
		}
	})
}

func TestMailedCodes(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ada := h.person()
		if err := h.SwitchMailOn(ctx, ada); err != nil {
			t.Fatal(err)
		}
		if err := h.SwitchMailOn(ctx, ada); err != nil {
			t.Fatal(err)
		}
		o, err := h.Overview(ctx, ada)
		if err != nil || len(o.Factors) != 1 || o.Factors[0].Counts || o.Counts {
			t.Fatalf("mailed codes count: %+v, %v", o, err)
		}
		q := h.question(ada, KindMail)
		if err := h.sends(q); err != nil {
			t.Fatal(err)
		}
		m := h.mails[0]
		if m.To != "ada@example.org" || m.Account != ada.Account || strings.Contains(m.Subject, h.mailed().Reveal()) {
			t.Errorf("the mail: %+v", m)
		}
		other := q
		other.For = "sign-in two"
		if h.answers(other, h.mailed()) {
			t.Error("a code for one sign-in is good for another")
		}
		if !h.answers(q, secret.Of(grouped(h.mailed().Reveal(), " "))) || h.answers(q, h.mailed()) {
			t.Error("a code is not accepted exactly once")
		}
		h.Config.MailedCodes = false
		if got := h.offers(ada); got != nil {
			t.Errorf("although the setting is off, it offers %v", got)
		}
		want(t, h.SwitchMailOn(ctx, ada), fault.Conflict, "factor.no_mailed_codes")
	})
}

func TestSentCodesEnd(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ada := h.person()
		if err := h.SwitchMailOn(ctx, ada); err != nil {
			t.Fatal(err)
		}
		q := h.question(ada, KindMail)
		send := func() secret.String {
			t.Helper()
			if err := h.sends(q); err != nil {
				t.Fatal(err)
			}
			return h.mailed()
		}
		first := send()
		want(t, h.sends(q), fault.TooMany, "factor.just_sent")
		h.add(again)
		second := send()
		if h.answers(q, first) {
			t.Error("an older code is accepted after a newer one was sent")
		}
		for range maxTries - 1 {
			h.answers(q, secret.Of("00000000"))
		}
		if h.answers(q, second) {
			t.Error("after five wrong answers a code is still good")
		}
		h.add(again)
		third := send()
		h.add(sentLife)
		if h.answers(q, third) {
			t.Error("after ten minutes a code is still good")
		}
		for range perHour - 3 {
			send()
			h.add(again)
		}
		want(t, h.sends(q), fault.TooMany, "factor.too_many_sent")
		h.add(25 * time.Hour)
		if n := h.sweep("factor_code"); n != perHour {
			t.Errorf("%d codes were swept", n)
		}
		send()
	})
}

func TestTelephone(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ada := h.person()
		which, err := h.BeginPhone(ctx, ada, phone)
		if err != nil {
			t.Fatal(err)
		}
		sent := h.texts[0]
		if sent.To != "+4930901820" || sent.Account != ada.Account || sent.Until.Sub(h.now()).Round(time.Second) != sentLife || !strings.HasSuffix(sent.Body, "\n\n@orchard.example #"+h.texted().Reveal()) {
			t.Errorf("the text: %+v", sent)
		}
		if masked, err := h.Phone(ctx, ada, which); err != nil || masked != "•••• 20" {
			t.Errorf("%q, %v", masked, err)
		}
		if got := h.offers(ada); got != nil {
			t.Errorf("before it was confirmed: %v", got)
		}
		want(t, h.ResendPhone(ctx, ada, which), fault.TooMany, "factor.just_sent")
		_, err = h.ConfirmPhone(ctx, ada, which, secret.Of("00000000"))
		want(t, err, fault.Invalid, "factor.wrong_code")
		h.add(again)
		if err := h.ResendPhone(ctx, ada, which); err != nil {
			t.Fatal(err)
		}
		if first, err := h.ConfirmPhone(ctx, ada, which, h.texted()); err != nil || !first {
			t.Fatal(err)
		}
		if got := h.offers(ada); !slices.Equal(got, []string{KindText}) {
			t.Errorf("it offers %v", got)
		}
		q := h.question(ada, KindText)
		if h.answers(q, h.texted()) {
			t.Error("the code that confirmed the number signs in")
		}
		if err := h.sends(q); err != nil || !h.answers(q, h.texted()) || h.answers(q, h.texted()) {
			t.Errorf("%v: a code is not accepted exactly once", err)
		}
		// What was set up stays when the plan ends; nothing new is set up.
		h.plan = false
		h.add(again)
		if err := h.sends(q); err != nil || !h.answers(q, h.texted()) {
			t.Errorf("after the plan ended: %v", err)
		}
		_, err = h.BeginPhone(ctx, ada, phone)
		want(t, err, fault.Conflict, "factor.no_plan")
		// A bound of package sms is told.
		h.full = fault.New(fault.TooMany, "sms.too_many", "Too many.")
		h.add(again)
		want(t, h.sends(q), fault.TooMany, "sms.too_many")
	})
}

func TestAnotherNumberReplacesTheFirst(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ada := h.person()
		for _, number := range []string{phone, "+49 30 901847"} {
			which, err := h.BeginPhone(ctx, ada, number)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := h.ConfirmPhone(ctx, ada, which, h.texted()); err != nil {
				t.Fatal(err)
			}
		}
		o, err := h.Overview(ctx, ada)
		if err != nil || len(o.Factors) != 1 || o.Factors[0].Name != "•••• 47" || h.removed != 1 {
			t.Errorf("%+v, %v, %d removed", o, err, h.removed)
		}
		if !strings.Contains(h.told[1], "was changed") || !slices.Contains(h.events(ada), "factor.replaced") {
			t.Errorf("told %v, events %v", h.told, h.events(ada))
		}
		for number, code := range map[string]string{"+1 202 555 0123": "sms.country", "123": "sms.number"} {
			_, err := h.BeginPhone(ctx, ada, number)
			want(t, err, fault.Invalid, code)
		}
		var sealed []byte
		err = h.DB.Read(ctx, func(tx *store.Tx) error { return tx.QueryRow(`SELECT secret FROM factor`).Scan(&sealed) })
		if err != nil || strings.Contains(string(sealed), "90184") {
			t.Errorf("%v: the number stands in the table", err)
		}
	})
}

// What is not set up is not answered, and not sent.
func TestUnknownKinds(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ada := h.person()
		for _, kind := range []string{KindApp, KindRecovery, KindText, KindMail, "passkey", ""} {
			if h.answers(h.question(ada, kind), secret.Of("12345678")) {
				t.Errorf("%q is answered", kind)
			}
		}
		for _, kind := range []string{KindText, KindMail} {
			want(t, h.sends(h.question(ada, kind)), fault.NotFound, "factor.none")
		}
		if err := h.sends(h.question(ada, KindApp)); err != nil {
			t.Errorf("an app needs no code sent: %v", err)
		}
	})
}
