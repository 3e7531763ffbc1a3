package passkey

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/descope/virtualwebauthn"

	"troth/internal/access"
	"troth/internal/fault"
	"troth/internal/id"
)

// What a browser is asked for is what the package doc promises.
func TestCreationOptions(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ada := h.person("ada")
		d := newDevice()
		h.register(ada, d, "")
		options := h.begin(ada)
		for _, part := range []string{
			`"residentKey":"required"`, `"requireResidentKey":true`, `"userVerification":"required"`, `"attestation":"none"`,
			`"rp":{"name":"Example","id":"app.example.org"}`, `"displayName":"ada"`, `"name":"ada@example.org"`, `"alg":-8`, `"alg":-7`, `"alg":-257`,
			b64(d.credential.ID), // excluded
		} {
			if !strings.Contains(string(options), part) {
				t.Errorf("the options lack %s: %s", part, options)
			}
		}
		var o struct {
			PublicKey struct {
				Challenge string
				User      struct{ ID string }
			}
		}
		if err := json.Unmarshal(options, &o); err != nil {
			t.Fatal(err)
		}
		handle := unb64(t, o.PublicKey.User.ID)
		if len(unb64(t, o.PublicKey.Challenge)) != 32 || len(handle) != handleSize || bytes.Contains(handle, []byte("acc_")) {
			t.Errorf("challenge %q, handle %x", o.PublicKey.Challenge, handle)
		}
		if again := h.begin(ada); !strings.Contains(string(again), o.PublicKey.User.ID) || strings.Contains(string(again), o.PublicKey.Challenge) {
			t.Error("the handle is another one, or the challenge the same")
		}
	})
}

// What is wrong with a new passkey is refused, recorded and told (L3, 7.1).
func TestRegistrationsThatAreRefused(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ada, bob := h.person("ada"), h.person("bob")
		taken := newDevice()
		h.register(bob, taken, "")
		for name, c := range map[string]struct {
			kind  fault.Kind
			code  string
			spoil func(d *device)
		}{
			"wrong origin":     {fault.Unauthenticated, "passkey.origin", func(d *device) { d.rp.Origin = "https://evil.example" }},
			"wrong RP ID":      {fault.Unauthenticated, "passkey.origin", func(d *device) { d.rp.ID = "evil.example" }},
			"no verification":  {fault.Unauthenticated, "passkey.unverified", func(d *device) { d.authenticator.Options.UserNotVerified = true }},
			"no presence":      {fault.Unauthenticated, "passkey.unverified", func(d *device) { d.authenticator.Options.UserNotPresent = true }},
			"BS without BE":    {fault.Unauthenticated, "passkey.refused", func(d *device) { d.authenticator.Options.BackupState = true }},
			"somebody else's":  {fault.Conflict, "passkey.taken", func(d *device) { d.credential = taken.credential }},
			"a key that fails": {fault.Unauthenticated, "passkey.refused", func(d *device) { d.credential.Key.Type = "" }},
		} {
			t.Log(name)
			d := newDevice()
			options := h.begin(ada)
			var answer []byte
			if c.spoil(d); d.credential.Key.Type == "" {
				d.credential.Key.Type = virtualwebauthn.KeyTypeEC2
				answer = misattested(t, d.create(t, options))
			} else {
				answer = d.create(t, options)
			}
			_, err := h.FinishRegistration(ctx, ada.by, ada.Holder, "", answer)
			want(t, err, c.kind, c.code)
			_, err = h.FinishRegistration(ctx, ada.by, ada.Holder, "", newDevice().create(t, options))
			want(t, err, fault.Unauthenticated, "passkey.stale") // the challenge is used up
		}
		if list, err := h.List(ctx, ada.by); err != nil || len(list) != 0 {
			t.Errorf("the passkeys are %v, %v", list, err)
		}
		if got := h.events(ada.Home); len(got) != 14 || slices.ContainsFunc(got, func(s string) bool { return s != evRefused }) {
			t.Errorf("the log has %v", got)
		}
		if len(h.told.said) != 1 { // bob's
			t.Errorf("the holder was told %q", h.told.said)
		}
	})
}

// misattested is an answer whose self attestation is signed by nobody.
func misattested(t testing.TB, answer []byte) []byte {
	t.Helper()
	var a struct {
		Response struct{ AttestationObject string }
	}
	if err := json.Unmarshal(answer, &a); err != nil {
		t.Fatal(err)
	}
	object := unb64(t, a.Response.AttestationObject)
	i := bytes.Index(object, []byte("sig")) + 12
	object[i] ^= 1
	return altered(t, answer, b64(object), "response", "attestationObject")
}

// A challenge for a new passkey is the account's, the session's and good once.
func TestRegistrationChallenges(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ada, bob := h.person("ada"), h.person("bob")
		h.begin(bob)
		options := h.begin(ada)
		answer := newDevice().create(t, options)
		_, err := h.FinishRegistration(ctx, bob.by, bob.Holder, "", answer)
		want(t, err, fault.Unauthenticated, "passkey.stale")
		elsewhere := ada.by
		elsewhere.Session = id.New[id.Session](h.clock.now())
		_, err = h.FinishRegistration(ctx, elsewhere, ada.Holder, "", answer)
		want(t, err, fault.Unauthenticated, "passkey.stale")
		if _, err = h.FinishRegistration(ctx, ada.by, ada.Holder, "", answer); err != nil {
			t.Fatal(err)
		}
		_, err = h.FinishRegistration(ctx, ada.by, ada.Holder, "", answer)
		want(t, err, fault.Unauthenticated, "passkey.stale")

		options = h.begin(ada)
		h.clock.add(challengeLife)
		_, err = h.FinishRegistration(ctx, ada.by, ada.Holder, "", newDevice().create(t, options))
		want(t, err, fault.Unauthenticated, "passkey.stale")

		// What signs somebody in makes no passkey, and the other way round.
		browser, asked := h.asked()
		d := newDevice()
		creation := altered(t, h.begin(ada), challengeOf(t, asked), "publicKey", "challenge")
		_, err = h.FinishRegistration(ctx, ada.by, ada.Holder, "", d.create(t, creation))
		want(t, err, fault.Unauthenticated, "passkey.stale")
		refused(t, h.signIn(browser, d.create(t, h.begin(ada))), "passkey.odd")
	})
}

