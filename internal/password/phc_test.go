package password

import (
	"strings"
	"testing"

	"golang.org/x/crypto/argon2"
	"pgregory.net/rapid"
)

// The reference implementation's own test vectors (P-H-C/phc-winner-argon2,
// src/test.c, Argon2id version 0x13).
var vectors = []struct{ password, phc string }{
	{"password", "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"},
	{"password", "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4"},
	{"password", "$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc"},
	{"differentpassword", "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$C4TWUs9rDEvq7w3+J4umqA32aWKB1+DSiRuBfYxFj94"},
	{"password", "$argon2id$v=19$m=65536,t=2,p=1$ZGlmZnNhbHQ$vfMrBczELrFdWP0ZsfhWsRPaHppYdP3MVEMIVlqoFBw"},
}

func TestReferenceVectors(t *testing.T) {
	for _, v := range vectors {
		h, err := ParseHash(v.phc)
		if err != nil {
			t.Errorf("%s: %v", v.phc, err)
			continue
		}
		if h.String() != v.phc {
			t.Errorf("%s is written as %s", v.phc, h)
		}
		made := h
		made.Tag = h.derive(v.password)
		if made.String() != v.phc {
			t.Errorf("the hash of %q is %s, want %s", v.password, made, v.phc)
		}
	}
}

func TestParseHashRefuses(t *testing.T) {
	good := vectors[0].phc
	if _, err := ParseHash(good); err != nil {
		t.Fatal(err)
	}
	for name, replace := range map[string][2]string{
		"another scheme":          {"argon2id", "argon2d"},
		"version 0 of the pepper": {"p=1", "p=1,keyid=0"},
		"a pepper with a name":    {"p=1", "p=1,keyid=main"},
		"two peppers":             {"p=1", "p=1,keyid=1,keyid=2"},
		"another version":         {"v=19", "v=16"},
		"no version":              {"$v=19", ""},
		"parameters in disorder":  {"m=65536,t=2", "t=2,m=65536"},
		"a leading zero":          {"t=2", "t=02"},
		"a sign":                  {"t=2", "t=+2"},
		"no passes":               {"t=2", "t=0"},
		"no lanes":                {"p=1", "p=0"},
		"256 lanes and one":       {"p=1", "p=257"},
		"too much memory":         {"m=65536", "m=4194305"},
		"an overflow":             {"m=65536", "m=4295032832"},
		"too much work":           {"m=65536,t=2", "m=4194304,t=4000"},
		"too little memory":       {"m=65536", "m=7"},
		"a short salt":            {"c29tZXNhbHQ", "c29tZXM"},
		"a long salt":             {"c29tZXNhbHQ", strings.Repeat("QUFB", 30)},
		"padding":                 {"c29tZXNhbHQ", "c29tZXNhbHQ=="},
		"spare bits":              {"c29tZXNhbHQ", "c29tZXNhbHR"},
		"a line break":            {"c29tZXNhbHQ", "c29tZX\nNhbHQ"},
		"a short tag":             {"CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc", "CTFhFdXPJO1aFQ"},
		"URL alphabet":            {"CTFh", "CT_h"},
		"one part more":           {"$argon2id", "$$argon2id"},
		"nothing":                 {good, ""},
	} {
		bad := strings.Replace(good, replace[0], replace[1], 1)
		if bad == good {
			t.Fatalf("%s: the test replaces nothing", name)
		}
		if h, err := ParseHash(bad); err == nil {
			t.Errorf("%s is read as %+v", name, h.Params)
		} else if bad != "" && strings.Contains(err.Error(), "CTFh") {
			t.Errorf("%s: the error repeats the hash: %v", name, err)
		}
	}
}

// What is written is read, as the same hash.
func TestWrittenHashesAreRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := Hash{
			Params: Params{
				Memory: rapid.Uint32Range(8*maxLanes, 1<<20).Draw(t, "memory"),
				Passes: rapid.Uint32Range(1, 64).Draw(t, "passes"),
				Lanes:  rapid.Uint32Range(1, maxLanes).Draw(t, "lanes"),
			},
			Salt: rapid.SliceOfN(rapid.Byte(), minSalt, maxSalt).Draw(t, "salt"),
			Key:  rapid.IntRange(0, maxKey).Draw(t, "key"),
			Tag:  rapid.SliceOfN(rapid.Byte(), 16, maxTag).Draw(t, "tag"),
		}
		back, err := ParseHash(h.String())
		if err != nil || back.String() != h.String() || back.Params != h.Params || back.Key != h.Key {
			t.Fatalf("%s is read as %s, %v", h, back, err)
		}
	})
}

// Whatever is read is written back byte for byte, and is within the bounds.
func FuzzParseHash(f *testing.F) {
	for _, v := range vectors {
		f.Add(v.phc)
	}
	f.Add("$argon2id$v=19$m=1,t=1,p=1$$")
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		h, err := ParseHash(s)
		if err != nil {
			return
		}
		if h.String() != s {
			t.Errorf("%q is written back as %q", s, h)
		}
		if h.Params.valid() != nil || len(h.Salt) < minSalt || len(h.Tag) < schemes[h.Params.Scheme].minTag || len(s) > maxPHC {
			t.Errorf("%q is out of bounds", s)
		}
	})
}

func TestVersionIsTheOneWeMean(t *testing.T) {
	if argon2.Version != 0x13 { // RFC 9106, 3.1
		t.Errorf("the library's version is %#x", argon2.Version)
	}
}
