package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"troth/internal/fault"
	"troth/internal/store"
	"troth/internal/store/pgtest"
	"troth/internal/store/storetest"
)

// line is a line to the server that can be cut.
type line struct {
	listener net.Listener
	server   string
	mu       sync.Mutex
	open     map[net.Conn]bool
	cut      atomic.Pointer[func(sent []byte) (forward, cut bool)]
	down     atomic.Bool
}

// wire puts a line between the tests and the server and returns a URL that
// goes through it.
func wire(t *testing.T, u string) (*line, string) {
	t.Helper()
	parsed, err := url.Parse(u)
	must(t, err)
	q := parsed.Query()
	dir := t.TempDir()
	l := &line{server: filepath.Join(q.Get("host"), ".s.PGSQL.5432"), open: map[net.Conn]bool{}}
	l.listener, err = net.Listen("unix", filepath.Join(dir, ".s.PGSQL.5432"))
	must(t, err)
	t.Cleanup(func() { l.listener.Close(); l.hangUp() })
	go func() {
		for {
			c, err := l.listener.Accept()
			if err != nil {
				return
			}
			go l.carry(c)
		}
	}()
	q.Set("host", dir)
	parsed.RawQuery = q.Encode()
	return l, parsed.String()
}

func (l *line) carry(c net.Conn) {
	defer c.Close()
	if l.down.Load() {
		return
	}
	s, err := net.Dial("unix", l.server)
	if err != nil {
		return
	}
	defer s.Close()
	l.mu.Lock()
	l.open[c] = true
	l.mu.Unlock()
	answered := make(chan struct{}, 1)
	go func() {
		defer c.Close()
		b := make([]byte, 64<<10)
		for {
			n, err := s.Read(b)
			if err != nil {
				return
			}
			c.Write(b[:n])
			select {
			case answered <- struct{}{}:
			default:
			}
		}
	}()
	b := make([]byte, 64<<10)
	for {
		n, err := c.Read(b)
		if err != nil {
			return
		}
		forward, cut := true, false
		if f := l.cut.Load(); f != nil {
			forward, cut = (*f)(b[:n])
		}
		if !cut {
			s.Write(b[:n])
			continue
		}
		c.Close() // first, so that no answer comes back
		if forward {
			select {
			case <-answered: // an earlier answer
			default:
			}
			s.Write(b[:n])
			<-answered
		}
		return
	}
}

// hangUp cuts every connection.
func (l *line) hangUp() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.open {
		c.Close()
	}
	clear(l.open)
}

// atCommit cuts the next COMMIT, before or after the server hears of it.
func (l *line) atCommit(heard bool) {
	var once atomic.Bool
	f := func(sent []byte) (bool, bool) {
		if bytes.Contains(sent, []byte("COMMIT")) && once.CompareAndSwap(false, true) {
			return heard, true
		}
		return true, false
	}
	l.cut.Store(&f)
}

func TestABrokenCommitIsReportedAsUnknownAndNotRunAgain(t *testing.T) {
	for _, heard := range []bool{false, true} {
		t.Run(fmt.Sprint("heard=", heard), func(t *testing.T) {
			l, u := wire(t, pgtest.URL(t))
			db := storetest.Open(t, store.Options{URL: u}, kv)
			l.atCommit(heard)
			runs, after := 0, 0
			err := db.Write(t.Context(), func(tx *store.Tx) error {
				runs++
				tx.Unaudited("test")
				tx.AfterCommit(func() { after++ })
				_, err := tx.Exec("INSERT INTO kv (k) VALUES ('a')")
				return err
			})
			wantKind(t, err, fault.Unavailable, "store.unknown_outcome")
			if runs != 1 || after != 0 {
				t.Errorf("ran %d times, %d calls after the commit", runs, after)
			}
			l.cut.Store(nil)
			// Writing the same row again finds out.
			if err := put(t.Context(), db, "a", ""); heard != store.IsUnique(err) || !heard && err != nil {
				t.Errorf("again: %v", err)
			}
			if len(all(t, db)) != 1 {
				t.Errorf("%d rows", len(all(t, db)))
			}
		})
	}
}

func TestAConnectionThatBreaksBeforeTheCommitIsReplaced(t *testing.T) {
	l, u := wire(t, pgtest.URL(t))
	db := storetest.Open(t, store.Options{URL: u}, kv)
	runs, after := 0, 0
	must(t, db.Write(t.Context(), func(tx *store.Tx) error {
		runs++
		tx.Unaudited("test")
		tx.AfterCommit(func() { after++ })
		if _, err := tx.Exec("INSERT INTO kv (k) VALUES ('a')"); err != nil {
			return err
		}
		if runs == 1 {
			l.hangUp()
		}
		_, err := tx.Exec("INSERT INTO kv (k) VALUES ('b')")
		return err
	}))
	if runs != 2 || after != 1 || len(all(t, db)) != 2 {
		t.Fatalf("ran %d times, %d calls after the commit, stored %q", runs, after, all(t, db))
	}
	l.hangUp() // idle connections too
	must(t, db.Ping(t.Context()))
	must(t, put(t.Context(), db, "c", ""))
	l.hangUp()
	if got := all(t, db); len(got) != 3 {
		t.Fatalf("stored %q", got)
	}
}

