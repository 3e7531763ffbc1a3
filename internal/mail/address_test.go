package mail

import (
	netmail "net/mail"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"troth/internal/fault"
)

func TestParseAddress(t *testing.T) {
	for in, want := range map[string]Address{
		"anna@example.org":                             "anna@example.org",
		"  anna@example.org\t":                         "anna@example.org",
		"Anna.B+tag@EXAMPLE.Org":                       "Anna.B+tag@example.org",
		"o'brien@mail.example.co.uk":                   "o'brien@mail.example.co.uk",
		"u\u0308@example.org":                          "ü@example.org",
		"用户@example.org":                               "用户@example.org",
		"a@xn--bcher-kva.example":                      "a@xn--bcher-kva.example",
		"a@bücher.example":                             "a@xn--bcher-kva.example",
		"a@BÜCHER.Example":                             "a@xn--bcher-kva.example",
		"a@bu\u0308cher.example":                       "a@xn--bcher-kva.example",
		"a@straße.example":                             "a@xn--strae-oqa.example", // not strasse.example
		"a@例え。example":                                 "a@xn--r8jz45g.example",
		"a@１.example":                                  "a@1.example",
		"a@1.example":                                  "a@1.example",
		strings.Repeat("a", maxLocal) + "@example.org": Address(strings.Repeat("a", maxLocal) + "@example.org"),
	} {
		if got, err := ParseAddress(in); got != want || err != nil {
			t.Errorf("%q: %q, %v; want %q", in, got, err, want)
		}
	}
	for _, bad := range []string{
		"", "anna", "anna@", "@example.org", "anna@example", "anna@localhost", "anna@@example.org", "a b@example.org",
		"Anna <anna@example.org>", "anna@example.org (Anna)", `"anna"@example.org`, "anna@[127.0.0.1]", "anna@127.0.0.1",
		"anna@example.org.", "anna@.example.org", "anna@exa..mple.org", ".anna@example.org", "anna.@example.org", "a..b@example.org",
		"anna@-example.org", "anna@example-.org", "anna@exa_mple.org", "anna@exam ple.org", "anna@bü_cher.example", "anna@xn--a.example", "anna@a\u200db.example", "anna@ab--c\u00fc.example",
		"anna@\u0308a.example", "anna@１２７.0.0.1", "anna@例え。", "anna@א1a.example",
		"a@b.example,c@d.example", "anna\r\n@example.org", "anna@example.org\r\nRCPT TO:<x@y.example>", "an\x00na@example.org", "an\u202ena@example.org",
		"an\u200bna@example.org", "an\xffna@example.org", "a:b@example.org", "a;b@example.org", "a\\b@example.org", "a<b@example.org", "a@b@example.org",
		strings.Repeat("a", maxLocal+1) + "@example.org", "a@" + strings.Repeat("a", maxLabel+1) + ".org",
		"a@" + strings.Repeat("abcdefgh.", 40) + "org", strings.Repeat("x", 1<<20) + "@example.org",
	} {
		got, err := ParseAddress(bad)
		if f := fault.As(err); f == nil || f.Kind != fault.Invalid || f.Field != "email" {
			t.Errorf("%.60q was taken as %q: %v", bad, got, err)
		}
	}
}

func FuzzParseAddress(f *testing.F) {
	for _, s := range []string{"anna@example.org", "a@b", "\"x y\"@example.org", "ü@example.org", "a@b.c\r\n", "(x)a@b.c", "a@bücher.example", "a@xn--", "a@例え。example", "=?utf-8?q?a?=@b.c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := ParseAddress(s)
		if err != nil {
			if fault.KindOf(err) != fault.Invalid {
				t.Errorf("%q: %v", s, err)
			}
			return
		}
		again, err := ParseAddress(string(a))
		if err != nil || again != a {
			t.Errorf("%q became %q, then %q, %v", s, a, again, err)
		}
		if len(a) > maxAddress || !utf8.ValidString(string(a)) || !norm.NFC.IsNormalString(string(a)) || strings.ContainsAny(string(a), " \r\n\t<>,;:\"\\()[]") || strings.Count(string(a), "@") != 1 {
			t.Errorf("%q was taken as %q", s, a)
		}
		if list, err := netmail.ParseAddressList(string(a)); err != nil || len(list) != 1 {
			t.Errorf("%q is read as %v, %v", a, list, err)
		}
	})
}

// What compose writes is one message to one person, whatever stands in it.
func FuzzCompose(f *testing.F) {
	f.Add("Hello", "Text\n.\n\nFrom here\n")
	f.Add("=?utf-8?q?x?=", "=\n=20\t \n")
	f.Add("ü\u00a0", strings.Repeat("ü", 300))
	f.Fuzz(func(t *testing.T, subject, body string) {
		if checkText(subject, body) != nil {
			return
		}
		raw, err := compose(netmail.Address{Address: "no-reply@example.org"}, content{To: "anna@example.org", Subject: subject, Body: body}, "eml_1", testTime)
		if err != nil {
			t.Fatal(err)
		}
		msg, err := netmail.ReadMessage(strings.NewReader(string(raw)))
		if err != nil {
			t.Fatal(err)
		}
		if len(msg.Header) != 9 || len(msg.Header["To"]) != 1 {
			t.Errorf("the headers are %v", msg.Header)
		}
		got, err := read(raw)
		if err != nil || strings.TrimRight(got.Body, "\n") != strings.TrimRight(body, "\n") {
			t.Errorf("the text %q arrived as %q, %v", body, got.Body, err)
		}
		squeeze := func(s string) string { return strings.Join(strings.Fields(s), "") }
		if squeeze(got.Subject) != squeeze(subject) {
			t.Errorf("the subject %q arrived as %q", subject, got.Subject)
		}
	})
}
