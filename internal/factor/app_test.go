package factor

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"troth/internal/access"
	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/keys"
	"troth/internal/secret"
	"troth/internal/store"
)

func TestAppCountsOnceACodeWasEntered(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ada := h.person()
		which, err := h.BeginApp(ctx, ada, "  My   phone ")
		if err != nil {
			t.Fatal(err)
		}
		if got := h.offers(ada); got != nil {
			t.Errorf("before the first code it offers %v", got)
		}
		e, err := h.App(ctx, ada, which)
		if err != nil || e.Name != "My phone" || e.Account != "ada@example.org" || len(e.Key.Reveal()) != 39 || !strings.HasPrefix(e.Link.Reveal(), "otpauth://totp/Orchard%20%20fruit:ada%40example.org?secret=") {
			t.Fatalf("%+v, %v, %s", e, err, e.Link.Reveal())
		}
		if h.answers(h.question(ada, KindApp), h.code(e.Key, 0)) {
			t.Error("an app that does not count was believed")
		}
		_, err = h.ConfirmApp(ctx, ada, which, secret.Of("000000"))
		want(t, err, fault.Invalid, "factor.wrong_code")
		first, err := h.ConfirmApp(ctx, ada, which, h.code(e.Key, 0))
		if err != nil || !first {
			t.Fatalf("confirming: %v, recovery codes missing %v", err, first)
		}
		if got := h.offers(ada); !slices.Equal(got, []string{KindApp}) {
			t.Errorf("it offers %v", got)
		}
		if _, err := h.App(ctx, ada, which); fault.KindOf(err) != fault.NotFound {
			t.Errorf("the secret is shown again: %v", err)
		}
		if len(h.told) != 1 || !slices.Equal(h.events(ada), []string{"factor.added"}) {
			t.Errorf("told %v, events %v", h.told, h.events(ada))
		}
		// The code that set the app up is used up with it.
		if h.answers(h.question(ada, KindApp), h.code(e.Key, 0)) {
			t.Error("the code that set the app up signs in")
		}
	})
}

// RFC 6238, 5.2: a code is accepted once, and none of an older step after it.
func TestCodeIsAcceptedOnce(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ada := h.person()
		key, q := h.app(ada, ""), h.question(ada, KindApp)
		h.add(5 * time.Minute)
		before, now := h.code(key, -period*time.Second), h.code(key, 0)
		if !h.answers(q, now) || h.answers(q, now) {
			t.Error("a code is not accepted exactly once")
		}
		if h.answers(q, before) {
			t.Error("the code of an older step is accepted after a newer one")
		}
		if !h.answers(q, h.code(key, period*time.Second)) {
			t.Error("the code of the next step is not accepted")
		}
		h.add(3 * period * time.Second)
		if h.answers(q, h.code(key, -2*period*time.Second)) || h.answers(q, h.code(key, 2*period*time.Second)) {
			t.Error("a code two steps off is accepted")
		}
		if !h.answers(q, secret.Of(grouped(h.code(key, 0).Reveal(), " "))) {
			t.Error("a code in groups is not accepted")
		}
	})
}

func TestOfManyThatUseACodeOneSucceeds(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ada := h.person()
		key := h.app(ada, "")
		codes, err := h.MakeRecovery(ctx, ada)
		if err != nil {
			t.Fatal(err)
		}
		for kind, code := range map[string]secret.String{KindApp: h.code(key, 0), KindRecovery: codes[0]} {
			var mu sync.Mutex
			var wait sync.WaitGroup
			right := 0
			for range 8 {
				wait.Go(func() {
					var amr []string
					err := h.DB.Write(ctx, func(tx *store.Tx) (err error) {
						tx.Unaudited("test")
						amr, err = h.AnswerTx(ctx, tx, h.question(ada, kind), code)
						return err
					})
					mu.Lock()
					defer mu.Unlock()
					if err != nil {
						t.Error(err)
					}
					if len(amr) > 0 {
						right++
					}
				})
			}
			wait.Wait()
			if right != 1 {
				t.Errorf("%s: %d of eight succeeded", kind, right)
			}
		}
	})
}

