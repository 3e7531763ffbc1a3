package app

import (
	"encoding/base32"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"troth/internal/access"
	"troth/internal/factor"
	"troth/internal/secret"
	"troth/internal/store"
	"troth/internal/trust"
)

// setsUpApp sets an authenticator app up, as the pages do, and returns its key.
func (w *who) setsUpApp() secret.String {
	w.h.t.Helper()
	ctx := w.h.t.Context()
	p, err := w.Post(ctx, "/-/account/factors/app", "name", "Phone")
	path := w.h.want(p, err, http.StatusSeeOther).Header.Get("Location")
	p, err = w.GetJSON(ctx, path)
	var app struct{ Key string }
	if err := json.Unmarshal([]byte(w.h.want(p, err, http.StatusOK).Body), &app); err != nil {
		w.h.t.Fatal(err)
	}
	key := secret.Of(app.Key)
	p, err = w.Post(ctx, path, "code", w.h.codeOf(key))
	if to := w.h.want(p, err, http.StatusSeeOther).Header.Get("Location"); to != "/-/account/factors/recovery" {
		w.h.t.Errorf("the first factor leads to %s", to)
	}
	w.h.jump(30 * time.Second)
	return key
}

// codeOf is what the app shows.
func (h *house) codeOf(key secret.String) string {
	h.t.Helper()
	code, err := factor.CodeAt(key, h.clock.now())
	if err != nil {
		h.t.Fatal(err)
	}
	return code
}

// halfIn is a browser in which the password was right.
func (w *who) halfIn() *trust.Visitor {
	w.h.t.Helper()
	v := w.h.visitor()
	p, err := v.Post(w.h.t.Context(), "/-/signin", "email", w.address, "password", w.password)
	if to := w.h.want(p, err, http.StatusSeeOther).Header.Get("Location"); to != "/-/signin/code" {
		w.h.t.Fatalf("the password leads to %s", to)
	}
	return v
}

// answers sends a code and returns the subject that it makes.
func (w *who) answers(v *trust.Visitor, kind, code string, status int) access.Subject {
	w.h.t.Helper()
	p, err := v.Post(w.h.t.Context(), "/-/signin/code", "kind", kind, "code", code)
	w.h.want(p, err, status)
	by, err := w.h.in.accounts.Authenticate(w.h.t.Context(), v.Cookie("__Host-troth"))
	if err != nil {
		w.h.t.Fatal(err)
	}
	return by
}

// An app is set up and asked for, its code is good once, a recovery code stands
// in for it, and its removal is told and ends the other sessions.
func TestAppFromEndToEnd(t *testing.T) {
	t.Parallel()
	h := raise(t)
	ctx := t.Context()
	ada := h.person("ada")
	since := h.clock.now()
	key := ada.setsUpApp()
	if m := h.letter(ada.address, since); !strings.Contains(m.Body, "authenticator app was set up") {
		t.Errorf("the holder was told %q", m.Body)
	}
	p, err := ada.Post(ctx, "/-/account/factors/recovery")
	codes := regexp.MustCompile(`<li><code>([0-9a-z-]{19})</code>`).FindAllStringSubmatch(h.want(p, err, http.StatusOK).Body, -1)
	if len(codes) != 10 {
		t.Fatalf("%d recovery codes", len(codes))
	}

	v := ada.halfIn()
	if by := ada.answers(v, "totp", "000000", http.StatusUnauthorized); by.Kind == access.KindPerson {
		t.Fatal("a wrong code signs in")
	}
	code := h.codeOf(key)
	by := ada.answers(v, "totp", code, http.StatusSeeOther)
	if by.Account != ada.account || !by.Factor || by.Resistant || !slices.Equal(by.AMR, []string{"pwd", "otp", "mfa"}) {
		t.Errorf("the session is %+v", by)
	}
	if by := ada.answers(ada.halfIn(), "totp", code, http.StatusUnauthorized); by.Kind == access.KindPerson {
		t.Error("a code is good twice")
	}
	if by := ada.answers(ada.halfIn(), "recovery", codes[3][1], http.StatusSeeOther); !by.Factor {
		t.Errorf("with a recovery code the session is %+v", by)
	}
	if by := ada.answers(ada.halfIn(), "recovery", codes[3][1], http.StatusUnauthorized); by.Kind == access.KindPerson {
		t.Error("a recovery code is good twice")
	}
	// What nobody set up is not asked for, and answers nothing.
	for _, kind := range []string{"email", "sms", "passkey"} {
		p, err := ada.halfIn().Post(ctx, "/-/signin/code/send", "kind", kind)
		h.want(p, err, http.StatusNotFound, http.StatusConflict, http.StatusUnprocessableEntity)
	}

	p, err = ada.Get(ctx, "/-/account/factors")
	remove := regexp.MustCompile(`/-/account/factors/remove/fct_[0-9a-z]+`).FindString(h.want(p, err, http.StatusOK).Body)
	since = h.clock.now()
	p, err = ada.Post(ctx, remove)
	h.want(p, err, http.StatusSeeOther)
	if m := h.letter(ada.address, since); !strings.Contains(m.Body, "authenticator app was removed") {
		t.Errorf("the holder was told %q", m.Body)
	}
	if by, _ := h.in.accounts.Authenticate(ctx, v.Cookie("__Host-troth")); by.Kind == access.KindPerson {
		t.Error("another session outlived the factor")
	}
	ada.signIn() // the password alone again
	plain := strings.ReplaceAll(key.Reveal(), " ", "")
	raw, err := base32.StdEncoding.DecodeString(plain)
	if err != nil {
		t.Fatal(err)
	}
	h.keepsQuiet(map[string]string{
		plain: "the key of an app", key.Reveal(): "the key of an app", string(raw): "the key of an app", hex.EncodeToString(raw): "the key of an app",
		codes[0][1]: "a recovery code", strings.ReplaceAll(codes[0][1], "-", ""): "a recovery code", codes[3][1]: "a used recovery code",
	})
}

