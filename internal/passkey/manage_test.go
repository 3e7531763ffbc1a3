package passkey

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/store"
)

// Names are kept sealed, and passkeys are listed, renamed and removed.
func TestManage(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ada := h.person("ada")
		first := h.register(ada, newDevice(), " Ada's laptop\u0308 ")
		d := newDevice()
		d.authenticator.Aaguid = uuid.MustParse("d548826e-79b4-db40-a3d8-11116f7e8349")
		second := h.register(ada, d, "")
		list, err := h.List(ctx, ada.by)
		if err != nil || len(list) != 2 || list[0].ID != first || list[0].Name != "Ada's laptop\u0308" || list[1].Label().String() != "Bitwarden" || list[0].Synced {
			t.Fatalf("the list is %+v, %v", list, err)
		}
		for _, name := range h.stored("name") {
			if strings.Contains(name, "Ada") {
				t.Error("a name stands in clear")
			}
		}
		if err := h.Rename(ctx, ada.by, second, "Vault"); err != nil {
			t.Fatal(err)
		}
		if k, err := h.Get(ctx, ada.by, second); err != nil || k.Label().String() != "Vault" {
			t.Errorf("it is called %q, %v", k.Label(), err)
		}
		if err := h.Remove(ctx, ada.by, first); err != nil {
			t.Fatal(err)
		}
		want(t, h.Remove(ctx, ada.by, first), fault.NotFound, "passkey.not_found")
		if got := h.events(ada.Home); !slices.Equal(got, []string{evAdded, evAdded, evRenamed, evRemoved}) {
			t.Errorf("the log has %v", got)
		}
		if !slices.Equal(h.told.said, []string{"A passkey was added", "A passkey was added", "A passkey was removed"}) || h.told.removed != 1 {
			t.Errorf("the holder was told %q", h.told.said)
		}
	})
}

// Names can be anything that can be shown.
func TestNames(t *testing.T) {
	h := sqlite(t)
	ada := h.person("ada")
	which := h.register(ada, newDevice(), "")
	for _, name := range []string{"", "🔑", "كلمة", strings.Repeat("é", maxName)} {
		if err := h.Rename(ctx, ada.by, which, name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	want(t, h.Rename(ctx, ada.by, which, strings.Repeat("x", maxName+1)), fault.Invalid, "passkey.long_name")
	for _, name := range []string{"a\nb", "a\u202eb", "\xff", "a\x00"} {
		want(t, h.Rename(ctx, ada.by, which, name), fault.Invalid, "passkey.bad_name")
	}
}

// Devices are told which passkeys exist and what the account is called.
func TestSignals(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ada, d := h.person("ada"), newDevice()
		if s, err := h.Signals(ctx, ada.by, ada.Holder); err != nil || s != nil {
			t.Errorf("before the first passkey: %s, %v", s, err)
		}
		which := h.register(ada, d, "")
		read := func() (s struct {
			RPID, UserID, Name, DisplayName string
			AllAcceptedCredentialIDs        []string
		}) {
			t.Helper()
			raw, err := h.Signals(ctx, ada.by, ada.Holder)
			if err == nil {
				err = json.Unmarshal(raw, &s)
			}
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
		s := read()
		if s.RPID != "app.example.org" || s.Name != ada.Email || s.DisplayName != "ada" || !bytes.Equal(unb64(t, s.UserID), d.authenticator.Options.UserHandle) ||
			!slices.Equal(s.AllAcceptedCredentialIDs, []string{b64(d.credential.ID)}) {
			t.Errorf("devices are told %+v", s)
		}
		if err := h.Remove(ctx, ada.by, which); err != nil {
			t.Fatal(err)
		}
		if s := read(); s.AllAcceptedCredentialIDs == nil || len(s.AllAcceptedCredentialIDs) != 0 {
			t.Errorf("devices are told of %v", s.AllAcceptedCredentialIDs)
		}
	})
}

// Of a destroyed account nothing is left, of others everything.
func TestForget(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ada, bob, d := h.person("ada"), h.person("bob"), newDevice()
		h.register(ada, newDevice(), "")
		h.register(bob, d, "")
		h.begin(ada)
		err := h.DB.Write(ctx, func(tx *store.Tx) error {
			tx.Unaudited("a test")
			return h.ForgetTx(tx, ada.Account)
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := h.stored("account"); !slices.Equal(got, []string{string(bob.Account)}) || h.waiting() != 0 {
			t.Errorf("left are those of %v, and %d challenges", got, h.waiting())
		}
		browser, options := h.asked()
		accepted(t, h.signIn(browser, d.sign(t, options)), bob, "hwk", "user", "mfa")
	})
}

// Every well-known model is a number in its canonical form with a name.
func TestModels(t *testing.T) {
	for number, name := range models {
		u, err := uuid.Parse(number)
		if err != nil || u.String() != number || (u != uuid.Nil) != (name != "") {
			t.Errorf("%s %q: %v", number, name, err)
		}
	}
	for want, r := range map[string]row{
		"YubiKey 5": {aaguid: unhexUUID("cb69481e-8ff7-4039-93ec-0a2729a154a8")}, "Password manager": {attachment: "platform", eligible: true},
		"Device": {attachment: "platform"}, "Security key": {transports: "ble nfc"}, "Phone": {transports: "hybrid internal"}, "Passkey": {aaguid: make([]byte, 16)},
	} {
		if got := r.kind().String(); got != want {
			t.Errorf("%+v is called %q, want %q", r, got, want)
		}
	}
}

func unhexUUID(s string) []byte {
	u := uuid.MustParse(s)
	return u[:]
}

// A long list of names is cut in the offer, which is as old as the oldest.
func TestOfferLabel(t *testing.T) {
	h := sqlite(t)
	ada := h.person("ada")
	began := h.clock.now()
	for _, name := range []string{"A", "B", "C", "D"} {
		h.register(ada, newDevice(), name)
		h.clock.add(time.Hour)
	}
	err := h.DB.Read(ctx, func(tx *store.Tx) error {
		label, ok, err := h.OfferTx(ctx, tx, ada.Account)
		if label != "A, B, C, …" || !ok {
			t.Errorf("the offer is %q", label)
		}
		if _, ok, _ := h.OfferTx(ctx, tx, id.New[id.Account](h.clock.now())); ok {
			t.Error("somebody without a passkey is offered one")
		}
		if since, err := h.SinceTx(tx, ada.Account); err != nil || since.Before(began) || since.Sub(began) > time.Hour/2 {
			t.Errorf("the oldest is of %v, %v", since, err)
		}
		if since, _ := h.SinceTx(tx, id.New[id.Account](h.clock.now())); !since.IsZero() {
			t.Errorf("the oldest of none is of %v", since)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