func TestClockThatIsOffIsTold(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ada := h.person()
		which, err := h.BeginApp(ctx, ada, "")
		if err != nil {
			t.Fatal(err)
		}
		e, err := h.App(ctx, ada, which)
		if err != nil {
			t.Fatal(err)
		}
		for off, says := range map[time.Duration]string{
			150 * time.Second:  "about 2 minutes and 30 seconds fast",
			-300 * time.Second: "about 5 minutes and 0 seconds old",
		} {
			_, err := h.ConfirmApp(ctx, ada, which, h.code(e.Key, off))
			want(t, err, fault.Invalid, "factor.clock")
			if !strings.Contains(err.Error(), says) {
				t.Errorf("%s: %v", off, err)
			}
		}
		_, err = h.ConfirmApp(ctx, ada, which, h.code(e.Key, 330*time.Second))
		want(t, err, fault.Invalid, "factor.wrong_code")
		if _, err := h.ConfirmApp(ctx, ada, which, h.code(e.Key, -period*time.Second)); err != nil {
			t.Errorf("one step is what typing takes: %v", err)
		}
	})
}

func TestSeveralApps(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ada := h.person()
		phone, tablet := h.app(ada, "Phone"), h.app(ada, "Tablet")
		q := h.question(ada, KindApp)
		if !h.answers(q, h.code(phone, 0)) || !h.answers(q, h.code(tablet, 0)) {
			t.Error("one of two apps is not believed")
		}
		o, err := h.Overview(ctx, ada)
		if err != nil || len(o.Of(KindApp)) != 2 || o.Factors[0].Name != "Phone" || o.Factors[0].UsedAt.IsZero() || !o.Counts || !o.Texts || !o.Mailed {
			t.Fatalf("%+v, %v", o, err)
		}
		if err := h.Remove(ctx, ada, o.Factors[0].ID); err != nil {
			t.Fatal(err)
		}
		h.add(period * time.Second)
		if h.answers(q, h.code(phone, 0)) || !h.answers(q, h.code(tablet, 0)) {
			t.Error("the removed app is believed, or the other one is not")
		}
		if h.removed != 1 {
			t.Errorf("the account heard of %d removals", h.removed)
		}
		for n := range maxApps - 1 {
			h.app(ada, fmt.Sprint(n))
		}
		_, err = h.BeginApp(ctx, ada, "one too many")
		want(t, err, fault.Conflict, "factor.too_many_apps")
	})
}

func TestEnrolmentEnds(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ada, eve := h.person(), h.person()
		first, err := h.BeginApp(ctx, ada, "")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := h.App(ctx, eve, first); fault.KindOf(err) != fault.NotFound {
			t.Errorf("somebody else reads the secret: %v", err)
		}
		if _, err := h.ConfirmApp(ctx, eve, first, secret.Of("123456")); fault.KindOf(err) != fault.NotFound {
			t.Errorf("somebody else confirms: %v", err)
		}
		second, err := h.BeginApp(ctx, ada, "")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := h.App(ctx, ada, first); fault.KindOf(err) != fault.NotFound {
			t.Errorf("what was begun before is still there: %v", err)
		}
		if err := h.Remove(ctx, ada, second); fault.KindOf(err) != fault.NotFound {
			t.Errorf("what does not count was removed: %v", err)
		}
		if _, err := h.Get(ctx, ada, second); fault.KindOf(err) != fault.NotFound {
			t.Errorf("what does not count is shown: %v", err)
		}
		h.add(pendingLife)
		if _, err := h.App(ctx, ada, second); fault.KindOf(err) != fault.NotFound {
			t.Errorf("after an hour: %v", err)
		}
		if n := h.sweep("factor"); n != 1 {
			t.Errorf("%d were swept", n)
		}
	})
}

func (h *house) sweep(table string) (n int64) {
	h.t.Helper()
	for _, r := range Retention {
		if r.Table != table {
			continue
		}
		err := h.DB.Write(ctx, func(tx *store.Tx) (err error) {
			tx.Unaudited("test")
			n, err = r.Sweep(ctx, tx, h.now())
			return err
		})
		if err != nil {
			h.t.Fatal(err)
		}
	}
	return n
}

