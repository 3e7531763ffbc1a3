package audit

import (
	"context"
	"errors"
	"net/netip"
	"testing"

	"troth/internal/id"
)

// TestSentences shows each kind of actor, target and place, to everybody and
// to the person concerned.
func TestSentences(t *testing.T) {
	h := sqlite(t)
	ten, ada, bob := h.tenant(), h.account(), h.account()
	from := Context{IP: netip.MustParseAddr("2001:db8:1:2::3")}
	person := Actor{Kind: KindPerson, Account: ada, Name: "Ada"}
	aboutBob := []Target{{Kind: "account", ID: string(bob), Person: bob, Label: "Bob"}}
	cases := []struct {
		name   string
		event  Event
		viewer id.Account
		says   string
	}{
		{"oneself", Event{Type: "account.signed_in", Actor: person, Context: from}, ada, "You signed in from 2001:db8:1:2::3"},
		{"to an administrator", Event{Type: "account.signed_in", Actor: person, Context: from}, "", "Ada signed in from 2001:db8:1:2::3"},
		{"without an address", Event{Type: "account.signed_in", Actor: person}, ada, "You signed in from an unknown address"},
		{"a stranger at one's own door", Event{Type: "account.sign_in_failed", Actor: Actor{Kind: KindStranger}, Context: from, Targets: aboutBob}, bob,
			"Somebody who was not signed in failed to sign in from the network 2001:db8:1::/48"},
		{"somebody else's place", Event{Type: "account.sign_in_failed", Actor: person, Context: from, Targets: aboutBob}, bob,
			"Ada failed to sign in from another person's address"},
		{"this machine", Event{Type: "account.sign_in_failed", Actor: person, Context: Context{IP: netip.MustParseAddr("127.0.0.1")}}, ada, "You failed to sign in from this machine"},
		{"a private network", Event{Type: "account.sign_in_failed", Actor: person, Context: Context{IP: netip.MustParseAddr("10.1.2.3")}}, ada,
			"You failed to sign in from the private network 10.1.2.0/24"},
		{"the program", Event{Type: "tenant.role_changed", Actor: Actor{Kind: KindSystem, Name: "operator on the host"}, Targets: aboutBob, Metadata: map[string]string{"role": "owner"}}, bob,
			"Troth (operator on the host) changed the role of you to owner (100%)"},
		{"without a name", Event{Type: "tenant.role_changed", Actor: Actor{Kind: KindPerson, Account: ada}, Targets: []Target{{Kind: "account", Person: bob}}, Metadata: map[string]string{"role": "owner"}}, "",
			"Somebody changed the role of somebody to owner (100%)"},
		{"a thing", Event{Type: "tenant.role_changed", Actor: person, Targets: []Target{{Kind: "team", ID: "7", Label: "Engines"}}, Metadata: map[string]string{"role": "owner"}}, "",
			"Ada changed the role of Engines to owner (100%)"},
		{"a word about a person", Event{Type: "tenant.role_changed", Actor: person, Personal: map[id.Account]map[string]string{ada: {"role": "secret"}}}, ada,
			"You changed the role of something without a name to secret (100%)"},
		{"left out", Event{Type: "tenant.role_changed", Actor: person}, ada, "You changed the role of something without a name to something without a name (100%)"},
	}
	for _, c := range cases {
		c.event.Tenant = ten
		event := h.append(c.event)
		var e Entry
		var err error
		if c.viewer == "" {
			e, err = h.log.Get(t.Context(), ten, event)
		} else {
			e, err = h.log.GetOwn(t.Context(), c.viewer, event)
		}
		if err != nil || e.Sentence.String() != c.says {
			t.Errorf("%s: it says %q (%v), want %q", c.name, e.Sentence, err, c.says)
		}
	}
}

// TestNames: an administrator reads who did what to whom, and who did something
// to somebody reads whom it was; nobody else learns a name.
func TestNames(t *testing.T) {
	h := sqlite(t)
	ten, ada, bob := h.tenant(), h.account(), h.account()
	asked := 0
	h.log.names = func(_ context.Context, a id.Account) (string, error) {
		asked++
		if a == ada {
			return "Ada", nil
		}
		return "", errors.New("the name cannot be read")
	}
	change := func(by, to id.Account) Event {
		return Event{Type: "tenant.role_changed", Tenant: ten, Actor: Actor{Kind: KindPerson, Account: by},
			Targets: []Target{{Kind: "account", Person: to}}, Metadata: map[string]string{"role": "owner"}}
	}
	byAda, byBob := h.append(change(ada, bob)), h.append(change(bob, ada))
	says := func(viewer id.Account, event id.Event, want string) {
		t.Helper()
		e, err := h.log.Get(t.Context(), ten, event)
		if viewer != "" {
			e, err = h.log.GetOwn(t.Context(), viewer, event)
		}
		if err != nil || e.Sentence.String() != want {
			t.Errorf("it says %q (%v), want %q", e.Sentence, err, want)
		}
	}
	says("", byAda, "Ada changed the role of somebody to owner (100%)")
	says("", byBob, "Somebody changed the role of Ada to owner (100%)")
	says(bob, byBob, "You changed the role of Ada to owner (100%)")
	says(bob, byAda, "Somebody changed the role of you to owner (100%)")
	asked = 0
	if list, _, err := h.log.List(t.Context(), Filter{Tenant: ten}); err != nil || len(list) != 2 || list[1].Sentence.String() != "Ada changed the role of somebody to owner (100%)" {
		t.Errorf("the list is %+v, %v", list, err)
	}
	if asked != 2 {
		t.Errorf("%d questions for two names", asked)
	}
}

// TestATypeOfAPartThatIsGone: old events are shown, if without their sentence.
func TestATypeOfAPartThatIsGone(t *testing.T) {
	h := sqlite(t)
	ten := h.tenant()
	event := h.append(Event{Type: "account.signed_in", Tenant: ten, Actor: Actor{Kind: KindSystem}})
	delete(h.log.types, "account.signed_in")
	e, err := h.log.Get(t.Context(), ten, event)
	if err != nil || e.Sentence.String() != "Something happened that this program no longer knows: account.signed_in" {
		t.Errorf("it says %q, %v", e.Sentence, err)
	}
}
