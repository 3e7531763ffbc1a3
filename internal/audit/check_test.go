package audit

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"troth/internal/id"
	"troth/internal/store"
	"troth/internal/store/storetest"
	"troth/verify"
)

// filled is a house with enough events for full tiles in one tenant's tree and
// in the platform log.
func filled(t *testing.T, db *store.DB) (*house, id.Tenant, []id.Event) {
	t.Helper()
	h := open(t, db)
	ten, ada := h.tenant(), h.account()
	var events []id.Event
	for range 3 {
		err := db.Write(context.Background(), func(tx *store.Tx) error {
			for range 100 {
				e, err := h.log.AppendTx(tx, Event{Type: "account.signed_in", Tenant: ten, Actor: Actor{Kind: KindPerson, Account: ada, Name: "Ada"},
					Context: Context{IP: netip.MustParseAddr("192.0.2.7")}})
				if err != nil {
					return err
				}
				events = append(events, e)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		h.sequence()
	}
	return h, ten, events
}

// change alters the database behind the log's back.
func (h *house) change(query string, args ...any) {
	h.t.Helper()
	err := h.db.Write(context.Background(), func(tx *store.Tx) error {
		tx.Unaudited("a test breaks what must be noticed")
		n, err := tx.Exec(query, args...)
		if err == nil && n == 0 {
			err = fmt.Errorf("%s changed nothing", query)
		}
		return err
	})
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) check() []verify.Finding {
	h.t.Helper()
	findings, err := h.log.CheckRows(context.Background(), nil)
	if err != nil {
		h.t.Fatal(err)
	}
	return findings
}

func TestNothingIsFoundInAnUntouchedLog(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h, ten, _ := filled(t, db)
		h.append(Event{Type: "account.signed_in", Tenant: ten, Actor: Actor{Kind: KindSystem}}) // waits
		for _, f := range h.check() {
			t.Errorf("found %v", &f)
		}
	}, Migrations)
}

// TestWhatWasChangedIsNamed changes each thing that the database keeps, and
// expects that it is found and called by its name.
func TestWhatWasChangedIsNamed(t *testing.T) {
	payloads := tableOf(ClassAudit, newClock().t)
	cases := []struct {
		name, code, where string // in where, EVENT and TREE stand for the touched ones
		query             string
		args              func(ten id.Tenant, e id.Event) []any
	}{
		{"the time of an event", "row-differs", "event EVENT",
			`UPDATE audit_event SET occurred_at = occurred_at + 1 WHERE event = $1`, onlyEvent},
		{"the type of an event", "row-differs", "event EVENT",
			`UPDATE audit_event SET type = 'tenant.role_changed' WHERE event = $1`, onlyEvent},
		{"the actor of an event", "row-differs", "event EVENT",
			`UPDATE audit_event SET actor = '' WHERE event = $1`, onlyEvent},
		{"an event's row removed", "event-missing", "event EVENT",
			`DELETE FROM audit_event WHERE event = $1`, onlyEvent},
		{"a payload removed", "payload-missing", "event EVENT",
			`DELETE FROM ` + payloads + ` WHERE event = $1`, onlyEvent},
		{"a payload exchanged for another's", "payload-differs", "event EVENT",
			`UPDATE ` + payloads + ` SET body = (SELECT body FROM ` + payloads + ` WHERE event <> $1 ORDER BY event LIMIT 1) WHERE event = $1`, onlyEvent},
		{"a leaf in a full tile", "tile-differs", "tile 0 at level 0 of tree TREE",
			`UPDATE log_leaf SET entry = (SELECT entry FROM log_leaf WHERE tree = $1 AND idx = 9) WHERE tree = $1 AND idx = 8`, onlyTenant},
		{"a leaf removed", "leaf-missing", "tree TREE",
			`DELETE FROM log_leaf WHERE tree = $1 AND idx = 280`, onlyTenant},
		{"a leaf and its event removed", "leaf-missing", "tree TREE",
			`DELETE FROM log_leaf WHERE tree = $1 AND idx = 7`, onlyTenant},
		{"a leaf in the last, partial tile", "checkpoint-differs", "checkpoint 300 of tree TREE",
			`UPDATE log_leaf SET entry = (SELECT entry FROM log_leaf WHERE tree = $1 AND idx = 9) WHERE tree = $1 AND idx = 280`, onlyTenant},
		{"a tile", "tile-differs", "tile 0 at level 0 of tree TREE",
			`UPDATE log_tile SET hashes = (SELECT root FROM log_head WHERE tree = $1) WHERE tree = $1`, onlyTenant},
		{"a tile's root", "tile-differs", "tile 0 at level 0 of tree TREE",
			`UPDATE log_tile SET root = (SELECT root FROM log_head WHERE tree = $1) WHERE tree = $1`, onlyTenant},
		{"a tile removed", "tile-missing", "tile 0 at level 0 of tree TREE",
			`DELETE FROM log_tile WHERE tree = $1`, onlyTenant},
		{"a head", "head-differs", "tree TREE",
			`UPDATE log_head SET root = (SELECT root FROM log_head WHERE tree = 'log') WHERE tree = $1`, onlyTenant},
		{"a head removed", "head-missing", "tree TREE",
			`DELETE FROM log_head WHERE tree = $1`, onlyTenant},
		{"a head taken back", "head-differs", "tree TREE",
			`UPDATE log_head SET size = 100, root = (SELECT root FROM log_checkpoint WHERE tree = log_head.tree AND size = 100) WHERE tree = $1`, onlyTenant},
		{"an event taken out of a person's activity", "person-missing", "event EVENT",
			`DELETE FROM audit_person WHERE event = $1`, onlyEvent},
		{"an event moved to another tenant's activity", "person-missing", "event EVENT",
			`UPDATE audit_person SET tenant = 'ten_0' WHERE event = $1`, onlyEvent},
		{"all activity of all people", "person-missing", "event EVENT",
			`DELETE FROM audit_person`, nothing},
		{"the subtrees of a head", "head-differs", "tree TREE",
			`UPDATE log_head SET edge = root || root || root || root WHERE tree = $1`, onlyTenant},
		{"the platform's head taken back", "head-differs", "platform log",
			`UPDATE log_head SET (size, root, edge) = (SELECT size, root, root FROM log_checkpoint WHERE tree = 'log' AND size = 1) WHERE tree = 'log'`, nothing},
		{"the subtrees of the platform's head", "head-differs", "platform log",
			`UPDATE log_head SET edge = root WHERE tree = 'log'`, nothing},
		{"the platform's head removed", "head-missing", "platform log",
			`DELETE FROM log_head WHERE tree = 'log'`, nothing},
		{"an event put into a stranger's activity", "person-added", "event EVENT",
			`INSERT INTO audit_person (account, event, tenant) SELECT 'acc_01', event, tenant FROM audit_event WHERE event = $1`, onlyEvent},
		{"an event that is nowhere put into an activity", "person-added", "event EVENT",
			`INSERT INTO audit_person (account, event, tenant) VALUES ('acc_01', $1, 'ten_0')`, onlyEvent},
		{"a tree removed", "event-unlogged", "event EVENT",
			`DELETE FROM log_leaf WHERE tree = $1`, onlyTenant},
		{"a tenant's checkpoint", "checkpoint-differs", "checkpoint 200 of tree TREE",
			`UPDATE log_checkpoint SET root = (SELECT root FROM log_head WHERE tree = $1) WHERE tree = $1 AND size = 200`, onlyTenant},
		{"a tenant's checkpoint removed", "checkpoint-missing", "platform log",
			`DELETE FROM log_checkpoint WHERE tree = $1 AND size = 200`, onlyTenant},
		{"a tenant's checkpoint made one of nothing", "checkpoint-missing", "platform log",
			`UPDATE log_checkpoint SET size = 0 WHERE tree = $1 AND size = 200`, onlyTenant},
		{"a salt", "commitment-differs", "checkpoint 200 of tree TREE",
			`UPDATE log_checkpoint SET salt = root WHERE tree = $1 AND size = 200`, onlyTenant},
		{"a platform entry", "commitment-differs", "checkpoint 200 of tree TREE",
			`UPDATE log_leaf SET entry = (SELECT entry FROM log_leaf WHERE tree = 'log' AND idx = 0) WHERE tree = 'log' AND idx = 1`, nothing},
		{"the signed checkpoint", "checkpoint-signature", "checkpoint",
			`UPDATE log_checkpoint SET note = (SELECT note FROM log_checkpoint WHERE tree = 'log' ORDER BY size LIMIT 1) || note WHERE tree = 'log' AND size = 3`, nothing},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			h, ten, events := filled(t, storetest.SQLite(t, Migrations))
			h.change(c.query, c.args(ten, events[150])...)
			where := strings.NewReplacer("EVENT", string(events[150]), "TREE", string(ten)).Replace(c.where)
			findings := h.check()
			for _, f := range findings {
				if f.Code == c.code && f.Where == where {
					return
				}
			}
			t.Errorf("want %s: %s, found %+v", c.code, where, findings[:min(len(findings), 5)])
		})
	}
}

