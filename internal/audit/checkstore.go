package audit

import (
	"database/sql"
	"errors"

	"golang.org/x/mod/sumdb/tlog"

	"troth/internal/id"
	"troth/internal/store"
)

// The SQL of comparing rows with the log.

// treeSize is how far a tree reaches: to its head, or further when its newest
// checkpoint or its leaves do. Nothing authenticates a head by itself.
type treeSize struct {
	name string
	size int64
	head int64 // what its head says; -1 when there is none
	root tlog.Hash
	edge []byte
}

// treeSizes lists the trees of tenants: those that have a head, a checkpoint
// or a leaf.
func treeSizes(tx *store.Tx) ([]treeSize, error) {
	rows, err := tx.Query(`SELECT t.tree, h.size, h.root, h.edge,
			(SELECT max(c.size) FROM log_checkpoint c WHERE c.tree = t.tree), (SELECT max(l.idx) FROM log_leaf l WHERE l.tree = t.tree)
		FROM (SELECT tree FROM log_head UNION SELECT tree FROM log_checkpoint UNION SELECT tree FROM log_leaf) t
		LEFT JOIN log_head h ON h.tree = t.tree
		WHERE t.tree <> $1 ORDER BY t.tree`, platformTree)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []treeSize
	for rows.Next() {
		t := treeSize{head: -1}
		var root []byte
		var head, checkpoint, leaf sql.NullInt64
		if err := rows.Scan(&t.name, &head, &root, &t.edge, &checkpoint, &leaf); err != nil {
			return nil, err
		}
		if head.Valid {
			t.head = head.Int64
		}
		if leaf.Valid {
			t.size = leaf.Int64 + 1
		}
		t.size = max(t.size, head.Int64, checkpoint.Int64)
		copy(t.root[:], root)
		all = append(all, t)
	}
	return all, rows.Err()
}

// listedFor reports whether an event is in the list of a person's activity.
func listedFor(tx *store.Tx, account id.Account, r row) (bool, error) {
	tenant, err := ownTenant(tx, account, id.Event(r.event))
	if errors.Is(err, errNoEvent) {
		return false, nil
	}
	return string(tenant) == r.tenant, err
}

// listedRow is a row of a person's activity and that of its event, whose
// columns are invalid when there is none.
type listedRow struct {
	account, event, tenant string
	kind, class, actor     sql.NullString
}

// listedRows reads up to limit rows of all activities after the key. It moves
// the key, to zero at the end.
func listedRows(tx *store.Tx, after *personKey, limit int) ([]listedRow, error) {
	rows, err := tx.Query(`SELECT p.account, p.event, p.tenant, e.type, e.class, e.actor
		FROM audit_person p LEFT JOIN audit_event e ON e.tenant = p.tenant AND e.event = p.event
		WHERE (p.account, p.event) > ($1, $2) ORDER BY p.account, p.event LIMIT $3`, after.account, after.event, limit)
	if err != nil {
		return nil, err
	}
	page, err := collect(rows, func(p *listedRow) []any { return []any{&p.account, &p.event, &p.tenant, &p.kind, &p.class, &p.actor} })
	*after = personKey{}
	if len(page) == limit {
		*after = personKey{page[limit-1].account, page[limit-1].event}
	}
	return page, err
}

// headRow reads a head as it is, false if there is none.
func headRow(tx *store.Tx, name string) (size int64, root, edge []byte, ok bool, err error) {
	err = tx.QueryRow(`SELECT size, root, edge FROM log_head WHERE tree = $1`, name).Scan(&size, &root, &edge)
	if errors.Is(err, store.ErrNoRows) {
		return 0, nil, nil, false, nil
	}
	return size, root, edge, err == nil, err
}

// countCheckpoints counts a tenant's checkpoints of more than size leaves that
// the platform log commits to below until.
func countCheckpoints(tx *store.Tx, name string, size, until int64) (n int64, err error) {
	err = tx.QueryRow(`SELECT count(*) FROM log_checkpoint WHERE tree = $1 AND size > $2 AND entry < $3`, name, size, until).Scan(&n)
	return n, err
}

