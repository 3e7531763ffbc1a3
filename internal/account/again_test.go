package account

import (
	"slices"
	"testing"
	"time"

	"troth/internal/fault"
	"troth/internal/secret"
	"troth/internal/store"
)

func code(kind, code string) Answer { return Answer{Kind: kind, Code: secret.Of(code)} }

// The password is enough where there is nothing else; the session goes on under
// another token, known now.
func TestAgain(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		by, first := h.person(ada, goodWord)
		h.clock.add(time.Hour)
		_, err := h.Again(ctx, by, secret.Of(newWord), Answer{})
		want(t, err, fault.Unauthenticated, "account.wrong_password")
		if !h.signedIn(first.Token) {
			t.Fatal("a wrong password ended the session")
		}
		second, err := h.Again(ctx, by, secret.Of(goodWord), Answer{})
		if err != nil || second.Session != first.Session {
			t.Fatalf("the session is %s, %v", second.Session, err)
		}
		if h.signedIn(first.Token) {
			t.Error("the token from before still opens")
		}
		now := h.who(second.Token)
		if now.AuthAt.Sub(by.AuthAt) < time.Hour || now.Account != by.Account || now.Tenant != by.Tenant {
			t.Errorf("the session is %+v", now)
		}
		if e := h.events(by.Tenant); !slices.Contains(e, evAgain) || !slices.Contains(e, evAgainFailed) {
			t.Errorf("the log has %v", e)
		}
		_, err = h.Again(ctx, stranger(), secret.Of(goodWord), Answer{})
		want(t, err, fault.Unauthenticated, "account.sign_in")
		if err := h.SignOut(ctx, now); err != nil {
			t.Fatal(err)
		}
		_, err = h.Again(ctx, now, secret.Of(goodWord), Answer{})
		want(t, err, fault.Unauthenticated, "account.sign_in")
	})
}

// With a second factor that counts, the password alone does not do.
func TestAgainWithFactor(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		l, account := locked(h, "totp", "email")
		o := h.attempt(secret.String{})
		o, err := h.answer(o, "totp", "1")
		if err != nil {
			t.Fatal(err)
		}
		by := h.who(o.Signed.Token)
		p, err := h.Proving(ctx, by)
		if err != nil || len(p.Factors) != 1 || p.Factors[0].Kind != "totp" || p.Email != ada {
			t.Fatalf("what can be given is %+v, %v", p, err)
		}
		again := func(word string, with Answer) (Signed, error) { return h.Again(ctx, by, secret.Of(word), with) }
		_, err = again(goodWord, Answer{})
		want(t, err, fault.Invalid, "account.code_missing")
		_, err = again(goodWord, code("totp", "9"))
		want(t, err, fault.Unauthenticated, "account.wrong_code")
		// Without the password nothing is said about a code, whatever comes beside it.
		for _, guess := range []string{"2", "9"} {
			_, err = again("", Answer{Kind: "totp", Code: secret.Of(guess), Passkey: []byte("{}")})
			want(t, err, fault.Unauthenticated, "account.wrong_password")
		}
		_, err = again(goodWord, code("email", "2"))
		want(t, err, fault.Invalid, "account.no_factor")
		_, err = again(newWord, code("totp", "2"))
		want(t, err, fault.Unauthenticated, "account.wrong_password")
		signed, err := again(goodWord, code("totp", "2")) // it was not used up
		if err != nil {
			t.Fatal(err)
		}
		if by = h.who(signed.Token); !by.Factor {
			t.Error("the factor is forgotten")
		}
		if _, err := h.AgainChallenge(ctx, by, "totp"); err != nil || l.begun[0].For != "again "+string(by.Session) {
			t.Errorf("a challenge for %+v, %v", l.begun, err)
		}
		_, err = h.AgainChallenge(ctx, by, "sms")
		want(t, err, fault.Invalid, "account.no_factor")

		// A passkey that verified its user needs no password; one that did not, does.
		l.give(account, "passkey", "p", "q")
		with := Answer{Kind: "passkey", Code: secret.Of("p"), Passkey: []byte("{}")}
		_, err = h.Again(ctx, by, secret.String{}, with)
		want(t, err, fault.Unauthenticated, "account.wrong_password")
		l.give(account, "passkey", "p")
		l.user = true
		signed, err = h.Again(ctx, by, secret.String{}, with)
		if err != nil || !h.who(signed.Token).Resistant {
			t.Fatalf("a passkey led to %v", err)
		}
		by = h.who(signed.Token)

		// Staff who have a passkey are asked for it.
		h.write(func(tx *store.Tx) error { _, err := tx.Exec(`UPDATE account SET staff = 'owner'`); return err })
		_, err = again(goodWord, code("totp", "3"))
		want(t, err, fault.Invalid, "account.no_factor")
	})
}
