package passkey

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/descope/virtualwebauthn"

	"troth/internal/access"
	"troth/internal/fault"
	"troth/internal/store"
	"troth/internal/store/storetest"
)

// The whole way: a passkey is made, found without an address, and proves what
// it is.
func TestSignIn(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ada, d := h.person("ada"), newDevice()
		which := h.register(ada, d, "Laptop")
		browser, options := h.asked()
		for _, part := range []string{`"userVerification":"required"`, `"rpId":"app.example.org"`, `"timeout":300000`} {
			if !strings.Contains(string(options), part) {
				t.Errorf("the options lack %s: %s", part, options)
			}
		}
		if strings.Contains(string(options), "allowCredentials") {
			t.Errorf("the options name credentials, before anybody is known: %s", options)
		}
		r := h.signIn(browser, d.sign(t, options))
		accepted(t, r, ada, "hwk", "user", "mfa")
		list, err := h.List(ctx, ada.by)
		if err != nil || len(list) != 1 || list[0].ID != which || r.Passkey != which || list[0].UsedAt.IsZero() {
			t.Errorf("the passkeys are %v, %v", list, err)
		}
	})
}

// A passkey that can be synchronised says so.
func TestSyncedPasskey(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ada, d := h.person("ada"), newDevice()
		d.authenticator.Options.BackupEligible = true
		h.register(ada, d, "")
		for _, backed := range []bool{false, true, false} { // BS may come and go
			d.authenticator.Options.BackupState = backed
			browser, options := h.asked()
			accepted(t, h.signIn(browser, d.sign(t, options)), ada, "swk", "user", "mfa")
			if got := h.stored("backed_up")[0]; got != map[bool]string{true: "true", false: "false"}[backed] && got != map[bool]string{true: "1", false: "0"}[backed] {
				t.Errorf("BS is kept as %s, was %v", got, backed)
			}
		}
		if list, _ := h.List(ctx, ada.by); !list[0].Synced {
			t.Error("it is not listed as one that is synchronised")
		}
	})
}

// What is wrong with an answer is refused, each for its reason (L3, 7.2).
func TestAnswersThatAreRefused(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ada, d := h.person("ada"), newDevice()
		h.register(ada, d, "")
		for name, c := range map[string]struct {
			code  string
			spoil func(d *device)
		}{
			"wrong origin":            {"passkey.origin", func(d *device) { d.rp.Origin = "https://evil.example" }},
			"origin of another port":  {"passkey.origin", func(d *device) { d.rp.Origin = origin + ":8443" }},
			"plain origin":            {"passkey.origin", func(d *device) { d.rp.Origin = "http://app.example.org" }},
			"wrong RP ID":             {"passkey.origin", func(d *device) { d.rp.ID = "example.org" }},
			"no verification":         {"passkey.unverified", func(d *device) { d.authenticator.Options.UserNotVerified = true }},
			"no presence":             {"passkey.unverified", func(d *device) { d.authenticator.Options.UserNotPresent = true }},
			"BE changed":              {"passkey.refused", func(d *device) { d.authenticator.Options.BackupEligible = true }},
			"BS without BE":           {"passkey.refused", func(d *device) { d.authenticator.Options.BackupState = true }},
			"another key":             {"passkey.refused", func(d *device) { d.credential.Key = virtualwebauthn.NewCredential(virtualwebauthn.KeyTypeEC2).Key }},
			"a key of another kind":   {"passkey.refused", func(d *device) { d.credential.Key = virtualwebauthn.NewCredential(virtualwebauthn.KeyTypeRSA).Key }},
			"unknown passkey":         {"passkey.unknown", func(d *device) { d.credential.ID = []byte("somebody else's identifier") }},
			"no user handle":          {"passkey.refused", func(d *device) { d.authenticator.Options.UserHandle = nil }},
			"user handle of somebody": {"passkey.refused", func(d *device) { d.authenticator.Options.UserHandle = bytes.Repeat([]byte{7}, 64) }},
		} {
			browser, options := h.asked()
			spoiled := *d
			c.spoil(&spoiled)
			refused(t, h.signIn(browser, spoiled.sign(t, options)), c.code)
			// The challenge is used up.
			refused(t, h.signIn(browser, d.sign(t, options)), "passkey.stale")
			t.Log(name)
		}
		browser, options := h.asked()
		accepted(t, h.signIn(browser, d.sign(t, options)), ada, "hwk", "user", "mfa")
	})
}

