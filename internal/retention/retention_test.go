package retention_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"troth/internal/retention"
	"troth/internal/store"
	"troth/internal/store/storetest"
)

func TestCheck(t *testing.T) {
	kept := func(tables ...string) (rules []retention.Rule) {
		for _, table := range tables {
			rules = append(rules, retention.Rule{Table: table, Keep: "As long as the account."})
		}
		return rules
	}
	for name, c := range map[string]struct {
		tables []string
		rules  []retention.Rule
		says   []string // nothing: all is well
	}{
		"every table has a rule": {[]string{"a", "b"}, kept("b", "a"), nil},
		"nothing at all":         {nil, nil, nil},
		"two tables without": {[]string{"a", "b", "c"}, kept("b"),
			[]string{"table a has no", "table c has no"}},
		"a rule without a table": {[]string{"a"}, kept("a", "z"), []string{`table "z", which does not exist`}},
		"two rules":              {[]string{"a"}, kept("a", "a"), []string{"a has two"}},
		"no words":               {[]string{"a"}, []retention.Rule{{Table: "a", Keep: " "}}, []string{"does not say how long"}},
		"everything at once": {[]string{"a"}, kept("x"),
			[]string{"table a has no", `"x", which does not exist`}},
	} {
		err := retention.Check(c.tables, c.rules)
		if (err == nil) != (c.says == nil) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, s := range c.says {
			if !strings.Contains(err.Error(), s) {
				t.Errorf("%s: %q does not say %q", name, err, s)
			}
		}
	}
}

var schema = fstest.MapFS{"202611210699_thing.sql": {Data: []byte("-- +goose Up\nCREATE TABLE IF NOT EXISTS thing (id BIGINT PRIMARY KEY, at BIGINT NOT NULL);\n")}}

// byAge removes at most ten rows older than an hour.
func byAge(ctx context.Context, tx *store.Tx, now time.Time) (int64, error) {
	return tx.Exec("DELETE FROM thing WHERE id IN (SELECT id FROM thing WHERE at < $1 ORDER BY id LIMIT 10)", store.Micros(now.Add(-time.Hour)))
}

func TestJobsSweepUntilNothingIsLeft(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
		err := db.Write(t.Context(), func(tx *store.Tx) error {
			tx.Unaudited("test")
			for i := range 50 {
				at := now.Add(-time.Duration(i*3) * time.Minute)
				if _, err := tx.Exec("INSERT INTO thing (id, at) VALUES ($1, $2)", i, store.Micros(at)); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		all := retention.Jobs(db, []retention.Rule{
			{Table: "thing", Keep: "An hour.", Sweep: byAge},
			{Table: "other", Keep: "As long as its owner."},
		}, func() time.Time { return now }, slog.New(slog.NewTextHandler(&out, nil)))
		if len(all) != 1 || all[0].Name != "retention.thing" || all[0].Every != time.Hour {
			t.Fatalf("jobs: %+v", all)
		}
		for range 2 {
			if err := all[0].Run(t.Context()); err != nil {
				t.Fatal(err)
			}
			var left, oldest int
			err = db.Read(t.Context(), func(tx *store.Tx) error {
				return tx.QueryRow("SELECT count(*), max(id) FROM thing").Scan(&left, &oldest)
			})
			if err != nil || left != 21 || oldest != 20 {
				t.Errorf("%d rows left, the oldest is %d, %v; want 21, up to 20", left, oldest, err)
			}
		}
		if n := strings.Count(out.String(), "rows=29"); n != 1 {
			t.Errorf("the log says %q", out.String())
		}
	}, schema)
}

func TestSweepErrorsAndEndlessSweeps(t *testing.T) {
	db := storetest.SQLite(t, schema)
	broken := errors.New("broken")
	for name, rule := range map[string]retention.Rule{
		"broken":      {Table: "thing", Sweep: func(context.Context, *store.Tx, time.Time) (int64, error) { return 0, broken }},
		"10000 round": {Table: "thing", Sweep: func(context.Context, *store.Tx, time.Time) (int64, error) { return 1, nil }},
	} {
		all := retention.Jobs(db, []retention.Rule{rule}, time.Now, slog.New(slog.DiscardHandler))
		if err := all[0].Run(t.Context()); err == nil || !strings.Contains(fmt.Sprint(err), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