// Text messages are for the people of a tenant on a plan that has them, and the
// code goes through the queue.
func TestTextsFromEndToEnd(t *testing.T) {
	t.Parallel()
	h := raise(t, func(s *Settings) { s.plans = []customerPlan{{Name: "business", TextMessages: true}} })
	ctx := t.Context()
	ada, eve := h.person("ada"), h.person("eve")
	org := ada.organisation("Orchard")
	if err := h.in.tenants.SetPlan(ctx, access.System("operator on the host"), org, "business"); err != nil {
		t.Fatal(err)
	}
	p, err := eve.Post(ctx, "/-/account/factors/phone", "number", "+49 30 901820")
	h.want(p, err, http.StatusConflict)
	p, err = ada.Post(ctx, "/-/account/factors/phone", "number", "+49 30 901820")
	path := h.want(p, err, http.StatusSeeOther).Header.Get("Location")
	p, err = ada.Post(ctx, path, "code", h.texted(1))
	h.want(p, err, http.StatusSeeOther)

	v := ada.halfIn()
	p, err = v.Get(ctx, "/-/signin/code")
	if h.want(p, err, http.StatusOK); !strings.Contains(p.Body, "•••• 20") || strings.Contains(p.Body, "901820") {
		t.Errorf("the page is %s", told(p))
	}
	p, err = v.Post(ctx, "/-/signin/code/send", "kind", "sms")
	h.want(p, err, http.StatusSeeOther)
	code := h.texted(2)
	if by := ada.answers(ada.halfIn(), "sms", code, http.StatusUnauthorized); by.Kind == access.KindPerson {
		t.Error("a code for one sign-in is good for another")
	}
	if by := ada.answers(v, "sms", code, http.StatusSeeOther); !by.Factor || !slices.Contains(by.AMR, "sms") {
		t.Errorf("the session is %+v", by)
	}
	h.keepsQuiet(map[string]string{"4930901820": "a telephone number", "#" + code: "a code that was sent", code + " is": "a code that was sent"})
}

// texted does the work of the queue, and returns the code of the newest text,
// which is the nth.
func (h *house) texted(n int) string {
	h.t.Helper()
	ctx := h.t.Context()
	var waiting []string
	err := h.in.db.Read(ctx, func(tx *store.Tx) error {
		waiting = nil
		rows, err := tx.Query(`SELECT tenant, id FROM sms_outbox`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var tenant, text string
			if err := rows.Scan(&tenant, &text); err != nil {
				return err
			}
			waiting = append(waiting, tenant+"/"+text)
		}
		return rows.Err()
	})
	if err != nil {
		h.t.Fatal(err)
	}
	for _, w := range waiting {
		if err := h.in.texts.Queue().Run(ctx, []byte(w)); err != nil {
			h.t.Fatal(err)
		}
	}
	all, err := h.in.devTexts.List(ctx)
	if err != nil || len(all) != n {
		h.t.Fatalf("there are %d texts, want %d: %v", len(all), n, err)
	}
	return regexp.MustCompile(`\d{8}`).FindString(all[0].Body)
}

// A mailed code is asked for where nothing better is set up, and never counts.
func TestMailedCodesFromEndToEnd(t *testing.T) {
	t.Parallel()
	h := raise(t)
	ctx := t.Context()
	ada := h.person("ada")
	p, err := ada.Post(ctx, "/-/account/factors/mail")
	h.want(p, err, http.StatusSeeOther)
	v := ada.halfIn()
	since := h.clock.now()
	p, err = v.Post(ctx, "/-/signin/code/send", "kind", "email")
	h.want(p, err, http.StatusSeeOther)
	code := regexp.MustCompile(`(?m)^\d{8}$`).FindString(h.letter(ada.address, since).Body)
	if by := ada.answers(v, "email", code, http.StatusSeeOther); by.Account != ada.account || by.Factor || slices.Contains(by.AMR, "mfa") {
		t.Errorf("the session is %+v", by)
	}
	key := ada.setsUpApp()
	p, err = ada.halfIn().Post(ctx, "/-/signin/code/send", "kind", "email")
	h.want(p, err, http.StatusNotFound, http.StatusConflict, http.StatusUnprocessableEntity)
	if by := ada.answers(ada.halfIn(), "totp", h.codeOf(key), http.StatusSeeOther); !by.Factor {
		t.Errorf("the session is %+v", by)
	}
}
