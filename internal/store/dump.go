package store

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// A dump is a line, then records, each a byte that names its kind, the length
// of its body (unsigned varint) and the body:
//
//	S  a table follows: its description as JSON
//	R  one row of it: the values in the order of the columns, each a byte that
//	   names its type and what that type needs
//	E  the end: the number of rows (unsigned varint)
//
// Values: n is NULL; t and f are the booleans; i is followed by a varint; s (a
// text) and b (bytes) by their length (unsigned varint) and themselves.
const dumpMagic = "troth dump 1\n"

// maxRecord bounds one record: many times what the rows of Troth need.
const maxRecord = 64 << 20

// ledgers are the records of applied migrations. Each database has its own;
// one that is loaded is only compared with it.
var ledgers = map[string]bool{"store_migration": true, "keyring_migration": true}

// Dump writes all rows of all tables, as they were at one moment, in a form
// that [DB.Load] reads on either engine. It is plaintext as far as the columns
// are: whoever calls it encrypts what comes out.
func (db *DB) Dump(ctx context.Context, w io.Writer) error {
	h, err := db.engine.handle()
	if err != nil {
		return fmt.Errorf("dumping: %w", err)
	}
	defer h.Close()
	c, err := h.Conn(ctx)
	if err != nil {
		return fmt.Errorf("dumping: %w", err)
	}
	defer c.Close()
	if err := begin(ctx, c, db.engine.dialect().snapshot); err != nil {
		return fmt.Errorf("dumping: %w", err)
	}
	defer c.ExecContext(context.WithoutCancel(ctx), "ROLLBACK")
	tables, err := db.engine.dialect().schema.describe(ctx, c)
	if err != nil {
		return fmt.Errorf("dumping: reading the schema: %w", err)
	}
	d := &dump{w: bufio.NewWriterSize(w, 1<<16)}
	d.w.WriteString(dumpMagic)
	for _, t := range tables {
		if t.Name == "store_change" {
			continue // of no use to a database without caches to outdate
		}
		if err := d.table(ctx, c, t); err != nil {
			return fmt.Errorf("dumping the table %s: %w", t.Name, err)
		}
	}
	d.record('E', binary.AppendUvarint(nil, d.rows))
	if err := d.w.Flush(); err != nil {
		return fmt.Errorf("writing the dump: %w", err)
	}
	return nil
}

type dump struct {
	w    *bufio.Writer
	rows uint64
	body []byte
}

// record writes one record; a writing error shows at the latest in Flush.
func (d *dump) record(kind byte, body []byte) error {
	d.w.WriteByte(kind)
	var n [binary.MaxVarintLen64]byte
	d.w.Write(n[:binary.PutUvarint(n[:], uint64(len(body)))])
	_, err := d.w.Write(body)
	return err
}

func (d *dump) table(ctx context.Context, q querier, t *table) error {
	description, err := json.Marshal(t)
	if err != nil {
		return err
	}
	if err := d.record('S', description); err != nil {
		return err
	}
	names := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		names[i] = c.Name
	}
	query := "SELECT " + list(names) + " FROM " + quoted(t.Name)
	if len(t.Key) > 0 {
		query += " ORDER BY " + list(t.Key)
	}
	return scanAll(ctx, q, query, func(scan func(...any) error) error {
		targets := make([]any, len(t.Columns))
		for i, c := range t.Columns {
			targets[i] = newValue(c.Type)
		}
		if err := scan(targets...); err != nil {
			return err
		}
		d.body = d.body[:0]
		for _, v := range targets {
			d.body = appendValue(d.body, v)
		}
		if len(d.body) > maxRecord {
			return fmt.Errorf("a row of %d bytes is larger than %d", len(d.body), maxRecord)
		}
		d.rows++
		return d.record('R', d.body)
	})
}

// newValue is what a column of the type is scanned into.
func newValue(typ string) any {
	switch typ {
	case "BIGINT":
		return new(sql.NullInt64)
	case "BOOLEAN":
		return new(sql.NullBool)
	case "BYTEA":
		return new(sql.Null[[]byte])
	default:
		return new(sql.NullString)
	}
}

func appendValue(b []byte, v any) []byte {
	switch v := v.(type) {
	case *sql.NullInt64:
		if v.Valid {
			return binary.AppendVarint(append(b, 'i'), v.Int64)
		}
	case *sql.NullBool:
		if v.Valid && v.Bool {
			return append(b, 't')
		}
		if v.Valid {
			return append(b, 'f')
		}
	case *sql.NullString:
		if v.Valid {
			return append(binary.AppendUvarint(append(b, 's'), uint64(len(v.String))), v.String...)
		}
	case *sql.Null[[]byte]:
		if v.Valid {
			return append(binary.AppendUvarint(append(b, 'b'), uint64(len(v.V))), v.V...)
		}
	}
	return append(b, 'n')
}

// insert is the SQL that inserts n rows.
func (t *table) insert(n int) string {
	names := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		names[i] = c.Name
	}
	var b strings.Builder
	fmt.Fprintf(&b, "INSERT INTO %s (%s) VALUES ", quoted(t.Name), list(names))
	for i := range n {
		for j := range t.Columns {
			switch {
			case j > 0:
				b.WriteString(", ")
			case i > 0:
				b.WriteString(", (")
			default:
				b.WriteString("(")
			}
			fmt.Fprintf(&b, "$%d", i*len(t.Columns)+j+1)
		}
		b.WriteString(")")
	}
	return b.String()
}
