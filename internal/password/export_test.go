package password

import (
	"fmt"
	"io"
	"strings"
	"testing"
)

// The parameters and the account of the documentation of Firebase's scrypt
// (github.com/firebase/scrypt).
const (
	firebaseConfig = `hash_config {
  algorithm: SCRYPT,
  base64_signer_key: jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA==,
  base64_salt_separator: Bw==,
  rounds: 8,
  mem_cost: 14,
}`
	firebaseSalt = "42xEC+ixf3L2lw=="
	firebaseHash = "lSrfV15cpx95/sZS2W9c9Kp6i/LVgQNDNC/qzrCnh1SAyZvqmZqAjTdn3aoItz+VHjoZilo78198JAdRuid5lQ=="
)

func TestFirebase(t *testing.T) {
	f, err := ReadFirebase(strings.NewReader(firebaseConfig))
	if err != nil {
		t.Fatal(err)
	}
	for _, hash := range []string{firebaseHash, strings.NewReplacer("+", "-", "/", "_").Replace(firebaseHash)} {
		h, err := f.Hash(firebaseSalt, hash)
		if err != nil {
			t.Fatal(err)
		}
		holdsTo(t, "firebase", h, "user1password")
		if strings.Contains(h.String(), b64(string(f.SignerKey))) || strings.Contains(h.String(), strings.TrimRight(firebaseHash, "=")) {
			t.Error("the signer key is kept, or the hash as it was under it")
		}
	}
	for name, change := range map[string][2]string{
		"another algorithm": {"SCRYPT", "HMAC_SHA256"}, "no signer key": {"base64_signer_key", "signer"}, "a key that is none": {"jxspr8", "***"},
		"a number that is none": {"mem_cost: 14", "mem_cost: many"},
	} {
		if _, err := ReadFirebase(strings.NewReader(strings.Replace(firebaseConfig, change[0], change[1], 1))); err == nil {
			t.Errorf("%s: it was read", name)
		}
	}
	f.MemCost = 40
	if _, err := f.Hash(firebaseSalt, firebaseHash); err == nil {
		t.Error("a hash of a terabyte was read")
	}
	if _, err := (Firebase{}).Hash(firebaseSalt, firebaseHash); err == nil {
		t.Error("without the signer key something was read")
	}
}

// read is all that an export holds, a line each.
func read(t *testing.T, from string, text string) (all []Exported, err error) {
	t.Helper()
	f, err := ReadFirebase(strings.NewReader(firebaseConfig))
	if err != nil {
		t.Fatal(err)
	}
	for e, err := range Exports(f)[from](strings.NewReader(text)) {
		if err != nil {
			return all, err
		}
		all = append(all, e)
	}
	return all, nil
}

const keycloakRealm = `{"realm": "acme", "enabled": true, "clients": [{"clientId": "x"}], "users": [
{"username": "ada", "email": "ada@example.org", "emailVerified": true, "enabled": true, "firstName": "Ada", "lastName": "Byron", "credentials": [
 {"type": "password", "secretData": "{\"value\":\"F7o7+5VTVzFAO998X6s3AHrDsJVdMiIlgndIMe19NvY=\",\"salt\":\"c2FsdHNhbHRzYWx0\",\"additionalParameters\":{}}", "credentialData": "{\"hashIterations\":1000,\"algorithm\":\"pbkdf2-sha256\",\"additionalParameters\":{}}"},
 {"type": "otp", "secretData": "{}", "credentialData": "{}"}]},
{"username": "grace@example.org", "emailVerified": false, "credentials": [
 {"type": "password", "secretData": "{\"value\":\"CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc=\",\"salt\":\"c29tZXNhbHQ=\"}", "credentialData": "{\"hashIterations\":2,\"algorithm\":\"argon2\",\"additionalParameters\":{\"hashLength\":[\"32\"],\"memory\":[\"65536\"],\"type\":[\"id\"],\"version\":[\"1.3\"],\"parallelism\":[\"1\"]}}"}]},
{"username": "eve", "email": "eve@example.org", "credentials": []},
{"username": "old", "email": "old@example.org", "enabled": false, "credentials": [
 {"type": "password", "secretData": "{\"value\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\",\"salt\":\"c2FsdHNhbHQ=\"}", "credentialData": "{\"hashIterations\":1000,\"algorithm\":\"pbkdf2-sha256\"}"}]},
{"username": "bomb", "email": "bomb@example.org", "credentials": [
 {"type": "password", "secretData": "{\"value\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\",\"salt\":\"c2FsdHNhbHQ=\"}", "credentialData": "{\"hashIterations\":4000000000,\"algorithm\":\"pbkdf2-sha512\"}"}]},
{"username": "md5", "email": "md5@example.org", "credentials": [{"type": "password", "secretData": "{}", "credentialData": "{\"algorithm\":\"md5\"}"}]},
7
], "roles": {}}`

