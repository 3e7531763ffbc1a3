package account

import (
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"slices"
	"testing"
	"time"

	"troth/internal/access"
	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/secret"
	"troth/internal/store"
)

// touch is passkeys that answer what a test wants. What package passkey checks
// is its own test's.
type touch struct {
	off   bool
	shown Shown
	fail  error
}

func (k *touch) Enabled() bool { return !k.off }
func (k *touch) RPID() string  { return "troth.example" }

func (k *touch) BeginSignIn(context.Context, secret.String) (json.RawMessage, error) {
	return json.RawMessage(`{}`), k.fail
}

func (k *touch) SignInTx(context.Context, *store.Tx, access.Subject, secret.String, []byte) (Shown, error) {
	return k.shown, k.fail
}

func (k *touch) shows(account id.Account, amr ...string) { k.shown = Shown{Account: account, AMR: amr} }

func withTouch(t *testing.T, test func(t *testing.T, h *house, k *touch)) {
	each(t, func(t *testing.T, h *house) {
		k := &touch{}
		h.Passkeys = k
		test(t, h, k)
	})
}

func (h *house) touched(by access.Subject) (Outcome, error) {
	return h.SignInPasskey(ctx, by, PasskeyAttempt{Browser: secret.NewToken(), Answer: []byte("{}")})
}

// A passkey that verified its user is the password and the second factor in
// one; the session says what was proven, and the one of the same browser ends.
func TestPasskeySignsIn(t *testing.T) {
	withTouch(t, func(t *testing.T, h *house, k *touch) {
		by, before := h.person(ada, goodWord)
		h.Factors = []Factors{always{}}
		k.shows(by.Account, "swk", "user", "mfa")
		out, err := h.touched(by)
		if err != nil || out.Next != StepNone || out.Signed.Session == "" {
			t.Fatalf("the outcome is %+v, %v", out, err)
		}
		now := h.who(out.Signed.Token)
		if !now.Factor || !now.Resistant || !slices.Equal(now.AMR, []string{"swk", "user", "mfa"}) {
			t.Errorf("the session is %+v", now)
		}
		if h.signedIn(before.Token) {
			t.Error("the session of the same browser goes on")
		}
		if !slices.Contains(h.events(by.Tenant), evSignedIn) {
			t.Error("the log does not have it")
		}
	})
}

// always is a second factor that everybody has and nobody can answer.
type always struct{}

func (always) OffersTx(context.Context, *store.Tx, id.Account) ([]Offer, error) {
	return []Offer{{Kind: "totp", Counts: true}}, nil
}
func (always) BeginTx(context.Context, *store.Tx, Question) ([]byte, error) { return nil, nil }
func (always) AnswerTx(context.Context, *store.Tx, Question, Answer) ([]string, error) {
	return nil, nil
}

// Without user verification a passkey would be one factor, and the next step
// asks for the other.
func TestPasskeyAloneIsNoSecondFactor(t *testing.T) {
	withTouch(t, func(t *testing.T, h *house, k *touch) {
		by, _ := h.person(ada, goodWord)
		h.Factors = []Factors{always{}}
		k.shows(by.Account, "hwk")
		if out, err := h.touched(stranger()); err != nil || out.Next != StepFactor || out.Signed.Session != "" {
			t.Errorf("the outcome is %+v, %v", out, err)
		}
	})
}

// What is refused begins nothing, and is in the log of whom it is about.
func TestPasskeyRefused(t *testing.T) {
	withTouch(t, func(t *testing.T, h *house, k *touch) {
		by, _ := h.person(ada, goodWord)
		no := fault.New(fault.Unauthenticated, "passkey.stopped", "No.")
		for _, shown := range []Shown{
			{Account: by.Account, Refused: no, Reason: "it was stopped"}, {Refused: no, Reason: "nobody knows it"},
			{Account: by.Account}, {Account: id.New[id.Account](h.clock.now()), AMR: []string{"hwk", "user", "mfa"}},
		} {
			k.shown = shown
			out, err := h.touched(stranger())
			if fault.KindOf(err) != fault.Unauthenticated || out.Signed.Session != "" || !out.Pending.IsZero() {
				t.Errorf("%+v: %+v, %v", shown, out, err)
			}
			if shown.Refused != nil && !errors.Is(err, no) {
				t.Errorf("the refusal is %v", err)
			}
		}
		if count(h.events(by.Tenant), evSignInFailed) != 2 || count(h.events(id.Platform), evSignInFailed) != 2 {
			t.Errorf("the log has %v and %v", h.events(by.Tenant), h.events(id.Platform))
		}
		k.fail = errors.New("the database is gone")
		if _, err := h.touched(stranger()); !errors.Is(err, k.fail) {
			t.Errorf("the error is %v", err)
		}
	})
}

// A passkey skips no step but those that it stands for: an account at rest is
// not woken by it.
func TestPasskeyWakesNoAccount(t *testing.T) {
	withTouch(t, func(t *testing.T, h *house, k *touch) {
		by, _ := h.person(ada, goodWord)
		if err := h.Deactivate(ctx, by); err != nil {
			t.Fatal(err)
		}
		k.shows(by.Account, "hwk", "user", "mfa")
		if out, err := h.touched(stranger()); err != nil || out.Next != StepReactivate || out.Signed.Session != "" {
			t.Errorf("the outcome is %+v, %v", out, err)
		}
	})
}

// Where there are no passkeys, it is said.
func TestNoPasskeys(t *testing.T) {
	h := sqlite(t)
	for _, k := range []Passkeys{nil, &touch{off: true}} {
		h.Passkeys = k
		_, err := h.BeginPasskey(ctx, stranger(), secret.NewToken())
		want(t, err, fault.Unavailable, "account.no_passkeys")
		_, err = h.touched(stranger())
		want(t, err, fault.Unavailable, "account.no_passkeys")
	}
	h.Passkeys = &touch{}
	if options, err := h.BeginPasskey(ctx, stranger(), secret.NewToken()); err != nil || len(options) == 0 {
		t.Errorf("the options are %s, %v", options, err)
	}
}

func TestStaffTx(t *testing.T) {
	h := sqlite(t)
	by, _ := h.person(ada, goodWord)
	err := h.DB.Read(ctx, func(tx *store.Tx) error {
		staff, err := h.StaffTx(tx, by.Account)
		if staff {
			t.Error("somebody who signed up is staff")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// What strangers make us write is bounded, by their network.
func TestPasskeysAreBounded(t *testing.T) {
	h := sqlite(t)
	h.Passkeys = &touch{shown: Shown{Refused: fault.New(fault.Unauthenticated, "passkey.unknown", "No."), Reason: "nobody knows it"}}
	var err error
	n := 0
	for ; err == nil && n <= passkeyBurst; n++ {
		_, err = h.BeginPasskey(ctx, stranger(), secret.NewToken())
	}
	want(t, err, fault.TooMany, "account.too_often")
	if n < passkeyBurst/2 {
		t.Errorf("only %d challenges were given out", n)
	}
	_, err = h.touched(stranger())
	want(t, err, fault.TooMany, "account.too_often")
	elsewhere := stranger()
	elsewhere.Context.IP = netip.MustParseAddr("198.51.100.9")
	_, err = h.touched(elsewhere)
	want(t, err, fault.Unauthenticated, "passkey.unknown")
	h.clock.add(time.Minute)
	if _, err = h.BeginPasskey(ctx, stranger(), secret.NewToken()); err != nil {
		t.Errorf("a minute later: %v", err)
	}
}
