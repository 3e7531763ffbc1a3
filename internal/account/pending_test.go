package account

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"

	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/secret"
	"troth/internal/store"
	"troth/internal/text"
)

// locks are second factors of the test: each code opens once, and only for the
// question that it was made for if it was sent.
type locks struct {
	mu     sync.Mutex
	offers map[id.Account][]Offer
	codes  map[string]bool
	begun  []Question
	user   bool // a passkey verifies its user
}

func newLocks() *locks {
	return &locks{offers: map[id.Account][]Offer{}, codes: map[string]bool{}}
}

func (l *locks) OffersTx(_ context.Context, _ *store.Tx, account id.Account) ([]Offer, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.offers[account]), nil
}

func (l *locks) ForgetTx(_ *store.Tx, account id.Account) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.offers, account)
	return nil
}

func (l *locks) BeginTx(_ context.Context, _ *store.Tx, q Question) ([]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.begun = append(l.begun, q)
	return []byte("challenge for " + q.For), nil
}

func (l *locks) AnswerTx(_ context.Context, tx *store.Tx, q Question, with Answer) ([]string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	code := q.Kind + " " + with.Code.Reveal()
	if !l.codes[code] {
		return nil, nil
	}
	tx.AfterCommit(func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.codes, code)
	})
	if q.Kind == "passkey" && l.user {
		return []string{"hwk", "user"}, nil
	}
	return map[string][]string{"totp": {"otp"}, "recovery": {"otp"}, "passkey": {"swk"}, "email": {"email"}}[q.Kind], nil
}

// give sets up a factor that takes codes.
func (l *locks) give(account id.Account, kind string, codes ...string) {
	l.offers[account] = append(l.offers[account], Offer{Kind: kind, Counts: kind != "email", Resistant: kind == "passkey", Sends: kind == "email"})
	for _, c := range codes {
		l.codes[kind+" "+c] = true
	}
}

// locked is a house whose people can have second factors, and one who has.
func locked(h *house, kinds ...string) (*locks, id.Account) {
	l := newLocks()
	h.Factors = []Factors{l}
	by, _ := h.person(ada, goodWord)
	for _, kind := range kinds {
		l.give(by.Account, kind, "1", "2", "3")
	}
	return l, by.Account
}

func (h *house) attempt(device secret.String) Outcome {
	h.t.Helper()
	o, err := h.SignIn(ctx, stranger(), Attempt{Email: ada, Password: secret.Of(goodWord), Device: device})
	if err != nil {
		h.t.Fatal(err)
	}
	return o
}

func (h *house) answer(o Outcome, kind, code string) (Outcome, error) {
	return h.Answer(ctx, stranger(), o.Pending, Answer{Kind: kind, Code: secret.Of(code)})
}

// The password alone opens nothing; a code opens once.
func TestSecondFactor(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		_, account := locked(h, "totp")
		o := h.attempt(secret.String{})
		if o.Next != StepFactor || o.Signed.Session != "" || o.Pending.IsZero() {
			t.Fatalf("the password alone led to %+v", o)
		}
		if h.signedIn(o.Pending) {
			t.Fatal("the token of a pending sign-in opens")
		}
		_, err := h.answer(o, "totp", "9")
		want(t, err, fault.Unauthenticated, "account.wrong_code")
		_, err = h.answer(o, "sms", "1")
		want(t, err, fault.Invalid, "account.no_factor")
		done, err := h.answer(o, "totp", "1")
		if err != nil || done.Next != StepNone {
			t.Fatalf("the right code led to %+v, %v", done, err)
		}
		by := h.who(done.Signed.Token)
		if by.Account != account || !by.Factor || by.Resistant || !slices.Equal(by.AMR, []string{"pwd", "otp", "mfa"}) {
			t.Errorf("the session is %+v", by)
		}
		_, err = h.answer(o, "totp", "2")
		want(t, err, fault.Gone, "account.sign_in_gone")
		_, err = h.answer(h.attempt(secret.String{}), "totp", "1")
		want(t, err, fault.Unauthenticated, "account.wrong_code")
		for _, e := range []string{evSignInGoes, evFactorFailed, evSignedIn} {
			if !slices.Contains(h.events(by.Tenant), e) {
				t.Errorf("the log has no %s", e)
			}
		}
	})
}