func TestAServerThatIsDownIsUnavailableUntilItIsBack(t *testing.T) {
	l, u := wire(t, pgtest.URL(t))
	db := storetest.Open(t, store.Options{URL: u}, kv)
	l.down.Store(true)
	l.hangUp()
	nothing := func(*store.Tx) error { return nil }
	for what, err := range map[string]error{
		"Write": put(t.Context(), db, "a", ""),
		"Read":  db.Read(t.Context(), nothing),
		"Ping":  db.Ping(t.Context()),
	} {
		if fault.KindOf(err) != fault.Unavailable {
			t.Errorf("%s: %v", what, err)
		}
	}
	// A server that restarts in a moment is waited for.
	time.AfterFunc(100*time.Millisecond, func() { l.down.Store(false) })
	must(t, put(t.Context(), db, "b", ""))
}

func TestConflictsAreReplayedAndBounded(t *testing.T) {
	db := storetest.Postgres(t, kv)
	must(t, put(t.Context(), db, "a", ""))
	conflict := func(k string) error { // another transaction that is in the way of the running one
		return db.Write(context.Background(), func(tx *store.Tx) error {
			tx.Unaudited("test")
			var n int
			if err := tx.QueryRow("SELECT count(*) FROM kv").Scan(&n); err != nil {
				return err
			}
			_, err := tx.Exec("INSERT INTO kv (k) VALUES ($1)", k)
			return err
		})
	}
	runs := 0
	err := db.Write(t.Context(), func(tx *store.Tx) error {
		runs++
		tx.Unaudited("test")
		var n int
		if err := tx.QueryRow("SELECT count(*) FROM kv").Scan(&n); err != nil {
			return err
		}
		if runs < 4 {
			if err := conflict(fmt.Sprint("other", runs)); err != nil {
				return err
			}
		}
		_, err := tx.Exec("INSERT INTO kv (k, n) VALUES ('sum', $1)", n)
		return err
	})
	must(t, err)
	var n int
	must(t, db.Read(t.Context(), func(tx *store.Tx) error { return tx.QueryRow("SELECT n FROM kv WHERE k = 'sum'").Scan(&n) }))
	if runs < 2 || n != 4 {
		t.Fatalf("ran %d times and counted %d rows of 4", runs, n)
	}
	runs = 0
	err = db.Write(t.Context(), func(tx *store.Tx) error {
		runs++
		tx.Unaudited("test")
		var n int
		if err := tx.QueryRow("SELECT count(*) FROM kv").Scan(&n); err != nil {
			return err
		}
		if err := conflict(fmt.Sprint("always", runs)); err != nil {
			return err
		}
		_, err := tx.Exec("INSERT INTO kv (k) VALUES ($1)", fmt.Sprint("never", n))
		return err
	})
	wantKind(t, err, fault.Unavailable, "store.contended")
	if strings.Contains(strings.Join(all(t, db), " "), "never") {
		t.Fatal("a transaction that was given up left something")
	}
}

func TestOfSeveralHostsTheOneThatAnswersIsUsed(t *testing.T) {
	u, err := url.Parse(pgtest.URL(t))
	must(t, err)
	q := u.Query()
	q.Set("host", t.TempDir()+","+q.Get("host"))
	q.Set("target_session_attrs", "read-write")
	u.RawQuery = q.Encode()
	db := storetest.Open(t, store.Options{URL: u.String()}, kv)
	must(t, put(t.Context(), db, "a", ""))
}

func TestAServerThatTakesNoWritesIsRefused(t *testing.T) {
	u := pgtest.URL(t)
	db := storetest.Open(t, store.Options{URL: u}, kv)
	must(t, db.Write(t.Context(), func(tx *store.Tx) error {
		tx.Unaudited("test")
		var name string
		if err := tx.QueryRow("SELECT current_database()").Scan(&name); err != nil {
			return err
		}
		_, err := tx.Exec("ALTER DATABASE " + name + " SET default_transaction_read_only = on")
		return err
	}))
	_, err := store.Open(t.Context(), store.Options{URL: u})
	wantKind(t, err, fault.Unavailable, "store.unreachable")
}

func TestAStatementThatTakesTooLongIsEnded(t *testing.T) {
	u, err := url.Parse(pgtest.URL(t))
	must(t, err)
	q := u.Query()
	q.Set("statement_timeout", "100")
	u.RawQuery = q.Encode()
	db := storetest.Open(t, store.Options{URL: u.String()}, kv)
	err = db.Read(t.Context(), func(tx *store.Tx) error {
		return tx.QueryRow("SELECT v FROM kv, pg_sleep(30)").Scan(new(string))
	})
	if err == nil || errors.Is(err, store.ErrNoRows) {
		t.Fatalf("a statement of 30 s ended with %v", err)
	}
	must(t, put(t.Context(), db, "a", ""))
}
