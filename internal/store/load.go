package store

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"troth/internal/fault"
)

// loadParams is about how many parameters one INSERT of Load has.
const loadParams = 900

var errDump = fault.New(fault.Invalid, "store.dump", "This is not a copy of a Troth database, or it is damaged or incomplete.")

// Load fills the database with the rows of a [DB.Dump], all or nothing. The
// tables that exist must be empty; those that do not are made. Migrate before:
// the constraints are those of the migrations. A dump of a database that was
// migrated further than this one is refused.
func (db *DB) Load(ctx context.Context, r io.Reader) error {
	h, err := db.engine.handle()
	if err != nil {
		return fmt.Errorf("loading: %w", err)
	}
	defer h.Close()
	tx, err := h.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("loading: %w", err)
	}
	defer tx.Rollback()
	existing, err := db.engine.dialect().schema.describe(ctx, tx)
	if err != nil {
		return fmt.Errorf("loading: reading the schema: %w", err)
	}
	l := &loader{ctx: ctx, tx: tx, r: bufio.NewReaderSize(r, 1<<16), existing: map[string]*table{}}
	for _, t := range existing {
		l.existing[t.Name] = t
	}
	if err := l.load(); err != nil {
		return fmt.Errorf("loading: %w", err)
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("loading: committing: %w", err)
	}
	return nil
}

// loader reads a dump into a transaction.
type loader struct {
	ctx      context.Context
	tx       *sql.Tx
	r        *bufio.Reader
	existing map[string]*table

	table     *table
	comparing bool  // the rows are compared and not inserted
	pending   []any // values of rows that were not inserted yet
	rows      uint64
}

func (l *loader) load() error {
	magic := make([]byte, len(dumpMagic))
	if _, err := io.ReadFull(l.r, magic); err != nil || string(magic) != dumpMagic {
		return errDump
	}
	for {
		kind, body, err := l.record()
		if err != nil {
			return err
		}
		switch kind {
		case 'S':
			err = errors.Join(l.flush(), l.begin(body))
		case 'R':
			err = l.row(body)
		case 'E':
			if n, size := binary.Uvarint(body); size != len(body) || n != l.rows {
				return errDump
			}
			if _, err := l.r.ReadByte(); err != io.EOF {
				return errDump
			}
			return l.flush()
		default:
			err = errDump
		}
		if err != nil {
			return err
		}
	}
}

// record reads one record. A dump that ends before its end is damaged.
func (l *loader) record() (byte, []byte, error) {
	kind, err := l.r.ReadByte()
	if err != nil {
		return 0, nil, damaged(err)
	}
	n, err := binary.ReadUvarint(l.r)
	if err != nil {
		return 0, nil, damaged(err)
	}
	if n > maxRecord {
		return 0, nil, errDump
	}
	var body bytes.Buffer // grows with what is there, not with what is claimed
	body.Grow(int(min(n, 1<<20)))
	if _, err := io.CopyN(&body, l.r, int64(n)); err != nil {
		return 0, nil, damaged(err)
	}
	return kind, body.Bytes(), nil
}

// damaged tells a dump that breaks off from one that cannot be read.
func damaged(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errDump
	}
	return fmt.Errorf("reading the dump: %w", err)
}

// begin turns to the next table.
func (l *loader) begin(description []byte) error {
	t := new(table)
	if err := json.Unmarshal(description, t); err != nil || !t.valid() {
		return errDump
	}
	l.table = t
	have := l.existing[t.Name]
	l.comparing = ledgers[t.Name] && have != nil
	if l.comparing {
		return nil
	}
	if have == nil {
		for _, statement := range t.create() {
			if _, err := l.tx.ExecContext(l.ctx, statement); err != nil {
				return fmt.Errorf("making the table %s: %w", t.Name, err)
			}
		}
		l.existing[t.Name] = t
		return nil
	}
	var full bool
	if err := l.tx.QueryRowContext(l.ctx, "SELECT EXISTS (SELECT 1 FROM "+quoted(t.Name)+")").Scan(&full); err != nil {
		return fmt.Errorf("looking into the table %s: %w", t.Name, err)
	}
	if full {
		return fault.New(fault.Conflict, "store.not_empty", "The database to load into is not empty: the table %s has rows. Start with a new one.", t.Name)
	}
	return nil
}

// valid refuses a description that no Dump wrote.
func (t *table) valid() bool {
	known := map[string]bool{}
	for _, c := range t.Columns {
		if _, ok := sqliteSchema.types[c.Type]; !ok || c.Name == "" || known[c.Name] {
			return false
		}
		known[c.Name] = true
	}
	all := t.Key
	for _, i := range t.Indexes {
		if i.Name == "" || len(i.Columns) == 0 {
			return false
		}
		all = append(all[:len(all):len(all)], i.Columns...)
	}
	for _, name := range all {
		if !known[name] {
			return false
		}
	}
	return t.Name != "" && len(t.Columns) > 0
}

// row takes one row in.
func (l *loader) row(body []byte) error {
	if l.table == nil {
		return errDump
	}
	l.rows++
	values := make([]any, len(l.table.Columns))
	for i, c := range l.table.Columns {
		var err error
		if values[i], body, err = value(c.Type, body); err != nil {
			return err
		}
	}
	if len(body) > 0 {
		return errDump
	}
	if l.comparing {
		return l.compare(values)
	}
	l.pending = append(l.pending, values...)
	if len(l.pending)+len(values) > loadParams {
		return l.flush()
	}
	return nil
}

// compare refuses a dump with a migration that this database does not have.
func (l *loader) compare(values []any) error {
	version, ok := values[0].(int64)
	if !ok || l.table.Columns[0].Name != "version" {
		return errDump
	}
	var n int
	if err := l.tx.QueryRowContext(l.ctx, "SELECT count(*) FROM "+quoted(l.table.Name)+" WHERE version = $1", version).Scan(&n); err != nil {
		return fmt.Errorf("comparing the migrations: %w", err)
	}
	if n == 0 {
		return fault.New(fault.Conflict, "store.newer_database", "The copy is of a database that a newer version of Troth migrated (%d). Load it with that version.", version)
	}
	return nil
}

// value reads one value of a column's type.
func value(typ string, b []byte) (any, []byte, error) {
	if len(b) == 0 {
		return nil, nil, errDump
	}
	kind, b := b[0], b[1:]
	switch {
	case kind == 'n':
		return nil, b, nil
	case kind == 't' && typ == "BOOLEAN":
		return true, b, nil
	case kind == 'f' && typ == "BOOLEAN":
		return false, b, nil
	case kind == 'i' && typ == "BIGINT":
		if v, n := binary.Varint(b); n > 0 {
			return v, b[n:], nil
		}
	case kind == 's' && typ == "TEXT", kind == 'b' && typ == "BYTEA":
		size, n := binary.Uvarint(b)
		if n <= 0 || size > uint64(len(b)-n) {
			break
		}
		v, rest := b[n:n+int(size):n+int(size)], b[n+int(size):]
		if kind == 's' {
			return string(v), rest, nil
		}
		return v, rest, nil
	}
	return nil, nil, errDump
}

// flush inserts the rows that are pending.
func (l *loader) flush() error {
	if len(l.pending) == 0 {
		return nil
	}
	n := len(l.pending) / len(l.table.Columns)
	if _, err := l.tx.ExecContext(l.ctx, l.table.insert(n), l.pending...); err != nil {
		return fmt.Errorf("filling the table %s: %w", l.table.Name, err)
	}
	l.pending = l.pending[:0]
	return nil
}
