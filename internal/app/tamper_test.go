package app

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"troth/internal/config"
	"troth/internal/id"
	"troth/internal/store"
	"troth/verify"
)

// bend is one value of one row that is changed behind the program's back.
type bend struct {
	name, table, where, column string
	finds                      []string // one of these codes is found, by the program or from outside
}

// bends are what an operator with the database could try.
func bends(org id.Tenant, at time.Time) []bend {
	payloads := "audit_payload_audit_" + at.UTC().Format("200601")
	mine := "tenant = '" + string(org) + "'"
	tree := "tree = '" + string(org) + "'"
	return []bend{
		{"the type of an event", "audit_event", mine, "type", []string{"row-differs"}},
		{"the time of an event", "audit_event", mine, "occurred_at", []string{"row-differs"}},
		{"the actor of an event", "audit_event", mine + " AND actor <> ''", "actor", []string{"row-differs"}},
		{"an event is moved away", "audit_event", mine, "event", []string{"event-missing", "event-unlogged"}},
		{"what happened", payloads, mine, "body", []string{"payload-differs"}},
		{"the payload of an event is moved away", payloads, mine, "event", []string{"payload-missing"}},
		{"a leaf", "log_leaf", tree + " AND idx = 1", "entry", []string{"leaf-differs", "checkpoint-differs"}},
		{"a leaf is moved away", "log_leaf", tree + " AND idx = 1", "idx", []string{"leaf-missing"}},
		{"a tile", "log_tile", tree, "hashes", []string{"tile-differs"}},
		{"a tenant's checkpoint", "log_checkpoint", tree, "root", []string{"checkpoint-differs", "commitment-differs"}},
		{"the salt of a checkpoint", "log_checkpoint", tree, "salt", []string{"commitment-differs"}},
		{"a checkpoint's entry", "log_checkpoint", tree, "entry", []string{"commitment-differs", "commitment-missing"}},
		{"the head of a tree", "log_head", tree, "root", []string{"head-differs"}},
		{"an entry of the public log", "log_leaf", "tree = 'log' AND idx = 0", "entry", []string{"entry-malformed", "root-differs", "checkpoint-differs", "tile-differs", "log-root"}},
		{"the signed checkpoint", "log_checkpoint", "tree = 'log' AND size = (SELECT size FROM log_head WHERE tree = 'log')", "note", []string{"checkpoint-signature"}},
		{"a piece of evidence", "log_evidence", "1 = 1", "envelope", []string{"evidence-differs", "evidence-digest", "evidence-malformed", "evidence-missing"}},
	}
}

// turn changes a value, and returns how to change it back.
func (h *house) turn(b bend) (undo func()) {
	h.t.Helper()
	var row int64
	var old any
	h.read(func(tx *store.Tx) error {
		return tx.QueryRow(fmt.Sprintf(`SELECT rowid, %s FROM %s WHERE %s ORDER BY rowid LIMIT 1`, b.column, b.table, b.where)).Scan(&row, &old)
	})
	var changed any
	switch v := old.(type) {
	case []byte:
		flipped := bytes.Clone(v)
		flipped[len(flipped)-1] ^= 1
		old, changed = bytes.Clone(v), flipped
	case string:
		last := v[len(v)-1]
		changed = v[:len(v)-1] + string(rune(last^1))
	case int64:
		changed = v + 1_000_003
	default:
		h.t.Fatalf("%s is a %T", b.name, old)
	}
	set := fmt.Sprintf(`UPDATE %s SET %s = $1 WHERE rowid = $2`, b.table, b.column)
	if h.tamper(set, changed, row) != 1 {
		h.t.Fatalf("%s was not changed", b.name)
	}
	return func() { h.tamper(set, old, row) }
}

// found is everything that the program finds in its rows, and a stranger in the
// exported log.
func (h *house) found() (codes []string, all string) {
	h.t.Helper()
	ctx := context.Background()
	rows, err := h.in.audit.CheckRows(ctx, func(int, int) {})
	if err != nil {
		h.t.Fatal(err)
	}
	dir := filepath.Join(h.t.TempDir(), "log")
	if err := h.in.trust.Export(ctx, dir, func(int, int) {}); err == nil {
		rows = append(rows, h.examined(dir, "").Findings...)
	} else {
		all = err.Error() + "\n" // a log that cannot even be exported says why
	}
	for _, f := range rows {
		codes = append(codes, f.Code)
		all += f.Error() + "\n"
	}
	return codes, all
}

