package account

import (
	"errors"
	"strings"
	"testing"

	"troth/internal/fault"
	"troth/internal/password"
	"troth/internal/secret"
)

// foreign is a hash that another system made of a password.
func foreign(t *testing.T, phc string) password.Hash {
	t.Helper()
	h, err := password.ReadForeign(phc)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// toomany is a hash of "toomanysecrets", by PBKDF2 as passlib writes it.
const toomany = "$pbkdf2-sha256$29000$N2YMIWQsBWBMae09x1jrPQ$1t8iyB2A.WF/Z5JZv.lfCIhXXN33N23OSgQYThBYRfk"

// Somebody from another system signs in with the password of there; its hash is
// made again, and a password that is too short to stand alone is noticed.
func TestImport(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		e := password.Exported{Line: 1, Email: ada, Name: "Ada Byron", Confirmed: true, Hash: foreign(t, toomany)}
		if _, err := h.Import(ctx, stranger(), "keycloak", e, false); fault.KindOf(err) != fault.Denied {
			t.Fatalf("a stranger imports: %v", err)
		}
		if _, err := h.Import(ctx, host(), "keycloak", e, true); err != nil {
			t.Fatalf("the dry run: %v", err)
		}
		if _, err := h.Find(ctx, host(), ada); err == nil {
			t.Fatal("the dry run made an account")
		}
		made, err := h.Import(ctx, host(), "keycloak", e, false)
		if err != nil {
			t.Fatal(err)
		}
		v, err := h.Get(ctx, made)
		if err != nil || v.Email != ada || v.Name != "Ada Byron" || v.ConfirmedAt.IsZero() || v.Home == "" {
			t.Fatalf("the account is %+v, %v", v, err)
		}
		if n := count(h.events(v.Home), evImported); n != 1 {
			t.Errorf("the log has %d imports", n)
		}
		if _, err := h.Import(ctx, host(), "keycloak", e, false); !errors.Is(err, ErrPresent) {
			t.Errorf("a second time: %v", err)
		}
		before := h.stored(made)
		if !strings.HasPrefix(before, "$pbkdf2-sha256$i=29000$") {
			t.Fatalf("stored is %s", before)
		}
		if _, err := h.SignIn(ctx, stranger(), Attempt{Email: ada, Password: secret.Of("another")}); !errors.Is(err, errSignIn) {
			t.Errorf("a wrong password: %v", err)
		}
		if h.stored(made) != before {
			t.Error("a wrong password changed the hash")
		}
		out, err := h.SignIn(ctx, stranger(), Attempt{Email: ada, Password: secret.Of("toomanysecrets")})
		if err != nil || out.Next != StepPassword { // 14 characters, and no second factor
			t.Fatalf("signing in leads to %q, %v", out.Next, err)
		}
		after, err := password.ParseHash(h.stored(made))
		if err != nil || after.Params != password.Floor || !after.Is("toomanysecrets") {
			t.Errorf("after signing in, stored is %s, %v", h.stored(made), err)
		}
		if p, err := h.Pending(ctx, out.Pending); err != nil || p.Renew != RenewShort {
			t.Errorf("it waits for %+v, %v", p, err)
		}
	})
}

func TestImportRefuses(t *testing.T) {
	h := sqlite(t)
	good := foreign(t, toomany)
	big := foreign(t, "$scrypt$ln=20,r=8,p=1$c2FsdHNhbHQ$nFNh2CVHVjNldFVKDHDlm4CbdRSCdEBsjjJxD+iCs5E")
	for name, c := range map[string]struct {
		e    password.Exported
		code string
	}{
		"what could not be read":  {password.Exported{Email: ada, Err: errors.New("the tag is no base 64")}, "account.not_imported"},
		"no address":              {password.Exported{Hash: good}, "account.no_email"},
		"an address that is none": {password.Exported{Email: "ada at example", Hash: good}, "mail.address"},
		"a hash of a gigabyte":    {password.Exported{Email: ada, Hash: big}, "account.not_imported"},
	} {
		for _, dry := range []bool{true, false} {
			_, err := h.Import(ctx, host(), "csv", c.e, dry)
			if f := fault.As(err); f == nil || f.Kind != fault.Invalid || c.code != "mail.address" && f.Code != c.code {
				t.Errorf("%s, dry %v: %v", name, dry, err)
			}
		}
	}
	for given, name := range map[string]string{"": "ada", "Ada\u202e": "ada", strings.Repeat("x", 200): "ada", " Ada  Byron ": "Ada Byron"} {
		h := sqlite(t)
		made, err := h.Import(ctx, host(), "csv", password.Exported{Email: ada, Name: given, Hash: good}, false)
		if err != nil {
			t.Errorf("the name %q: %v", given, err)
			continue
		}
		if v, err := h.Get(ctx, made); err != nil || v.Name != name || !v.ConfirmedAt.IsZero() {
			t.Errorf("the name %q became %q, confirmed %v, %v", given, v.Name, v.ConfirmedAt, err)
		}
	}
}
