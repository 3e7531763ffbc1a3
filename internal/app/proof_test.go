package app

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"troth/internal/store"
	"troth/verify"
)

// proven brings the log up to date, exports it, and has it checked from outside
// (package verify) and against the rows (audit.CheckRows). State is a file that
// remembers the last checkpoint: the log must continue it.
func (h *house) proven(state string) *verify.Report {
	h.t.Helper()
	ctx := context.Background()
	dir := filepath.Join(h.t.TempDir(), "log")
	if err := h.in.audit.Flush(ctx); err != nil {
		h.t.Fatal(err)
	}
	if _, err := h.in.audit.Sequence(ctx); err != nil {
		h.t.Fatal(err)
	}
	if err := h.in.trust.Export(ctx, dir, func(int, int) {}); err != nil {
		h.t.Fatal(err)
	}
	report := h.examined(dir, state)
	for _, f := range report.Findings {
		h.t.Errorf("the exported log: %v", &f)
	}
	rows, err := h.in.audit.CheckRows(ctx, func(int, int) {})
	if err != nil {
		h.t.Fatal(err)
	}
	for _, f := range rows {
		h.t.Errorf("the rows and the log: %v", &f)
	}
	return report
}

// examined checks an exported log with the key that is pinned.
func (h *house) examined(dir, state string) *verify.Report {
	h.t.Helper()
	src, err := verify.OpenDirectory(dir)
	if err != nil {
		h.t.Fatal(err)
	}
	defer src.Close()
	key, err := verify.ParseKey(h.in.audit.VKey())
	if err != nil {
		h.t.Fatal(err)
	}
	report, err := verify.Log(context.Background(), src, &key, verify.Options{Now: h.clock.now, State: state})
	if err != nil {
		h.t.Fatal(err)
	}
	return report
}

// events counts what stands in the log, by type.
func (h *house) events() map[string]int {
	h.t.Helper()
	n := map[string]int{}
	h.read(func(tx *store.Tx) error {
		clear(n)
		rows, err := tx.Query(`SELECT type, count(*) FROM audit_event GROUP BY type`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var name string
			var count int
			if err := rows.Scan(&name, &count); err != nil {
				return err
			}
			n[name] = count
		}
		return rows.Err()
	})
	return n
}

// keepsQuiet searches everything that an installation leaves behind for what
// must stand nowhere: every row of every table, as it is when the database is
// open; every file of the data directory; every line of the operator's log.
func (h *house) keepsQuiet(secrets map[string]string) {
	h.t.Helper()
	var rows bytes.Buffer
	if err := h.in.db.Dump(context.Background(), &rows); err != nil {
		h.t.Fatal(err)
	}
	places := map[string][]byte{"a table": rows.Bytes(), "the operator's log": []byte(h.log.text())}
	files := 0
	err := filepath.WalkDir(h.set.Data, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		files++
		b, err := os.ReadFile(path)
		places[path] = b
		return err
	})
	if err != nil || files < 4 || rows.Len() < 10_000 {
		h.t.Fatalf("looked into %d files and %d bytes of rows: %v", files, rows.Len(), err)
	}
	for place, b := range places {
		for secret, what := range secrets {
			if len(secret) < 4 {
				h.t.Fatalf("%q is too short to be searched for", secret)
			}
			if bytes.Contains(b, []byte(secret)) {
				h.t.Errorf("%s stands in %s", what, place)
			}
		}
	}
}

// TestTheSearchFinds: the search would find what it looks for.
func TestTheSearchFinds(t *testing.T) {
	h := raise(t)
	h.in.log.Info("a slip", "password", "heron under slate")
	for what, place := range map[string]string{"heron under slate": "the operator's log", "localhost": "a table", "localhost\n": "checkpoint"} {
		probe := &probe{TB: t}
		quiet := *h
		quiet.t = probe
		quiet.keepsQuiet(map[string]string{what: "it"})
		if !strings.Contains(probe.said, place) {
			t.Errorf("%q was not found in %s", what, place)
		}
	}
}

// probe remembers what a test would have complained about.
type probe struct {
	testing.TB
	said string
}

func (p *probe) Helper() {}
func (p *probe) Errorf(format string, args ...any) {
	for _, a := range args {
		if s, ok := a.(string); ok {
			p.said += s + " "
		}
	}
}