// leafAndRow is a leaf and the row of its event, whose columns are invalid
// when there is none.
type leafAndRow struct {
	index              int64
	name               string
	entry              []byte
	kind, class, actor sql.NullString
	at                 sql.NullInt64
}

func leavesWithRows(tx *store.Tx, name string, from, until int64) ([]leafAndRow, error) {
	rows, err := tx.Query(`SELECT l.idx, l.name, l.entry, e.type, e.class, e.actor, e.occurred_at
		FROM log_leaf l LEFT JOIN audit_event e ON e.tenant = l.tree AND e.event = l.name
		WHERE l.tree = $1 AND l.idx >= $2 AND l.idx < $3 ORDER BY l.idx`, name, from, until)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(l *leafAndRow) []any {
		return []any{&l.index, &l.name, &l.entry, &l.kind, &l.class, &l.actor, &l.at}
	})
}

// checkpointsBetween lists the checkpoints of sizes above from, up to until.
func checkpointsBetween(tx *store.Tx, name string, from, until int64) ([]checkpointRow, error) {
	rows, err := tx.Query(`SELECT tree, size, root, salt, entry FROM log_checkpoint WHERE tree = $1 AND size > $2 AND size <= $3 ORDER BY size`,
		name, from, until)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []checkpointRow
	for rows.Next() {
		var c checkpointRow
		var root []byte
		if err := rows.Scan(&c.tree, &c.size, &root, &c.salt, &c.entry); err != nil {
			return nil, err
		}
		copy(c.root[:], root)
		all = append(all, c)
	}
	return all, rows.Err()
}

func tileRow(tx *store.Tx, name string, level int, n int64) (hashes []byte, root tlog.Hash, ok bool, err error) {
	var r []byte
	err = tx.QueryRow(`SELECT root, hashes FROM log_tile WHERE tree = $1 AND level = $2 AND n = $3`, name, level, n).Scan(&r, &hashes)
	if errors.Is(err, store.ErrNoRows) {
		return nil, root, false, nil
	}
	copy(root[:], r)
	return hashes, root, err == nil, err
}

type eventKey struct{ tenant, event string }

// waiting is an event without a leaf; its entry is nil when it is not pending
// either.
type waiting struct {
	tenant, event, kind, class, actor string
	at                                int64
	entry                             []byte
}

func (w waiting) leaf() leafAndRow {
	text := func(s string) sql.NullString { return sql.NullString{String: s, Valid: true} }
	return leafAndRow{index: -1, name: w.event, entry: w.entry, kind: text(w.kind), class: text(w.class), actor: text(w.actor),
		at: sql.NullInt64{Int64: w.at, Valid: true}}
}

// withoutLeaf looks at up to limit events after the key and returns those
// without a leaf. It moves the key, to zero at the end.
func withoutLeaf(tx *store.Tx, after *eventKey, limit int) ([]waiting, error) {
	rows, err := tx.Query(`SELECT e.tenant, e.event, e.type, e.class, e.actor, e.occurred_at, p.entry, l.idx
		FROM audit_event e
		LEFT JOIN log_leaf l ON l.name = e.event AND l.name <> '' AND l.tree = e.tenant AND l.idx >= 0
		LEFT JOIN audit_pending p ON p.name = e.event
		WHERE (e.tenant, e.event) > ($1, $2) ORDER BY e.tenant, e.event LIMIT $3`, after.tenant, after.event, limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var page []waiting
	seen := 0
	for ; rows.Next(); seen++ {
		var w waiting
		var index sql.NullInt64
		if err := rows.Scan(&w.tenant, &w.event, &w.kind, &w.class, &w.actor, &w.at, &w.entry, &index); err != nil {
			return nil, err
		}
		*after = eventKey{w.tenant, w.event}
		if !index.Valid {
			page = append(page, w)
		}
	}
	if seen < limit {
		*after = eventKey{}
	}
	return page, rows.Err()
}