func challengeOf(t testing.TB, options json.RawMessage) string {
	t.Helper()
	var o struct{ PublicKey struct{ Challenge string } }
	if err := json.Unmarshal(options, &o); err != nil {
		t.Fatal(err)
	}
	return o.PublicKey.Challenge
}

// Strangers and others get nothing.
func TestOnlyForOneself(t *testing.T) {
	h := sqlite(t)
	ada, bob := h.person("ada"), h.person("bob")
	which := h.register(ada, newDevice(), "Laptop")
	for _, by := range []access.Subject{{}, bob.by, access.System("operator on the host")} {
		_, err := h.BeginRegistration(ctx, by, ada.Holder)
		want(t, err, fault.Unauthenticated, "passkey.sign_in")
		_, err = h.FinishRegistration(ctx, by, ada.Holder, "", nil)
		want(t, err, fault.Unauthenticated, "passkey.sign_in")
		_, err = h.Signals(ctx, by, ada.Holder)
		want(t, err, fault.Unauthenticated, "passkey.sign_in")
	}
	want(t, h.Remove(ctx, bob.by, which), fault.NotFound, "passkey.not_found")
	want(t, h.Rename(ctx, bob.by, which, "x"), fault.NotFound, "passkey.not_found")
	_, err := h.Get(ctx, bob.by, which)
	want(t, err, fault.NotFound, "passkey.not_found")
	for _, do := range []func() error{
		func() error { _, err := h.List(ctx, access.Subject{}); return err },
		func() error { return h.Remove(ctx, access.Subject{}, which) },
	} {
		want(t, do(), fault.Unauthenticated, "passkey.sign_in")
	}
}

// An account has so many passkeys and no more, however they come.
func TestMax(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ada := h.person("ada")
		for range Max - 1 {
			h.register(ada, newDevice(), "")
		}
		var answers [][]byte
		for range 3 {
			answers = append(answers, newDevice().create(t, h.begin(ada)))
		}
		var all sync.WaitGroup
		errs := make([]error, len(answers))
		for i, answer := range answers {
			all.Go(func() { _, errs[i] = h.FinishRegistration(ctx, ada.by, ada.Holder, "", answer) })
		}
		all.Wait()
		slices.SortFunc(errs, func(a, b error) int { return map[bool]int{true: -1, false: 1}[a == nil] })
		if errs[0] != nil {
			t.Fatal(errs[0])
		}
		want(t, errs[1], fault.Conflict, "passkey.too_many")
		want(t, errs[2], fault.Conflict, "passkey.too_many")
		_, err := h.BeginRegistration(ctx, ada.by, ada.Holder)
		want(t, err, fault.Conflict, "passkey.too_many")
		if n := len(h.stored("passkey")); n != Max {
			t.Errorf("%d passkeys are stored", n)
		}
	})
}

// An RSA key has to be long enough, a curve has to be one that was asked for.
func TestStrongKeys(t *testing.T) {
	h := sqlite(t)
	ada, d := h.person("ada"), newDevice()
	d.credential = virtualwebauthn.NewCredential(virtualwebauthn.KeyTypeRSA)
	h.register(ada, d, "")
	browser, options := h.asked()
	accepted(t, h.signIn(browser, d.sign(t, options)), ada, "hwk", "user", "mfa")
	if strong([]byte{0xa0}) || strong(nil) || strong(coseRSA(1024)) || !strong(coseRSA(2048)) {
		t.Error("a key is taken that is none, or none is taken that is one")
	}
}

// coseRSA is a COSE_Key with a modulus of so many bits (RFC 8230, 4).
func coseRSA(bits int) []byte {
	n := bytes.Repeat([]byte{0xff}, bits/8)
	key := []byte{0xa4, 0x01, 0x03, 0x03, 0x39, 0x01, 0x00, 0x20, 0x59, byte(len(n) >> 8), byte(len(n))}
	return append(append(key, n...), 0x21, 0x43, 0x01, 0x00, 0x01)
}

// What browsers say of transports is kept as far as it is known; "cable" is what
// "hybrid" was called once.
func TestTransports(t *testing.T) {
	h := sqlite(t)
	ada := h.person("ada")
	answer := altered(t, newDevice().create(t, h.begin(ada)), []string{"usb", "nfc", "usb", "cable", "<b>"}, "response", "transports")
	if _, err := h.FinishRegistration(ctx, ada.by, ada.Holder, "", answer); err != nil {
		t.Fatal(err)
	}
	if got := h.stored("transports")[0]; got != "usb nfc hybrid" {
		t.Errorf("the transports are %q", got)
	}
	if list, _ := h.List(ctx, ada.by); list[0].Label().String() != "Security key" {
		t.Errorf("it is called %q", list[0].Label())
	}
}