// tampered is an installation with something of everything in its log.
func tampered(t *testing.T) (*house, id.Tenant) {
	h := plan(t, func(s *Settings) { s.account.PasswordTarget = config.Duration(10 * time.Millisecond) })
	h.serve()
	owner := h.person("olga")
	org := owner.organisation("Orchard")
	for i := range 260 { // so that the tree has a full tile
		p, err := owner.Post(t.Context(), "/-/org/name", "name", fmt.Sprintf("Orchard %d", i))
		h.want(p, err, http.StatusSeeOther)
	}
	if _, err := h.in.trust.Exercise(t.Context(), h.bench(), "J1", "J2"); err != nil {
		t.Fatal(err)
	}
	if codes, all := h.found(); len(codes) > 0 {
		t.Fatalf("found before anything was changed: %s", all)
	}
	return h, org
}

// TestTamperingIsNamed changes one value at a time in the store of a whole
// installation: each is found, and named; changed back, nothing is.
func TestTamperingIsNamed(t *testing.T) {
	t.Parallel()
	h, org := tampered(t)
	for _, b := range bends(org, h.clock.now()) {
		undo := h.turn(b)
		codes, all := h.found()
		if !slices.ContainsFunc(codes, func(c string) bool { return slices.Contains(b.finds, c) }) {
			t.Errorf("%s (%s.%s): found %v, none of %v\n%s", b.name, b.table, b.column, codes, b.finds, all)
		}
		undo()
		if codes, all := h.found(); len(codes) > 0 {
			t.Fatalf("%s was changed back, and is found: %s", b.name, all)
		}
	}
}

// TestTamperingTurnsTheTrustPage: J1 and J2 exercise the page and the log as a
// stranger does, and turn to failing.
func TestTamperingTurnsTheTrustPage(t *testing.T) {
	t.Parallel()
	h, org := tampered(t)
	status := func(claim string) verify.Status {
		doc, err := h.in.trust.Document(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range doc.Claims {
			if c.ID == claim {
				return c.Status
			}
		}
		return ""
	}
	exercise := func(claims ...string) {
		if _, err := h.in.trust.Exercise(t.Context(), h.bench(), claims...); err != nil {
			t.Fatal(err)
		}
	}
	if status("J1") != "proven" || status("J2") != "proven" {
		t.Fatalf("before: J1 is %s, J2 is %s", status("J1"), status("J2"))
	}
	all := bends(org, h.clock.now())
	entry := all[slices.IndexFunc(all, func(b bend) bool { return b.name == "an entry of the public log" })]
	undo := h.turn(entry)
	exercise("J2")
	if status("J2") != "failing" {
		t.Errorf("with a changed entry of the log, J2 is %s", status("J2"))
	}
	undo()
	exercise("J1", "J2")
	if status("J2") != "proven" {
		t.Errorf("changed back, J2 is %s", status("J2"))
	}
	// A page that cites what is evidence of something else.
	h.tamper(`UPDATE trust_run SET evidence = (SELECT evidence FROM trust_run WHERE claim = 'J2' ORDER BY run LIMIT 1) WHERE claim = 'J1'`)
	h.jump(time.Minute) // the page is kept for moments
	exercise("J1")
	if status("J1") != "failing" {
		t.Errorf("the page cites evidence of something else, and J1 is %s", status("J1"))
	}
}

// TestLogCommandsNameIt: the commands end with 3 and name what was changed.
func TestLogCommandsNameIt(t *testing.T) {
	h, org := tampered(t)
	t.Setenv("TROTH_ACCOUNT_PASSWORD_TARGET", "10ms")
	t.Setenv("TROTH_ORIGIN", h.set.site.Origin)
	run := func(args ...string) (int, string) {
		var out, say bytes.Buffer
		status := program().Run(t.Context(), append(args, "--data", h.set.Data), strings.NewReader(""), &out, &say)
		return status, out.String() + say.String()
	}
	if status, said := run("log", "check"); status != 0 {
		t.Fatalf("log check ends with %d: %s", status, said)
	}
	all := bends(org, h.clock.now())
	undo := h.turn(all[0])
	if status, said := run("log", "check"); status != 3 || !strings.Contains(said, "row-differs") {
		t.Errorf("log check ends with %d: %s", status, said)
	}
	undo()
	// What the commands have written is in the tree first: a checkpoint that is
	// signed anew would heal the one that is bent.
	for n := 1; n > 0; {
		var err error
		if n, err = h.in.audit.Sequence(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	undo = h.turn(all[slices.IndexFunc(all, func(b bend) bool { return b.name == "the signed checkpoint" })])
	defer undo()
	dir := filepath.Join(t.TempDir(), "log")
	if status, said := run("log", "export", dir); status == 0 {
		if status, said = run("verify", dir, "--key", h.in.audit.VKey()); status != 3 || !strings.Contains(said, "checkpoint-signature") {
			t.Errorf("verify ends with %d: %s", status, said)
		}
	} else if status != 1 && status != 3 {
		t.Errorf("log export ends with %d: %s", status, said)
	}
}