// What only counts as a hint is not offered where something counts.
func TestNoDowngrade(t *testing.T) {
	h := sqlite(t)
	l, account := locked(h, "email")
	o := h.attempt(secret.String{})
	if done, err := h.answer(o, "email", "1"); err != nil || h.who(done.Signed.Token).Factor {
		t.Fatalf("a mailed code counts as a factor, or does not open: %v", err)
	}
	l.give(account, "totp", "7")
	l.give(account, "passkey", "8")
	o = h.attempt(secret.String{})
	p, err := h.Pending(ctx, o.Pending)
	if err != nil || len(p.Factors) != 2 || p.Factors[0].Kind != "passkey" || p.Factors[1].Kind != "totp" || p.Email != ada {
		t.Fatalf("what is offered is %+v, %v", p, err)
	}
	_, err = h.answer(o, "email", "2")
	want(t, err, fault.Invalid, "account.no_factor")
	done, err := h.answer(o, "passkey", "8")
	if by := h.who(done.Signed.Token); err != nil || !by.Factor || !by.Resistant {
		t.Errorf("a passkey led to %+v, %v", by, err)
	}
}

// Ten wrong answers end a sign-in; the eleventh would find nothing.
func TestWrongAnswersEndTheSignIn(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		locked(h, "totp")
		o := h.attempt(secret.String{})
		for n := range maxWrong {
			_, err := h.answer(o, "totp", "wrong")
			switch free := h.Config.Guessing.Free; {
			case n < free:
				want(t, err, fault.Unauthenticated, "account.wrong_code")
			case n < maxWrong-1:
				want(t, err, fault.TooMany, "account.paused")
			default:
				want(t, err, fault.Gone, "account.too_many_wrong")
			}
		}
		_, err := h.answer(o, "totp", "1")
		want(t, err, fault.Gone, "account.sign_in_gone")
	})
}

// A sign-in dies with its time, a new password, a changed factor and the account.
func TestSignInsThatCannotGoOn(t *testing.T) {
	for name, end := range map[string]func(h *house, account id.Account){
		"time": func(h *house, _ id.Account) { h.clock.add(pendingLife) },
		"password": func(h *house, account id.Account) {
			h.write(func(tx *store.Tx) error {
				_, err := tx.Exec(`UPDATE account SET password_at = password_at + 1 WHERE account = $1`, account)
				return err
			})
		},
		"factor": func(h *house, account id.Account) {
			h.write(func(tx *store.Tx) error {
				return h.FactorChangedTx(ctx, tx, stranger(), account, text.New("A second factor was removed."), true)
			})
		},
		"destroyed": func(h *house, account id.Account) {
			if _, err := h.Destroy(ctx, host(), account, false); err != nil {
				h.t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := sqlite(t)
			_, account := locked(h, "totp")
			o := h.attempt(secret.String{})
			end(h, account)
			_, err := h.answer(o, "totp", "1")
			want(t, err, fault.Gone, "account.sign_in_gone")
			_, err = h.Pending(ctx, o.Pending)
			want(t, err, fault.Gone, "account.sign_in_gone")
			want(t, h.SendCode(ctx, stranger(), o.Pending, "totp"), fault.Gone, "account.sign_in_gone")
		})
	}
	h := sqlite(t)
	for _, token := range []secret.String{{}, secret.Of("x"), secret.NewToken()} {
		_, err := h.Answer(ctx, stranger(), token, Answer{})
		want(t, err, fault.Gone, "account.sign_in_gone")
	}
}

// Of many that answer with one code at once, one is signed in.
func TestOneCodeOneSession(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		locked(h, "totp")
		o := h.attempt(secret.String{})
		var wg sync.WaitGroup
		var signed sync.Map
		for range 8 {
			wg.Go(func() {
				if done, err := h.answer(o, "totp", "1"); err == nil && done.Next == StepNone {
					signed.Store(done.Signed.Session, true)
				}
			})
		}
		wg.Wait()
		n := 0
		signed.Range(func(any, any) bool { n++; return true })
		if n != 1 {
			t.Errorf("%d sessions began", n)
		}
	})
}

