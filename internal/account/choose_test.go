package account

import (
	"context"
	"errors"
	"testing"

	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/password"
	"troth/internal/secret"
)

// belongs is the organisations of everybody.
type belongs struct {
	names []string
	err   error
}

func (b belongs) OrganisationsOf(context.Context, id.Account) ([]string, error) {
	return b.names, b.err
}

// Every way to set a password asks the same: what the service, the person and
// the organisations are called is no password.
func TestOwnWordsAreNoPassword(t *testing.T) {
	h := sqlite(t, func(o *Options) {
		o.Rules = password.Rules{Service: []string{"Troth"}}
		o.Organisations = belongs{names: []string{"Analytical Engines"}}
	})
	_, err := h.SignUp(ctx, stranger(), Application{Email: ada, Name: "Ada Byron", Password: secret.Of("Byron Byron 1815"), Browser: h.browser})
	want(t, err, fault.Invalid, "password.own_words")
	by, _ := h.person(ada, goodWord)
	for _, own := range []string{"Ada Byron Ada Byron", "troth-troth-troth", "AnalyticalEngines1"} {
		_, err := h.ChangePassword(ctx, by, secret.Of(goodWord), secret.Of(own))
		want(t, err, fault.Invalid, "password.own_words")
		if err := h.AskReset(ctx, stranger(), ada); err != nil {
			t.Fatal(err)
		}
		err = h.Reset(ctx, stranger(), h.link(ada, PathReset), secret.Of(own))
		want(t, err, fault.Invalid, "password.own_words")
	}
	h.Organisations = belongs{err: errors.New("the names cannot be read")}
	if _, err := h.ChangePassword(ctx, by, secret.Of(goodWord), secret.Of(newWord)); err == nil || fault.KindOf(err) == fault.Invalid {
		t.Errorf("when nobody can tell, it says %v", err)
	}
}

func TestMeterAsksTheSame(t *testing.T) {
	h := sqlite(t, func(o *Options) { o.Organisations = belongs{names: []string{"Analytical Engines"}} })
	by, _ := h.person(ada, goodWord)
	const own = "AnalyticalEngines1"
	for name, c := range map[string]struct {
		q       Choice
		refused bool
	}{
		"a stranger":       {Choice{Password: secret.Of(own), Email: "eve@example.org", Name: "Eve"}, false},
		"the holder":       {Choice{Password: secret.Of(own)}, true},
		"the holder, good": {Choice{Password: secret.Of(newWord)}, false},
	} {
		who := by
		if name == "a stranger" {
			who = stranger()
		}
		s, err := h.Weigh(ctx, who, c.q)
		if err != nil || (s.Refused != nil) != c.refused {
			t.Errorf("%s: %+v, %v", name, s, err)
		}
	}
	if err := h.AskReset(ctx, stranger(), ada); err != nil {
		t.Fatal(err)
	}
	link := h.link(ada, PathReset)
	if s, err := h.Weigh(ctx, stranger(), Choice{Password: secret.Of(own), Link: link}); err != nil || s.Refused == nil {
		t.Errorf("by a link: %+v, %v", s, err)
	}
	if err := h.Reset(ctx, stranger(), link, secret.Of(newWord)); err != nil {
		t.Errorf("the meter used the link up: %v", err)
	}
	if s, err := h.Weigh(ctx, stranger(), Choice{Password: secret.Of(own), Link: link}); err != nil || s.Refused != nil {
		t.Errorf("by a link that is used up, as anybody: %+v, %v", s, err)
	}
}
