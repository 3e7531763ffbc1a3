package text_test

import (
	"testing"

	"golang.org/x/net/idna"

	"troth/internal/text"
)

// A domain is shown in its own letters unless it could be read as another one.
func TestAddressesAsPeopleReadThem(t *testing.T) {
	for domain, shown := range map[string]bool{
		"bücher.example": true, "straße.example": true, "łódź.example": true, "пример.example": true, "例え.example": true,
		"παράδειγμα.example": true, "스토어.example": true, "مثال.example": true, "उदाहरण.example": true, "コーヒー.example": true, "中国1.example": true,
		"аррӏе.example":  false, // Cyrillic throughout
		"раypal.example": false, // mixed
		"paypaı.example": false, // the dotless i
		"οο.example":     false, // Greek letters that are Latin ones to the eye
		"例a.example":     false, // Latin beside Han is more than is needed
		"ɑpple.example":  false,
	} {
		ascii, err := idna.Lookup.ToASCII(domain)
		if err != nil {
			t.Errorf("%s is no domain: %v", domain, err)
			continue
		}
		want := "a@" + ascii
		if shown {
			want = "a@" + domain
		}
		if got := text.Address("a@" + ascii); got != want {
			t.Errorf("%s (%s) is shown as %s", domain, ascii, got)
		}
	}
	for _, same := range []string{"", "ada@example.org", "no address", "xn--x@example.org", "a@xn--a.example", "a@xn--0.example", "用户@example.org"} {
		if got := text.Address(same); got != same {
			t.Errorf("%q is shown as %q", same, got)
		}
	}
}