// TestARemovedHeadHidesNothing: what a tree's head says is not believed.
func TestARemovedHeadHidesNothing(t *testing.T) {
	payloads := tableOf(ClassAudit, newClock().t)
	for name, hide := range map[string]string{
		"removed": `DELETE FROM log_head WHERE tree = $1`,
		"back":    `UPDATE log_head SET size = 100, root = (SELECT root FROM log_checkpoint WHERE tree = log_head.tree AND size = 100) WHERE tree = $1`,
	} {
		t.Run(name, func(t *testing.T) {
			h, ten, events := filled(t, storetest.SQLite(t, Migrations))
			h.change(hide, string(ten))
			h.change(`DELETE FROM `+payloads+` WHERE event = $1`, string(events[150]))
			h.change(`DELETE FROM audit_event WHERE event = $1`, string(events[160]))
			found := map[string]bool{}
			for _, f := range h.check() {
				found[f.Code+" "+f.Where] = true
			}
			for _, want := range []string{"payload-missing event " + string(events[150]), "event-missing event " + string(events[160])} {
				if !found[want] {
					t.Errorf("%s was not found: %v", want, found)
				}
			}
		})
	}
}

func onlyEvent(_ id.Tenant, e id.Event) []any    { return []any{string(e)} }
func onlyTenant(ten id.Tenant, _ id.Event) []any { return []any{string(ten)} }
func nothing(id.Tenant, id.Event) []any          { return nil }

// TestATamperedExportIsNamed changes each kind of file of an export.
func TestATamperedExportIsNamed(t *testing.T) {
	h, _, _ := filled(t, storetest.SQLite(t, Migrations))
	if _, err := h.log.Evidence(context.Background(), nil, []byte(`{"payloadType":"x"}`)); err != nil {
		t.Fatal(err)
	}
	h.sequence()
	for _, path := range []string{"checkpoint", "tile/0/000.p/4", "tile/entries/000.p/4"} {
		dir := checkExport(t, h)
		file := filepath.Join(dir, filepath.FromSlash(path))
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		b[len(b)-10] ^= 4
		if err := os.WriteFile(file, b, 0o644); err != nil {
			t.Fatal(err)
		}
		r := examine(t, h, dir)
		if r.OK() {
			t.Errorf("a changed %s was not noticed", path)
		}
		t.Log(r.Findings)
	}
}