func TestARefusedChangeIsNone(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ada := h.person()
		key := h.app(ada, "")
		o, err := h.Overview(ctx, ada)
		if err != nil {
			t.Fatal(err)
		}
		h.refuse = fault.New(fault.Conflict, "account.short_needs_factor", "Set a longer password first.")
		want(t, h.Remove(ctx, ada, o.Factors[0].ID), fault.Conflict, "account.short_needs_factor")
		if !h.answers(h.question(ada, KindApp), h.code(key, 0)) {
			t.Error("the app is gone, although its removal was refused")
		}
	})
}

func TestSecretsAreSealed(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ada := h.person()
		key := h.app(ada, "Grandmother's telephone")
		raw, err := base.DecodeString(strings.ReplaceAll(key.Reveal(), " ", ""))
		if err != nil || len(raw) != 20 {
			t.Fatalf("the key has %d bytes, %v", len(raw), err)
		}
		var name, sealed []byte
		err = h.DB.Read(ctx, func(tx *store.Tx) error {
			return tx.QueryRow(`SELECT name, secret FROM factor`).Scan(&name, &sealed)
		})
		if err != nil || strings.Contains(string(sealed), string(raw)) || strings.Contains(string(name), "Grandmother") {
			t.Fatalf("%v: a secret or a name stands in the table", err)
		}
		if err := h.Keys.Shred(ctx, keys.SubjectRef(ada.Account)); err != nil {
			t.Fatal(err)
		}
		err = h.DB.Write(ctx, func(tx *store.Tx) error {
			tx.Unaudited("test")
			_, err := h.AnswerTx(ctx, tx, h.question(ada, KindApp), h.code(key, 0))
			return err
		})
		if fault.KindOf(err) != fault.Gone {
			t.Errorf("without its key: %v", err)
		}
		err = h.DB.Write(ctx, func(tx *store.Tx) error { tx.Unaudited("test"); return h.ForgetTx(tx, ada.Account) })
		if err != nil || h.offers(ada) != nil {
			t.Errorf("after it was forgotten: %v, %v", h.offers(ada), err)
		}
	})
}

func TestNames(t *testing.T) {
	for in, out := range map[string]string{"": "App", " Phone\t two ": "Phone two", "Téléphone 📱": "Téléphone 📱"} {
		if got, err := readName(in, "App"); err != nil || got != out {
			t.Errorf("%q: %q, %v", in, got, err)
		}
	}
	for _, bad := range []string{"a\u202eb", "a\x00b", strings.Repeat("x", 51), "\xff"} {
		if _, err := readName(bad, "App"); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// Nobody but the holder changes anything.
func TestStrangersMayNothing(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		for _, by := range []access.Subject{access.Nobody(h.person().Context), {}} {
			which := id.New[id.Factor](h.now())
			var errs []error
			note := func(err error) { errs = append(errs, err) }
			_, err := h.BeginApp(ctx, by, "")
			note(err)
			_, err = h.App(ctx, by, which)
			note(err)
			_, err = h.ConfirmApp(ctx, by, which, secret.Of("123456"))
			note(err)
			_, err = h.MakeRecovery(ctx, by)
			note(err)
			_, err = h.BeginPhone(ctx, by, phone)
			note(err)
			_, err = h.Phone(ctx, by, which)
			note(err)
			note(h.ResendPhone(ctx, by, which))
			_, err = h.ConfirmPhone(ctx, by, which, secret.Of("12345678"))
			note(err)
			_, err = h.Overview(ctx, by)
			note(err)
			_, err = h.Get(ctx, by, which)
			note(err)
			note(h.Remove(ctx, by, which))
			note(h.SwitchMailOn(ctx, by))
			for i, err := range errs {
				if fault.KindOf(err) != fault.Unauthenticated {
					t.Errorf("%d: %v", i, err)
				}
			}
		}
	})
}
