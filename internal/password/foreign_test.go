package password

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os/exec"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"troth/internal/secret"
)

// Hashes that other programs published, with the password.
var published = map[string]struct{ hash, password string }{
	"bcrypt of crypt_blowfish":         {"$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "U*U"},
	"bcrypt of crypt_blowfish, y":      {"$2y$05$CCCCCCCCCCCCCCCCCCCCC.VGOzA784oUp/Z0DY336zx7pLYAy0lwK", "U*U*"},
	"bcrypt of crypt_blowfish, b":      {"$2b$05$XXXXXXXXXXXXXXXXXXXXXOAcXxm9kjPGEMsLznoKqmqw7tc8WCx4a", "U*U*U"},
	"bcrypt, 72 bytes of it":           {"$2a$05$abcdefghijklmnopqrstuu5s2v8.iXieOjg/.AySBTTZIIVFJeBui", "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789chars after 72 are ignored"},
	"Argon2id of the reference":        {vectors[0].phc, "password"},
	"Argon2i of the reference":         {"$argon2i$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$wWKIMhR9lyDFvRz9YTZweHKfbftvj+qf+YFY4NeBbtA", "password"},
	"scrypt of passlib":                {"$scrypt$ln=16,r=8,p=1$aM15713r3Xsvxbi31lqr1Q$nFNh2CVHVjNldFVKDHDlm4CbdRSCdEBsjjJxD+iCs5E", "password"},
	"PBKDF2-HMAC-SHA-256 of passlib":   {"$pbkdf2-sha256$29000$N2YMIWQsBWBMae09x1jrPQ$1t8iyB2A.WF/Z5JZv.lfCIhXXN33N23OSgQYThBYRfk", "toomanysecrets"},
	"PBKDF2-HMAC-SHA-1 of RFC 6070, 2": {"$pbkdf2$i=4096$" + b64("saltSALTsaltSALTsaltSALTsaltSALTsalt") + "$" + b64(unhex("3d2eec4fe41c849b80c8d83662c0e44a8b291a964cf2f07038")), "passwordPASSWORDpassword"},
	"scrypt of RFC 7914, 12": {"$scrypt$r=8,p=1,ln=14$" + b64("SodiumChloride") + "$" +
		b64(unhex("7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2d5432955613f0fcf62d49705242a9af9e61e85dc0d651e40dfcf017b45575887")), "pleaseletmein"},
}

func b64(s string) string { return base64.RawStdEncoding.EncodeToString([]byte(s)) }

func unhex(s string) string {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// holdsTo asks whether a hash is that of its password, and stays so when it is
// stored and read again.
func holdsTo(t *testing.T, name string, h Hash, password string) {
	t.Helper()
	back, err := ParseHash(h.String())
	if err != nil || !reflect.DeepEqual(back, h) || back.String() != h.String() {
		t.Errorf("%s: %s is read as %s, %v", name, h, back, err)
	}
	if !back.Is(password) {
		t.Errorf("%s: %s is not that of its password", name, h)
	}
	if back.Is(password[:len(password)/2]) || back.Is("") {
		t.Errorf("%s: it is that of another password", name)
	}
}

func TestPublishedHashes(t *testing.T) {
	for name, v := range published {
		h, err := ReadForeign(v.hash)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		holdsTo(t, name, h, v.password)
		if h.Params.Scheme != Argon2id && !h.Params.Weak() {
			t.Errorf("%s passes for one of ours", name)
		}
	}
}

// What node makes, this package reads: Django's and Keycloak's PBKDF2, and
// scrypt.
func TestHashesOfNode(t *testing.T) {
	const password = "größe & 🌸 correct horse"
	out, err := exec.CommandContext(t.Context(), "node", "-e", `
const { pbkdf2Sync, scryptSync } = require("node:crypto");
const p = "`+password+`", salt = "saltsaltsalt", b = (x) => Buffer.from(x).toString("base64");
const key = (h, size) => b(pbkdf2Sync(p, salt, 1000, size, h));
console.log("pbkdf2_sha256$1000$" + salt + "$" + key("sha256", 32));
console.log("pbkdf2_sha1$1000$" + salt + "$" + key("sha1", 20));
console.log("$pbkdf2-sha512$i=1000,l=64$" + b(salt) + "$" + key("sha512", 64));
console.log("$pbkdf2-sha256$i=1000,l=64$" + b(salt) + "$" + key("sha256", 64));
console.log("$scrypt$ln=10,r=8,p=2$" + b(salt) + "$" + b(scryptSync(p, salt, 64, { N: 1024, r: 8, p: 2 })));
`).Output()
	if err != nil {
		t.Fatalf("running node: %v", err)
	}
	lines := strings.Fields(string(out))
	if len(lines) != 5 {
		t.Fatalf("node printed %q", out)
	}
	for _, line := range lines {
		h, err := ReadForeign(line)
		if err != nil {
			t.Errorf("%s: %v", line, err)
			continue
		}
		holdsTo(t, line, h, password)
	}
}

func TestForeignHashesThatAreRefused(t *testing.T) {
	salt, tag := b64("saltsaltsalt"), b64(strings.Repeat("t", 32))
	for name, s := range map[string]string{
		"nothing": "", "plain text": "password", "MD5": "5f4dcc3b5aa765d61d8327deb882cf99", "crypt of SHA-512": "$6$rounds=5000$saltstring$hashhashhash",
		"bcrypt with the defect":    "$2x$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
		"bcrypt that takes an hour": "$2b$24$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
		"bcrypt cut off":            "$2b$10$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyO",
		"Argon2d":                   "$argon2d$v=19$m=65536,t=2,p=1$" + salt + "$" + tag,
		"Argon2id of version 1.0":   "$argon2id$m=65536,t=2,p=1$" + salt + "$" + tag,
		"Argon2id, 1 TiB":           "$argon2id$v=19$m=1073741824,t=2,p=1$" + salt + "$" + tag,
		"Argon2i, an hour":          "$argon2i$v=19$m=4194304,t=1000,p=1$" + salt + "$" + tag,
		"a parameter twice":         "$argon2id$v=19$m=65536,m=65536,p=1$" + salt + "$" + tag,
		"a pepper that we lack":     "$argon2id$v=19$m=65536,t=2,p=1,keyid=1$" + salt + "$" + tag,
		"scrypt, 1 TiB":             "$scrypt$ln=30,r=8,p=1$" + salt + "$" + tag,
		"scrypt, lanes":             "$scrypt$ln=20,r=64,p=16$" + salt + "$" + tag,
		"scrypt, wrapping":          "$scrypt$ln=64,r=8,p=1$" + salt + "$" + tag,
		"PBKDF2, a day":             "$pbkdf2-sha512$i=4000000000$" + salt + "$" + tag,
		"PBKDF2, no round":          "$pbkdf2-sha256$i=0$" + salt + "$" + tag,
		"a short tag":               "$pbkdf2-sha256$i=1000$" + salt + "$" + b64("short"),
		"no salt":                   "$pbkdf2-sha256$i=1000$$" + tag,
		"Django's, another":         "pbkdf2_md5$1000$saltsalt$" + tag,
		"far too long":              "$pbkdf2-sha256$i=1000$" + salt + "$" + strings.Repeat("A", 1000),
	} {
		h, err := ReadForeign(s)
		if err == nil {
			t.Errorf("%s is read as %s", name, h)
		} else if len(s) > 20 && strings.Contains(err.Error(), s[len(s)-10:]) {
			t.Errorf("%s: the error repeats the hash: %v", name, err)
		}
	}
	big, err := ReadForeign("$scrypt$ln=20,r=8,p=1$" + salt + "$" + tag)
	if err != nil || big.Affordable(256<<20) == nil || big.Affordable(2<<30) != nil {
		t.Errorf("1 GiB of scrypt: %v, affordable with 256 MiB: %v, with 2 GiB: %v", err, big.Affordable(256<<20), big.Affordable(2<<30))
	}
}

// Whatever is read can be stored, and is bounded.
func FuzzReadForeign(f *testing.F) {
	for _, v := range published {
		f.Add(v.hash)
	}
	f.Add("pbkdf2_sha256$1000$saltsalt$dGFndGFndGFndGFndGFndGFndGFndGFndGFndGE=")
	f.Fuzz(func(t *testing.T, s string) {
		h, err := ReadForeign(s)
		if err != nil {
			return
		}
		if h.Params.valid() != nil || h.Key != 0 {
			t.Errorf("%q is out of bounds", s)
		}
		if back, err := ParseHash(h.String()); err != nil || !reflect.DeepEqual(back, h) {
			t.Errorf("%q is stored as %s and read as %s, %v", s, h, back, err)
		}
	})
}

// A wrong password takes as long for a hash of another scheme as for one of the
// present.
func TestForeignHashesAreFilledUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		for _, now := range []Params{
			{Memory: rapid.Uint32Range(Floor.Memory, 1<<18).Draw(t, "memory"), Passes: rapid.Uint32Range(2, 64).Draw(t, "passes"), Lanes: 1},
			{Scheme: PBKDF2SHA256, Passes: rapid.Uint32Range(600_000, 1<<26).Draw(t, "rounds")},
		} {
			share := rapid.Float64Range(0, 1).Draw(t, "share")
			p, ok := now.part(share)
			if !ok {
				if share*float64(now.work()) > 100 {
					t.Fatalf("%g of %s is nothing", share, now)
				}
				continue
			}
			if off := float64(p.work())/float64(now.work()) - share; off < -0.001 || off > 0.001 {
				t.Fatalf("%g of %s is %s", share, now, p)
			}
			if p.Memory > now.Memory {
				t.Fatalf("%g of %s takes more memory: %s", share, now, p)
			}
		}
	})
	var c pace
	old, now := Params{Scheme: Bcrypt, LogN: 10}, Floor
	if c.lacks(old, now) != 1 {
		t.Error("nothing was seen, and yet something is known")
	}
	c.took(old, 60)
	c.took(now, 240)
	c.took(now, 900) // a busy machine
	if share := c.lacks(old, now); share != 0.75 {
		t.Errorf("60 of 240 lacks %g", share)
	}
	c.took(old, 300)
	if share := c.lacks(Params{Scheme: Bcrypt, LogN: 12}, now); share != 1 {
		t.Errorf("a cost that was never seen lacks %g", share)
	}
	for i := range uint32(2 * maxPaces) {
		c.took(Params{Passes: i}, 1)
	}
	if len(c.least) > maxPaces {
		t.Errorf("%d costs are remembered", len(c.least))
	}
}

