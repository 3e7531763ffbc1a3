package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/ncruces/go-sqlite3"

	"troth/internal/fault"
)

// present are the files that are open: the database, its write-ahead log and
// the log's index, each with the identity it had at opening. As long as a
// process uses the database, SQLite replaces none of them. Whoever removes or
// moves one leaves this process writing to a file without a name, which is
// gone when it ends.
type present []openFile

type openFile struct {
	path string
	info fs.FileInfo
}

// look remembers the files of a database that was just opened.
func look(path string) (present, error) {
	var all present
	for _, suffix := range []string{"", "-wal", "-shm"} {
		info, err := os.Stat(path + suffix)
		if err != nil {
			return nil, fmt.Errorf("looking at the database's files: %w", err)
		}
		all = append(all, openFile{path + suffix, info})
	}
	return all, nil
}

// check reports a file that is not at its path any more. It costs a few
// microseconds: it is asked at every commit and several times a second.
func (p present) check() error {
	for _, f := range p {
		info, err := os.Stat(f.path)
		if err == nil && os.SameFile(info, f.info) {
			continue
		}
		why := errors.New("another file is at its path: " + f.path)
		if err != nil {
			why = err
		}
		return fault.Wrap(why, fault.Unavailable, "store.file_gone",
			"A file of the database was removed or replaced while it is in use, so nothing can be stored. Move the same file back, or stop Troth and restore a backup.")
	}
	return nil
}

// ping reads. After a commit that the engine could not keep, a read is no
// answer to whether changes can be stored: then it also writes.
func (s *sqliteDB) ping(ctx context.Context) error {
	if err := s.files.check(); err != nil {
		return err
	}
	if s.sick.Load() {
		if err := s.probe(ctx); err != nil {
			return err
		}
	}
	return s.read(ctx, func(tx *Tx) error {
		var n int
		return tx.QueryRow("SELECT count(*) FROM sqlite_master").Scan(&n)
	})
}

// probe stores a page as it is, durably.
func (s *sqliteDB) probe(ctx context.Context) error {
	err := s.write(ctx, func(tx *Tx) error {
		tx.Unaudited("changes nothing: sees whether a change can be stored")
		var n int
		if err := tx.q.QueryRowContext(tx.stmtCtx, "PRAGMA user_version").Scan(&n); err != nil {
			return err
		}
		_, err := tx.q.ExecContext(tx.stmtCtx, fmt.Sprintf("PRAGMA user_version=%d", n))
		return err
	})
	if err == nil {
		s.sick.Store(false)
	}
	return err
}

// broken reports whether the engine, the disk under it, or the file is the
// reason why a statement failed, and not the statement.
func broken(err error) bool {
	for _, code := range []sqlite3.ErrorCode{sqlite3.IOERR, sqlite3.FULL, sqlite3.READONLY, sqlite3.CANTOPEN, sqlite3.CORRUPT, sqlite3.NOTADB, sqlite3.NOMEM, sqlite3.PROTOCOL} {
		if errors.Is(err, code) {
			return true
		}
	}
	return errors.Is(err, errVanished)
}

// unkept is the answer to writes that the engine did not keep.
func (s *sqliteDB) unkept(err error) error {
	if broken(err) {
		s.sick.Store(true)
	}
	switch {
	case errors.Is(err, sqlite3.FULL):
		return fault.Wrap(err, fault.Unavailable, "store.disk_full", "The disk is full, so nothing can be stored.")
	case errors.Is(err, sqlite3.IOERR_FSYNC): // what the disk has of it, a power cut would tell
		return fault.Wrap(err, fault.Unavailable, "store.unknown_outcome", "The disk failed while the change was being stored. Look whether it was, before you try again.")
	}
	return unavailable(err)
}
