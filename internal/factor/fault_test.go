package factor

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"troth/internal/access"
	"troth/internal/audit"
	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/keys"
	"troth/internal/secret"
	"troth/internal/store"
	"troth/internal/store/storetest"
)

// life is what one person does, one act after the other.
type life struct {
	*house
	ada   access.Subject
	app   id.Factor
	phone id.Factor
	key   secret.String
	codes []secret.String
}

var errWrong = errors.New("the answer was wrong")

// try answers in a transaction of its own, as a sign-in does.
func (l *life) try(kind string, code secret.String) error {
	right := false
	err := l.DB.Write(ctx, func(tx *store.Tx) error {
		tx.Unaudited("test")
		amr, err := l.AnswerTx(ctx, tx, l.question(l.ada, kind), code)
		right = len(amr) > 0
		return err
	})
	if err == nil && !right {
		return errWrong
	}
	return err
}

// acts are possible in this order. Each says what is right to hear on a second
// try when the first was done and only its answer was lost.
var acts = []struct {
	name string
	do   func(l *life) error
	done func(err error) bool
}{
	{"begin an app", func(l *life) (err error) { l.app, err = l.BeginApp(ctx, l.ada, ""); return err }, nil},
	{"see its key", func(l *life) error {
		e, err := l.App(ctx, l.ada, l.app)
		l.key = e.Key
		return err
	}, nil},
	{"confirm it", func(l *life) error { _, err := l.ConfirmApp(ctx, l.ada, l.app, l.code(l.key, 0)); return err }, gone},
	{"make recovery codes", func(l *life) (err error) { l.codes, err = l.MakeRecovery(ctx, l.ada); return err }, nil},
	{"begin a telephone", func(l *life) (err error) { l.phone, err = l.BeginPhone(ctx, l.ada, phone); return err }, nil},
	{"confirm it ", func(l *life) error { _, err := l.ConfirmPhone(ctx, l.ada, l.phone, l.texted()); return err }, gone},
	{"answer with the app", func(l *life) error { return l.try(KindApp, l.code(l.key, period*time.Second)) }, wrong},
	{"answer with a recovery code", func(l *life) error { return l.try(KindRecovery, l.codes[0]) }, wrong},
	{"remove the app", func(l *life) error { return l.Remove(ctx, l.ada, l.app) }, gone},
}

func gone(err error) bool  { return errors.Is(err, errNone) }
func wrong(err error) bool { return errors.Is(err, errWrong) }

// The nth operation of the store fails, lost or persisted, for every n: nothing
// is half done, nobody is told that a right answer was wrong, and trying again
// works.
func TestFaultSweep(t *testing.T) {
	for _, outcome := range []store.Outcome{store.Lost, store.Persisted} {
		for _, op := range []string{"write", "read", "statement"} {
			t.Run(fmt.Sprintf("%s %v", op, outcome), func(t *testing.T) {
				step := int64(1)
				if op == "statement" { // there are many, and one is like the next
					step = 4
				}
				for n := int64(1); live(t, op, outcome, n); n += step {
					if n > 300 {
						t.Fatal("the sweep does not end")
					}
				}
			})
		}
	}
}

// live goes through all acts with one fault, and reports whether it struck.
func live(t *testing.T, op string, outcome store.Outcome, n int64) bool {
	t.Helper()
	var seen atomic.Int64
	var armed, struck atomic.Bool
	o := storetest.SQLiteOptions(t)
	o.Fault = func(which string) store.Outcome {
		if which == op && armed.Load() && seen.Add(1) == n {
			struck.Store(true)
			return outcome
		}
		return store.Works
	}
	db := storetest.Open(t, o, audit.Migrations, access.Migrations, Migrations)
	l := &life{house: build(t, db)}
	l.ada = l.person()
	for _, a := range acts {
		before := struck.Load()
		armed.Store(true)
		err := a.do(l)
		armed.Store(false)
		now := struck.Load() && !before
		if err != nil && !now {
			t.Fatalf("fault %d: %s failed without a fault: %v", n, a.name, err)
		}
		if err != nil && (fault.KindOf(err) == fault.Invalid || errors.Is(err, errWrong) || errors.Is(err, errNone)) {
			t.Fatalf("fault %d: %s blames the person: %v", n, a.name, err)
		}
		if err != nil {
			if err := a.do(l); err != nil && (outcome == store.Lost || a.done == nil || !a.done(err)) {
				t.Fatalf("fault %d: %s again: %v", n, a.name, err)
			}
		}
		l.consistent(t, fmt.Sprintf("fault %d, after %s", n, a.name))
	}
	return struck.Load()
}

