package text_test

import (
	"testing"

	"troth/internal/text"
)

func TestSentencesAreTheirOwnKeys(t *testing.T) {
	c, err := text.NewCatalogue(map[string]map[string]string{
		"de": {"Sign in": "Anmelden", "%s invited %s.": "%[2]s wurde von %[1]s eingeladen.", "the owner": "der Inhaber"},
	})
	if err != nil {
		t.Fatal(err)
	}
	de, en := c.Printer("de-AT, en;q=0.5"), c.Printer("xx, garbage;;")
	for _, x := range []struct{ got, want string }{
		{de.Sprintf("Sign in"), "Anmelden"},
		{de.Say(text.New("%s invited %s.", text.New("the owner"), "Bo")), "Bo wurde von der Inhaber eingeladen."},
		{de.Sprintf("Not translated: 100%"), "Not translated: 100%"},
		{en.Sprintf("Sign in"), "Sign in"},
		{en.Say(text.New("%s invited %s.", "A", "B")), "A invited B."},
		{text.New("%d left", 3).String(), "3 left"},
		{de.Language(), "de"}, {en.Language(), "en"},
	} {
		if x.got != x.want {
			t.Errorf("got %q, want %q", x.got, x.want)
		}
	}
}

func TestCatalogueRefusesOtherValues(t *testing.T) {
	for _, bad := range []map[string]map[string]string{{"de": {"%s left": "weg"}}, {"not a tag!": {"a": "b"}}} {
		if _, err := text.NewCatalogue(bad); err == nil {
			t.Errorf("took %v", bad)
		}
	}
}
