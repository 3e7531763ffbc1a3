package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// table describes a table in the terms that both engines share.
type table struct {
	Name    string   `json:"name"`
	Columns []field  `json:"columns"`
	Key     []string `json:"key,omitempty"`
	Indexes []index  `json:"indexes,omitempty"`

	parents []string // the tables that it refers to
}

// field is a column.
type field struct {
	Name    string `json:"name"`
	Type    string `json:"type"` // TEXT, BIGINT, BOOLEAN, BYTEA
	NotNull bool   `json:"not_null,omitempty"`
}

// index is an index over columns.
type index struct {
	Name    string   `json:"name"`
	Unique  bool     `json:"unique,omitempty"`
	Columns []string `json:"columns"`
}

// describer lists, for an engine, (table, column, type, not null), then
// (table, index or "" for the primary key, unique, column), then (table,
// parent). Partial indexes and those over expressions are left out.
type describer struct {
	columns string
	indexes []string
	parents string
	types   map[string]string // the engine's name of a type → ours
}

var sqliteSchema = describer{
	columns: `SELECT m.name, c.name, upper(c.type), c."notnull" FROM sqlite_master m JOIN pragma_table_info(m.name) c
		WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite%' ORDER BY m.name, c.cid`,
	indexes: []string{`SELECT m.name, '', 1, c.name FROM sqlite_master m JOIN pragma_table_info(m.name) c
		WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite%' AND c.pk > 0 ORDER BY m.name, c.pk`,
		`SELECT m.name, l.name, l."unique", c.name FROM sqlite_master m JOIN pragma_index_list(m.name) l JOIN pragma_index_info(l.name) c
		WHERE m.type = 'table' AND l.origin != 'pk' AND l.partial = 0 AND c.name IS NOT NULL ORDER BY m.name, l.name, c.seqno`},
	parents: `SELECT m.name, f."table" FROM sqlite_master m JOIN pragma_foreign_key_list(m.name) f WHERE m.type = 'table'`,
	types:   map[string]string{"TEXT": "TEXT", "BIGINT": "BIGINT", "BOOLEAN": "BOOLEAN", "BYTEA": "BYTEA"},
}

var postgresSchema = describer{
	columns: `SELECT c.table_name, c.column_name, c.data_type, CASE WHEN c.is_nullable = 'NO' THEN 1 ELSE 0 END
		FROM information_schema.columns c JOIN pg_tables t ON t.schemaname = c.table_schema AND t.tablename = c.table_name
		WHERE c.table_schema = current_schema() ORDER BY c.table_name, c.ordinal_position`,
	indexes: []string{`SELECT t.relname, CASE WHEN x.indisprimary THEN '' ELSE i.relname END, CASE WHEN x.indisunique THEN 1 ELSE 0 END, a.attname
		FROM pg_index x JOIN pg_class t ON t.oid = x.indrelid JOIN pg_class i ON i.oid = x.indexrelid
			JOIN pg_namespace n ON n.oid = t.relnamespace
			JOIN LATERAL unnest(x.indkey) WITH ORDINALITY AS k (attnum, seq) ON TRUE
			JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = k.attnum
		WHERE n.nspname = current_schema() AND x.indpred IS NULL AND x.indexprs IS NULL ORDER BY t.relname, i.relname, k.seq`},
	parents: `SELECT t.relname, p.relname FROM pg_constraint c JOIN pg_class t ON t.oid = c.conrelid JOIN pg_class p ON p.oid = c.confrelid
		JOIN pg_namespace n ON n.oid = t.relnamespace WHERE c.contype = 'f' AND n.nspname = current_schema()`,
	types: map[string]string{"text": "TEXT", "bigint": "BIGINT", "boolean": "BOOLEAN", "bytea": "BYTEA"},
}

// describe reads the schema, every table after those that it refers to.
func (d describer) describe(ctx context.Context, q querier) ([]*table, error) {
	all := map[string]*table{}
	var names []string
	err := scanAll(ctx, q, d.columns, func(scan func(...any) error) error {
		var name, typ string
		var notNull int
		var f field
		if err := scan(&name, &f.Name, &typ, &notNull); err != nil {
			return err
		}
		var ok bool
		if f.Type, ok = d.types[typ]; !ok {
			return fmt.Errorf("the column %s.%s has the type %s, which the engines do not share", name, f.Name, typ)
		}
		f.NotNull = notNull == 1
		if all[name] == nil {
			all[name] = &table{Name: name}
			names = append(names, name)
		}
		all[name].Columns = append(all[name].Columns, f)
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, query := range d.indexes {
		err := scanAll(ctx, q, query, func(scan func(...any) error) error {
			var name, idx, column string
			var unique int
			if err := scan(&name, &idx, &unique, &column); err != nil {
				return err
			}
			if t := all[name]; t != nil {
				t.index(idx, unique == 1, column)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	err = scanAll(ctx, q, d.parents, func(scan func(...any) error) error {
		var name, parent string
		err := scan(&name, &parent)
		if t := all[name]; t != nil {
			t.parents = append(t.parents, parent)
		}
		return err
	})
	return ordered(all, names), err
}

// index adds a column to an index, or to the primary key.
func (t *table) index(name string, unique bool, column string) {
	if name == "" {
		t.Key = append(t.Key, column)
		return
	}
	if n := len(t.Indexes); n == 0 || t.Indexes[n-1].Name != name {
		t.Indexes = append(t.Indexes, index{Name: name, Unique: unique})
	}
	last := &t.Indexes[len(t.Indexes)-1]
	last.Columns = append(last.Columns, column)
}

// ordered puts every table behind those that it refers to.
func ordered(all map[string]*table, names []string) (list []*table) {
	slices.Sort(names)
	done := map[string]bool{}
	var add func(name string)
	add = func(name string) {
		t := all[name]
		if t == nil || done[name] {
			return
		}
		done[name] = true
		for _, p := range t.parents {
			add(p)
		}
		list = append(list, t)
	}
	for _, name := range names {
		add(name)
	}
	return list
}

// create is the SQL that makes the table.
func (t *table) create() []string {
	var parts []string
	for _, c := range t.Columns {
		part := quoted(c.Name) + " " + c.Type
		if c.NotNull {
			part += " NOT NULL"
		}
		parts = append(parts, part)
	}
	if len(t.Key) > 0 {
		parts = append(parts, "PRIMARY KEY ("+list(t.Key)+")")
	}
	statements := []string{"CREATE TABLE " + quoted(t.Name) + " (" + strings.Join(parts, ", ") + ")"}
	for n, i := range t.Indexes {
		unique, name := "", i.Name
		if i.Unique {
			unique = "UNIQUE "
		}
		if strings.HasPrefix(name, "sqlite_") { // a name of the engine's own
			name = fmt.Sprintf("%s_unique_%d", t.Name, n)
		}
		statements = append(statements, "CREATE "+unique+"INDEX "+quoted(name)+" ON "+quoted(t.Name)+" ("+list(i.Columns)+")")
	}
	return statements
}

// quoted writes a name so that it cannot be anything else (SQL-92, 5.2).
func quoted(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

func list(names []string) string {
	var b strings.Builder
	for i, name := range names {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(quoted(name))
	}
	return b.String()
}

// scanAll runs a query and hands on each row.
func scanAll(ctx context.Context, q querier, query string, row func(scan func(...any) error) error, args ...any) error {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := row(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

// column reads a query of one text column.
func column(ctx context.Context, q querier, query string) (all []string, err error) {
	err = scanAll(ctx, q, query, func(scan func(...any) error) error {
		var s string
		err := scan(&s)
		all = append(all, s)
		return err
	})
	return all, err
}