func TestExports(t *testing.T) {
	const auth0 = `{"_id":{"$oid":"60425dc43519d90068f82973"},"email_verified":true,"email":"ada@example.org","passwordHash":"$2b$05$XXXXXXXXXXXXXXXXXXXXXOAcXxm9kjPGEMsLznoKqmqw7tc8WCx4a","connection":"Username-Password-Authentication"}
{"email":"grace@example.org","email_verified":false,"name":"Grace Hopper","custom_password_hash":{"algorithm":"argon2","hash":{"value":"$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"}},"mfa_factors":[{}]}
{"email":"eve@example.org"}
{"email":"mallory@example.org","blocked":true,"password_hash":"$2b$05$XXXXXXXXXXXXXXXXXXXXXOAcXxm9kjPGEMsLznoKqmqw7tc8WCx4a"}
`
	const firebase = `{"users": [
{"localId": "1", "email": "ada@example.org", "emailVerified": true, "displayName": "Ada Byron", "passwordHash": "` + firebaseHash + `", "salt": "` + firebaseSalt + `"},
{"localId": "2", "email": "eve@example.org", "providerUserInfo": [{"providerId": "google.com"}]},
{"localId": "3", "email": "old@example.org", "disabled": true, "passwordHash": "` + firebaseHash + `", "salt": "` + firebaseSalt + `"}]}`
	const table = "\ufeffEmail,Hash,Name,Confirmed\r\nada@example.org,$2b$05$XXXXXXXXXXXXXXXXXXXXXOAcXxm9kjPGEMsLznoKqmqw7tc8WCx4a,\"Byron, Ada\",true\r\ngrace@example.org,secret\r\n"
	const lines = "# a comment\nada@example.org $2b$05$XXXXXXXXXXXXXXXXXXXXXOAcXxm9kjPGEMsLznoKqmqw7tc8WCx4a\n\nno-hash\ngrace@example.org\t$argon2d$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc\n"
	for name, c := range map[string]struct {
		from, text string
		want       []string // line, address, name, confirmed, read or refused, note
		password   string   // of the first
	}{
		"keycloak": {"keycloak", keycloakRealm, []string{
			"1 ada@example.org Ada Byron true read *", "2 grace@example.org  false read ", "3 eve@example.org  false refused ", "4 old@example.org  false refused ",
			"5 bomb@example.org  false refused ", "6 md5@example.org  false refused ", "7   false refused ",
		}, "correct horse"},
		"auth0":              {"auth0", auth0, []string{"1 ada@example.org  true read ", "2 grace@example.org Grace Hopper false read *", "3 eve@example.org  false refused ", "4 mallory@example.org  false refused "}, "U*U*U"},
		"auth0, as an array": {"auth0", "[" + strings.ReplaceAll(strings.TrimSpace(auth0), "\n", ",\n") + "]", []string{"1 ada@example.org  true read ", "2 grace@example.org Grace Hopper false read *", "3 eve@example.org  false refused ", "4 mallory@example.org  false refused "}, "U*U*U"},
		"firebase":           {"firebase", firebase, []string{"1 ada@example.org Ada Byron true read ", "2 eve@example.org  false refused ", "3 old@example.org  false refused "}, "user1password"},
		"csv":                {"csv", table, []string{"2 ada@example.org Byron, Ada true read ", "3 grace@example.org  false refused "}, "U*U*U"},
		"phc":                {"phc", lines, []string{"2 ada@example.org  false read ", "4   false refused ", "5 grace@example.org  false refused "}, "U*U*U"},
	} {
		all, err := read(t, c.from, c.text)
		if err != nil || len(all) != len(c.want) {
			t.Errorf("%s: %d accounts, %v", name, len(all), err)
			continue
		}
		for i, e := range all {
			state, note := "read", ""
			if e.Err != nil {
				state = "refused"
			}
			if e.Note != "" {
				note = "*"
			}
			if got := fmt.Sprintf("%d %s %s %v %s %s", e.Line, e.Email, e.Name, e.Confirmed, state, note); got != c.want[i] {
				t.Errorf("%s: %q (%v), want %q", name, got, e.Err, c.want[i])
			}
		}
		holdsTo(t, name, all[0].Hash, c.password)
	}
}

func TestExportsThatCannotBeRead(t *testing.T) {
	for name, c := range map[string][2]string{
		"cut off": {"keycloak", keycloakRealm[:400]}, "no JSON": {"firebase", "email,hash\n"}, "users that are no array": {"keycloak", `{"users": 7}`},
		"a table without a heading": {"csv", "ada@example.org,$2b$…\n"}, "an empty table": {"csv", ""}, "a quote that stays open": {"csv", "email,hash\n\"ada"},
		"an endless line": {"phc", strings.Repeat("x", 2*maxLine)},
	} {
		if all, err := read(t, c[0], c[1]); err == nil {
			t.Errorf("%s: %d accounts were read", name, len(all))
		}
	}
	f, _ := ReadFirebase(strings.NewReader(firebaseConfig))
	for from, read := range Exports(f) { // whoever has had enough stops
		text := map[string]string{"csv": "email,hash\na,b\nc,d\n", "phc": "a b\nc d\n"}[from]
		if text == "" {
			text = `{"users": [{}, {}]}`
		}
		n := 0
		for range read(io.MultiReader(strings.NewReader(text))) {
			n++
			break
		}
		if n != 1 {
			t.Errorf("%s: %d accounts before the first", from, n)
		}
	}
}