// A challenge is answered once, in its time, in its browser and for its purpose.
func TestChallenges(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ada, bob, d, e := h.person("ada"), h.person("bob"), newDevice(), newDevice()
		h.register(ada, d, "")
		h.register(bob, e, "")

		browser, options := h.asked()
		answer := d.sign(t, options)
		accepted(t, h.signIn(browser, answer), ada, "hwk", "user", "mfa")
		refused(t, h.signIn(browser, answer), "passkey.stale") // replayed

		browser, options = h.asked()
		other, _ := h.asked()
		refused(t, h.signIn(other, d.sign(t, options)), "passkey.stale") // of another browser
		h.clock.add(challengeLife)
		refused(t, h.signIn(browser, d.sign(t, options)), "passkey.stale") // too late

		browser, options = h.asked()
		foreign := altered(t, options, b64(bytes.Repeat([]byte{1}, 32)), "publicKey", "challenge")
		refused(t, h.signIn(browser, d.sign(t, foreign)), "passkey.stale") // one of his own

		second, err := h.challenge(ada.Account, "pending")
		if err != nil {
			t.Fatal(err)
		}
		answer = d.sign(t, second)
		refused(t, h.signIn(browser, answer), "passkey.stale")                   // of another purpose
		refused(t, h.answer(ada, "other", answer), "passkey.stale")              // of another sign-in
		refused(t, h.answer(bob, "pending", answer), "passkey.stale")            // of another account
		accepted(t, h.answer(ada, "pending", answer), ada, "hwk", "user", "mfa") // and those used nothing up

		second, err = h.challenge(ada.Account, "pending")
		if err != nil {
			t.Fatal(err)
		}
		refused(t, h.answer(ada, "pending", e.sign(t, second)), "passkey.foreign")
		if got := h.events(ada.Home); !slices.Equal(got, []string{evAdded, evAnswered, evAnswered}) {
			t.Errorf("the log has %v", got)
		}
	})
}

// Of many that answer one challenge at once, one is accepted.
func TestOneChallengeOneAnswer(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ada, d := h.person("ada"), newDevice()
		h.register(ada, d, "")
		browser, options := h.asked()
		answer := d.sign(t, options)
		results := make([]Result, 8)
		var all sync.WaitGroup
		for i := range results {
			all.Go(func() {
				err := h.DB.Write(ctx, func(tx *store.Tx) (err error) {
					tx.Unaudited("a test")
					results[i], err = h.SignInTx(ctx, tx, access.Subject{}, browser, answer)
					return err
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		taken := 0
		for _, r := range results {
			if r.Refused == nil && len(r.AMR) > 0 {
				taken++
			}
		}
		if taken != 1 {
			t.Errorf("%d of %d were accepted", taken, len(results))
		}
	})
}

// A counter that does not rise stops the passkey for good, and tells its holder
// (L3, 7.2 step 22).
func TestCounterRollback(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ada, d := h.person("ada"), newDevice()
		d.credential.Counter = 10
		which := h.register(ada, d, "")
		use := func(counter uint32) Result {
			d.credential.Counter = counter
			browser, options := h.asked()
			return h.signIn(browser, d.sign(t, options))
		}
		accepted(t, use(11), ada, "hwk", "user", "mfa")
		accepted(t, use(400), ada, "hwk", "user", "mfa")
		refused(t, use(400), "passkey.stopped") // the same is no rise
		refused(t, use(401), "passkey.stopped") // and now nothing helps
		if _, err := h.challenge(ada.Account, "x"); fault.KindOf(err) != fault.NotFound {
			t.Errorf("a stopped passkey is offered: %v", err)
		}
		k, err := h.Get(ctx, ada.by, which)
		if err != nil || k.StoppedAt.IsZero() {
			t.Errorf("it is not marked: %v, %v", k, err)
		}
		if n := len(h.told.said); n != 2 || h.told.removed != 1 {
			t.Errorf("the holder was told %q", h.told.said)
		}
		if got := h.events(ada.Home); !slices.Equal(got, []string{evAdded, evStopped}) {
			t.Errorf("the log has %v", got)
		}
	})
}

// A counter that falls to zero went back, too; one that stays zero says nothing.
func TestCounterOfZero(t *testing.T) {
	h := sqlite(t)
	ada, d := h.person("ada"), newDevice()
	h.register(ada, d, "")
	for range 3 {
		browser, options := h.asked()
		accepted(t, h.signIn(browser, d.sign(t, options)), ada, "hwk", "user", "mfa")
	}
	d.credential.Counter = 1
	browser, options := h.asked()
	accepted(t, h.signIn(browser, d.sign(t, options)), ada, "hwk", "user", "mfa")
	d.credential.Counter = 0
	browser, options = h.asked()
	refused(t, h.signIn(browser, d.sign(t, options)), "passkey.stopped")
}

// A passkey that was removed opens nothing, even for a challenge from before.
func TestRemovedPasskey(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ada, d := h.person("ada"), newDevice()
		which := h.register(ada, d, "")
		browser, options := h.asked()
		if err := h.Remove(ctx, ada.by, which); err != nil {
			t.Fatal(err)
		}
		refused(t, h.signIn(browser, d.sign(t, options)), "passkey.unknown")
		_, err := h.challenge(ada.Account, "x")
		want(t, err, fault.NotFound, "passkey.none")
	})
}

