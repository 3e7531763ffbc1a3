package plug

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"troth/internal/account"
	"troth/internal/id"
	"troth/internal/store"
	"troth/internal/trust"
	"troth/internal/web"
)

// keypad is a second factor of the test: everybody has it once it is switched
// on, and the code is always the same.
type keypad struct {
	on   []account.Offer
	code string
	sent int
}

func (k *keypad) OffersTx(context.Context, *store.Tx, id.Account) ([]account.Offer, error) {
	return append([]account.Offer(nil), k.on...), nil
}

func (k *keypad) BeginTx(context.Context, *store.Tx, account.Question) ([]byte, error) {
	k.sent++
	return nil, nil
}

func (k *keypad) AnswerTx(_ context.Context, _ *store.Tx, _ account.Question, with account.Answer) ([]string, error) {
	if with.Code.Reveal() != k.code {
		return nil, nil
	}
	return []string{"otp"}, nil
}

func withKeypad(t *testing.T) (*door, *keypad, *trust.Canary) {
	k := &keypad{code: "123456"}
	d := open(t, func(d *door) { d.factors = []account.Factors{k} })
	_, c := d.somebody("second")
	k.on = []account.Offer{{Kind: "totp", Counts: true}, {Kind: "sms", Label: "•••• 17", Counts: true, Sends: true}}
	return d, k, c
}

// The pages of a second factor, from the password to the session and back here.
func TestSecondFactorPages(t *testing.T) {
	d, k, c := withKeypad(t)
	v := d.visitor()
	p, err := v.Post(ctx, "/-/signin", "email", c.Address, "password", c.Password.Reveal(), "return_to", "/inside")
	if err != nil || p.Status != http.StatusSeeOther || p.Header.Get("Location") != "/-/signin/code?return_to=%2Finside" {
		t.Fatalf("the password led to %d %s, %v", p.Status, p.Header.Get("Location"), err)
	}
	if v.Cookie(sessionCookie) != "" {
		t.Fatal("the password alone began a session")
	}
	look := func(path string, wants ...string) {
		t.Helper()
		p, err := v.Get(ctx, path)
		if err != nil || p.Status != http.StatusOK {
			t.Fatalf("%s: %d, %v", path, p.Status, err)
		}
		for _, w := range wants {
			if !strings.Contains(p.Body, w) {
				t.Errorf("%s lacks %q", path, w)
			}
		}
	}
	look("/-/signin/code?return_to=%2Finside", "authenticator app", `name="code"`, `with=sms`, `/-/recover`, `value="/inside"`, `name="remember"`)
	look("/-/signin/code?with=sms", "•••• 17", "Send the code")
	p, err = v.Post(ctx, "/-/signin/code/send", "kind", "sms")
	if err != nil || p.Status != http.StatusSeeOther || k.sent != 1 {
		t.Fatalf("sending a code: %d, %v, %d", p.Status, err, k.sent)
	}
	look(p.Header.Get("Location"), "Send another code", `name="code"`)
	p, err = v.Post(ctx, "/-/signin/code", "kind", "sms", "code", "000000", "return_to", "/inside")
	if err != nil || p.Status != http.StatusUnauthorized || !strings.Contains(p.Body, "The code is wrong") || strings.Contains(p.Body, "000000") {
		t.Errorf("a wrong code: %d, %v", p.Status, err)
	}
	if p, err = v.Get(ctx, pathRenew); err != nil || p.Header.Get("Location") != pathCode {
		t.Errorf("the page of another step: %d, %v", p.Status, err)
	}
	p, err = v.Post(ctx, "/-/signin/code", "kind", "sms", "code", "123456", "return_to", "/inside", "remember", "on")
	if err != nil || p.Status != http.StatusSeeOther || p.Header.Get("Location") != "/inside" || v.Cookie(sessionCookie) == "" || v.Cookie(pendingCookie) != "" {
		t.Fatalf("the right code: %d, %v", p.Status, err)
	}
	if p, err = v.SignIn(ctx, c.Address, c.Password); err != nil || p.Header.Get("Location") != "/" {
		t.Errorf("in a remembered browser: %s, %v", p.Header.Get("Location"), err)
	}
}

