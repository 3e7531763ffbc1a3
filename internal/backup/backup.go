// Package backup copies an installation to a directory and brings it back.
//
// A backup has two halves, data and keyring, which belong in different places:
//
//	DIR/troth-20261121T213000Z/data/MANIFEST.json  troth.db  troth.toml
//	DIR/troth-20261121T213000Z/keyring/MANIFEST.json  keyring.jsonl
//
// Neither half has a key in the clear. The data half is an SQLite file encrypted
// with AES-256-XTS, of either engine: a backup of Postgres can be restored to the
// embedded database and the other way round. The keyring half holds wrapped keys
// only. What opens both is the root key, which is in no
// backup: keep a copy of the root directory where neither half is.
//
// A backup is consistent while the service runs (SQLite's online backup, or one
// snapshot on Postgres). The keyring is copied after the data, so that it has
// every key that the data needs. Both halves carry the same manifest, signed
// with the log's key, with the size and SHA-256 of every file and the log's
// checkpoint; XTS does not authenticate, the manifest does. A backup is checked
// after it is written: the files against the manifest, the database by opening
// it with the keyring that was written. It is checked the same way before it is
// restored. An unfinished backup has a name that ends in ".partial" and is
// taken for a backup by nobody.
//
// Restoring makes a new data directory, or fills an empty Postgres database; it
// never writes over an installation. The restored log has an entry that says so.
// When it is older than the checkpoint that was published last, and that is
// given to the command, package audit opens a new epoch in it, openly.
//
// It is no archive of certificates and secrets in files, nor of the application's
// own data. Copying the database files of a running service
// instead is unsafe. NIST SP 800-53r5 CP-9, CP-9(8), CP-10.
package backup

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"troth/internal/access"
	"troth/internal/audit"
	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/keys"
	"troth/internal/store"
	"troth/verify"
)

// The two halves.
const (
	dataHalf = "data"
	ringHalf = "keyring"
)

// The files in them.
const (
	databaseFile = "troth.db"
	configFile   = "troth.toml"
	ringFile     = "keyring.jsonl"
)

// The permission to take backups. Nobody has it but the operator on the host.
const permTake access.Permission = "backup.take"

// Events are the types of events that this package writes.
var Events = []audit.Type{
	{Name: "backup.taken", Sentence: "{actor} took a backup of {bytes} bytes"},
	{Name: "backup.restored", Sentence: "{actor} restored the backup of {taken}"},
}

// Source is an opened installation to copy.
type Source struct {
	DB    *store.DB
	Ring  keys.Ring
	Keys  *keys.Keys
	Root  keys.Root
	Log   *audit.Log
	Build string // version of this program
	Now   func() time.Time
	Slog  *slog.Logger

	DatabaseKey keys.Ref // of the embedded database
	Config      string   // the configuration file, which holds no secrets; "" or absent: none is copied
}

// Progress is told how much of a step is done; the unit is the step's own.
type Progress func(step string, done, total int)

// Result is what was written or checked.
type Result struct {
	Dir      string          `json:"dir"`
	Manifest verify.Manifest `json:"manifest"`
}

// Bytes is the size of all files.
func (r Result) Bytes() int64 {
	var n int64
	for _, f := range r.Manifest.Files {
		n += f.Size
	}
	return n
}

func onHost(by access.Subject) error {
	if by.Kind != access.KindSystem || !by.May(permTake) {
		return fault.New(fault.Denied, "backup.host_only", "Only the operator can do this, on the host.")
	}
	return nil
}

// LastTaken is when the newest backup was written, the zero time if none was.
func LastTaken(ctx context.Context, log *audit.Log) (time.Time, error) {
	entries, _, err := log.List(ctx, audit.Filter{Tenant: id.Platform, Types: []string{"backup.taken"}, Limit: 1})
	if err != nil || len(entries) == 0 {
		return time.Time{}, err
	}
	return entries[0].OccurredAt, nil
}

// RecordRestored writes into a restored log that it was restored, and from when.
func RecordRestored(ctx context.Context, by access.Subject, db *store.DB, log *audit.Log, r Result, now time.Time) error {
	if err := onHost(by); err != nil {
		return err
	}
	return record(ctx, db, log, by, now, "backup.restored", map[string]string{"taken": r.Manifest.TakenAt.Format(time.RFC3339)})
}

// record writes an event about a backup.
func record(ctx context.Context, db *store.DB, log *audit.Log, by access.Subject, now time.Time, what string, metadata map[string]string) error {
	return db.Write(ctx, func(tx *store.Tx) error {
		_, err := log.AppendTx(tx, audit.Event{Type: what, Actor: by.Actor(), OccurredAt: now, Metadata: metadata})
		return err
	})
}

// damaged turns findings into one fault that names each.
func damaged(findings []verify.Finding) error {
	if len(findings) == 0 {
		return nil
	}
	var all []error
	for i := range findings {
		all = append(all, &findings[i])
	}
	return fault.Wrap(errors.Join(all...), fault.Conflict, "backup.damaged",
		"The backup is damaged, so nothing was restored from it: %s", findings[0].Error())
}

// wrong is a fault about a directory.
func wrong(code, format string, args ...any) error {
	return fault.New(fault.Invalid, "backup."+code, format, args...)
}

func step(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", what, err)
}