// As a second factor the account is known, and only its passkeys are asked for.
func TestSecondFactor(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ada, bob, d, e := h.person("ada"), h.person("bob"), newDevice(), newDevice()
		_, err := h.challenge(ada.Account, "pending")
		want(t, err, fault.NotFound, "passkey.none")
		h.register(ada, d, "Laptop")
		h.register(ada, newDevice(), "Phone")
		h.register(bob, e, "")
		options, err := h.challenge(ada.Account, "pending")
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(options), b64(d.credential.ID)) || strings.Contains(string(options), b64(e.credential.ID)) {
			t.Errorf("the options name the wrong passkeys: %s", options)
		}
		d.authenticator.Options.UserHandle = nil // it need not say whose it is (L3, 7.2 step 6)
		accepted(t, h.answer(ada, "pending", d.sign(t, options)), ada, "hwk", "user", "mfa")
		var label string
		err = h.DB.Read(ctx, func(tx *store.Tx) (err error) {
			label, _, err = h.OfferTx(ctx, tx, ada.Account)
			return err
		})
		if err != nil || label != "Laptop, Phone" {
			t.Errorf("the offer is %q, %v", label, err)
		}
	})
}

// In one browser only so many challenges wait, and what expired goes.
func TestChallengesAreBounded(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		browser, first := h.asked()
		var last json.RawMessage
		for range 2 * maxAsked {
			var err error
			if last, err = h.BeginSignIn(ctx, browser); err != nil {
				t.Fatal(err)
			}
		}
		if n := h.waiting(); n != maxAsked {
			t.Errorf("%d challenges wait", n)
		}
		ada, d := h.person("ada"), newDevice()
		h.register(ada, d, "")
		refused(t, h.signIn(browser, d.sign(t, first)), "passkey.stale")
		accepted(t, h.signIn(browser, d.sign(t, last)), ada, "hwk", "user", "mfa")
		h.clock.add(challengeLife + time.Second)
		h.asked()
		if n := h.waiting(); n != 1 {
			t.Errorf("%d challenges wait after their time", n)
		}
		h.clock.add(challengeLife + time.Second)
		err := h.DB.Write(ctx, func(tx *store.Tx) error {
			tx.Unaudited("a test")
			_, err := Retention[2].Sweep(ctx, tx, h.clock.now())
			return err
		})
		if err != nil || h.waiting() != 0 {
			t.Errorf("the sweep left %d, %v", h.waiting(), err)
		}
	})
}

