package breach

import (
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"troth/internal/audit"
	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/password"
	"troth/internal/secret"
	"troth/internal/store"
)

// Lists are replaced while they are asked: each answer is that of the old one or
// of the new one, and a password of both is always found.
func TestListsAreReplacedWhileTheyAreAsked(t *testing.T) {
	h := sqlite(t)
	h.takes(h.file("f", lines(SHA1, append(words(2000), "in both of them")...)...))
	var all sync.WaitGroup
	stop := make(chan struct{})
	for range 4 {
		all.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if f, err := h.Known(ctx, secret.Of("in both of them")); f != password.Breached || err != nil {
					t.Errorf("the answer was %d, %v", f, err)
					return
				}
				h.clock.add(time.Second)
			}
		})
	}
	for i := range 12 {
		h.takes(h.file("f", lines(SHA1, append(words(1000+i), "in both of them")...)...))
	}
	must(t, h.Verify(ctx))
	close(stop)
	all.Wait()
}

// A list that cannot be opened is an error until it can, also when nothing of
// the file changes.
func TestAListThatCannotBeOpenedForAWhile(t *testing.T) {
	h := sqlite(t)
	h.takes(h.file("f", lines(SHA1, "the only one")...))
	// As root everything can be opened: a directory in its place cannot be read.
	away := h.path(SHA1) + ".away"
	must(t, os.Rename(h.path(SHA1), away))
	must(t, os.Mkdir(h.path(SHA1), 0o700))
	_, err := h.Known(ctx, secret.Of("the only one"))
	want(t, err, fault.Unavailable, "breach.damaged", "troth breach status")
	if s := h.Imported(); len(s) != 1 || s[0].Problem == "" {
		t.Errorf("the status is %+v", s)
	}
	must(t, os.Remove(h.path(SHA1)))
	must(t, os.Rename(away, h.path(SHA1)))
	h.clock.add(lookEvery)
	if h.known("the only one") != password.Breached {
		t.Error("it is not in use again")
	}
}

// The operator of a running service is told once of a list that is refused, and
// the old one stays in use.
func TestANewListThatIsDamagedIsToldOnce(t *testing.T) {
	s := &service{}
	h := ranged(t, s)
	h.takes(h.file("f", lines(SHA1, "the only one")...))
	if h.known("the only one") != password.Breached {
		t.Fatal("not in use")
	}
	must(t, os.Remove(h.path(SHA1)))
	must(t, os.WriteFile(h.path(SHA1), []byte("TROTHBL1 and no more of it"), 0o600))
	for range 5 {
		h.clock.add(lookEvery)
		if h.known("the only one") != password.Breached {
			t.Fatal("the old list is not in use any more")
		}
	}
	if n := strings.Count(h.log.String(), "cannot be used"); n != 1 {
		t.Errorf("it is told %d times:\n%s", n, h.log)
	}
}

// Nothing of a password stands in the database or in the log.
func TestAddedPasswordsAreNotKept(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		const word = "unlikely-word-9QxZ"
		if _, err := h.Add(ctx, host(), time.Hour, secret.Of(word)); err != nil {
			t.Fatal(err)
		}
		err := h.DB.Read(ctx, func(tx *store.Tx) error {
			var digest []byte
			var added, expires int64
			if err := tx.QueryRow(`SELECT digest, added_at, expires_at FROM breach_own`).Scan(&digest, &added, &expires); err != nil {
				return err
			}
			if len(digest) != 33 || strings.Contains(string(digest), word) || expires-added != time.Hour.Microseconds() {
				t.Errorf("the row is %x, %d, %d", digest, added, expires)
			}
			return nil
		})
		must(t, err)
		list, _, err := h.Log.List(ctx, audit.Filter{Tenant: id.Platform, Limit: 10})
		must(t, err)
		for _, e := range list {
			if e.Type != evAdded || e.Metadata["count"] != "1" || len(e.Metadata) != 1 {
				t.Errorf("the log has %+v", e)
			}
		}
	})
}

// What was added for a while is swept when it is over, and only that.
func TestRetention(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		for word, life := range map[string]time.Duration{"for a minute": time.Minute, "for a day": 24 * time.Hour, "for good": 0} {
			if _, err := h.Add(ctx, host(), life, secret.Of(word)); err != nil {
				t.Fatal(err)
			}
		}
		h.clock.add(time.Hour)
		var n int64
		err := h.DB.Write(ctx, func(tx *store.Tx) (err error) {
			tx.Unaudited("test")
			n, err = Retention[0].Sweep(ctx, tx, h.clock.now())
			return err
		})
		if err != nil || n != 1 {
			t.Errorf("swept %d, %v", n, err)
		}
		if h.known("for a day") != password.Breached || h.known("for good") != password.Breached || h.known("for a minute") != password.Unheard {
			t.Error("the wrong one was swept")
		}
	})
}

// Adding again for good what was added for a while makes it stay.
func TestAddingAgainProlongs(t *testing.T) {
	h := sqlite(t)
	p := secret.Of("a password that was lost")
	for _, life := range []time.Duration{time.Minute, time.Hour, 0} {
		if _, err := h.Add(ctx, host(), life, p); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := h.Add(ctx, host(), time.Minute, p); err != nil || n != 0 {
		t.Errorf("what is there for good was shortened: %d, %v", n, err)
	}
	h.clock.add(1000 * time.Hour)
	if h.known(p.Reveal()) != password.Breached {
		t.Error("it is not known any more")
	}
}

// The directory can be named in the configuration.
func TestTheDirectoryIsConfigured(t *testing.T) {
	dir := t.TempDir()
	h := sqlite(t, func(o *Options) { o.Config.Dir = dir })
	if got := h.takes(h.file("f", lines(NTLM, "x")...)); !strings.HasPrefix(got.File, dir+"/") {
		t.Errorf("it lies in %s", got.File)
	}
	s, err := h.Status(ctx, host(), false)
	if err != nil || s.Dir != dir || len(s.Lists) != 1 || s.Lists[0].Kind != NTLM {
		t.Errorf("%+v, %v", s, err)
	}
	info, err := os.Stat(h.path(NTLM))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file is %v, %v", info.Mode(), err)
	}
}