// consistent fails when something is half there.
func (l *life) consistent(t *testing.T, when string) {
	t.Helper()
	o, err := l.Overview(ctx, l.ada)
	if err != nil {
		t.Fatalf("%s: %v", when, err)
	}
	if left := o.Recovery.Left; left != 0 && left != recoveryCodes && left != recoveryCodes-1 {
		t.Fatalf("%s there are %d recovery codes", when, left)
	}
	if o.Counts != (len(o.Of(KindApp))+len(o.Of(KindText)) > 0) || len(o.Of(KindApp)) > 1 || len(o.Of(KindText)) > 1 {
		t.Fatalf("%s: %+v", when, o)
	}
}

// A new version of the index key voids no code that is out.
func TestCodesOutliveAVersionOfTheKey(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ada := h.person()
		h.app(ada, "")
		codes, err := h.MakeRecovery(ctx, ada)
		if err != nil {
			t.Fatal(err)
		}
		if err := h.SwitchMailOn(ctx, ada); err != nil {
			t.Fatal(err)
		}
		if err := h.sends(h.question(ada, KindMail)); err != nil {
			t.Fatal(err)
		}
		if _, err := h.Keys.NewVersion(ctx, keys.ServiceRef("index")); err != nil {
			t.Fatal(err)
		}
		if !h.answers(h.question(ada, KindRecovery), codes[0]) || h.answers(h.question(ada, KindRecovery), codes[0]) {
			t.Error("a recovery code of before is not accepted exactly once")
		}
		if !h.answers(h.question(ada, KindMail), secret.Of(eight.FindString(h.mails[0].Body))) {
			t.Error("a mailed code of before is not accepted")
		}
	})
}

// What belongs to one person does not exist for another.
func TestForeignFactorsDoNotExist(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ada, eve := h.person(), h.person()
		h.app(ada, "")
		o, err := h.Overview(ctx, ada)
		if err != nil {
			t.Fatal(err)
		}
		app := o.Factors[0].ID
		telephone, err := h.BeginPhone(ctx, ada, phone)
		if err != nil {
			t.Fatal(err)
		}
		want(t, h.Remove(ctx, eve, app), fault.NotFound, "factor.none")
		want(t, h.ResendPhone(ctx, eve, telephone), fault.NotFound, "factor.none")
		_, err = h.Get(ctx, eve, app)
		want(t, err, fault.NotFound, "factor.none")
		_, err = h.Phone(ctx, eve, telephone)
		want(t, err, fault.NotFound, "factor.none")
		_, err = h.ConfirmPhone(ctx, eve, telephone, h.texted())
		want(t, err, fault.NotFound, "factor.none")
		// And the kinds are not taken for each other.
		_, err = h.ConfirmApp(ctx, ada, telephone, h.texted())
		want(t, err, fault.NotFound, "factor.none")
		_, err = h.ConfirmPhone(ctx, ada, app, h.texted())
		want(t, err, fault.NotFound, "factor.none")
		if o, err := h.Overview(ctx, eve); err != nil || len(o.Factors) != 0 || h.offers(eve) != nil {
			t.Errorf("another person sees %+v, %v", o, err)
		}
	})
}