// Who has no pending sign-in begins again and is told why.
func TestStaleSignIn(t *testing.T) {
	d, _, c := withKeypad(t)
	v := d.visitor()
	for _, path := range []string{pathCode, pathRenew} {
		p, err := v.Get(ctx, path)
		if err != nil || p.Status != http.StatusSeeOther || p.Header.Get("Location") != "/-/signin" {
			t.Errorf("GET %s: %d, %v", path, p.Status, err)
		}
	}
	for _, path := range []string{pathCode, pathSendCode, pathRenew} {
		p, err := v.Post(ctx, path, "kind", "totp", "code", "123456", "password", word)
		if err != nil || p.Status != http.StatusSeeOther {
			t.Fatalf("POST %s: %d, %v", path, p.Status, err)
		}
		if p, err = v.Follow(ctx, p); err != nil || !strings.Contains(p.Body, "Sign in again") {
			t.Errorf("POST %s: the person is not told why: %v", path, err)
		}
	}
	if p, err := v.SignIn(ctx, c.Address, c.Password); err != nil || p.Header.Get("Location") != pathCode {
		t.Fatalf("signing in: %v", err)
	}
	d.clock.pass(ctx, 11*60*1e9)
	if p, err := v.Post(ctx, pathCode, "kind", "totp", "code", "123456"); err != nil || p.Header.Get("Location") != "/-/signin" {
		t.Errorf("a right code that comes late: %d, %v", p.Status, err)
	}
}

// A program is told what is missing, and goes on with the cookie.
func TestSecondFactorForPrograms(t *testing.T) {
	d, _, c := withKeypad(t)
	v := d.visitor()
	post := func(path, body string) (int, web.Problem) {
		t.Helper()
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.server.URL+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Accept", "application/json")
		req.Header.Set("Origin", d.server.URL)
		p, err := v.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		var problem web.Problem
		_ = json.Unmarshal([]byte(p.Body), &problem)
		return p.Status, problem
	}
	if status, p := post(pathCode, "code=123456"); status != http.StatusGone || p.Code != "account.sign_in_gone" {
		t.Errorf("without the password: %d %s", status, p.Code)
	}
	if status, p := post("/-/signin", "email="+c.Address+"&password="+c.Password.Reveal()); status != http.StatusUnauthorized || p.Code != "account.next.factor" {
		t.Errorf("the password: %d %s", status, p.Code)
	}
	if status, p := post(pathCode, "code=1"); status != http.StatusUnauthorized || p.Code != "account.wrong_code" {
		t.Errorf("a wrong code: %d %s", status, p.Code)
	}
	if status, p := post(pathSendCode, "kind=email"); status != http.StatusUnprocessableEntity || p.Code != "account.no_factor" {
		t.Errorf("a code of a kind that there is not: %d %s", status, p.Code)
	}
	if status, _ := post(pathCode, "code=123456"); status != http.StatusSeeOther || v.Cookie(sessionCookie) == "" {
		t.Errorf("the right code: %d", status)
	}
}

// Another browser cannot go on with a sign-in, and the cookies are bound.
func TestPendingIsBoundToTheBrowser(t *testing.T) {
	d, _, c := withKeypad(t)
	v, other := d.visitor(), d.visitor()
	p, err := v.SignIn(ctx, c.Address, c.Password)
	if err != nil {
		t.Fatal(err)
	}
	cookies := (&http.Response{Header: p.Header}).Cookies()
	if len(cookies) != 2 {
		t.Fatalf("the answer has %d cookies", len(cookies))
	}
	for _, cookie := range cookies {
		if !strings.HasPrefix(cookie.Name, "__Host-") || !cookie.Secure || !cookie.HttpOnly || cookie.Path != "/" || cookie.Domain != "" || cookie.SameSite == http.SameSiteNoneMode {
			t.Errorf("the cookie %s is not bound: %+v", cookie.Name, cookie)
		}
	}
	if p, err := other.Post(ctx, pathCode, "kind", "totp", "code", "123456"); err != nil || other.Cookie(sessionCookie) != "" {
		t.Errorf("another browser: %d, %v", p.Status, err)
	}
}