// A remembered browser is not asked again, until its time, a changed factor, or
// what forbids it.
func TestRememberedBrowser(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		l, account := locked(h, "totp")
		remember := func() secret.String {
			t.Helper()
			o := h.attempt(secret.String{})
			l.codes["totp r"] = true
			if _, err := h.Answer(ctx, stranger(), o.Pending, Answer{Kind: "totp", Code: secret.Of("r"), Remember: true}); err != nil {
				t.Fatal(err)
			}
			return o.Device
		}
		asked := func(what string, device secret.String, want Step) {
			t.Helper()
			if o := h.attempt(device); o.Next != want {
				t.Errorf("%s: the sign-in waits for %q, want %q", what, o.Next, want)
			}
		}
		device := remember()
		if o := h.attempt(device); o.Next != StepNone || h.who(o.Signed.Token).Factor || !h.who(o.Signed.Token).Browser || !o.Device.Equal(device) {
			t.Errorf("in a remembered browser: %+v", o)
		}
		stood := h.attempt(device)
		l.codes["totp again"] = true
		renewed, err := h.Again(ctx, h.who(stood.Signed.Token), secret.Of(goodWord), code("totp", "again"))
		if err != nil {
			t.Fatal(err)
		}
		if by := h.who(renewed.Token); !by.Factor || by.Browser {
			t.Errorf("after the factor was given: %v", by.AMR)
		}
		asked("another browser", secret.String{}, StepFactor)
		forged := []byte(device.Reveal())
		forged[3] ^= 1
		asked("a forged token", secret.Of(string(forged)), StepFactor)
		h.clock.add(h.Config.Remember.D())
		asked("after its time", device, StepFactor)

		device = remember()
		h.write(func(tx *store.Tx) error {
			return h.FactorChangedTx(ctx, tx, stranger(), account, text.New("An authenticator app was set up."), false)
		})
		asked("after a factor changed", device, StepFactor)

		for name, query := range map[string]string{"staff": `staff = 'owner'`, "a short password": `password_short = TRUE`} {
			device = remember()
			h.write(func(tx *store.Tx) error { _, err := tx.Exec(`UPDATE account SET ` + query); return err })
			asked(name, device, StepFactor)
			h.write(func(tx *store.Tx) error {
				_, err := tx.Exec(`UPDATE account SET staff = '', password_short = FALSE`)
				return err
			})
			asked("no longer "+name, device, StepNone)
		}
		h.Policies = forgets{}
		asked("where an organisation forbids it", device, StepFactor)
	})
}

type forgets struct{}

func (forgets) ForgetsTx(*store.Tx, id.Account) (bool, error) { return true, nil }

// A mailed code is no factor, so no browser is remembered for it.
func TestMailedCodeIsNotRemembered(t *testing.T) {
	h := sqlite(t)
	locked(h, "email")
	o := h.attempt(secret.String{})
	if _, err := h.Answer(ctx, stranger(), o.Pending, Answer{Kind: "email", Code: secret.Of("1"), Remember: true}); err != nil {
		t.Fatal(err)
	}
	if o := h.attempt(o.Device); o.Next != StepFactor {
		t.Error("a browser was remembered for a mailed code")
	}
}

// A short password needs a factor each time, and another one where there is none.
func TestShortPassword(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		l, account := locked(h)
		h.write(func(tx *store.Tx) error {
			_, err := tx.Exec(`UPDATE account SET password_short = TRUE`)
			return err
		})
		o := h.attempt(secret.String{})
		if o.Next != StepPassword {
			t.Fatalf("without a factor the sign-in waits for %q", o.Next)
		}
		if _, err := h.answer(o, "totp", "1"); err != nil { // nothing is asked, so nothing is answered
			t.Fatal(err)
		}
		_, err := h.Renew(ctx, stranger(), o.Pending, secret.Of("short"))
		want(t, err, fault.Invalid, "password.short")

		l.give(account, "totp", "7")
		_, err = h.Renew(ctx, stranger(), o.Pending, secret.Of(newWord))
		want(t, err, fault.Conflict, "account.not_now")
		if _, err := h.answer(o, "totp", "7"); err != nil {
			t.Fatal(err)
		}
		h.DB.Write(ctx, func(tx *store.Tx) error {
			l.offers[account] = nil
			err := h.FactorChangedTx(ctx, tx, stranger(), account, text.New("The authenticator app was removed."), true)
			want(t, err, fault.Conflict, "account.short_needs_factor")
			return err
		})

		o = h.attempt(secret.String{})
		done, err := h.Renew(ctx, stranger(), o.Pending, secret.Of(newWord))
		if err != nil || !h.signedIn(done.Signed.Token) {
			t.Fatalf("with a longer password: %+v, %v", done, err)
		}
		h.signIn(ada, newWord)
		if m := h.post.to(ada); !strings.Contains(m[len(m)-1].Body, "password") {
			t.Error("the holder was not told")
		}
	})
}

// A token that somebody planted in a browser is worth nothing to them once an
// account has used it.
func TestPlantedDeviceToken(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		l, _ := locked(h, "totp")
		h.person("eve@example.org", goodWord)
		eve, err := h.SignIn(ctx, stranger(), attempt("eve@example.org", goodWord))
		if err != nil {
			t.Fatal(err)
		}
		o := h.attempt(eve.Device)
		if o.Device.Equal(eve.Device) {
			t.Fatal("the token stayed")
		}
		l.codes["totp x"] = true
		if _, err := h.Answer(ctx, stranger(), o.Pending, Answer{Kind: "totp", Code: secret.Of("x"), Remember: true}); err != nil {
			t.Fatal(err)
		}
		if again := h.attempt(eve.Device); again.Next != StepFactor {
			t.Error("who planted the token is remembered")
		}
		both, err := h.SignIn(ctx, stranger(), Attempt{Email: "eve@example.org", Password: secret.Of(goodWord), Device: o.Device})
		if err != nil || !both.Device.Equal(o.Device) {
			t.Errorf("the browser of two accounts has another token: %v", err)
		}
	})
}
