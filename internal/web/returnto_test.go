package web

import (
	"net/url"
	"strings"
	"testing"
	"unicode"
)

func TestReturnTo(t *testing.T) {
	for from, want := range map[string]string{
		"/":                      "/",
		"/-/account/":            "/-/account/",
		"/notes?page=2&q=a%20b":  "/notes?page=2&q=a%20b",
		"/notes?page=2#top":      "/notes?page=2",
		"/a/../b":                "/b",
		"/a//b/./c":              "/a/b/c",
		"/a%2Fb":                 "/a%2Fb",
		"/grüße":                 "/gr%C3%BC%C3%9Fe",
		"/a?to=https://evil.com": "/a?to=https://evil.com",

		"":                                     "otherwise",
		"notes":                                "otherwise",
		"//evil.com":                           "otherwise",
		"///evil.com":                          "otherwise",
		"/\\evil.com":                          "otherwise",
		"/%5Cevil.com":                         "otherwise",
		"\\\\evil.com":                         "otherwise",
		"https://evil.com/":                    "otherwise",
		"https:/evil.com":                      "otherwise",
		"javascript:alert(1)":                  "otherwise",
		"/a\nLocation: x":                      "otherwise",
		"/a%0d%0aSet-Cookie: x":                "otherwise",
		"/\t/evil.com":                         "otherwise",
		"/%09/evil.com":                        "otherwise",
		" /notes":                              "otherwise",
		"/%zz":                                 "otherwise",
		"/\xff":                                "otherwise",
		"/%ff":                                 "otherwise",
		"/%2f%2fevil.com":                      "/evil.com",
		"/.//evil.com":                         "/evil.com",
		"/..//evil.com":                        "/evil.com",
		"/" + strings.Repeat("a", maxReturnTo): "otherwise",
	} {
		if got := ReturnTo(from, "otherwise"); got != want {
			t.Errorf("ReturnTo(%q) = %q, want %q", from, got, want)
		}
	}
}

func TestSignInPath(t *testing.T) {
	for from, want := range map[string]string{
		"/notes?a=1&b=2":  "/-/signin?return_to=%2Fnotes%3Fa%3D1%26b%3D2",
		"/":               "/-/signin",
		"https://evil.co": "/-/signin",
	} {
		if got := SignInPath(from); got != want {
			t.Errorf("SignInPath(%q) = %q, want %q", from, got, want)
		}
	}
}

// FuzzReturnTo: whatever comes in, what goes out stays here when a browser
// resolves it, is safe in a header, and is left alone the second time.
func FuzzReturnTo(f *testing.F) {
	for _, s := range []string{"/", "/a?b=c#d", "//x", "/\\x", "/%2f%2fx", "/..;/x", "/a/../../b", "/?x=\x00", "/ü?ü", "/;//x"} {
		f.Add(s)
	}
	base, err := url.Parse("https://own.example/-/signin")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, from string) {
		got := ReturnTo(from, "")
		if got == "" {
			return
		}
		if got[0] != '/' || strings.HasPrefix(got, "//") || strings.ContainsFunc(got, func(c rune) bool {
			return unicode.IsControl(c) || unicode.IsSpace(c) || c == '\\' || c > unicode.MaxASCII
		}) {
			t.Errorf("ReturnTo(%q) = %q", from, got)
		}
		to, err := base.Parse(got)
		if err != nil || to.Host != "own.example" || to.Scheme != "https" || to.User != nil {
			t.Errorf("ReturnTo(%q) = %q leads to %v, %v", from, got, to, err)
		}
		if again := ReturnTo(got, ""); again != got {
			t.Errorf("ReturnTo(%q) = %q, and of that %q", from, got, again)
		}
	})
}
