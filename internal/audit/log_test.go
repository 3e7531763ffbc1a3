package audit

import (
	"context"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/keys"
	"troth/internal/store"
	"troth/internal/store/storetest"
	"troth/verify"
)

func TestAnEventIsRecordedListedAndProven(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := open(t, db)
		ctx := context.Background()
		ten, ada, bob := h.tenant(), h.account(), h.account()
		from := Context{IP: netip.MustParseAddr("192.0.2.7"), Agent: "Browser/1"}
		in := h.append(Event{Type: "account.signed_in", Tenant: ten, Actor: Actor{Kind: KindPerson, Account: ada, Name: "Ada"}, Context: from})
		role := h.append(Event{Type: "tenant.role_changed", Tenant: ten, Actor: Actor{Kind: KindPerson, Account: ada, Name: "Ada"}, Context: from,
			Targets: []Target{{Kind: "account", ID: string(bob), Person: bob, Label: "Bob"}}, Metadata: map[string]string{"role": "admin"}})
		if err := h.log.Refused(ctx, Event{Type: "account.sign_in_failed", Tenant: ten, Actor: Actor{Kind: KindStranger}, Context: from}); err != nil {
			t.Fatal(err)
		}

		if _, err := h.log.Proof(ctx, ten, in); fault.KindOf(err) != fault.Unavailable {
			t.Errorf("the proof of an event that waits is %v, want unavailable", err)
		}
		if n := h.sequence(); n != 3 {
			t.Fatalf("sequenced %d events, want 3", n)
		}
		entries, next, err := h.log.List(ctx, Filter{Tenant: ten})
		if err != nil || next != "" || len(entries) != 3 {
			t.Fatalf("listed %d entries, next %q, %v", len(entries), next, err)
		}
		want := []string{
			"Somebody who was not signed in failed to sign in from the network 192.0.2.0/24",
			"Ada changed the role of Bob to admin (100%)",
			"Ada signed in from 192.0.2.7",
		}
		for i, e := range entries {
			if e.Sentence.String() != want[i] || e.LogIndex != int64(2-i) {
				t.Errorf("entry %d is %q at %d, want %q", i, e.Sentence, e.LogIndex, want[i])
			}
		}
		own, _, err := h.log.List(ctx, Filter{Account: bob})
		if err != nil || len(own) != 1 {
			t.Fatalf("Bob's activity has %d entries, %v", len(own), err)
		}
		if s := own[0].Sentence.String(); s != "Ada changed the role of you to admin (100%)" || own[0].Context.IP.IsValid() || own[0].Context.Agent != "" {
			t.Errorf("Bob sees %q from %v", s, own[0].Context)
		}
		checkProof(t, h, ten, role, ada)
		checkExport(t, h)
	}, Migrations)
}

// checkProof checks a proof as a stranger would.
func checkProof(t *testing.T, h *house, ten id.Tenant, event id.Event, reveal ...id.Account) verify.EventProof {
	t.Helper()
	p, err := h.log.Proof(context.Background(), ten, event, reveal...)
	if err != nil {
		t.Fatal(err)
	}
	key, err := verify.ParseKey(h.log.VKey())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Check(key); err != nil {
		t.Errorf("the proof of %s: %v", event, err)
	}
	return p
}

// checkExport exports the log and has verify look at it.
func checkExport(t *testing.T, h *house) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "log")
	if err := h.log.Export(context.Background(), dir, nil); err != nil {
		t.Fatal(err)
	}
	checkDir(t, h, dir)
	return dir
}

func TestAnUnknownTypeAndAnUnauditedTransactionAreRefused(t *testing.T) {
	h := sqlite(t)
	err := h.db.Write(context.Background(), func(tx *store.Tx) error {
		_, err := h.log.AppendTx(tx, Event{Type: "nobody.registered", Actor: Actor{Kind: KindSystem}})
		return err
	})
	if err == nil || !strings.Contains(err.Error(), "not registered") {
		t.Errorf("an unknown type gave %v", err)
	}
	if err := h.log.Refused(context.Background(), Event{Type: "nobody.registered"}); err == nil {
		t.Error("an unknown type was refused without an error")
	}
}

func TestAShreddedPersonLeavesTheRestProvable(t *testing.T) {
	h := sqlite(t)
	ctx := context.Background()
	ten, ada, bob := h.tenant(), h.account(), h.account()
	e := Event{Type: "tenant.role_changed", Tenant: ten, Actor: Actor{Kind: KindPerson, Account: ada, Name: "Ada"},
		Context: Context{IP: netip.MustParseAddr("192.0.2.7")},
		Targets: []Target{{Kind: "account", Person: bob, Label: "Bob"}}, Metadata: map[string]string{"role": "admin"}}
	event := h.append(e)
	h.sequence()
	if err := h.keys.Shred(ctx, keys.SubjectRef(bob)); err != nil {
		t.Fatal(err)
	}
	got, err := h.log.Get(ctx, ten, event)
	if err != nil {
		t.Fatal(err)
	}
	if s := got.Sentence.String(); !got.Shredded || s != "Ada changed the role of a person whose data was destroyed to admin (100%)" {
		t.Errorf("after shredding the entry says %q", s)
	}
	p := checkProof(t, h, ten, event, ada, bob)
	if len(p.Sections) != 3 || p.Sections[2].Digest == nil || p.Sections[1].Digest != nil {
		t.Errorf("the sections of the proof are %+v, want Bob's withheld", p.Sections)
	}
	// The person is gone, what is done about them is still recorded.
	again := h.append(e)
	h.sequence()
	if got, err = h.log.Get(ctx, ten, again); err != nil || !got.Shredded {
		t.Errorf("an event about a destroyed person: %+v, %v", got, err)
	}
	checkProof(t, h, ten, again)

	if err := h.keys.Shred(ctx, keys.TenantRef(ten)); err != nil {
		t.Fatal(err)
	}
	if got, err = h.log.Get(ctx, ten, event); err != nil || !got.Sealed {
		t.Errorf("an event of a destroyed tenant: %+v, %v", got, err)
	}
	checkProof(t, h, ten, event)
	checkExport(t, h)
}