func (h *house) waiting() (n int) {
	h.t.Helper()
	err := h.DB.Read(ctx, func(tx *store.Tx) error {
		return tx.QueryRow(`SELECT COUNT(*) FROM passkey_challenge`).Scan(&n)
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return n
}

// What cannot be read is refused, and costs little.
func TestOddAnswers(t *testing.T) {
	h := sqlite(t)
	ada, d := h.person("ada"), newDevice()
	h.register(ada, d, "")
	browser, options := h.asked()
	good := d.sign(t, options)
	for _, answer := range [][]byte{
		nil, []byte("{}"), []byte("null"), []byte("[]"), good[:len(good)/2], append(slices.Clone(good), good...),
		bytes.Repeat([]byte(" "), maxAnswer+1), altered(t, good, "password", "type"), altered(t, good, "AAAA", "rawId"),
		altered(t, good, b64([]byte("{}x")), "response", "clientDataJSON"), altered(t, good, b64(make([]byte, 36)), "response", "authenticatorData"),
		altered(t, good, b64(append(make([]byte, 37), 1)), "response", "authenticatorData"),
	} {
		refused(t, h.signIn(browser, answer), "passkey.odd")
	}
	accepted(t, h.signIn(browser, good), ada, "hwk", "user", "mfa")
}

// A frame of another site may not ask: clientDataJSON tells (L3, 5.8.1).
func TestCrossOriginIsRefused(t *testing.T) {
	h := sqlite(t)
	ada, d := h.person("ada"), newDevice()
	h.register(ada, d, "")
	for _, extra := range []map[string]any{{"crossOrigin": true}, {"crossOrigin": true, "topOrigin": "https://evil.example"}, {"topOrigin": origin}} {
		browser, options := h.asked()
		refused(t, h.signIn(browser, d.signed(t, options, extra)), "passkey.origin")
	}
	browser, options := h.asked()
	accepted(t, h.signIn(browser, d.signed(t, options, map[string]any{"crossOrigin": false, "new": "member"})), ada, "hwk", "user", "mfa")
}

// signed is an answer with more in what is signed.
func (d *device) signed(t testing.TB, options json.RawMessage, extra map[string]any) []byte {
	t.Helper()
	answer := d.sign(t, options)
	var a struct {
		Response struct {
			AuthenticatorData, ClientDataJSON string
		}
	}
	if err := json.Unmarshal(answer, &a); err != nil {
		t.Fatal(err)
	}
	client := unb64(t, a.Response.ClientDataJSON)
	for name, value := range extra {
		client = altered(t, client, value, name)
	}
	signature, err := d.credential.Key.Sign(hash(append(unb64(t, a.Response.AuthenticatorData), hash(client)...)))
	if err != nil {
		t.Fatal(err)
	}
	return altered(t, altered(t, answer, b64(client), "response", "clientDataJSON"), b64(signature), "response", "signature")
}

// What fails in the house is an error, and no refusal.
func TestFailuresAreErrors(t *testing.T) {
	o := storetest.SQLiteOptions(t)
	broken := false
	o.Fault = func(op string) store.Outcome {
		if broken && op == "statement" {
			return store.Lost
		}
		return store.Works
	}
	h := build(t, storetest.Open(t, o, schema()...))
	ada, d := h.person("ada"), newDevice()
	h.register(ada, d, "")
	browser, options := h.asked()
	answer := d.sign(t, options)
	broken = true
	err := h.DB.Write(ctx, func(tx *store.Tx) error {
		tx.Unaudited("a test")
		_, err := h.SignInTx(ctx, tx, access.Subject{}, browser, answer)
		return err
	})
	if err == nil || fault.As(err) != nil && fault.As(err).Kind == fault.Unauthenticated {
		t.Errorf("the error is %v", err)
	}
	if _, err := h.BeginSignIn(ctx, browser); err == nil {
		t.Error("a challenge that was not kept was given out")
	}
	broken = false
	accepted(t, h.signIn(browser, answer), ada, "hwk", "user", "mfa")
}

// A passkey is stopped even where it could not be removed.
func TestStoppingIsNotRefused(t *testing.T) {
	h := sqlite(t)
	ada, d := h.person("ada"), newDevice()
	d.credential.Counter = 5
	h.register(ada, d, "")
	h.told.keeps = fault.New(fault.Conflict, "account.short_needs_factor", "Set a longer password first.")
	browser, options := h.asked()
	refused(t, h.signIn(browser, d.sign(t, options)), "passkey.stopped")
	if n := len(h.told.said); n != 2 {
		t.Errorf("the holder was told %q", h.told.said)
	}
}

// Where account refuses what a change brings, nothing changes.
func TestChangesThatAreRefused(t *testing.T) {
	h := sqlite(t)
	ada, d := h.person("ada"), newDevice()
	which := h.register(ada, d, "")
	h.told.fail = errors.New("no")
	if err := h.Remove(ctx, ada.by, which); !errors.Is(err, h.told.fail) {
		t.Error(err)
	}
	if _, err := h.FinishRegistration(ctx, ada.by, ada.Holder, "", newDevice().create(t, h.begin(ada))); !errors.Is(err, h.told.fail) {
		t.Error(err)
	}
	if list, err := h.List(ctx, ada.by); err != nil || len(list) != 1 {
		t.Errorf("the passkeys are %v, %v", list, err)
	}
}
