package audit

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"troth/internal/id"
	"troth/internal/keys"
	"troth/verify"
)

// FuzzSections holds that reading what is stored neither breaks nor accepts
// two encodings of the same.
func FuzzSections(f *testing.F) {
	f.Add([]byte{})
	f.Add(encodeSections([]section{{name: "core", digest: verify.Digest{1}, sealed: []byte("x")}}))
	f.Add(encodeSections([]section{{name: "core", sealed: []byte("x")}, {name: "acc_x"}}))
	f.Add([]byte{1, 4, 'c', 'o', 'r', 'e', 0, 255, 255, 255, 255})
	f.Fuzz(func(t *testing.T, b []byte) {
		sections, err := decodeSections(b)
		if err != nil {
			return
		}
		if again := encodeSections(sections); !bytes.Equal(again, b) {
			t.Errorf("%x was read as %x", b, again)
		}
	})
}

func FuzzSizeOf(f *testing.F) {
	f.Add([]byte("log.example\n7\nAAAA\n"))
	f.Add([]byte("\n\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if n, err := sizeOf(b); err == nil && !strings.Contains(string(b), "\n") {
			t.Errorf("%q has the size %d", b, n)
		}
	})
}

// TestASectionIsBoundToItsPlace moves a sealed section to another event, name
// and tenant.
func TestASectionIsBoundToItsPlace(t *testing.T) {
	h := sqlite(t)
	ctx := context.Background()
	month := keys.MonthRef(ClassAudit, h.clock.t)
	at := payload{tenant: h.tenant(), event: id.New[id.Event](h.clock.now()), month: month}
	s, err := h.log.seal(ctx, at, coreSection, []byte("{}"))
	if err != nil {
		t.Fatal(err)
	}
	if _, exact, err := h.log.openSection(ctx, at, s); err != nil || string(exact) != "{}" {
		t.Fatalf("opened %q, %v", exact, err)
	}
	for name, change := range map[string]func(p payload, s section) (payload, section){
		"event":  func(p payload, s section) (payload, section) { p.event = id.New[id.Event](h.clock.now()); return p, s },
		"tenant": func(p payload, s section) (payload, section) { p.tenant = h.tenant(); return p, s },
		"name":   func(p payload, s section) (payload, section) { s.name = strangerSection; return p, s },
		"digest": func(p payload, s section) (payload, section) { s.digest[0] ^= 1; return p, s },
		"bytes": func(p payload, s section) (payload, section) {
			s.sealed = bytes.Clone(s.sealed)
			s.sealed[len(s.sealed)-1] ^= 1
			return p, s
		},
	} {
		p, moved := change(at, s)
		if _, exact, err := h.log.openSection(ctx, p, moved); err == nil || errors.Is(err, errShredded) {
			t.Errorf("with another %s it opens: %q, %v", name, exact, err)
		}
	}
}

func TestTypesThatCannotBeAreRefused(t *testing.T) {
	for name, types := range map[string][]Type{
		"no domain":       {{Name: "signed", Sentence: "x"}},
		"upper case":      {{Name: "account.Signed", Sentence: "x"}},
		"twice":           {{Name: "a.b", Sentence: "x"}, {Name: "a.b", Sentence: "y"}},
		"no sentence":     {{Name: "a.b"}},
		"a lonely brace":  {{Name: "a.b", Sentence: "{actor did it"}},
		"a strange name":  {{Name: "a.b", Sentence: "{Actor} did it"}},
		"a strange class": {{Name: "a.b", Sentence: "x", Class: "finance"}},
		"an own name":     withOwn([]Type{{Name: typeEpoch, Sentence: "another"}}),
	} {
		if _, err := register(types); err == nil {
			t.Errorf("%s: registered %+v", name, types)
		}
	}
	if all, err := register(withOwn(Events)); err != nil || len(all) != len(Events) {
		t.Errorf("the own types listed again: %v", err)
	}
}

func TestEventsThatCannotBeAreRefused(t *testing.T) {
	h := sqlite(t)
	long := strings.Repeat("x", maxValue+1)
	for name, e := range map[string]Event{
		"no actor":      {},
		"long metadata": {Actor: Actor{Kind: KindSystem}, Metadata: map[string]string{"a": long}},
		"many targets":  {Actor: Actor{Kind: KindSystem}, Targets: make([]Target, maxTargets+1)},
	} {
		if err := h.log.complete(&e); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	e := Event{Actor: Actor{Kind: KindStranger}, Context: Context{Agent: strings.Repeat("é", maxAgent)}}
	if err := h.log.complete(&e); err != nil || len(e.Context.Agent) > maxAgent || strings.Contains(e.Context.Agent, "\uFFFD") {
		t.Errorf("a long agent becomes %d bytes, %v", len(e.Context.Agent), err)
	}
}