// A hasher of one scheme compares hashes of every other, and says that they
// have to be made again.
func TestVerifyForeignHashes(t *testing.T) {
	pbkdf2, err := NewHasher(FloorPBKDF2, 256<<20, ample)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range []*Hasher{cheapest(t), pbkdf2} {
		for name, v := range published {
			if h == pbkdf2 && !strings.HasPrefix(name, "PBKDF2") {
				continue // one of each is enough for it, at a third of a second a hash
			}
			stored, err := ReadForeign(v.hash)
			if err != nil {
				t.Fatal(err)
			}
			for word, match := range map[string]bool{v.password: true, "another": false} {
				got, err := h.Verify(ctx, stored.String(), secret.Of(word))
				if err != nil || got.Match != match || got.Stale != (match && stored.Params.Below(h.params)) {
					t.Errorf("%s, %s, match %v: %+v, %v", h.params.Scheme, name, match, got, err)
				}
			}
		}
	}
	ours, err := pbkdf2.Hash(ctx, secret.Of(goodWord))
	if err != nil || !strings.HasPrefix(ours, "$pbkdf2-sha256$i=600000$") {
		t.Fatalf("the hash is %s, %v", ours, err)
	}
	if v, err := pbkdf2.Verify(ctx, ours, secret.Of(goodWord)); err != nil || !v.Match || v.Stale {
		t.Errorf("its own hash: %+v, %v", v, err)
	}
	if v, err := cheapest(t).Verify(ctx, ours, secret.Of(goodWord)); err != nil || !v.Match || !v.Stale {
		t.Errorf("a hash of the other scheme: %+v, %v", v, err)
	}
	if _, err := NewHasher(Params{Scheme: Bcrypt, LogN: 12}, 1<<30, ample); err == nil {
		t.Error("new hashes are made with bcrypt")
	}
	if s, ok := SchemeOf("pbkdf2-sha256"); !ok || s != PBKDF2SHA256 {
		t.Error("pbkdf2-sha256 is no scheme")
	}
	if _, ok := SchemeOf("bcrypt"); ok || fmt.Sprint(Scheme(99)) != "scheme 99" {
		t.Error("bcrypt can be chosen")
	}
}
