package store

import (
	"strings"
	"testing"

	"github.com/ncruces/go-sqlite3"
)

func TestRewrite(t *testing.T) {
	for query, want := range map[string]struct {
		text   string
		params int
	}{
		"SELECT 1":                                   {"SELECT 1", 0},
		"SELECT $1":                                  {"SELECT ?1", 1},
		"SELECT $2, $1, $2":                          {"SELECT ?2, ?1, ?2", 2},
		"SELECT $1+$2,$3":                            {"SELECT ?1+?2,?3", 3},
		"SELECT '$2', $1":                            {"SELECT '$2', ?1", 1},
		"SELECT 'it''s $2', $1":                      {"SELECT 'it''s $2', ?1", 1},
		`SELECT "$2""$3", $1`:                        {`SELECT "$2""$3", ?1`, 1},
		"SELECT [$2], `$3`, $1":                      {"SELECT [$2], `$3`, ?1", 1},
		"SELECT $1 -- and $2\n, $2":                  {"SELECT ?1 -- and $2\n, ?2", 2},
		"SELECT $1 /* $2 ? */":                       {"SELECT ?1 /* $2 ? */", 1},
		"SELECT a$1, $1":                             {"SELECT a$1, ?1", 1},
		"SELECT $1 -- é":                             {"SELECT ?1 -- é", 1},
		"SELECT $1,$2,$3,$4,$5,$6,$7,$8,$9,$10, $11": {"SELECT ?1,?2,?3,?4,?5,?6,?7,?8,?9,?10, ?11", 11},
	} {
		if text, params, err := rewrite(query); err != nil || text != want.text || params != want.params {
			t.Errorf("%s: %q with %d parameters, %v", query, text, params, err)
		}
	}
	for _, query := range []string{"SELECT ?", "SELECT ?1", "SELECT $0", "SELECT $", "SELECT $2", "SELECT $a", "SELECT $1a", "SELECT $1$2", "SELECT $99999999999999999999", "SELECT $$x$$"} {
		if text, _, err := rewrite(query); err == nil {
			t.Errorf("%s was accepted as %q", query, text)
		}
	}
}

// FuzzRewrite holds what rewrite may do to a text: change a $ into a ? and
// nothing else; and that SQLite then sees the parameters that rewrite counted.
func FuzzRewrite(f *testing.F) {
	for _, s := range []string{"SELECT $1", "SELECT $2, '$1''', \"$3\" -- $4\n, $1 /* $5 */", "SELECT [a$1], `$2`, $1", "SELECT 'open $1", "INSERT INTO t VALUES ($1, $2)"} {
		f.Add(s)
	}
	db, err := sqlite3.Open(":memory:")
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { db.Close() })
	f.Fuzz(func(t *testing.T, query string) {
		text, params, err := rewrite(query)
		if err != nil {
			return
		}
		if len(text) != len(query) {
			t.Fatalf("%q became %q", query, text)
		}
		for i := range query {
			if query[i] != text[i] && (query[i] != '$' || text[i] != '?') {
				t.Fatalf("%q became %q", query, text)
			}
		}
		if params > 100 || strings.ContainsAny(query, "\x00:@#") {
			return // SQLite reads no further than a NUL; it has other parameters that are not ours
		}
		s, tail, err := db.Prepare(text)
		if err != nil || s == nil || strings.TrimSpace(tail) != "" {
			return
		}
		defer s.Close()
		if s.BindCount() != params {
			t.Fatalf("%q has %d parameters for SQLite and %d for rewrite", text, s.BindCount(), params)
		}
	})
}