// A password that has to be replaced is, after the second factor.
func TestRenewPages(t *testing.T) {
	d, k, c := withKeypad(t)
	k.on = nil
	err := d.db.Write(ctx, func(tx *store.Tx) error {
		tx.Unaudited("the test sets something up")
		_, err := tx.Exec(`UPDATE account SET password_short = TRUE`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	v := d.visitor()
	p, err := v.SignIn(ctx, c.Address, c.Password)
	if err != nil || p.Header.Get("Location") != pathRenew {
		t.Fatalf("the password led to %s, %v", p.Header.Get("Location"), err)
	}
	if p, err = v.Follow(ctx, p); err != nil || !strings.Contains(p.Body, "too short for an account without a second factor") {
		t.Errorf("the page does not say why: %v", err)
	}
	if p, err = v.Post(ctx, pathRenew, "password", "short"); err != nil || p.Status != http.StatusUnprocessableEntity {
		t.Errorf("a short one: %d, %v", p.Status, err)
	}
	if p, err = v.Post(ctx, pathRenew, "password", word); err != nil || p.Status != http.StatusSeeOther || v.Cookie(sessionCookie) == "" {
		t.Errorf("a longer one: %d, %v", p.Status, err)
	}
}

// What is sensitive asks again after a while, and a form that came too late did
// nothing.
func TestAgainPages(t *testing.T) {
	d, k, c := withKeypad(t)
	k.on = nil
	v := d.visitor()
	if p, err := v.SignIn(ctx, c.Address, c.Password); err != nil || p.Status != http.StatusSeeOther {
		t.Fatal(err)
	}
	const path = "/-/account/password"
	if p, err := v.Get(ctx, path); err != nil || p.Status != http.StatusOK {
		t.Fatalf("soon after signing in: %d, %v", p.Status, err)
	}
	_ = d.clock.pass(ctx, 16*time.Minute)
	p, err := v.Get(ctx, path)
	if err != nil || p.Header.Get("Location") != "/-/again?return_to=%2F-%2Faccount%2Fpassword" {
		t.Fatalf("later: %d %s, %v", p.Status, p.Header.Get("Location"), err)
	}
	if p, err = v.GetJSON(ctx, path); err != nil || p.Status != http.StatusUnauthorized || !strings.Contains(p.Body, "web.recent") {
		t.Errorf("a program: %d, %v", p.Status, err)
	}
	p, err = v.Post(ctx, path, "current", c.Password.Reveal(), "password", "quite another pass phrase")
	if err != nil || p.Status != http.StatusSeeOther || !strings.Contains(p.Header.Get("Location"), "undone=1") {
		t.Fatalf("a form: %d %s, %v", p.Status, p.Header.Get("Location"), err)
	}
	if p, err = v.Follow(ctx, p); err != nil || !strings.Contains(p.Body, "was not done yet") {
		t.Errorf("the page does not say that nothing was done: %v", err)
	}
	if p, err = v.Post(ctx, pathAgain, "password", word+" wrong", "return_to", path); err != nil || p.Status != http.StatusUnauthorized {
		t.Errorf("a wrong password: %d, %v", p.Status, err)
	}
	old := v.Cookie(sessionCookie)
	k.on = []account.Offer{{Kind: "totp", Counts: true}, {Kind: "sms", Label: "•••• 17", Counts: true, Sends: true}}
	if p, err = v.Get(ctx, pathAgain+"?with=sms&return_to="+path); err != nil || !strings.Contains(p.Body, "•••• 17") {
		t.Errorf("the page of another kind: %v", err)
	}
	p, err = v.Post(ctx, pathSendAgain, "kind", "sms", "return_to", path, "undone", "1")
	if err != nil || k.sent != 1 || !strings.Contains(p.Header.Get("Location"), "sent=1") {
		t.Errorf("sending a code: %d %s, %v", p.Status, p.Header.Get("Location"), err)
	}
	p, err = v.Post(ctx, pathAgain, "password", c.Password.Reveal(), "kind", "sms", "code", "123456", "return_to", path, "undone", "1")
	if err != nil || p.Header.Get("Location") != path || v.Cookie(sessionCookie) == old {
		t.Fatalf("the right password and code: %d, %v", p.Status, err)
	}
	if p, err = v.Get(ctx, path); err != nil || p.Status != http.StatusOK || !strings.Contains(p.Body, "send it again now") {
		t.Errorf("back at the form: %d, %v", p.Status, err)
	}
}
